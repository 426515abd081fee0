"""helpers.cross_validation: folds, and what survives from one to the next."""

import gc
import weakref

import numpy as np
import pytest
import sklearn
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.version import Version
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR

from helpers import cross_validation
from helpers.cross_validation import Fold, cross_validate, kfold_loaders

X = torch.arange(40.0).reshape(20, 2)
Y = torch.arange(20) % 2


def sets(folds):
    return [(f.train_indices.tolist(), f.validation_indices.tolist()) for f in folds]


def rows_of(loader):
    return torch.cat([x for x, *_ in loader])


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
    options = {"y": who % 2, "n_splits": k, "groups": who, "stratify": stratify}
    try:
        folds = kfold_loaders(who, **options, seed=seed)
    except ValueError:  # scikit-learn 1.6 may put all of a class into one fold
        assume(Version(sklearn.__version__) >= Version("1.9"))
        raise
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


# --- what is refused, and that the advice works --------------------------------------

LABELS_WITH_NAN = torch.tensor([0.0, 1.0] * 9 + [float("nan"), 1.0])
RARE = (torch.arange(20) < 3).long()
ALONE = [*range(15), *[99] * 5]  # one group has all of class 4
BAD_DATA = [
    (
        {"y": Y[:9]},
        "y must be (20, ...), got shape (9,). Give each sample one row, as in tensors[0].",
        {"y": Y},
    ),
    (
        {"y": LABELS_WITH_NAN},
        "y must be a number, got nan at index (18,). "
        "Drop the samples without a target first.",
        {"y": LABELS_WITH_NAN.nan_to_num(0)},
    ),
    (
        {"y": Y.unsqueeze(1)},
        "y must be classes (N,), got shape (20, 1). Squeeze (N, 1), or pass "
        "stratify=False.",
        {"y": Y.unsqueeze(1), "stratify": False},
    ),
    (
        {"y": RARE},
        "n_splits must be at most the size of the smallest class, got n_splits=5 and 3 "
        "samples of class 1. Use fewer folds, merge classes, or for a regression pass "
        "stratify=False.",
        {"y": RARE, "n_splits": 3},
    ),
    (
        {"y": Y + torch.arange(20) / 2},
        "n_splits must be at most the size of the smallest class, got n_splits=5 and 1 "
        "samples of class 0.0. Use fewer folds, merge classes, or for a regression pass "
        "stratify=False.",
        {"y": Y + torch.arange(20) / 2, "stratify": False},
    ),
    (
        {"groups": ["a", "b"]},
        "groups must be (20,), one for each sample, got shape (2,). "
        "Repeat each group's name for all of its samples.",
        {"groups": list("abcde") * 4},
    ),
    (
        {"groups": [None, *range(19)]},
        "groups must be known, got None at index (0,). "
        "Give such a sample a group of its own.",
        {"groups": [99, *range(19)]},
    ),
    (
        {"groups": [float("nan"), *range(19)]},
        "groups must be known, got nan at index (0,). "
        "Give such a sample a group of its own.",
        {"groups": [99, *range(19)]},
    ),
    (
        {"y": torch.tensor([0] * 15 + [4] * 5), "groups": ALONE},
        "groups must leave every class in the training set of fold 3, got none of [4]. "
        "Use fewer folds or another seed, or cut large groups.",
        {"y": torch.tensor([0] * 15 + [4] * 5), "groups": range(20)},
    ),
]


@pytest.mark.parametrize(("wrong", "message", "advised"), BAD_DATA)
def test_data_that_cannot_be_split_are_named_at_once(wrong, message, advised):
    with pytest.raises(ValueError, match="kfold_loaders: ") as caught:
        kfold_loaders(X, **{"y": Y, **wrong})  # not yet iterated
    assert str(caught.value) == f"kfold_loaders: {message}"
    kfold_loaders(X, **{"y": Y, **advised})


def test_more_folds_than_groups_are_refused_by_every_scikit_learn():
    with pytest.raises(ValueError, match="groups"):
        kfold_loaders(X, y=Y, groups=[0, 1, 2, 3] * 5)
    # Older ones return a fold without samples.
    with pytest.raises(ValueError, match=r"of fold 0, got \(20, 0\)\. Use fewer folds"):
        cross_validation._require_usable([(np.arange(20), np.arange(0))], Y)


def test_inputs_that_were_forgotten_are_asked_for():
    with pytest.raises(
        ValueError, match=r"Pass the inputs first: kfold_loaders\(x, y=y"
    ):
        kfold_loaders(y=Y)


KEPT, LAYER = linear(), nn.Linear(2, 2)
NORM = nn.BatchNorm1d(2, affine=False)
OLD = adam(linear())
NEW_MODEL = "make_model must build a new model at each call, got "
RETURN = "Does make_model end with return?"
REUSED = [
    (
        {"make_model": KEPT},
        "make_model must be a function that builds a new model for each fold, got "
        "Linear. Write make_model=lambda: Net().",
    ),
    (
        {"make_model": lambda: KEPT},
        f"{NEW_MODEL}the same object twice. Move the call of the class into the function.",
    ),
    (
        {"make_model": lambda: nn.Sequential(LAYER, nn.Linear(2, 2))},
        f"{NEW_MODEL}0.weight of an earlier fold. Move the call of the class into the "
        "function.",
    ),
    (
        {"make_model": lambda: nn.Sequential(NORM, nn.Linear(2, 2))},
        f"{NEW_MODEL}0.running_mean of an earlier fold. Move the call of the class into "
        "the function.",
    ),
    (
        {"make_model": lambda: None},
        f"model must be an nn.Module, got NoneType. {RETURN}",
    ),
    (
        {"make_optimizer": lambda model: OLD},
        "make_optimizer must build a new optimizer for the model it is given, got one "
        "that holds other weights, such as an earlier fold's. Write lambda model: "
        "Adam(model.parameters()).",
    ),
    (
        {"make_optimizer": lambda model: None},
        "what make_optimizer returns must be of type Optimizer, got NoneType. "
        "Does it end with return?",
    ),
    (
        {"make_scheduler": lambda optimizer: StepLR(OLD, 1)},
        "make_scheduler must build a new scheduler for the optimizer it is given, got "
        "one that steps another. Write lambda optimizer: StepLR(optimizer, 5).",
    ),
    (
        {"score": lambda outputs, y: float("nan")},
        "score must be finite, got nan in fold 0. "
        "Look for nan in its inputs, or a loss that diverged.",
    ),
    (
        {"folds": []},
        "folds must hold at least one fold, got none. Call kfold_loaders again.",
    ),
]


@pytest.mark.parametrize(("change", "message"), REUSED)
def test_what_is_not_new_or_not_right_is_refused(change, message):
    settings = {"make_model": linear, "make_optimizer": adam, "folds": folds()} | change
    with pytest.raises((TypeError, ValueError)) as caught:
        cross_validate(**settings)
    assert str(caught.value) == f"cross_validate: {message}"


def test_advice_of_what_is_refused_works():
    used = folds()
    settings = {
        "make_model": lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)),
        "make_optimizer": lambda model: Adam(model.parameters()),
        "make_scheduler": lambda optimizer: StepLR(optimizer, 5),
        "epochs": 1,
    }
    assert len(cross_validate(folds=used, **settings)) == 5
    with pytest.raises(ValueError, match=r"got none\. Call kfold_loaders again\.$"):
        cross_validate(folds=used, **settings)
    assert len(cross_validate(folds=folds(), **settings)) == 5


def test_optimizer_of_the_first_fold_is_refused_in_the_second():
    made = []

    def once(model):
        made[:] = made or [SGD(model.parameters(), lr=0.1)]
        return made[0]

    with pytest.raises(ValueError, match="make_optimizer must build a new optimizer"):
        cross_validate(linear, once, folds())
