"""Gradient accumulation: micro-batches in groups, and how much each loss weighs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from torch import Tensor


def grouped(batches: Iterable, k: int) -> Iterator[list]:
    """Yield lists of ``k`` batches, one list an update; the last one may be shorter.

    A loop over groups needs no counter: what belongs to an update (clipping, the steps
    of optimizer and scheduler, ``zero_grad``) stands behind the loop over its batches,
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
        TypeError: if ``batches`` is a tensor or no iterable, or ``k`` no integer.
        ValueError: if ``k`` is below 1, or there are no batches.

    Example:
        >>> list(grouped(["a", "b", "c", "d", "e"], 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    if isinstance(batches, Tensor) or not isinstance(batches, Iterable):
        raise TypeError(
            "grouped: batches must be a DataLoader or a list of batches, got "
            f"{type(batches).__name__}. Try zip(x.split(16), y.split(16))."
        )
    if isinstance(k, bool) or not hasattr(k, "__index__"):
        raise TypeError(f"grouped: k must be an integer, got {k!r}. Try k=2.")
    if k < 1:
        raise ValueError(
            f"grouped: k must be 1 or more, got {k}. 1 is no accumulation."
        )
    return _groups(batches, int(k))


def _groups(batches: Iterable, k: int) -> Iterator[list]:
    """Yield the groups; apart, so that bad arguments are named at the call."""
    rest = iter(batches)
    group = list(islice(rest, k))
    if not group:
        raise ValueError(
            "grouped: batches must hold at least one batch, got none. "
            "An iterator can be used once: pass the loader itself."
        )
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
        TypeError: if ``sizes`` are not numbers in a list, tuple or tensor.
        ValueError: if there are none, or one is not positive and finite.

    Example:
        >>> accumulation_weights([16, 16, 16, 2])
        [0.32, 0.32, 0.32, 0.04]

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    given = sizes.tolist() if isinstance(sizes, Tensor) else sizes
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            "accumulation_weights: sizes must be a list of numbers, got "
            f"{given!r}. Pass one for each micro-batch: [16, 16, 3]."
        )
    if not given:
        raise ValueError(
            "accumulation_weights: sizes must hold at least one number, got none."
        )
    numbers = [_size(value, place) for place, value in enumerate(given)]
    total = math.fsum(numbers)
    return [number / total for number in numbers]


def _size(value: object, place: int) -> float:
    """Return one size as a float, or say which one cannot be used."""
    try:
        number = None if isinstance(value, (str, bool)) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        number = None
    if number is None:
        shape = getattr(value, "shape", None)
        got = repr(value) if shape is None else f"an array of shape {tuple(shape)}"
        raise TypeError(
            f"accumulation_weights: sizes must be numbers, got {got} at position "
            f"{place}. Pass how many samples or tokens each mean was taken over."
        )
    if number == 0:
        raise ValueError(
            f"accumulation_weights: sizes must be positive, got 0 at position {place}. "
            "The mean of nothing is nan: leave that micro-batch out."
        )
    if not 0 < number < math.inf:
        raise ValueError(
            f"accumulation_weights: sizes must be positive and finite, got {number:g} "
            f"at position {place}."
        )
    return number
