"""The chapter on mixed precision: bands, dry autocast, checks, widget."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from traitlets import TraitError

from helpers.chapters.mixed_precision import LossScale, check
from helpers.mixed_precision import AUTOCAST, Bands, bands, dry_autocast
from helpers.widgets.base import STATE_MIME

TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
SIZES = st.floats(2.0**-149, 2.0**100, width=32)

# --- bands ---------------------------------------------------------------------------


@given(st.lists(SIZES, max_size=20), st.integers(-40, 40), st.sampled_from([*TYPES]))
def test_bands_agree_with_numbers_one_by_one(sizes, power, name):
    dtype = TYPES[name]
    expected = [0, 0, 0, 0]
    for size in sizes:
        rounded = torch.tensor(size * 2.0**power, dtype=torch.float64).to(dtype).item()
        normal = rounded >= torch.finfo(dtype).smallest_normal
        at = 0 if rounded == 0 else 3 if rounded == math.inf else 1 + normal
        expected[at] += 1
    assert bands(torch.tensor(sizes), dtype, 2.0**power) == tuple(expected)


def test_bands_look_at_sizes_of_any_shape_and_leave_zeros_out():
    values = torch.tensor([[-1.0, 0.0], [1e-6, -1e6]], requires_grad=True)
    assert bands(values) == Bands(zero=0, subnormal=1, normal=1, inf=1)
    assert bands(torch.zeros(3)) == bands(torch.tensor([])) == (0, 0, 0, 0)


def test_scale_is_applied_before_the_type_is_narrowed():
    halves = torch.tensor([6e-8, 1.0], dtype=torch.float16)
    assert bands(halves, torch.bfloat16, 2.0**20) == (0, 0, 2, 0)


def test_output_s_gradients_foretell_what_float16_loses_and_the_weights_do_not():
    def gradients(dtype):
        torch.manual_seed(0)
        model = nn.Linear(64, 10)
        x, y = torch.rand(1000, 64), torch.arange(1000) % 10
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = model(x)
        logits.retain_grad()
        (1e-5 * F.cross_entropy(logits.float(), y)).backward()
        return logits.grad, model.weight.grad

    logits, weights = gradients(torch.float32)
    assert bands(logits).zero == logits.numel()
    assert bands(weights).zero < weights.numel()
    assert all((found == 0).all() for found in gradients(torch.float16))


def test_float32_itself_loses_nothing():
    assert bands(torch.tensor([1e-44, 1e38]), torch.float32) == (0, 1, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ([1.0],),
            TypeError,
            r"values must be a floating-point tensor, got list. .* pass logits\.grad",
        ),
        ((torch.tensor([1]),), TypeError, "got torch.int64"),
        (
            (torch.ones(1), torch.int8),
            TypeError,
            "dtype must be .* got torch.int8. Try",
        ),
        ((torch.ones(1), "half"), TypeError, "dtype must be .* got half"),
        ((torch.ones(1), torch.float16, 0), ValueError, "scale must be .* got 0. Try"),
        ((torch.ones(1), torch.float16, math.inf), ValueError, "positive .* got inf"),
        ((torch.ones(1), torch.float16, math.nan), ValueError, "positive .* got nan"),
        ((torch.ones(1), torch.float16, "1"), ValueError, "positive .* got 1"),
        (
            (torch.tensor([1, math.inf, math.nan]),),
            ValueError,
            "values must be finite, got 2 that are inf or nan. They overflowed before",
        ),
    ],
)
def test_bad_input_of_bands_is_named(arguments, error, message):
    with pytest.raises(error, match=f"bands: .*{message}"):
        bands(*arguments)


# --- dry_autocast --------------------------------------------------------------------

OPERATIONS = [
    lambda h: h,
    F.relu,
    torch.sum,
    lambda h: h.softmax(dim=1),
    lambda h: F.layer_norm(h, (4,)),
    lambda h: F.cross_entropy(h, h.argmax(dim=1)),
    lambda h: torch.cat([h, torch.ones_like(h, dtype=torch.float32)]),
]


@pytest.mark.parametrize("dtype", AUTOCAST, ids=str)
def test_dry_run_picks_what_a_real_run_picks(dtype):
    def picked():
        weight = torch.ones(4, 4)
        return [operation(weight @ weight).dtype for operation in OPERATIONS]

    with dry_autocast("cpu", dtype):
        dry = picked()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        assert dry == picked()


def test_cuda_has_its_own_rules_and_needs_no_gpu():
    with dry_autocast("cuda", torch.bfloat16):
        weight = torch.empty(4, 4, device="cuda")
        types = [operation(weight @ weight).dtype for operation in OPERATIONS]
    assert types[:2] == [torch.bfloat16] * 2
    assert types[2:] == [torch.float32] * 5


def autocast_state():
    return [
        (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        for device in ("cpu", "cuda")
    ]


def test_refusal_is_raised_and_everything_put_back():
    before = autocast_state()

    def refused():
        with dry_autocast("cuda", torch.float16):
            h = torch.empty(3, device="cuda")
            nn.BCELoss()(torch.sigmoid(h), h)

    with pytest.raises(RuntimeError, match="BCELoss are unsafe to autocast"):
        refused()
    assert autocast_state() == before
    assert torch.ones(1).sum() == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda layer, x: layer(torch.empty(1, 3)),
        lambda layer, x: layer.cuda(),
        lambda layer, x: x.cuda(),
        lambda layer, x: nn.Linear(3, 4).cuda(),
        lambda layer, x: nn.Linear(3, 4).to("cuda"),
    ],
    ids=["real layer", "moved", "real tensor", "made inside, then moved", "the same"],
)
def test_what_is_real_or_moved_is_refused_with_the_way_out(use):
    layer, x, before = nn.Linear(3, 4), torch.ones(1, 3), autocast_state()
    with (
        pytest.raises(
            RuntimeError,
            match=r"dry_autocast: .* made inside .* Write nn.Linear\(3, 4, ",
        ),
        dry_autocast("cuda", torch.float16),
    ):
        use(layer, x)
    assert autocast_state() == before
    assert layer(x).isfinite().all()


def test_other_errors_inside_pass_unchanged():
    with (
        pytest.raises(AssertionError, match=r"^mine$"),
        dry_autocast("cpu", torch.float16),
    ):
        raise AssertionError("mine")


def test_real_layer_is_unharmed_by_a_dry_run_before_it():
    layer = nn.Linear(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        outer = layer(torch.ones(1, 3))
        with dry_autocast("cpu", torch.float16):
            dry = torch.empty(1, 3) @ torch.empty(3, 3)
        assert dry.dtype == torch.float16
        assert torch.equal(layer(torch.ones(1, 3)), outer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tpu", torch.float16), "device must be one of cpu, cuda, got 'tpu'"),
        (
            ("cpu", torch.float64),
            "dtype must be one of torch.float16, .* torch.float64",
        ),
        (("cpu", "half"), "dtype must be .* got half"),
    ],
)
def test_bad_input_of_dry_autocast_is_named(arguments, message):
    with (
        pytest.raises(ValueError, match=f"dry_autocast: {message}"),
        dry_autocast(*arguments),
    ):
        pass


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
