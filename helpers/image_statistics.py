"""Mean and standard deviation of a whole image dataset: one pass, exact, mergeable."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from helpers._arguments import (
    require,
    require_each,
    require_shape,
    require_some,
    require_tensor,
    require_type,
)

CHUNK = 2**20  # numbers looked at together: 4 MiB of float32 stay in the cache


@dataclass(frozen=True)
class MeanStd:
    """Mean and standard deviation of each channel, with what it takes to merge them.

    Unpack it, ``mean, std = stats``, or merge it with that of other images. It can be
    pickled, so ``torch.distributed.all_gather_object`` sends it.

    Attributes:
        count: pixels seen in each channel.
        mean64: their mean, float64 ``(C,)``.
        m2: the sum of their squared deviations from it, float64 ``(C,)``.
    """

    count: int
    mean64: Tensor
    m2: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean of each channel, float32 ``(C,)``."""
        return self.mean64.float()

    @property
    def std(self) -> Tensor:
        """The standard deviation of each channel, dividing by N, float32 ``(C,)``."""
        return (self.m2 / self.count).sqrt().float()

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.mean, self.std))

    def merge(self, other: MeanStd) -> MeanStd:
        """Return the statistics of both sets of images together.

        Args:
            other: those of other images, with as many channels, in the same units.

        Returns:
            The same as one pass over all of the images, whatever their order.

        Raises:
            ValueError: if the numbers of channels differ.

        Example:
            >>> images = torch.rand(10, 3, 8, 8)
            >>> parts = dataset_mean_std(images[:3]), dataset_mean_std(images[3:])
            >>> whole = dataset_mean_std(images)
            >>> torch.allclose(parts[0].merge(parts[1]).std, whole.std)
            True

        Source: Chan, Golub and LeVeque (1983), "Algorithms for Computing the Sample
        Variance". https://doi.org/10.1080/00031305.1983.10483115
        """
        alike, must = self.mean64.shape == other.mean64.shape, tuple(self.mean64.shape)
        advice = "Merge images of one kind."
        require_shape("MeanStd.merge", "other", other.mean64, alike, must, advice)
        count = self.count + other.count
        delta = other.mean64 - self.mean64
        share = other.count / count
        return MeanStd(
            count,
            self.mean64 + delta * share,
            self.m2 + other.m2 + delta.square() * (self.count * share),
        )


@torch.no_grad()
def dataset_mean_std(
    data: Tensor | Dataset | DataLoader,
    scale: bool = True,
    batch_size: int = 64,
    num_workers: int = 0,
    progress: bool = False,
) -> MeanStd:
    """Return each channel's mean and standard deviation over all pixels of all images.

    One pass, in memory that does not grow with the number of images. Take the training
    set, after resizing and before augmentation.

    Args:
        data: uint8 or floating-point images: a tensor ``(N, C, H, W)``; a dataset of
            images ``(C, H, W)``, alone or first in a tuple with a label; or a loader of
            such batches.
        scale: divide uint8 by 255, as ``v2.ToDtype(torch.float32, scale=True)`` does,
            so that the result fits ``v2.Normalize`` after it. False leaves it in units
            of 0 to 255. Floating point is taken as it is.
        batch_size: images read at once from a dataset.
        num_workers: processes that read a dataset.
        progress: show a bar that counts images.

    Returns:
        A :class:`MeanStd`: unpack it to float32 ``mean, std``, each ``(C,)``.

    Raises:
        TypeError: if ``data`` or its images have a type that cannot be used.
        ValueError: if there are no images, they are not ``(N, C, H, W)`` of one size,
            or a pixel is nan or inf.

    Warns:
        UserWarning: if a channel is constant, or the channels seem to come last.

    Example:
        >>> black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> mean, std = dataset_mean_std(black_and_white)
        >>> mean, std
        (tensor([0.5000]), tensor([0.5000]))
        >>> dataset_mean_std(black_and_white, scale=False).std
        tensor([127.5000])

    Source: https://docs.pytorch.org/vision/stable/transforms.html
    """
    stats, buffer, seen = None, None, 0
    with _bar(data, progress) as bar:
        for images in _batches(data, batch_size, num_workers):
            buffer = _buffer(images) if buffer is None else buffer
            for chunk in images.split(max(1, CHUNK // images[0].numel())):
                part = _chunk_stats(chunk, seen, stats, buffer)
                stats = part if stats is None else stats.merge(part)
                seen += len(chunk)
                bar.update(len(chunk))
    if scale and images.dtype == torch.uint8:
        stats = replace(stats, mean64=stats.mean64 / 255, m2=stats.m2 / 255**2)
    _warn_of_constants(stats)
    return stats


def _bar(data: object, progress: bool):
    """Return a progress bar of images, silent unless asked for."""
    from tqdm import tqdm

    try:
        total = len(getattr(data, "sampler", data))
    except TypeError:  # a stream that does not know its length
        total = None
    return tqdm(total=total, unit="image", disable=not progress)


def _buffer(images: Tensor) -> Tensor:
    """Return memory for one chunk; made anew for each, it would double the time."""
    wide = images.dtype == torch.float64
    dtype = torch.float64 if wide else torch.float32
    return images.new_empty(max(CHUNK, images[0].numel()), dtype=dtype)


def _chunk_stats(
    chunk: Tensor, seen: int, so_far: MeanStd | None, buffer: Tensor
) -> MeanStd:
    """Return the statistics of a few images ``(n, C, H, W)``, looking twice at most."""
    x, count = chunk.flatten(2), chunk.numel() // chunk.shape[1]
    # Differences from a mean are small whatever the offset. The mean so far will do: if
    # it is far off, its distance is part of the spread, as long as it has the weight.
    if so_far is not None and so_far.count >= count:
        near = so_far.mean64.to(buffer)
    else:
        near = x.to(buffer).mean(dim=(0, 2))
    torch.sub(x, near[:, None], out=buffer[: x.numel()].view(x.shape))
    x = buffer[: x.numel()].view(x.shape)
    off, squares = _total(x) / count, _total(x.square_())
    mean, m2 = near.double().cpu() + off, squares - count * off.square()
    # Not so for a nan, an overflow, or next to no spread, as in a constant channel.
    usable = (m2 / count > 1e-12 * mean.square()) & (m2 > 1e-30) & (m2 < 1e30)
    return MeanStd(count, mean, m2) if usable.all() else _slow_stats(chunk, seen)


def _total(x: Tensor) -> Tensor:
    """Sum ``(n, C, P)`` for each channel: rows as they are, then in float64."""
    return x.sum(dim=2).cpu().double().sum(dim=0)


def _slow_stats(chunk: Tensor, seen: int) -> MeanStd:
    """Return the statistics of difficult images in float64, or name a bad pixel."""
    finite, advice = chunk.isfinite(), "Leave the image out, or repair it."
    require_each("dataset_mean_std", "pixels", chunk, finite, "finite", advice, seen)
    x = chunk.cpu().double().flatten(2)
    low, high = x.amin(dim=(0, 2)), x.amax(dim=(0, 2))
    # The mean of equal numbers can differ from them in the last bit.
    mean = torch.where(low == high, low, x.mean(dim=(0, 2)))
    m2 = (x - mean[:, None]).square().sum(dim=(0, 2))
    return MeanStd(x.shape[0] * x.shape[2], mean, m2)


def _warn_of_constants(stats: MeanStd) -> None:
    """Say which channels cannot be divided by their standard deviation."""
    constant = (stats.m2 == 0).nonzero().flatten().tolist()
    if constant:
        warnings.warn(
            f"dataset_mean_std: channel(s) {constant} are constant, std 0. Dividing by "
            "it gives nan or inf. Drop them, or set their std to 1.",
            stacklevel=4,
        )


# --- reading images from whatever holds them ---------------------------------------------


_Kind = tuple[tuple[int, ...], torch.dtype]  # of one image
# How many dimensions there are instead of four: their names, and what to do.
OTHER_SHAPES = {
    1: ("(N,) = ", "Return the image first, then the label."),
    3: ("(N, H, W) = ", "Add a channel axis: images.unsqueeze(1)."),
}
RESHAPE = "Reshape them: images.view(N, C, H, W)."


def _batches(
    data: Tensor | Dataset | DataLoader, batch_size: int, num_workers: int
) -> Iterator[Tensor]:
    """Yield checked batches ``(N, C, H, W)`` without their labels.

    They are uint8 or floating point, and all of one size and type.
    """
    kinds, advice = (
        (Tensor, Dataset, DataLoader),
        "Pass torch.as_tensor(np.stack(data)).",
    )
    require_type("dataset_mean_std", "data", data, kinds, advice)
    first, seen = None, 0
    for images in _read(data, batch_size, num_workers):
        kind = _kind(images, seen)
        first = first or kind
        got = f"{_shown(first)} and then {_shown(kind)} at image {seen}"
        must, advice = (
            "images must have one size and type",
            "Resize them as in training.",
        )
        require(kind == first, ValueError, "dataset_mean_std", must, got, advice)
        seen += len(images)
        yield images.as_subclass(Tensor)  # torchvision's own class is slower
    advice = "Check the split or the filter that made it."
    require_some("dataset_mean_std", "data", seen, "image", advice)


def _read(data, batch_size: int, num_workers: int) -> Iterator[object]:
    """Yield batches as they come."""
    if isinstance(data, Tensor):
        yield data
    elif isinstance(data, DataLoader):
        for batch in data:
            yield batch[0] if isinstance(batch, (tuple, list)) else batch
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


def _kind(images: object, seen: int) -> _Kind:
    """Return shape and dtype of one image, or say what is wrong with the batch."""
    caller, name = "dataset_mean_std", f"image {seen}"
    advice = "Add the transform v2.ToImage(), and return the image first."
    require_tensor(caller, name, images, advice)
    fine = images.dtype == torch.uint8 or images.is_floating_point()
    advice = "Convert them as in training: images.float()."
    must = "images must be uint8 or floating point"
    require(fine, TypeError, caller, must, images.dtype, advice)
    shape = tuple(images.shape)
    names, advice = OTHER_SHAPES.get(len(shape), ("", RESHAPE))
    must, got = "images must be (N, C, H, W)", f"{names}{shape}"
    require(len(shape) == 4, ValueError, caller, must, got, advice)
    advice = "Check the split or the filter that made it."
    require_some(caller, "data", images.numel(), "image with pixels", advice)
    if shape[3] in (1, 3, 4) and min(shape[1:3]) >= 16:
        warnings.warn(
            f"{caller}: {shape} looks like (N, H, W, C), and is taken for {shape[1]} "
            "channels. If so: images.permute(0, 3, 1, 2).",
            stacklevel=5,
        )
    return shape[1:], images.dtype


def _shown(kind: _Kind) -> str:
    return f"{kind[0]} of {kind[1]}"
