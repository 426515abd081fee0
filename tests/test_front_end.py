"""The widgets' arithmetic in a real browser, against torch and against the Python checks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.chapters.bce_and_logits import BceExplorer
from helpers.chapters.cross_entropy_and_nll import CrossEntropyMargin
from helpers.chapters.softmax_dim import SoftmaxDim
from helpers.exercises.answer_box import AnswerBox
from helpers.exercises.verdicts import Hint, NumberCheck


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


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_softmax_dim_agrees_with_torch(front_end, dim):
    generator = torch.Generator().manual_seed(dim)
    for _ in range(50):
        logits = (torch.rand(2, 3, 2, generator=generator) - 0.5) * 40
        ours = front_end(SoftmaxDim, "m.softmax(...a)", [logits.double().tolist(), dim])
        theirs = torch.softmax(logits, dim)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
        sums = front_end(SoftmaxDim, "m.sums(...a)", [theirs.double().tolist(), dim])
        np.testing.assert_allclose(sums, np.ones(12 // (2, 3, 2)[dim]), atol=1e-6)


def test_softmax_dim_measures_the_other_sample(front_end):
    before, after = torch.rand(2, 3, 2), torch.rand(2, 3, 2)
    for sample in (0, 1):
        argument = [before.double().tolist(), after.double().tolist(), sample]
        ours = front_end(SoftmaxDim, "m.moved(...a)", argument)
        assert ours == pytest.approx(
            (before - after)[sample].abs().max().item(), abs=1e-6
        )


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


def test_answer_box_gives_the_verdict_of_the_check(front_end):
    check = NumberCheck("?", 0.5, 0.01, "yes.", [Hint(2, 3, "that is far.")])
    spec = {name: getattr(check, name) for name in ("answer", "tolerance", "praise")}
    spec["hints"] = [list(h) for h in check.hints]
    values = [0.5, 0.509, 0.52, -1, 0, 2, 2.5, 3, 3.5, 100]
    ours = front_end(AnswerBox, "a[0].map((v) => m.verdict(v, a[1]))", [values, spec])
    theirs = [list(check(value)) for value in values]
    assert ours == theirs


@pytest.mark.parametrize(
    ("typed", "number"),
    [("0.5", 0.5), ("0,5", 0.5), (" −3 ", -3), ("970/30", 970 / 30), ("1e-3", 1e-3)],
)
def test_typed_number_is_read_as_meant(front_end, typed, number):
    assert front_end(AnswerBox, "m.parse(a)", typed) == pytest.approx(number)


@pytest.mark.parametrize("typed", ["", " ", "abc", "1/2/3", "1/", "--1"])
def test_typed_nonsense_is_no_number(front_end, typed):
    assert front_end(AnswerBox, "Number.isNaN(m.parse(a))", typed)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.73629, 4, "0.7363"),
        (0, 4, "0.0000"),
        (-1.5, 2, "−1.50"),
        (4.2e-6, 4, "4.2e−6"),
        (100, 0, "100"),
    ],
)
def test_number_is_shown_with_a_minus_and_never_as_a_false_zero(
    front_end, value, digits, text
):
    assert front_end(AnswerBox, "m.format(...a)", [value, digits]) == text
