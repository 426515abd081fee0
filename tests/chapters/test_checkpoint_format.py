"""The chapter on checkpoints: its run, its checks, its widget."""

from __future__ import annotations

import io
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from traitlets import TraitError

from helpers.chapters.checkpoint_format import ResumedRun, check
from helpers.chapters.checkpoint_format.stage import DigitsRun
from helpers.chapters.checkpoint_format.widget import LEFT_OUT
from helpers.widgets.base import STATE_MIME

# --- the run -------------------------------------------------------------------------


def test_digits_run_is_repeatable_and_learns():
    runs = [DigitsRun(seed=3) for _ in range(2)]
    losses = []
    for run in runs:
        torch.manual_seed(0)
        losses.append([run.train_epoch() for _ in range(2)])
    assert losses[0] == losses[1]
    assert runs[0].distance(runs[1]) == 0
    assert losses[0][1] < losses[0][0]
    assert runs[0].rates == [0.01, 0.01]
    assert (runs[0].epoch, runs[0].scheduler.last_epoch) == (2, 2)


def test_digits_run_resumes_with_what_is_in_the_state():
    run = DigitsRun(seed=0)
    run.train_epoch()
    state = run.checkpoint()
    assert [*state] == [*run.parts, "epoch", "rng"]
    state = torch.load(io.BytesIO(_written(state)))
    run.train_epoch()
    for left_out, same in ((None, True), ("optimizer", False), ("rng", False)):
        other = DigitsRun(seed=0)
        other.resume({k: v for k, v in state.items() if k != left_out})
        other.train_epoch()
        assert (run.distance(other) == 0) == same


def _written(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


# --- checks --------------------------------------------------------------------------


def save(run, path):
    torch.save(DigitsRun.checkpoint(run), path)


def saving(*names):
    """Return a function that saves these parts of a run."""

    def save(run, path):
        torch.save(
            {k: v for k, v in DigitsRun.checkpoint(run).items() if k in names}, path
        )

    return save


def resume(run, path):
    DigitsRun.resume(run, torch.load(path, map_location="cpu"))


def resume_late(run, path):
    """Set the random state before the parts, which is as good."""
    state = torch.load(path)
    torch.set_rng_state(state.pop("rng"))
    DigitsRun.resume(run, state)


def train_before(run, path):
    resume(run, path)
    torch.rand(1)


def save_all_in_one(run, path):
    torch.save(
        {"run": run.parts["optimizer"].state_dict()} | DigitsRun.checkpoint(run), path
    )


def save_objects(run, path):
    torch.save(DigitsRun.checkpoint(run) | run.parts, path)


def replace(run, path):
    """Put the saved objects in the place of the run's own, and not into its parts."""
    state = torch.load(path, weights_only=False)
    for name in run.parts:
        setattr(run, name, state[name])
    run.epoch = state["epoch"]
    torch.set_rng_state(state["rng"])


def replace_and_name(run, path):
    replace(run, path)
    run.parts = {name: getattr(run, name) for name in run.parts}


EVERY = ["model", "optimizer", "scheduler", "scaler", "epoch", "rng"]


def but(name):
    return saving(*[each for each in EVERY if each != name])


RESUMES = [
    (
        saving("model", "epoch"),
        resume,
        "○ Not yet: after one more epoch the weights are",
    ),
    (saving("model", "scaler"), resume, "○ Not yet"),
    (
        lambda run, path: torch.save({}, path),
        resume,
        '✗ Hint: run.parts["model"] has other weights',
    ),
    (but("model"), resume, '✗ Hint: run.parts["model"] has other weights'),
    (save_objects, replace, '✗ Hint: run.parts["model"] has other weights'),
    (save_objects, replace_and_name, "✓ Correct"),
    (
        but("optimizer"),
        resume,
        "✗ Hint: the next epoch begins without AdamW's averages, and",
    ),
    (but("scheduler"), resume, "✗ Hint: the learning rate will fall in another epoch"),
    (but("scaler"), resume, "✗ Hint: the loss scale is not the saved one"),
    (but("epoch"), resume, "✗ Hint: it says epoch 0, and 3 are done"),
    (but("rng"), resume, "✗ Hint: dropout and the order of the samples"),
    (save, train_before, "✗ Hint: dropout and the order of the samples"),
    (lambda run, path: None, resume, "✗ Hint: your code raised FileNotFoundError"),
    (
        lambda run, path: torch.save(run, path),
        lambda run, path: torch.load(path),
        "✗ Hint: torch.load refuses the file: it holds more than numbers, texts",
    ),
    (save, lambda run: None, "✗ Hint: your code raised TypeError"),
    (save, resume, "✓ Correct: the next epoch is the same, bit for bit"),
    (save, resume_late, "✓ Correct"),
    (save_all_in_one, resume, "✓ Correct"),
    (
        lambda run, path: torch.save(run.checkpoint(), path),
        resume,
        "✗ Hint: your code raised RuntimeError: write what run.checkpoint() does",
    ),
    (
        save,
        lambda run, path: run.resume(torch.load(path)),
        "✗ Hint: your code raised RuntimeError: write what run.resume() does",
    ),
]


@pytest.mark.parametrize(("save", "resume", "text"), RESUMES)
def test_resumes_tells_right_from_wrong(save, resume, text):
    assert repr(check.resumes(save, resume)).startswith(text)


def test_resumes_leaves_the_reader_s_random_numbers_alone():
    torch.manual_seed(3)
    check.resumes(save, resume)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after == torch.rand(1)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (8, "✓ Correct"),
        (8.001, "✓ Correct"),
        (0.004, "✗ Hint: that is the column alone"),
        (4, "✗ Hint: a float64 has 8 bytes"),
        (1, "✗ Hint: that is how many numbers"),
        (8e6, "✗ Hint: that is in bytes. Give it in millions of bytes"),
        (7.63, "✗ Hint: that is in MiB"),
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
LOSS = "✗ Hint: loss: it was 0.3333333333333333, and is now"
PAIR = torch.tensor([0.25, 0.25])


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
        (lambda c: solution(c, model=changed(c, torch.zeros_like)), TENSORS),
        (
            lambda c: solution(c, model=dict(c["model"].named_parameters())),
            "✗ Hint: model: keep its state_dict(), with all weights and buffers.",
        ),
        (lambda c: solution(c, args={}), "✗ Hint: args: keep the names and values"),
        (lambda c: solution(c, model=changed(c, torch.Tensor.tolist)), TENSORS),
        (lambda c: solution(c, model=changed(c, lambda t: t.to("meta"))), TENSORS),
        (lambda c: solution(c, model=changed(c, torch.Tensor.double)), TENSORS),
        (lambda c: solution(c, model=[1]), "✗ Hint: model: keep its state_dict"),
        (lambda c: solution(c, args={"lr": PAIR, "layers": 2}), "✗ Hint: args: keep"),
        (lambda c: solution(c, args=[("lr", 0.1)]), "✗ Hint: args: keep the names"),
        (lambda c: solution(c, loss=PAIR), f"{LOSS} Tensor tensor([0.2500, 0.2500])."),
        (
            lambda c: solution(c, loss=str(c["loss"])),
            f"{LOSS} str 0.3333333333333333. Use float",
        ),
        (lambda c: solution(c, loss=0.5), f"{LOSS} float 0.5"),
        (lambda c: solution(c, loss=round(float(c["loss"]), 2)), f"{LOSS} float 0.33"),
        (lambda c: solution(c, loss=c["loss"].item()), "✓ Correct"),
        (lambda c: solution(c, loss=torch.tensor(c["loss"])), "✓ Correct"),
        (lambda c: solution(c, loss=torch.Tensor([c["loss"]])), f"{LOSS} Tensor"),
        (
            lambda c: solution(c, history=torch.Tensor(c["history"]).double()),
            "✗ Hint: history: its numbers have changed",
        ),
        (lambda c: solution(c, history=torch.tensor(c["history"])), "✓ Correct"),
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


def test_safe_loader_takes_the_states_that_the_chapter_names():
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state, random.getstate()
    numbers, loaded = generator.random(3), torch.load(io.BytesIO(_written(state)))
    generator.bit_generator.state, python = loaded
    random.setstate(python)
    assert numbers.tolist() == generator.random(3).tolist()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(io.BytesIO(_written(np.random.get_state())))


# --- the widget ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs():
    return ResumedRun().runs


def test_recorded_runs_are_what_a_checkpoint_does(runs):
    whole = DigitsRun(0)
    losses = [whole.train_epoch() for _ in range(4)]
    state = whole.checkpoint()
    file = _written(state)
    losses += [whole.train_epoch() for _ in range(4)]
    assert runs["whole"] == [round(loss, 3) for loss in losses]
    assert runs["resumed"]["1111"][:3] == [runs["whole"][4:], 0, True]
    assert runs["resumed"]["1111"][3] == round(len(file) / 1000, 1)
    for chosen, (curve, gap, same, kilobytes) in runs["resumed"].items():
        taken = dict(zip(LEFT_OUT, chosen, strict=True))
        enough = all(taken[name] == "1" for name in ("optimizer", "scheduler", "rng"))
        assert same == (gap == 0) == enough
        assert (curve == runs["whole"][4:]) == enough
        parts = ["model", *(name for name, one in taken.items() if one == "1")]
        added = sum(runs["kilobytes"][name] for name in parts)
        assert added == pytest.approx(kilobytes, abs=0.15)  # as they are shown
    assert len(runs["resumed"]) == 2 ** len(LEFT_OUT)
    assert runs["kilobytes"]["optimizer"] == pytest.approx(
        2 * runs["kilobytes"]["model"], rel=0.05
    )


def test_recording_leaves_the_seed_alone():
    before = torch.get_rng_state()
    ResumedRun()
    assert torch.equal(before, torch.get_rng_state())


def test_recording_is_light_and_fits_the_plot(runs):
    assert len(str(runs)) < 3000
    curves = [runs["whole"][3:], *(curve for curve, *_ in runs["resumed"].values())]
    assert 0.25 < min(map(min, curves)) < max(map(max, curves)) < 0.65


@pytest.mark.parametrize(
    "change", [{"optimizer": True}, {"rng": True}, {"guess": "same"}]
)
def test_digest_changes_with_whatever_is_shown(change):
    states = [
        w._repr_mimebundle_()[0][STATE_MIME]
        for w in (ResumedRun(), ResumedRun(**change))
    ]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"guess": "maybe"}, TraitError, "guess"),
        ({"scaler": "yes"}, TraitError, "scaler"),
        ({"runs": {}}, TraitError, "runs cannot be set: the widget makes it"),
        (
            {"model": True},
            TypeError,
            "no setting 'model'. It has: guess, optimizer, rng",
        ),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ResumedRun(**settings)


def test_front_end_finds_the_run_of_each_choice(front_end, runs):
    choices = list(itertools.product([False, True], repeat=len(LEFT_OUT)))
    taken = [dict(zip(LEFT_OUT, choice, strict=True)) for choice in choices]
    found = front_end(
        ResumedRun,
        "a.taken.map((t) => m.resumed(a.runs, t))",
        {"taken": taken, "runs": runs},
    )
    for choice, ours in zip(choices, found, strict=True):
        name = "".join(str(int(one)) for one in choice)
        assert list(ours.values()) == runs["resumed"][name]


def test_resumed_run_answers_once_the_reader_has_guessed(mount, runs):
    page = mount(ResumedRun())
    shown = page.locator(".mp").inner_text
    assert "✓" not in shown()
    assert "✗" not in shown()
    assert page.locator("path.mp-curve").count() == 1
    page.get_by_label("the same bits").check()
    gap = runs["resumed"]["0000"][1]
    assert f"✗ Wrong: they end {gap:.2f} apart." in shown()
    page.get_by_label("other weights").check()
    assert f"✓ Right: they end {gap:.2f} apart. Last loss" in shown()
    assert page.locator("path.mp-pitfall").count() == 1
    for name in ("optimizer", "scheduler", "random state"):
        page.get_by_label(name).focus()
        page.keyboard.press("Space")
    assert page.evaluate("[state.guess, state.rng]") == [None, True]
    assert "✗" not in shown()
    page.get_by_label("other weights").check()
    assert "✗ Wrong: they end the same, bit for bit." in shown()
    page.get_by_label("the same bits").check()
    assert "✓ Right: they end the same, bit for bit." in shown()
    assert page.get_by_label("model").is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("width", [320, 360])
def test_resumed_run_keeps_its_height(mount, width):
    page = mount(ResumedRun(), width=width)
    box = page.locator(".mp")
    before = box.bounding_box()["height"]
    for name in (None, "optimizer", "scheduler", "random state"):
        if name:
            page.get_by_label(name).check()
        for guess in ("the same bits", "other weights"):
            page.get_by_label(guess).check()
            assert box.bounding_box()["height"] == before
