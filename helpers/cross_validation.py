"""Cross-validation in which nothing survives from one fold to the next."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from helpers._arguments import (
    require,
    require_each,
    require_integer,
    require_module,
    require_seed,
    require_shape,
    require_some,
    require_tensor,
    require_type,
)
from helpers._batches import joined, moved, parted, require_fitting, way_to_logits

if TYPE_CHECKING:
    from numpy import ndarray


class Fold(NamedTuple):
    """One fold of a cross-validation; each batch is ``(*tensors, y)``.

    Attributes:
        number: from 0 to ``n_splits - 1``.
        train: shuffles by a generator of its own. A last batch of one sample, which batch
            normalisation refuses, is left out: another sample in each epoch.
        validation: keeps the order of ``validation_indices``.
        train_indices: int64 ``(N - M,)``, ascending, on the CPU.
        validation_indices: int64 ``(M,)``, ascending, on the CPU.
    """

    number: int
    train: DataLoader
    validation: DataLoader
    train_indices: Tensor
    validation_indices: Tensor


def kfold_loaders(
    *tensors: Tensor | Dataset | ndarray | Sequence,
    y: Tensor | ndarray | Sequence,
    n_splits: int = 5,
    batch_size: int = 32,
    groups: Sequence | Tensor | None = None,
    stratify: bool = True,
    seed: int = 0,
) -> Iterator[Fold]:
    """Split any number of tensors, or a dataset, into folds, each with its two loaders.

    Args:
        tensors: one or more of ``(N, ...)``, any dtype; a fold copies its part of them.
            Arrays and lists of numbers become tensors. Or one dataset, such as an
            ``ImageFolder``, a ``Subset`` or a list of pairs, whose N items are
            ``(x, ..., y)`` or a dict with ``labels``; a fold reads its part of it.
        y: targets ``(N,)``; with ``stratify=False`` also ``(N, ...)``. Names of classes,
            as strings, become their numbers in alphabetical order. For a dataset, such
            as its ``targets``, they decide the folds alone.
        n_splits: how many folds, from 2 to N.
        batch_size: samples in a batch, 1 or more.
        groups: for each sample who it comes from, ``(N,)``: numbers or strings. No
            group is then in training and validation at once.
        stratify: give each fold the classes' shares of ``y``, as far as groups let it.
        seed: decides the folds, and the order of training batches.

    Returns:
        An iterator over ``n_splits`` folds, to be used once.

    Raises:
        TypeError: for an argument of the wrong type.
        ValueError: for tensors, ``y`` or ``groups`` that are empty, hold nan or differ
            in length; if a class or the groups are too few; or if a fold would have no
            validation sample, or a class to validate that its training set lacks.

    Example:
        >>> x, y = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 0, 0, 0, 1, 1])
        >>> for fold in kfold_loaders(x, y=y, n_splits=2):
        ...     print(fold.number, y[fold.validation_indices].tolist())
        0 [0, 0, 1]
        1 [0, 0, 1]

    Source: https://scikit-learn.org/stable/modules/cross_validation.html
    """
    require_seed("kfold_loaders", seed, 2**32 - 1)
    require_integer("kfold_loaders", "batch_size", batch_size, 1, advice="Try 32.")
    data, y = _rows(tensors, y)
    options = {"n_splits": n_splits, "shuffle": True, "random_state": int(seed)}
    people = None if groups is None else _group_codes(groups, len(y))
    classes = _class_codes(y, n_splits) if stratify else None
    splits = _splits(len(y), classes, people, options)
    _require_usable(splits, y if stratify else torch.zeros(len(y)))
    return _folds(data, splits, batch_size, int(seed))


def _splits(count: int, classes, groups, options: dict) -> list[tuple]:
    """Return (train, validation) index arrays, by the splitter that fits."""
    import numpy as np
    from sklearn import model_selection as ms

    rows = np.zeros((count, 1))
    if groups is not None:
        # With one class for all it balances the folds' sizes: a shuffled GroupKFold.
        labels = np.zeros(count, dtype=int) if classes is None else classes
        return list(ms.StratifiedGroupKFold(**options).split(rows, labels, groups))
    if classes is not None:
        return list(ms.StratifiedKFold(**options).split(rows, classes))
    return list(ms.KFold(**options).split(rows))


def _folds(data: Dataset, splits: list, batch_size: int, seed: int) -> Iterator[Fold]:
    """Make the loaders of one fold after another, so that one copy is alive at a time."""
    for number, split in enumerate(splits):
        indices = [torch.from_numpy(part) for part in split]
        loaders = [
            DataLoader(
                _part(data, part),
                batch_size=batch_size,
                shuffle=shuffle,
                drop_last=shuffle
                and len(part) > batch_size > len(part) % batch_size == 1,
                # Without one, a loader draws from the global generator, even unshuffled.
                generator=torch.Generator().manual_seed(seed + number),
            )
            for part, shuffle in zip(indices, (True, False), strict=True)
        ]
        yield Fold(number, *loaders, *indices)


def _part(data: Dataset, indices: Tensor) -> Dataset:
    """Return some samples: a copy of tensors' rows, a view of another dataset."""
    if type(data) is TensorDataset:
        return TensorDataset(*(t[indices.to(t.device)] for t in data.tensors))
    return Subset(data, indices.tolist())


def accuracy(logits: Tensor, y: Tensor) -> float:
    """Return the share of samples whose largest logit is the true class's.

    Args:
        logits: ``(N, C)``.
        y: classes ``(N,)``.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: if the shapes are others.

    Example:
        >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        0.5
    """
    advice = f"Pass what holds the logits: out{way_to_logits(logits)}."
    require_tensor("accuracy", "logits", logits, advice)
    fine = logits.ndim == 2 and y.shape == logits.shape[:1]
    got = f"{tuple(logits.shape)} and {tuple(y.shape)}"
    advice = "Pass cross_validate a score that fits your model."
    must = "logits must be (N, C) and y (N,)"
    require(fine, ValueError, "accuracy", must, got, advice)
    return (logits.argmax(dim=1) == y).double().mean().item()


def cross_validate(
    make_model: Callable[[], nn.Module],
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    folds: Iterable[Fold],
    *,
    make_scheduler: Callable | None = None,
    loss_fn: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
    score: Callable[[Tensor, Tensor], float] = accuracy,
    epochs: int = 10,
    seed: int = 0,
) -> Tensor:
    """Train and score a new model, optimizer and scheduler on every fold.

    The validation set is read once, after the last epoch, in ``eval()`` mode. PyTorch's
    global random state is the same afterwards as before.

    Args:
        make_model: builds the model; called for each fold, as ``make_model()``.
        make_optimizer: ``make_optimizer(model)``.
        folds: from :func:`kfold_loaders`.
        make_scheduler: ``make_scheduler(optimizer)``; steps after each epoch.
        loss_fn: ``loss_fn(model(*tensors), y)``, a scalar. It gets what the model
            returned, be it a tensor, a tuple, a dict or an object.
        score: ``score(outputs, y)`` of the whole validation set, a number. Tensors in
            tuples, dicts and objects are joined along their first dimension; of what else
            these hold there is a list, one entry for each batch.
        epochs: passes over the training set, 1 or more.
        seed: of weights and dropout; fold ``i`` uses ``seed + i``.

    Returns:
        The scores, float64 ``(n_splits,)``.

    Raises:
        TypeError: if ``make_model`` is a model instead of a function that builds one, a
            factory returns something other than it should, a batch holds more than the
            model takes, or the model returns no tensor and loss or score is the default.
        ValueError: if a factory returns what an earlier fold has used, there are no
            folds, a batch of one meets batch normalisation, outputs cannot be joined, or a
            score is nan or infinite.

    Example:
        >>> x = torch.cat([torch.zeros(10, 2), torch.ones(10, 2)])
        >>> y = torch.arange(20) // 10
        >>> cross_validate(
        ...     lambda: nn.Linear(2, 2),
        ...     lambda model: torch.optim.Adam(model.parameters(), lr=0.1),
        ...     kfold_loaders(x, y=y),
        ... )
        tensor([1., 1., 1., 1., 1.], dtype=torch.float64)
    """
    built, got = isinstance(make_model, nn.Module), type(make_model).__name__
    must = "make_model must be a function that builds a new model for each fold"
    advice = "Write make_model=lambda: Net()."
    require(not built, TypeError, "cross_validate", must, got, advice)
    require_integer("cross_validate", "epochs", epochs, 1, advice="Try epochs=10.")
    require_seed("cross_validate", seed, 2**32 - 1)
    if score is accuracy or loss_fn is nn.functional.cross_entropy:
        loss_fn = _of_a_tensor(loss_fn)
    earlier, scores = _EarlierModels(), []
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for number, fold in enumerate(folds):
            torch.manual_seed(int(seed) + number)
            model = make_model()
            earlier.require_new(model)
            optimizer = make_optimizer(model)
            _require_own_weights(optimizer, model)
            scheduler = make_scheduler and make_scheduler(optimizer)
            _require_own_optimizer(scheduler, optimizer)
            for _ in range(epochs):
                _train(model, optimizer, fold.train, loss_fn)
                if scheduler:
                    scheduler.step()
            scores.append(_score(model, fold, score))
    require_some("cross_validate", "folds", scores, "fold", "Call kfold_loaders again.")
    return torch.tensor(scores, dtype=torch.float64)


def _of_a_tensor(loss_fn: Callable) -> Callable:
    """Return a loss that says at the first batch what the defaults cannot take."""

    def checked(outputs: object, y: Tensor) -> Tensor:
        part = f"out{way_to_logits(outputs)}, y"
        advice = (
            f"Pass loss_fn=lambda out, y: cross_entropy({part}), "
            f"score=lambda out, y: accuracy({part})."
        )
        name = "for the default loss_fn or score, what model returns"
        require_tensor("cross_validate", name, outputs, advice)
        return loss_fn(outputs, y)

    return checked


def _run(model: nn.Module, batch: object) -> tuple[object, object]:
    """Return the model's outputs for a batch, and its targets, where the model is."""
    weight = next(model.parameters(), None)
    batch = moved(batch, None if weight is None else weight.device)
    collate = "Let a collate_fn return (x, y)."
    inputs, named, y = parted(
        "cross_validate", batch, "a fold's loader yields", collate
    )
    advice = (
        "Give kfold_loaders only what it takes; of a dataset "
        "[(x, y) for x, y, *_ in dataset]."
    )
    require_fitting("cross_validate", model, inputs, named, advice)
    return model(*inputs, **named), y


def _train(model: nn.Module, optimizer, loader: DataLoader, loss_fn: Callable) -> None:
    """Pass once over a training set."""
    model.train()
    for batch in loader:
        try:
            loss = loss_fn(*_run(model, batch))
        except ValueError as error:
            alone = str(error).startswith("Expected more than 1 value per channel")
            must = "batch normalisation must get training batches of two or more"
            advice = (
                "Use batch_size=2 or more; in a loader of your own, drop_last=True."
            )
            require(not alone, ValueError, "cross_validate", must, "one sample", advice)
            raise
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _predict(model: nn.Module, loader: DataLoader) -> list:
    """Return outputs and targets of a whole loader, in its order."""
    model.eval()
    pairs = zip(*(_run(model, batch) for batch in loader), strict=True)
    names = "outputs", "y"
    return [
        joined("cross_validate", *named) for named in zip(names, pairs, strict=True)
    ]


def _score(model: nn.Module, fold: Fold, score: Callable) -> float:
    """Return the score of a fold's validation set, a finite number."""
    value = float(score(*_predict(model, fold.validation)))
    must, got = "score must be finite", f"{value} in fold {fold.number}"
    advice = "Look for nan in its inputs, or a loss that diverged."
    require(math.isfinite(value), ValueError, "cross_validate", must, got, advice)
    return value


# --- what kfold_loaders refuses ----------------------------------------------------------


def _rows(tensors: tuple, y: object) -> tuple[Dataset, Tensor]:
    """Return the data to split and their targets, or say what cannot be split."""
    caller, advice = "kfold_loaders", "Pass the inputs first: kfold_loaders(x, y=y)."
    require_some(caller, "tensors", tensors, "tensor", advice)
    y, data = _as_tensor("y", y), tensors[0]
    whole = len(tensors) == 1 and _is_dataset(data)
    named = {} if whole else {f"tensors[{i}]": t for i, t in enumerate(tensors)}
    named = {name: _as_tensor(name, value) for name, value in named.items()}
    count = len(data)
    advice = "Give each sample one row, as in tensors[0]."
    for name, tensor in (named | {"y": y}).items():
        alike, must = tensor.shape[:1] == (count,), f"({count}, ...)"
        require_shape(caller, name, tensor, alike, must, advice)
    advice = "Drop the samples without a target first."
    require_each(caller, "y", y, ~y.isnan(), "a number", advice)
    if whole:
        _require_pairs(data)
    return data if whole else TensorDataset(*named.values(), y), y


def _is_dataset(data: object) -> bool:
    """Tell a dataset, or a list of its items, from numbers."""
    if isinstance(data, (list, tuple)):
        item = data[0] if data else 0
        numbers = isinstance(item, tuple) and all(isinstance(x, Real) for x in item)
        return isinstance(item, (tuple, dict)) and not numbers
    sized = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    other = isinstance(data, (Mapping, IterableDataset)) or hasattr(data, "__array__")
    return sized and not other


def _require_pairs(data: Dataset) -> None:
    """Raise an error unless the first item of a dataset has inputs and a target."""
    advice = "Pass pairs: kfold_loaders(list(zip(dataset, y)), y=y)."
    where = "kfold_loaders: item 0"
    target = parted(where, data[0], "a dataset holds", advice)[2]
    numbered, must = not isinstance(target, str), "y must be a number"
    advice = "Write [(x, names.index(y)) for x, y in dataset]."
    require(numbered, TypeError, where, must, repr(target), advice)


def _as_tensor(name: str, value: object) -> Tensor:
    """Return a tensor of numbers; of named classes in ``y`` their numbers."""
    import numpy as np

    if not isinstance(value, Tensor):
        value = np.asarray(value) if hasattr(value, "__array__") else value
        if name == "y" and _all_text(value):
            return torch.from_numpy(np.unique(value, return_inverse=True)[1])
        with suppress(TypeError, ValueError, RuntimeError):
            value = torch.as_tensor(value)
    require_tensor("kfold_loaders", name, value, _way_to_tensor(name, value))
    return value


def _all_text(value: object) -> bool:
    several = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1
    return several and all(isinstance(entry, str) for entry in value)


def _way_to_tensor(name: str, value: object) -> str:
    """Say what to pass instead of something that is neither numbers nor a dataset."""
    if name == "y":
        return "Give each sample a number, or the name of its class."
    if isinstance(value, DataLoader):
        return "Pass its dataset: loader.dataset."
    if isinstance(value, IterableDataset):
        return "Read it first: list(dataset)."
    if isinstance(value, Mapping):
        return "Pass what it holds: kfold_loaders(*x.values(), y=y)."
    if _is_dataset(value):
        return "Pass a dataset alone: kfold_loaders(dataset, y=y)."
    if isinstance(value, (list, tuple)) and not _all_text(value):
        rows = "[torch.as_tensor(row) for row in x]"
        return f"Pad it: nn.utils.rnn.pad_sequence({rows}, batch_first=True)."
    return "Pass pairs: kfold_loaders(list(zip(x, y)), y=y)."


def _class_codes(y: Tensor, n_splits: int) -> ndarray:
    """Return each sample's class as 0, 1, ..., or say why it cannot be stratified."""
    advice = "Squeeze (N, 1), or pass stratify=False."
    require_shape("kfold_loaders", "y", y, y.ndim == 1, "classes (N,)", advice)
    values, codes, counts = torch.unique(y, return_inverse=True, return_counts=True)
    rare = counts.argmin()
    must = "n_splits must be at most the size of the smallest class"
    least = f"{counts[rare]} samples of class {values[rare].item()}"
    got = f"n_splits={n_splits} and {least}"
    advice = "Use fewer folds, merge classes, or for a regression pass stratify=False."
    require(n_splits <= counts[rare], ValueError, "kfold_loaders", must, got, advice)
    return codes.cpu().numpy()


def _group_codes(groups: object, count: int) -> ndarray:
    """Return each sample's group as 0, 1, ..., or say what is wrong with the groups."""
    import numpy as np

    groups = np.asarray(groups.cpu() if isinstance(groups, Tensor) else groups)
    alike, must = groups.shape == (count,), f"({count},), one for each sample"
    advice = "Repeat each group's name for all of its samples."
    require_shape("kfold_loaders", "groups", groups, alike, must, advice)
    known = [group is not None and group == group for group in groups.tolist()]
    advice = "Give such a sample a group of its own."
    require_each("kfold_loaders", "groups", groups, known, "known", advice)
    return np.unique(groups, return_inverse=True)[1]


def _require_usable(splits: Sequence[tuple], y: Tensor) -> None:
    """Raise an error if a fold is empty, or is to judge a class that it never saw."""
    caller, advice = (
        "kfold_loaders",
        "Use fewer folds or another seed, or cut large groups.",
    )
    for number, (train, validation) in enumerate(splits):
        must = f"groups must leave samples in training and validation of fold {number}"
        found = len(train), len(validation)
        require(min(found) > 0, ValueError, caller, must, found, advice)
        must = f"groups must leave every class in the training set of fold {number}"
        unseen = sorted(set(y[validation].tolist()) - set(y[train].tolist()))
        require(not unseen, ValueError, caller, must, f"none of {unseen}", advice)


# --- what cross_validate asks of its factories -------------------------------------------


class _EarlierModels:
    """Remembers what earlier folds have trained, so that no later one begins with it."""

    def __init__(self) -> None:
        self._parts: list[weakref.ref] = []  # weak: the models themselves may go

    def require_new(self, model: object) -> None:
        """Raise an error if a model, or a part that is trained, was in an earlier one."""
        require_module("cross_validate", model, "Does make_model end with return?")
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        parts = [("the same object twice", model)]
        for name, part in [*trained, *model.named_buffers()]:
            parts.append((f"{name} of an earlier fold", part))
        used = {id(part) for part in (ref() for ref in self._parts) if part is not None}
        reused = [told for told, part in parts if id(part) in used]
        must = "make_model must build a new model at each call"
        advice = "Move the call of the class into the function."
        got = "".join(reused[:1])
        require(not reused, ValueError, "cross_validate", must, got, advice)
        self._parts += [weakref.ref(part) for _, part in parts]


def _require_own_weights(optimizer: object, model: nn.Module) -> None:
    """Raise an error if an optimizer moves other weights than the model's."""
    name, advice = "what make_optimizer returns", "Does it end with return?"
    require_type("cross_validate", name, optimizer, (torch.optim.Optimizer,), advice)
    own = {id(parameter) for parameter in model.parameters()}
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    must = "make_optimizer must build a new optimizer for the model it is given"
    got = "one that holds other weights, such as an earlier fold's"
    advice = "Write lambda model: Adam(model.parameters())."
    fine = all(id(parameter) in own for parameter in moved)
    require(fine, ValueError, "cross_validate", must, got, advice)


def _require_own_optimizer(scheduler: object, optimizer: torch.optim.Optimizer) -> None:
    """Raise an error if there is a scheduler, and it steps another optimizer."""
    own = scheduler is None or scheduler.optimizer is optimizer
    must = "make_scheduler must build a new scheduler for the optimizer it is given"
    advice = "Write lambda optimizer: StepLR(optimizer, 5)."
    require(own, ValueError, "cross_validate", must, "one that steps another", advice)
