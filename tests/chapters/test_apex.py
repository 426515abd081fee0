"""The chapter on apex: the migrated loop, the checks of its exercises, and its widget."""

import ast
import functools
import re
from unittest import mock

import nbformat
import pytest
import torch
import torch.nn.functional as F
from repository import ROOT
from torch import nn
from torch.nn.utils import clip_grad_norm_
from traitlets import TraitError

from helpers.chapters.apex import ApexDiff, check, loops
from helpers.chapters.apex.check import MISTAKES, _by_the_book
from helpers.notebook.data import digits

# --- the migrated loop ---------------------------------------------------------------


def test_new_loop_runs_and_trains():
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    x = torch.randn(40, 64, 8)
    loader = list(zip(x, x[..., :3].argmax(dim=-1), strict=True))
    names = {"torch": torch, "F": F, "clip_grad_norm_": clip_grad_norm_}
    names |= {"device": "cpu", "model": model, "loader": loader}
    exec(loops.new_loop(), names)
    predicted = model(x[0]).argmax(dim=1)
    assert (predicted == loader[0][1]).double().mean() > 0.8
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert names["state"]["scale"] == 2**16


def test_right_step_goes_on_after_an_overflow():
    cells = nbformat.read(ROOT / "notebooks/apex.ipynb", as_version=4).cells
    (step,) = [c.source for c in cells if "right" in c.metadata.get("tags", [])]
    model = nn.Sequential(nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    scaler = torch.amp.GradScaler("cpu")
    names = {"torch": torch, "F": F, "clip_grad_norm_": clip_grad_norm_}
    names |= {"device": "cpu", "model": model, "optimizer": optimizer, "scaler": scaler}
    names |= {"x": torch.rand(16, 8), "y": torch.arange(16) % 3}
    for size in (1.0, 1e4, 1.0, 1.0):
        exec(step, names | {"x": size * names["x"]})
    assert scaler.get_scale() == 2**15
    assert optimizer.state[model[0].weight]["step"] == 3


@pytest.mark.parametrize(("rate", "slower"), [(1e-4, True), (1e-2, False)])
def test_adamw_without_unscale_is_slow_in_a_larger_net_at_a_small_rate(rate, slower):
    losses = []
    for unscale in (True, False):
        torch.manual_seed(0)
        x, y, *_ = digits(0)
        net = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512))
        net.extend([nn.ReLU(), nn.Linear(512, 10)])
        optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=0.0)
        scaler = torch.amp.GradScaler("cpu")
        for rows in torch.randint(len(y), (84, 64)):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(net(x[rows]), y[rows])
            scaler.scale(loss).backward()
            if unscale:
                scaler.unscale_(optimizer)
            clip_grad_norm_(net.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
        losses.append(F.cross_entropy(net(x), y).item())
    assert (losses[1] > losses[0] + 0.1) == slower, losses


def test_every_line_of_the_old_loop_has_its_replacement():
    ast.parse(loops.old_loop())
    assert "apex" not in loops.new_loop()
    assert not re.search(
        r"\bamp\.(?!import)", loops.new_loop().replace("torch.amp", "")
    )
    for line in loops.LOOP:
        of_apex = re.search(r"apex|\bamp\b|Fused|scaled", line.old)
        assert line.new != line.old or not of_apex, line
        assert line.why.endswith(".")
    assert len({line.old for line in loops.LOOP}) == len(loops.LOOP)


# --- checks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (_by_the_book, "✓ Correct: weights and scale"),
        (lambda m, b: None, "○ Not yet"),
        (lambda m, b: m, "✗ Hint: return the scaler, got Sequential"),
        (lambda m, b: torch.amp.GradScaler("cpu"), "✗ Hint: the model has not changed"),
        (lambda m, b: 1 / 0, "✗ Hint: .* raised ZeroDivisionError"),
        (lambda m: m, "✗ Hint: <lambda> raised TypeError"),
        (3, "✗ Hint: pass the function itself, got int"),
        *[
            (
                lambda m, b, c=change: _by_the_book(m, b, **c),
                f"✗ Hint: {re.escape(text)}",
            )
            for change, text in MISTAKES
        ],
        (
            lambda m, b: _by_the_book(m, b[:6]),
            "✗ Hint: the weights are not those of a right loop",
        ),
    ],
)
def test_train_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.train(attempt)))


def both_in_one_backward(model, batches, joined=False):
    """Train as asked, with one backward pass for two batches."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for i in range(0, len(batches) - 1, 2):
        pair = batches[i : i + 2]
        if joined:
            pair = [tuple(map(torch.cat, zip(*pair, strict=True)))]
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = sum(F.cross_entropy(model(x), y) for x, y in pair) / len(pair)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
    return scaler


@pytest.mark.parametrize("joined", [False, True])
def test_train_accepts_two_batches_in_one_backward(joined):
    def attempt(model, batches):
        return both_in_one_backward(model, batches, joined)

    assert repr(check.train(attempt)).startswith("✓ Correct")


def halved(model, batches):
    model.half()
    return torch.amp.GradScaler("cpu")


def stepping_by_hand(model, batches):
    scaler = torch.amp.GradScaler("cpu")
    for p in model.parameters():
        p.data.fill_(float("nan"))
    return scaler


def updating_twice(model, batches):
    scaler = _by_the_book(model, batches)
    scaler.update(new_scale=7.0)
    return scaler


def never_clearing(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for i, (x, y) in enumerate(batches):
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y) / 2
        scaler.scale(loss).backward()
        if i % 2 == 1:
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
    return scaler


def fused_sgd(model, batches):
    made = functools.partial(torch.optim.SGD, fused=True)
    with mock.patch("torch.optim.SGD", made):
        return _by_the_book(model, batches)


def returning_nothing(model, batches):
    _by_the_book(model, batches)


def a_scaler_for_each_pair(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for i, (x, y) in enumerate(batches):
        scaler = torch.amp.GradScaler("cpu")
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y) / 2
        scaler.scale(loss).backward()
        if i % 2 == 1:
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    return scaler


def switched_off(model, batches):
    made = functools.partial(torch.amp.GradScaler, enabled=False)
    with mock.patch("torch.amp.GradScaler", made):
        return _by_the_book(model, batches)


def forgetting_update(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in batches:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.unscale_(optimizer)
    return scaler


def updating_each_batch(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in batches:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.update()
    return optimizer


def clearing_each_batch(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in batches:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        optimizer.zero_grad()
        scaler.step(optimizer)
    return scaler


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (halved, "the weights must stay in float32"),
        (stepping_by_hand, "the weights are nan. One step overflows"),
        (
            never_clearing,
            "the model has not changed.* or are the gradients never cleared",
        ),
        (fused_sgd, "leave fused=True away: where the first step is left out"),
        (
            switched_off,
            "the scaler is off, so nothing was scaled. Write torch.amp.GradScaler",
        ),
        (returning_nothing, "return the scaler, got NoneType"),
        (
            a_scaler_for_each_pair,
            "the weights are right, but the scale ends at 65536; with one scaler .* 32768",
        ),
        (updating_twice, "the weights are right, but the scale ends at 7"),
        (updating_each_batch, ".* Before update.. comes scaler.step"),
        (clearing_each_batch, ".* no gradients. Where are they cleared"),
        (
            forgetting_update,
            "forgetting_update raised RuntimeError: unscale_.. has already.*"
            " Unscale once for each step",
        ),
    ],
)
def test_train_has_a_hint_for(attempt, text):
    assert re.match(f"✗ Hint: {text}", repr(check.train(attempt)))


def test_exercise_s_batches_make_one_step_overflow():
    scaler = _by_the_book(check._model(), check._batches())
    assert scaler.get_scale() < 2**16


EACH = {"every": 1, "share": 1.0}


def half_ported(
    model, batches, unscale=False, by_scaler=False, update=False, limit=0.5, ends=True
):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), limit)
        if by_scaler:
            scaler.step(optimizer)
        else:
            optimizer.step()
        if update:
            scaler.update()
    return scaler if ends else None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "○ Not yet: the weights are nan"),
        ({"unscale": True, "update": True}, "○ Not yet: the weights are nan"),
        ({"unscale": True, "by_scaler": True, "update": True}, "✓ Correct"),
        (
            {"unscale": True, "by_scaler": True, "update": True, "ends": False},
            "✗ Hint: return the scaler, got NoneType",
        ),
        (
            {"unscale": True, "by_scaler": True, "update": True, "limit": 1.0},
            "✗ Hint: the weights are not those of a right loop. Check each of these",
        ),
        (
            {"by_scaler": True, "update": True},
            "✗ Hint: the gradients are clipped while they are still scaled",
        ),
        (
            {"unscale": True, "by_scaler": True},
            "✗ Hint: half_ported raised RuntimeError: unscale_() is being called after "
            "step(). Which call ends a step of the scaler?",
        ),
    ],
)
def test_train_clipped_tells_right_from_wrong(settings, text):
    attempt = functools.partial(half_ported, **settings)
    attempt.__name__ = "half_ported"
    assert repr(check.train_clipped(attempt)).startswith(text)


def clipped_while_scaled(model, batches):
    """Train as asked without unscale_: the limit is multiplied by the scale."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        clip_grad_norm_(model.parameters(), 0.5 * scaler.get_scale())
        scaler.step(optimizer)
        scaler.update()
    return scaler


def test_train_clipped_accepts_a_limit_at_the_gradients_scale():
    assert repr(check.train_clipped(clipped_while_scaled)).startswith("✓ Correct")


def test_train_clipped_accepts_the_loop_of_the_recipe():
    attempt = functools.partial(_by_the_book, **EACH)
    attempt.__name__ = "train"
    assert repr(check.train_clipped(attempt)).startswith("✓ Correct")


# --- widget --------------------------------------------------------------------------

LINES = ApexDiff().lines
STAY = [i for i, line in enumerate(loops.LOOP) if line.new == line.old]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"guess": [12]}, TraitError, r"from 0 to 11"),
        ({"guess": 3}, TraitError, "guess"),
        ({"lines": []}, TraitError, "lines cannot be set: the widget makes it"),
        ({"loop": 1}, TypeError, "no setting 'loop'. It has: guess, lines"),
    ],
)
def test_bad_setting_of_the_diff_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ApexDiff(**settings)


def test_page_tells_what_happens_to_each_line(front_end):
    fates = front_end(ApexDiff, "a.map(m.fate)", LINES)
    assert [i for i, fate in enumerate(fates) if fate == "stays"] == STAY
    assert fates.count("goes") == 1
    for guess, found, wrong in (([], 0, 0), (STAY, 2, 0), ([0, STAY[1]], 1, 1)):
        told = front_end(ApexDiff, "m.compare(...a)", [LINES, guess])
        assert told == {"stay": 2, "found": found, "wrong": wrong}


def test_port_is_hidden_until_the_reader_has_guessed(mount):
    page = mount(ApexDiff(), width=400)
    answers = page.locator(".apex-answer")
    assert not any(answer.is_visible() for answer in answers.all())
    height = page.locator(".mp").bounding_box()["height"]
    page.get_by_label("for x, y in loader").check()
    page.get_by_label("Line 1 stays").check()
    page.get_by_role("button", name="Show the port").press("Enter")
    told = "2 of 12 lines stay: you found 1, and ticked 1 that must change."
    assert page.inner_text("[aria-live]") == told
    assert all(answer.is_visible() for answer in answers.all())
    assert page.evaluate("window.state.guess") == [0, STAY[0]]
    assert page.locator(".mp").bounding_box()["height"] == height
    signs = page.locator(".apex-why").evaluate_all(
        "all => all.map(p => p.dataset.sign)"
    )
    assert [(i, sign) for i, sign in enumerate(signs) if sign] == [
        (0, "✗"),  # ticked, and changes
        (STAY[0], "✓"),
        (STAY[1], "✗"),  # stays, and was not ticked
    ]
    shown = answers.locator("code").all_text_contents()
    expected = [line.strip() for line in loops.new_loop().splitlines()]
    assert [text for text in shown if text != "(nothing)"] == expected
    page.get_by_role("button", name="Guess again").click()
    assert not answers.first.is_visible()
    assert not page.locator(".apex-why:not([data-sign=''])").count()


def test_diff_fits_a_narrow_phone(mount):
    page = mount(ApexDiff(guess=[]), width=320)
    wide = (
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert page.evaluate(wide)
