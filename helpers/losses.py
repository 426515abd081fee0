"""Numbers that a binary or multi-label loss needs from the targets."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from helpers._arguments import require, require_each, require_shape, require_tensor


def pos_weight(targets: Tensor) -> Tensor:
    """Return negatives per positive: the ``pos_weight`` that balances each class.

    With it, the positives of a class weigh as much in ``BCEWithLogitsLoss`` as its
    negatives. The price is calibration: predicted probabilities are then too high,
    by exactly ``log(pos_weight)`` in the logit.

    Args:
        targets: zeros and ones, ``(N,)`` for one class or ``(N, C)`` for C classes;
            bool, integer or floating point. Where labels are missing, pass one column
            at a time, and only the labels that it has.

    Returns:
        float32, ``()`` or ``(C,)``, on the device of ``targets``.

    Raises:
        TypeError: if ``targets`` is not a tensor.
        ValueError: if it has the wrong rank, is empty, holds anything but 0 and 1,
            or a class has no positive or no negative.

    Example:
        >>> pos_weight(torch.tensor([0, 0, 0, 1]))
        tensor(3.)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """
    positives, negatives = _counts("pos_weight", targets)
    return negatives / positives


def prior_logits(targets: Tensor) -> Tensor:
    """Return the logit of each class's share of positives, to start the last bias at.

    A new layer predicts about 0.5 for everything. With rare positives, its first
    steps go into learning the base rate; this bias starts it there.

    Args:
        targets: zeros and ones, ``(N,)`` or ``(N, C)``; bool, integer or floating point.

    Returns:
        ``log(p / (1 - p))`` as float32, ``()`` or ``(C,)``, on the device of ``targets``.

    Raises:
        TypeError: if ``targets`` is not a tensor.
        ValueError: if it has the wrong rank, is empty, holds anything but 0 and 1,
            or a class has no positive or no negative.

    Example:
        >>> targets = torch.zeros(100)
        >>> targets[0] = 1  # 1 in 100
        >>> prior_logits(targets)
        tensor(-4.5951)

    Source: Lin, Goyal, Girshick, He and Dollár (2017), "Focal Loss for Dense Object
    Detection", section 3.3. https://arxiv.org/abs/1708.02002
    """
    positives, negatives = _counts("prior_logits", targets)
    return torch.log(positives / negatives)


def _counts(caller: str, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Count positives and negatives of each class, or say what is wrong."""
    require_tensor(caller, "targets", targets)
    shaped = targets.ndim in (1, 2) and targets.numel() > 0
    must = "(N,) or (N, C) with at least one element"
    require_shape(caller, "targets", targets, shaped, must, _way_to_rows(targets))
    hard = (targets == 0) | (targets == 1)
    advice = "" if hard.all() else _way_to_hard_labels(caller, targets)
    require_each(caller, "targets", targets, hard, "0 or 1", advice)
    # Float64 counts whole numbers exactly up to 2**53; float32 only up to 2**24.
    positives = targets.sum(dim=0, dtype=torch.float64)
    negatives = len(targets) - positives
    alone = ((positives == 0) | (negatives == 0)).reshape(-1).nonzero().flatten()
    must = "targets must hold 0 and 1 in every column"
    got = f"one of them alone in column(s) {alone.tolist()}"
    advice = "Drop the class, or count over the whole training set."
    require(not len(alone), ValueError, caller, must, got, advice)
    return positives.float(), negatives.float()


def _way_to_rows(targets: Tensor) -> str:
    """Say how labels of another shape become rows."""
    if not targets.numel():
        return "Check the split that made it."
    if targets.ndim == 0:
        return "Pass the labels of the whole training set."
    # Pictures have their classes in front, sequences behind.
    columns = "targets.movedim(1, -1)" if targets.ndim > 3 else "targets"
    return f"For one class: targets.flatten(). For several: {columns}.flatten(0, -2)."


def _way_to_hard_labels(caller: str, targets: Tensor) -> str:
    """Say how labels become zeros and ones; their values tell what they may mean."""
    values = targets.unique().tolist()
    if len(values) == 2 and values[0] in (-1, 0, 1) and values[1] % 1 == 0 < values[1]:
        return f"If {values[0]:g} is the negative class: (targets == {values[1]:g})."
    if values == [0, 1, 255]:
        return _way_around_missing(caller, targets, "!= 255")
    if any(v != v or v % 1 == 0 > v > -math.inf for v in values):
        return _way_around_missing(caller, targets, ">= 0")
    if all(0 <= v <= 1 for v in values):
        return "Pass hard labels: (targets > 0.5)."
    if all(v % 1 == 0 for v in values) and targets.ndim == 1:
        return "For the number of a class: nn.functional.one_hot(targets.long())."
    return "Pass the labels, not scores or logits."


def _way_around_missing(caller: str, targets: Tensor, known: str) -> str:
    """Say how to count, and to train, without the labels that are missing."""
    count = f"{caller}(targets[targets {known}])"
    if targets.ndim == 2:
        count = f"torch.stack([{caller}(t[t {known}]) for t in targets.T])"
    # A nan makes its gradient nan, even if its loss is left out or multiplied by 0.
    return (
        f"Leave missing labels out: {count}. In the loss as well: known = targets {known}, "
        'loss_fn(logits, targets.where(known, 0).float()) with reduction="none", [known].mean().'
    )
