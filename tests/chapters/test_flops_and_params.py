"""The chapter on FLOPs and parameters: helper, checks, widget."""

import random
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry
from torchvision import models
from traitlets import TraitError

from helpers._unharmed import unharmed
from helpers.chapters.flops_and_params import ConvCost, check
from helpers.flops import _thop, count_macs
from helpers.widgets.base import STATE_MIME

ELEMENT_WISE = "element-wise work, which only thop counts"


def meta(build, *args, **kwargs):
    with torch.device("meta"):
        return build(*args, **kwargs)


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout()
    )


class Tied(nn.Module):
    """A layer with two owners."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.up = nn.Sequential(self.down[0])

    def forward(self, x):
        return self.up(self.down(x))


class Bare(nn.Module):
    """A weight without a module, and arguments that are not tensors."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 8))
        self.linear = nn.Linear(8, 8)

    def forward(self, batch):
        return self.linear(batch["x"][0] @ self.weight)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Restless(nn.Module):
    """A model that changes in every way it can when it is called."""

    def __init__(self, fails=False):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.norm.eval()
        self.register_buffer("calls", torch.zeros(1))
        self.seen, self.fails = [], fails

    def forward(self, x):
        self.calls += 1
        self.seen.append(x)
        self.last = x
        random.random(), np.random.rand(), torch.rand(1)
        x.mul_(0)
        if self.fails:
            self.extra = nn.Linear(1, 1)
            raise RuntimeError("it broke")
        return self.norm(self.linear(x))


# --- the three numbers ---------------------------------------------------------------


def test_resnet50_of_the_notes_is_counted_to_the_digit():
    count = count_macs(meta(models.resnet50), torch.zeros(4, 3, 256, 128).to("meta"))
    assert (count.thop_ops, count.flops) == (10_801_192_960, 21_369_585_664)
    assert (count.macs, count.params) == (10_684_792_832, 25_557_032)
    norms = [x.thop_ops for x in count.disagreements if x.kind == "BatchNorm2d"]
    pool = [x.thop_ops for x in count.disagreements if x.kind != "BatchNorm2d"]
    assert count.macs + sum(norms) // 2 + sum(pool) == 10_743_128_064
    assert {x.why for x in count.disagreements} == {ELEMENT_WISE}
    assert (len(norms), len(pool), len(count.layers)) == (53, 1, 151)


# Small ones of each family; the rest were compared once, all 80, by the same rule.
FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_16",
]


@pytest.mark.parametrize("name", FAMILIES)
def test_torchvision_s_published_work_and_parameters_come_out(name):
    weights = models.get_model_weights(name).DEFAULT
    side = weights.transforms.keywords["crop_size"]
    model = meta(models.get_model, name)
    count = count_macs(model, torch.zeros(1, 3, side, side, device="meta"))
    assert count.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.00051)
    assert count.params == weights.meta["num_params"]
    thop = _thop().profile(
        model, (torch.zeros(1, 3, side, side, device="meta"),), verbose=False
    )
    assert (count.thop_ops, count.thop_params) == thop
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, side, side, device="meta"))
    assert count.flops == counter.get_total_flops()


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", "resnet18"])
def test_real_data_and_meta_give_the_same_table(name):
    model = models.get_model(name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    real = count_macs(model, torch.rand(2, 3, 64, 64))
    assert list(before) == list(model.state_dict())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    ghost = count_macs(model.to("meta"), torch.zeros(2, 3, 64, 64, device="meta"))
    assert real == ghost


@hypothesis_settings(max_examples=40)
@given(
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    batch=st.integers(1, 4),
    side=st.integers(4, 12),
    bias=st.booleans(),
)
def test_convolution_is_counted_as_by_hand(
    groups, per_group, kernel, stride, batch, side, bias
):
    c_in, c_out = (groups * n for n in per_group)
    conv = nn.Conv2d(c_in, c_out, kernel, stride, groups=groups, bias=bias)
    x = torch.zeros(batch, c_in, side, side)
    places = ((side - kernel) // stride + 1) ** 2
    by_hand = places * c_out * per_group[0] * kernel**2
    count = count_macs(nn.Sequential(conv), x)
    assert (count.macs, count.thop_ops) == (batch * by_hand, batch * by_hand)
    assert not count.disagreements
    assert count_macs(conv, x, per_sample=True).macs == by_hand
    assert count.params == c_out * per_group[0] * kernel**2 + bias * c_out


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
def test_layers_sum_to_the_totals(batch, d_in, d_out):
    model = nn.Sequential(nn.Linear(d_in, d_out), nn.LayerNorm(d_out))
    count = count_macs(model, torch.zeros(batch, d_in))
    assert count.macs == sum(x.macs for x in count.layers) == batch * d_in * d_out
    assert count.flops == 2 * count.macs
    assert [x.name for x in count.layers] == ["", "0", "1"]


# --- where the tools differ ----------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "x", "macs", "thop_ops", "params", "reasons"),
    [
        (
            Bare(),
            {"x": [torch.zeros(2, 8)]},
            256,
            128,
            136,
            {"thop has no rule for it"},
        ),
        (
            Tied(),
            torch.zeros(2, 8),
            128 * 2,
            4 * 128 * 2,
            72,
            {"shared: thop counts it again for each owner"},
        ),
        (
            nn.Sequential(nn.ConvTranspose2d(8, 16, 4, stride=2, padding=1)),
            torch.zeros(1, 8, 16, 16),
            524_288,
            4 * 524_288,
            2064,
            {"thop takes a transposed convolution for a plain one"},
        ),
        (
            nn.Linear(3, 4),
            torch.zeros(1, 3),
            12,
            12,
            16,
            {"thop drops the parameters of a lone layer"},
        ),
        (
            Encoder(),
            torch.zeros(1, 100, 64),
            4 * 100 * 64**2 + 2 * 100**2 * 64,
            0,
            4 * 64**2 + 4 * 64,
            {"thop has no rule for it"},
        ),
        (
            nn.Sequential(nn.LSTM(32, 64, batch_first=True)),
            torch.zeros(2, 10, 32),
            20 * 4 * 64 * 96,
            512_000,
            4 * 64 * 98,
            {ELEMENT_WISE},
        ),
        (
            nn.Sequential(nn.PReLU(), nn.Softmax(dim=1)),
            torch.zeros(2, 4),
            0,
            8 + 2 * 11,
            1,
            {ELEMENT_WISE},
        ),
        (
            nn.Sequential(nn.Conv1d(5, 2, 1)),
            torch.zeros(5, 7),  # without a batch: thop takes the length for channels
            70,
            98,
            12,
            {"thop's rule for it gives another number"},
        ),
    ],
    ids=[
        "bare",
        "tied",
        "transposed",
        "lone",
        "attention",
        "lstm",
        "element-wise",
        "unbatched",
    ],
)
def test_disagreement_is_named(model, x, macs, thop_ops, params, reasons):
    count = count_macs(model, x)
    assert (count.macs, count.thop_ops, count.params) == (macs, thop_ops, params)
    assert {layer.why for layer in count.disagreements} == reasons


def test_branch_that_eval_leaves_out_is_named():
    model = meta(models.googlenet, init_weights=False)
    count = count_macs(model, torch.zeros(1, 3, 64, 64, device="meta"))
    aux = [x for x in count.disagreements if x.name.startswith("aux1.conv")]
    assert "never called in eval()" in aux[0].why
    assert count.params == sum(p.numel() for p in model.parameters())


def test_shared_weight_is_counted_once():
    embedding, head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
    head.weight = embedding.weight
    count = count_macs(nn.Sequential(embedding, head), torch.zeros(2, 3).long())
    assert count.params == 400


@pytest.mark.parametrize("known", [True, False], ids=["today", "older PyTorch"])
def test_fused_kernels_are_taken_apart(known, monkeypatch):
    if not known:
        fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        monkeypatch.delitem(flop_registry, fused)
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    assert torch.backends.mha.get_fastpath_enabled()
    count = count_macs(layer, torch.zeros(1, 100, 64))
    assert count.macs == 100 * (4 * 64**2 + 2 * 64 * 128) + 2 * 100**2 * 64
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mkldnn.is_available() == torch.backends.mkldnn.enabled


def test_text_groups_the_disagreements_and_the_table_names_each_module():
    count = count_macs(small_net(), torch.zeros(2, 3, 4, 4), per_sample=True)
    assert str(count).splitlines()[1:] == [
        "MACs per sample                   1,984              1,728",
        "parameters                          120                120",
        "They disagree in 1 of 5 modules:",
        "  1 BatchNorm2d, first: 1",
        "    element-wise work, which only thop counts",
        "    thop's MACs +256, its parameters +0",
    ]
    assert count.table().splitlines()[1].split() == ["1", "256", "0", "8", "8"]


def test_work_that_does_not_grow_with_the_batch_is_divided_too():
    class Fixed(nn.Linear):
        def forward(self, x):
            return x + super().forward(torch.zeros(1, 3))

    count = count_macs(Fixed(3, 3), torch.zeros(2, 3), per_sample=True)
    assert count.macs == 4.5


# --- the model stays as it was -------------------------------------------------------


def portrait(model):
    """Everything of a model that could change, and the random states."""
    parts = [
        (
            name,
            m.training,
            sorted(vars(m)),
            {k: list(v) for k, v in vars(m).items() if isinstance(v, (dict, list))},
        )
        for name, m in model.named_modules()
    ]
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    return parts, [t.tolist() for t in tensors if t is not None], random_states()


def random_states():
    numpy = [x.tolist() if hasattr(x, "tolist") else x for x in np.random.get_state()]
    return torch.get_rng_state().tolist(), random.getstate(), numpy


@pytest.mark.parametrize("fails", [False, True])
def test_restless_model_stays_as_it_was(fails):
    model = Restless(fails)
    model.register_forward_hook(lambda *_: None)
    x = torch.ones(4, 8)
    nn.functional.linear(x, model.linear.weight).sum().backward()
    grad, before = model.linear.weight.grad, portrait(model)
    if fails:
        with pytest.raises(ValueError, match="it broke"):
            count_macs(model, x)
    else:
        assert count_macs(model, x).macs == 4 * 64
    assert portrait(model) == before
    assert model.linear.weight.grad is grad
    assert not model.norm.training
    assert torch.equal(x, torch.ones(4, 8))  # the data, too


def test_failure_of_thop_alone_is_named_and_harms_nothing():
    model = small_net()
    model[1].total_ops = 3  # thop wants this name for a buffer
    before = portrait(model)
    with pytest.raises(RuntimeError, match="thop cannot count Sequential: KeyError"):
        count_macs(model, torch.zeros(2, 3, 4, 4))
    assert portrait(model) == before


def test_what_an_earlier_thop_left_is_left_where_it_was():
    model, x = Bare(), {"x": [torch.zeros(2, 8)]}
    _thop().profile(model, (x,), verbose=False)
    before = portrait(model)
    assert "total_ops" in model.state_dict()
    assert count_macs(model, x).params == 136
    assert portrait(model) == before


def test_backward_pass_under_way_survives_a_count():
    model, x = small_net(), torch.rand(2, 3, 4, 4)
    loss = model.eval()(x).sum()
    count_macs(model, x)
    loss.backward()
    assert model[0].weight.grad.isfinite().all()


def test_tied_model_still_runs_after_a_count():
    model, x = Tied(), torch.zeros(2, 8)
    count_macs(model, x)
    assert model(x).shape == (2, 8)


def test_nan_is_counted_like_any_number():
    x = torch.full((2, 3, 4, 4), float("nan"))
    assert count_macs(small_net(), x) == count_macs(small_net(), torch.zeros_like(x))


def test_unharmed_gives_back_what_an_exception_left():
    model = small_net()
    before = portrait(model)

    def spoil():
        with unharmed(model):
            model.train(False)
            model[1].running_mean += 1
            model.register_forward_hook(print)
            del model[3]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spoil()
    assert portrait(model) == before


def test_unharmed_names_what_is_no_module():
    with (
        pytest.raises(TypeError, match="unharmed: model must be .* got function"),
        unharmed(lambda: 0),
    ):
        pass


# --- bad input -----------------------------------------------------------------------

X = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("model", "inputs", "options", "error", "message"),
    [
        (models.resnet18, (X,), {}, TypeError, "a plain nn.Module, got function. Pass"),
        (nn.ReLU, (X,), {}, TypeError, "a plain nn.Module, got type"),
        (small_net(), (), {}, ValueError, "inputs must hold .* got none. Call"),
        (
            small_net(),
            ((1, 3, 4, 4),),
            {},
            TypeError,
            r"got \(1, 3, 4, 4\). Pass data, not its shape",
        ),
        (
            small_net(),
            (torch.zeros(2, 5, 4, 4),),
            {},
            ValueError,
            r"Sequential failed on inputs of shape \(2, 5, 4, 4\): RuntimeError: .*"
            "Pass what its forward takes",
        ),
        (
            small_net(),
            (X, X),
            {},
            ValueError,
            r"shape \(2, 3, 4, 4\), \(2, 3, 4, 4\): TypeError",
        ),
        (
            small_net(),
            (X.to("meta"),),
            {},
            ValueError,
            r"the model's device cpu, got meta. Move them: x.to\('cpu'\)",
        ),
        (
            small_net().to("meta"),
            (X,),
            {},
            ValueError,
            "the model's device meta, got cpu",
        ),
        (
            small_net(),
            (torch.tensor(1.0),),
            {"per_sample": True},
            ValueError,
            r"share a first size .* got shapes \(\). Divide",
        ),
        (
            Encoder(),
            (torch.zeros(0, 3, 64),),
            {"per_sample": True},
            ValueError,
            r"got shapes \(0, 3, 64\)",
        ),
        (
            nn.Bilinear(2, 3, 4),
            (torch.zeros(2, 2), torch.zeros(3, 3)),
            {"per_sample": True},
            ValueError,
            r"got shapes \(2, 2\), \(3, 3\)",
        ),
    ],
)
def test_bad_input_is_named_and_the_model_unharmed(
    model, inputs, options, error, message
):
    real = isinstance(model, nn.Module) and not any(
        p.is_meta for p in model.parameters()
    )
    before = portrait(model) if real else None
    with pytest.raises(error, match=f"count_macs: .*{message}"):
        count_macs(model, *inputs, **options)
    assert not real or portrait(model) == before


def test_lazy_and_scripted_modules_are_named():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy, scripted = nn.LazyLinear(3), torch.jit.script(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="a lazy layer without them. Run it once"):
        count_macs(lazy, X)
    with pytest.raises(
        TypeError, match="got RecursiveScriptModule. .* before torch.jit"
    ):
        count_macs(scripted, X)


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
