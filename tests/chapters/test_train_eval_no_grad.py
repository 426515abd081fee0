"""The chapter on modes: checks, widgets."""

import re

import nbformat
import pytest
import torch
from repository import ROOT
from torch import nn
from traitlets import TraitError

from helpers.chapters.train_eval_no_grad import ModeSwitchboard, check
from helpers.evaluation import (
    kept_for_backward,
)
from helpers.exercises.table_box import AnswerTable
from helpers.widgets.base import STATE_MIME

F64 = torch.float64


def chapter_model(dropout=0.5):
    hidden = nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(dropout)
    return nn.Sequential(*hidden, nn.Linear(64, 10)).double()


def modes_of(model):
    return [module.training for module in model.modules()]


# --- checks --------------------------------------------------------------------------

RIGHT = ["DMK", "DM", "DM", "DK", "D", "D"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        (None, "○ Not yet"),
        (RIGHT, "✓ Correct: two independent switches"),
        (["kmd", "md", "DM", "KD", "d", "D"], "✓ Correct"),
        (["D M K", "D, M", " DM", "D K", "D ", "D"], "✓ Correct"),
        (["DMK", ..., *RIGHT[2:]], "○ Not yet: train, no_grad: put a string"),
        (
            [*RIGHT[:3], "K", "", ""],
            "✗ Hint: eval, recorded, units drop: read the call",
        ),
        (
            ["DK", *RIGHT[1:]],
            "✗ Hint: train, recorded, mean moves: .* requires_grad",
        ),
        (
            ["DM", *RIGHT[1:]],
            "✗ Hint: train, recorded, bytes kept: .* The head does",
        ),
        (
            ["DMX", *RIGHT[1:]],
            "✗ Hint: train, recorded: write .* of D, M, K, got 'DMX'",
        ),
        ([3, *RIGHT[1:]], "✗ Hint: train, recorded: write .* got 3"),
        (RIGHT[:5], "✗ Hint: write a list of 6 strings"),
        ("DMK", "✗ Hint: write a list of 6 strings"),
    ],
)
def test_cells_tells_right_from_wrong(answer, text):
    assert re.match(text, repr(check.cells(answer)))


class Frozen(nn.Module):
    """Exercise 1's model."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())
        self.body.requires_grad_(False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        self.dropped = nn.functional.dropout(self.body(x) + 1, 0.5)
        return self.head(self.dropped)


def test_cells_answer_is_what_the_model_does():
    contexts = {"recorded": torch.enable_grad, "no_grad": torch.no_grad}
    contexts["inference_mode"] = torch.inference_mode
    for row, letters in check.cells.answer.items():
        mode, grad = row.split(", ")
        model = Frozen().train(mode == "train")
        before = model.body[1].running_mean.clone()
        with contexts[grad](), kept_for_backward(model) as kept_bytes:
            output = model(torch.rand(8, 64))
        found = "D" * bool((model.dropped == 0).any())
        found += "M" * (not torch.equal(before, model.body[1].running_mean))
        found += "K" * (kept_bytes() > 0)
        assert (row, found) == (row, letters)
        assert output.requires_grad == (grad == "recorded")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (44, "✓ Correct: 0.9⁴⁴ = 0.0097"),
        (43, "✗ Hint: nearly"),
        (43.7, "✗ Hint: nearly"),
        (10, "✗ Hint: 0.1 · 10 is 1"),
        (2, "✗ Hint: that is momentum 0.9"),
        (459, "✗ Hint: that is momentum 0.01"),
        (100, "✗ Hint: each step leaves 0.9"),
        (45, "✗ Hint: 45 is too large"),
        (20, "✗ Hint: 20 is too small"),
    ],
)
def test_steps_tells_right_from_wrong(answer, text):
    assert repr(check.steps(answer)).startswith(text)


def test_steps_are_those_of_batch_norm():
    for momentum, steps in ((0.1, 44), (0.01, 459), (0.9, 2)):
        norm = nn.BatchNorm1d(1, momentum=momentum, dtype=F64)
        count = 0
        while abs(norm.running_mean.item() - 5) > 0.05 + 1e-12:
            norm(torch.tensor([[4.0], [6.0]], dtype=F64))
            count += 1
        assert count == steps


def setting(*kinds, train=True):
    def set_modes(model):
        model.train(train)
        for module in model.modules():
            if isinstance(module, kinds):
                module.eval()
        return model

    return set_modes


def top_level_only(model):
    model.train()
    for child in model:
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            child.eval()
    return model


def changed_after(change):
    def set_modes(model):
        setting(nn.BatchNorm1d, nn.BatchNorm2d)(model)
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                change(module)
        return model

    return set_modes


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (setting(nn.BatchNorm1d, nn.BatchNorm2d), "✓ Correct: dropout drops"),
        (lambda model: None, "○ Not yet"),
        (
            lambda model: setting(*check.NORMS)(model) and None,
            "✗ Hint: .* return the model",
        ),
        (lambda model: model.train() and None, "✗ Hint: .* return the model"),
        (lambda model: model.eval() and None, "✗ Hint: .* return the model"),
        (setting(), r"✗ Hint: BatchNorm2d at '0.1' is in train\(\) mode"),
        (top_level_only, r"✗ Hint: BatchNorm2d at '0.1' is in train\(\)"),
        (setting(nn.BatchNorm2d), r"✗ Hint: BatchNorm1d at '1.2' is in train\(\)"),
        (
            setting(nn.BatchNorm1d, nn.BatchNorm2d, train=False),
            r"✗ Hint: the model itself \(Sequential\) is in eval\(\) mode",
        ),
        (
            setting(nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout),
            r"✗ Hint: Dropout at '1.3' is in eval\(\)",
        ),
        (lambda model: "done", "✗ Hint: return the model that you got, got str"),
        (
            changed_after(lambda m: m.requires_grad_(False)),
            "✗ Hint: leave requires_grad",
        ),
        (
            changed_after(lambda m: setattr(m, "track_running_stats", False)),
            "✗ Hint: keep track_running_stats",
        ),
        (
            changed_after(lambda m: m.reset_running_stats() or m.running_mean.add_(1)),
            "✗ Hint: the statistics are not the ones",
        ),
        (lambda model, x: model, "✗ Hint: <lambda> raised TypeError"),
        (nn.Linear(1, 1), "✗ Hint: your function raised"),
        ("train", "✗ Hint: pass the function itself, got str"),
    ],
)
def test_frozen_norms_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.train_with_frozen_norms(attempt)))


# --- widgets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"mode": "eval"}, {"grad": "no_grad"}, {"rows": 2}, {"history": [["eval", "no_grad", 8]]}],
)  # fmt: skip
def test_switchboard_s_digest_changes_with_whatever_is_shown(change):
    plain, changed = ModeSwitchboard(), ModeSwitchboard(**change)
    states = [w._repr_mimebundle_()[0][STATE_MIME] for w in (plain, changed)]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"mode": "test"}, TraitError, "mode"),
        ({"grad": True}, TraitError, "grad"),
        ({"rows": 1}, TraitError, r"rows.* from 2 to 64, not the \w+ 1"),
        ({"history": ["eval"]}, TraitError, "expected a tuple, not the str 'eval'"),
        (
            {"history": [["eval", "no", 8]]},
            TraitError,
            "inference_mode'], not the str 'no'",
        ),
        ({"history": [["eval", "no_grad", 65]]}, TraitError, "65"),
        ({"history": [["eval", "no_grad", True]]}, TraitError, "True"),
        (
            {"model": 1},
            TypeError,
            "no setting 'model'. It has: grad, history, mode, rows",
        ),
    ],
)
def test_bad_setting_of_the_switchboard_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ModeSwitchboard(**settings)


def test_switchboard_agrees_with_the_chapter_s_six_cells(front_end):
    path = ROOT / "notebooks" / "train_eval_no_grad.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    (text,) = (
        output.text
        for cell in cells
        for output in cell.get("outputs", [])
        if output.get("text", "").startswith("mode   gradients")
    )
    header, *rows = (re.split(r" {2,}", line.strip()) for line in text.splitlines())
    assert header[2:] == ["bytes kept", "units drop", "stats move", "requires_grad"]
    assert len(rows) == 6
    for mode, grad, *measured in rows:
        found = front_end(ModeSwitchboard, "m.replay([a])", [mode, grad, 32])
        told = [
            f"{found['kept']:,}",
            *(str(found[k]) for k in ("drops", "moves", "graph")),
        ]
        assert (mode, grad, told) == (mode, grad, measured)


@pytest.mark.parametrize("rows", [2, 7, 64])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_switchboard_s_bytes_are_torch_s(front_end, mode, rows):
    model = chapter_model().train(mode == "train")
    with kept_for_backward(model) as kept_bytes:
        output = model(torch.rand(rows, 64, dtype=F64))
    ours = front_end(ModeSwitchboard, "m.keptBytes(...a)", [mode, "recorded", rows])
    assert ours == kept_bytes()
    assert output.requires_grad


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [2, 5, 64])
def test_switchboard_normalises_as_torch_does(front_end, training, rows):
    norm = nn.BatchNorm1d(1, affine=False, dtype=F64).train(training)
    norm.running_mean.fill_(1.5)
    norm.running_var.fill_(3.0)
    values = torch.randn(rows, 1, dtype=F64) * 2 + 3
    argument = [values.flatten().tolist(), [1.5, 3.0], training]
    ours = front_end(ModeSwitchboard, "m.batchNorm(...a)", argument)
    assert ours["output"] == pytest.approx(norm(values).flatten().tolist(), abs=1e-6)
    statistics = [norm.running_mean.item(), norm.running_var.item()]
    assert ours["statistics"] == pytest.approx(statistics, abs=1e-6)


def test_switchboard_replays_a_history_as_torch_does(front_end):
    history = [
        ["train", "no_grad", 4],
        ["eval", "recorded", 9],
        ["train", "recorded", 2],
    ]
    norm = nn.BatchNorm1d(1, affine=False, dtype=F64)
    for run, (mode, _, rows) in enumerate(history):
        values = front_end(ModeSwitchboard, "m.batch(...a)", [run, rows])
        assert (len(values), values[0]) == (rows, 4)
        assert all(0 <= v <= 6 for v in values)
        first = norm.train(mode == "train")(torch.tensor(values, dtype=F64)[:, None])[0]
        found = front_end(ModeSwitchboard, "m.replay(a)", history[: run + 1])
        assert found["normed"] == pytest.approx(first.item(), abs=1e-6)
        assert found["after"][0] == pytest.approx(norm.running_mean.item(), abs=1e-6)
        kept = [2 * k if mode == "train" else 1 for k in found["mask"]]
        if mode == "eval":
            kept = [1] * 6
        assert found["units"] == pytest.approx(
            [k * first.item() for k in kept], abs=1e-6
        )


def test_switchboard_drops_half_of_the_units(front_end):
    masks = front_end(ModeSwitchboard, "a.map((run) => m.mask(run))", list(range(500)))
    assert torch.tensor(masks).double().mean().item() == pytest.approx(0.5, abs=0.03)


TICKS = [[letter in row for letter in "DMK"] for row in RIGHT]


def test_answer_table_gives_the_verdict_of_the_check(front_end):
    box = check.cells(...)
    assert isinstance(box, AnswerTable)
    names = ("rows", "columns", "answer", "praise", "hints")
    spec = {name: getattr(box, name) for name in names}
    assert box.answer == TICKS
    attempts = [TICKS, [[False] * 3] * 6, [[True] * 3] * 6]
    for i in range(6):
        for j in range(3):
            attempt = [list(row) for row in TICKS]
            attempt[i][j] = not attempt[i][j]
            attempts.append(attempt)
    argument = [attempts, spec]
    ours = front_end(AnswerTable, "a[0].map((t) => m.verdict(t, a[1]))", argument)
    letters = [
        ["".join(c for c, on in zip("DMK", row, strict=True) if on) for row in attempt]
        for attempt in attempts
    ]
    assert ours == [list(check.cells(answer)) for answer in letters]


def test_switchboard_is_worked_by_keyboard_and_tells_what_happened(mount):
    page = mount(ModeSwitchboard(), width=400)
    assert "No batch yet" in page.inner_text("[aria-live]")
    page.get_by_role("radio", name="recorded").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Run a batch").focus()
    page.keyboard.press("Enter")
    news = page.inner_text("[aria-live]")
    assert "Batch 1, 8 samples: train(), no_grad(). Running mean 0.00 →" in news
    assert "0 bytes kept" in news
    page.get_by_role("radio", name="eval()").check()
    page.get_by_role("button", name="Run a batch").click()
    assert "Batch 2" in page.inner_text("[aria-live]")
    assert "Running mean stays" in page.inner_text("[aria-live]")
    page.get_by_role("button", name="Reset").click()
    assert "No batch yet" in page.inner_text("[aria-live]")


def test_answer_table_is_ticked_by_name(mount):
    page = mount(check.cells(...), width=400)
    page.get_by_role("button", name="Check").click()
    assert "✗ Hint: train, recorded, units drop" in page.inner_text("[aria-live]")
    for row, letters in check.cells.answer.items():
        for letter, column in check.cells.columns.items():
            page.get_by_label(f"{row}: {column}").set_checked(letter in letters)
    page.get_by_role("button", name="Check").press("Enter")
    assert "✓ Correct" in page.inner_text("[aria-live]")
