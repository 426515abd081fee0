"""The chapter on FLOPs and parameters: checks and widget."""

import random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from traitlets import TraitError

from helpers.chapters.flops_and_params import ConvCost, check
from helpers.widgets.base import STATE_MIME


def meta(build, *args, **kwargs):
    with torch.device("meta"):
        return build(*args, **kwargs)


# --- the checks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("macs", "params", "text"),
    [
        (442_368, 448, "✓ Correct"),
        (torch.tensor(442_368), 448.0, "✓ Correct"),
        (..., 448, "○ Not yet"),
        (442_368, None, "○ Not yet"),
        (884_736, 448, "✗ Hint: macs: that is FLOPs"),
        (147_456, 448, "✗ Hint: macs: each output sums over all 3"),
        (27_648, 448, "✗ Hint: macs: there are 16 output channels"),
        (432, 448, "✗ Hint: macs: that is for one place"),
        (388_800, 448, "✗ Hint: macs: with padding 1"),
        (458_752, 448, "✗ Hint: macs: leave out the bias"),
        (1, 448, "✗ Hint: macs: 1 is too small"),
        (442_368, 432, "✗ Hint: params: each output channel has a bias"),
        (442_368, 442_368, "✗ Hint: params: the weights are the same"),
        (442_368, 160, "✗ Hint: params: each of the 16 kernels"),
        (442_368, 1000, "✗ Hint: params: 1000 is too large"),
        ("many", 448, "✗ Hint: macs: pass one number, got str"),
        (float("nan"), 448, "✗ Hint: macs: pass a finite number, got nan"),
    ],
)
def test_conv_tells_right_from_wrong(macs, params, text):
    assert repr(check.conv(macs, params)).startswith(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1536, "✓ Correct"),
        (768, "✗ Hint: at N = d"),
        (384, "✗ Hint: that is the wrong way round"),
        (3072, "✗ Hint: that is where they cost twice"),
        (1, "✗ Hint: 1 is too small"),
    ],
)
def test_tokens_equal_tells_right_from_wrong(value, text):
    assert repr(check.tokens_equal(value)).startswith(text)


def cleaned(model, depth=10, names=("total_ops", "total_params")):
    for path, module in model.named_modules():
        if len(path.split(".")) <= depth:
            for name in names:
                module._buffers.pop(name, None)
    return model


def without_buffers(model):
    for module in model.modules():
        module._buffers.clear()
    return model


def scaled(model):
    cleaned(model).scale.mul_(2)
    return model


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (cleaned, "✓ Correct"),
        (lambda m: None, "○ Not yet"),
        (lambda m: cleaned(m).state_dict(), "✗ Hint: return the model itself, got Ord"),
        (lambda m: m, "✗ Hint: total_ops is still in the state dict"),
        (
            lambda m: cleaned(m, names=["total_ops"]),
            "✗ Hint: total_params is still in the state dict",
        ),
        (
            lambda m: (
                [m._buffers.pop(k, None) for k in ("total_ops", "total_params")] and m
            ),
            "✗ Hint: submodules have them too: inner.total_ops",
        ),
        (without_buffers, "✗ Hint: body.1.num_batches_tracked is gone"),
        (scaled, "✗ Hint: a value of the model has changed"),
        (lambda m: cleaned(m).eval(), "✗ Hint: the model was in train() mode"),
        (
            lambda m: m.__delattr__("total_ops") or cleaned(m),
            "✗ Hint: <lambda> raised AttributeError",
        ),
    ],
)
def test_clean_tells_right_from_wrong(attempt, text):
    assert repr(check.clean(attempt)).startswith(text)


# --- the widget ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"channels": 3}, TypeError, "no setting 'channels'. It has: c_in, c_out"),
        ({"c_in": 0}, TraitError, r"c_in.* from 1 to 512, not the \w+ 0"),
        ({"image": 225}, TraitError, r"image.* from 1 to 224, not the \w+ 225"),
        ({"kernel": 4}, TraitError, "kernel.* not the int 4"),
        ({"width": 100}, TraitError, "width.* not the int 100"),
        ({"groups": 3}, TraitError, "groups must divide .* got 3 for 64 and 64"),
        ({"groups": 4, "c_out": 6}, TraitError, "got 4 for 64 and 6"),
        ({"heads": 3}, TraitError, "heads"),
        ({"layer": "pool"}, TraitError, "layer"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ConvCost(**settings)


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "attention"},
        {"c_in": 6, "c_out": 9, "groups": 3},
        {"c_out": 9},
        {"kernel": 5},
        {"stride": 2},
        {"image": 9},
        {"tokens": 9},
        {"width": 64},
        {"heads": 16},
    ],
)
def test_digest_changes_with_whatever_is_shown(change):
    plain, changed = ConvCost(), ConvCost(**change)
    digests = [w._repr_mimebundle_()[0][STATE_MIME]["state"] for w in (plain, changed)]
    assert digests[0] != digests[1]


def flops_of(model, *inputs):
    with FlopCounterMode(display=False) as counter:
        result = model(*inputs)
    return counter.get_total_flops(), result


def test_convolution_in_the_page_agrees_with_flop_counter_mode(front_end):
    random.seed(0)
    for _ in range(60):
        groups = random.choice([1, 1, 2, 3, 8])
        s = {
            "c_in": groups * random.randint(1, 60),
            "c_out": groups * random.randint(1, 60),
            "kernel": random.choice([1, 3, 5, 7]),
            "stride": random.randint(1, 4),
            "groups": groups,
            "image": random.randint(1, 224),
        }
        ConvCost(**s)  # a setting that the widget accepts
        conv = meta(
            nn.Conv2d,
            s["c_in"],
            s["c_out"],
            s["kernel"],
            s["stride"],
            s["kernel"] // 2,
            groups=groups,
        )
        x = torch.zeros(1, s["c_in"], s["image"], s["image"], device="meta")
        flops, result = flops_of(conv, x)
        ours = front_end(ConvCost, "m.convolution(a)", s)
        assert ours == {
            "size": result.shape[-1],
            "macs": flops // 2,
            "flops": flops,
            "params": sum(p.numel() for p in conv.parameters()),
            "bytes": 4 * result.numel(),
        }


def test_attention_in_the_page_agrees_with_flop_counter_mode(front_end):
    random.seed(1)
    for _ in range(20):
        s = {
            "tokens": random.randint(1, 4096),
            "width": 64 * random.randint(1, 16),
            "heads": random.choice([1, 4, 16]),
        }
        ConvCost(**s)
        layer = meta(nn.MultiheadAttention, s["width"], s["heads"], batch_first=True)
        x = torch.zeros(1, s["tokens"], s["width"], device="meta")
        flops, (_, weights) = flops_of(
            lambda x, layer=layer: layer(x, x, x, average_attn_weights=False), x
        )
        parts = front_end(ConvCost, "m.attention(a)", s)
        both = {k: sum(p[k] for p in parts.values()) for k in parts["mixing"]}
        assert (both["flops"], 2 * both["macs"]) == (flops, flops)
        assert both["params"] == sum(p.numel() for p in layer.parameters())
        projected = nn.Linear(s["width"], s["width"], device="meta")
        assert 4 * flops_of(projected, x)[0] == parts["projections"]["flops"]
        assert parts["projections"]["bytes"] == 4 * 4 * x.numel()
        assert parts["mixing"]["bytes"] == 4 * (weights.numel() + x.numel())


def test_groups_follow_the_channels(front_end):
    cases = [[64, 64], [64, 63], [12, 5], [7, 6], [7, 9], [1, 1], [12, 1.9]]
    ours = front_end(ConvCost, "a.map(([n, limit]) => m.divisor(n, limit))", cases)
    assert ours == [64, 32, 4, 1, 7, 1, 1]
    assert front_end(ConvCost, "m.gcd(48, 36)", None) == 12
    shown = front_end(ConvCost, "a.map(m.whole)", [0, 999, 1000, 21_369_585_664])
    assert shown == ["0", "999", "1,000", "21,369,585,664"]
    units = front_end(ConvCost, "a.map((n) => m.unit(n)[1])", [1, 1e3, 2e6, 3e9, 4e12])
    assert units == ["ones", "thousands", "millions", "billions", "trillions"]


@pytest.fixture
def explorer(mount):
    return mount(ConvCost(), width=360)


def test_explorer_is_driven_by_keyboard(explorer):
    explorer.get_by_role("slider", name="Groups").press("End")
    assert explorer.evaluate("state.groups") == 64
    assert "1,806,336" in explorer.get_by_role("table").inner_text()  # a 64th
    explorer.get_by_role("slider", name="Channels in").press("ArrowLeft")
    assert explorer.evaluate("[state.c_in, state.groups]") == [63, 1]
    explorer.get_by_role("radio", name="attention").check()
    explorer.get_by_role("textbox", name="Tokens N, as a number").fill("512")
    assert "134,217,728" in explorer.get_by_role("table").inner_text()


def test_typed_number_between_two_steps_goes_to_the_step_below(explorer):
    explorer.get_by_role("textbox", name="Kernel, as a number").fill("6")
    assert explorer.evaluate("state.kernel") == 5
    explorer.get_by_role("textbox", name="Groups, as a number").fill("5")
    assert explorer.evaluate("state.groups") == 4
