"""The chapter on mixed precision: what it relies on, checks, widget."""

import base64
import gzip
import json
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from notebook_rules import Chapter
from repository import ROOT
from torch import nn

from helpers.chapters.mixed_precision import LossScale, ScalerTraining, check
from helpers.mixed_precision import Bands, bands, dry_autocast

TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
SIZES = st.floats(2.0**-149, 2.0**100, width=32)

# --- what the chapter relies on ------------------------------------------------------


def test_autocast_for_cuda_takes_the_wider_of_two_types():
    with dry_autocast("cuda", torch.float16):
        weight = torch.empty(4, 4, device="cuda")
        assert torch.dot((weight @ weight)[0], weight[0]).dtype == torch.float32


@pytest.mark.parametrize(
    ("unscale", "message"),
    [
        (True, "unscale_\\(\\) is being called after step\\(\\)"),
        (False, "step\\(\\) has already been called since the last update\\(\\)"),
    ],
)
def test_a_missing_update_is_an_error_at_the_next_batch(unscale, message):
    scaler = torch.amp.GradScaler("cpu")
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0)

    def step():
        optimizer.zero_grad()
        scaler.scale(weight.sum()).backward()
        if unscale:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)

    step()
    with pytest.raises(RuntimeError, match=message):
        step()


def test_adam_hides_that_scaled_gradients_are_clipped():
    moved = {}
    for make in (torch.optim.SGD, torch.optim.Adam):
        for unscale in (False, True):
            scaler = torch.amp.GradScaler("cpu")
            weight = nn.Parameter(torch.tensor([1.0]))
            optimizer = make([weight], lr=0.1)
            scaler.scale(weight.sum()).backward()
            if unscale:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_([weight], 1.0)
            scaler.step(optimizer)
            moved[make, unscale] = 1.0 - weight.item()
    assert moved[torch.optim.SGD, False] < 1e-4 * moved[torch.optim.SGD, True]
    assert moved[torch.optim.Adam, False] > 0.99 * moved[torch.optim.Adam, True]


def test_scaler_scales_on_the_cpu():
    scaler = torch.amp.GradScaler("cpu")
    assert scaler.is_enabled()
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler.scale(weight.sum()).backward()
    assert weight.grad.item() == 65536
    scaler.step(optimizer)
    assert weight.item() == 0
    (weight * math.inf).sum().backward()
    scaler.update()
    assert scaler.get_scale() == 65536


def test_recipe_trains_in_float16_too():
    chapter = Chapter.read(ROOT / "notebooks" / "mixed_precision.ipynb")
    ((_, given),), ((_, recipe),) = map(chapter.tagged, ("given", "recipe"))
    names = {}
    exec(given.source, names)
    before = names["model"][0].weight.clone()
    exec(recipe.source.replace("= torch.bfloat16", "= torch.float16"), names)
    assert names["scaler"].is_enabled()
    assert names["loss"].isfinite()
    assert not torch.equal(names["model"][0].weight, before)


# --- checks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exercise", "answer", "state", "text"),
    [
        ("smallest_scale", 4, "correct", "rounded up"),
        ("smallest_scale", 8, "hint", "a smaller one does too"),
        ("smallest_scale", 5.96, "hint", "a power of two, please"),
        ("smallest_scale", 8192, "hint", "normal number"),
        ("smallest_scale", 2, "hint", "nearer to 0"),
        ("smallest_scale", 3, "hint", "power of two"),
        ("smallest_scale", 0.5, "hint", "too small"),
        ("smallest_scale", 64, "hint", "too large"),
        ("scale", 512, "correct", "begins the next interval"),
        ("scale", 4096, "hint", "where it starts"),
        ("scale", 256, "hint", "Clean steps count too"),
        ("scale", 128, "hint", "they do not halve it"),
        ("scale", 1024, "hint", "each multiplies by 0.25; then one interval"),
        ("scale", 2048, "hint", "not by 0.5"),
        ("scale", 131072, "hint", "goes down"),
        ("scale", 9, "hint", "its exponent"),
        ("scale", 0, "hint", "too small"),
    ],
)
def test_check_answers(exercise, answer, state, text):
    verdict = getattr(check, exercise)(answer)
    assert verdict.state == state
    assert re.search(text, verdict.text)


@pytest.mark.parametrize("exercise", ["smallest_scale", "scale"])
def test_number_that_is_checked_is_torch_s(exercise):
    if exercise == "smallest_scale":
        found = 1
        while torch.tensor(1e-8 * found, dtype=torch.float16) == 0:
            found *= 2
    else:
        scaler = torch.amp.GradScaler(
            "cpu", init_scale=4096, backoff_factor=0.25, growth_interval=2
        )
        weight = nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([weight], lr=0.0)
        for factor in (math.inf, math.inf, 1.0, 1.0, 1.0):
            optimizer.zero_grad()
            scaler.scale(weight.sum() * factor).backward()
            scaler.step(optimizer)
            scaler.update()
        found = scaler.get_scale()
        assert weight.item() == 1
    assert getattr(check, exercise)(found).state == "correct"


def clip(model):
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def step_with(*order, zero=True, inside=False):
    """A training step that does these things, one after the other."""

    def train_step(model, optimizer, scaler, x, y):
        if zero:
            optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(x), y)
            if inside:
                scaler.scale(loss).backward()
        if not inside:
            scaler.scale(loss).backward()
        for each in order:
            {
                "unscale": lambda: scaler.unscale_(optimizer),
                "clip": lambda: clip(model),
                "step": lambda: scaler.step(optimizer),
                "plain step": optimizer.step,
                "update": scaler.update,
                "zero": optimizer.zero_grad,
            }[each]()

    return train_step


def in_float32(model, optimizer, scaler, x, y):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    clip(model)
    optimizer.step()


RIGHT = ("unscale", "clip", "step", "update")
NO_GRADIENTS = (
    "AssertionError: No inf checks were recorded for this optimizer. The step found no "
    "gradients. Where are they cleared?"
)


def with_type(dtype):
    """Return the right step, with autocast in this type, or none for float32."""

    def train_step(model, optimizer, scaler, x, y):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        # A limit at the size of the scaled gradients: as right as `unscale_` before it.
        nn.utils.clip_grad_norm_(model.parameters(), scaler.get_scale())
        scaler.step(optimizer)
        scaler.update()

    return train_step


def clearing_too_late(model, optimizer, scaler, x, y):
    scaler.scale(nn.functional.cross_entropy(model(x), y)).backward()
    optimizer.zero_grad()
    scaler.step(optimizer)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (step_with(*RIGHT), "✓ Correct"),
        (step_with(*RIGHT, inside=True), "✓ Correct"),
        (step_with(*RIGHT, "zero"), "✓ Correct"),
        (
            step_with("clip", "step", "zero", zero=False),
            "○ Not yet: the weights hardly",
        ),
        (step_with("clip", "step"), "○ Not yet: the weights hardly move"),
        (lambda *a: None, "○ Not yet: after a step the weights"),
        (step_with("clip", "step", "update"), "✗ Hint: the weights hardly move: which"),
        (
            step_with("unscale", "clip", "update", "step"),
            "✗ Hint: the weights hardly move: `update` is before `step`",
        ),
        (
            step_with("clip", "update", "step"),
            "✗ Hint: train_step raised AssertionError: No inf checks were recorded pr",
        ),
        (step_with("step", "update"), "✗ Hint: the gradient is not clipped"),
        (step_with("unscale", "step", "update"), "✗ Hint: the gradient is not clipped"),
        (step_with(*RIGHT, zero=False), "✗ Hint: the gradients of one step"),
        (step_with("unscale", "clip", "step"), "✗ Hint: the step is right, but the sc"),
        (step_with("plain step", "update"), "✗ Hint: train_step raised AssertionError"),
        (
            step_with("unscale", "clip", "plain step", "update"),
            "✗ Hint: a batch that ov",
        ),
        (step_with("plain step"), "✗ Hint: the weights move by scaled gradients"),
        (in_float32, "✗ Hint: the step is right, but no scaler"),
        (with_type(torch.float32), "✗ Hint: nothing overflows"),
        (with_type(torch.bfloat16), "✗ Hint: nothing overflows"),
        (with_type(torch.float16), "✓ Correct"),
        (clearing_too_late, f"✗ Hint: clearing_too_late raised {NO_GRADIENTS}"),
        (step_with("unscale", *RIGHT), "✗ Hint: train_step raised RuntimeError: unsc"),
        (3, "✗ Hint: pass the function itself"),
    ],
)
def test_train_step_tells_right_from_wrong(attempt, text):
    assert repr(check.train_step(attempt)).startswith(text)


# --- the explorer --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (2e-8, "under 0.01%"), (0.0219, "0.02%"), (54.47, "54.5%")],
)
def test_page_writes_a_share_without_a_power_of_ten(front_end, share, text):
    assert front_end(LossScale, "m.percent(a)", share) == text


def numbers() -> torch.Tensor:
    """Random float32 of all sizes, and what lies on and beside every edge."""
    generator = torch.Generator().manual_seed(0)
    powers = torch.randint(-149, 128, (3000,), generator=generator).double()
    random = (1 + torch.rand(3000, generator=generator).double()) * 2**powers
    edges = [2.0**-k for k in range(-127, 150)] + [65504, 65519.996, 65520, 3.4e38, 0]
    edges = torch.tensor(edges, dtype=torch.float64)
    ties = edges * (1 + 2.0**-11), edges * (1 + 2.0**-8), edges * (1 + 3 * 2.0**-8)
    return torch.cat([random, edges, *ties, -random]).float()


@pytest.mark.parametrize("name", TYPES)
def test_rounding_is_torch_s(front_end, name):
    values = numbers()
    values = values[values.isfinite()]
    argument = [values.double().tolist(), name]
    # Infinity would not survive the way back.
    ours = front_end(LossScale, "a[0].map((v) => String(m.round(v, a[1])))", argument)
    expected = values.to(TYPES[name]).double().tolist()
    assert [float(value) for value in ours] == expected


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("power", [-20, -17, 0, 16, 27, 32])
def test_counts_are_those_of_bands(front_end, name, power):
    sizes = numbers().abs()
    sizes = sizes[(sizes > 2.0**-100) & (sizes < 2.0**30)]
    found = front_end(LossScale, "m.counts(...a)", [sizes.tolist(), power, name])
    exact = bands(sizes, TYPES[name], 2.0**power)
    assert [found[band] for band in Bands._fields] == list(exact)
    lost = sizes[(sizes.double() * 2.0**power).to(TYPES[name]) == 0].double().sum()
    assert found["lost"] == pytest.approx(
        (lost / sizes.double().sum()).item(), rel=1e-6
    )


@given(st.lists(SIZES, min_size=1, max_size=30), st.integers(-20, 32))
@limits(max_examples=20)
def test_histogram_counts_powers_of_two(front_end, sizes, power):
    bins = front_end(LossScale, "m.histogram(...a)", [sizes, power, [-48, 24]])
    expected = [0] * 72
    for size in sizes:
        expected[max(0, min(71, math.frexp(size)[1] - 1 + power + 48))] += 1
    assert bins == expected


def test_half_is_lost_at_the_answer_of_the_explorer(front_end):
    sizes = torch.randn(500).abs().double() + 1e-6
    for name, dtype in TYPES.items():
        answer = front_end(LossScale, "m.halfLost(...a)", [sizes.tolist(), name])
        for exponent, more in ((answer, True), (answer + 1, False)):
            gone = (sizes * 2.0**exponent).to(dtype) == 0
            assert (sizes[gone].sum() / sizes.sum() >= 0.5) == more


def test_explorer_hides_the_limits_until_a_guess(mount):
    page = mount(LossScale())
    assert page.locator(".scale-zone").count() == 0
    assert "%" not in page.locator("table").inner_text()
    page.get_by_label("Loss × 2^, as a number").fill("-20")
    page.get_by_role("button", name="Lock my guess").click()
    assert page.locator(".scale-zone").count() == 2
    assert "Your guess: 2⁻²⁰." in page.locator("p").first.inner_text()
    box = page.locator(".mp-large").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 80)
    page.mouse.up()
    assert page.evaluate("window.state.exponent") > -20
    page.get_by_role("radio", name="bfloat16").check()
    assert page.locator(".scale-zone").count() == 0


# --- the live training ---------------------------------------------------------------

TRAIN = """(() => {
  const data = m.digits(a.data);
  return m.RUNS.map((run) => {
    const state = m.start(a.seed, run);
    const seen = () => [state.layers.map((l) => [[...l.weight], [...l.bias]]),
      state.scale, m.measure(state, data.test).loss, state.zeros];
    const steps = [seen()];
    for (let i = 0; i < 50; i++) {
      m.step(state, data.train, 2 ** a.exponent, run);
      steps.push(seen());
    }
    return steps;
  });
})()"""


def half(x):
    return x.half().double()


class Emulated:
    """The training of the page in float64, rounded to float16 where autocast does."""

    def __init__(self, layers, bits, scaler):
        self.layers = [[torch.tensor(p).double() for p in layer] for layer in layers]
        self.cast = half if bits else lambda x: x
        self.scaler, self.scale = scaler, 65536.0 if scaler else 1.0

    def logits(self, x, cast):
        hidden = cast(F.linear(x, *(cast(p) for p in self.layers[0])))
        hidden = hidden.relu()
        return hidden, cast(F.linear(hidden, *(cast(p) for p in self.layers[1])))

    def step(self, x, y, factor):
        hidden, logits = self.logits(x, self.cast)
        slopes = (logits.softmax(1) - F.one_hot(y, 10)) / len(y)
        sent = self.cast(slopes * factor * self.scale)
        below = self.cast(sent @ self.cast(self.layers[1][0])) * (hidden > 0)
        found = [
            [below.T @ x, below.sum(0)],
            [sent.T @ hidden, sent.sum(0)],
        ]
        found = [[self.cast(g) / self.scale for g in pair] for pair in found]
        finite = all(g.isfinite().all() for pair in found for g in pair)
        if self.scaler and not finite:
            self.scale /= 2
            return
        for layer, pair in zip(self.layers, found, strict=True):
            for parameter, gradient in zip(layer, pair, strict=True):
                parameter -= 0.5 / factor * gradient


@pytest.mark.parametrize(("seed", "exponent"), [(0, 0), (1, -12), (2, -17), (3, 12)])
def test_50_live_steps_are_those_of_torch_rounded_to_float16(front_end, seed, exponent):
    data = ScalerTraining().data
    parts = {}
    for name in ("train", "test"):
        pixels = torch.tensor([*map(float, data[f"{name}_pixels"].split())]).double()
        labels = torch.tensor([*map(int, data[f"{name}_labels"].split())])
        parts[name] = pixels.view(-1, 64) / 16, labels
    settings = {"data": data, "seed": seed, "exponent": exponent}
    runs = front_end(ScalerTraining, TRAIN, settings)
    kinds = [(False, False), (True, True), (True, False)]
    for ours, (bits, scaler) in zip(runs, kinds, strict=True):
        first = [
            [torch.tensor(w, dtype=torch.float64).view(len(b), -1), b]
            for w, b in ours[0][0]
        ]
        theirs = Emulated([], bits, scaler)
        theirs.layers = [[w, torch.tensor(b, dtype=torch.float64)] for w, b in first]
        for layers, scale, loss, _ in ours:
            assert scale == theirs.scale
            for layer, pair in zip(layers, theirs.layers, strict=True):
                for found, wanted in zip(layer, pair, strict=True):
                    found = [float("nan") if v is None else v for v in found]
                    np.testing.assert_allclose(
                        found, wanted.flatten().numpy(), rtol=1e-6, atol=1e-6
                    )
            _, logits = theirs.logits(parts["test"][0], lambda v: v)
            wanted = F.cross_entropy(logits, parts["test"][1]).item()
            np.testing.assert_allclose(loss, wanted, rtol=1e-6, atol=1e-6)
            theirs.step(*parts["train"], 2.0**exponent)


def test_emulation_rounds_where_autocast_does():
    """One real step of PyTorch in float16 on this CPU, up to the order of its sums."""
    torch.manual_seed(0)
    layers = nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10)
    model, x = nn.Sequential(*layers), torch.randint(0, 17, (32, 64)) / 16
    y = torch.randint(0, 10, (32,))
    ours = Emulated([], True, True)
    ours.layers = [
        [p.detach().double().clone() for p in layer.parameters()]
        for layer in (model[0], model[2])
    ]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(5):
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        ours.step(x.double(), y, 1.0)
    assert scaler.get_scale() == ours.scale
    wanted = [p for pair in ours.layers for p in pair]
    for parameter, expected in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.double(), expected, rtol=0, atol=2e-3)


def test_data_of_the_live_training_are_light():
    text = json.dumps(ScalerTraining().data)
    assert len(base64.b64encode(gzip.compress(text.encode()))) <= 30_000


TIME = """(() => {
  const data = m.digits(a);
  const states = m.RUNS.map((run) => m.start(0, run));
  return Array.from({ length: 50 }, () => {
    const from = performance.now();
    m.RUNS.forEach((run, i) => {
      m.step(states[i], data.train, 1, run);
      m.measure(states[i], data.test);
    });
    return performance.now() - from;
  });
})()"""


def test_live_training_makes_60_steps_a_second(front_end):
    """The three models together; the fastest step, since the machine may be busy."""
    milliseconds = front_end(ScalerTraining, TIME, ScalerTraining().data)
    assert min(milliseconds) < 1000 / 60


def test_live_training_shows_what_the_scaler_saves(mount):
    page = mount(ScalerTraining(exponent=-18))
    page.get_by_role("button", name="One step").click()
    assert "Step 1 of 100" in page.locator(".mp").inner_text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('Step 100 of 100')")
    cells = [r.locator("td").all_inner_texts() for r in page.locator("tbody tr").all()]
    assert cells[2][2] == "100%"
    assert float(cells[2][0]) > 2 > 1 > float(cells[1][0])
    page.get_by_role("button", name="Reset").click()
    assert "Step 0 of 100" in page.locator(".mp").inner_text()


def test_live_training_writes_a_few_zeros_without_a_power_of_ten(mount):
    page = mount(ScalerTraining(exponent=0, seed=1))
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('Step 100 of 100')")
    scaled = page.locator("tbody tr").nth(1)
    assert scaled.locator("td").nth(2).inner_text() == "0%"
