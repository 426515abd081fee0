"""helpers.accumulation: groups of micro-batches, and the weight of each loss."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from helpers.accumulation import accumulation_weights, grouped


@given(count=st.integers(1, 30), k=st.integers(1, 9))
def test_groups_are_full_but_the_last_and_lose_nothing(count, k):
    groups = list(grouped(iter(range(count)), k))
    assert [item for group in groups for item in group] == list(range(count))
    assert all(len(group) == k for group in groups[:-1])
    assert 1 <= len(groups[-1]) <= k


def test_loader_can_be_grouped_again():
    loader = torch.utils.data.DataLoader(range(5), batch_size=2)
    for _ in range(2):
        sizes = [[len(batch) for batch in group] for group in grouped(loader, 2)]
        assert sizes == [[2, 2], [1]]


@examples(max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5), weighted=st.booleans()
)
def test_weighed_micro_batches_give_the_gradient_of_the_whole(sizes, weighted):
    x = torch.randn(sum(sizes), 3, dtype=torch.float64)
    y = torch.randint(0, 3, (sum(sizes),))
    class_weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    loss_fn = nn.CrossEntropyLoss(class_weights if weighted else None)
    each = [class_weights[part].sum() for part in y.split(sizes)] if weighted else sizes
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    pieces = zip(
        x.split(sizes), y.split(sizes), accumulation_weights(each), strict=True
    )
    for a, b, weight in pieces:
        (weight * loss_fn(model(a), b)).backward()
    parameters = list(model.parameters())
    found = [parameter.grad for parameter in parameters]
    wanted = list(torch.autograd.grad(loss_fn(model(x), y), parameters))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-14)


def test_weights_may_come_from_a_tensor_and_sum_to_one():
    assert accumulation_weights(torch.tensor([1, 3])) == [0.25, 0.75]
    assert accumulation_weights((np.int64(2), torch.tensor(2))) == [0.5, 0.5]
    assert sum(accumulation_weights([0.1] * 7)) == pytest.approx(1, abs=1e-15)
