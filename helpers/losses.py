"""Numbers that a binary or multi-label loss needs from the targets."""

from __future__ import annotations

import torch
from torch import Tensor


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
        TypeError: if ``targets`` is not a tensor, or complex.
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
        TypeError: if ``targets`` is not a tensor, or complex.
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
    if not isinstance(targets, Tensor):
        raise TypeError(
            f"{caller}: targets must be a torch.Tensor, got {type(targets).__name__}. "
            "Convert it: torch.as_tensor(targets)."
        )
    if targets.is_complex():
        raise TypeError(
            f"{caller}: targets must be real zeros and ones, got {targets.dtype}. "
            "Take targets.real."
        )
    if targets.is_meta:
        raise ValueError(
            f"{caller}: targets must hold data, got a tensor on the 'meta' device. "
            "Pass the real targets."
        )
    if targets.layout != torch.strided:
        raise TypeError(
            f"{caller}: targets must be a dense tensor, got {targets.layout}. "
            "Convert it: targets.to_dense()."
        )
    if targets.ndim not in (1, 2) or targets.numel() == 0:
        raise ValueError(
            f"{caller}: targets must be (N,) or (N, C) with at least one element, "
            f"got shape {tuple(targets.shape)}. For several classes keep C as the last "
            "dimension: targets.flatten(0, -2)."
        )
    wrong = (targets != 0) & (targets != 1)  # nan is neither
    if wrong.any():
        where = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{caller}: targets must be 0 or 1, got {targets[where].item()} at index "
            f"{where}. Pass hard labels: (targets > 0.5)."
        )
    # Float64 counts whole numbers exactly up to 2**53; float32 only up to 2**24.
    positives = targets.sum(dim=0, dtype=torch.float64)
    negatives = len(targets) - positives
    for count, kind in ((positives, "positives"), (negatives, "negatives")):
        if (count == 0).any():
            which = (count.reshape(-1) == 0).nonzero().reshape(-1).tolist()
            raise ValueError(
                f"{caller}: targets must hold both classes, got no {kind} in column(s) "
                f"{which}. Drop the class, or count over the whole training set."
            )
    return positives.float(), negatives.float()
