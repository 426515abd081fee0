"""The chapter on the dimension of softmax: its checks, and its widget against torch."""

import math

import numpy as np
import pytest
import torch

from helpers.chapters.softmax_dim import SoftmaxDim
from helpers.chapters.softmax_dim import check as softmax


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        ([2, 3, 1, 2, 1], "✓ Correct"),
        ([-1, -1, 1, -1, -2], "✓ Correct"),
        (torch.tensor([2, 3, 1, 2, 1]), "✓ Correct"),
        ([1, 3, 1, 2, 1], "✗ Hint: (T, B, C): one decision for each time and sentence"),
        (
            [2, 1, 1, 2, 1],
            "✗ Hint: (B, H, W, C): one decision for each image and place",
        ),
        ([2, 3, -1, 2, 1], "✗ Hint: (B, C, D, H, W)"),
        ([2, 3, 1, 0, 1], "✗ Hint: (B, T, experts): the experts compete"),
        ([2, 3, 1, 2, 2], "✗ Hint: (B, T_key, T_query): each query"),
        ([2, 3, 1, 2, 3], "✗ Hint: (B, T_key, T_query) has no dimension 3"),
        ([1, 1], "✗ Hint: write five numbers, one for each shape, got 2"),
        ("last", "✗ Hint: write a list of five numbers, got 'last'"),
    ],
)
def test_dims_tells_right_from_wrong(answer, text):
    assert repr(softmax.dims(answer)).startswith(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.log(1000), "✓ Correct"),
        (math.log(256), "✗ Hint: that is ln 256"),
        (3.0, "✗ Hint: use the natural logarithm"),
        (math.log2(1000), "✗ Hint: use the natural logarithm"),
        (0, "✗ Hint: 0 is too small"),
    ],
)
def test_first_loss_tells_right_from_wrong(value, text):
    assert repr(softmax.first_loss(value)).startswith(text)


def by_eval(model, x):
    mode = model.training
    model.eval()
    with torch.no_grad():
        answer = not torch.allclose(model(x[:1]), model(x)[:1], atol=1e-5)
    model.train(mode)
    return answer


def always_trains(model, x):
    answer = by_eval(model, x)
    model.train()
    return answer


def keeps_eval(model, x):
    by_eval(model.eval(), x)
    return by_eval(model, x)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_eval, "✓ Correct"),
        (
            lambda m, x: True,
            "✗ Hint: for a softmax over dim=1 the answer is False, got True",
        ),
        (lambda m, x: False, "✗ Hint: for a softmax over dim=0 the answer is True"),
        (lambda m, x: not torch.equal(m(x[:2])[0], m(x)[0]), "✗ Hint: for "),
        (
            keeps_eval,
            "✗ Hint: for a softmax over dim=0: give the model back in the mode",
        ),
        (
            always_trains,
            "✗ Hint: for a model that was in eval() mode: give the model back",
        ),
    ],
)
def test_depends_on_batch_tells_right_from_wrong(attempt, text):
    assert repr(softmax.depends_on_batch(attempt)).startswith(text)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_softmax_dim_agrees_with_torch(front_end, dim):
    generator = torch.Generator().manual_seed(dim)
    for _ in range(50):
        logits = (torch.rand(2, 3, 2, generator=generator) - 0.5) * 40
        ours = front_end(SoftmaxDim, "m.softmax(...a)", [logits.double().tolist(), dim])
        theirs = torch.softmax(logits, dim)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
        sums = front_end(SoftmaxDim, "m.sums(...a)", [theirs.double().tolist(), dim])
        np.testing.assert_allclose(sums, np.ones(12 // (2, 3, 2)[dim]), atol=1e-6)


def test_softmax_dim_measures_the_other_sample(front_end):
    before, after = torch.rand(2, 3, 2), torch.rand(2, 3, 2)
    for sample in (0, 1):
        argument = [before.double().tolist(), after.double().tolist(), sample]
        ours = front_end(SoftmaxDim, "m.moved(...a)", argument)
        assert ours == pytest.approx(
            (before - after)[sample].abs().max().item(), abs=1e-6
        )
