"""helpers.mixed_precision: bands, and autocast without a GPU."""

import math
import pickle
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from helpers.mixed_precision import (
    AUTOCAST,
    Bands,
    _step_above_one,
    bands,
    dry_autocast,
)

TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
# The second, of a PyTorch that asks for a GPU, up to 2.9 and where there is none.
WAY_OUT = (
    r"dry_autocast: .* made inside .* Write nn.Linear\(3, 4, |"
    r"dry_autocast: .* got PyTorch 2\.[6-9]\..* and no GPU. Take PyTorch"
)
SIZES = st.floats(2.0**-149, 2.0**100, width=32)


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


def test_zeros_that_come_in_are_told():
    dead = bands(torch.zeros(100))
    assert (sum(dead), dead.already_zero) == (0, 100)
    assert repr(dead) == "Bands(zero=0, subnormal=0, normal=0, inf=0, already_zero=100)"
    assert repr(bands(torch.ones(1))) == "Bands(zero=0, subnormal=0, normal=1, inf=0)"
    assert pickle.loads(pickle.dumps(dead)).already_zero == 100


def test_rows_that_a_sparse_gradient_leaves_out_are_zero():
    layer = nn.Embedding(5, 2, sparse=True)
    layer(torch.tensor([1, 1])).sum().backward()
    found = bands(layer.weight.grad)
    assert (found, found.already_zero) == ((0, 0, 2, 0), 8)


# (type, its largest number, what is halfway to the next, its smallest normal one and
# its smallest one): OCP 8-bit floating point, and the variants that have no -0.
FLOAT8 = [
    (torch.float8_e5m2, 57344, 61440, 2.0**-14, 2.0**-16),
    (torch.float8_e4m3fn, 448, 464, 2.0**-6, 2.0**-9),
    (torch.float8_e5m2fnuz, 57344, 61440, 2.0**-15, 2.0**-17),
    (torch.float8_e4m3fnuz, 240, 248, 2.0**-7, 2.0**-10),
]


@pytest.mark.parametrize(("dtype", "largest", "halfway", "normal", "least"), FLOAT8)
def test_float8_has_its_bands_with_inf_nan_or_neither(
    dtype, largest, halfway, normal, least
):
    def band(size):
        found = bands(torch.tensor([-float(size)]), dtype)
        return next(name for name, count in found._asdict().items() if count)

    assert band(largest) == band(halfway * 0.999) == "normal"
    assert band(halfway * 1.001) == band(1e30) == "inf"
    assert (band(normal), band(normal * 0.7)) == ("normal", "subnormal")
    assert (band(least), band(least * 0.4)) == ("subnormal", "zero")


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16]
)
def test_step_above_one_is_pytorch_s(dtype):
    assert _step_above_one(dtype) == torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float8_e4m3fn])
def test_float8_gradients_can_be_looked_at(dtype):
    values = torch.tensor([0.0, -0.25, 2.0]).to(dtype)
    found = bands(values, torch.bfloat16)
    assert (found, found.already_zero) == ((0, 0, 2, 0), 1)


@pytest.mark.skipif(not hasattr(torch, "float4_e2m1fn_x2"), reason="PyTorch is older")
def test_two_numbers_in_a_byte_are_refused_with_a_type_that_works():
    with pytest.raises(
        TypeError, match="bands: dtype must hold one number in"
    ) as caught:
        bands(torch.ones(3), torch.float4_e2m1fn_x2)
    assert str(caught.value).endswith("Try torch.float8_e5m2.")
    assert bands(torch.ones(3), torch.float8_e5m2) == (0, 0, 3, 0)


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
    ],
    ids=["real layer", "moved", "real tensor"],
)
def test_what_is_real_or_moved_is_refused_with_the_way_out(use):
    layer, x, before = nn.Linear(3, 4), torch.ones(1, 3), autocast_state()
    with (
        pytest.raises(
            RuntimeError,
            match=WAY_OUT,
        ),
        dry_autocast("cuda", torch.float16),
    ):
        use(layer, x)
    assert autocast_state() == before
    assert layer(x).isfinite().all()


@pytest.mark.parametrize("move", [lambda m: m.cuda(), lambda m: m.to("cuda")])
def test_model_made_inside_is_moved_or_refused_with_the_way_out(move):
    """PyTorch swaps the weights if nothing else holds them, and else refuses to."""
    before, told = autocast_state(), ""
    try:
        with dry_autocast("cuda", torch.float16):
            moved = move(nn.Linear(3, 4)).weight.is_cuda
    except RuntimeError as error:
        moved, told = False, str(error)
    assert moved or re.search(WAY_OUT, told)
    assert autocast_state() == before


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
