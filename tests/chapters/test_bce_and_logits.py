"""The chapter on binary cross-entropy: its checks, and its widget against torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.chapters.bce_and_logits import BceExplorer
from helpers.chapters.bce_and_logits import check as bce


def stable(x, y):
    return x.clamp(min=0) - x * y + torch.log1p(torch.exp(-x.abs()))


STABLE_BCE = [
    (stable, "✓ Correct"),
    (lambda x, y: F.softplus(x) - x * y, "✓ Correct"),
    (
        lambda x, y: stable(x, y).mean(),
        "✗ Hint: return shape (6,), got ()",
    ),
    (lambda x, y: stable(x, 1 - y), "✗ Hint: at logit -3, target 0 the term is 0.0486"),
    (
        lambda x, y: x - x * y + torch.log1p(torch.exp(-x)),
        "✗ Hint: right for small logits, but at logit -200, target 1 the term is 200, got inf",
    ),
    (
        lambda x, y: torch.where(x > 20, x, torch.log1p(torch.exp(x))) - x * y,
        "✗ Hint: the values are right, but at logit 200, target 0 the gradient is 1, got nan",
    ),
    (lambda x, y: torch.log1p(torch.exp(x)) - x * y, "✗ Hint: right for small logits"),
    (
        lambda x, y: F.binary_cross_entropy(x.sigmoid(), y, reduction="none"),
        "✗ Hint: right",
    ),
    (lambda x, y: stable(x, y).detach(), "✗ Hint: the result has no gradient"),
    (
        lambda x, y: stable(x.double(), y),
        "✗ Hint: keep the input's dtype torch.float32",
    ),
    (lambda x, y: stable(x.detach(), y) + 0 * x, "✗ Hint: the values are right, but"),
    (lambda x, y: stable(x, y).tolist(), "✗ Hint: return a tensor, got list"),
]


@pytest.mark.parametrize(("attempt", "text"), STABLE_BCE)
def test_stable_bce_tells_right_from_wrong(attempt, text):
    attempt.__name__ = "stable_bce"
    assert repr(bce.stable_bce(attempt)).startswith(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (36.7368, "✓ Correct"),
        (36.74, "✓ Correct"),
        (36.5, "✗ Hint: close, and too small"),
        (36.8, "✗ Hint: close, and too large"),
        (16.64, "✗ Hint: that is the cliff of float32"),
        (0, "✗ Hint: 0 is too small"),
    ],
)
def test_cliff_tells_right_from_wrong(value, text):
    assert repr(bce.cliff(value)).startswith(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (970 / 30, "✓ Correct"),
        (33.33, "✗ Hint: that is all samples over positives"),
        (0, "✗ Hint: 0 is too small"),
        (30 / 970, "✗ Hint: that is the other way round"),
        (1, "✗ Hint: 1 changes nothing"),
        (100, "✗ Hint: 100 is too large"),
    ],
)
def test_weight_tells_right_from_wrong(value, text):
    assert repr(bce.weight(value)).startswith(text)


def random_logits(count=2000, span=100):
    generator = torch.Generator().manual_seed(0)
    logits = (torch.rand(count, generator=generator) - 0.5) * 2 * span
    targets = torch.randint(0, 2, (count,), generator=generator).float()
    return logits.requires_grad_(), targets


def pairs(logits, targets):
    return torch.stack([logits.detach().double(), targets.double()], dim=1).tolist()


@pytest.mark.parametrize("span", [5, 20, 100])
@pytest.mark.parametrize(
    ("loss", "value", "slope"),
    [
        (
            lambda x, y: F.binary_cross_entropy(x.sigmoid(), y, reduction="none"),
            "m.bce(m.sigmoid(x), y)",
            "m.bceGradient(x, y)",
        ),
        (
            lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
            "m.bceWithLogits(x, y)",
            "m.logitsGradient(x, y)",
        ),
    ],
    ids=["sigmoid and BCELoss", "BCEWithLogitsLoss"],
)
def test_bce_explorer_agrees_with_torch(front_end, loss, value, slope, span):
    logits, targets = random_logits(span=span)
    terms = loss(logits, targets)
    terms.sum().backward()
    ours = front_end(
        BceExplorer,
        f"a.map(([x, y]) => [{value}, {slope}])",
        pairs(logits, targets),
    )
    theirs = torch.stack([terms.detach(), logits.grad], dim=1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_bce_explorer_s_cliff_is_torch_s(front_end):
    near = torch.linspace(16.6, 16.7, 1001)
    ours = front_end(BceExplorer, "a.map((x) => m.sigmoid(x) === 1)", near.tolist())
    assert ours == (torch.sigmoid(near) == 1).tolist()


def test_bce_explorer_s_table_is_torch_s(front_end):
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(2, 3, generator=generator)
    targets = torch.randint(0, 2, (2, 3), generator=generator)
    losses = {
        "probabilities": F.binary_cross_entropy,
        "logits": F.binary_cross_entropy_with_logits,
    }
    for kind, loss in losses.items():
        ours = front_end(
            BceExplorer,
            "m.terms(...a)",
            [values.double().tolist(), targets.tolist(), kind],
        )
        theirs = loss(values, targets.float(), reduction="none")
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
