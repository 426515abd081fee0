"""The chapter on cross-validation: its made-up data, checks, widget."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Adam
from traitlets import TraitError

from helpers.chapters.k_fold import FoldLeak, check, stage
from helpers.chapters.k_fold.widget import CLASSES, PEOPLE
from helpers.cross_validation import cross_validate, kfold_loaders
from helpers.widgets.base import STATE_MIME


def test_coin_flips_score_chance_and_a_kept_model_cannot_be_had():
    x, y = stage.coin_flips(seed=0)
    scores = cross_validate(
        lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2)).double(),
        lambda model: Adam(model.parameters(), lr=0.1),
        kfold_loaders(x, y=y),
    )
    assert abs(scores.mean() - 0.5) < 0.1


# --- made-up data --------------------------------------------------------------------


def test_sentence_pairs_are_labelled_by_the_sentence_of_token_3():
    ids, mask, types, y = stage.sentence_pairs(seed=1)
    assert torch.equal((ids == 3).sum(dim=1), torch.ones(300).long())
    assert torch.equal(types[ids == 3], y)
    assert torch.equal((ids != 0).long(), mask)
    assert ((ids == 2).sum(dim=1) == 2).all()


def test_people_keep_their_label_and_voice():
    x, y, who = stage.people(seed=0, count=4, samples=500)
    for person in range(4):
        assert len(y[who == person].unique()) == 1
        assert x[who == person].std(dim=0).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("make", [stage.coin_flips, stage.people, stage.sentence_pairs])
def test_made_up_data_follow_the_seed(make):
    assert all(torch.equal(a, b) for a, b in zip(make(1), make(1), strict=True))
    assert not torch.equal(make(1)[0], make(2)[0])


# --- checks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        ([18, 2], "✓ Correct"),
        (torch.tensor([18, 2]), "✓ Correct"),
        ([2, 18], "✗ Hint: right numbers"),
        ([72, 8], "✗ Hint: that is the training set"),
        ([10, 10], "✗ Hint: stratified means the same shares"),
        ([90, 10], "✗ Hint: five folds of 100 samples hold 20 each, got 100"),
        ([16, 4], "✗ Hint: each class is cut into five"),
        ([18], "✗ Hint: write two numbers, one for each class, got 1"),
        ("many", "✗ Hint: write a list of two numbers, got 'many'"),
        (18, "✗ Hint: write a list of two numbers, got 18"),
    ],
)
def test_counts_tells_right_from_wrong(answer, text):
    assert repr(check.counts(answer)).startswith(text)


def leaky(city, y, train, val):
    rate = torch.bincount(city, y.double()) / torch.bincount(city)
    return (rate[city[val]] > 0.5).long()


def by_loop(city, y, train, val):
    of_city = [y[train][city[train] == c].double() for c in range(100)]
    return torch.tensor([int(of_city[c].mean() > 0.5) for c in city[val].tolist()])


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_loop, "✓ Correct"),
        (lambda *a: None, "○ Not yet"),
        (leaky, "✗ Hint: other labels in the validation set change your predictions"),
        (lambda c, y, t, v: torch.zeros(len(v)), "✗ Hint: nothing leaks, but where 9"),
        (lambda c, y, t, v: 0.5, "✗ Hint: return one 0 or 1 .* got float"),
        (lambda c, y, t, v: y, r"✗ Hint: return one 0 or 1 .* got shape \(600,\)"),
        (lambda c, y: y, "✗ Hint: <lambda> raised TypeError"),
    ],
)
def test_predict_tells_right_from_wrong(attempt, text):
    import re

    assert re.match(text, repr(check.predict(attempt)))


# --- widget --------------------------------------------------------------------------

ROWS = {"3": [[50.0, 60.0, 70.0], [52.0, 64.0, 71.5]], "5": [[1, 2, 3, 4, 5.5]] * 2}
RUNS = {"new": ROWS, "kept": ROWS}


@pytest.mark.parametrize(
    "change",
    [
        {"splitter": "StratifiedKFold"},
        {"shuffle": True},
        {"n_splits": 5},
        {"fresh": True},
        {"runs": RUNS},
    ],
)
def test_fold_leak_s_digest_changes_with_whatever_is_shown(change):
    states = [
        w._repr_mimebundle_()[0][STATE_MIME] for w in (FoldLeak(), FoldLeak(**change))
    ]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"splitter": "ShuffleSplit"}, TraitError, "splitter"),
        ({"n_splits": 4}, TraitError, "n_splits"),
        ({"folds": {}}, TraitError, "folds cannot be set: the widget makes it"),
        ({"runs": {"new": ROWS}}, TraitError, r"runs\['kept'\]\['3'\] must be rows of 3"),
        ({"runs": {"new": ROWS | {"5": [[1, 2]]}}}, TraitError, r"\['5'\] must be rows of 5"),
        ({"runs": {"new": ROWS | {"3": [[1, 2, 101]]}}}, TraitError, "0 to 100, got 101"),
        ({"model": 1}, TypeError, "no setting 'model'. It has: folds, fresh"),
    ],
)  # fmt: skip
def test_bad_setting_of_fold_leak_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        FoldLeak(**settings)


@pytest.mark.parametrize("key", FoldLeak().folds)
def test_fold_leak_counts_as_numpy_does(front_end, key):
    fold_of = np.array(FoldLeak().folds[key])
    for fold in range(fold_of.max() + 1):
        scored, trained = fold_of == fold, fold_of != fold
        argument = [fold_of.tolist(), fold]
        counts = np.bincount(CLASSES[scored], minlength=3).tolist()
        assert front_end(FoldLeak, "m.counts(...a)", argument) == counts
        unseen = sorted(set(CLASSES[scored].tolist()) - set(CLASSES[trained].tolist()))
        assert front_end(FoldLeak, "m.unseen(...a)", argument) == unseen
        on_both_sides = scored & np.isin(PEOPLE, PEOPLE[trained])
        shared = np.flatnonzero(on_both_sides).tolist()
        assert front_end(FoldLeak, "m.shared(...a)", argument) == shared


def test_fold_leak_s_samples_are_those_that_scikit_learn_split(front_end):
    assert front_end(FoldLeak, "m.CLASSES", None) == CLASSES.tolist()
    assert front_end(FoldLeak, "m.PEOPLE", None) == PEOPLE.tolist()


@pytest.mark.parametrize("shape", [(5, 3), (5, 5), (2, 5)])
def test_fold_leak_s_summary_is_numpy_s(front_end, shape):
    rows = np.random.default_rng(0).uniform(0, 100, shape)
    ours = front_end(FoldLeak, "m.summary(a)", rows.tolist())
    np.testing.assert_allclose(ours["folds"], rows.mean(axis=0), rtol=1e-6)
    assert ours["mean"] == pytest.approx(rows.mean(), rel=1e-6)
    assert ours["spread"] == pytest.approx(rows.mean(axis=1).std(ddof=1), rel=1e-6)
