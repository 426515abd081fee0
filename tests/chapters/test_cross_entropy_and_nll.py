"""The chapter on cross-entropy: its checks, and its widget against torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.chapters.cross_entropy_and_nll import CrossEntropyMargin
from helpers.chapters.cross_entropy_and_nll import check as nll


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.905, "✓ Correct"),
        (0.91, "✓ Correct"),
        (0.89, "✗ Hint: 0.89 is too small"),
        (0, "✗ Hint: 0 is the floor on logits"),
        (1.461, "✗ Hint: that is the floor of 10 classes"),
        (1.609, "✗ Hint: that is guessing, ln 5"),
    ],
)
def test_floor_tells_right_from_wrong(value, text):
    assert repr(nll.floor(value)).startswith(text)


RIGHT_LOGS = {name: letter for name, (letter, _) in nll.LOGS.items()}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RIGHT_LOGS, "✓ Correct"),
        (RIGHT_LOGS | {"right": "c "}, "✓ Correct"),
        (RIGHT_LOGS | {"right": ...}, "○ Not yet"),
        (..., "○ Not yet"),
        (RIGHT_LOGS | {"right": "A"}, "✗ Hint: right: it begins near ln 2"),
        (
            RIGHT_LOGS | {"logits, then NLLLoss": 3},
            "✗ Hint: logits, then NLLLoss: nothing",
        ),
        ("CABD", "✗ Hint: keep the dict with its four names"),
    ],
)
def test_logs_tells_right_from_wrong(answer, text):
    assert repr(nll.logs(answer)).startswith(text)


def shifted(z):
    largest = z.max(dim=-1, keepdim=True).values
    return (z - largest).exp().sum(dim=-1).log() + largest.squeeze(-1)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (shifted, "✓ Correct"),
        (
            lambda z: z.exp().sum(-1).log(),
            "✗ Hint: right for small logits, but for a row of two 1000",
        ),
        (
            lambda z: shifted(z).sum(),
            "✗ Hint: return shape (4,), got ()",
        ),
        (
            lambda z: shifted(z).tolist(),
            "✗ Hint: return a tensor, got list",
        ),
        (lambda z: z.sum(-1), "✗ Hint: for small logits:"),
        (lambda z: None, "○ Not yet"),
        (
            lambda z: (z - z.max()).exp().sum(-1).log() + z.max(),
            "✗ Hint: right for small logits, but for a row of two -1000",
        ),
    ],
)
def test_log_sum_exp_tells_right_from_wrong(attempt, text):
    assert repr(nll.log_sum_exp(attempt)).startswith(text)


PAIRINGS = {
    "ce_logits": lambda z, y: F.cross_entropy(z, y),
    "nll_log_softmax": lambda z, y: F.nll_loss(z.log_softmax(1), y),
    "ce_softmax": lambda z, y: F.cross_entropy(z.softmax(1), y),
    "nll_softmax": lambda z, y: F.nll_loss(z.softmax(1), y),
    "nll_logits": lambda z, y: F.nll_loss(z, y),
}


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("classes", [2, 5, 10, 100, 1000])
def test_cross_entropy_margin_agrees_with_torch(front_end, pairing, classes):
    margins = torch.linspace(-20, 20, 161, dtype=torch.float64)
    theirs = []
    for margin in margins:
        z = torch.zeros(1, classes, dtype=torch.float64)
        z[0, 0] = margin
        z.requires_grad_()
        loss = PAIRINGS[pairing](z, torch.tensor([0]))
        loss.backward()
        theirs.append([loss.item(), z.grad[0, 0].item()])
    argument = [margins.tolist(), pairing, classes]
    ours = front_end(
        CrossEntropyMargin, "a[0].map((x) => m.PAIRINGS[a[1]](x, a[2]))", argument
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_cross_entropy_margin_s_floor_is_reached_and_not_passed(front_end, classes):
    floor = front_end(CrossEntropyMargin, "m.floorOf('ce_softmax', a)", classes)
    best = front_end(CrossEntropyMargin, "m.PAIRINGS.ce_softmax(60, a)[0]", classes)
    assert best == pytest.approx(floor, abs=1e-9)
