"""The chapter on mixed precision: what it relies on, checks, widget."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from torch import nn
from traitlets import TraitError

from helpers.chapters.mixed_precision import LossScale, check
from helpers.mixed_precision import Bands, bands
from helpers.widgets.base import STATE_MIME

TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
SIZES = st.floats(2.0**-149, 2.0**100, width=32)

# --- what the chapter relies on ------------------------------------------------------


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
        ("order", ..., "not yet", "five letters"),
        ("order", 5, "hint", "write five letters, got 5"),
        ("order", [1, 2], "hint", r"write five letters, got \[1, 2\]"),
        ("order", "ABC", "hint", "each of A, B, C, D and E once, got 'ABC'"),
        ("order", "DBEAC", "hint", "B comes first"),
        ("order", "BEDAC", "hint", "thousands of times too large"),
        ("order", "BDAEC", "hint", "E must come before A"),
        ("order", "CBDEA", "hint", "C decides from what the step has found"),
        ("order", "b, d, e, a, c", "correct", "true gradients"),
        ("order", list("BDEAC"), "correct", "true gradients"),
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


# --- widget --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"gradients": {"made up": [0.5]}},
        {"exponent": 3.0},
        {"type": "bfloat16"},
        {"gradients": {"a": [1.0], "b": [2.0]}, "shown": "b"},
    ],
)
def test_digest_changes_with_whatever_is_shown(change):
    plain = LossScale(**({k: change[k] for k in change if k == "gradients"}))
    base = LossScale() if "shown" not in change else plain
    digests = [
        w._repr_mimebundle_()[0][STATE_MIME] for w in (base, LossScale(**change))
    ]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"gradients": {}}, TraitError, r"with one name or more, got \{\}"),
        ({"gradients": {"a": 3}}, TraitError, r"must be \{name: list of sizes\}"),
        (
            {"gradients": {"a": []}},
            TraitError,
            r"\['a'\] must be sizes above 0, got None",
        ),
        ({"gradients": {"a": [0]}}, TraitError, "above 0, got 0. Take abs"),
        ({"gradients": {"a": [math.nan]}}, TraitError, "above 0, got nan"),
        ({"gradients": {"a": [math.inf]}}, TraitError, "above 0, got inf"),
        ({"gradients": {"a": ["1"]}}, TraitError, "above 0, got '1'"),
        ({"shown": "b"}, TraitError, "shown must be one of made up, got 'b'"),
        ({"exponent": 33}, TraitError, r"exponent.* from -20 to 32, not the \w+ 33"),
        ({"exponent": math.nan}, TraitError, "exponent.*, not the float nan"),
        ({"type": "float8"}, TraitError, "type"),
        ({"scale": 2}, TypeError, "no setting 'scale'. It has: exponent, gradients"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        LossScale(**settings)


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
@pytest.mark.parametrize("power", [-20, -17, 0, 16, 27, 32, 2.5])
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


def test_readers_see_what_the_scale_does(chromium, address):
    page = chromium.new_page()
    page.goto(f"{address}notebooks/mixed_precision.html")
    widget = page.get_by_role("group", name="Loss scale explorer")
    widget.scroll_into_view_if_needed()
    news = widget.locator("[aria-live]").first
    slider = widget.get_by_role("slider", name="scale 2^")
    assert "become 0 in float16" in news.inner_text()
    slider.focus()
    for _ in range(27):
        page.keyboard.press("ArrowRight")
    assert "of 301 overflow in float16" in news.inner_text()
    page.keyboard.press("ArrowLeft")
    assert "overflow" not in news.inner_text()
    widget.get_by_role("radio", name="bfloat16").check()
    assert "✓ None becomes 0 or inf in bfloat16." in news.inner_text()
    widget.get_by_role("radio", name="step 1", exact=True).check()
    widget.get_by_role("radio", name="float16", exact=True).check()
    widget.get_by_role("button", name="no scaler").click()
    assert "✓ None becomes 0 or inf in float16." in news.inner_text()
    page.close()
