"""Checks of the chapter on BCELoss and BCEWithLogitsLoss."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.check.core import (
    Hint,
    NumberCheck,
    Verdict,
    checks_function,
    correct,
    hint,
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
    if not isinstance(terms, Tensor):
        return hint(f"return a tensor, got {type(terms).__name__}.")
    if terms.shape != logits.shape:
        return hint(
            f"return one term per element: shape {tuple(logits.shape)}, "
            f"got {tuple(terms.shape)}. Leave the mean to the caller."
        )
    if not torch.allclose(terms, expected, atol=1e-5):
        worst = int((terms - expected).abs().argmax())
        return hint(
            f"at logit {logits[worst].item():g}, target {targets[worst].item():g} the "
            f"term is {expected[worst].item():.4f}, got {terms[worst].item():.4f}."
        )

    far = torch.tensor([-200.0, -50.0, 50.0, 200.0], requires_grad=True)
    wrong_targets = torch.tensor([1.0, 1.0, 0.0, 0.0])
    terms = fn(far, wrong_targets)
    if not torch.allclose(terms, far.detach().abs()):
        return hint(
            "right for small logits, but at logit 200, target 0 the term is 200, got "
            f"{terms[-1].item():g}. Exponentials of large numbers overflow: "
            "use exp(-|x|), which cannot."
        )
    (gradient,) = torch.autograd.grad(terms.sum(), far)
    if not torch.allclose(gradient, torch.tensor([-1.0, -1.0, 1.0, 1.0])):
        return hint(
            "the values are right, but the gradient at logit 200, target 0 is "
            f"{gradient[-1].item():g}, not 1."
        )
    return correct("finite, and with a full gradient, at logits of 200 too.")


cliff = NumberCheck(
    prompt="At which logit does float32 sigmoid first return exactly 1?",
    answer=24 * math.log(2),
    tolerance=0.01,
    praise="24·ln 2 = 16.6355: one bit of logit for each of float32's 24 bits.",
    hints=[
        Hint(16.0, 16.6254, "close: halve the interval a few more times."),
        Hint(16.6456, 17.4, "close: halve the interval a few more times."),
        Hint(36.5, 37.0, "that is the cliff of float64. Use torch.float32."),
        Hint(88.0, 105.0, "that is where exp overflows; look where sigmoid(x) == 1."),
    ],
)

weight = NumberCheck(
    prompt="30 of 1,000 samples are positive. Which pos_weight balances them?",
    answer=970 / 30,
    tolerance=0.05,
    praise="970 negatives for 30 positives: each positive counts 32.33 times.",
    hints=[
        Hint(33.28, 33.39, "that is total / positives. Divide the negatives instead."),
        Hint(0.0, 0.04, "that is the other way round: negatives over positives."),
        Hint(0.9, 1.1, "1 changes nothing: it leaves positives 32 times too light."),
    ],
)
