"""Checks of the chapter new_tip."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
)

answers = NumberCheck(
    prompt="How many numbers does argmax(dim=0) return for scores of shape (32, 10)?",
    answer=10,
    tolerance=0,
    praise="dimension 0 disappears, and one number for each class is left.",
    hints=[
        Hint(32, 32, "that is what argmax(dim=1) returns: dimension 0 must disappear."),
        Hint(1, 1, "that is argmax without a dimension."),
    ],
)


@checks_function(lambda fn: fn(torch.eye(3), torch.arange(3)))
def hits(fn: Callable[[Tensor, Tensor], int]) -> Verdict:
    """Check a count of the samples that are predicted correctly.

    Args:
        fn: takes scores ``(N, C)`` and classes ``(N,)``, returns an integer.
    """
    scores = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    for truth, expected in (([0, 1, 0], 3), ([0, 0, 1], 1)):
        got = fn(scores, torch.tensor(truth))
        if got != expected:
            return hint(f"for the truth {truth} there are {expected} hits, got {got}.")
    return correct("one prediction for each sample, compared with the truth.")
