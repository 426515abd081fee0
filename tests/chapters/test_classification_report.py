"""The chapter on the classification report: its helper, its checks, its widget."""

import math
import warnings
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import classification_report
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset, TensorDataset
from traitlets import TraitError

from helpers.chapters.classification_report import ReportFromMatrix, check
from helpers.evaluation import collect_logits, predictions
from helpers.widgets.base import STATE_MIME

BOTH = [predictions, collect_logits]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def classes(count, high, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (count,), generator=generator)


def loader_of(*tensors, **options):
    return DataLoader(TensorDataset(*tensors), **({"batch_size": 4} | options))


# --- the helper: what it returns ------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 17), st.integers(2, 6), st.integers(0, 99))
def test_batches_change_nothing(samples, batch_size, count, seed):
    x, y = random(samples, 3, seed=seed), classes(samples, count, seed)
    model = nn.Linear(3, count)
    loader = loader_of(x, y, batch_size=batch_size)
    y_true, y_pred = predictions(model, loader)
    assert torch.equal(y_true, y)
    assert torch.equal(y_pred, model(x).argmax(dim=1))
    y_true, logits = collect_logits(model, loader)
    assert torch.equal(y_true, y)
    torch.testing.assert_close(logits, model(x).detach())


@pytest.mark.parametrize("shape", [(10,), (10, 1)], ids=["(B,)", "(B, 1)"])
@pytest.mark.parametrize("target_shape", [(10,), (10, 1)], ids=["y (B,)", "y (B, 1)"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_two_classes_are_told_apart_at_a_logit_of_0(shape, target_shape, dtype):
    x, y = random(10), classes(10, 2)
    loader = loader_of(x.reshape(shape), y.reshape(target_shape).to(dtype))
    y_true, y_pred = predictions(nn.Identity(), loader)
    assert torch.equal(y_true, y)
    assert torch.equal(y_pred, (x > 0).long())
    assert (y_true.dtype, y_pred.dtype) == (torch.int64, torch.int64)
    assert torch.equal(collect_logits(nn.Identity(), loader)[1], x)


def test_logit_of_exactly_0_is_class_0():
    batch = (torch.tensor([0.0, -1.0]), torch.tensor([0, 0]))
    assert predictions(nn.Identity(), [batch])[1].tolist() == [0, 0]


class Sum(nn.Module):
    def forward(self, *inputs):
        return sum(inputs)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_model_gets_every_input(count):
    inputs = [random(9, 3, seed=i) for i in range(count)]
    loader = loader_of(*inputs, classes(9, 3))
    assert torch.equal(predictions(Sum(), loader)[1], sum(inputs).argmax(dim=1))


def test_shuffled_loader_shuffles_both_together():
    y = classes(50, 2)
    x = y * 2.0 - 1  # so that every prediction is right
    generator = torch.Generator().manual_seed(3)
    loader = loader_of(x, y, shuffle=True, generator=generator)
    y_true, y_pred = predictions(nn.Identity(), loader)
    assert torch.equal(y_true, y_pred)
    assert not torch.equal(y_true, y)
    assert torch.equal(y_true.sort().values, y.sort().values)


def test_last_batch_of_one_is_a_batch():
    x, y = random(9, 3), classes(9, 3)
    assert len(predictions(nn.Linear(3, 3), loader_of(x, y))[0]) == 9
    y_true, y_pred = predictions(nn.Linear(3, 1), loader_of(x, y.clamp(max=1)))
    assert y_true.shape == y_pred.shape == (9,)


def test_loader_may_reuse_its_memory():
    y, x = torch.empty(2, dtype=torch.int64), torch.empty(2)

    def reusing():
        for start in (0, 1):
            y[:] = start
            x[:] = 2.0 * start - 1
            yield x, y

    assert [t.tolist() for t in predictions(nn.Identity(), reusing())] == [
        [0, 0, 1, 1]
    ] * 2
    assert collect_logits(nn.Identity(), reusing())[1].tolist() == [-1, -1, 1, 1]


def test_half_precision_logits_are_kept():
    loader = loader_of(random(6, 3).bfloat16(), classes(6, 3))
    assert collect_logits(nn.Identity(), loader)[1].dtype == torch.bfloat16
    assert len(predictions(nn.Identity(), loader)[1]) == 6


def test_workers_give_the_same():
    x, y = random(20, 3), classes(20, 3)
    here = predictions(nn.Identity(), loader_of(x, y))
    there = predictions(nn.Identity(), loader_of(x, y, num_workers=1))
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


# --- the helper: what it leaves alone -------------------------------------------------


class Moody(nn.Module):
    """Dropout, batch norm, and an error on request."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, 3)
        )
        self.fail_at, self.calls, self.seen = fail_at, 0, []

    def forward(self, x):
        self.calls += 1
        self.seen.append((torch.is_grad_enabled(), self.training))
        if self.calls == self.fail_at:
            raise RuntimeError("CUDA out of memory")
        return self.layers(x)


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("collect", BOTH)
@pytest.mark.parametrize("training", [True, False])
def test_every_submodule_keeps_its_own_mode(collect, training):
    model = Moody().train(training)
    model.layers[1].train(not training)
    before = modes(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    collect(model, loader_of(random(9, 3), classes(9, 3)))
    assert modes(model) == before
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.seen == [(False, False)] * 3
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("collect", BOTH)
def test_model_that_fails_gets_its_modes_back(collect):
    model = Moody(fail_at=2).train()
    model.layers[1].eval()
    before = modes(model)
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        collect(model, loader_of(random(9, 3), classes(9, 3)))
    assert modes(model) == before
    assert torch.is_grad_enabled()


def test_results_have_no_graph_and_can_be_trained_on():
    _, logits = collect_logits(nn.Linear(3, 3), loader_of(random(9, 3), classes(9, 3)))
    assert not logits.requires_grad
    temperature = torch.ones(1, requires_grad=True)
    (logits / temperature).sum().backward()  # an inference tensor would raise
    assert temperature.grad is not None


class Moves(TorchFunctionMode):
    """Records where tensors of ndim 2 are sent, and lets nothing leave the CPU."""

    def __init__(self):
        super().__init__()
        self.to = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.to:
            self.to.append((tuple(args[0].shape), args[1]))
            args = (args[0], torch.device("cpu"), *args[2:])
        return function(*args, **(kwargs or {}))


class OnGpu(nn.Linear):
    """A model that says it lies on a GPU: a stand-in where there is none."""

    def parameters(self, recurse=True):
        class There:
            device = torch.device("cuda", 0)

        return iter([There()])


def test_inputs_go_to_the_model_and_results_to_the_cpu_batch_by_batch():
    loader = [(random(2, 3), random(2, 3), classes(2, 4))] * 3

    class Two(OnGpu):
        def forward(self, a, b):
            return super().forward(a + b)

    with Moves() as moves:
        predictions(Two(3, 4), loader)
    cuda = torch.device("cuda", 0)
    one_batch = [((2, 3), cuda), ((2, 3), cuda), ((2, 4), "cpu"), ((2,), "cpu")]
    assert moves.to == one_batch * 3


class Forgetting(nn.Linear):
    """Counts the outputs of earlier batches that are still alive."""

    def __init__(self):
        super().__init__(3, 3)
        self.outputs, self.alive = [], []

    def forward(self, x):
        self.alive.append(sum(ref() is not None for ref in self.outputs))
        output = super().forward(x)
        self.outputs.append(weakref.ref(output))
        return output


@pytest.mark.parametrize("collect", BOTH)
def test_memory_of_a_device_does_not_grow_with_the_data(collect):
    model = Forgetting()
    collect(model, loader_of(random(40, 3), classes(40, 3)))
    assert model.alive == [0] * 10


# --- the helper: what it refuses ------------------------------------------------------


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


class Pairs(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return torch.zeros(3), i


def batch_of(y, rows=4):
    return [(random(rows, 3), y)]


Y = torch.tensor([0, 1, 2, 0])
GOOD = [(random(4, 3), Y)]
SAME = nn.Identity()
TWO_DEVICES = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, device="meta"))

BAD = [
    (lambda x: x, GOOD, TypeError, "model must be an nn.Module, got function. Put"),
    (TWO_DEVICES, GOOD, ValueError, "on one device, got cpu, meta. Move it"),
    (
        nn.Linear(3, 3, device="meta"),
        GOOD,
        ValueError,
        "model must hold data, got weights on the 'meta' device",
    ),
    (SAME, Pairs(), TypeError, "must yield batches, got Pairs. Wrap a data set"),
    (SAME, torch.zeros(3, 3), TypeError, "must yield batches, got Tensor"),
    (SAME, {"x": 1}, TypeError, "must yield batches, got dict"),
    (SAME, None, TypeError, "must yield batches, got NoneType"),
    (SAME, [], ValueError, "at least one batch, got none. Is the data set empty"),
    (
        SAME,
        loader_of(random(3, 3), Y[:3], drop_last=True),
        ValueError,
        "at least one batch, got none",
    ),
    (SAME, [Y], TypeError, r"batch 1: loader must yield tuples .* got Tensor. Give"),
    (SAME, [{"x": Y}], TypeError, "batch 1: loader must yield tuples .* got dict"),
    (SAME, [(Y,)], TypeError, "batch 1: loader must yield tuples .* got tuple of 1"),
    (SAME, [([1.0], Y)], TypeError, "input 1 must be a torch.Tensor, got list. Let"),
    (SAME, [(Y.float(), 3)], TypeError, "y must be a torch.Tensor, got int. Let Data"),
    (
        SAME,
        [(torch.zeros(4, 3, device="meta"), Y)],
        ValueError,
        "batch 1: input 1 must hold data, got a tensor on the 'meta' device. Pass",
    ),
    (SAME, batch_of(Y.to("meta")), ValueError, "y must hold data, got a tensor on"),
    (
        SAME,
        batch_of(torch.tensor(1)),
        ValueError,
        r"at least one sample, got shape \(\)",
    ),
    (SAME, batch_of(Y[:0], 0), ValueError, r"at least one sample, got shape \(0,\)"),
    (
        SAME,
        batch_of(Y[:3]),
        ValueError,
        r"one row for each target, got shape \(4, 3\) for 3 in y",
    ),
    (
        SAME,
        batch_of(torch.eye(4)),
        ValueError,
        r"y must hold one class for each of 4 samples.*got shape \(4, 4\).*argmax",
    ),
    (SAME, batch_of(Y + 0j), TypeError, "y must hold classes, got torch.complex64"),
    (SAME, batch_of(Y - 100), ValueError, "from 0 to 2, got -100 for sample 0. Leave"),
    (SAME, batch_of(Y + 1), ValueError, "classes from 0 to 2, got 3 for sample 2"),
    (SAME, batch_of(Y + 0.5), ValueError, "classes from 0 to 2, got 0.5 for sample 0"),
    (SAME, batch_of(Y * math.nan), ValueError, "classes from 0 to 2, got nan"),
    (
        Returns(lambda x: x[:, 0]),
        GOOD,
        ValueError,
        "from 0 to 1, got 2 for sample 2",
    ),
    (Returns(lambda x: (x, x)), GOOD, TypeError, "tensor of logits, got tuple. Use"),
    (
        Returns(lambda x: x.argmax(1)),
        GOOD,
        TypeError,
        "tensor of logits, got torch.int64",
    ),
    (
        Returns(lambda x: x.sum()),
        GOOD,
        ValueError,
        r"or \(B,\), one row for each target, got shape \(\) for 4",
    ),
    (
        Returns(lambda x: x[:, :1].squeeze()),
        [(random(1, 3), Y[:1])],
        ValueError,
        r"got shape \(\) for 1 in y. Write squeeze\(1\), not squeeze\(\)",
    ),
    (
        Returns(lambda x: x[:, None]),
        GOOD,
        ValueError,
        r"got shape \(4, 1, 3\).*flatten the positions",
    ),
    (Returns(lambda x: x[:, :0]), GOOD, ValueError, r"got shape \(4, 0\) for 4"),
    (
        Returns(lambda x: x.index_fill(0, torch.tensor(2), math.nan)),
        GOOD,
        ValueError,
        r"finite logits, got \[nan, nan, nan\] for sample 2. Look",
    ),
    (Returns(lambda x: x / 0), GOOD, ValueError, "finite logits, got .* for sample 0"),
    (
        Returns(lambda x: x[:, : len(x)]),
        [*GOOD, (random(2, 3), Y[:2])],
        ValueError,
        r"batch 2: model must return as many classes .* got rows of shape \(2,\)",
    ),
]


@pytest.mark.parametrize("collect", BOTH)
@pytest.mark.parametrize(("model", "loader", "error", "message"), BAD)
def test_bad_input_is_named_and_the_model_unharmed(
    collect, model, loader, error, message
):
    if isinstance(model, nn.Module):
        model.train()
    with pytest.raises(error, match=f"^{collect.__name__}: .*{message}"):
        collect(model, loader)
    assert not isinstance(model, nn.Module) or all(modes(model))


def test_a_later_batch_is_named():
    loader = [*GOOD, (random(4, 3), Y + 7)]
    with pytest.raises(ValueError, match="predictions: batch 2: y must hold classes"):
        predictions(SAME, loader)


def test_probabilities_are_warned_about():
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    loader = loader_of(random(9, 3), classes(9, 2))
    with pytest.warns(UserWarning, match="all 9 outputs lie between 0 and 1") as caught:
        _, y_pred = predictions(model, loader)
    assert y_pred.tolist() == [1] * 9
    assert caught[0].filename == __file__


@pytest.mark.parametrize("logits", [[[0.2, 0.8]], [[-0.1], [0.5]], [1.5, 0.5]])
def test_logits_are_not_warned_about(logits):
    logits = torch.tensor(logits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictions(SAME, [(logits, torch.zeros(len(logits)))])


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
        _, y_pred = predictions(SAME, [(logits, y)])
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
