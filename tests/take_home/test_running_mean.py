"""helpers.running_mean: the weighted mean, without graphs or waiting."""

import math
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from helpers.running_mean import RunningMean

NUMBERS = st.floats(-1e6, 1e6)


PAIRS = st.lists(st.tuples(NUMBERS, st.floats(0.01, 1e4)), min_size=1, max_size=20)


def mean_of(pairs, convert=float):
    mean = RunningMean()
    for value, weight in pairs:
        mean.update(convert(value), weight)
    return mean.compute()


@settings(max_examples=30)
@given(PAIRS)
def test_running_mean_is_numpy_s_weighted_average(pairs):
    values, weights = np.transpose(pairs)
    average = np.average(values, weights=weights)
    expected = pytest.approx(average, rel=1e-9, abs=1e-6)
    assert mean_of(pairs) == expected
    assert mean_of(pairs, lambda v: torch.tensor(v, dtype=torch.float64)) == expected


@settings(max_examples=30)
@given(PAIRS, st.floats(-100, 100))
def test_running_mean_follows_a_shift_and_stays_between_its_values(pairs, shift):
    mean = mean_of(pairs)
    shifted = mean_of([(value + shift, weight) for value, weight in pairs])
    assert shifted == pytest.approx(mean + shift, abs=1e-5)
    values = [value for value, _ in pairs]
    assert min(values) - 1e-5 <= mean <= max(values) + 1e-5


@pytest.mark.parametrize("parts", [(64, 64, 3), (1, 1), (5,)])
def test_means_of_batches_weighted_by_size_are_the_mean_of_samples(parts):
    samples = torch.randn(sum(parts), dtype=torch.float64)
    mean = RunningMean()
    for batch in samples.split(parts):
        mean.update(batch.mean(), weight=len(batch))
    assert mean.compute() == pytest.approx(samples.mean().item(), abs=1e-12)
    assert mean.weight == sum(parts)


@pytest.mark.parametrize(
    "value",
    [
        2,
        2.0,
        np.float32(2),
        np.int64(2),
        torch.tensor(2),
        torch.tensor([[2.0]]),
        torch.tensor(2.0, dtype=torch.bfloat16),
        torch.tensor(2.0, requires_grad=True),
    ],
)
def test_numbers_and_tensors_of_one_element_may_be_mixed(value):
    mean = RunningMean()
    mean.update(5.0)
    mean.update(value, weight=2)
    assert mean.compute() == 3.0
    assert type(mean.compute()) is float


class Held:
    """A tensor that the graph keeps; unlike a tensor, it is freed with the graph."""

    def __init__(self, tensor):
        self.tensor = tensor.detach()


def test_no_graph_is_kept_and_a_later_change_of_the_tensor_does_not_count():
    held, mean = weakref.WeakSet(), RunningMean()

    def pack(tensor):
        held.add(kept := Held(tensor))
        return kept

    x = torch.ones((), requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        loss = x.exp()
    mean.update(loss)
    assert len(held) == 1
    with torch.no_grad():
        loss.zero_()
    del loss
    assert len(held) == 0
    assert mean.compute() == pytest.approx(math.e)


class Reads(TorchFunctionMode):
    count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.Tensor.item, torch.Tensor.__float__)
        return func(*args, **(kwargs or {}))


def test_nothing_is_read_before_the_mean_is_asked_for():
    with Reads() as reads:
        mean = RunningMean()
        for value in torch.arange(10.0).unbind():
            mean.update(value, weight=2)
        assert reads.count == 0
        assert mean.compute() == 4.5
    assert reads.count == 1


@pytest.mark.parametrize("value", [2.0, torch.tensor(2.0)], ids=["number", "tensor"])
def test_weights_may_be_tensors_that_are_not_read_either(value):
    labels = torch.tensor([[1, 2, -100, -100], [1, -100, -100, -100]])
    with Reads() as reads:
        mean = RunningMean()
        for row in labels.unbind():
            mean.update(value * (row != -100).sum(), weight=(row != -100).sum())
        mean.update(8.0, weight=1)
        mean.update(value, weight=torch.tensor([True]))
        assert reads.count == 0
    assert mean.compute() == (4 * 2 + 2 + 8 + 2) / 5
    assert mean.weight == 5


@pytest.mark.parametrize("value", [3.0, math.nan, torch.tensor(math.nan)])
def test_batch_without_tokens_counts_for_nothing(value):
    mean = RunningMean()
    mean.update(value, weight=torch.tensor(0))
    with pytest.raises(ValueError, match="every weight 0"):
        mean.compute()
    mean.update(2.0, weight=torch.tensor(3))
    assert (mean.compute(), mean.weight) == (2.0, 3.0)


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_weight_that_is_none_spoils_the_mean_where_it_is_read(weight):
    mean = RunningMean()
    mean.update(1.0, weight=4)
    mean.update(torch.tensor(2.0), weight=torch.tensor(weight))
    with pytest.raises(ValueError, match="compute: the weights must be 0 or more"):
        mean.compute()


def test_weight_keeps_no_graph_and_may_be_reused():
    mean, weight = RunningMean(), torch.tensor(2.0, requires_grad=True)
    mean.update(torch.tensor(1.0), weight=weight)
    with torch.no_grad():
        weight.fill_(100)
    assert (mean.compute(), mean.weight) == (1.0, 2.0)
    assert not any(part.requires_grad for part in mean._weight._tensors.values())


def test_weight_on_the_cpu_meets_a_value_elsewhere_without_being_sent():
    mean = RunningMean()
    mean.update(torch.ones((), device="meta"), weight=torch.tensor(3))
    (part,) = mean._sum._tensors.values()
    assert part.is_meta
    assert mean.weight == 3


def test_sum_is_kept_in_float64_and_works_inside_inference_mode():
    mean = RunningMean()
    with torch.inference_mode():
        mean.update(torch.tensor(1.0), weight=2**30)
    for _ in range(8):
        mean.update(torch.tensor(2.0))
    assert mean.compute() == (2**30 + 16) / (2**30 + 8)


def test_nan_is_told_and_reset_forgets():
    mean = RunningMean()
    mean.update(math.nan)
    mean.update(1.0)
    assert math.isnan(mean.compute())
    mean.reset()
    assert mean.weight == 0
    mean.update(torch.tensor(1.0))
    assert mean.compute() == 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        (None,),
        (torch.ones(64),),
        (1.0, 0),
        (1.0, math.nan),
        (1.0, "64"),
        (1.0, torch.ones(2)),
        (torch.ones(64), torch.tensor(2)),
    ],
)
def test_wrong_argument_is_not_added(arguments):
    mean = RunningMean()
    mean.update(3.0)
    with pytest.raises((TypeError, ValueError)):
        mean.update(*arguments)
    assert (mean.compute(), mean.weight) == (3.0, 1.0)
