"""The chapter on checkpoints: its run, its checks, its widget."""

from __future__ import annotations

import io
import pickle
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from traitlets import TraitError

from helpers.chapters.checkpoint_format import CheckpointBytes, check, stage
from helpers.chapters.checkpoint_format.stage import DigitsRun
from helpers.widgets.base import STATE_MIME

# --- the run -------------------------------------------------------------------------


def test_digits_run_is_repeatable_and_learns():
    runs = [DigitsRun(seed=3) for _ in range(2)]
    losses = []
    for run in runs:
        torch.manual_seed(0)
        losses.append([run.train_epoch() for _ in range(2)])
    assert losses[0] == losses[1]
    assert runs[0].accuracy() == runs[1].accuracy() > 0.85
    assert runs[0].model.training
    assert runs[0].rates == [0.01, 0.01]
    assert (runs[0].epoch, runs[0].scheduler.last_epoch) == (2, 2)


# --- checks --------------------------------------------------------------------------

LETTERS = dict(zip(check.KEY, "BACDE", strict=True))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (LETTERS, "✓ Correct"),
        (dict.fromkeys(LETTERS, ...), "○ Not yet"),
        (..., "○ Not yet"),
        ({"80": "B"}, "✗ Hint: keep the dict with its five names"),
        (LETTERS | {"80 02 8a 0a": "D"}, "✗ Hint: 80 02 8a 0a: a pickle that begins"),
        (LETTERS | {"50 4b 03 04": "B"}, "✗ Hint: 50 4b 03 04: 50 4b are the letters"),
        (LETTERS | {"98 01 00 00": "E"}, "✗ Hint: 98 01 00 00: read it as a length"),
        (LETTERS | {"80 04 95 1c": "b"}, "✗ Hint: 80 04 95 1c: 80 is a pickle"),
        (LETTERS | {"76 65 72 73": "C"}, "✗ Hint: 76 65 72 73: these are letters"),
    ],
)
def test_formats_tells_right_from_wrong(answer, text):
    assert repr(check.formats(answer)).startswith(text)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (8, "✓ Correct"),
        (8.001, "✓ Correct"),
        (0.004, "✗ Hint: that is the column alone"),
        (4, "✗ Hint: a float64 has 8 bytes"),
        (1, "✗ Hint: that is how many numbers"),
        (8e6, "✗ Hint: in millions of bytes"),
        (16, "✗ Hint: 16 is too large"),
    ],
)
def test_megabytes_tells_right_from_wrong(answer, text):
    assert repr(check.megabytes(answer)).startswith(text)


def test_megabytes_is_what_torch_writes():
    file = io.BytesIO()
    torch.save(torch.zeros(500, 2000, dtype=torch.float64)[:, 0], file)
    assert repr(check.megabytes(file.tell() / 1e6)).startswith("✓ Correct")


def solution(checkpoint, **changes):
    safe = {
        "model": checkpoint["model"].state_dict(),
        "args": vars(checkpoint["args"]),
        "loss": float(checkpoint["loss"]),
        "history": torch.from_numpy(checkpoint["history"]),
        "path": str(checkpoint["path"]),
    }
    return safe | changes


def changed(checkpoint, change):
    return {k: change(v) for k, v in checkpoint["model"].state_dict().items()}


TENSORS = "✗ Hint: model: keep its state_dict(), with tensors as they are in it"
LOSS = "✗ Hint: loss: it was 0.25, and is now"
PAIR = torch.tensor([0.25, 0.25])
WEIGHT = {"weight": torch.zeros(1, 2), "bias": torch.zeros(1)}


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (solution, "✓ Correct: nothing is lost"),
        (lambda c: None, "○ Not yet"),
        (lambda c: c, "✗ Hint: the safe loader still refuses argparse.Namespace"),
        (lambda c: {"model": 1}, "✗ Hint: return a dict with the keys model, args"),
        (lambda c: 3, "✗ Hint: return a dict"),
        (lambda c: solution(c, path=lambda: 0), "✗ Hint: it cannot be saved"),
        (lambda c: solution(c, model=None), "✗ Hint: model: keep its state_dict"),
        (lambda c: solution(c, model=WEIGHT), "✗ Hint: model: keep its state_dict"),
        (lambda c: solution(c, args={}), "✗ Hint: args: keep the names and values"),
        (lambda c: solution(c, model=changed(c, torch.Tensor.tolist)), TENSORS),
        (lambda c: solution(c, model=changed(c, lambda t: t.to("meta"))), TENSORS),
        (lambda c: solution(c, model=changed(c, torch.Tensor.double)), TENSORS),
        (lambda c: solution(c, model=[1]), "✗ Hint: model: keep its state_dict"),
        (lambda c: solution(c, args={"lr": PAIR, "layers": 2}), "✗ Hint: args: keep"),
        (lambda c: solution(c, args=[("lr", 0.1)]), "✗ Hint: args: keep the names"),
        (lambda c: solution(c, loss=PAIR), f"{LOSS} Tensor tensor([0.2500, 0.2500])."),
        (lambda c: solution(c, loss=str(c["loss"])), f"{LOSS} str 0.25. Use float"),
        (lambda c: solution(c, loss=0.5), f"{LOSS} float 0.5"),
        (
            lambda c: solution(c, history=torch.from_numpy(c["history"]).to_sparse()),
            "✗ Hint: history: its numbers have changed, or how they are kept",
        ),
        (lambda c: solution(c, history=[0.75]), "✗ Hint: history: make it a tensor"),
        (
            lambda c: solution(c, history=torch.zeros(3, dtype=torch.float64)),
            "✗ Hint: history: its numbers have changed",
        ),
        (lambda c: solution(c, path=None), "✗ Hint: path: keep it as a text"),
        (lambda c: c["none"], "✗ Hint: <lambda> raised KeyError"),
        (5, "✗ Hint: pass the function itself, got int"),
    ],
)
def test_make_safe_tells_right_from_wrong(attempt, text):
    assert repr(check.make_safe(attempt)).startswith(text)


# --- what the widget records ---------------------------------------------------------


def test_recorded_verdicts_are_those_of_torch_and_safetensors():
    widget = CheckpointBytes()
    refused = dict(widget.refused)
    for name, value in stage.objects().items():
        for new in (True, False):
            file = io.BytesIO()
            torch.save({"v": value}, file, _use_new_zipfile_serialization=new)
            file.seek(0)
            try:
                torch.load(file)
                assert refused[name] == []
            except pickle.UnpicklingError:
                assert refused[name] != []
        try:
            save(value if isinstance(value, dict) else {"v": value})
            assert name in widget.held
        except (TypeError, ValueError):
            assert name not in widget.held


@pytest.mark.parametrize("name", stage.FORMATS)
def test_recorded_parts_cover_a_real_file(name):
    data = stage.tiny_files()[name]
    loaded = load(data) if name == "safetensors" else torch.load(io.BytesIO(data))
    assert {k: v.tolist() for k, v in loaded.items()} == {
        "weight": [1, 2],
        "bias": [0.5],
    }
    parts = CheckpointBytes().files[name]
    starts, ends = [p[0] for p in parts], [p[1] for p in parts]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == len(data)
    for start, end, _, role, shown in parts:
        assert bytes.fromhex(shown) == data[start:end][:64]
        assert role in ("program", "numbers", "frame")
    numbers = [data[p[0] : p[1]] for p in parts if p[3] == "numbers"]
    expected = [np.float32([1, 2]).tobytes(), np.float32([0.5]).tobytes()]
    assert sorted(numbers) == sorted(expected)


def test_recording_is_repeatable_and_leaves_the_seed_alone():
    before = torch.get_rng_state()
    first, second = CheckpointBytes(), CheckpointBytes()
    assert (first.files, first.refused) == (second.files, second.refused)
    assert torch.equal(before, torch.get_rng_state())


def test_program_parts_are_the_pickles():
    for name, parts in CheckpointBytes().files.items():
        programs = [p for p in parts if p[3] == "program"]
        assert len(programs) == {"zip": 1, "legacy": 5, "safetensors": 0}[name]
        assert all(bytes.fromhex(p[4])[:2] == b"\x80\x02" for p in programs)


# --- the widget ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"format": "legacy"}, {"region": 1}, {"chosen": ["set"]}]
)
def test_digest_changes_with_whatever_is_shown(change):
    states = [
        w._repr_mimebundle_()[0][STATE_MIME]
        for w in (CheckpointBytes(), CheckpointBytes(**change))
    ]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"format": "tar"}, TraitError, "format"),
        ({"region": 99}, TraitError, "region must be from 0 to 17 for zip, got 99"),
        ({"region": -1}, TraitError, "region must be from 0 to 17 for zip, got -1"),
        ({"chosen": ["tea"]}, TraitError, "chosen must be of model.state.* got 'tea'"),
        ({"files": {}}, TraitError, "files cannot be set: the widget makes it"),
        ({"refused": []}, TraitError, "refused cannot be set: the widget makes it"),
        ({"held": []}, TraitError, "held cannot be set: the widget makes it"),
        ({"bytes": 1}, TypeError, "no setting 'bytes'. It has: chosen, files"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        CheckpointBytes(**settings)


def test_front_end_s_verdict_is_the_safe_loader_s(front_end):
    widget, rng = CheckpointBytes(), random.Random(0)
    objects = stage.objects()
    picks = [rng.sample(list(objects), rng.randrange(4)) for _ in range(30)]
    arguments = [
        [name, chosen, widget.refused, widget.held]
        for name in ("zip", "safetensors")
        for chosen in picks
    ]
    code = "a.map((one) => m.verdict(...one))"  # one call of the page for all
    answers = front_end(CheckpointBytes, code, arguments)
    for chosen, by_zip, by_safetensors in zip(
        picks, answers[:30], answers[30:], strict=True
    ):
        file = io.BytesIO()
        torch.save({name: objects[name] for name in chosen}, file)
        file.seek(0)
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        assert by_zip == [not names, sorted(names)]
        held = set(chosen) <= set(widget.held)
        assert by_safetensors == [held, sorted(set(chosen) - set(widget.held))]


def test_front_end_s_rows_and_parts_are_those_of_the_file(front_end):
    data = bytes(range(250)) + b"ends"
    rows = front_end(CheckpointBytes, "m.hexRows(...a)", [data.hex(), 16])
    assert b"".join(bytes.fromhex(row[1]) for row in rows) == data
    assert [row[0] for row in rows] == list(range(16, 16 + len(data), 8))
    assert rows[4][2] == " !\"#$%&'"
    assert rows[-1] == [264, "f8 f9 65 6e 64 73", "··ends"]
    assert front_end(CheckpointBytes, "m.hexRows(...a)", ["", 0]) == []
    for parts in CheckpointBytes().files.values():
        for role in ("program", "numbers", "frame"):
            total = sum(p[1] - p[0] for p in parts if p[3] == role)
            assert front_end(CheckpointBytes, "m.bytesOf(...a)", [parts, role]) == total


@pytest.fixture
def explorer(mount):
    return mount(CheckpointBytes())


def test_explorer_by_keyboard_and_mouse(explorer):
    title, answer = explorer.locator(".ckpt strong"), explorer.locator(".ckpt-answer")
    assert title.inner_text() == "○ frame: zip header and padding of data.pkl"
    explorer.get_by_role("slider", name="Part").focus()
    explorer.keyboard.press("ArrowRight")
    assert title.inner_text().startswith("▲ program: data.pkl")
    assert "··ccolle" in explorer.locator("pre").inner_text()
    explorer.locator(".ckpt-strip rect").nth(9).click()
    assert title.inner_text() == "● numbers: data/0: numbers of one tensor"
    assert answer.inner_text() == "✓ torch.load opens it."
    explorer.get_by_label("np.float64").check()
    assert answer.inner_text().startswith("✗ torch.load refuses: numpy._core")
    explorer.get_by_label("safetensors").check()
    assert answer.inner_text() == "✗ safetensors holds tensors only, not: np.float64"
    assert explorer.evaluate("state.region") == 0
    explorer.get_by_role("button", name="Reset").click()
    assert explorer.evaluate("[state.format, state.chosen]") == [
        "zip",
        ["model.state_dict()"],
    ]
    wide = "document.documentElement.scrollWidth <= window.innerWidth"
    assert explorer.evaluate(wide)
