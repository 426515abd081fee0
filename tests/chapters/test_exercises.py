"""What every exercise is made of: not yet, a hint, correct; in Python and in the page."""

import ast
import importlib
import inspect
import math
import pkgutil

import nbformat
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

from helpers import chapters
from helpers.chapters.bce_and_logits import check as bce
from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.number_box import AnswerBox
from helpers.exercises.verdicts import checks_function, correct

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


def code_checks(several):
    """Yield each check of one function, or of several pieces, with its chapter's name."""
    for tip in pkgutil.iter_modules(chapters.__path__):
        module = importlib.import_module(f"helpers.chapters.{tip.name}.check")
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "") == module.__name__
            public = own and hasattr(value, "__wrapped__") and name[0] != "_"
            if public and several == (len(inspect.signature(value).parameters) > 1):
                yield pytest.param(tip.name, value, id=f"{tip.name}.{name}")


def solution(tip, name):
    """Return the notebook's own solution of an exercise, with its imports and functions."""
    cells = nbformat.read(ROOT / "notebooks" / f"{tip}.ipynb", as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    names = {}
    for cell in code:
        # An import that is shown to fail is not what a solution needs.
        if not {"set-up", "raises-exception"} & set(cell.metadata.get("tags", [])):
            body = ast.parse(cell.source).body
            keep = [n for n in body if isinstance(n, (ast.Import, ast.ImportFrom))]
            functions = [n for n in body if isinstance(n, ast.FunctionDef)]
            # Others than the solution's may need values of the page for their defaults.
            is_solution = "solution" in cell.metadata.get("tags", [])
            keep += [n for n in functions if is_solution or not n.args.defaults]
            exec(compile(ast.Module(keep, []), tip, "exec"), names)
    return names[name]


def wrong(*args):
    """Return what no exercise asks for, and train no model as one asks for."""
    for arg in args:
        if isinstance(arg, torch.nn.Module):
            # A loop that changes nothing is not yet tried.
            for parameter in arg.parameters():
                parameter.data.fill_(7)
    return object()


def raising(*_):
    raise ValueError("from the reader")


@pytest.mark.filterwarnings("ignore:distutils")  # thop, which a notebook imports
@pytest.mark.parametrize(("tip", "check"), [*code_checks(several=False)])
@pytest.mark.parametrize(
    ("kind", "state"), [("right", "correct"), ("wrong", "hint"), ("raising", "hint")]
)
def test_check_leaves_the_readers_random_numbers_alone(tip, check, kind, state):
    """The check may draw some of its own, and so may the attempt."""
    attempts = {"wrong": wrong, "raising": raising}
    attempt = attempts.get(kind) or solution(tip, check.__name__)

    def drawing(*args):
        torch.rand(1)
        return attempt(*args)

    before = torch.random.get_rng_state()
    verdict = check(drawing)
    assert verdict.state == state, verdict
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("tip", "check"), [*code_checks(several=True)])
def test_check_of_several_pieces_tells_what_they_raise(tip, check):
    def drawing(*_):
        torch.rand(1)
        raise ValueError("from the reader")

    before = torch.random.get_rng_state()
    verdict = check(*[drawing for _ in inspect.signature(check).parameters])
    assert verdict.state == "hint"
    assert "raised ValueError: from the reader" in verdict.text
    assert torch.equal(before, torch.random.get_rng_state())


def stable(x, y):
    return torch.logaddexp(torch.zeros_like(x), x) - x * y


def test_function_that_changes_what_it_is_given_is_told_so():
    def in_place(x, y):
        return stable(x, y.clone()) + 0 * y.add_(1)

    assert repr(bce.stable_bce(in_place)).startswith(
        "✗ Hint: in_place changes its argument 2 in place"
    )


def test_gradient_that_cannot_be_computed_is_a_hint():
    def spoiled(x, y):
        p = torch.sigmoid(x)  # backward() needs it as it was
        return stable(x, y) + 0 * p + 0 * p.add_(1)

    assert repr(bce.stable_bce(spoiled)).startswith("✗ Hint: the gradient cannot be")


def test_an_error_of_the_check_itself_is_not_blamed_on_the_reader():
    @checks_function(lambda fn: fn(1))
    def broken(fn):
        raise RuntimeError("a bug in the check")

    with pytest.raises(RuntimeError, match="a bug in the check"):
        broken(lambda x: x)


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
    [
        ("0.5", 0.5),
        ("0,5", 0.5),
        (" −3 ", -3),
        ("970/30", 970 / 30),
        ("1e-3", 1e-3),
        ("2^9", 512),
        ("2**-9", 2**-9),
        ("1 / 2^2", 0.25),
        ("2*768", 1536),
        ("2 × 3^2 / 4", 4.5),
    ],
)
def test_typed_number_is_read_as_meant(front_end, typed, number):
    assert front_end(AnswerBox, "m.parse(a)", typed) == pytest.approx(number)


@pytest.mark.parametrize(
    "typed", ["", " ", "abc", "1/2/3", "1/", "--1", "2^", "2^3^2", "2*3*4", "2*"]
)
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
