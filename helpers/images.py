"""Batches of images from whatever holds them, or a sentence on what is wrong with it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Kind = tuple[tuple[int, ...], torch.dtype]  # of one image


def batches(
    caller: str, data: Tensor | Dataset | DataLoader, batch_size: int, num_workers: int
) -> Iterator[Tensor]:
    """Yield checked batches ``(N, C, H, W)`` without their labels.

    Args:
        caller: the function that errors should name.
        data: a tensor ``(N, C, H, W)``, which is one batch; a data set of images, alone
            or first in a tuple; or a loader of such batches.
        batch_size: images read at once from a data set.
        num_workers: processes that read a data set.

    Yields:
        uint8 or floating-point images, all of one size and type.

    Raises:
        TypeError: if ``data`` or an image has a type that cannot be used.
        ValueError: if there are no images, or they are not ``(N, C, H, W)`` of one size.

    Example:
        >>> [len(b) for b in batches("me", torch.utils.data.TensorDataset(
        ...     torch.rand(5, 3, 8, 8), torch.arange(5)), 2, 0)]
        [2, 2, 1]
    """
    if not isinstance(data, (Tensor, Dataset, DataLoader)):
        raise TypeError(
            f"{caller}: data must be a tensor, Dataset or DataLoader, got "
            f"{type(data).__name__}. Convert it: torch.as_tensor(data)."
        )
    first, seen = None, 0
    for images in _read(caller, data, batch_size, num_workers):
        kind = _kind(caller, images, seen)
        if first not in (None, kind):
            raise ValueError(
                f"{caller}: images must have one size and type, got {_told(first)} and "
                f"then {_told(kind)} at image {seen}. Resize and convert them as in "
                "training."
            )
        first = kind
        seen += len(images)
        yield images.as_subclass(Tensor)  # torchvision's own class is slower
    if first is None:
        raise ValueError(
            f"{caller}: data must hold at least one image, got none. "
            "Check the split or the filter that made it."
        )


def _read(caller: str, data, batch_size: int, num_workers: int) -> Iterator[object]:
    """Yield batches as they come."""
    if isinstance(data, Tensor):
        yield data
    elif isinstance(data, DataLoader):
        try:
            for batch in data:
                yield batch[0] if isinstance(batch, (tuple, list)) else batch
        except RuntimeError as error:
            if "equal size" not in str(error):
                raise
            raise ValueError(
                f"{caller}: images must have one size, got a batch with several: "
                f"{str(error).splitlines()[-1]}. Resize them as in training."
            ) from error
    else:
        loader = DataLoader(
            data, batch_size, num_workers=num_workers, collate_fn=_stack
        )
        for batch in loader:
            # What could not be stacked goes on one by one, to be named with its index.
            yield from [batch] if isinstance(batch, Tensor) else batch


def _stack(samples: list) -> Tensor | list:
    """Collate the images alone: labels may be of any kind, or missing."""
    images = [s[0] if isinstance(s, (tuple, list)) else s for s in samples]
    tensors = [image for image in images if isinstance(image, Tensor)]
    kinds = {(image.shape, image.dtype) for image in tensors}
    if len(tensors) == len(images) and len(kinds) == 1:
        return torch.stack(images)
    return [i.unsqueeze(0) if isinstance(i, Tensor) else i for i in images]


def _kind(caller: str, images: object, seen: int) -> Kind:
    """Return shape and dtype of one image, or say what is wrong with the batch."""
    dense = isinstance(images, Tensor) and images.layout == torch.strided
    if not dense or images.is_meta:
        got = type(images).__name__ if not isinstance(images, Tensor) else images.layout
        raise TypeError(
            f"{caller}: images must be dense tensors with data, got {got} at image "
            f"{seen}. Add the transform v2.ToImage(), and return the image first."
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(
            f"{caller}: images must be uint8 or floating point, got {images.dtype} at "
            f"image {seen}. Convert them as in training: images.float()."
        )
    _require_shape(caller, tuple(images.shape))
    return tuple(images.shape[1:]), images.dtype


def _require_shape(caller: str, shape: tuple[int, ...]) -> None:
    """Raise unless a shape is (N, C, H, W) and not empty; warn of channels last."""
    if len(shape) != 4:
        names = {1: "(N,) = ", 2: "(N, D) = ", 3: "(N, H, W) = "}.get(len(shape), "")
        advice = {
            1: "Return the image first, then the label.",
            3: "Add a channel axis: images.unsqueeze(1).",
        }.get(len(shape), "Reshape them: images.view(N, C, H, W).")
        raise ValueError(
            f"{caller}: images must be (N, C, H, W), got {names}{shape}. {advice}"
        )
    if 0 in shape:
        raise ValueError(
            f"{caller}: data must hold at least one image with pixels, got shape "
            f"{shape}. Check the split or the filter that made it."
        )
    if shape[3] in (1, 3, 4) and min(shape[1:3]) >= 16:
        warnings.warn(
            f"{caller}: {shape} looks like (N, H, W, C), and is taken for {shape[1]} "
            "channels. If so: images.permute(0, 3, 1, 2).",
            stacklevel=5,
        )


def _told(kind: Kind) -> str:
    return f"{kind[0]} of {kind[1]}"
