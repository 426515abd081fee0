"""The chapter on FLOPs and parameters: checks and widget."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from traitlets import TraitError

from helpers.chapters.flops_and_params import LayerCost, check
from helpers.flops import count_macs
from helpers.widgets.base import STATE_MIME

# --- what the chapter relies on ------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
        nn.LSTM(64, 64),
        nn.GRU(64, 64),
    ],
    ids=lambda model: type(model).__name__,
)
def test_the_meta_device_has_no_fused_kernels(model):
    tokens = torch.rand(1, 16, 64)
    macs = count_macs(model.eval(), tokens).macs
    assert counted(model.to("meta"), tokens.to("meta")) == macs > 0


def test_element_wise_work_is_a_quarter_in_a_narrow_mobile_network():
    from torchvision.models import mobilenet_v2

    with torch.device("meta"):
        model, x = mobilenet_v2(width_mult=0.25).eval(), torch.rand(1, 3, 224, 224)
    macs = counted(model, x)
    assert by_thop(model, x) / macs - 1 == pytest.approx(0.245, abs=5e-4)


def test_a_causal_mask_is_counted_as_if_there_were_none():
    q = torch.rand(1, 1, 128, 64)
    mix = nn.functional.scaled_dot_product_attention
    assert counted(lambda q: mix(q, q, q, is_causal=True), q) == 2 * 128**2 * 64


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
        (442_368.25, 448, "✗ Hint: macs: 442368.25 is too large"),
        (448, 442_368, "✗ Hint: macs: that is the number of parameters"),
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
        (1536.4, "✗ Hint: 1536.4 is too large"),
    ],
)
def test_tokens_equal_tells_right_from_wrong(value, text):
    assert repr(check.tokens_equal(value)).startswith(text)


def counted(model, x):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() / 2


def by_thop(model, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses distutils
        from thop import profile
    return profile(model, (x,), verbose=False)[0]


def of_a_copy(count):
    return lambda model, x: count(copy.deepcopy(model).eval(), x)


def per_image(count):
    return lambda model, x: count(model, x) / len(x)


def always_back_to_train(model, x):
    macs = per_image(counted)(model.eval(), x)
    model.train()
    return macs


def back_to_its_mode(model, x):
    was_training = model.training
    macs = per_image(counted)(model.eval(), x)
    model.train(was_training)
    return macs


def each_layer_back_to_its_mode(model, x):
    modes = {module: module.training for module in model.modules()}
    macs = per_image(counted)(model.eval(), x)
    for module, was_training in modes.items():
        module.training = was_training
    return macs


def leaving_buffers(model, x):
    model.register_buffer("total_ops", torch.zeros(1))
    return of_a_copy(per_image(counted))(model, x)


def leaving_a_hook(model, x):
    model.register_forward_hook(lambda *_: None)
    return of_a_copy(per_image(counted))(model, x)


def leaving_it_frozen(model, x):
    return of_a_copy(per_image(counted))(model.requires_grad_(False), x)


def with_hooks(model, x):
    model, total = copy.deepcopy(model).eval(), []

    def add(module, inputs, output):
        total.append(output[0].numel() * module.weight[0].numel())

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(add)
    model(x)
    return sum(total)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda model, x: None, "○ Not yet: macs_per_image returned None"),
        (by_thop, "○ Not yet: that is for a batch of five, with thop's"),
        (per_image(by_thop), "✗ Hint: thop adds element-wise work"),
        (counted, "✗ Hint: that is a batch of five. Divide"),
        (lambda m, x: 2 * counted(m, x), "✗ Hint: those are the FLOPs of a batch"),
        (lambda m, x: 2 * counted(m, x) / 5, "✗ Hint: those are FLOPs: two for each"),
        (lambda model, x: 7, "✗ Hint: one image takes 3,896 MACs, got 7"),
        (
            lambda model, x: of_a_copy(per_image(counted))(model, x) / 1e9,
            "✗ Hint: one image takes 3,896 MACs, got 3.896e-06",
        ),
        (
            lambda model, x: f"{of_a_copy(per_image(counted))(model, x)} MACs",
            "✗ Hint: macs_per_image should return one number, got a str",
        ),
        (
            lambda model, x: (of_a_copy(per_image(counted))(model, x), 25),
            "✗ Hint: macs_per_image should return one number, got a tuple",
        ),
        (lambda model, x: x.nothing, "✗ Hint: your code raised AttributeError"),
        (leaving_buffers, "✗ Hint: the count is right, but total_ops is left"),
        (leaving_a_hook, "✗ Hint: the count is right, but hooks are left"),
        (leaving_it_frozen, "✗ Hint: the count is right, but parameters no longer"),
        (per_image(counted), "✗ Hint: the count is right, but BatchNorm's statistics"),
        (
            lambda model, x: per_image(counted)(model.eval(), x),
            "✗ Hint: the count is right, but the model came in train() mode",
        ),
        (always_back_to_train, "✗ Hint: a model that comes in eval() mode should stay"),
        (back_to_its_mode, "✗ Hint: a frozen BatchNorm that came in eval() mode"),
        (each_layer_back_to_its_mode, "✓ Correct"),
        (of_a_copy(per_image(counted)), "✓ Correct"),
        (of_a_copy(lambda m, x: counted(m, x[:1])), "✓ Correct"),
        (lambda m, x: count_macs(m, x, per_sample=True).macs, "✓ Correct"),
        (with_hooks, "✓ Correct"),
    ],
)
def test_macs_per_image_tells_right_from_wrong(attempt, text):
    assert repr(check.macs_per_image(attempt)).startswith(text)


# --- the widget ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"groups": 3}, TypeError, "no setting 'groups'. It has: channels, image"),
        ({"channels": 8}, TraitError, r"channels.* from 16 to 512, not the \w+ 8"),
        ({"kernel": 4}, TraitError, "kernel.* not the int 4"),
        ({"kind": "pool"}, TraitError, "kind"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        LayerCost(**settings)


@pytest.mark.parametrize(
    "change", [{"channels": 16}, {"image": 9}, {"kernel": 5}, {"kind": "depthwise"}]
)
def test_digest_changes_with_whatever_is_shown(change):
    plain, changed = LayerCost(), LayerCost(**change)
    digests = [w._repr_mimebundle_()[0][STATE_MIME]["state"] for w in (plain, changed)]
    assert digests[0] != digests[1]


@pytest.mark.parametrize("kind", ["dense", "depthwise"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_cost_in_the_page_agrees_with_flop_counter_mode(front_end, kernel, kind):
    for channels, image in ((16, 7), (48, 31), (512, 56)):
        groups = channels if kind == "depthwise" else 1
        with torch.device("meta"):
            layer = nn.Conv2d(
                channels, channels, kernel, padding=kernel // 2, groups=groups
            )
            x = torch.rand(1, channels, image, image)
        settings = {
            "channels": channels,
            "image": image,
            "kernel": kernel,
            "kind": kind,
        }
        assert front_end(LayerCost, "m.cost(a)", settings) == {
            "macs": counted(layer, x),
            "params": sum(p.numel() for p in layer.parameters()),
            "bytes": layer(x).nbytes,
        }


def test_factors_and_digits(front_end):
    pairs = [[1, 4], [64, 1], [5, 5], [3, 4]]
    shown = front_end(LayerCost, "a.map((p) => m.factor(...p))", pairs)
    assert shown == ["× 4", "÷ 64", "× 1", "× 1.33"]
    assert front_end(LayerCost, "m.whole(a)", 115605504) == "115,605,504"


@pytest.fixture
def explorer(mount):
    return mount(LayerCost(), width=360)


def factors(page):
    return page.locator("tbody tr td:last-child").all_inner_texts()


def test_explorer_starts_neutral_and_returns_there(explorer):
    assert factors(explorer) == ["× 1"] * 3
    explorer.get_by_role("textbox", name="Channels, as a number").fill("128")
    assert factors(explorer)[::2] == ["× 4", "× 2"]
    explorer.get_by_role("radio", name="depthwise").check()
    assert explorer.evaluate("state.channels") == 128  # typing has lost nothing
    explorer.get_by_role("button", name="Reset").click()
    assert factors(explorer) == ["× 1"] * 3


def test_explorer_is_driven_by_keyboard(explorer):
    explorer.get_by_role("slider", name="Image side").press("ArrowRight")
    assert explorer.evaluate("state.image") == 57
    explorer.get_by_role("radio", name="3 × 3").press("ArrowRight")
    assert explorer.evaluate("state.kernel") == 5
