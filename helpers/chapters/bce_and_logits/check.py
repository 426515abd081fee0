"""Checks of the chapter on BCELoss and BCEWithLogitsLoss."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    gradient_of_sum,
    hint,
    wrong_tensor,
)


@checks_function(lambda fn: fn(torch.zeros(2), torch.ones(2)))
def stable_bce(fn: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Check a binary cross-entropy written from the logits alone.

    Args:
        fn: takes logits ``(N,)`` and targets ``(N,)``, returns one term per element.
    """
    logits = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0, 3.0], requires_grad=True)
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.25, 1.0])
    terms = fn(logits, targets)
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    fault = wrong_tensor(terms, expected)
    if fault:
        return fault
    wrong = ~torch.isclose(terms, expected, atol=1e-5)
    if wrong.any():
        at = int(wrong.nonzero()[0])
        return hint(
            f"at logit {logits[at].item():g}, target {targets[at].item():g} the "
            f"term is {expected[at].item():.4f}, got {terms[at].item():.4f}."
        )

    far = torch.tensor([-200.0, -50.0, 50.0, 200.0], requires_grad=True)
    worst = torch.tensor([1.0, 1.0, 0.0, 0.0])  # the targets that each of them misses
    terms = fn(far, worst)
    wrong = ~torch.isclose(terms, far.abs())
    if wrong.any():
        at = int(wrong.nonzero()[0])
        return hint(
            f"right for small logits, but at logit {far[at].item():g}, target "
            f"{worst[at].item():g} the term is {far[at].abs().item():g}, got "
            f"{terms[at].item():g}. Exponentials of large numbers overflow: "
            "exp(-|x|) cannot."
        )
    gradient = gradient_of_sum(terms, far)
    wrong = ~torch.isclose(gradient, far.sign())
    if wrong.any():
        at = int(wrong.nonzero()[0])
        return hint(
            f"the values are right, but at logit {far[at].item():g}, target "
            f"{worst[at].item():g} the gradient is {far[at].sign().item():g}, got "
            f"{gradient[at].item():g}. If you use torch.where: both of its branches "
            "take part in the gradient, so neither may overflow."
        )
    return correct("finite, and with a full gradient, at logits of 200 too.")


cliff = NumberCheck(
    prompt="At which logit does float64 sigmoid first return exactly 1?",
    answer=53 * math.log(2),
    tolerance=0.01,
    praise="53·ln 2 = 36.737. There e⁻ˣ = 2⁻⁵³, and 1 + e⁻ˣ rounds to 1. "
    "float32 has 24 bits instead of 53: 16.636.",
    hints=[
        Hint(16.5, 16.8, "that is the cliff of float32. Pass dtype=torch.float64."),
        Hint(36.0, 36.737, "close, and too small: sigmoid is still below 1 there."),
        Hint(36.737, 37.5, "close, and too large: sigmoid is 1 a little earlier."),
    ],
)

weight = NumberCheck(
    prompt="30 of 1,000 samples are positive. Which pos_weight balances them?",
    answer=970 / 30,
    tolerance=0.05,
    praise="970 negatives for 30 positives: each positive counts 32.33 times.",
    hints=[
        Hint(33.28, 33.39, "that is all samples over positives. Count the negatives."),
        Hint(0.02, 0.04, "that is the other way round: positives over negatives."),
        Hint(0.9, 1.1, "1 changes nothing: it leaves positives 32 times too light."),
    ],
)
