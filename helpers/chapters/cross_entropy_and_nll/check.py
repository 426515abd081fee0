"""Checks of the chapter on CrossEntropyLoss and NLLLoss."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.exercises.verdicts import (
    Verdict,
    checks_code,
    checks_function,
    correct,
    hint,
    letters,
    not_yet,
    wrong_tensor,
)

# --- 1. repair a script --------------------------------------------------------------


@checks_code
def repair(
    net: type[nn.Module],
    loss_of: Callable[[nn.Module, Tensor, Tensor], Tensor],
    confidence: Callable[[nn.Module, Tensor], Tensor],
) -> Verdict:
    """Check a script that had a softmax in front of ``CrossEntropyLoss``.

    Args:
        net: a class of models that take ``(N, 64)`` and give ten numbers per sample.
        loss_of: takes a model, samples and classes ``(N, 1)`` in floating point; returns
            the mean loss.
        confidence: takes a model and samples; returns the probability of the class that
            the model predicts, ``(N,)``.
    """
    return _repaired(net(), loss_of, confidence)


def _repaired(model: nn.Module, loss_of: Callable, confidence: Callable) -> Verdict:
    x = torch.randn(16, 64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(20)  # sure of each answer
    out = model(x)
    if out.shape != (16, 10):
        return hint(f"keep ten outputs per sample, got shape {tuple(out.shape)}.")
    if ((out >= 0) & (out <= 1)).all():
        sums = out.sum(dim=1)
        row = f"each row has a sum of {sums.min():.2f} to {sums.max():.2f}"
        if torch.allclose(sums, torch.ones(16), atol=1e-3):
            row = "each row has the sum 1"
        return not_yet(
            f"all outputs lie from 0 to 1, and {row}: the model returns probabilities."
        )
    asked = model.eval()(x)
    model.train()
    if ((asked >= 0) & (asked <= 1)).all():
        return hint(
            "in eval() mode the model still returns probabilities, so a validation loss "
            "would be wrong. Return logits in both modes."
        )
    best = out.argmax(dim=1)
    if (out >= 0).all():
        return hint(
            "no output is below 0: something after the last layer still changes the "
            "logits. Return them as the layer gives them."
        )
    try:
        loss = loss_of(model, x, best[:, None].float())
    except (RuntimeError, ValueError) as error:
        return hint(
            f"loss_of raised “{error}” The classes come as (N, 1) in floating point: "
            "remove the second dimension, and make them int64, with long()."
        )
    if loss.shape != ():
        return hint(f"return the mean loss, one number, got shape {tuple(loss.shape)}.")
    log_probs = out.log_softmax(dim=1)  # also if they are log-probabilities already
    right = F.nll_loss(log_probs, best)
    loss = loss.to(right.dtype)  # logits made float64 are no fault
    if not torch.isclose(loss, right, rtol=1e-4, atol=1e-5):
        if torch.isclose(loss, F.nll_loss(log_probs, torch.zeros_like(best))):
            return hint(
                "that is the loss if every class is 0: argmax() of a column (N, 1) is 0. "
                "Remove the dimension, and keep its numbers: y.squeeze(1)."
            )
        if torch.isclose(loss, 16 * right, rtol=1e-4):
            return hint("that is the sum over 16 samples. Return their mean.")
        return hint(
            f"sure and right 16 times, the loss is {right.item():.4f}, got "
            f"{loss.item():.4f}. Is there one softmax between model and loss?"
        )
    try:
        loss_of(model, x[:1], best[:1, None].float())
    except (RuntimeError, ValueError) as error:
        return hint(
            f"right for 16 samples, but a last batch of one raises “{error}” If squeeze() "
            "removes both dimensions of (1, 1), name the one to remove: y.squeeze(1)."
        )
    p = confidence(model, x)
    top = log_probs.exp().max(dim=1).values
    if not isinstance(p, Tensor):
        values = " Take its .values." if hasattr(p, "values") else ""
        got = type(p).__name__
        return hint(f"confidence must return a tensor, got {got}.{values}")
    if p.shape != (16,):
        shape = tuple(p.shape)
        return hint(
            f"confidence must return one probability for each sample, (N,), got {shape}."
        )
    if not p.is_floating_point():
        return hint(
            f"confidence must return probabilities, got {p.dtype}: argmax() says which "
            "class is largest, max() how large it is."
        )
    if not torch.allclose(p.to(top.dtype), top, atol=1e-5):
        worst = (p - top).abs().argmax()
        if torch.allclose(out, log_probs, atol=1e-5):
            cure = (
                "The model returns log-probabilities: their exp() is the probability."
            )
        else:
            cure = "The model returns logits now: take their softmax over the classes."
        return hint(
            f"the loss is right, but confidence says {p[worst].item():.4g} where the "
            f"probability is {top[worst].item():.4g}. {cure}"
        )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(20)  # probabilities that float32 rounds to 0
        worst = model(x).argmin(dim=1)
    loss = loss_of(model, x, worst[:, None].float())
    if not torch.isfinite(loss):
        return hint(
            f"sure and wrong 16 times, the loss is {loss.item()}: a probability that is "
            "rounded to 0 has no logarithm. Give CrossEntropyLoss the logits."
        )
    return correct("one softmax in the loss, and one where a person reads.")


# --- 2. four logs --------------------------------------------------------------------

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


# --- 3. log-sum-exp ------------------------------------------------------------------


@checks_function(lambda fn: fn(torch.zeros(2, 3, 4)))
def log_sum_exp(fn: Callable[[Tensor], Tensor]) -> Verdict:
    """Check a log-sum-exp over the last dimension.

    Args:
        fn: takes ``(..., C)``, returns ``(...)``.
    """
    generator = torch.Generator().manual_seed(0)
    # A wrong dimension has the same shape.
    z = torch.randn(2, 4, 4, generator=generator)
    result, expected = fn(z), torch.logsumexp(z, dim=-1)
    fault = wrong_tensor(result, expected)
    if fault:
        return fault
    if torch.allclose(result, torch.logsumexp(z, dim=1), atol=1e-5):
        return hint("for (B, T, C) that is dimension 1. The last dimension is -1.")
    if torch.allclose(result, expected - z.amax(dim=-1), atol=1e-5):
        return hint("add the row's largest logit again, after the logarithm.")
    if not torch.allclose(result, expected, atol=1e-5):
        return hint(
            f"for small logits: {expected[0, 0]:.4f} expected, got {result[0, 0]:.4f}."
        )
    far = [[1000.0, 1000.0], [-1000.0, -1000.0], [1000.0, -1000.0], [-1000.0, 1000.0]]
    z = torch.tensor(far)
    for row, got, value in zip(z, fn(z), torch.logsumexp(z, dim=-1), strict=True):
        if not torch.isclose(got, value):
            return hint(
                f"right for small logits, but for the row {row.tolist()} it is "
                f"{value:.2f}, got {got:.2f}. Subtract the row's largest logit first, "
                "and add it afterwards."
            )
    shape = tuple(fn(z[:, None]).shape)
    if shape != (4, 1):
        return hint(
            f"right for (2, 4, 4), but (4, 1, 2) must become (4, 1), got {shape}: "
            "squeeze() without a dimension removes every one of size 1. Write squeeze(-1)."
        )
    return correct("no exponential is larger than e⁰ = 1, and none of the sums is 0.")
