"""The chapter on the classification report: its checks, its widget."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
)
from traitlets import TraitError

from helpers.chapters.classification_report import BatchMeans, ReportFromMatrix, check
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
        (22.5, "✗ Hint: precision is hits / called: divide the hits by it"),
        (50, "✗ Hint: that is the support"),
        (50 / 0.75, "✗ Hint: the support is not all hits"),
        (55, "✗ Hint: 55 is too large"),
    ],
)
def test_called_tells_right_from_wrong(value, text):
    assert repr(check.called(value)).startswith(text)


def f1(truth, said):
    return f1_score(truth, said, average="macro")


def collected(model, loader):
    pairs = [(y, model(x).argmax(1)) for x, y in loader]
    return [torch.cat(part) for part in zip(*pairs, strict=True)]


def once(model, loader):
    return f1(*collected(model, loader))


def batch_mean(model, loader):
    scores = [f1(y, model(x).argmax(1)) for x, y in loader]
    return sum(scores) / len(scores)


def weighted_by_batch(model, loader):
    scores = [(f1(y, model(x).argmax(1)), len(y)) for x, y in loader]
    return sum(s * n for s, n in scores) / sum(n for _, n in scores)


def counted(model, loader):
    matrix = torch.zeros(3, 3)
    for t, p in zip(*predictions(model, loader), strict=True):
        matrix[t, p] += 1
    return (2 * matrix.diag() / (matrix.sum(0) + matrix.sum(1))).mean()


def in_eval(attempt):
    return lambda model, loader: attempt(model.eval(), loader)


def on_its_device(model, loader):
    """As the recipe, which asks a parameter where to send the images."""
    device = next(model.parameters()).device
    moved = [(x.to(device), y) for x, y in loader]
    with torch.no_grad():
        return in_eval(once)(model, moved)


def along_the_batch(model, loader):
    pairs = [(y, model(x).argmax(dim=0)) for x, y in loader]
    return f1(*(torch.cat(part) for part in zip(*pairs, strict=True)))


def average(name):
    return lambda *args: f1_score(*predictions(*args), average=name)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda model, loader: None, "○ Not yet: validate returned None"),
        (batch_mean, "○ Not yet: of the same predictions it says"),
        (
            in_eval(batch_mean),
            "○ Not yet: of the same predictions it says 0.755 in one batch, and",
        ),
        (in_eval(weighted_by_batch), "○ Not yet: of the same predictions it says"),
        (once, "✗ Hint: the model predicts in train mode"),
        (in_eval(once), "✗ Hint: the forward pass still keeps a graph"),
        (average("binary"), "✗ Hint: your code raised ValueError: Target is multicl"),
        (average("micro"), "✗ Hint: that is the micro average. It is the accuracy"),
        (average("weighted"), "✗ Hint: that is the weighted average. Each class"),
        (lambda model, loader: 0.5, "✗ Hint: the macro F1 of all is 0."),
        (
            lambda *args: classification_report(*predictions(*args)),
            "✗ Hint: validate should return one number, f1_score's, got a str",
        ),
        (average(None), "✗ Hint: validate should return one number"),
        (along_the_batch, "✗ Hint: Found input variables with inconsistent numbers"),
        (lambda *args: [][0], "✗ Hint: your code raised IndexError"),
        (average("macro"), "✓ Correct"),
        (lambda *args: torch.tensor(average("macro")(*args)), "✓ Correct"),
        (counted, "✓ Correct"),
        (on_its_device, "✓ Correct"),
        (torch.inference_mode()(in_eval(once)), "✓ Correct"),
    ],
)
def test_validate_tells_right_from_wrong(attempt, text):
    assert repr(check.validate(attempt)).startswith(text)


def as_people_write_it(y, logits, least):
    precision, recall, thresholds = precision_recall_curve(y, logits)
    return thresholds[recall[precision >= least].argmax()]


def lowest_that_fits(y, logits, least):
    precision, _, thresholds = precision_recall_curve(y, logits)
    return thresholds[precision[:-1] >= least].min()


def first_that_fits(y, logits, least):
    precision, _, thresholds = precision_recall_curve(y, logits)
    return thresholds[(precision >= least).argmax()]


def last_that_fits(y, logits, least):
    precision, _, thresholds = precision_recall_curve(y, logits)
    return thresholds[precision[:-1] >= least].max()


def with_places(y, logits, least):
    precision, recall, thresholds = precision_recall_curve(y, logits)
    places = np.flatnonzero(precision >= least)
    return thresholds[places[recall[places].argmax()]]


def one_by_one(y, logits, least):
    fits = [t for t in logits if precision_score(y, logits >= t) >= least]
    return max(fits, key=lambda t: recall_score(y, logits >= t))


def highest_f1(y, logits, least):
    return max(logits, key=lambda cut: f1_score(y, logits >= cut))


def highest_f1_that_fits(y, logits, least):
    fits = [t for t in logits if precision_score(y, logits >= t) >= least]
    return max(fits, key=lambda t: f1_score(y, logits >= t))


def most_right_that_fits(y, logits, least):
    fits = [t for t in logits if precision_score(y, logits >= t) >= least]
    return max(fits, key=lambda t: ((logits >= t) == y).double().mean())


def three_quarters(y, logits, least):
    return lowest_that_fits(y, logits, 0.75)


def one_half(y, logits, least):
    return 0.0


def at_least(logits, threshold):
    return logits >= threshold


def above(logits, threshold):
    return logits > threshold


@pytest.mark.parametrize(
    ("best", "predict", "text"),
    [
        (lambda *args: None, at_least, "○ Not yet: best_threshold returned None"),
        (
            as_people_write_it,
            above,
            "○ Not yet: where the precision falls and rises, the threshold -2 has a "
            "precision of 0.60, and a recall of 1.00. The precision should be at least",
        ),
        (as_people_write_it, at_least, "○ Not yet: where the precision falls and"),
        (
            last_that_fits,
            at_least,
            "○ Not yet: where the precision falls and rises, the threshold 3 has a "
            "precision of 1.00, and a recall of 0.33. Another one has a recall of 1.00",
        ),
        (
            lowest_that_fits,
            above,
            "✗ Hint: where the precision falls and rises, 0.5 is a right threshold: 4 "
            "logits lie on it or above it, and predict says 1 for 3 samples.",
        ),
        (
            lowest_that_fits,
            lambda logits, threshold: logits.sigmoid() >= threshold,
            "✗ Hint: where the highest logit belongs to class 0, 0 is a right threshold: 4 logits "
            "lie on it or above it, and predict says 1 for 5 samples.",
        ),
        (
            lowest_that_fits,
            lambda logits, threshold: logits <= threshold,
            "✗ Hint: where the precision falls and rises, 0.5 is a right threshold: 4",
        ),
        (highest_f1, at_least, "✗ Hint: where most 1s lie below the 0s"),
        (highest_f1_that_fits, at_least, "✗ Hint: where the last 1 costs two false"),
        (most_right_that_fits, at_least, "✗ Hint: where it is best to call every"),
        (three_quarters, at_least, "✗ Hint: where half of what is called 1 may be"),
        (one_half, at_least, "✗ Hint: where it is best to call everything a 1"),
        (lowest_that_fits, lambda logits, t: t.nothing, "✗ Hint: your code raised At"),
        (lowest_that_fits, at_least, "✓ Correct"),
        (first_that_fits, at_least, "✓ Correct"),
        (with_places, at_least, "✓ Correct"),
        (one_by_one, at_least, "✓ Correct"),
        (lambda *args: lowest_that_fits(*args) - 1e-6, above, "✓ Correct"),
        (lowest_that_fits, lambda x, t: (x.numpy() >= t).astype(int), "✓ Correct"),
    ],
)
def test_threshold_tells_right_from_wrong(best, predict, text):
    assert repr(check.threshold(best, predict)).startswith(text)


# --- the batch explorer ---------------------------------------------------------------


def ten_classes():
    truth = torch.randint(0, 10, (230,), generator=torch.Generator().manual_seed(0))
    said = torch.where(random(230) > 1, truth.roll(1), truth)
    return truth, said


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_explorer_s_means_are_scikit_learn_s(front_end, order):
    truth, said = (part.tolist() for part in ten_classes())
    lists = front_end(BatchMeans, "m.ordered(...a)", [truth, said, order])
    pairs = sorted(zip(truth, said, strict=True))
    assert sorted(zip(*lists, strict=True)) == pairs
    assert (lists[0] == sorted(truth)) == (order == "sorted")
    t, p = map(torch.tensor, lists)
    for size in (1, 7, 32, 230, 300):
        batches = list(zip(t.split(size), p.split(size), strict=True))
        for score, function in (("macro F1", f1), ("accuracy", accuracy_score)):
            mean = np.mean([function(*batch) for batch in batches])
            ours = front_end(
                BatchMeans, "m.meanOverBatches(...a)", [*lists, size, score]
            )
            assert ours == pytest.approx(mean)


@pytest.fixture
def batches(mount):
    truth, said = ten_classes()
    return mount(BatchMeans(truth=truth.tolist(), said=said.tolist()), width=400)


def test_no_score_is_seen_before_the_guess(batches):
    assert batches.locator("path.mp-curve").count() == 0
    assert batches.locator("tbody td").all_inner_texts() == ["–"] * 4
    batches.get_by_role("button", name="Lock my guess").click()
    assert batches.locator("path.mp-curve").count() == 2
    assert "–" not in batches.locator("tbody td").all_inner_texts()
    batches.get_by_label("accuracy", exact=True).check()  # another curve, another guess
    assert batches.evaluate("state.guess") is None
    assert batches.locator("path.mp-curve").count() == 0


def test_batch_size_by_keyboard_and_reset(batches):
    batches.get_by_role("slider", name="Batch size").focus()
    batches.keyboard.press("ArrowLeft")
    assert batches.evaluate("state.size") == 99
    batches.get_by_role("button", name="Lock my guess").click()
    batches.keyboard.press("Tab")
    batches.get_by_role("button", name="Reset").click()
    assert batches.evaluate("[state.size, state.guess]") == [100, None]


def test_lists_of_unequal_length_are_named():
    with pytest.raises(TraitError, match="one length, got 2 and 4"):
        BatchMeans(truth=[0, 1])


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
        ([[1, 0], [2, 0]], 1, "macro avg", "precision", "(0.333 + 1.000) / 2 = 0.667"),
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


@pytest.mark.parametrize(
    "change",
    [
        {"matrix": [[3, 1], [0, 2]]},
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
        ({"counts": 3}, TypeError, "no setting 'counts'. It has: matrix, zero"),
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
        ({"zero_division": 0}, TraitError, "zero_division"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ReportFromMatrix(**settings)


# --- the widget in a real browser -----------------------------------------------------


@pytest.fixture
def explorer(mount):
    return mount(ReportFromMatrix(), width=400)


def shown(page):
    return page.locator(".report-numbers button").all_inner_texts()


def formula(page):
    return page.locator(".report > p[aria-live]").inner_text()


def test_explorer_starts_with_the_notes_example(explorer):
    expected = "0.333 1.000 0.500 1 1.000 0.500 0.667 4 0.600 5 "
    expected += "0.667 0.750 0.583 5 0.867 0.600 0.633 5"
    assert shown(explorer) == expected.split()
    assert formula(explorer) == "Point at a number."  # nothing answers a prompt
    assert explorer.locator("[aria-pressed='true']").count() == 0


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


def test_explorer_answers_to_the_mouse(explorer):
    explorer.get_by_role("button", name="0.583").hover()
    assert formula(explorer) == "F1, macro avg: (0.500 + 0.667) / 2 = 0.583"
    pressed = explorer.locator("[aria-pressed='true']").all_inner_texts()
    assert pressed == ["0.583"]
