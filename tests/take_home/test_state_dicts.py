"""helpers.state_dicts: reports that agree with torch, and loading all or nothing."""

import copy
import re
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.state_dicts import load_matching, load_report

# --- models --------------------------------------------------------------------------


def small():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


class Named(nn.Module):
    """Has a submodule whose name ends like a prefix, and one that is called like it."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(2))
        self.submodule = nn.Linear(2, 2)
        self.module = nn.Linear(2, 2)
        self.module.w = nn.Parameter(torch.randn(2))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


class Vocabulary(nn.Module):
    """Keeps words as extra state, and fails half way if one of them is no string."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.words = {"known": ["a"]}

    def get_extra_state(self):
        return list(self.words["known"])

    def set_extra_state(self, state):
        for word in state:
            self.words["known"].append(word + "")


class Interrupted(nn.Linear):
    """Raises after its weight has been copied, as Ctrl-C may."""

    error = KeyboardInterrupt

    def _load_from_state_dict(self, *args):
        super()._load_from_state_dict(*args)
        raise self.error("half way")


class Transposing(nn.Linear):
    def _load_from_state_dict(self, state_dict, prefix, *args):
        state_dict[prefix + "weight"] = state_dict[prefix + "weight"].T
        super()._load_from_state_dict(state_dict, prefix, *args)


def snapshot(model):
    """Each parameter and buffer, bit for bit, with its version."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {n: (id(t), t._version, t.dtype, t.shape, bits(t)) for n, t in named}


def bits(tensor):
    if tensor.is_meta:
        return None
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


def contents(snapshotted):
    """The same without version counters, which undoing cannot turn back."""
    return {name: (t[0], *t[2:]) for name, t in snapshotted.items()}


def assert_holds(model, state_dict):
    for name, value in model.state_dict().items():
        assert torch.equal(value, state_dict[name].to(value.dtype)), name


# --- load_report ---------------------------------------------------------------------


def torch_says(model, state_dict):
    """What load_state_dict(strict=False) does to a copy of a model."""
    model = copy.deepcopy(model)
    try:
        result = model.load_state_dict(state_dict, strict=False)
    except RuntimeError as error:
        return None, None, str(error)
    return set(result.missing_keys), set(result.unexpected_keys), ""


KEYS = [
    "0.weight",
    "0.bias",
    "1.running_mean",
    "2.weight",
    "2.bias",
    "module.0.bias",
    "x",
]


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["right", "wrong", "half"]))
)
def test_report_agrees_with_torch(chosen):
    model = small()
    right = model.state_dict()
    state_dict = {}
    for key, kind in chosen.items():
        value = torch.ones_like(right.get(key, torch.zeros(3)))
        state_dict[key] = {"wrong": torch.ones(7, 7), "half": value.half()}.get(
            kind, value
        )
    before = snapshot(model)
    report = load_report(model, state_dict)
    missing, unexpected, error = torch_says(model, state_dict)
    assert snapshot(model) == before
    for name in report.names("shape"):
        assert f"size mismatch for {name}:" in error
    assert bool(error) == bool(report.names("shape"))
    if not error:
        assert set(report.names("missing")) == missing
        assert set(report.names("unexpected")) == unexpected
    loaded = sum(right[name].numel() for name in report.names("loaded"))
    everything = sum(value.numel() for value in right.values()) - 1  # the counter
    assert (report.loaded, report.total) == (loaded, everything)


def test_report_reads_aloud_what_happens():
    model = nn.ModuleDict({"body": nn.Linear(2, 3), "head": nn.Linear(3, 2)})
    state_dict = {
        "body.weight": torch.ones(3, 2, dtype=torch.float64),
        "head.weight": torch.ones(5, 3),
        "head.bias": [1, 2],
        "extra": torch.ones(4),
    }
    assert str(load_report(model, state_dict)).splitlines() == [
        "status       numbers  name",
        "loaded             6  body.weight (float64 to float32)",
        "missing            3  body.bias",
        "shape              6  head.weight (given (5, 3), model (2, 3))",
        "unusable           2  head.bias (list, not a tensor)",
        "unexpected         4  extra",
        "loaded 6 of 17 = 35.2%",
    ]


def test_share_is_rounded_down():
    model = nn.ModuleDict({"a": nn.Linear(300, 300, bias=False), "b": nn.Linear(1, 1)})
    state_dict = model.state_dict()
    del state_dict["b.bias"]
    report = load_report(model, state_dict)
    assert report.percent() == "99.9%"
    assert 0.9999 < report.share < 1


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (torch.empty(2, 2, device="meta"), "no numbers in it"),
        (torch.ones(2, 2, dtype=torch.complex64), "complex64 does not become float32"),
        (torch.ones(2, 2).to_sparse(), "float32 sparse_coo does not become float32"),
        (nn.UninitializedParameter(), "no numbers in it"),
        ([[1.0, 2.0]], "list, not a tensor"),
        (None, "NoneType, not a tensor"),
    ],
)
def test_what_cannot_be_copied_is_unusable(value, note):
    row = load_report(nn.Linear(2, 2), {"weight": value}).rows[0]
    assert (row.status, row.source) == ("unusable", "weight")
    assert note in row.note


def test_a_model_on_meta_holds_nothing_although_torch_says_matched():
    model = nn.Linear(2, 2, device="meta")
    state_dict = nn.Linear(2, 2).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (
            str(model.load_state_dict(state_dict)) == "<All keys matched successfully>"
        )
    report = load_report(model, state_dict)
    assert report.share == 0
    assert "to_empty" in report.rows[0].note


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.register_buffer("n", torch.zeros(2, dtype=dtype))


@pytest.mark.parametrize(
    ("given", "dtype", "note"),
    [
        ([1.0, 70000.0], torch.float16, "70000 becomes inf as float16"),
        ([1.0, -3.4e38], torch.bfloat16, r"-3.4e\+38 becomes -inf as bfloat16"),
        ([1.0, 800.0], torch.float8_e4m3fn, "800 becomes (448|nan) as float8_e4m3fn"),
        ([1, 300], torch.int8, "300 becomes 44 as int8"),
        ([1, -1], torch.uint8, "-1 becomes 255 as uint8"),
        ([1, 70000], torch.float16, "70000 becomes inf as float16"),
    ],
)
def test_number_that_a_cast_would_destroy_is_not_called_loaded(given, dtype, note):
    given = {"n": torch.tensor(given)}
    row = load_report(Cast(dtype), given).rows[0]
    assert row.status == "unusable"
    assert re.fullmatch(note, row.note)
    with pytest.raises(ValueError, match=rf"unusable: n \({note}\)\)"):
        load_matching(Cast(dtype), given)


@pytest.mark.parametrize("value", [1e-9, 2.0001, 65519.0, float("inf"), float("nan")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_is_loading(value, dtype):
    given = torch.tensor([value, -value])
    model = Cast(dtype)
    assert load_matching(model, {"n": given}).share == 1
    assert torch.equal(model.n.nan_to_num(7), given.to(dtype).nan_to_num(7))


def test_overflow_of_a_complex_number_is_seen():
    given = torch.tensor([1 + 1e39j, 0], dtype=torch.complex128)
    (row,) = load_report(Cast(torch.complex64), {"n": given}).rows
    assert (row.status, row.note) == (
        "unusable",
        "1+1e+39j becomes 1+infj as complex64",
    )


def test_large_integers_are_compared_whole_and_late_ones_seen():
    model = nn.Module()
    model.register_buffer("n", torch.zeros(2**20 + 1, dtype=torch.int32))
    given = torch.full((2**20 + 1,), 2**31 - 1)
    assert load_report(model, {"n": given}).share == 1
    given[-1] = 2**40
    assert (
        load_report(model, {"n": given}).rows[0].note
        == "1.09951e+12 becomes 0 as int32"
    )


def test_expanded_buffer_is_unusable_as_torch_cannot_write_to_it():
    model = nn.Linear(2, 3)
    model.register_buffer("mask", torch.ones(1).expand(4))
    given = {k: torch.zeros(v.shape) for k, v in model.state_dict().items()}
    assert load_report(model, given).names("unusable") == ["mask"]
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"unusable: mask \(expanded in the model"):
        load_matching(model, given)
    assert snapshot(model) == before
    with pytest.raises(RuntimeError, match="single memory location"):
        model.load_state_dict(given)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_quantized_tensor_of_another_kind_is_unusable():
    model = nn.Module()
    kinds = torch.quint8, torch.qint8
    first, second = (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, k) for k in kinds)
    model.register_buffer("q", first)
    assert load_report(model, {"q": first}).share == 1
    for value, kind in ((second, "qint8"), (torch.ones(3), "float32")):
        (row,) = load_report(model, {"q": value}).rows
        assert (row.status, row.note) == ("unusable", f"{kind} does not become quint8")


def test_entry_of_a_hook_that_is_no_tensor_gets_a_row():
    model = nn.Linear(2, 2)
    model.register_state_dict_post_hook(lambda m, sd, *rest: sd.update(version=3))
    given = nn.Linear(2, 2).state_dict()
    for value, note in (
        (torch.tensor(3), "int in the model, not a tensor"),
        (3, "int, not a tensor"),
    ):
        row = load_report(model, given | {"version": value}).rows[-1]
        assert (row.name, row.status, row.note) == ("version", "unusable", note)
    assert load_report(model, given).names("missing") == ["version"]


def test_tied_weights_count_once_and_need_one_name():
    model = Tied()
    both = {name: torch.ones(5, 3) for name in ("embed.weight", "head.weight")}
    one = {"embed.weight": torch.ones(5, 3)}
    assert load_report(model, both).share == load_report(model, one).share == 1
    assert load_report(model, one).total == 15
    assert load_report(model, one).names("tied") == ["head.weight"]
    both["head.weight"] = torch.zeros(5, 3)
    report = load_report(model, both)
    assert report.names("conflict") == ["embed.weight", "head.weight"]
    assert report.share == 0


def test_counter_of_batches_is_kept_unless_its_layer_reads_it():
    for momentum, status in ((0.1, "kept"), (None, "missing")):
        model = nn.BatchNorm1d(2, momentum=momentum)
        state_dict = dict(model.state_dict())
        del state_dict["num_batches_tracked"]
        assert load_report(model, state_dict).rows[-1].status == status


def test_running_statistics_count():
    model = nn.BatchNorm1d(4)
    state_dict = {"weight": torch.ones(4), "bias": torch.ones(4)}
    assert load_report(model, state_dict).share == 0.5
    with pytest.raises(ValueError, match=r"missing: running_mean, running_var\)"):
        load_matching(model, state_dict)


def test_model_without_numbers_is_complete():
    assert load_report(nn.ReLU(), {}).share == 1
    assert load_report(nn.ReLU(), {"x": torch.ones(1)}).names("unexpected") == ["x"]


@pytest.mark.parametrize("function", [load_report, load_matching])
def test_lazy_model_is_refused_and_the_advice_works(function):
    model, given = nn.LazyLinear(3), nn.Linear(5, 3).state_dict()
    with pytest.raises(ValueError, match="got a lazy layer .* Run it once on a batch"):
        function(model, given)
    model(torch.zeros(1, 5))
    assert function(model, given).share == 1


# --- load_matching: prefixes ---------------------------------------------------------

WRAPPERS = ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.module."]


@pytest.mark.parametrize("prefix", ["", *WRAPPERS])
@pytest.mark.parametrize("make", [small, Named, Tied, Vocabulary])
def test_prefix_before_all_keys_is_looked_past(make, prefix):
    trained, model = make(), make()
    given = {prefix + key: value for key, value in trained.state_dict().items()}
    before = dict(given)
    assert load_matching(model, given).share == 1
    for name, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, trained.state_dict()[name]), name
    assert given == before


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["", *WRAPPERS]), min_size=7, max_size=7))
def test_prefixes_may_differ_from_key_to_key(prefixes):
    trained, model = small(), small()
    keys = trained.state_dict().items()
    given = {p + k: v for p, (k, v) in zip(prefixes * 2, keys, strict=False)}
    assert load_matching(model, given).share == 1
    assert_holds(model, trained.state_dict())


def test_prefixes_inside_a_name_and_in_the_model_are_looked_past():
    trained = nn.ModuleDict({"net": small()})
    compiled = nn.ModuleDict({"_orig_mod": nn.ModuleDict({"module": small()})})
    wrapped = nn.ModuleDict({"net": compiled})
    load_matching(wrapped, trained.state_dict())
    again = nn.ModuleDict({"net": small()})
    load_matching(again, wrapped.state_dict())
    assert_holds(again, trained.state_dict())


def test_prefixes_may_differ_at_the_root_too():
    given = {"module.weight": torch.ones(1, 2), "_orig_mod.bias": torch.ones(1)}
    assert load_matching(nn.Linear(2, 1), given).share == 1


def test_two_keys_for_one_name_are_not_guessed_between():
    given = {"module.weight": torch.ones(1, 2), "_orig_mod.weight": torch.zeros(1, 2)}
    report = load_report(nn.Linear(2, 1), given, prefixes=["module.", "_orig_mod."])
    assert report.share == 0
    assert len(report.names("unexpected")) == 2


def test_own_prefixes_replace_the_known_ones():
    given = {f"net.{k}": v for k, v in small().state_dict().items()}
    assert load_matching(small(), given, prefixes=["net."]).share == 1
    with pytest.raises(ValueError, match="fits 0.0% of the model"):
        load_matching(small(), given)


def test_versions_of_layers_travel_with_their_names():
    seen = []

    class Old(nn.Linear):
        _version = 7

        def _load_from_state_dict(self, state_dict, prefix, metadata, *rest):
            seen.append(metadata.get("version"))
            super()._load_from_state_dict(state_dict, prefix, metadata, *rest)

    given = nn.DataParallel(nn.Sequential(Old(2, 2))).state_dict()
    load_matching(nn.Sequential(Old(2, 2)), given)
    assert seen == [7]


# --- load_matching: values that lie in the model's own memory --------------------------


def chain(count):
    return nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(count))


@pytest.mark.parametrize("order", [(1, 0), (0, 0, 1, 2), (3, 2, 1, 0), (1, 2, 0)])
def test_layers_can_change_places(order):
    model = chain(len(order))
    state_dict = model.state_dict()
    before = [layer.weight.detach().clone() for layer in model]
    given = {
        f"{to}.weight": state_dict[f"{from_}.weight"] for to, from_ in enumerate(order)
    }
    assert load_matching(model, given).share == 1
    for layer, source in zip(model, order, strict=True):
        assert torch.equal(layer.weight, before[source])


def test_weight_can_be_replaced_by_its_own_transpose():
    model = nn.Linear(300, 300, bias=False)
    before = model.weight.detach().clone()
    load_matching(model, {"weight": model.weight.T})
    assert torch.equal(model.weight, before.T)


@pytest.mark.parametrize("write", [torch.Tensor.mul_, lambda t, n: t.data.mul_(n)])
def test_loading_code_that_writes_to_what_it_gets_is_undone_and_named(write):
    class Doubling(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *rest):
            write(state_dict[prefix + "weight"], 2)
            super()._load_from_state_dict(state_dict, prefix, *rest)

    model = Doubling(2, 2)
    before = contents(snapshot(model))
    given = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    with pytest.raises(RuntimeError, match="weight must hold what state_dict holds"):
        load_matching(model, given)
    assert contents(snapshot(model)) == before
    assert (given["weight"] == 1).all()


def test_two_values_for_two_names_of_one_memory_are_undone():
    model = chain(2)
    model[1].weight.data = model[0].weight.data
    before = contents(snapshot(model))
    given = {"0.weight": torch.ones(2, 2), "1.weight": torch.zeros(2, 2)}
    with pytest.raises(RuntimeError, match="another entry lies in the same memory"):
        load_matching(model, given)
    assert contents(snapshot(model)) == before


def test_model_is_untouched_by_its_own_state_dict_hook():
    model = nn.Linear(2, 2)
    before = contents(snapshot(model))

    def zero(module, *rest):
        module.weight.data.zero_()

    handle = model.register_state_dict_post_hook(zero)
    for state_dict, error in (
        ({}, ValueError),
        (nn.Linear(2, 2).state_dict(), RuntimeError),
    ):
        with pytest.raises(error):
            load_matching(model, state_dict)
        assert contents(snapshot(model)) == before
    handle.remove()


# --- load_matching: all or nothing ---------------------------------------------------

WRONG = {
    "shape": lambda t: torch.ones(9, 9),
    "meta": lambda t: t.to("meta"),
    "complex": lambda t: t.to(torch.complex64),
    "sparse": lambda t: torch.ones(t.shape).to_sparse(),
    "no tensor": lambda t: {"weight": t},
    "none": lambda t: None,
    "lazy": lambda t: nn.UninitializedParameter(),
    "absent": None,
}


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(0, 7), st.sampled_from(sorted(WRONG)), max_size=4),
    st.sampled_from(["", *WRAPPERS]),
    st.floats(0, 1),
)
def test_the_model_is_loaded_as_promised_or_untouched(damage, prefix, min_share):
    model = small()
    model(torch.ones(5, 3)).sum().backward()
    given = {prefix + k: torch.full_like(v, 2) for k, v in model.state_dict().items()}
    for number, kind in damage.items():
        key = list(model.state_dict())[number]
        if WRONG[kind]:
            given[prefix + key] = WRONG[kind](given[prefix + key])
        else:
            del given[prefix + key]
    before = snapshot(model)
    report = load_report(model, given, ["module.", "_orig_mod."])
    if report.share < min_share:
        with pytest.raises(ValueError, match="Nothing was loaded"):
            load_matching(model, given, min_share)
        assert snapshot(model) == before
        return
    assert load_matching(model, given, min_share) == report
    assert report.share >= min_share
    now = dict(model.state_dict())
    for name, (*_, old) in before.items():
        if name in report.names("loaded"):
            assert (now[name] == 2).all()
        else:
            assert bits(now[name]) == old


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit, RuntimeError, MemoryError]
)
def test_model_is_untouched_after_an_interrupt(error):
    class Failing(Interrupted):
        pass

    Failing.error = error
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), Failing(2, 2))
    with torch.no_grad():
        model[0].weight[0] = torch.tensor([-0.0, float("nan")])
    before = snapshot(model)
    given = {k: torch.zeros_like(v) for k, v in model.state_dict().items()}
    with pytest.raises(error, match="half way"):
        load_matching(model, given)
    assert contents(snapshot(model)) == contents(before)


def test_gradients_and_parameters_are_the_same_objects_after_a_failure():
    model = nn.Sequential(nn.Linear(2, 2), Interrupted(2, 2))
    loss = model(torch.ones(1, 2)).sum()
    loss.backward(retain_graph=True)
    before = [(p, p.grad, p.grad.clone()) for p in model.parameters()]
    given = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).state_dict()
    with pytest.raises(KeyboardInterrupt):
        load_matching(model, given)
    for parameter, (same, grad, value) in zip(model.parameters(), before, strict=True):
        assert parameter is same
        assert parameter.grad is grad
        assert torch.equal(grad, value)


def test_extra_state_is_loaded_and_tensors_are_undone_if_it_fails():
    model = Vocabulary()
    state_dict = model.state_dict()
    load_matching(model, state_dict)
    assert model.words == {"known": ["a", "a"]}
    before = contents(snapshot(model))
    given = {k: torch.full_like(v, 7) for k, v in GOOD.items()}
    with pytest.raises(TypeError):
        load_matching(
            model,
            {f"linear.{k}": v for k, v in given.items()} | {"_extra_state": ["b", 3]},
        )
    assert contents(snapshot(model)) == before
    del state_dict["_extra_state"]
    with pytest.raises(ValueError, match="missing: _extra_state"):
        load_matching(model, state_dict)


def test_loading_code_that_changes_values_is_undone_and_named():
    model = Transposing(2, 2)
    before = contents(snapshot(model))
    with pytest.raises(RuntimeError, match="weight must hold what state_dict holds"):
        load_matching(model, nn.Linear(2, 2).state_dict())
    assert contents(snapshot(model)) == before


def test_hook_that_replaces_a_parameter_is_undone():
    model = nn.Linear(2, 2)
    old = model.weight

    def replace(module, incompatible):
        module.weight = nn.Parameter(torch.zeros(3, 3))
        old.data = torch.zeros(5)
        raise ValueError("hook")

    model.register_load_state_dict_post_hook(replace)
    before = contents(snapshot(model))
    with pytest.raises(ValueError, match="hook"):
        load_matching(model, nn.Linear(2, 2).state_dict())
    assert model.weight is old
    assert contents(snapshot(model)) == before


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(small())


@pytest.mark.parametrize("make", [small, scripted])
def test_tensor_that_fails_when_copied_leaves_the_model_alone(make):
    class Hostile(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func.__name__ == "copy_":
                raise OSError("the file is gone")
            return super().__torch_function__(func, types, args, kwargs or {})

    model = make()
    before = contents(snapshot(model))
    given = OrderedDict((k, torch.ones_like(v)) for k, v in model.state_dict().items())
    given["2.weight"] = given["2.weight"].as_subclass(Hostile)
    with pytest.raises(RuntimeError, match="the file is gone"):
        load_matching(model, given)
    assert contents(snapshot(model)) == before


class Wrapper(torch.Tensor):
    """A tensor made of another one, without memory of its own."""

    @staticmethod
    def __new__(cls, inner):
        self = torch.Tensor._make_wrapper_subclass(cls, inner.shape)
        self.held = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        plain = [a.held if isinstance(a, cls) else a for a in args]
        result = func(*plain, **(kwargs or {}))
        return args[0] if result is plain[0] else cls(result)


HARD = {  # to compare or to write to, made from a parameter
    "conj": lambda bias: torch.randn(3, dtype=torch.complex64).conj(),
    "neg": lambda bias: torch.randn(3, dtype=torch.complex64).conj().imag,
    "expanded": lambda bias: torch.ones(1).expand(4),
    "expanded bias": lambda bias: bias[:1].expand(5),
    "view of the bias": lambda bias: bias[1:],
    "sparse": lambda bias: torch.eye(3).to_sparse(),
    "quantized": lambda bias: quantized(1.0),
    "wrapper": lambda bias: Wrapper(torch.ones(2)),
}


def quantized(value):
    return torch.quantize_per_tensor(torch.full((3,), value), 0.1, 0, torch.quint8)


def readable(tensor):
    tensor = getattr(tensor, "held", tensor)
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    return tensor.detach().clone().to_dense()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", HARD)
def test_every_tensor_is_put_back_whatever_stands_before_it(name):
    model = nn.Sequential(nn.Linear(2, 3), Interrupted(3, 2))
    model[0].register_buffer("extra", HARD[name](model[0].bias.data))
    extra = model[0].extra
    before = {k: readable(v) for k, v in model.state_dict().items()}
    given = {k: torch.zeros(v.shape) for k, v in before.items()}
    kinds = {"quantized": quantized(0.0), "sparse": torch.zeros(3, 3).to_sparse()}
    given["0.extra"] = kinds.get(name, given["0.extra"])
    written = []
    model[0].register_load_state_dict_post_hook(
        lambda m, _: written.append(readable(m.extra))
    )
    with pytest.raises(KeyboardInterrupt):
        load_matching(model, given, min_share=0.5)
    assert "expanded" in name or not written[0].any()  # it was loaded, before the error
    assert model[0].extra is extra
    for key, value in model.state_dict().items():
        assert torch.equal(readable(value), before[key]), key


def test_buffer_of_inference_mode_is_no_obstacle():
    model = nn.Linear(2, 2)
    with torch.inference_mode():
        model.register_buffer("b", torch.ones(3))
    weight = model.weight.detach().clone()
    with pytest.raises(RuntimeError, match="inference tensor"):
        load_matching(model, {**GOOD, "b": torch.zeros(3)})
    assert torch.equal(model.weight, weight)
    assert torch.equal(model.b, torch.ones(3))


def test_memory_for_two_copies_is_enough(monkeypatch):
    model, clones = chain(8), []
    clone = torch.Tensor.clone

    def counted(tensor, **options):
        clones.append(tensor.numel())
        return clone(tensor, **options)

    monkeypatch.setattr(torch.Tensor, "clone", counted)
    load_matching(model, chain(8).state_dict())
    assert sum(clones) == 2 * 8 * 4


def test_values_are_copied_in_place_and_cast():
    model = nn.Linear(2, 2)
    weight = model.weight
    load_matching(model, nn.Linear(2, 2).half().state_dict())
    assert model.weight is weight
    assert weight.dtype == torch.float32


def test_old_scalar_of_one_number_loads_as_torch_loads_it():
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(0.0))
    assert load_matching(model, {"scale": torch.tensor([3.0])}).share == 1
    assert model.scale.item() == 3


def test_head_of_another_size_is_left_out_when_told():
    trained, model = small(), nn.Sequential(*small()[:2], nn.Linear(4, 7))
    before = bits(model[2].weight)
    report = load_matching(model, trained.state_dict(), min_share=0.4)
    assert report.names("shape") == ["2.weight", "2.bias"]
    assert torch.equal(model[0].weight, trained[0].weight)
    assert bits(model[2].weight) == before


# --- errors --------------------------------------------------------------------------

GOOD = nn.Linear(2, 2).state_dict()
BAD = [
    ({"model": GOOD}, TypeError, "model must be an nn.Module, got OrderedDict. The model"),
    ({"state_dict": nn.Linear(2, 2)}, TypeError, "must be a dict of tensors, got Linear"),
    ({"state_dict": {0: torch.ones(2)}}, TypeError, "strings as keys, got 0. Is it"),
    ({"prefixes": "module."}, TypeError, "prefixes must be a list of strings, got 'mod"),
    ({"prefixes": ["module"]}, ValueError, "a name and a dot, got 'module'. Try"),
    ({"prefixes": ["module.", "a.b."]}, ValueError, "a name and a dot, got 'a.b.'"),
    ({"prefixes": ["."]}, ValueError, "a name and a dot, got '.'"),
    ({"prefixes": [3]}, ValueError, "a name and a dot, got 3"),
]  # fmt: skip


@pytest.mark.parametrize("function", [load_report, load_matching])
@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input_is_named(function, change, error, message):
    arguments = {"model": nn.Linear(2, 2), "state_dict": GOOD} | change
    with pytest.raises(error, match=f"{function.__name__}: .*{message}"):
        function(**arguments)


@pytest.mark.parametrize("share", [-0.1, 50, float("nan")])
def test_bad_share_is_named(share):
    with pytest.raises(
        ValueError, match=f"min_share must be from 0 to 1 .*{share}. Wri"
    ):
        load_matching(nn.Linear(2, 2), GOOD, min_share=share)


def test_refusal_names_what_does_not_fit():
    with pytest.raises(ValueError, match="fits 0.0% of the model") as caught:
        load_matching(small(), {"x": torch.ones(1), "2.bias": torch.ones(5)})
    text = str(caught.value)
    assert "min_share=1.0" in text
    assert "missing: 0.weight, 0.bias, 1.weight and 4 more" in text
    assert "shape: 2.bias (given (5,), model (2,)); unexpected: x" in text


def test_refusal_finds_the_state_dict_inside_a_checkpoint():
    with pytest.raises(
        ValueError, match=r"Is it state_dict\['model'\] that you mean\?"
    ):
        load_matching(nn.Linear(2, 2), {"epoch": 3, "model": GOOD})


def test_refusal_names_the_mapping_that_fits_best():
    optimizer = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{}]}
    other = {"weight": torch.ones(9, 2), "bias": torch.ones(2)}
    model = nn.Linear(2, 2)
    checkpoint = {"optimizer_state_dict": optimizer, "by_number": {0: 1}, "old": other}
    with pytest.raises(ValueError, match=r"Is it state_dict\['old'\] that you mean\?"):
        load_matching(model, checkpoint)
    checkpoint |= {"model_state_dict": {f"module.{k}": v for k, v in GOOD.items()}}
    with pytest.raises(
        ValueError, match=r"Is it state_dict\['model_state_dict'\] that"
    ):
        load_matching(model, checkpoint)
    with pytest.raises(
        ValueError, match=r"state_dict\['a'\] or state_dict\['b'\] that"
    ):
        load_matching(model, {"a": GOOD, "b": GOOD})
    for useless, advice in (
        ({"optimizer": optimizer}, "Pass a state dict that holds these entries"),
        ({"weight": torch.ones(2, 2), "x": other}, "Load only the 66.6% that fit"),
    ):
        with pytest.raises(ValueError, match=f"Nothing was loaded. {advice}"):
            load_matching(model, useless)


def test_empty_state_dict_is_refused_unless_told():
    with pytest.raises(ValueError, match=r"fits 0.0% .*missing: weight, bias\)"):
        load_matching(nn.Linear(2, 2), {})
    assert load_matching(nn.Linear(2, 2), {}, min_share=0).share == 0


# --- the call that would load ----------------------------------------------------------


def refusal(model, state_dict, **arguments):
    """The message of a refusal that has left the model alone."""
    before = contents(snapshot(model))
    with pytest.raises(ValueError, match="Nothing was loaded") as caught:
        load_matching(model, state_dict, **arguments)
    assert contents(snapshot(model)) == before
    return str(caught.value)


def printed_calls(message):
    advice = message.partition("Nothing was loaded. ")[2]
    return re.findall(r"load_matching\(.*?\)(?= loads|\.$|; or)", advice)


def make_the_call(message, model, state_dict):
    """Run the one call that a message prints."""
    (call,) = printed_calls(message)
    return eval(call, {"load_matching": load_matching}, locals())


def behind(prefix, state_dict):
    return {prefix + key: value for key, value in state_dict.items()}


class Wrapped(nn.Module):
    """A network with a head of its own, as a detector is around a classifier."""

    def __init__(self, name="backbone", head=2):
        super().__init__()
        self.add_module(name, small())
        self.head = nn.Linear(2, head)


PLACES = {  # where a checkpoint keeps a state dict: the same in Python
    "state_dict['state_dict']": lambda sd: {"epoch": 3, "state_dict": sd, "loops": {}},
    "state_dict['params_ema']": lambda sd: {"params": {"x": 1}, "params_ema": sd},
    "state_dict['model_ema']['module']": lambda sd: {
        "model_ema": {"module": sd, "n": 1}
    },
    "state_dict['nets'][1]": lambda sd: {"nets": [{}, sd], "lr": [0.1] * 9},
    "state_dict['by rank'][0]": lambda sd: {"by rank": {0: sd}, "args": None},
}
HEADS = [  # one prefix or several in a row
    "model.",
    "net.",
    "encoder.",
    "_fsdp_wrapped_module.",
    "model._orig_mod.",
    "_orig_mod.model.",
    "module.backbone.body.",
    "module._orig_mod.net.",
]


@pytest.mark.parametrize("head", ["", "module.", *HEADS])
@pytest.mark.parametrize("place", PLACES)
def test_refusal_prints_the_call_that_loads_a_checkpoint(place, head):
    trained, model = small(), small()
    checkpoint = PLACES[place](behind(head, trained.state_dict()))
    message = refusal(model, checkpoint)
    assert f"Is it {place} that you mean?" in message
    assert ("prefixes=" in message) == (head in HEADS)
    assert make_the_call(message, model, checkpoint).share == 1
    assert_holds(model, trained.state_dict())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("rest", [{}, {"loss.weight": torch.ones(3)}])
def test_refusal_prints_the_prefixes(head, rest):
    trained, model = small(), small()
    given = behind(head, trained.state_dict()) | rest
    message = refusal(model, given)
    assert "Is it" not in message
    make_the_call(message, model, given)
    assert_holds(model, trained.state_dict())


def test_refusal_sees_wrappers_in_the_middle_of_names():
    middle = "_fsdp_wrapped_module._checkpoint_wrapped_module."
    trained = small()
    inner = {
        f"model.{key[:2]}{middle}{key[2:]}": value
        for key, value in trained.state_dict().items()
    }
    model, checkpoint = small(), {"state_dict": inner}
    make_the_call(refusal(model, checkpoint), model, checkpoint)
    assert_holds(model, trained.state_dict())


@pytest.mark.parametrize("wrap", [nn.Module.float, nn.Module.half, nn.DataParallel])
def test_refusal_finds_a_module_inside_a_checkpoint(wrap):
    trained, model = nn.Linear(2, 2), nn.Linear(2, 2)
    checkpoint = {"epoch": 1, "model": wrap(trained), "ema": None}
    message = refusal(model, checkpoint)
    assert "state_dict['model'].state_dict()" in message
    assert make_the_call(message, model, checkpoint).share == 1
    assert_holds(model, trained.state_dict())


@pytest.mark.parametrize("head", ["", "module.", "model."])
@pytest.mark.parametrize("name", ["backbone", "0"])
def test_refusal_finds_the_part_of_the_model_that_is_meant(name, head):
    trained, model = small(), Wrapped(name)
    given = behind(head, trained.state_dict())
    message = refusal(model, given)
    assert make_the_call(message, model, given).share == 1
    assert_holds(model.get_submodule(name), trained.state_dict())


@pytest.mark.parametrize("outer", [nn.DataParallel, torch.compile])
def test_refusal_looks_into_a_wrapped_model(outer):
    trained, model = Wrapped(), outer(Wrapped())
    given = behind("model.", trained.state_dict())
    assert make_the_call(refusal(model, given), model, given).share == 1
    assert_holds(next(model.children()), trained.state_dict())


def test_refusal_keeps_the_share_and_the_prefixes_that_were_asked_for():
    checkpoint = {"model": behind("net.", small().state_dict())}
    model = nn.Sequential(*small()[:2], nn.Linear(4, 7))
    message = refusal(model, checkpoint, prefixes=["net."])
    (call,) = printed_calls(message)
    wanted = "state_dict['model'], min_share=0.485, prefixes=['net.'])"
    assert call == f"load_matching(model, {wanted}"
    assert make_the_call(message, model, checkpoint).percent() == "48.5%"
    message = refusal(model, checkpoint["model"], min_share=0.9, prefixes=["net."])
    assert make_the_call(message, model, checkpoint["model"]).percent() == "48.5%"
    message = refusal(model, checkpoint, min_share=0.4)
    assert "min_share" not in printed_calls(message)[0]


def test_refusal_prints_a_call_for_each_of_several_that_fit():
    given = behind("encoder_q.", GOOD) | behind("encoder_k.", GOOD)
    model = nn.Linear(2, 2)
    calls = printed_calls(refusal(model, given))
    assert [re.search(r"prefixes=\['(.*)'\]", call)[1] for call in calls] == [
        "encoder_q.",
        "encoder_k.",
    ]
    assert len(printed_calls(refusal(model, {"ema": GOOD, "raw": GOOD}))) == 2


def test_refusal_says_what_the_printed_call_leaves_out():
    given = {**small().state_dict(), "0.weight": torch.ones(4, 3).to(torch.int8)}
    model, checkpoint = small(), {"model": behind("net.", given | {"0.SCB": GOOD})}
    message = refusal(model, checkpoint)
    assert "loads 72.0% (unusable: 0.weight (int8 codes, not float32" in message
    assert make_the_call(message, model, checkpoint).names("unusable") == ["0.weight"]
    given["0.weight"] = torch.ones(7, 3)
    message = refusal(model, {"state_dict": given})
    assert "loads 72.0% (shape: 0.weight (given (7, 3), model (4, 3)))" in message


def test_refusal_of_a_scripted_model_prints_a_call():
    model, trained = scripted(), small().state_dict()
    checkpoint = {"state_dict": behind("model.", trained)}
    assert make_the_call(refusal(model, checkpoint), model, checkpoint).share == 1
    del trained["1.num_batches_tracked"]
    assert "missing: 1.num_batches_tracked)" in refusal(model, trained)


def test_refusal_prints_no_call_for_names_that_agree_by_chance():
    model = nn.ModuleDict({"a": small(), "b": nn.Linear(2, 9)})
    given = {f"blocks.{i}.{k}": torch.ones(9) for i in range(5) for k in ("x", "bias")}
    for state_dict in (given, {"state_dict": given}):
        assert not printed_calls(refusal(model, state_dict))


# --- advice: each one works ------------------------------------------------------------


def test_changed_head_is_named_with_both_shapes_and_the_rest_loads():
    trained, model = small(), nn.Sequential(*small()[:2], nn.Linear(4, 7))
    given = trained.state_dict()
    message = refusal(model, given)
    assert "shape: 2.weight (given (2, 4), model (7, 4)), 2.bias (given (2,)" in message
    assert "Load only the 48.5% that fit: load_matching(model, state_dict" in message
    assert make_the_call(message, model, given).names("shape") == ["2.weight", "2.bias"]
    assert torch.equal(model[0].weight, trained[0].weight)


def test_lists_of_shapes_are_cut_like_names():
    message = refusal(chain(5), {f"{i}.weight": torch.ones(3) for i in range(5)})
    assert message.count("given (3,), model (2, 2)") == 3
    assert "and 2 more" in message
    assert "Pass a state dict that holds these entries as the model does." in message


def test_advice_to_rename_works():
    model, given = nn.Linear(2, 2), {"w": torch.ones(2, 2), "bias": torch.ones(2)}
    message = refusal(model, given)
    assert "Rename its keys to those of model.state_dict(); or load only" in message
    assert make_the_call(message, model, given).names("missing") == ["weight"]
    renamed = dict(zip(model.state_dict(), given.values(), strict=True))
    assert load_matching(model, renamed).share == 1


@pytest.mark.parametrize("made", [np.asarray, Tensor.tolist], ids=["NumPy", "lists"])
def test_advice_to_make_tensors_works(made):
    trained = small()
    arrays = {key: made(value) for key, value in trained.state_dict().items()}
    message = refusal(small(), arrays)
    (advice,) = re.findall(r"Make tensors of its arrays: state_dict = (.*)\.$", message)
    model = small()
    given = eval(advice, {"torch": torch, "state_dict": arrays})
    assert load_matching(model, given).share == 1
    assert torch.equal(model[0].weight, trained[0].weight)


def test_state_of_an_optimizer_is_named_and_the_advice_works():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    message = refusal(model, optimizer.state_dict())
    assert "Rename" not in message
    (advice,) = re.findall(r"It is an optimizer's: (.*)\.$", message)
    other = torch.optim.Adam(model.parameters())
    exec(advice, {"optimizer": other, "state_dict": optimizer.state_dict()})
    assert other.param_groups[0]["lr"] == 0.5


def test_index_of_a_checkpoint_in_parts_is_named_and_the_advice_works():
    parts = {"a.bin": {"weight": torch.ones(2, 2)}, "b.bin": {"bias": torch.ones(2)}}
    places = {name: file for file, part in parts.items() for name in part}
    index = {"metadata": {"total_size": 24}, "weight_map": places}
    message = refusal(nn.Linear(2, 2), index)
    (files,) = re.findall(r"load each of the files (.*), and join their dicts", message)
    joined = {
        k: v for f in eval(files, {"state_dict": index}) for k, v in parts[f].items()
    }
    assert load_matching(nn.Linear(2, 2), joined).share == 1


def test_scheduler_s_numbers_are_not_taken_for_weights():
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters())
    state = torch.optim.lr_scheduler.StepLR(optimizer, 1).state_dict()
    message = refusal(nn.Linear(2, 2), state)
    assert "Rename" not in message
    assert "Make tensors" not in message


@pytest.mark.parametrize("function", [load_report, load_matching])
def test_dict_in_a_list_or_tuple_is_pointed_at(function):
    given = ("name", nn.Linear(2, 2).state_dict())
    with pytest.raises(
        TypeError, match=r"got tuple\. Pass the dict in it: (.*)\."
    ) as caught:
        function(nn.Linear(2, 2), given)
    path = str(caught.value).partition("in it: ")[2].rstrip(".")
    assert function(nn.Linear(2, 2), eval(path, {"state_dict": given})).share == 1


def test_advice_to_keep_one_of_two_values_works():
    model = Tied()
    both = {"embed.weight": torch.ones(5, 3), "head.weight": torch.zeros(5, 3)}
    message = refusal(model, both)
    (advice,) = re.findall(r"Keep one of two values: (.*)\.$", message)
    exec(advice, {"state_dict": both})
    assert load_matching(model, both).share == 1


def test_advice_for_a_model_on_meta_works():
    model = nn.Linear(2, 2, device="meta")
    with pytest.raises(ValueError, match=r"see nn.Module.to_empty\)"):
        load_matching(model, GOOD)
    assert load_matching(model.to_empty(device="cpu"), GOOD).share == 1


def test_advice_for_a_module_or_a_dict_of_state_dicts_works():
    trained = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"of a module take module.state_dict\(\)"):
        load_matching(nn.Linear(2, 2), trained)
    with pytest.raises(TypeError, match="or something that holds one"):
        load_matching(nn.Linear(2, 2), {0: trained.state_dict()})
    assert load_matching(nn.Linear(2, 2), trained.state_dict()).share == 1


def test_advice_to_use_torch_itself_works():
    model, given = Transposing(2, 2), nn.Linear(2, 2).state_dict()
    with pytest.raises(RuntimeError, match="Use model.load_state_dict, which does not"):
        load_matching(model, given)
    model.load_state_dict(given)
    assert torch.equal(model.weight, given["weight"].T)


def test_other_shape_that_loading_code_makes_right_is_loaded():
    model, given = Transposing(3, 2), nn.Linear(2, 3, bias=False).state_dict()
    given["bias"] = torch.ones(2)
    assert load_matching(model, given).share == 1
    assert torch.equal(model.weight, given["weight"].T)


# --- codes that need a scale -----------------------------------------------------------

CODED = [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool]
CODED += [torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("scale", ["weight_scale", "weight_scale_inv", "SCB", ""])
@pytest.mark.parametrize("dtype", CODED)
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16])
def test_codes_never_become_weights_and_the_advice_works(dtype, scale, wanted):
    model = nn.Linear(4, 4, dtype=wanted)
    given = {"weight": torch.ones(4, 4).to(dtype), "bias": torch.zeros(4)}
    given |= {scale: torch.full((4,), 0.01)} if scale else {}
    message = refusal(model, given)
    kind, target = (str(d).removeprefix("torch.") for d in (dtype, wanted))
    assert f"unusable: weight ({kind} codes, not {target} numbers)" in message
    assert "Dequantise weight with the library" in message
    (advice,) = re.findall(r"need no scale: (.*?); or", message)
    assert make_the_call(message, nn.Linear(4, 4, dtype=wanted), given).share == 0.2
    exec(advice, {"state_dict": given})
    assert load_matching(model, given).share == 1


def test_packed_codes_of_another_shape_or_name_are_called_codes():
    packed = torch.ones(8, 1, dtype=torch.uint8)  # two numbers of 4 bits in a byte
    message = refusal(nn.Linear(4, 4), {"weight": packed, "bias": torch.zeros(4)})
    assert "unusable: weight (uint8 codes, not float32 numbers)" in message
    words = {
        "qweight": torch.ones(1, 4, dtype=torch.int32),
        "g_idx": torch.ones(4, dtype=torch.int32),
    }
    message = refusal(nn.Linear(4, 4), words | {"bias": torch.zeros(4)})
    assert "unexpected: qweight (int32 codes), g_idx)" in message
    assert "or dequantise qweight with the library that wrote it; or" in message


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_buffer_may_be_given_as_counts_or_mask(dtype):
    given = {"n": torch.tensor([0, 1]).to(dtype)}
    assert load_matching(Cast(torch.float32), given).share == 1


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_buffer_is_not_given_as_codes(dtype):
    given = {"n": torch.tensor([0.0, 1.0]).to(dtype)}
    assert load_report(Cast(torch.float32), given).names("unusable") == ["n"]
    assert load_matching(Cast(dtype), given).share == 1


# --- loading code of the model's own ---------------------------------------------------


class Fused(nn.Module):
    """Takes old files, in which two layers were one; counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.asked = nn.Linear(2, 2), nn.Linear(2, 2), []
        self.register_load_state_dict_pre_hook(type(self).split)

    def split(self, state_dict, prefix, *rest):
        self.asked.append(prefix)
        with torch.no_grad():
            self.q.weight.zero_()  # as code may that was never meant to be asked twice
        for part in ("weight", "bias"):
            if f"{prefix}qk.{part}" in state_dict:
                halves = state_dict.pop(f"{prefix}qk.{part}").mul_(2).chunk(2)
                state_dict[f"{prefix}q.{part}"], state_dict[f"{prefix}k.{part}"] = (
                    halves
                )


def old_weight_norm(make=lambda: nn.Conv1d(2, 3, 3)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        old = nn.utils.weight_norm(make())
    return old, nn.utils.parametrizations.weight_norm(make())


@pytest.mark.parametrize("prefix", ["", *WRAPPERS])
@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 2), lambda: nn.Conv1d(2, 3, 3)])
def test_old_names_of_weight_norm_load_as_torch_loads_them(make, prefix):
    old, new = old_weight_norm(make)
    model = nn.Sequential(new, nn.BatchNorm1d(2))
    given = nn.Sequential(old, nn.BatchNorm1d(2)).state_dict()
    before = snapshot(model)
    report = load_report(model, behind(prefix, given), ["module.", "_orig_mod."])
    assert snapshot(model) == before
    assert f"0.parametrizations.weight.original0 (from {prefix}0.weight_g)" in str(
        report
    )
    assert load_matching(model, behind(prefix, given)) == report
    assert report.share == 1
    assert torch.equal(new.weight, old.weight)


def test_old_names_are_found_inside_a_checkpoint_and_partly_loaded():
    old, model = old_weight_norm()
    checkpoint = {"generator": behind("model.", old.state_dict())}
    make_the_call(refusal(model, checkpoint), model, checkpoint)
    assert torch.equal(model.weight, old.weight)
    given = {
        **old.state_dict(),
        "weight_v": torch.ones(9),
        "weight_g": torch.ones(3, 1, 1),
    }
    message = refusal(model, given)
    name = "parametrizations.weight.original1"
    assert f"shape: {name} (given (9,), model (3, 2, 3))" in message
    assert make_the_call(message, model, given).names("shape") == [name]
    assert (model.parametrizations.weight.original0 == 1).all()


def test_code_that_makes_entries_of_others_loads_as_torch_loads_it():
    model = nn.Sequential(Fused(), nn.Linear(2, 3))
    given = {"0.qk.weight": torch.ones(4, 2), "0.qk.bias": torch.arange(4.0)}
    given |= {f"1.{k}": v for k, v in nn.Linear(2, 3).state_dict().items()}
    given["x.y"] = torch.ones(1)
    before, kept = snapshot(model), {k: v.clone() for k, v in given.items()}
    report = load_report(model, given)
    assert (report.share, report.names("unexpected")) == (1, ["x.y"])
    assert (snapshot(model), model[0].asked) == (before, [])  # the code ran on a copy
    twin = copy.deepcopy(model)
    twin.load_state_dict({k: v.clone() for k, v in given.items()}, strict=False)
    assert load_matching(model, given) == report
    assert_holds(model, twin.state_dict())
    assert all(torch.equal(given[key], kept[key]) for key in given)
    given["1.weight"] = torch.ones(9, 9)
    assert make_the_call(refusal(model, given), model, given).names("shape")
    given["0.qk.bias"] = torch.ones(6)
    assert "unexpected: 0.qk.weight, 0.qk.bias, x.y" in refusal(model, given)


def test_hook_that_holds_the_model_itself_is_not_run_for_a_report():
    model = nn.Linear(2, 2)

    def hook(state_dict, prefix, *rest):
        model.weight.data.zero_()
        state_dict["weight"] = state_dict.pop("w")

    model._register_load_state_dict_pre_hook(hook)
    before = snapshot(model)
    report = load_report(model, {"w": torch.ones(2, 2), "bias": torch.ones(2)})
    assert report.names("missing") == ["weight"]
    assert snapshot(model) == before


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError])
def test_loading_code_that_fails_on_a_copy_changes_no_report(error):
    class Failing(Interrupted):
        pass

    Failing.error = error
    assert load_report(Failing(2, 2), {"w": torch.ones(2, 2)}).share == 0
    assert "unexpected: w" in refusal(Failing(2, 2), {"w": torch.ones(2, 2)})


def test_old_files_of_torchvision_load():
    from torchvision.ops import MLP

    class Block(MLP):  # what its vision transformer does
        def _load_from_state_dict(self, state_dict, prefix, metadata, *rest):
            if metadata.get("version", 1) < 2:
                for key in ("weight", "bias"):
                    old = f"{prefix}linear_1.{key}"
                    if old in state_dict:
                        state_dict[f"{prefix}0.{key}"] = state_dict.pop(old)
            super()._load_from_state_dict(state_dict, prefix, metadata, *rest)

        _version = 2

    model, trained = Block(3, [4, 2]), Block(3, [4, 2]).state_dict()
    given = {key.replace("0.", "linear_1."): value for key, value in trained.items()}
    assert load_matching(model, behind("module.", given)).share == 1
    assert_holds(model, trained)


def test_batch_norm_of_old_files_keeps_its_counter():
    model = nn.Sequential(nn.BatchNorm1d(2), old_weight_norm()[1])
    model[0].num_batches_tracked += 5
    given = nn.Sequential(nn.BatchNorm1d(2), old_weight_norm()[0]).state_dict()
    given.pop("0.num_batches_tracked")
    given._metadata["0"]["version"] = 1
    report = load_matching(model, given)
    assert (report.share, report.names("kept")) == (1, ["0.num_batches_tracked"])
    assert model[0].num_batches_tracked == 5


def test_spectral_norm_of_old_files_loads_as_torch_loads_it():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model, twin = (nn.utils.spectral_norm(nn.Linear(3, 2)) for _ in "ab")
    given = {"weight_orig": torch.randn(2, 3), "weight_u": torch.randn(2)}
    given |= {"weight": given["weight_orig"] / 2, "bias": torch.ones(2)}
    twin.load_state_dict(given)
    assert load_matching(model, given).share == 1
    assert_holds(model, twin.state_dict())


def test_attention_of_both_kinds_loads():
    for sizes in ({}, {"kdim": 3, "vdim": 5}):
        model, trained = (nn.MultiheadAttention(4, 2, **sizes) for _ in "ab")
        assert load_matching(model, behind("module.", trained.state_dict())).share == 1
        assert_holds(model, trained.state_dict())
