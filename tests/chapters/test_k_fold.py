"""The chapter on cross-validation: folds, what cross_validate refuses, checks, widget."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from traitlets import TraitError

from helpers import cross_validation
from helpers.chapters.k_fold import FoldLeak, check, stage
from helpers.chapters.k_fold.widget import CLASSES, PEOPLE
from helpers.cross_validation import Fold, accuracy, cross_validate, kfold_loaders
from helpers.widgets.base import STATE_MIME

X = torch.arange(40.0).reshape(20, 2)
Y = torch.arange(20) % 2


def sets(folds):
    return [(f.train_indices.tolist(), f.validation_indices.tolist()) for f in folds]


def rows_of(loader):
    return torch.cat([x for x, *_ in loader])


# --- kfold_loaders -------------------------------------------------------------------


@given(
    st.integers(2, 5),
    st.lists(st.integers(0, 2), min_size=15, max_size=60),
    st.integers(0, 2**32 - 1),
)
def test_every_sample_is_scored_once_and_never_trained_on_then(k, labels, seed):
    y = torch.tensor(labels + [0, 1] * 5)
    y[y == 2] = 0 if (y == 2).sum() < k else 2
    x = torch.arange(len(y)).unsqueeze(1)
    folds = list(kfold_loaders(x, y=y, n_splits=k, seed=seed))
    scored = torch.cat([f.validation_indices for f in folds])
    assert scored.sort().values.tolist() == list(range(len(y)))
    for fold in folds:
        both = torch.cat([fold.train_indices, fold.validation_indices])
        assert both.sort().values.tolist() == list(range(len(y)))
        counts = y[fold.validation_indices].bincount(minlength=3)
        assert ((counts - y.bincount(minlength=3) / k).abs() < 1).all()
        assert torch.equal(rows_of(fold.validation)[:, 0], fold.validation_indices)
        trained = rows_of(fold.train)[:, 0].sort().values
        assert torch.equal(trained, fold.train_indices)


@given(st.integers(2, 4), st.integers(0, 1000), st.booleans())
def test_groups_stay_whole(k, seed, stratify):
    who = torch.arange(40) // 4
    y = who % 2
    folds = kfold_loaders(
        who, y=y, n_splits=k, groups=who, stratify=stratify, seed=seed
    )
    for fold in folds:
        train, scored = (
            set(who[i].tolist()) for i in (fold.train_indices, fold.validation_indices)
        )
        assert not train & scored
        assert scored


def test_splits_are_scikit_learn_s():
    splitter = StratifiedKFold(5, shuffle=True, random_state=3)
    theirs = [(a.tolist(), b.tolist()) for a, b in splitter.split(X, Y)]
    assert sets(kfold_loaders(X, y=Y, seed=3)) == theirs
    people = np.arange(20) // 2
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=3)
    theirs = [(a.tolist(), b.tolist()) for a, b in splitter.split(X, Y, people)]
    assert sets(kfold_loaders(X, y=Y, seed=3, groups=people)) == theirs


@pytest.mark.parametrize(
    "groups", [list("abcdefghij") * 2, np.arange(20) // 2, torch.arange(20)]
)
def test_groups_may_be_names_arrays_or_tensors(groups):
    assert len(list(kfold_loaders(X, y=Y, groups=groups))) == 5


def test_batches_hold_all_tensors_and_their_targets():
    ids, mask, types = (torch.arange(20) + 100 * i for i in range(3))
    fold = next(kfold_loaders(ids, mask, types, y=Y, batch_size=4))
    for a, b, c, y in fold.train:
        assert torch.equal(a + 100, b)
        assert torch.equal(a + 200, c)
        assert torch.equal(Y[a], y)
    assert isinstance(fold, Fold)
    assert fold.number == 0


def test_seed_decides_the_folds_and_the_order_of_batches():
    def orders(seed):
        return [
            rows_of(fold.train).tolist() for fold in kfold_loaders(X, y=Y, seed=seed)
        ]

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_training_is_shuffled_anew_each_epoch():
    fold = next(kfold_loaders(X, y=Y))
    assert not torch.equal(rows_of(fold.train), rows_of(fold.train))
    assert torch.equal(rows_of(fold.validation), X[fold.validation_indices])


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    for fold in kfold_loaders(X, y=Y):
        rows_of(fold.train), rows_of(fold.validation)
    assert torch.equal(before, torch.get_rng_state())


def test_regression_is_split_without_classes():
    y = torch.rand(20, 3)
    counts = [len(f.validation_indices) for f in kfold_loaders(X, y=y, stratify=False)]
    assert counts == [4] * 5


NAN = torch.tensor([0.0, 1.0] * 9 + [float("nan"), 1.0])
BAD = [
    ({"n_splits": 1}, ValueError, "n_splits must be 2 or more, got 1. One part is"),
    ({"n_splits": 2.0}, TypeError, "n_splits must be an integer, got 2.0"),
    ({"n_splits": True}, TypeError, "n_splits must be an integer, got True"),
    ({"batch_size": 0}, ValueError, "batch_size must be 1 or more, got 0. Try 32"),
    ({"batch_size": "a"}, TypeError, "batch_size must be an integer, got 'a'"),
    ({"seed": -1}, ValueError, "seed must be from 0 to 4294967295, got -1"),
    ({"seed": None}, TypeError, "seed must be an integer, got None"),
    ({"y": Y.tolist()}, TypeError, "y must be a torch.Tensor, got list. Convert it"),
    ({"y": Y[:9]}, ValueError, r"y must be as long as tensors\[0\], got 9 and 20"),
    ({"y": Y[:0]}, ValueError, r"y must hold samples \(N, ...\), got shape \(0,\)"),
    ({"y": NAN}, ValueError, r"y must not hold nan, got nan at index \(18,\)"),
    ({"y": NAN, "stratify": False}, ValueError, "y must not hold nan"),
    ({"y": Y * 0 + 7}, ValueError, "two classes or more, got 7 everywhere"),
    ({"y": Y.unsqueeze(1)}, ValueError, r"classes \(N,\) to stratify, got shape \(20, 1"),
    ({"y": Y + 0.5}, ValueError, "whole numbers to stratify, got 0.5. For a regression"),
    ({"y": (torch.arange(20) < 3).long()}, ValueError, "n_splits=5 and 3 samples of class 1"),
    ({"n_splits": 11}, ValueError, "smallest class, got n_splits=11 and 10 samples"),
    ({"n_splits": 21, "stratify": False}, ValueError, "n_splits=21 and 20 samples"),
    ({"groups": [1, 2]}, ValueError, r"groups must be \(20,\), one a sample, got .*\(2,\)"),
    ({"groups": [0, 1, 2, 3] * 5}, ValueError, "n_splits=5 or more, got 4. A group cannot"),
    ({"groups": "a" * 20}, TypeError, "one group a sample, got str"),
    ({"groups": 3}, TypeError, "one group a sample, got int"),
    ({"groups": [None, *range(19)]}, ValueError, "must not hold nan or None, got None at index 0"),
    ({"groups": [0.0, float("nan")] * 10}, ValueError, "got nan at index 1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input_of_kfold_loaders_is_named_at_once(change, error, message):
    with pytest.raises(error, match=f"kfold_loaders: .*{message}"):
        kfold_loaders(X, **{"y": Y, **change})  # not yet iterated


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ((), ValueError, r"tensors must be one or more, got none. Pass the inputs"),
        ((X.tolist(),), TypeError, r"tensors\[0\] must be a torch.Tensor, got list"),
        ((X, X[:3]), ValueError, r"tensors\[1\] must be as long as .* got 3 and 20"),
        ((torch.tensor(1.0),), ValueError, r"tensors\[0\] must hold samples"),
        ((X[:0],), ValueError, r"tensors\[0\] must hold samples .* got shape \(0, 2\)"),
    ],
)
def test_bad_tensors_are_named(tensors, error, message):
    with pytest.raises(error, match=f"kfold_loaders: {message}"):
        kfold_loaders(*tensors, y=Y)


def test_fold_without_samples_is_named():
    splits = [(np.arange(20), np.arange(0))]
    with pytest.raises(ValueError, match="kfold_loaders: groups leave fold 0 without"):
        cross_validation._require_usable(splits, Y)


def test_class_that_one_group_has_alone_is_named():
    y = torch.tensor([0] * 15 + [4] * 5)
    groups = [*range(15), *[99] * 5]
    with pytest.raises(ValueError, match="without class 4. Too few groups have it"):
        kfold_loaders(X, y=y, groups=groups)


# --- cross_validate ------------------------------------------------------------------


def linear():
    return nn.Linear(2, 2)


def adam(model):
    return Adam(model.parameters(), lr=0.1)


def folds(**settings):
    return kfold_loaders(X / 40, y=Y, **settings)


def test_scores_are_those_of_a_loop_by_hand():
    expected = []
    for number, fold in enumerate(folds()):
        torch.manual_seed(number)
        model = linear()
        optimizer = adam(model)
        for _ in range(3):
            for x, y in fold.train:
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        i = fold.validation_indices
        expected.append((model(X[i] / 40).argmax(1) == Y[i]).double().mean())
    scores = cross_validate(linear, adam, folds(), epochs=3)
    assert torch.equal(scores, torch.stack(expected))


def test_coin_flips_score_chance_and_a_kept_model_cannot_be_had():
    x, y = stage.coin_flips(seed=0)
    scores = cross_validate(
        lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2)).double(),
        adam,
        kfold_loaders(x, y=y),
    )
    assert abs(scores.mean() - 0.5) < 0.1


def test_scheduler_and_dropout_start_again_in_every_fold():
    rates = []

    def scheduler(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        return StepLR(optimizer, 1, gamma=0.0)

    cross_validate(linear, adam, folds(), make_scheduler=scheduler, epochs=2)
    assert rates == [0.1] * 5


def test_global_generator_is_given_back():
    before = torch.get_rng_state()
    cross_validate(linear, adam, folds(), epochs=1)
    assert torch.equal(before, torch.get_rng_state())


def test_models_of_earlier_folds_may_be_freed():
    alive = []

    def make():
        gc.collect()
        alive.append(sum(ref() is not None for ref in made))
        model = linear()
        made.append(weakref.ref(model))
        return model

    made = []
    cross_validate(make, adam, folds(), epochs=1)
    assert max(alive) <= 1


def test_frozen_layer_may_be_shared_and_functions_too():
    frozen, act = nn.Linear(2, 2).requires_grad_(False), nn.ReLU()
    scores = cross_validate(
        lambda: nn.Sequential(frozen, act, nn.Linear(2, 2)),
        lambda model: Adam(model[2].parameters()),
        folds(),
        epochs=1,
    )
    assert len(scores) == 5


KEPT = linear()
LAYER = nn.Linear(2, 2)
NORM = nn.BatchNorm1d(2, affine=False)
OLD = adam(linear())
STEPS = StepLR(OLD, 1)
REFUSED = [
    ({"make_model": KEPT}, TypeError, "make_model must be a function .* got Linear. Write"),
    ({"make_model": None}, TypeError, "make_model must be a function .* got NoneType"),
    ({"make_model": lambda: KEPT}, ValueError, "new model at each call, got the same object"),
    (
        {"make_model": lambda: nn.Sequential(LAYER, nn.Linear(2, 2))},
        ValueError,
        "got 0.weight of an earlier fold. Build or copy that layer",
    ),
    (
        {"make_model": lambda: nn.Sequential(NORM, nn.Linear(2, 2))},
        ValueError,
        "got 0.running_mean of an earlier fold",
    ),
    ({"make_model": lambda: None}, TypeError, "make_model must return an nn.Module, got None"),
    ({"make_optimizer": OLD}, TypeError, "make_optimizer must be a function .* got Adam"),
    ({"make_optimizer": lambda m: OLD}, ValueError, "one that holds other weights"),
    ({"make_optimizer": lambda m: 3}, TypeError, "must return an optimizer, got int"),
    ({"make_scheduler": STEPS}, TypeError, "make_scheduler must be a function .* got StepLR"),
    ({"make_scheduler": lambda o: STEPS}, ValueError, "got one that steps another"),
    ({"make_scheduler": lambda o: None}, TypeError, "must return a scheduler, got NoneType"),
    ({"make_scheduler": ReduceLROnPlateau}, TypeError, "must not return ReduceLROnPlateau"),
    ({"folds": []}, ValueError, "at least one fold, got none. An iterator"),
    ({"folds": [(X, Y)]}, TypeError, "must come from kfold_loaders, got tuple"),
    ({"epochs": 0}, ValueError, "epochs must be 1 or more, got 0"),
    ({"epochs": 1.5}, TypeError, "epochs must be an integer, got 1.5"),
    ({"seed": "a"}, TypeError, "seed must be an integer, got 'a'"),
    ({"score": lambda o, y: float("nan")}, ValueError, "must be finite, got nan in fold 0"),
    ({"score": lambda o, y: "good"}, TypeError, "score must return one number, got str"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "message"), REFUSED)
def test_what_is_not_new_or_not_right_is_refused(change, error, message):
    settings = {"make_model": linear, "make_optimizer": adam, "folds": folds()} | change
    with pytest.raises(error, match=f"cross_validate: .*{message}"):
        cross_validate(**settings)


def test_optimizer_of_the_first_fold_is_refused_in_the_second():
    made = []

    def once(model):
        made[:] = made or [SGD(model.parameters(), lr=0.1)]
        return made[0]

    with pytest.raises(ValueError, match="make_optimizer must build a new optimizer"):
        cross_validate(linear, once, folds())


def test_folds_that_are_used_up_are_named():
    used = folds()
    cross_validate(linear, adam, used, epochs=1)
    with pytest.raises(ValueError, match="can be used once: call kfold_loaders again"):
        cross_validate(linear, adam, used)


def test_accuracy_names_shapes_it_cannot_read():
    with pytest.raises(
        ValueError, match=r"accuracy: logits must be \(N, C\).*\(4,\) and"
    ):
        accuracy(torch.zeros(4), torch.zeros(4))


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
        ({"folds": {}}, TraitError, "folds are scikit-learn's and cannot be set"),
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
