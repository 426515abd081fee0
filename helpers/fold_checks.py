"""What ``kfold_loaders`` refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy import ndarray


def require_count(caller: str, name: str, value: object, least: int, why: str) -> None:
    """Raise an error that names the caller, unless a count is large enough."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{caller}: {name} must be an integer, got {value!r}. {why}")
    if value < least:
        raise ValueError(
            f"{caller}: {name} must be {least} or more, got {value}. {why}"
        )


def require_tensors(tensors: tuple, y: object, n_splits: int) -> None:
    """Raise an error unless all are tensors of one length, and y holds no nan."""
    if not tensors:
        raise ValueError(
            "kfold_loaders: tensors must be one or more, got none. "
            "Pass the inputs first: kfold_loaders(x, y=y)."
        )
    named = [(f"tensors[{i}]", t) for i, t in enumerate(tensors)] + [("y", y)]
    for name, tensor in named:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"kfold_loaders: {name} must be a torch.Tensor, got "
                f"{type(tensor).__name__}. Convert it: torch.as_tensor({name})."
            )
        if tensor.ndim == 0 or len(tensor) == 0:
            raise ValueError(
                f"kfold_loaders: {name} must hold samples (N, ...), got shape "
                f"{tuple(tensor.shape)}."
            )
    for name, tensor in named[1:]:
        if len(tensor) != len(tensors[0]):
            raise ValueError(
                f"kfold_loaders: {name} must be as long as tensors[0], got "
                f"{len(tensor)} and {len(tensors[0])} samples. One row a sample."
            )
    if len(y) < n_splits:
        raise ValueError(
            f"kfold_loaders: n_splits must be at most the number of samples, got "
            f"n_splits={n_splits} and {len(y)} samples. Use fewer folds."
        )
    if y.isnan().any():
        where = tuple(y.isnan().nonzero()[0].tolist())
        raise ValueError(
            f"kfold_loaders: y must not hold nan, got nan at index {where}. "
            "Drop the samples without a target first."
        )


def class_codes(y: Tensor, n_splits: int) -> ndarray:
    """Return each sample's class as 0, 1, ..., or say why it cannot be stratified."""
    if y.ndim != 1:
        raise ValueError(
            f"kfold_loaders: y must be classes (N,) to stratify, got shape "
            f"{tuple(y.shape)}. Squeeze (N, 1), or pass stratify=False."
        )
    if y.is_floating_point() and (y != y.round()).any():
        odd = y[y != y.round()][0].item()
        raise ValueError(
            f"kfold_loaders: y must be whole numbers to stratify, got {odd:g}. "
            "For a regression pass stratify=False."
        )
    values, codes, counts = torch.unique(y, return_inverse=True, return_counts=True)
    if len(values) == 1:
        raise ValueError(
            f"kfold_loaders: y must hold two classes or more, got {values[0].item()} "
            "everywhere. There is nothing to tell apart; or pass stratify=False."
        )
    if counts.min() < n_splits:
        rare = counts.argmin()
        raise ValueError(
            f"kfold_loaders: n_splits must be at most the size of the smallest class, "
            f"got n_splits={n_splits} and {counts[rare].item()} samples of class "
            f"{values[rare].item()}. Use fewer folds, or merge the class."
        )
    return codes.cpu().numpy()


def group_codes(groups: object, count: int, n_splits: int) -> ndarray | None:
    """Return each sample's group as 0, 1, ..., or say what is wrong with the groups."""
    import numpy as np

    if groups is None:
        return None
    if isinstance(groups, Tensor):
        groups = groups.cpu()
    if isinstance(groups, (str, dict, set)) or not hasattr(groups, "__len__"):
        raise TypeError(
            f"kfold_loaders: groups must be one group a sample, got "
            f"{type(groups).__name__}. Pass a list, an array or a tensor (N,)."
        )
    values = np.asarray(groups)
    if values.shape != (count,):
        raise ValueError(
            f"kfold_loaders: groups must be ({count},), one a sample, got shape "
            f"{values.shape}. Repeat each group's name for all of its samples."
        )
    missing = [i for i, g in enumerate(values.tolist()) if g is None or g != g]
    if missing:
        raise ValueError(
            f"kfold_loaders: groups must not hold nan or None, got {groups[missing[0]]} "
            f"at index {missing[0]}. Give such a sample a group of its own."
        )
    names, codes = np.unique(values, return_inverse=True)
    if len(names) < n_splits:
        raise ValueError(
            f"kfold_loaders: groups must be n_splits={n_splits} or more, got "
            f"{len(names)}. A group cannot be cut: use n_splits={len(names)} or fewer."
        )
    return codes


def require_usable(splits: Sequence[tuple], y: Tensor | None) -> None:
    """Raise an error if a fold is empty, or is to judge a class that it never saw."""
    for number, (train, validation) in enumerate(splits):
        if not len(train) or not len(validation):
            raise ValueError(
                f"kfold_loaders: groups leave fold {number} without samples. "
                "One group is too large: use fewer folds, or cut it into smaller ones."
            )
        if y is None:
            continue
        unseen = set(y[validation].tolist()) - set(y[train].tolist())
        if unseen:
            raise ValueError(
                f"kfold_loaders: groups leave the training set of fold {number} without "
                f"class {min(unseen)}. Too few groups have it: use fewer folds, or "
                "get samples of it from more groups."
            )
