"""Gradient accumulation: micro-batches in groups, and how much each loss weighs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from helpers._arguments import (
    require_batches,
    require_each,
    require_integer,
    require_shape,
    require_some,
)


def grouped(batches: Iterable, k: int) -> Iterator[list]:
    """Yield lists of ``k`` batches, one list for each update; the last one may be shorter.

    A loop over groups needs no counter: what belongs to an update (clipping, the steps
    of optimizer and scheduler, ``zero_grad``) comes after the loop over its batches,
    and nothing is left over at the end. The loss of a shorter group is to be divided as
    that of a full one: else its few samples make a full step.

    Args:
        batches: a DataLoader, or any iterable of batches. The ``k`` batches of a group
            are in memory together; their activations need not be. A pair ``(x, y)`` of
            whole tensors is two batches: pass ``zip(x.split(16), y.split(16))``.
        k: micro-batches in an update, 1 or more.

    Returns:
        An iterator over lists of 1 to ``k`` batches.

    Raises:
        TypeError: if ``batches`` is a tensor or not an iterable, or ``k`` not an integer.
        ValueError: if ``k`` is below 1, or there are no batches.

    Example:
        >>> list(grouped(["a", "b", "c", "d", "e"], 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    whole = "Cut whole tensors: zip(x.split(16), y.split(16))."
    require_batches("grouped", "batches", batches, whole)
    require_integer("grouped", "k", k, least=1)
    return _groups(batches, int(k))


def _groups(batches: Iterable, k: int) -> Iterator[list]:
    """Yield the groups; apart, so that bad arguments are named at the call."""
    rest = iter(batches)
    group = list(islice(rest, k))
    require_some("grouped", "batches", group, "batch")
    while group:
        yield group
        group = list(islice(rest, k))


def accumulation_weights(sizes: Sequence[float] | Tensor) -> list[float]:
    """Return the factor of each micro-batch's mean loss: its share of the whole.

    With these factors the accumulated gradient is that of one large batch, however the
    batch is cut. Layers and losses that look across the batch are the exception, such as
    batch normalisation and contrastive losses; and dropout draws other masks.

    Args:
        sizes: what each mean was divided by, ``(K,)``, positive. Samples; or tokens
            that are not ignored; or, with class weights, the sum of the targets' weights.

    Returns:
        K numbers that sum to 1.

    Raises:
        TypeError: if one of ``sizes`` is not a number.
        ValueError: if they are not ``(K,)``, there are none, or one is not positive and
            finite.

    Example:
        >>> accumulation_weights([16, 16, 16, 2])
        [0.32, 0.32, 0.32, 0.04]

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    sizes = torch.as_tensor(sizes, dtype=torch.float64)
    must, advice = "(K,), one number for each micro-batch", "Pass len(x) of each."
    require_shape("accumulation_weights", "sizes", sizes, sizes.ndim == 1, must, advice)
    require_some("accumulation_weights", "sizes", len(sizes), "number")
    usable = (sizes > 0) & sizes.isfinite()
    must, advice = "positive and finite", "Leave out a micro-batch without samples."
    require_each("accumulation_weights", "sizes", sizes, usable, must, advice)
    return (sizes / sizes.sum()).tolist()
