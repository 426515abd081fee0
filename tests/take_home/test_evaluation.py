"""helpers.evaluation: modes, answers on a dataset, what autograd keeps."""

import math
import warnings
import weakref
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

from helpers.evaluation import (
    collect_logits,
    depends_on_batch,
    evaluating,
    kept_for_backward,
    predictions,
)

F64 = torch.float64


def chapter_model(dropout=0.5):
    hidden = nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(dropout)
    return nn.Sequential(*hidden, nn.Linear(64, 10)).double()


def modes_of(model):
    return [module.training for module in model.modules()]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- evaluating ------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=6, max_size=6), st.booleans(), st.booleans())
def test_every_submodule_gets_its_own_mode_back(flags, inference, fails):
    model = chapter_model()
    for module, flag in zip(model.modules(), flags, strict=True):
        module.training = flag
    try:
        with evaluating(model, inference=inference):
            assert not any(modes_of(model))
            assert not torch.is_grad_enabled()
            assert torch.is_inference_mode_enabled() == inference
            model.train()  # undone as well
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert modes_of(model) == flags
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_outputs_are_those_of_eval_and_nothing_moves():
    model, x = chapter_model(), torch.rand(5, 64, dtype=F64)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    with evaluating(model):
        inside = model(x)
    assert torch.equal(inside.clone(), model.eval()(x))
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())


def test_nested_use_gives_the_outer_mode_back():
    model = chapter_model()
    with evaluating(model):
        with evaluating(model[1], inference=True):
            pass
        assert not any(modes_of(model))
    assert all(modes_of(model))


def test_error_in_a_model_s_own_eval_leaves_modes_and_gradients_alone():
    class Broken(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            raise KeyError("train")

    model = Broken(nn.Dropout())
    with pytest.raises(KeyError), evaluating(model):
        pass
    assert modes_of(model) == [True, True]
    assert torch.is_grad_enabled()


class Merging(nn.Linear):
    """Folds a second matrix into its weight in eval(), as LoRA layers do."""

    def __init__(self):
        super().__init__(2, 2)
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged is mode:
            self.weight.data += -1 if mode else 1
            self.merged = not mode
        return self


@pytest.mark.parametrize("mode", [True, False])
def test_layer_with_a_train_of_its_own_undoes_what_it_did(mode):
    model = nn.Sequential(nn.Sequential(Merging(), nn.BatchNorm1d(2)), nn.Dropout())
    model.train()
    model[0][1].eval()
    model[0][0].train(mode)
    before, weight = modes_of(model), model[0][0].weight.detach().clone()
    with evaluating(model):
        assert model[0][0].merged
    assert modes_of(model) == before
    assert model[0][0].merged is not mode
    torch.testing.assert_close(model[0][0].weight, nn.Parameter(weight))


def test_modes_set_by_hand_or_as_numbers_come_back():
    model = chapter_model()
    model.training, model[1].training = False, 0
    with evaluating(model):
        model.train()
    assert modes_of(model) == [False, True, False, True, True, True]


def test_manager_may_be_used_again_inside_itself_and_as_a_decorator():
    model = chapter_model()
    manager = evaluating(model)
    for _ in range(2):
        with manager, manager:
            assert not any(modes_of(model))
            assert not torch.is_grad_enabled()
        assert all(modes_of(model))
        assert torch.is_grad_enabled()
    assert manager(lambda: modes_of(model))() == [False] * 6
    assert all(modes_of(model))


class Caching(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.cache = nn.Parameter(torch.ones(3)), None

    def forward(self, x):
        if self.cache is None:
            self.cache = torch.ones(3)
        return x * (self.weight * self.cache)


def use_no_grad(model, x):
    with evaluating(model):
        model(x)


def use_logits(model, x):
    collect_logits(model, [(x, torch.tensor([0, 1]))])


@pytest.mark.parametrize("use", [depends_on_batch, use_logits, use_no_grad])
def test_model_that_caches_can_be_trained_after(use):
    model, x = Caching(), torch.rand(2, 3)
    use(model, x)
    model(x).sum().backward()
    assert model.weight.grad is not None


def test_model_that_caches_in_inference_mode_cannot():
    model, x = Caching(), torch.rand(2, 3)
    with evaluating(model, inference=True):
        model(x)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
        model(x)


# --- predictions and collect_logits ----------------------------------------------------

BOTH = [predictions, collect_logits]


def classes(count, high, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (count,), generator=generator)


def loader_of(*tensors, **options):
    return DataLoader(TensorDataset(*tensors), **({"batch_size": 4} | options))


@given(st.integers(1, 40), st.integers(1, 17), st.integers(2, 6), st.integers(0, 99))
def test_batches_change_nothing(samples, batch_size, count, seed):
    x, y = random(samples, 3, seed=seed), classes(samples, count, seed)
    model = nn.Linear(3, count)
    loader = loader_of(x, y, batch_size=batch_size)
    y_true, y_pred = predictions(model, loader)
    assert torch.equal(y_true, y)
    assert torch.equal(y_pred, model(x).argmax(dim=1))
    y_true, logits = collect_logits(model, loader)
    assert torch.equal(y_true, y)
    torch.testing.assert_close(logits, model(x).detach())


@pytest.mark.parametrize("shape", [(10,), (10, 1)], ids=["(B,)", "(B, 1)"])
@pytest.mark.parametrize("target_shape", [(10,), (10, 1)], ids=["y (B,)", "y (B, 1)"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_two_classes_are_told_apart_at_a_logit_of_0(shape, target_shape, dtype):
    x, y = random(10), classes(10, 2)
    loader = loader_of(x.reshape(shape), y.reshape(target_shape).to(dtype))
    y_true, y_pred = predictions(nn.Identity(), loader)
    assert torch.equal(y_true, y)
    assert torch.equal(y_pred, (x > 0).long())
    assert (y_true.dtype, y_pred.dtype) == (torch.int64, torch.int64)
    assert torch.equal(collect_logits(nn.Identity(), loader)[1], x)


def test_logit_of_exactly_0_is_class_0():
    batch = (torch.tensor([0.0, -1.0]), torch.tensor([0, 0]))
    assert predictions(nn.Identity(), [batch])[1].tolist() == [0, 0]


class Sum(nn.Module):
    def forward(self, *inputs):
        return sum(inputs)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_model_gets_every_input(count):
    inputs = [random(9, 3, seed=i) for i in range(count)]
    loader = loader_of(*inputs, classes(9, 3))
    assert torch.equal(predictions(Sum(), loader)[1], sum(inputs).argmax(dim=1))


class Named(nn.Module):
    """Takes inputs by name and returns what it was made for."""

    def __init__(self, wrap):
        super().__init__()
        self.layer, self.wrap = nn.Linear(3, 3), wrap

    def forward(self, x, scale=None):
        return self.wrap(self.layer(x if scale is None else x * scale))


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


ONE = [
    lambda out: out,
    lambda out: Output(out, out * 0),
    lambda out: {"hidden": out * 0, "logits": out},
    lambda out: {"out": out},
    lambda out: SimpleNamespace(loss=None, logits=out),
    lambda out: (out,),
    lambda out: (out, None),
    lambda out: [out],
]


@pytest.mark.parametrize("wrap", ONE)
@pytest.mark.parametrize("collect", BOTH)
def test_logits_are_found_in_what_names_them_or_holds_nothing_else(collect, wrap):
    model, x, y = Named(wrap), random(9, 3), classes(9, 3)
    found = collect(model, loader_of(x, y))[1]
    logits = model.layer(x).detach()
    torch.testing.assert_close(
        found, logits.argmax(1) if collect is predictions else logits
    )


MANY = [
    (lambda out: (out, out * 0), "out[0]"),
    (lambda out: {"out": out, "aux": out * 0}, "out['out']"),
    (lambda out: SimpleNamespace(scores=out, hidden=out * 0), "out.scores"),
]


@pytest.mark.parametrize(("wrap", "way"), MANY)
@pytest.mark.parametrize("collect", BOTH)
def test_several_outputs_are_chosen_from_as_the_message_says(collect, wrap, way):
    model, loader = Named(wrap), loader_of(random(9, 3), classes(9, 3))
    with pytest.raises(TypeError, match="Choose the logits: ") as caught:
        collect(model, loader)
    advice = str(caught.value).split("Choose the logits: ")[1].rstrip(".")
    assert way in advice
    eval(advice, {"model": model})
    assert len(collect(model, loader)[0]) == 9


@pytest.mark.parametrize("name", ["labels", "label", "targets", "target", "y"])
def test_dict_is_passed_by_name(name):
    x, y = random(6, 3), classes(6, 3)
    model = Named(lambda out: out)
    batch = {name: y, "x": x, "scale": torch.tensor(2.0)}
    y_true, logits = collect_logits(model, [batch, batch])
    assert torch.equal(y_true, torch.cat([y, y]))
    torch.testing.assert_close(logits[:6], model(x, 2).detach())


def test_nested_inputs_go_to_the_model_as_they_are():
    class Pair(nn.Module):
        def forward(self, pair, names):
            assert names == ["a", "b"]
            return pair["left"] + pair["right"][0]

    x = random(2, 3)
    batch = ({"left": x, "right": [x]}, ["a", "b"], torch.tensor([0, 1]))
    torch.testing.assert_close(collect_logits(Pair(), [batch])[1], 2 * x)


SEVERAL = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize("holes", [0, -1, math.nan])
def test_several_labels_in_a_row_are_collected_as_they_are(holes):
    x, y = random(6, 4), SEVERAL.repeat(2, 1).float()
    y[1, 0] = holes
    model = nn.Linear(4, 3)
    found, logits = collect_logits(model, loader_of(x, y))
    torch.testing.assert_close(found, y, equal_nan=True)
    torch.testing.assert_close(logits, model(x).detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_argmax_is_advised_only_for_rows_of_one_class(dtype):
    def told(y):
        with pytest.raises(
            ValueError, match="predictions: batch 1: y must be"
        ) as caught:
            predictions(nn.Linear(4, 3), [(random(3, 4), y.to(dtype))])
        return str(caught.value)

    several = "For several labels in a row: y, logits = collect_logits(model, loader)"
    assert "argmax" not in told(SEVERAL)
    assert several in told(SEVERAL)
    assert "y.argmax(dim=1)" in told(torch.eye(3))
    assert several in told(torch.eye(3))


def test_shuffled_loader_shuffles_both_together():
    y = classes(50, 2)
    x = y * 2.0 - 1  # so that every prediction is right
    generator = torch.Generator().manual_seed(3)
    loader = loader_of(x, y, shuffle=True, generator=generator)
    y_true, y_pred = predictions(nn.Identity(), loader)
    assert torch.equal(y_true, y_pred)
    assert not torch.equal(y_true, y)
    assert torch.equal(y_true.sort().values, y.sort().values)


def test_last_batch_of_one_is_a_batch():
    x, y = random(9, 3), classes(9, 3)
    assert len(predictions(nn.Linear(3, 3), loader_of(x, y))[0]) == 9
    y_true, y_pred = predictions(nn.Linear(3, 1), loader_of(x, y.clamp(max=1)))
    assert y_true.shape == y_pred.shape == (9,)


def test_loader_may_reuse_its_memory():
    y, x = torch.empty(2, dtype=torch.int64), torch.empty(2)

    def reusing():
        for start in (0, 1):
            y[:] = start
            x[:] = 2.0 * start - 1
            yield x, y

    assert [t.tolist() for t in predictions(nn.Identity(), reusing())] == [
        [0, 0, 1, 1]
    ] * 2
    assert collect_logits(nn.Identity(), reusing())[1].tolist() == [-1, -1, 1, 1]


def test_half_precision_logits_are_kept():
    loader = loader_of(random(6, 3).bfloat16(), classes(6, 3))
    assert collect_logits(nn.Identity(), loader)[1].dtype == torch.bfloat16
    assert len(predictions(nn.Identity(), loader)[1]) == 6


def test_workers_give_the_same():
    x, y = random(20, 3), classes(20, 3)
    here = predictions(nn.Identity(), loader_of(x, y))
    there = predictions(nn.Identity(), loader_of(x, y, num_workers=1))
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


class Moody(nn.Module):
    """Dropout, batch norm, and an error on request."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, 3)
        )
        self.fail_at, self.calls, self.seen = fail_at, 0, []

    def forward(self, x):
        self.calls += 1
        self.seen.append((torch.is_grad_enabled(), self.training))
        if self.calls == self.fail_at:
            raise RuntimeError("CUDA out of memory")
        return self.layers(x)


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("collect", BOTH)
@pytest.mark.parametrize("training", [True, False])
def test_every_submodule_keeps_its_own_mode(collect, training):
    model = Moody().train(training)
    model.layers[1].train(not training)
    before = modes(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    collect(model, loader_of(random(9, 3), classes(9, 3)))
    assert modes(model) == before
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.seen == [(False, False)] * 3
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("collect", BOTH)
def test_model_that_fails_gets_its_modes_back(collect):
    model = Moody(fail_at=2).train()
    model.layers[1].eval()
    before = modes(model)
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        collect(model, loader_of(random(9, 3), classes(9, 3)))
    assert modes(model) == before
    assert torch.is_grad_enabled()


def test_model_is_unharmed_by_a_wrong_batch():
    model = Moody().train()
    model.layers[1].eval()
    before = modes(model)
    with pytest.raises(ValueError, match="batch 2: y must be classes from 0 to 2"):
        predictions(model, [(random(4, 3), y + classes(4, 3)) for y in (0, 7)])
    assert modes(model) == before


def test_results_have_no_graph_and_can_be_trained_on():
    _, logits = collect_logits(nn.Linear(3, 3), loader_of(random(9, 3), classes(9, 3)))
    assert not logits.requires_grad
    temperature = torch.ones(1, requires_grad=True)
    (logits / temperature).sum().backward()  # an inference tensor would raise
    assert temperature.grad is not None


class Moves(TorchFunctionMode):
    """Records where tensors of ndim 2 are sent, and lets nothing leave the CPU."""

    def __init__(self):
        super().__init__()
        self.to = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.to:
            self.to.append((tuple(args[0].shape), args[1]))
            args = (args[0], torch.device("cpu"), *args[2:])
        return function(*args, **(kwargs or {}))


class OnGpu(nn.Linear):
    """A model that says it lies on a GPU: a stand-in where there is none."""

    def parameters(self, recurse=True):
        class There:
            device = torch.device("cuda", 0)

        return iter([There()])


def test_inputs_go_to_the_model_and_results_to_the_cpu_batch_by_batch():
    loader = [(random(2, 3), random(2, 3), classes(2, 4))] * 3

    class Two(OnGpu):
        def forward(self, a, b):
            return super().forward(a + b)

    with Moves() as moves:
        predictions(Two(3, 4), loader)
    cuda = torch.device("cuda", 0)
    one_batch = [((2, 3), cuda), ((2, 3), cuda), ((2, 4), "cpu"), ((2,), "cpu")]
    assert moves.to == one_batch * 3


class Forgetting(nn.Linear):
    """Counts the outputs of earlier batches that are still alive."""

    def __init__(self):
        super().__init__(3, 3)
        self.outputs, self.alive = [], []

    def forward(self, x):
        self.alive.append(sum(ref() is not None for ref in self.outputs))
        output = super().forward(x)
        self.outputs.append(weakref.ref(output))
        return output


@pytest.mark.parametrize("collect", BOTH)
def test_memory_of_a_device_does_not_grow_with_the_data(collect):
    model = Forgetting()
    collect(model, loader_of(random(40, 3), classes(40, 3)))
    assert model.alive == [0] * 10


def test_probabilities_are_warned_about():
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    loader = loader_of(random(9, 3), classes(9, 2))
    with pytest.warns(UserWarning, match="all 9 outputs lie between 0 and 1") as caught:
        _, y_pred = predictions(model, loader)
    assert y_pred.tolist() == [1] * 9
    assert caught[0].filename == __file__


@pytest.mark.parametrize("logits", [[[0.2, 0.8]], [[-0.1], [0.5]], [1.5, 0.5]])
def test_logits_are_not_warned_about(logits):
    logits = torch.tensor(logits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictions(nn.Identity(), [(logits, torch.zeros(len(logits)))])


# --- depends_on_batch ------------------------------------------------------------------


def batch(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class BatchStandardise(nn.Module):
    def forward(self, x):
        return (x - x.mean(dim=0)) / (x.std(dim=0, correction=0) + 1)


class Scaled(nn.Module):
    """Outputs so large that float32 rounds them by more than atol."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return self.by * x


DEPENDENT = [
    nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=0)),
    BatchStandardise(),
    lambda x: x - x.mean(),
    lambda x: x.flip(0),
    nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False)),
    lambda x: x / len(x),
    lambda x: torch.softmax(0 * x, dim=0),  # as behind a last layer that starts at zero
]


INDEPENDENT = [
    nn.Linear(3, 4),
    nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1)),
    nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.9)),
    nn.LayerNorm(3),
    lambda x: x[:, 0],
    nn.Sequential(nn.Linear(3, 400), nn.Linear(400, 4), Scaled(1e6)),
    lambda x: x.view(5, 3),  # of one batch size alone
]


@pytest.mark.parametrize("model", DEPENDENT)
def test_model_that_mixes_samples_is_found(model):
    assert depends_on_batch(model, batch(5, 3)) is True


@pytest.mark.parametrize("model", INDEPENDENT)
def test_model_that_keeps_samples_apart_passes(model):
    assert depends_on_batch(model, batch(5, 3)) is False


@given(st.integers(2, 9), st.integers(0, 1000))
def test_softmax_is_told_by_its_dimension_alone(size, seed):
    x = batch(size, 4, seed=seed)
    assert depends_on_batch(nn.Softmax(dim=0), x)
    assert not depends_on_batch(nn.Softmax(dim=1), x)


def test_token_ids_are_a_batch_too():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    assert not depends_on_batch(model, torch.tensor([[1, 2, 3], [4, 5, 6]]))


def test_every_submodule_keeps_its_own_mode_even_after_a_failure():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    model.train()
    model[1].eval()
    modes = [m.training for m in model.modules()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    depends_on_batch(model, batch(4, 3))
    with pytest.raises(RuntimeError):
        depends_on_batch(model, batch(4, 7))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())


# --- kept_for_backward -----------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_linear_layer_keeps_its_input(rows, inputs, outputs):
    model = nn.Linear(inputs, outputs)
    with kept_for_backward(model) as kept_bytes:
        output = model(torch.ones(rows, inputs))
    assert kept_bytes() == 4 * rows * inputs
    assert output.requires_grad


def test_shared_memory_counts_once_and_expanded_memory_as_it_is():
    w = torch.ones(3, requires_grad=True)
    with kept_for_backward(nn.Identity()) as kept_bytes:
        x = torch.ones(1, 3)
        outputs = [w * x, w * x, w * x.expand(100, 3)]
    assert kept_bytes() == 12
    assert len(outputs) == 3


@pytest.mark.parametrize(
    ("use", "kept"),
    [
        (lambda y: (y**2).sum() + (y[:2] ** 2).sum(), 1600),
        (lambda y: (y[:2] ** 2).sum() + (y**2).sum(), 1600),
        (lambda y: (y[:198] ** 2).sum() + (y[1:199] ** 2).sum(), 199 * 8),
        (lambda y: (y[:10] ** 2).sum() + (y[150:] ** 2).sum(), 60 * 8),
        (lambda y: (y.view(20, 10).t() ** 2).sum(), 1600),
        (lambda y: (y.view(20, 10)[:, 0] ** 2).sum(), 191 * 8),  # one column
        (lambda y: (y[:0] ** 2).sum(), 0),
    ],
)
def test_views_of_the_same_memory_count_what_they_cover_together(use, kept):
    w = torch.ones(200, dtype=F64, requires_grad=True)
    with kept_for_backward(nn.Identity()) as kept_bytes:
        loss = use(w * 1)
    assert loss.requires_grad
    assert kept_bytes() == kept


def test_counter_may_be_used_again_and_starts_at_nothing():
    model = nn.Linear(2, 2)
    manager = kept_for_backward(model)
    counts = []
    for rows in (3, 5):
        with manager as kept_bytes:
            assert kept_bytes() == 0
            output = model(torch.ones(rows, 2))
        counts.append(kept_bytes())
        assert output.requires_grad
    assert counts == [24, 40]


def test_graph_that_is_gone_keeps_nothing_and_gradients_are_the_same():
    model, x = chapter_model(dropout=0.0), torch.rand(4, 64, dtype=F64)
    with kept_for_backward(model) as kept_bytes:
        loss = model(x).square().sum()
        assert kept_bytes() > 0
    ours = torch.autograd.grad(loss, model[0].weight)[0]
    assert kept_bytes() == 0
    theirs = torch.autograd.grad(model(x).square().sum(), model[0].weight)[0]
    assert torch.equal(ours, theirs)


def test_hooks_are_gone_after_an_error():
    model = nn.Linear(2, 2)
    with pytest.raises(KeyError), kept_for_backward(model) as kept_bytes:
        raise KeyError
    output = model(torch.ones(1, 2))
    assert (kept_bytes(), output.requires_grad) == (0, True)


def test_peak_is_freed_by_backward_and_not_by_adding():
    model, x = nn.Linear(3, 1).double(), random(8, 3).double()

    def apart():
        for part in x.split(2):
            model(part).sum().backward()

    def added():
        sum(model(part).sum() for part in x.split(2)).backward()

    def peak(work):
        with kept_for_backward(model) as kept_bytes:
            work()
        return kept_bytes.peak

    assert peak(apart) == 2 * 3 * 8
    assert peak(added) == 8 * 3 * 8


def test_peak_counts_no_graph_that_was_dropped_and_nothing_twice():
    model, x = (
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)),
        torch.ones(5, 3),
    )
    with kept_for_backward(model) as kept_bytes:
        for _ in range(5):
            model(x)
    assert kept_bytes.peak == 5 * (3 + 4) * 4  # ReLU and the second layer share
    assert kept_bytes() == 0
