"""Numbers that a binary or multi-label loss needs from the targets."""

from __future__ import annotations

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
            bool, integer or floating point.

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
    advice = "For several classes keep C as the last dimension: targets.flatten(0, -2)."
    require_shape(caller, "targets", targets, shaped, must, advice)
    hard = (targets == 0) | (targets == 1)
    advice = "Pass hard labels: (targets > 0.5)."
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
