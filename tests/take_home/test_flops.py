"""helpers.flops: both tools to the digit, and a model that stays as it was."""

import contextlib
import threading
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry
from torchvision import models

from helpers.flops import _thop_profile, count_macs

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
        torch.rand(1)
        x.mul_(0)
        if self.fails:
            self.extra = nn.Linear(1, 1)
            raise RuntimeError("it broke")
        return self.norm(self.linear(x))


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
    model = small_net()
    model[1].total_ops = 3  # thop wants this name for a buffer
    before = portrait(model)
    with pytest.raises(RuntimeError, match="thop cannot count Sequential: KeyError"):
        count_macs(model, torch.zeros(2, 3, 4, 4))
    assert portrait(model) == before


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
        (small_net(), (), {}, TypeError, r"inputs must hold a tensor, got \(\). Pass"),
        (small_net(), ((1, 3, 4, 4),), {}, TypeError, "Pass data, not its shape"),
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
    for model in (scripted, nn.Sequential(scripted)):
        with pytest.raises(
            TypeError, match="got one of torch.jit. .* before torch.jit"
        ):
            count_macs(model, X)


def test_model_that_cannot_be_copied_is_named_and_the_advice_works():
    model = nn.Sequential(Holding(threading.Lock()), Holding(i for i in range(3)))
    message = "cannot copy Sequential: TypeError: cannot pickle .*lock.* Set the attrib"
    with pytest.raises(TypeError, match=message):
        count_macs(model, torch.zeros(2, 4))
    model[0].held, model[1].held = contextlib.nullcontext(), None
    assert count_macs(model, torch.zeros(2, 4)).macs == 2 * 2 * 16
