"""Checks of the chapter on BCELoss and BCEWithLogitsLoss."""

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_code,
    checks_function,
    correct,
    gradient_of_sum,
    hint,
    not_yet,
    wrong_tensor,
)

# --- 1. repair a script --------------------------------------------------------------


@checks_code
def repair(
    net: type[nn.Module],
    loss_of: Callable[[nn.Module, Tensor, Tensor], Tensor],
    predict: Callable[[nn.Module, Tensor], Tensor],
) -> Verdict:
    """Check a script that trained on probabilities, and should now train on logits.

    Args:
        net: a class of models that take ``(N, 30)`` and give one number per sample.
        loss_of: takes a model, samples and integer labels ``(N,)``; returns the loss.
        predict: takes a model and samples; returns the class of each, 0 or 1.
    """
    return _repaired(net(), loss_of, predict)


def _repaired(model: nn.Module, loss_of, predict) -> Verdict:
    x, unsure = torch.randn(32, 30), copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e6)  # sure of each answer, so that float32 runs out
    out = model(x)
    if out.numel() != len(x):
        got = f"{tuple(out.shape)} for {len(x)} samples"
        return hint(f"keep one output per sample, got shape {got}.")
    mistakes = (out.flatten() < 0.5).long()
    loss = loss_of(model, x, mistakes)
    slopes = torch.autograd.grad(loss, [*model.parameters()], allow_unused=True)
    silent = all(slope is None or not slope.any() for slope in slopes)
    loss = loss.to(out.dtype)  # y.double() makes it float64, which is no fault
    if ((out >= 0) & (out <= 1)).all():
        if silent:
            on_logits = F.binary_cross_entropy_with_logits(
                out.flatten(), mistakes.float()
            )
            if loss.shape == () and torch.isclose(loss, on_logits):
                return hint(
                    "the loss takes logits now, but the model still returns probabilities."
                )
            return not_yet("sure of 32 mistakes, this model gets no gradient at all.")
        return hint("the model still returns probabilities, which round to 0 and 1.")
    for side, cut in (("below", out >= 0), ("above", out <= 0)):
        if cut.all():
            return hint(
                f"no output is {side} 0: something after the last layer still changes the "
                "logits. Return them as the layer gives them."
            )
    right = F.binary_cross_entropy_with_logits(out.flatten(), mistakes.float())
    if loss.shape == () and torch.isclose(loss, right * len(x)):
        return hint(f"that is the sum of {len(x)} terms. Take the mean, as before.")
    if loss.shape != () or not torch.isclose(loss, right):
        if silent:
            return hint("sure mistakes send no gradient. Is a sigmoid left in loss_of?")
        return hint("loss_of is not the mean binary cross-entropy of these logits.")
    if silent:
        return hint(
            "the loss is right, but the model sends no gradient of it to its weights. "
            "Return the logits as the linear layer gives them, without limits."
        )
    calm, loss = unsure(x).flatten(), loss_of(unsure, x, mistakes)
    right = F.binary_cross_entropy_with_logits(calm, mistakes.float())
    if not torch.isclose(loss.to(right.dtype), right):
        return hint(
            "right for sure mistakes, but for logits near 0 loss_of is not the mean "
            f"binary cross-entropy: {right.item():.4f} expected, got {loss.item():.4f}."
        )
    return _classes(unsure, predict, x)


def _classes(model: nn.Module, predict, x: Tensor) -> Verdict:
    """Check what is predicted where the model is not sure: logits between 0 and 0.5 too."""
    logits, classes = model(x).detach().flatten(), predict(model, x)
    if not isinstance(classes, Tensor) or classes.numel() != len(x):
        return hint("predict must return a tensor with one class for each sample.")
    wrong = (classes.flatten().float() != (logits > 0).float()).nonzero()
    if len(wrong):
        at = int(wrong[0])
        return hint(
            f"the loss is right, but predict says {classes.flatten()[at].item():g} for "
            f"a logit of {logits[at].item():.2f}. Which logit is a probability of 0.5?"
        )
    return correct(
        "sure mistakes send a gradient, and classes are read off the logits."
    )


# --- 2. a probability from a weighted model ------------------------------------------

unweighted = NumberCheck(
    prompt="Trained with pos_weight 99, a model returns the logit 2. How probable is class 1?",
    answer=1 / (1 + math.exp(math.log(99) - 2)),
    tolerance=0.001,
    praise="2 − ln 99 = −2.595, and the sigmoid of that is 0.0695.",
    hints=[
        Hint(0.87, 0.89, "that is sigmoid(2), with the weight still in it."),
        Hint(0.008, 0.01, "divide the odds by 99, not the probability."),
        Hint(0.99, 1, "take the weight out: subtract its logarithm, do not add it."),
        Hint(6.5, 7, "that is in per cent. Give it from 0 to 1."),
        Hint(-2.6, -2.59, "that is the logit. Now take its sigmoid."),
        Hint(0.074, 0.076, "those are the odds. The probability is odds / (1 + odds)."),
    ],
)


# --- 3. the stable loss --------------------------------------------------------------


class _Called(TorchFunctionMode):
    """Remember the names of the PyTorch functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.add(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


@checks_function(lambda fn: fn(torch.zeros(2), torch.ones(2)))
def stable_bce(fn: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Check a binary cross-entropy written from the logits alone.

    Args:
        fn: takes logits ``(N,)`` and targets ``(N,)``, returns one term per element.
    """
    logits = torch.tensor([-3.0, -1.0, 0.0, 0.0, 0.0, 0.5, 2.0, 3.0])
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 0.0, 0.25, 1.0])
    logits.requires_grad_()
    with _Called() as called:
        terms = fn(logits, targets)
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    fault = wrong_tensor(terms, expected)
    if fault:
        return fault
    if "binary_cross_entropy_with_logits" in called.names:
        return hint(
            "that is PyTorch's own loss. Write the term of one element yourself."
        )
    at = _first_apart(terms, expected)
    if at is not None:
        soft = ""
        if 0 < targets[at] < 1:
            soft = " A target may lie between 0 and 1: weigh both terms with it."
        return hint(
            f"at logit {logits[at].item():g}, target {targets[at].item():g} the "
            f"term is {expected[at].item():.4f}, got {terms[at].item():.4f}.{soft}"
        )
    return (
        _far_away(fn)
        or _slopes(terms, expected, logits, targets)
        or correct("finite at logits of 200, and the gradient is right there and at 0.")
    )


def _first_apart(got: Tensor, expected: Tensor) -> int | None:
    """Return where two tensors first differ, or None."""
    apart = (~torch.isclose(got, expected, atol=1e-5)).nonzero()
    return int(apart[0]) if len(apart) else None


def _slopes(terms, expected, logits, targets) -> Verdict | None:
    """Return a hint unless the gradients at small logits are right, at 0 above all."""
    gradient, right = (gradient_of_sum(t, logits) for t in (terms, expected))
    at = _first_apart(gradient, right)
    if at is None:
        return None
    corner = ""
    if logits[at] == 0:
        corner = " abs and clamp have a corner at 0, where autograd takes one slope."
    return hint(
        f"all values are right, but at logit {logits[at].item():g}, target "
        f"{targets[at].item():g} the gradient is {right[at].item():g}, got "
        f"{gradient[at].item():g}.{corner}"
    )


def _far_away(fn) -> Verdict | None:
    """Return a hint unless mistakes of up to 200 cost what they should, and send it back."""
    far = torch.tensor([-200.0, -50.0, 50.0, 200.0], requires_grad=True)
    worst = torch.tensor([1.0, 1.0, 0.0, 0.0])  # the targets that each of them misses
    terms = fn(far, worst)
    at = _first_apart(terms, far.abs())
    if at is not None:
        why = (
            "a probability has become 0 or 1, or a limit is left. Stay with the logits."
        )
        if not terms[at].isfinite() and fn(torch.tensor([30.0]), torch.zeros(1)) < 31:
            why = "exp of a large number overflows, exp of a negative one cannot."
        return hint(
            f"right for small logits, but at logit {far[at].item():g}, target "
            f"{worst[at].item():g} the term is {far[at].abs().item():g}, got "
            f"{terms[at].item():g}: {why}"
        )
    gradient = gradient_of_sum(terms, far)
    at = _first_apart(gradient, far.sign())
    if at is not None:
        return hint(
            f"the values are right, but at logit {far[at].item():g}, target "
            f"{worst[at].item():g} the gradient is {far[at].sign().item():g}, got "
            f"{gradient[at].item():g}. If you use torch.where: both of its branches "
            "take part in the gradient, so neither may overflow."
        )
    return None
