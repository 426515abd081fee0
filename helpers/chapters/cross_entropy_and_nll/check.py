"""Checks of the chapter on CrossEntropyLoss and NLLLoss."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
    letters,
    wrong_tensor,
)

floor = NumberCheck(
    prompt="5 classes, softmax and then CrossEntropyLoss: what is the lowest loss?",
    answer=math.log(math.e + 4) - 1,
    tolerance=0.006,
    praise="ln(e + 4) − 1 = 0.905: the best input is 1 for the true class, 0 for the others.",
    hints=[
        Hint(0.0, 0.0, "0 is the floor on logits. Here the inputs cannot exceed 1."),
        Hint(1.45, 1.47, "that is the floor of 10 classes."),
        Hint(1.60, 1.62, "that is guessing, ln 5. What does the best input give?"),
    ],
)

LOGS = {
    "right": ("C", "it begins near ln 2 = 0.693 and can approach 0."),
    "softmax, then CrossEntropyLoss": ("A", "it cannot fall below 0.313."),
    "softmax, then NLLLoss": ("B", "it is minus a probability: between −1 and 0."),
    "logits, then NLLLoss": ("D", "nothing keeps it from falling for ever."),
}


def logs(answer: object) -> Verdict:
    """Check which loss curve belongs to which pairing.

    Args:
        answer: dict from the four names to "A", "B", "C" or "D".
    """
    ask = "write a letter for each of the four names."
    praise = "first and last loss are enough to tell them apart."
    return letters(answer, LOGS, "four", ask, praise)


@checks_function(lambda fn: fn(torch.zeros(2, 3)))
def log_sum_exp(fn: Callable[[Tensor], Tensor]) -> Verdict:
    """Check a log-sum-exp over the last dimension.

    Args:
        fn: takes ``(..., C)``, returns ``(...)``.
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4, 5, generator=generator)
    result, expected = fn(z), torch.logsumexp(z, dim=-1)
    fault = wrong_tensor(result, expected)
    if fault:
        return fault
    if not torch.allclose(result, expected, atol=1e-5):
        return hint(
            f"for small logits: {expected[0]:.4f} expected, got {result[0]:.4f}."
        )
    z = torch.tensor([[1000.0, 1000.0], [-1000.0, -1000.0]])
    for row, got, value in zip(z, fn(z), torch.logsumexp(z, dim=-1), strict=True):
        if not torch.isclose(got, value):
            return hint(
                f"right for small logits, but for a row of two {row[0]:g} it is "
                f"{value:.2f}, got {got}. Subtract the row's largest logit first, and "
                "add it afterwards."
            )
    return correct("no exponential is larger than e⁰ = 1, and none of the sums is 0.")
