"""The chapter on the classification report: its checks, its widget."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import classification_report
from torch import nn
from traitlets import TraitError

from helpers.chapters.classification_report import ReportFromMatrix, check
from helpers.evaluation import predictions
from helpers.widgets.base import STATE_MIME


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- the checks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (40, "✓ Correct: 30 hits"),
        (30, "✗ Hint: those are the hits"),
        (10, "✗ Hint: those are the false alarms"),
        (20, "✗ Hint: those are the ones it missed"),
        (37.5, "✗ Hint: precision is no share of the support"),
        (50 / 0.75, "✗ Hint: the support is not all hits"),
        (50, "✗ Hint: 50 is too large"),
    ],
)
def test_called_tells_right_from_wrong(value, text):
    assert repr(check.called(value)).startswith(text)


def by_the_book(matrix):
    f1 = 2 * matrix.diag().double() / (matrix.sum(dim=0) + matrix.sum(dim=1))
    return f1.mean(), (f1 * matrix.sum(dim=1)).sum() / matrix.sum()


def through_precision(matrix, clean=True):
    hits = matrix.diag().double()
    p, r = hits / matrix.sum(dim=0), hits / matrix.sum(dim=1)
    f1 = 2 * p * r / (p + r)
    f1 = f1.nan_to_num(0) if clean else f1
    return f1.mean(), (f1 * matrix.sum(dim=1)).sum() / matrix.sum()


def of_means(matrix):
    hits = matrix.diag().double()
    p, r = (hits / matrix.sum(dim=d) for d in (0, 1))
    f1 = 2 * p.mean() * r.mean() / (p.mean() + r.mean())
    return f1, by_the_book(matrix)[1]


def macro_alone(matrix):
    return by_the_book(matrix)[0]


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_the_book, "✓ Correct"),
        (through_precision, "✓ Correct"),
        (lambda m: list(by_the_book(m)), "✓ Correct"),
        (lambda m: None, "○ Not yet"),
        (
            lambda m: through_precision(m, clean=False),
            "✗ Hint: for a class that is never predicted the macro F1 is 0.4889, got nan. "
            "A precision of 0 / 0",
        ),
        (
            of_means,
            "✗ Hint: for the notes' matrix the macro F1 is 0.5833, got 0.7059. Average the",
        ),
        (
            lambda m: (by_the_book(m)[0], by_the_book(m.T)[1]),
            "✗ Hint: for the notes' matrix the weighted F1 is 0.6333, got 0.5667. Weigh by",
        ),
        (
            lambda m: by_the_book(m)[::-1],
            "✗ Hint: for the notes' matrix the macro F1 is 0.5833, got 0.6333. Return mac",
        ),
        (
            lambda m: (by_the_book(m)[0] * 2,) * 2,
            "✗ Hint: for a perfect model the macro F1 is 1.0000, got 2.0000.",
        ),
        (macro_alone, "✗ Hint: return two tensors"),
        (
            lambda m: [t.float() for t in by_the_book(m)],
            "✗ Hint: macro: return torch.float64, got torch.float32",
        ),
        (
            lambda m: [t[None] for t in by_the_book(m)],
            "✗ Hint: macro: return shape (), got (1,)",
        ),
        (
            lambda m: [t.item() for t in by_the_book(m)],
            "✗ Hint: macro: return a tensor, got float",
        ),
        (lambda m: m.nonsense, "✗ Hint: <lambda> raised AttributeError"),
    ],
)
def test_f1_averages_tells_right_from_wrong(attempt, text):
    assert repr(check.f1_averages(attempt)).startswith(text)


RIGHT = {name: letter for name, (letter, _) in check.RANKING.items()}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RIGHT, "✓ Correct"),
        (RIGHT | {"0": " b"}, "✓ Correct"),
        (..., "○ Not yet"),
        (RIGHT | {"1": ...}, "○ Not yet"),
        (RIGHT | {"0": "A"}, "✗ Hint: 0: A's class 2 counts as 0"),
        (RIGHT | {"1": "B"}, "✗ Hint: 1: A's class 2 counts as 1"),
        (RIGHT | {"nan": 5}, "✗ Hint: nan: A's class 2 is left out"),
        ("BAA", "✗ Hint: keep the dict with its three names: 0, 1, nan"),
    ],
)
def test_ranking_tells_right_from_wrong(answer, text):
    assert repr(check.ranking(answer)).startswith(text)


def test_ranking_is_scikit_learn_s():
    truth, a, b = [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 0, 0], [0, 0, 1, 2, 2, 1]
    for name, letter in RIGHT.items():
        score = {
            model: sklearn_report(truth, said, 3, float(name))["macro avg"]["precision"]
            for model, said in (("A", a), ("B", b))
        }
        assert max(score, key=score.get) == letter


# --- the widget -----------------------------------------------------------------------


def sklearn_report(truth, predicted, count, zero):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return classification_report(
            truth,
            predicted,
            labels=range(count),
            zero_division=zero,
            output_dict=True,
        )


def samples_of(matrix):
    pairs = [
        (i, j)
        for i, row in enumerate(matrix)
        for j, n in enumerate(row)
        for _ in range(n)
    ]
    return [t for t, _ in pairs], [p for _, p in pairs]


def numbers(report, count):
    """Flatten a report of either side: rows in order, four numbers each, and accuracy."""
    rows = [*map(str, range(count)), "macro avg", "weighted avg"]
    accuracy = report["accuracy"]
    accuracy = accuracy["f1-score"] if isinstance(accuracy, dict) else accuracy
    keys = ("precision", "recall", "f1-score", "support")
    return [report[row][key] for row in rows for key in keys] + [accuracy]


def random_matrices():
    """Sizes 2 to 4; some with classes that never occur or are never predicted."""
    rng = np.random.default_rng(0)
    for trial in range(120):
        size = 2 + trial % 3
        matrix = rng.integers(0, (3, 12, 400)[trial % 5 % 3], (size, size))
        if trial % 2:
            matrix[rng.integers(size)] = 0
        if trial % 4 < 2:
            matrix[:, rng.integers(size)] = 0
        if matrix.sum():
            yield matrix.tolist()
    yield [[0, 5], [0, 0]]  # with nan, the only precision left has no support
    yield [[3, 0], [0, 0]]


@pytest.mark.parametrize("zero", [0.0, 1.0, math.nan])
def test_widget_s_report_is_scikit_learn_s(front_end, zero):
    matrices = list(random_matrices())
    ours = front_end(
        ReportFromMatrix,
        "a[0].map((matrix) => m.report(matrix, a[1]))",
        [matrices, zero],
    )
    for matrix, report in zip(matrices, ours, strict=True):
        theirs = sklearn_report(*samples_of(matrix), len(matrix), zero)
        np.testing.assert_allclose(
            numbers(report, len(matrix)),
            numbers(theirs, len(matrix)),
            rtol=1e-6,
            atol=1e-6,
            err_msg=str(matrix),
        )


def test_widget_s_threshold_counts_as_the_helper_does(front_end):
    scores = [random(40, seed=2).double().tolist(), random(9, seed=3).double().tolist()]
    y = torch.tensor([0] * 40 + [1] * 9)
    for threshold in (-9, -0.5, 0, scores[1][0], 9):
        ours = front_end(ReportFromMatrix, "m.matrixAt(...a)", [scores, threshold])
        logits = torch.tensor([*scores[0], *scores[1]], dtype=torch.float64) - threshold
        _, y_pred = predictions(nn.Identity(), [(logits, y)])
        assert ours == [
            [((y == i) & (y_pred == j)).sum().item() for j in (0, 1)] for i in (0, 1)
        ]


def test_widget_swaps_and_resizes(front_end):
    matrix = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    results = front_end(
        ReportFromMatrix, "[m.transpose(a), m.resize(a, 2), m.resize(a, 4)]", matrix
    )
    assert results == [
        np.array(matrix).T.tolist(),
        [[1, 2], [4, 5]],
        [[1, 2, 3, 0], [4, 5, 6, 0], [7, 8, 9, 0], [0, 0, 0, 0]],
    ]


@pytest.mark.parametrize("metric", ["precision", "recall", "f1-score", "support"])
@pytest.mark.parametrize("row", ["0", "2", "accuracy", "macro avg"])
def test_lit_cells_are_those_that_change_the_number(front_end, row, metric):
    """A number moves when a lit cell does, and stays when another one does."""
    if row == "accuracy" and metric != "f1-score":
        return
    matrix = [[9, 2, 3], [4, 11, 6], [7, 8, 13]]
    script = """(() => {
      const { top, rest } = m.cellsOf(a[0], a[1], a[2]);
      const value = (matrix) => m.report(matrix, 0)[a[1]][a[2]];
      return a[0].map((line, i) => line.map((_, j) => {
        const moved = a[0].map((r, k) => r.map((v, l) => v + (i === k && j === l)));
        const lit = [...top, ...rest].some(([r, c]) => r === i && c === j);
        return [lit, value(moved) !== value(a[0])];
      }));
    })()"""
    cells = front_end(ReportFromMatrix, script, [matrix, row, metric])
    for lit, moves in (cell for line in cells for cell in line):
        # A macro average of precision or recall may stand still by coincidence only.
        assert lit == moves


@pytest.mark.parametrize(
    ("matrix", "zero", "row", "metric", "text"),
    [
        ([[1, 0], [2, 2]], 0, "0", "precision", "1 / (1 + 2) = 0.333"),
        ([[1, 0], [2, 2]], 0, "1", "recall", "2 / (2 + 2) = 0.500"),
        ([[1, 0], [2, 2]], 0, "1", "f1-score", "2·2 / (2·2 + 0 + 2) = 0.667"),
        ([[1, 0], [2, 2]], 0, "1", "support", "2 + 2 = 4"),
        ([[1, 0], [2, 2]], 0, "accuracy", "f1-score", "(1 + 2) / 5 = 0.600"),
        ([[1, 0], [2, 2]], 0, "macro avg", "recall", "(1.000 + 0.500) / 2 = 0.750"),
        (
            [[1, 0], [2, 2]],
            0,
            "weighted avg",
            "recall",
            "(1·1.000 + 4·0.500) / 5 = 0.600",
        ),
        ([[0, 3], [0, 2]], 0, "0", "precision", "0 / 0, which counts as 0"),
        ([[0, 3], [0, 2]], math.nan, "0", "precision", "0 / 0, which counts as nan"),
        (
            [[0, 3], [0, 2]],
            math.nan,
            "macro avg",
            "precision",
            "(0.400) / 1 = 0.400, nan left out",
        ),
        (
            [[0, 3], [0, 2]],
            math.nan,
            "weighted avg",
            "precision",
            "(2·0.400) / 2 = 0.400, nan left out",
        ),
    ],
)
def test_formula_is_written_out(front_end, matrix, zero, row, metric, text):
    argument = [matrix, zero, row, metric]
    assert front_end(ReportFromMatrix, "m.explain(...a)", argument) == text


SCORES = [[-2.0, -1.0, 0.5], [-0.5, 1.0]]


@pytest.mark.parametrize(
    "change",
    [
        {"matrix": [[3, 1], [0, 2]]},
        {"scores": SCORES},
        {"scores": SCORES, "mode": "threshold"},
        {"threshold": -1.0},
        {"zero_division": "nan"},
    ],
)
def test_digest_changes_with_whatever_is_shown(change):
    plain, changed = ReportFromMatrix(), ReportFromMatrix(**change)
    digests = [w._repr_mimebundle_()[0][STATE_MIME]["state"] for w in (plain, changed)]
    assert digests[0] != digests[1]


def test_no_two_widgets_share_a_matrix():
    first, second = ReportFromMatrix(), ReportFromMatrix()
    first.matrix[0][0] = 99
    assert second.matrix == ReportFromMatrix().matrix == [[1, 0], [2, 2]]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"counts": 3}, TypeError, "no setting 'counts'. It has: matrix, mode"),
        ({"matrix": [[1]]}, TraitError, "matrix.* a list of length 2 to 4"),
        (
            {"matrix": [[1, 2], [3]]},
            TraitError,
            r"square, got 2 rows of lengths \[2, 1\]",
        ),
        ({"matrix": [[1, 2], 3]}, TraitError, "matrix.* a list, not the int 3"),
        ({"matrix": [[0] * 5] * 5}, TraitError, "a list of length 2 to 4"),
        ({"matrix": [[1, -2], [3, 4]]}, TraitError, r"from 0 to 9999, not the \w+ -2"),
        (
            {"matrix": [[1, 2.5], [3, 4]]},
            TraitError,
            r"from 0 to 9999, not the \w+ 2.5",
        ),
        (
            {"matrix": [[1, True], [3, 4]]},
            TraitError,
            r"from 0 to 9999, not the \w+ True",
        ),
        ({"scores": [[1.0]]}, TraitError, "scores must be two lists"),
        ({"scores": [[1.0], []]}, TraitError, "two lists that are not empty"),
        ({"scores": [1.0, 2.0]}, TraitError, "scores.* a list, not the float 1"),
        (
            {"scores": [[1.0], [math.nan]]},
            TraitError,
            r"-1000 to 1000, not the \w+ nan",
        ),
        ({"scores": [[1.0], ["a"]]}, TraitError, r"-1000 to 1000, not the \w+ 'a'"),
        ({"scores": [[1.0], [True]]}, TraitError, r"-1000 to 1000, not the \w+ True"),
        ({"mode": "threshold"}, TraitError, "mode 'threshold' needs scores, got none"),
        ({"mode": "drag"}, TraitError, "mode"),
        ({"threshold": 1001}, TraitError, "threshold.* from -1000 to 1000"),
        ({"threshold": math.nan}, TraitError, "threshold.* not the float nan"),
        ({"zero_division": 0}, TraitError, "zero_division"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ReportFromMatrix(**settings)


# --- the widget in a real browser -----------------------------------------------------


@pytest.fixture
def explorer(mount):
    return mount(ReportFromMatrix(scores=SCORES), width=400)


def shown(page):
    return page.locator(".report-numbers button").all_inner_texts()


def formula(page):
    return page.locator(".report > p[aria-live]").inner_text()


def test_explorer_starts_with_the_notes_example(explorer):
    expected = "0.333 1.000 0.500 1 1.000 0.500 0.667 4 0.600 5 "
    expected += "0.667 0.750 0.583 5 0.867 0.600 0.633 5"
    assert shown(explorer) == expected.split()
    assert formula(explorer) == "recall, class 1: 2 / (2 + 2) = 0.500"


def test_explorer_by_keyboard_alone(explorer):
    field = explorer.get_by_label("truth 0, predicted 1")
    field.focus()
    explorer.keyboard.press("ArrowUp")
    assert explorer.evaluate("state.matrix") == [[1, 1], [2, 2]]
    explorer.keyboard.press("Tab")
    explorer.keyboard.press("Tab")
    explorer.keyboard.press("Tab")  # the first number of the report
    assert formula(explorer) == "precision, class 0: 1 / (1 + 2) = 0.333"
    lit = explorer.locator(".report-matrix td > span").all_inner_texts()
    assert lit == ["◆", "", "◇", ""]


def test_explorer_keeps_the_last_count_instead_of_nonsense(explorer):
    field = explorer.get_by_label("truth 0, predicted 1")
    for nonsense in ("1.5", "-1", "10000", "abc"):
        field.fill(nonsense)
        assert field.get_attribute("aria-invalid") == "true"
    field.blur()
    assert field.input_value() == "0"
    assert explorer.evaluate("state.matrix") == [[1, 0], [2, 2]]


def test_explorer_swaps_grows_and_resets(explorer):
    before = shown(explorer)
    explorer.get_by_role("button", name="Swap y_true and y_pred").click()
    after = shown(explorer)
    assert (after[0], after[1]) == (before[1], before[0])
    assert after[2] == before[2]
    explorer.get_by_label("4", exact=True).check()
    assert len(shown(explorer)) == 4 * 4 + 2 + 8
    explorer.get_by_label("nan", exact=True).check()
    assert shown(explorer)[8:12] == ["nan", "nan", "nan", "0"]
    explorer.get_by_role("button", name="Reset").click()
    assert shown(explorer) == before


def test_explorer_drags_a_threshold(explorer):
    explorer.get_by_label("drag a threshold on real scores").check()
    assert explorer.locator(".report-matrix output").all_inner_texts() == [
        "2",
        "1",
        "1",
        "1",
    ]
    slider = explorer.get_by_role("slider", name="Threshold")
    slider.focus()
    explorer.keyboard.press("Home")
    assert explorer.evaluate("state.threshold") == -2
    assert explorer.locator(".report-matrix output").all_inner_texts() == [
        "1",
        "2",
        "0",
        "2",
    ]
    crosses = explorer.locator(".report-cross").get_attribute("d")
    assert crosses.count("M") == 2
    explorer.get_by_label("type the counts").check()
    assert explorer.get_by_label("truth 1, predicted 0").input_value() == "2"


def test_explorer_answers_to_the_mouse(explorer):
    explorer.get_by_role("button", name="0.583").hover()
    assert formula(explorer) == "F1, macro avg: (0.500 + 0.667) / 2 = 0.583"
    pressed = explorer.locator("[aria-pressed='true']").all_inner_texts()
    assert pressed == ["0.583"]
