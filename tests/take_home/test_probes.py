"""helpers.evaluation.depends_on_batch on models that do and do not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.evaluation import depends_on_batch


def batch(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class BatchStandardise(nn.Module):
    def forward(self, x):
        return (x - x.mean(dim=0)) / (x.std(dim=0, correction=0) + 1)


DEPENDENT = [
    nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=0)),
    BatchStandardise(),
    lambda x: x - x.mean(),
    lambda x: x.flip(0),
    nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False)),
]
INDEPENDENT = [
    nn.Linear(3, 4),
    nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1)),
    nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.9)),
    nn.LayerNorm(3),
    lambda x: x[:, 0],
]


@pytest.mark.parametrize("model", DEPENDENT)
def test_model_that_mixes_samples_is_found(model):
    assert depends_on_batch(model, batch(5, 3))


@pytest.mark.parametrize("model", INDEPENDENT)
def test_model_that_keeps_samples_apart_passes(model):
    assert not depends_on_batch(model, batch(5, 3))


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


def identity(x):
    return x


@pytest.mark.parametrize(
    ("model", "x", "atol", "error", "message"),
    [
        (
            3,
            batch(2, 3),
            1e-5,
            TypeError,
            "model must be a module or a function, got 3",
        ),
        (
            identity,
            [1, 2],
            1e-5,
            TypeError,
            "x must be a torch.Tensor, got list. Convert",
        ),
        (identity, batch(1, 3), 1e-5, ValueError, r"two samples .* got shape \(1, 3\)"),
        (identity, torch.tensor(1.0), 1e-5, ValueError, r"got shape \(\)"),
        (identity, batch(2, 3), -1, ValueError, "atol must be 0 or more, got -1"),
        (identity, batch(2, 3), float("nan"), ValueError, "atol must be .* got nan"),
        (
            lambda x: (x,),
            batch(2, 3),
            1e-5,
            TypeError,
            "return a tensor, got tuple. Wrap",
        ),
        (
            lambda x: x.sum(),
            batch(2, 3),
            1e-5,
            ValueError,
            r"one row per sample, got shape",
        ),
        (lambda x: x / 0, batch(2, 3), 1e-5, ValueError, "returned nan or inf"),
    ],
)
def test_bad_input_is_named(model, x, atol, error, message):
    with pytest.raises(error, match=f"depends_on_batch: .*{message}"):
        depends_on_batch(model, x, atol)
