"""helpers.cross_validation: folds, and what survives from one to the next."""

import gc
import weakref
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

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
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from helpers import cross_validation
from helpers._batches import joined
from helpers.cross_validation import Fold, accuracy, cross_validate, kfold_loaders

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
        trained = set(rows_of(fold.train)[:, 0].tolist())
        left_out = set(fold.train_indices.tolist()) - trained
        assert trained <= set(fold.train_indices.tolist())
        assert len(left_out) == (len(fold.train_indices) % 32 == 1)


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


# --- a last batch of one -------------------------------------------------------------


def normed():
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("batch_size", [3, 5, 15, 16, 17])  # of 16 to train on
def test_last_training_batch_of_one_is_left_out_and_no_other(batch_size):
    for fold in folds(batch_size=batch_size):
        sizes = [len(y) for _, y in fold.train]
        assert sum(sizes) == 16 - (batch_size in (3, 5, 15))
        assert min(sizes) > 1
        assert sum(len(y) for _, y in fold.validation) == 4
    assert (
        len(cross_validate(normed, adam, folds(batch_size=batch_size), epochs=1)) == 5
    )


def test_left_out_sample_is_another_in_each_epoch():
    fold = next(kfold_loaders(torch.arange(20), y=Y, batch_size=5))
    assert len({tuple(sorted(rows_of(fold.train).tolist())) for _ in range(9)}) > 1


def test_batches_of_one_are_kept_if_asked_for():
    fold = next(folds(batch_size=1))
    assert [len(y) for _, y in fold.train] == [1] * 16
    assert len(cross_validate(linear, adam, folds(batch_size=1), epochs=1)) == 5


@pytest.mark.parametrize("own", [False, True], ids=["kfold_loaders", "own loaders"])
def test_batch_normalisation_of_one_sample_is_named_with_the_way_out(own):
    fold = next(folds(batch_size=1))
    loader = DataLoader(fold.train.dataset, batch_size=5)
    wrong = [fold._replace(train=loader)] if own else folds(batch_size=1)
    with pytest.raises(ValueError, match="^cross_validate: batch norm") as caught:
        cross_validate(normed, adam, wrong, epochs=1)
    assert str(caught.value).endswith(
        "must get training batches of two or more, got one sample. Use batch_size=2 or "
        "more; in a loader of your own, drop_last=True."
    )
    loader = DataLoader(fold.train.dataset, batch_size=5, drop_last=True)
    right = [fold._replace(train=loader)] if own else folds(batch_size=2)
    assert len(cross_validate(normed, adam, right, epochs=1)) == (1 if own else 5)


def test_other_errors_of_a_model_or_a_loss_pass_unchanged():
    def broken(outputs, y):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        cross_validate(linear, adam, folds(), loss_fn=broken, epochs=1)


# --- outputs that are no tensor ------------------------------------------------------

Pair = namedtuple("Pair", "logits hidden")


@dataclass(frozen=True)
class Output:
    logits: torch.Tensor
    hidden: object = None


@dataclass(slots=True)
class Slotted:
    logits: torch.Tensor


class Wrapped(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.layer, self.wrap = nn.Linear(2, 2), wrap

    def forward(self, x):
        return self.wrap(self.layer(x))


WRAPS = [
    (lambda out: (out, None), lambda whole: whole[0], "[0]"),
    (lambda out: [out, {"deep": (out,)}], lambda whole: whole[1]["deep"][0], "[0]"),
    (lambda out: {"logits": out}, lambda whole: whole["logits"], "['logits']"),
    (lambda out: {"out": out, "n": 3}, lambda whole: whole["out"], "['out']"),
    (lambda out: Pair(out, out.sum()), lambda whole: whole.logits, "[0]"),
    (lambda out: Output(out), lambda whole: whole.logits, ".logits"),
    (lambda out: Slotted(out), lambda whole: whole.logits, ".logits"),
    (lambda out: SimpleNamespace(scores=out), lambda whole: whole.scores, ".scores"),
]


@pytest.mark.parametrize(("wrap", "take", "way"), WRAPS)
def test_what_the_model_returns_reaches_loss_and_score(wrap, take, way):
    expected = cross_validate(
        lambda: Wrapped(lambda out: out), adam, folds(batch_size=3)
    )
    scores = cross_validate(
        lambda: Wrapped(wrap),
        adam,
        folds(batch_size=3),
        loss_fn=lambda out, y: nn.functional.cross_entropy(take(out), y),
        score=lambda out, y: accuracy(take(out), y),
    )
    assert torch.equal(scores, expected)


@pytest.mark.parametrize(("wrap", "take", "way"), WRAPS)
@pytest.mark.parametrize(
    "given", [{}, {"loss_fn": lambda out, y: out * 0}, {"score": len}]
)
def test_defaults_name_what_they_cannot_take_at_the_first_batch(wrap, take, way, given):
    calls = []

    def counted(out):
        calls.append(1)
        return wrap(out)

    def run(**settings):
        return cross_validate(lambda: Wrapped(counted), adam, folds(), **settings)

    with pytest.raises(
        TypeError, match="^cross_validate: for the default loss_fn"
    ) as caught:
        run(**given)
    assert len(calls) == 1
    assert f"accuracy(out{way}, y)" in str(caught.value)
    scope = {"cross_entropy": nn.functional.cross_entropy, "accuracy": accuracy}
    advice = str(caught.value).split(" Pass ")[1].rstrip(".")
    assert len(run(**eval(f"dict({advice})", scope))) == 5


def test_accuracy_names_what_holds_the_logits():
    with pytest.raises(
        TypeError, match=r"accuracy: .*, got tuple\..* logits: out\[0\]\.$"
    ):
        accuracy((torch.zeros(2, 3), None), torch.zeros(2))


def test_parts_are_joined_at_every_depth():
    a, b = torch.zeros(2, 3), torch.ones(1, 3)
    whole = joined(
        "f",
        "outputs",
        [
            {
                "pair": Pair(x, Output(x, None)),
                "loss": x.mean(),
                "name": n,
                "none": None,
            }
            for x, n in ((a, "a"), (b, "b"))
        ],
    )
    both = torch.cat([a, b])
    assert torch.equal(whole["pair"].logits, both)
    assert torch.equal(whole["pair"].hidden.logits, both)
    assert whole["loss"].tolist() == [0, 1]
    assert (whole["name"], whole["none"]) == (["a", "b"], None)
    assert len(a) == 2


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [(torch.zeros(2, 5),), (torch.zeros(2, 7),)],
            r"f: outputs\[0\] must be \(B, 5\) in every batch, as in the first, "
            r"got shape \(2, 7\)\. "
            "Pad it to one size, or leave it out of what forward returns",
        ),
        (
            [{"boxes": [1, 2]}, {"boxes": [1]}],
            r"f: outputs\['boxes'\] must be of one length, got \[1, 2\] entries\. "
            "Let forward return what loss_fn and score use",
        ),
    ],
)
def test_parts_that_cannot_be_joined_are_named(parts, message):
    with pytest.raises(ValueError, match=message):
        joined("f", "outputs", parts)


# --- datasets, arrays, lists and names of classes ------------------------------------


class Pictures(Dataset):
    """Reads its items from a disk, like ImageFolder."""

    targets = Y.tolist()

    def __init__(self, item=lambda x, y, i: (x, y)):
        self.item = item

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return self.item(X[i] / 40, self.targets[i], i)


DATA_SETS = [
    Pictures(),
    Pictures(lambda x, y, i: {"input": x, "labels": y}),
    Subset(Pictures(), list(range(20))),
    TensorDataset(X / 40, Y),
    list(zip(X / 40, Y, strict=True)),
    [(x, int(y)) for x, y in zip(X / 40, Y, strict=True)],
    [{"input": x, "label": y} for x, y in zip(X / 40, Y, strict=True)],
]


@pytest.mark.parametrize("data", DATA_SETS)
@pytest.mark.parametrize("y", [Y, Y.tolist(), Y.numpy(), ["no", "yes"] * 10])
def test_dataset_gives_the_scores_of_its_tensors(data, y):
    expected = cross_validate(linear, adam, folds(), epochs=2)
    assert torch.equal(
        cross_validate(linear, adam, kfold_loaders(data, y=y), epochs=2), expected
    )


@pytest.mark.parametrize("convert", [np.asarray, list, lambda x: x.tolist()])
def test_inputs_and_targets_may_be_arrays_and_lists(convert):
    expected = sets(kfold_loaders(X, y=Y))
    x = X.tolist() if convert is list else convert(X)
    assert sets(kfold_loaders(x, y=convert(Y))) == expected
    fold = next(kfold_loaders(x, y=convert(Y)))
    assert torch.equal(rows_of(fold.validation), X[fold.validation_indices])
    assert rows_of(fold.train).dtype == torch.float32


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, lambda names: np.array(names, "O")]
)
def test_names_of_classes_become_numbers_in_alphabetical_order(kind):
    names = kind(["dog", "cat", "emu", "cat"] * 5)
    fold = next(kfold_loaders(X, y=names, n_splits=4))
    read = torch.cat([y for _, y in fold.validation])
    expected = torch.tensor([1, 0, 2, 0] * 5)[fold.validation_indices]
    assert torch.equal(read, expected)


def test_list_of_numbers_is_a_regression_if_it_is_not_stratified():
    y = np.linspace(0, 1, 20).tolist()
    with pytest.raises(ValueError, match=r"for a regression pass stratify=False\.$"):
        kfold_loaders(X, y=y)
    fold = next(kfold_loaders(X, y=y, stratify=False))
    assert next(iter(fold.train))[1].dtype == torch.float32


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


class Unlabelled(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, i):
        return X[i]


def taken(*tensors, y=Y):
    return len(list(kfold_loaders(*tensors, y=y)))


WORDS, RAGGED = ["a", "b"] * 10, [[1.0] * (1 + i % 3) for i in range(20)]
WITH_NAMES = [(x, "ab"[y]) for x, y in zip(X, Y, strict=True)]
NOT_DATA = [
    (
        (DataLoader(Pictures()),),
        "Pass its dataset: loader.dataset.",
        lambda loader: taken(loader.dataset),
    ),
    ((Stream(),), "Read it first: list(dataset).", lambda data: taken(list(data))),
    (
        ({"ids": X, "mask": X},),
        "Pass what it holds: kfold_loaders(*x.values(), y=y).",
        lambda x: taken(*x.values()),
    ),
    (
        (Pictures(), X),
        "Pass a dataset alone: kfold_loaders(dataset, y=y).",
        lambda data, x: taken(data),
    ),
    (
        (WORDS,),
        "Pass pairs: kfold_loaders(list(zip(x, y)), y=y).",
        lambda x: taken(list(zip(x, Y, strict=True))),
    ),
    (
        (RAGGED,),
        "Pad it: nn.utils.rnn.pad_sequence([torch.as_tensor(row) for row in x], "
        "batch_first=True).",
        lambda x: taken(
            nn.utils.rnn.pad_sequence(
                [torch.as_tensor(row) for row in x], batch_first=True
            )
        ),
    ),
    (
        (list(X),),
        "Pad it: nn.utils.rnn.pad_sequence([torch.as_tensor(row) for row in x], "
        "batch_first=True).",
        lambda x: taken(
            nn.utils.rnn.pad_sequence(
                [torch.as_tensor(row) for row in x], batch_first=True
            )
        ),
    ),
    (
        (Unlabelled(),),
        "Pass pairs: kfold_loaders(list(zip(dataset, y)), y=y).",
        lambda data: taken(list(zip(data, Y, strict=False))),
    ),
    (
        (TensorDataset(X),),
        "Pass pairs: kfold_loaders(list(zip(dataset, y)), y=y).",
        lambda data: taken(list(zip(data, Y, strict=False))),
    ),
    (
        (WITH_NAMES,),
        "Write [(x, names.index(y)) for x, y in dataset].",
        lambda data: taken([(x, ["a", "b"].index(y)) for x, y in data]),
    ),
]


@pytest.mark.parametrize(("wrong", "advice", "advised"), NOT_DATA)
def test_what_is_neither_numbers_nor_a_dataset_is_refused_with_a_way(
    wrong, advice, advised
):
    with pytest.raises(TypeError, match="^kfold_loaders: ") as caught:
        kfold_loaders(*wrong, y=Y)
    assert str(caught.value).endswith(f" {advice}")
    assert advised(*wrong) == 5


def test_targets_without_a_value_are_asked_for():
    for y in (["a", None] * 10, None):
        with pytest.raises(TypeError, match=r"Give each sample a number, or the name"):
            kfold_loaders(X, y=y)


def test_dataset_of_another_length_than_its_targets_is_refused():
    with pytest.raises(ValueError, match=r"y must be \(20, \.\.\.\), got shape \(9,\)"):
        kfold_loaders(Pictures(), y=Y[:9])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ((X / 40, torch.arange(20)), (X / 40,)),
        (
            (Pictures(lambda x, y, i: (x, y, i)),),
            ([(x, y) for x, y, *_ in Pictures(lambda x, y, i: (x, y, i))],),
        ),
    ],
    ids=["tensors", "dataset"],
)
def test_index_in_a_batch_is_not_taken_for_an_input_or_a_target(wrong, right):
    with pytest.raises(TypeError, match="^cross_validate: a batch must be") as caught:
        cross_validate(linear, adam, kfold_loaders(*wrong, y=Y), epochs=1)
    assert str(caught.value).endswith(
        "got too many positional arguments. Give kfold_loaders only what it takes; of a "
        "dataset [(x, y) for x, y, *_ in dataset]."
    )
    assert len(cross_validate(linear, adam, kfold_loaders(*right, y=Y), epochs=1)) == 5


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
