"""Real data that ships inside scikit-learn: no download, the same bytes everywhere."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from helpers._arguments import require_floating_type, require_integer, require_seed


class Split(NamedTuple):
    """A training set and a test set.

    Attributes:
        x_train: features ``(N, D)``.
        y_train: targets ``(N,)``.
        x_test: features ``(M, D)``.
        y_test: targets ``(M,)``.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


def breast_cancer(
    seed: int = 0, standardize: bool = True, dtype: torch.dtype = torch.float32
) -> Split:
    """Load scikit-learn's breast cancer data: 569 samples, 30 features, 2 classes.

    Args:
        seed: which stratified split, three quarters for training.
        standardize: subtract the training set's mean and divide by its standard
            deviation. Raw features span from 0 to about 4,000.
        dtype: a floating-point type, for features and targets.

    Returns:
        A :class:`Split`; targets are 0 (malignant) and 1 (benign).

    Raises:
        TypeError: if ``seed`` is not an integer or ``dtype`` not a floating-point type.
        ValueError: if ``seed`` is not from 0 to 2**32 - 1.

    Example:
        >>> split = breast_cancer()
        >>> split.x_train.shape, split.x_test.shape
        (torch.Size([426, 30]), torch.Size([143, 30]))

    Source: Wolberg, Mangasarian, Street and Street (1995), Breast Cancer Wisconsin
    (Diagnostic), as bundled by ``sklearn.datasets.load_breast_cancer``.
    """
    require_seed("breast_cancer", seed, 2**32 - 1)
    require_floating_type("breast_cancer", dtype)
    from sklearn.datasets import load_breast_cancer

    features, targets = load_breast_cancer(return_X_y=True)
    return _split(features, targets, seed, standardize, dtype, dtype)


def digits(seed: int = 0, dtype: torch.dtype = torch.float32) -> Split:
    """Load scikit-learn's digits: 1,797 real scans of 8 x 8 pixels, 10 classes.

    Args:
        seed: which stratified split, three quarters for training.
        dtype: a floating-point type, for the pixels.

    Returns:
        A :class:`Split`: pixels ``(N, 64)`` from 0 to 1, classes as int64.

    Raises:
        TypeError: if ``seed`` is not an integer or ``dtype`` not a floating-point type.
        ValueError: if ``seed`` is not from 0 to 2**32 - 1.

    Example:
        >>> split = digits()
        >>> split.x_train.shape, split.y_train.dtype
        (torch.Size([1347, 64]), torch.int64)

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, as
    bundled by ``sklearn.datasets.load_digits``.
    """
    require_seed("digits", seed, 2**32 - 1)
    require_floating_type("digits", dtype)
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    return _split(pixels / 16, classes, seed, False, dtype, torch.int64)


def photo_crops(size: int = 32) -> tuple[Tensor, Tensor]:
    """Cut scikit-learn's two photographs into squares: real colour images.

    Args:
        size: side of a square in pixels, from 1 to 427. What is left over is dropped.

    Returns:
        Images, uint8 ``(N, 3, size, size)``, and which photograph each is from, int64
        ``(N,)``: 0 for a temple under a grey sky, 1 for a flower. By 32, N is 520.

    Raises:
        TypeError: if ``size`` is not an integer.
        ValueError: if it is not from 1 to 427, the photographs' height.

    Example:
        >>> images, photograph = photo_crops(32)
        >>> images.shape, images.dtype
        (torch.Size([520, 3, 32, 32]), torch.uint8)

    Source: china.jpg and flower.jpg of ``sklearn.datasets.load_sample_images``.
    """
    require_integer("photo_crops", "size", size, 1, 427, "Try size=32.")
    from sklearn.datasets import load_sample_images

    crops = []
    for photograph in load_sample_images().images:
        pixels = torch.tensor(photograph).permute(2, 0, 1)  # (3, 427, 640)
        squares = pixels.unfold(1, size, size).unfold(2, size, size)
        crops.append(squares.permute(1, 2, 0, 3, 4).reshape(-1, 3, size, size))
    labels = torch.arange(len(crops)).repeat_interleave(len(crops[0]))
    return torch.cat(crops), labels


def _split(features, targets, seed, standardize, x_dtype, y_dtype) -> Split:
    """Split by class proportions, then standardise with the training set's figures."""
    from sklearn.model_selection import train_test_split

    x_train, x_test, y_train, y_test = (
        torch.from_numpy(part)
        for part in train_test_split(
            features, targets, test_size=0.25, stratify=targets, random_state=seed
        )
    )
    if standardize:
        mean, std = x_train.mean(dim=0), x_train.std(dim=0)
        x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    return Split(
        x_train.to(x_dtype), y_train.to(y_dtype), x_test.to(x_dtype), y_test.to(y_dtype)
    )
