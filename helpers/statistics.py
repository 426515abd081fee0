"""Mean and standard deviation of a whole image data set: one pass, exact, mergeable."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from helpers.images import batches

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
            TypeError: if ``other`` is no MeanStd.
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
        if not isinstance(other, MeanStd):
            raise TypeError(
                f"MeanStd.merge: other must be a MeanStd, got {type(other).__name__}. "
                "Pass what dataset_mean_std returned."
            )
        if self.mean64.shape != other.mean64.shape:
            raise ValueError(
                "MeanStd.merge: other must have as many channels, got "
                f"{len(self.mean64)} and {len(other.mean64)}. Merge like with like."
            )
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
        data: uint8 or floating-point images: a tensor ``(N, C, H, W)``; a data set of
            images ``(C, H, W)``, alone or first in a tuple with a label; or a loader of
            such batches.
        scale: divide uint8 by 255, as ``v2.ToDtype(torch.float32, scale=True)`` does,
            so that the result fits ``v2.Normalize`` after it. False leaves it in units
            of 0 to 255. Floating point is taken as it is.
        batch_size: images read at once from a data set.
        num_workers: processes that read a data set.
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
        for images in batches("dataset_mean_std", data, batch_size, num_workers):
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
    wrong = ~chunk.isfinite()
    if wrong.any():
        n, c, h, w = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"dataset_mean_std: pixels must be finite, got {chunk[n, c, h, w].item()} "
            f"at image {seen + n}, channel {c}, row {h}, column {w}. "
            "Leave the image out, or repair it."
        )
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
