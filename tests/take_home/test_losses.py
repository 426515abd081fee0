"""helpers.losses against NumPy and PyTorch's own loss."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from helpers.losses import pos_weight, prior_logits

BOTH = [pos_weight, prior_logits]
labels = st.lists(st.sampled_from([0, 1]), min_size=2, max_size=60).filter(
    lambda ys: 0 < sum(ys) < len(ys)
)


@given(labels)
def test_pos_weight_is_negatives_per_positive(ys):
    array = np.array(ys)
    expected = (array == 0).sum() / (array == 1).sum()
    assert pos_weight(torch.tensor(ys)).item() == pytest.approx(expected, rel=1e-6)


@given(labels)
def test_pos_weight_balances_the_loss(ys):
    targets = torch.tensor(ys, dtype=torch.float32)
    terms = F.binary_cross_entropy_with_logits(
        torch.zeros_like(targets),
        targets,
        reduction="none",
        pos_weight=pos_weight(targets),
    )
    positives, negatives = terms[targets == 1].sum(), terms[targets == 0].sum()
    torch.testing.assert_close(positives, negatives)


@given(labels)
def test_prior_logits_give_the_base_rate(ys):
    targets = torch.tensor(ys)
    rate = prior_logits(targets).sigmoid().item()
    assert rate == pytest.approx(np.mean(ys), rel=1e-5)


@pytest.mark.parametrize("helper", BOTH)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16])
def test_every_dtype_gives_float32_per_column(helper, dtype):
    targets = torch.tensor([[0, 1], [0, 1], [1, 0], [0, 1]]).to(dtype)
    result = helper(targets)
    assert result.shape == (2,)
    assert result.dtype == torch.float32
    assert result[0] == pytest.approx(3 if helper is pos_weight else -math.log(3))


def test_many_float16_targets_are_counted_exactly():
    targets = torch.zeros(5000, dtype=torch.float16)  # float16 cannot hold 4999
    targets[0] = 1
    assert pos_weight(targets).item() == 4999
