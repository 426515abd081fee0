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


def refusal(helper, targets):
    with pytest.raises(
        ValueError, match=f"^{helper.__name__}: targets must be "
    ) as caught:
        helper(targets)
    return str(caught.value)


def carried_out(helper, message, start, targets):
    """Run the code of the advice that stands behind ``start``."""
    code = message.split(start)[1].split(". ")[0].removesuffix(".")
    return eval(
        code,
        {"torch": torch, "nn": torch.nn, helper.__name__: helper, "targets": targets},
    )


NAN = math.nan
HOLES = [
    torch.tensor([[1.0, -1], [0, 1], [0, 0]]),
    torch.tensor([[1.0, NAN], [0, 1], [0, 0], [NAN, 1]]),
    torch.tensor([[1, -100], [0, 1], [0, 0]]),
    torch.tensor([[1, 255], [0, 1], [0, 0]]).to(torch.uint8),
    torch.tensor([1.0, NAN, 0.0, 0.0]),
    torch.tensor([1, -1, 0, 0]),
]


@pytest.mark.parametrize("helper", BOTH)
@pytest.mark.parametrize("targets", HOLES, ids=str)
def test_missing_labels_are_left_out_column_by_column(helper, targets):
    message = refusal(helper, targets)
    found = carried_out(helper, message, "Leave missing labels out: ", targets)
    columns = [targets] if targets.ndim == 1 else targets.T
    known = [t[(t == 0) | (t == 1)] for t in columns]
    expected = torch.stack([helper(t) for t in known])
    assert torch.equal(found.reshape(-1), expected)
    assert "0.5" not in message


@pytest.mark.parametrize("targets", HOLES, ids=str)
def test_missing_labels_move_no_weight_in_the_loss_that_is_advised(targets):
    message = refusal(pos_weight, targets)
    scope = {
        "targets": targets,
        "logits": torch.ones(targets.shape, requires_grad=True),
        "loss_fn": torch.nn.BCEWithLogitsLoss(reduction="none"),
    }
    known, loss = message.split("known = ")[1].split(", ", 1)
    loss = loss.replace(
        "(known, 0)", "(known, 0).float()"
    )  # as for every integer label
    loss, mean = loss.split(' with reduction="none", ')
    scope["known"] = eval(known, scope)
    eval(loss + mean.rstrip("."), scope).backward()
    moved = scope["logits"].grad != 0  # nan is not 0
    assert torch.equal(moved, (targets == 0) | (targets == 1))


CODED = [
    (torch.tensor([-1, 1, -1]), "If -1 is the negative class: ", [0, 1, 0]),
    (torch.tensor([0.0, 255, 0]), "If 0 is the negative class: ", [0, 1, 0]),
    (torch.tensor([1, 2, 1]), "If 1 is the negative class: ", [0, 1, 0]),
    (torch.tensor([0, 0.4, 0.9]), "Pass hard labels: ", [0, 0, 1]),
    (
        torch.tensor([0, 2, 1]),
        "For the number of a class: ",
        [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
    ),
]


@pytest.mark.parametrize(("targets", "start", "hard"), CODED)
def test_labels_of_another_code_are_told_how_to_become_0_and_1(targets, start, hard):
    found = carried_out(pos_weight, refusal(pos_weight, targets), start, targets)
    assert found.int().tolist() == hard
    pos_weight(found)


@pytest.mark.parametrize("targets", [[0.3, -1.2, 4.0], [0, 1, math.inf]])
def test_scores_are_not_taken_for_labels(targets):
    message = refusal(pos_weight, torch.tensor(targets))
    assert message.endswith("Pass the labels, not scores or logits.")


@pytest.mark.parametrize(
    ("shape", "flat"),
    [((2, 5, 3), (10, 3)), ((2, 3, 4, 5), (40, 3)), ((2, 2, 2), (4, 2))],
)
def test_rows_of_several_classes_keep_the_classes_as_columns(shape, flat):
    targets = torch.zeros(shape)
    message = refusal(pos_weight, targets)
    assert carried_out(pos_weight, message, "For several: ", targets).shape == flat
    assert carried_out(pos_weight, message, "For one class: ", targets).ndim == 1


def test_no_labels_or_a_single_one_are_refused_in_words_that_fit():
    assert "Check the split" in refusal(pos_weight, torch.zeros(0, 3))
    assert "whole training set" in refusal(pos_weight, torch.tensor(1))
