"""The checks: not yet, a hint, correct; and none that always passes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from helpers.chapters.bce_and_logits import check as bce
from helpers.chapters.cross_entropy_and_nll import check as nll
from helpers.chapters.softmax_dim import check as softmax
from helpers.exercises.verdicts import Hint, NumberCheck, checks_function, correct

HALF = NumberCheck("Half?", 0.5, 0.01, "yes.", [Hint(2, 2, "that is twice one.")])
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_number_is_correct_exactly_within_its_tolerance(value):
    assert (HALF(value).state == "correct") == (abs(value - 0.5) <= 0.01)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "✗ Hint: that is twice one."),
        (3, "✗ Hint: 3 is too large."),
        (-1, "✗ Hint: -1 is too small."),
        (math.nan, "✗ Hint: pass a finite number, got nan."),
        ("a", "✗ Hint: pass one number, got str."),
        ([1, 2], "✗ Hint: pass one number, got list."),
        (torch.zeros(2), "✗ Hint: pass one number, got Tensor."),
        (torch.tensor(0.5), "✓ Correct: yes."),
        ("0.5", "✓ Correct: yes."),
    ],
)
def test_number_says_what_is_wrong(value, text):
    assert repr(HALF(value)) == text


@pytest.mark.parametrize("dots", [..., None])
def test_untried_number_becomes_a_box_with_the_same_question(dots):
    box = HALF(dots)
    assert (box.prompt, box.answer, box.tolerance) == ("Half?", 0.5, 0.01)
    assert repr(box).startswith("○ Not yet")


@checks_function(lambda fn: fn(1))
def twice(fn):
    return correct("yes.") if fn(3) == 6 else correct("never.")


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (
            lambda x: None,
            "○ Not yet: <lambda> returned None. Write its body, then rerun.",
        ),
        (
            lambda x: 1 / 0,
            "✗ Hint: <lambda> raised ZeroDivisionError: division by zero",
        ),
        (
            3,
            "✗ Hint: pass the function itself, got int. Write check.twice(your_function)",
        ),
        (lambda: 1, "✗ Hint: <lambda> raised TypeError"),
        (lambda x: 2 * x, "✓ Correct: yes."),
    ],
)
def test_function_check_answers_whatever_it_is_given(attempt, text):
    assert repr(twice(attempt)).startswith(text)


def test_function_may_change_what_it_is_given():
    def in_place(x, y):
        return stable(x, y.clone()) + 0 * y.add_(1)

    assert repr(bce.stable_bce(in_place)).startswith("✓ Correct")


def test_gradient_that_cannot_be_computed_is_a_hint():
    def spoiled(x, y):
        return stable(x, y) + 0 * x.clamp_(min=0)

    assert repr(bce.stable_bce(spoiled)).startswith("✗ Hint: the gradient cannot be")


def test_an_error_of_the_check_itself_is_not_blamed_on_the_reader():
    @checks_function(lambda fn: fn(1))
    def broken(fn):
        raise RuntimeError("a bug in the check")

    with pytest.raises(RuntimeError, match="a bug in the check"):
        broken(lambda x: x)


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


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        ([2, 3, 1, 2, 1], "✓ Correct"),
        ([-1, -1, 1, -1, -2], "✓ Correct"),
        (torch.tensor([2, 3, 1, 2, 1]), "✓ Correct"),
        ([1, 3, 1, 2, 1], "✗ Hint: (T, B, C): one decision for each time and sentence"),
        (
            [2, 1, 1, 2, 1],
            "✗ Hint: (B, H, W, C): one decision for each image and place",
        ),
        ([2, 3, -1, 2, 1], "✗ Hint: (B, C, D, H, W)"),
        ([2, 3, 1, 0, 1], "✗ Hint: (B, T, experts): the experts compete"),
        ([2, 3, 1, 2, 2], "✗ Hint: (B, T_key, T_query): each query"),
        ([2, 3, 1, 2, 3], "✗ Hint: (B, T_key, T_query) has no dimension 3"),
        ([1, 1], "✗ Hint: write five numbers, one for each shape, got 2"),
        ("last", "✗ Hint: write a list of five numbers, got 'last'"),
    ],
)
def test_dims_tells_right_from_wrong(answer, text):
    assert repr(softmax.dims(answer)).startswith(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.log(1000), "✓ Correct"),
        (math.log(256), "✗ Hint: that is ln 256"),
        (3.0, "✗ Hint: use the natural logarithm"),
        (math.log2(1000), "✗ Hint: use the natural logarithm"),
        (0, "✗ Hint: 0 is too small"),
    ],
)
def test_first_loss_tells_right_from_wrong(value, text):
    assert repr(softmax.first_loss(value)).startswith(text)


def by_eval(model, x):
    mode = model.training
    model.eval()
    with torch.no_grad():
        answer = not torch.allclose(model(x[:1]), model(x)[:1], atol=1e-5)
    model.train(mode)
    return answer


def always_trains(model, x):
    answer = by_eval(model, x)
    model.train()
    return answer


def keeps_eval(model, x):
    by_eval(model.eval(), x)
    return by_eval(model, x)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_eval, "✓ Correct"),
        (
            lambda m, x: True,
            "✗ Hint: for a softmax over dim=1 the answer is False, got True",
        ),
        (lambda m, x: False, "✗ Hint: for a softmax over dim=0 the answer is True"),
        (lambda m, x: not torch.equal(m(x[:2])[0], m(x)[0]), "✗ Hint: for "),
        (
            keeps_eval,
            "✗ Hint: for a softmax over dim=0: give the model back in the mode",
        ),
        (
            always_trains,
            "✗ Hint: for a model that was in eval() mode: give the model back",
        ),
    ],
)
def test_depends_on_batch_tells_right_from_wrong(attempt, text):
    assert repr(softmax.depends_on_batch(attempt)).startswith(text)


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
