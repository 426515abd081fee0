"""helpers.flops: both tools to the digit, and a model that stays as it was."""

import contextlib
import re
import threading
import warnings
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import (
    FlopCounterMode,
    flop_registry,
    register_flop_formula,
)
from torchvision import models, ops

from helpers.flops import _PRODUCT, _thop_profile, count_macs

ELEMENT_WISE = "element-wise work, which only thop counts"


def meta(build, *args, **kwargs):
    with torch.device("meta"):
        return build(*args, **kwargs)


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout()
    )


class By(nn.Module):
    """A model with the given parts, which calls a function of itself and the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs, **keywords):
        return self.function(self, *inputs, **keywords)


def weight(*shape):
    return nn.Parameter(torch.rand(shape))


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
        torch.rand(1)
        x.mul_(0)
        if self.fails:
            self.extra = nn.Linear(1, 1)
            raise RuntimeError("it broke")
        return self.norm(self.linear(x))


class ReadsValues(nn.Module):
    def forward(self, x):
        return x if x.sum().item() > 0 else -x


class Holding(nn.Linear):
    """A layer that keeps something, and uses it as a context if it is one."""

    def __init__(self, held):
        super().__init__(4, 4)
        self.held = held

    def forward(self, x):
        with self.held if hasattr(self.held, "__enter__") else contextlib.nullcontext():
            return super().forward(x)


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
    thop = _thop_profile().profile(
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
        monkeypatch.delitem(flop_registry, fused, raising=False)
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    assert torch.backends.mha.get_fastpath_enabled()
    count = count_macs(layer, torch.zeros(1, 100, 64))
    assert count.macs == 100 * (4 * 64**2 + 2 * 64 * 128) + 2 * 100**2 * 64
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mkldnn.is_available() == torch.backends.mkldnn.enabled


def test_padding_changes_no_tool_s_count():
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    encoder, x = nn.TransformerEncoder(layer, 2), torch.rand(1, 16, 64)
    padded = torch.arange(16)[None] >= 10
    bare, masked = count_macs(encoder, x), count_macs(encoder, x, None, padded)
    assert (masked.macs, masked.thop_ops) == (bare.macs, bare.thop_ops)
    assert not any("another number" in layer.why for layer in masked.layers)


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
    """Everything of a model that could change, and the state of PyTorch's random numbers."""
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
    return (
        parts,
        [t.tolist() for t in tensors if t is not None],
        torch.get_rng_state().tolist(),
    )


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
    model, x = small_net(), torch.zeros(2, 3, 4, 4)
    whole = count_macs(model, x)
    model[1].total_ops = 3  # thop wants this name for a buffer
    before = portrait(model)
    count = count_macs(model, x)
    assert portrait(model) == before
    assert (count.macs, count.params) == (whole.macs, whole.params)
    assert (count.thop_ops, count.thop_params) == (None, None)
    assert {(x.thop_ops, x.thop_params, x.why) for x in count.layers} == {
        (None, None, "")
    }
    assert str(count).splitlines()[1:] == [
        "MACs                                  -              3,456",
        "parameters                            -                120",
        "thop failed: KeyError: \"attribute 'total_ops' already exists\"",
    ]
    assert count.table().count("\n") == 0


def test_layer_called_by_keyword_stops_thop_alone():
    model = By(lambda self, x: self.conv(input=x), conv=nn.Conv1d(4, 3, 1))
    count = count_macs(model, torch.zeros(2, 4, 5))
    assert (count.macs, count.thop_failed[:10]) == (2 * 5 * 12, "IndexError")


def test_what_an_earlier_thop_left_is_left_where_it_was():
    model, x = Bare(), {"x": [torch.zeros(2, 8)]}
    _thop_profile().profile(model, (x,), verbose=False)
    before = portrait(model)
    assert "total_ops" in model.state_dict()
    assert count_macs(model, x).params == 136
    assert portrait(model) == before


def test_parameters_are_shared_and_buffers_are_not():
    model, seen = nn.Sequential(nn.BatchNorm1d(4)), []

    def look(layer, *_):
        seen.append((layer.weight.data_ptr(), layer.running_mean.data_ptr()))

    model[0].register_forward_hook(look)
    count_macs(model, torch.zeros(2, 4))
    assert len(seen) == 2
    for weight, mean in seen:
        assert weight == model[0].weight.data_ptr()
        assert mean != model[0].running_mean.data_ptr()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "held", [torch.Generator(), {"a": [torch.ones(2, requires_grad=True) * 2]}]
)
def test_computed_tensors_and_generators_are_copied(held):
    model = nn.Sequential(Holding(held), nn.utils.weight_norm(nn.Linear(4, 4)))
    x = nn.Linear(3, 4)(torch.zeros(2, 3))
    assert count_macs(model, x).macs == 2 * 2 * 16
    assert model[0].held is held


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


# --- bad input -----------------------------------------------------------------------

X = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("model", "inputs", "options", "error", "message"),
    [
        (models.resnet18, (X,), {}, TypeError, "an nn.Module, got function. Pass"),
        (
            small_net(),
            (),
            {},
            ValueError,
            "failed on inputs without a tensor: .* Pass data, not its shape",
        ),
        (
            small_net(),
            ((1, 3, 4, 4),),
            {},
            ValueError,
            "Pass data, not its shape",
        ),
        (
            nn.Linear(4, 4),
            (),
            {"per_sample": X},
            TypeError,
            "per_sample must be a bool, got Tensor. Pass .* by position",
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
            ReadsValues().to("meta"),
            (X.to("meta"),),
            {},
            ValueError,
            "Tensor.item.* Or, if it reads values, build the model on the CPU",
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


def test_model_that_cannot_be_copied_is_named_and_the_advice_works():
    model = nn.Sequential(Holding(threading.Lock()), Holding(i for i in range(3)))
    message = "cannot copy Sequential: TypeError: cannot pickle .*lock.* Set the attrib"
    with pytest.raises(TypeError, match=message):
        count_macs(model, torch.zeros(2, 4))
    model[0].held, model[1].held = contextlib.nullcontext(), None
    assert count_macs(model, torch.zeros(2, 4)).macs == 2 * 2 * 16


def words_of_refusal(model, *inputs, **options):
    """Return the last sentence of what count_macs refuses with."""
    with pytest.raises((TypeError, ValueError), match="^count_macs: ") as refused:
        count_macs(model, *inputs, **options)
    return re.split(r"\. (?=[A-Z])", str(refused.value))[-1]


def test_advice_of_each_message_works():
    """Each message's own words, applied, lead to a count."""
    model, work = nn.Conv2d(3, 2, 1), 224 * 224 * 6
    words = words_of_refusal(model, (1, 3, 224, 224))
    assert (
        words
        == "Pass data, not its shape: count_macs(model, torch.zeros(1, 3, 224, 224))."
    )
    assert eval(words.partition(": ")[2][:-1]).macs == work
    x = torch.zeros(1, 3, 224, 224, device="meta")
    words = words_of_refusal(model, x)
    assert words == "Move them: x.to('cpu')."
    x = torch.zeros_like(x, device="cpu")  # meta has no numbers to move
    assert count_macs(model, eval(words.partition(": ")[2][:-1])).macs == work

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = nn.LazyLinear(3)
    assert words_of_refusal(lazy, X) == "Run it once on a batch first."
    lazy(X)
    assert count_macs(lazy, X).macs == 24 * 4 * 3

    linear, pair = nn.Linear(4, 3), torch.zeros(2, 4)
    named = By(lambda self, per_sample: self.part(per_sample), part=linear)
    words = words_of_refusal(named, per_sample=pair)
    assert words == "Pass the model's own per_sample by position."
    assert count_macs(named, pair, per_sample=True).macs == 12
    unequal = By(lambda self, a, b: self.part(a) @ b, part=linear)
    words = words_of_refusal(unequal, pair, torch.zeros(3, 5), per_sample=True)
    assert words == "Divide by your batch size yourself."
    assert count_macs(unequal, pair, torch.zeros(3, 5)).macs / 2 == 12 + 15
    assert words_of_refusal(linear, torch.zeros(2, 5)) == "Pass what its forward takes."
    assert words_of_refusal(nn.Linear, X) == "Build a model first: Linear(...)."


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensor_is_refused_and_the_advice_works(layout):
    parts = [torch.zeros(3, 4), torch.zeros(5, 4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        x = torch.nested.nested_tensor(parts, layout=layout)
    words = words_of_refusal(nn.Linear(4, 2), x)
    padded = eval(
        words.removeprefix("Count them padded: ")[:-1], {"torch": torch, "x": x}
    )
    assert count_macs(nn.Linear(4, 2), padded).macs == 2 * 5 * 4 * 2


# --- what models hand to their layers ------------------------------------------------


def test_view_of_a_parameter_enters_a_layer():
    """Learned tokens, queries and positions: each is a view without a gradient function."""
    linear = nn.Linear(8, 8, bias=False)
    token = By(
        lambda self, x: self.part(self.token.expand(len(x), -1, -1)) @ x.mT,
        token=weight(1, 4, 8),
        part=linear,
    )
    x = torch.rand(2, 5, 8)
    count = count_macs(token, x)
    assert count.macs == 2 * 4 * 8 * 8 + 2 * 4 * 8 * 5
    assert [layer.macs for layer in count.layers] == [2 * 4 * 8 * 5, 2 * 4 * 8 * 8]
    assert token.token.requires_grad
    query = By(
        lambda self, x: self.part(self.query.expand(2, -1, -1), x, x)[0],
        query=weight(1, 3, 8),
        part=nn.MultiheadAttention(8, 2, batch_first=True),
    )
    assert count_macs(query, x).macs == 2 * (64 * (2 * 3 + 2 * 5) + 2 * 8 * 3 * 5)
    position = By(
        lambda self, x: self.part(x) + self.norm(self.position[:, : x.shape[1]]),
        position=weight(1, 9, 8),
        part=linear,
        norm=nn.LayerNorm(8),
    )
    assert count_macs(position, x).macs == 2 * 5 * 64
    turned = By(lambda self, x: self.part(self.w.t()), w=weight(8, 6), part=linear)
    assert count_macs(turned, x).macs == 6 * 64


class Encoding(UserDict):
    """What tokenizers of transformers return."""


class Output(OrderedDict):
    """What models of transformers return."""


Pair = namedtuple("Pair", "x mask")


@dataclass(slots=True)
class Batch:
    x: torch.Tensor
    more: object = None


@pytest.mark.parametrize(
    ("batch", "take"),
    [
        (Encoding(x=torch.zeros(3, 8)), lambda batch: batch["x"]),
        (Output(x=torch.zeros(3, 8)), lambda batch: batch["x"]),
        (Pair(torch.zeros(3, 8), None), lambda batch: batch.x),
        (Batch(torch.zeros(3, 8), more="text"), lambda batch: batch.x),
        (
            Batch(None, [Encoding(a=Pair(None, torch.zeros(3, 8)))]),
            lambda batch: batch.more[0]["a"].mask,
        ),
    ],
    ids=["UserDict", "OrderedDict", "namedtuple", "dataclass", "nested"],
)
def test_batch_of_any_kind_goes_in_and_out(batch, take):
    def call(self, given):
        outer = self.part(take(given))
        return type(given)(
            **{"x": outer, "mask": None} if isinstance(given, Pair) else {"x": outer}
        )

    model = By(call, part=nn.Linear(8, 2))
    for count in (
        count_macs(model, batch, per_sample=True),
        count_macs(model, given=batch, per_sample=True),
    ):
        assert (count.macs, count.thop_ops) == (16, 16)


def test_keywords_reach_the_model_under_their_names():
    def call(self, x, *, model, scale=1):
        return self.first(x) + self.second(model["y"]) * scale

    net = By(call, first=nn.Linear(8, 4), second=nn.Sequential(nn.Linear(6, 4)))
    x, y = torch.zeros(3, 8), torch.zeros(3, 6)
    count = count_macs(net, x, model={"y": y}, scale=2)
    assert (count.macs, count.thop_ops) == (3 * (32 + 24), 3 * (32 + 24))
    assert [layer.name for layer in count.layers] == ["", "first", "second", "second.0"]
    assert count_macs(net, x, model={"y": y}, per_sample=True).macs == 32 + 24
    with pytest.raises(ValueError, match=r"shape \(3, 8\): TypeError: .*'model'"):
        count_macs(net, x)
    assert count_macs(nn.Linear(8, 4), input=x) == count_macs(nn.Linear(8, 4), x)


def test_model_without_inputs_or_with_words_is_counted():
    made = By(
        lambda self: self.part(self.latent), latent=weight(5, 8), part=nn.Linear(8, 2)
    )
    assert count_macs(made).macs == 5 * 16
    words = By(
        lambda self, text: self.part(torch.zeros(len(text), 8)), part=nn.Linear(8, 2)
    )
    assert count_macs(words, ["a", "b", "c"]).macs == 3 * 16


# --- derivatives in the forward ------------------------------------------------------


def energy():
    return nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1))


def forces(self, x):
    x.requires_grad_()
    return torch.autograd.grad(self.energy(x).sum(), x)[0]


def forces_by_backward(self, x):
    x.requires_grad_()
    self.energy(x).sum().backward()
    return x.grad


def adapted(self, x):  # test-time training
    layer = self.energy[0]
    (step,) = torch.autograd.grad(self.energy(x).sum(), layer.weight)
    return nn.functional.linear(x, layer.weight - step)


@pytest.mark.parametrize(
    ("forward", "macs"),
    [
        # Forward 2 (32 + 4); for the input's gradient the same once more.
        (forces, 2 * 72),
        (forces_by_backward, 3 * 72),  # and for the weights'
        (adapted, 72 + 8 + 64 + 64),
    ],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_derivatives_in_the_forward_are_counted_and_leave_no_gradients(
    forward, macs, frozen
):
    model, x = By(forward, energy=energy()), torch.rand(2, 8)
    kept = torch.ones(1, 4)
    model.energy[2].weight.grad = kept
    before = portrait(model)
    if frozen:
        with torch.no_grad():
            count = count_macs(model, x)
    else:
        count = count_macs(model, x)
    assert (count.macs, count.thop_failed) == (macs, "")
    assert count.thop_ops == 72
    assert portrait(model) == before
    assert model.energy[2].weight.grad is kept
    assert model.energy[0].weight.grad is None
    assert not x.requires_grad


def test_input_that_a_derivative_needs_keeps_its_gradient():
    def given(self, x):
        return torch.autograd.grad(self.energy(x).sum(), x)[0]

    model, x = By(given, energy=energy()), torch.rand(2, 8, requires_grad=True)
    assert count_macs(model, x).macs == count_macs(model, x * 2).macs == 2 * 72
    with pytest.raises(
        ValueError, match="does not require grad. Pass what its forward"
    ):
        count_macs(model, x.detach())


OF_TODAY = pytest.mark.skipif(
    not hasattr(FlopCounterMode, "get_unsupported_ops"), reason="an older PyTorch"
)

# --- torch.compile and torch.jit -----------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: torch.compile(net, backend="eager"),
        lambda net: nn.Sequential(torch.compile(net, backend="eager")),
        lambda net: torch.compile(
            nn.Sequential(torch.compile(net, backend="eager")), backend="eager"
        ),
        lambda net: (net.compile(backend="eager"), net)[1],
        lambda net: By(
            torch.compile(lambda self, x: self.part(x), backend="eager"), part=net
        ),
    ],
    ids=["whole", "part", "both", "in place", "function"],
)
@pytest.mark.parametrize("warm", [False, True])
def test_compiled_model_is_counted_as_before(wrap, warm):
    x = torch.rand(2, 8)
    model = wrap(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)))
    if warm:
        model(x)
    before = [type(module) for module in model.modules()]
    count = count_macs(model, x)
    assert (count.macs, count.thop_ops, count.params) == (64, 96, 44)
    assert not any("_orig_mod" in layer.name for layer in count.layers)
    assert [layer.macs for layer in count.layers if layer.kind == "Linear"] == [64]
    assert [type(module) for module in model.modules()] == before
    assert model(x).shape == (2, 4)


@OF_TODAY
def test_attention_of_the_flex_kind_is_counted():
    from torch.nn.attention.flex_attention import flex_attention

    model = By(lambda self, x: flex_attention(x, x, x))
    count = count_macs(model, torch.rand(1, 2, 128, 16))
    assert (count.macs, count.uncounted) == (2 * 2 * 128**2 * 16, {})


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.LSTM(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.cells(x)[0])


def scripted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(model)


def traced(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model.eval(), torch.rand(3, 2, 8))


@pytest.mark.parametrize("by_jit", [scripted, traced])
@pytest.mark.parametrize("build", [Recurrent, lambda: nn.Sequential(nn.Linear(8, 4))])
def test_part_out_of_torch_jit_is_counted_as_one(by_jit, build):
    x, plain = torch.rand(3, 2, 8), build()
    work = count_macs(plain, x)
    part = by_jit(plain)
    before = [
        (m.training, k, v.tolist())
        for m in part.modules()
        for k, v in m.state_dict().items()
    ]
    whole = nn.Sequential(nn.Linear(8, 8), part)
    count = count_macs(whole, x)
    assert count.macs == work.macs + 6 * 64
    assert count_macs(part, x).macs == work.macs
    assert [x.macs for x in count.layers if x.name in ("", "0", "1")] == [
        0,
        384,
        work.macs,
    ]
    assert count.params == work.params + 72
    assert count.thop_ops is None
    assert "total_ops" in count.thop_failed
    assert not count.uncounted
    assert before == [
        (m.training, k, v.tolist())
        for m in part.modules()
        for k, v in m.state_dict().items()
    ]


def test_function_out_of_torch_jit_is_counted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        squared = torch.jit.script(square_of)
    model = By(lambda self, x: self.square(x), square=squared)
    assert count_macs(model, torch.rand(2, 8)).macs == 2 * 8 * 2


def square_of(x):
    return x @ x.t()


def test_products_that_torch_jit_has_fused_are_named():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1))
        fast = torch.jit.optimize_for_inference(torch.jit.script(layers.eval()))
    count = count_macs(fast, torch.rand(1, 3, 8, 8))
    assert count.uncounted == {"prim.mkldnn_convolution": 2}


# --- operators -----------------------------------------------------------------------


@torch.library.custom_op("counted::unknown", mutates_args=())
def unknown(x: torch.Tensor) -> torch.Tensor:
    return x @ x.mT


@torch.library.custom_op("counted::known", mutates_args=())
def known(x: torch.Tensor) -> torch.Tensor:
    return x @ x.mT


def one_in(rows, columns, layout=torch.sparse_coo):
    """A sparse matrix with one number in each row."""
    matrix = torch.zeros(rows, columns)
    matrix[torch.arange(rows), torch.arange(rows) % columns] = 1
    return matrix.to_sparse(layout=layout)


R = torch.rand


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda: R(3, 4) @ R(4), 12),
        (lambda: R(2, 3, 4) @ R(4), 24),
        (lambda: torch.addmv(R(3), R(3, 4), R(4)), 12),
        (lambda: R(4) @ R(4), 4),
        (lambda: torch.vdot(R(4), R(4)), 4),
        (lambda: torch.addbmm(R(3, 5), R(2, 3, 4), R(2, 4, 5)), 120),
        (
            lambda: torch._int_mm(torch.ones(32, 8).char(), torch.ones(8, 16).char()),
            4096,
        ),
        (lambda: torch.conv_tbc(R(7, 2, 3), R(3, 3, 5), R(5), 1), 7 * 2 * 5 * 9),
        (lambda: torch.cdist(R(2, 30, 4), R(2, 50, 4)), 2 * 30 * 50 * 4),
        (lambda: torch.einsum("bi,ij,bj->b", R(3, 4), R(4, 5), R(3, 5)), 60 + 15),
        (lambda: one_in(6, 4) @ R(4, 5), 6 * 5),
        (lambda: one_in(6, 4, torch.sparse_csr) @ R(4, 5), 6 * 5),
        (lambda: torch.sparse.mm(one_in(6, 4, torch.sparse_csc), R(4, 5)), 6 * 5),
        (lambda: R(3, 6) @ one_in(6, 4), 3 * 6),
        (lambda: one_in(6, 4) @ R(4), 6),
        (lambda: torch.sparse.mm(one_in(6, 4), R(4, 5)), 6 * 5),
        (lambda: torch.sparse.addmm(R(6, 5), one_in(6, 4), R(4, 5)), 6 * 5),
        (lambda: torch.hspmm(one_in(6, 4), R(4, 5)), 6 * 5),
        (lambda: torch.bmm(torch.stack([one_in(6, 4)] * 2), R(2, 4, 5)), 2 * 6 * 5),
        (
            lambda: torch.sparse.sampled_addmm(
                one_in(6, 4, torch.sparse_csr), R(6, 3), R(3, 4)
            ),
            6 * 3,
        ),
        (lambda: nn.functional.linear(R(3, 4), one_in(6, 4)), 3 * 6),
    ],
)
def test_formula_gives_what_is_counted_by_hand(function, macs):
    count = count_macs(By(lambda self: function()))
    assert (count.macs, count.uncounted) == (macs, {})


@pytest.mark.skipif(not hasattr(torch, "_grouped_mm"), reason="an older PyTorch")
def test_experts_are_counted():
    """Each token meets one expert; each row of a gradient one group of tokens."""
    x, experts = R(16, 8).bfloat16(), R(2, 8, 24).bfloat16()
    ends = torch.tensor([8, 16], dtype=torch.int32)
    for a, b, places, macs in (
        (x, experts, ends, 16 * 8 * 24),
        (R(2, 4, 8).bfloat16(), experts, None, 2 * 4 * 8 * 24),
        (R(2, 24, 8).bfloat16(), x.t(), ends, 16 * 8 * 24),
        (x.t(), R(16, 24).bfloat16(), ends, 16 * 8 * 24),
    ):
        model = By(lambda self, a, b, ends: torch._grouped_mm(a, b, offs=ends))
        count = count_macs(model, a, b, places)
        assert (count.macs, count.uncounted) == (macs, {})


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda: torch.ops.counted.unknown(R(2, 3)), "counted.unknown"),
        (lambda: torch.smm(one_in(6, 4), R(4, 5)), "aten.sspaddmm"),
        (
            lambda: torch.sparse.mm(one_in(4, 4), one_in(4, 4)),
            "aten._sparse_sparse_matmul",
        ),
        (
            lambda: one_in(4, 4, torch.sparse_csr) @ one_in(4, 4, torch.sparse_csr),
            "aten.mm (sparse)",
        ),
        (
            lambda: ops.deform_conv2d(R(1, 4, 8, 8), R(1, 18, 6, 6), R(8, 4, 3, 3)),
            "torchvision.deform_conv2d",
        ),
        (
            lambda: nn.functional.bilinear(R(3, 4), R(3, 5), R(6, 4, 5)),
            "aten._trilinear",
        ),
        (lambda: torch.cdist(R(2, 3), R(4, 3)), "aten._cdist_forward"),
        (lambda: torch.fft.rfft2(R(4, 4)), "aten._fft_r2c"),
        (lambda: torch.linalg.inv(torch.eye(4)), "aten.linalg_inv_ex"),
        (lambda: torch.matrix_exp(R(4, 4)), "aten.linalg_matrix_exp"),
        (lambda: torch.mul(R(4, 4), one_in(4, 4)).to_dense().softmax(1).cummax(0), ""),
    ],
)
def test_product_without_a_formula_is_named(function, names):
    twice = count_macs(By(lambda self: (function(), function())))
    found = [names] if names else []
    assert twice.uncounted == dict.fromkeys(found, 2)
    assert ("MACs, at least" in str(twice)) == bool(found)
    assert all(f"  {name}: 2" in str(twice).splitlines() for name in found)


def test_error_of_many_lines_is_told_in_one():
    def fail(self, x):
        raise RuntimeError("It broke.\nBackends: CPU, CUDA, and a hundred more.")

    message = (
        r"^count_macs: By failed on inputs of shape \(2,\): RuntimeError: It broke\. "
        r"Pass what its forward takes\.$"
    )
    with pytest.raises(ValueError, match=message):
        count_macs(By(fail), R(2))


def test_what_is_not_counted_stands_under_the_table():
    model = By(lambda self, x: unknown(self.part(x)), part=nn.Linear(8, 8))
    assert str(count_macs(model, torch.zeros(2, 8), per_sample=True)).splitlines() == [
        "                                        thop    FlopCounterMode",
        "MACs per sample, at least                 64                 64",
        "parameters                                72                 72",
        "Not counted, as no formula is known (operator: calls):",
        "  counted.unknown: 1",
        "They disagree in 0 of 2 modules:",
    ]


def test_operator_to_which_its_owner_gives_a_formula_is_counted():
    model = By(lambda self, x: known(x))
    assert count_macs(model, R(2, 3)).uncounted == {"counted.known": 1}
    try:
        register_flop_formula(torch.ops.counted.known)(
            lambda x, out_shape=None, **_: 2 * x[0] * x[1] * x[0]
        )
        count = count_macs(model, R(2, 3))
    finally:
        flop_registry.pop(torch.ops.counted.known, None)
    assert (count.macs, count.uncounted) == (12, {})


def test_quantized_layers_are_named():
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part = quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear})
        recurrent = quantize_dynamic(Recurrent(), {nn.LSTM})
    count = count_macs(nn.Sequential(nn.Linear(8, 8), part), torch.rand(2, 8))
    assert (count.macs, count.uncounted) == (128, {"quantized.linear_dynamic": 1})
    count = count_macs(recurrent, torch.rand(3, 2, 8))
    assert (count.macs, count.uncounted) == (96, {"aten.quantized_lstm": 1})


@OF_TODAY
def test_operator_that_takes_a_function_is_named():
    from torch._higher_order_ops import map as over

    model = By(
        lambda self, x: over(lambda one: one @ one, self.part(x)), part=nn.Linear(4, 4)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        count = count_macs(model, R(3, 4, 4))
    assert (count.macs, count.uncounted) == (12 * 16, {"map_impl": 1})


def test_names_of_operators_say_whether_they_do_products():
    yes = (
        "mm addmm_ mv dot _foreach_mm _weight_int4pack_mm _convolution conv_tbc conv2d "
    )
    yes += "linear_dynamic linear_relu _cudnn_rnn quantized_lstm_cell mkldnn_rnn_layer "
    yes += "_native_multi_head_attention _scaled_dot_product_attention_math _trilinear "
    yes += "_sparse_semi_structured_linear _cslt_sparse_mm _linalg_svd linalg_qr ormqr "
    yes += "_pdist_forward _fft_c2c cholesky_solve triangular_solve addr deform_conv2d"
    no = (
        "cummax digamma lgamma hamming_window resolve_conj _convert_weight_to_int4pack "
    )
    no += (
        "upsample_bilinear2d _upsample_bilinear2d_aa upsample_linear1d _embedding_bag "
    )
    no += "upsample_trilinear3d_backward _thnn_fused_lstm_cell _thnn_fused_gru_cell "
    no += "_cudnn_rnn_flatten_weight linalg_vector_norm linalg_cross _weight_norm_interface "
    no += "_linalg_check_errors linalg__powsum grid_sampler_2d native_layer_norm roi_align "
    no += "_cufft_clear_plan_cache slice_inverse add_relu quantize_per_tensor nms mvlgamma"
    assert not [name for name in yes.split() if not _PRODUCT.search(name)]
    assert not [name for name in no.split() if _PRODUCT.search(name)]


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: models.resnet18(), (1, 3, 64, 64)),
        (lambda: models.vit_b_16(image_size=32), (1, 3, 32, 32)),
        (lambda: models.swin_v2_t(), (1, 3, 64, 64)),
        (lambda: models.video.r3d_18(), (1, 3, 8, 32, 32)),
        (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
        (lambda: nn.GRU(8, 8, bidirectional=True), (5, 2, 8)),
        (lambda: nn.RNN(8, 8), (5, 2, 8)),
        (lambda: nn.LSTMCell(8, 8), (2, 8)),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), (2, 8)),
        (
            lambda: nn.Sequential(nn.Upsample(8, mode="linear"), nn.Softmax(1)),
            (2, 3, 4),
        ),
        (
            lambda: models.segmentation.lraspp_mobilenet_v3_large(
                weights_backbone=None
            ),
            (1, 3, 32, 32),
        ),
        (
            lambda: models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
                weights_backbone=None, min_size=32, max_size=32
            ),
            (1, 3, 32, 32),
        ),
    ],
)
def test_ordinary_model_has_nothing_uncounted(build, shape):
    count = count_macs(build(), torch.rand(shape))
    assert (count.uncounted, count.thop_failed) == ({}, "")
    assert "at least" not in str(count)


def test_inference_mode_hides_nothing():
    model, x = By(lambda self, x: self.part(x)[0], part=nn.LSTM(8, 8)), R(5, 2, 8)
    quick = By(torch.inference_mode()(lambda self, x: self.part(x)[0]), part=model.part)
    count = count_macs(quick, x)
    assert (count.macs, count.uncounted) == (count_macs(model, x).macs, {})
