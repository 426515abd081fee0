"""Cross-validation in which nothing survives from one fold to the next."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from helpers._arguments import require_seed

if TYPE_CHECKING:
    from numpy import ndarray


class Fold(NamedTuple):
    """One fold of a cross-validation; each batch is ``(*tensors, y)``.

    Attributes:
        number: from 0 to ``n_splits - 1``.
        train: shuffles by a generator of its own.
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
    *tensors: Tensor,
    y: Tensor,
    n_splits: int = 5,
    batch_size: int = 32,
    groups: Sequence | Tensor | None = None,
    stratify: bool = True,
    seed: int = 0,
) -> Iterator[Fold]:
    """Split any number of tensors into folds, each with its two loaders.

    Args:
        tensors: one or more of ``(N, ...)``, any dtype; a fold copies its part of them.
        y: targets ``(N,)``; with ``stratify=False`` also ``(N, ...)``.
        n_splits: how many folds, from 2 to N.
        batch_size: samples in a batch, 1 or more.
        groups: for each sample whom it comes from, ``(N,)``: numbers or strings. No
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
    one_part = "One part is scored while the others train."
    _require_count("kfold_loaders", "n_splits", n_splits, 2, one_part)
    _require_count("kfold_loaders", "batch_size", batch_size, 1, "Try 32.")
    _require_tensors(tensors, y, n_splits)
    people = _group_codes(groups, len(y), n_splits)
    classes = _class_codes(y, n_splits) if stratify else None
    splits = _splits(len(y), classes, people, n_splits, seed)
    _require_usable(splits, y if stratify else None)
    return _folds((*tensors, y), splits, batch_size, seed)


def _splits(count: int, classes, groups, n_splits: int, seed: int) -> list[tuple]:
    """Return (train, validation) index arrays, by the splitter that fits."""
    import numpy as np
    from sklearn import model_selection as ms

    options = {"n_splits": n_splits, "shuffle": True, "random_state": int(seed)}
    rows = np.zeros((count, 1))
    if groups is not None:
        # With one class for all it balances the folds' sizes: a shuffled GroupKFold.
        labels = np.zeros(count, dtype=int) if classes is None else classes
        splitter = ms.StratifiedGroupKFold(**options)
        return list(splitter.split(rows, labels, groups))
    if classes is not None:
        return list(ms.StratifiedKFold(**options).split(rows, classes))
    return list(ms.KFold(**options).split(rows))


def _folds(tensors: tuple, splits: list, batch_size: int, seed: int) -> Iterator[Fold]:
    """Make the loaders of one fold after another, so that one copy is alive at a time."""
    for number, split in enumerate(splits):
        indices = [torch.from_numpy(part) for part in split]
        loaders = [
            DataLoader(
                TensorDataset(*(t[part.to(t.device)] for t in tensors)),
                batch_size=batch_size,
                shuffle=shuffle,
                # Without one, a loader draws from the global generator, even unshuffled.
                generator=torch.Generator().manual_seed(int(seed) + number),
            )
            for part, shuffle in zip(indices, (True, False), strict=True)
        ]
        yield Fold(number, *loaders, *indices)


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
    if logits.ndim != 2 or y.shape != logits.shape[:1]:
        raise ValueError(
            f"accuracy: logits must be (N, C) and y (N,), got {tuple(logits.shape)} and "
            f"{tuple(y.shape)}. Pass cross_validate a score that fits your model."
        )
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
        loss_fn: ``loss_fn(model(*tensors), y)``, a scalar.
        score: ``score(outputs, y)`` of the whole validation set, a number.
        epochs: passes over the training set, 1 or more.
        seed: of weights and dropout; fold ``i`` uses ``seed + i``.

    Returns:
        The scores, float64 ``(n_splits,)``.

    Raises:
        TypeError: if a factory is not one, or returns something else than it should.
        ValueError: if a factory returns what an earlier fold has used, there are no
            folds, or a score is nan or infinite.

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
    _require_factories(make_model, make_optimizer, make_scheduler)
    _require_count("cross_validate", "epochs", epochs, 1, "Try epochs=10.")
    require_seed("cross_validate", seed, 2**32 - 1)
    new = _Fresh()
    scores = []
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for number, fold in enumerate(folds):
            _require_fold(fold)
            torch.manual_seed(int(seed) + number)
            model = new.model(make_model())
            optimizer = new.optimizer(make_optimizer(model), model)
            scheduler = make_scheduler and new.scheduler(
                make_scheduler(optimizer), optimizer
            )
            for _ in range(epochs):
                _train(model, optimizer, fold.train, loss_fn)
                if scheduler:
                    scheduler.step()
            outputs, y = _predict(model, fold.validation)
            scores.append(_finite_score(score(outputs, y), number))
    return torch.tensor(_some(scores), dtype=torch.float64)


def _to_device_of(model: nn.Module, batch: Sequence[Tensor]) -> list[Tensor]:
    """Move a batch to where the model is; one without weights takes it as it is."""
    weight = next(model.parameters(), None)
    return [t if weight is None else t.to(weight.device) for t in batch]


def _train(model: nn.Module, optimizer, loader: DataLoader, loss_fn: Callable) -> None:
    """Pass once over a training set."""
    model.train()
    for batch in loader:
        *tensors, y = _to_device_of(model, batch)
        loss = loss_fn(model(*tensors), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _predict(model: nn.Module, loader: DataLoader) -> tuple[Tensor, Tensor]:
    """Return outputs and targets of a whole loader, in its order."""
    model.eval()
    outputs, targets = [], []
    for batch in loader:
        *tensors, y = _to_device_of(model, batch)
        outputs.append(model(*tensors))
        targets.append(y)
    return torch.cat(outputs), torch.cat(targets)


# --- what kfold_loaders refuses ----------------------------------------------------------


def _require_count(caller: str, name: str, value: object, least: int, why: str) -> None:
    """Raise an error that names the caller, unless a count is large enough."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{caller}: {name} must be an integer, got {value!r}. {why}")
    if value < least:
        raise ValueError(
            f"{caller}: {name} must be {least} or more, got {value}. {why}"
        )


def _require_tensors(tensors: tuple, y: object, n_splits: int) -> None:
    """Raise an error unless all are tensors of one length, and y holds no nan."""
    if not tensors:
        raise ValueError(
            "kfold_loaders: tensors must be one or more, got none. "
            "Pass the inputs first: kfold_loaders(x, y=y)."
        )
    named = [(f"tensors[{i}]", t) for i, t in enumerate(tensors)] + [("y", y)]
    for name, tensor in named:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"kfold_loaders: {name} must be a torch.Tensor, got "
                f"{type(tensor).__name__}. Convert it: torch.as_tensor({name})."
            )
        if tensor.ndim == 0 or len(tensor) == 0:
            raise ValueError(
                f"kfold_loaders: {name} must hold samples (N, ...), got shape "
                f"{tuple(tensor.shape)}."
            )
    for name, tensor in named[1:]:
        if len(tensor) != len(tensors[0]):
            raise ValueError(
                f"kfold_loaders: {name} must be as long as tensors[0], got "
                f"{len(tensor)} and {len(tensors[0])} samples. One row a sample."
            )
    if len(y) < n_splits:
        raise ValueError(
            f"kfold_loaders: n_splits must be at most the number of samples, got "
            f"n_splits={n_splits} and {len(y)} samples. Use fewer folds."
        )
    if y.isnan().any():
        where = tuple(y.isnan().nonzero()[0].tolist())
        raise ValueError(
            f"kfold_loaders: y must not hold nan, got nan at index {where}. "
            "Drop the samples without a target first."
        )


def _class_codes(y: Tensor, n_splits: int) -> ndarray:
    """Return each sample's class as 0, 1, ..., or say why it cannot be stratified."""
    if y.ndim != 1:
        raise ValueError(
            f"kfold_loaders: y must be classes (N,) to stratify, got shape "
            f"{tuple(y.shape)}. Squeeze (N, 1), or pass stratify=False."
        )
    if y.is_floating_point() and (y != y.round()).any():
        odd = y[y != y.round()][0].item()
        raise ValueError(
            f"kfold_loaders: y must be whole numbers to stratify, got {odd:g}. "
            "For a regression pass stratify=False."
        )
    values, codes, counts = torch.unique(y, return_inverse=True, return_counts=True)
    if len(values) == 1:
        raise ValueError(
            f"kfold_loaders: y must hold two classes or more, got {values[0].item()} "
            "everywhere. There is nothing to tell apart; or pass stratify=False."
        )
    if counts.min() < n_splits:
        rare = counts.argmin()
        raise ValueError(
            f"kfold_loaders: n_splits must be at most the size of the smallest class, "
            f"got n_splits={n_splits} and {counts[rare].item()} samples of class "
            f"{values[rare].item()}. Use fewer folds, or merge the class."
        )
    return codes.cpu().numpy()


def _group_codes(groups: object, count: int, n_splits: int) -> ndarray | None:
    """Return each sample's group as 0, 1, ..., or say what is wrong with the groups."""
    import numpy as np

    if groups is None:
        return None
    if isinstance(groups, Tensor):
        groups = groups.cpu()
    if isinstance(groups, (str, dict, set)) or not hasattr(groups, "__len__"):
        raise TypeError(
            f"kfold_loaders: groups must be one group a sample, got "
            f"{type(groups).__name__}. Pass a list, an array or a tensor (N,)."
        )
    values = np.asarray(groups)
    if values.shape != (count,):
        raise ValueError(
            f"kfold_loaders: groups must be ({count},), one a sample, got shape "
            f"{values.shape}. Repeat each group's name for all of its samples."
        )
    missing = [i for i, g in enumerate(values.tolist()) if g is None or g != g]
    if missing:
        raise ValueError(
            f"kfold_loaders: groups must not hold nan or None, got {groups[missing[0]]} "
            f"at index {missing[0]}. Give such a sample a group of its own."
        )
    names, codes = np.unique(values, return_inverse=True)
    if len(names) < n_splits:
        raise ValueError(
            f"kfold_loaders: groups must be n_splits={n_splits} or more, got "
            f"{len(names)}. A group cannot be cut: use n_splits={len(names)} or fewer."
        )
    return codes


def _require_usable(splits: Sequence[tuple], y: Tensor | None) -> None:
    """Raise an error if a fold is empty, or is to judge a class that it never saw."""
    for number, (train, validation) in enumerate(splits):
        if not len(train) or not len(validation):
            raise ValueError(
                f"kfold_loaders: groups leave fold {number} without samples. "
                "One group is too large: use fewer folds, or cut it into smaller ones."
            )
        if y is None:
            continue
        unseen = set(y[validation].tolist()) - set(y[train].tolist())
        if unseen:
            raise ValueError(
                f"kfold_loaders: groups leave the training set of fold {number} without "
                f"class {min(unseen)}. Too few groups have it: use fewer folds, or "
                "get samples of it from more groups."
            )


# --- what cross_validate asks of its factories -------------------------------------------


def _require_factories(
    make_model: object, make_optimizer: object, make_scheduler: object
) -> None:
    """Raise an error unless each is a function that builds, not what it built."""
    factories = [
        ("make_model", make_model, "lambda: Net()"),
        ("make_optimizer", make_optimizer, "lambda model: Adam(model.parameters())"),
        ("make_scheduler", make_scheduler, "lambda optimizer: StepLR(optimizer, 5)"),
    ]
    for name, factory, example in factories[: 2 + (make_scheduler is not None)]:
        if isinstance(factory, nn.Module) or not callable(factory):
            raise TypeError(
                f"cross_validate: {name} must be a function that builds a new one for "
                f"each fold, got {type(factory).__name__}. Write {name}={example}."
            )


def _require_fold(fold: object) -> None:
    """Raise an error unless a fold has the two loaders of :class:`Fold`."""
    if not (hasattr(fold, "train") and hasattr(fold, "validation")):
        raise TypeError(
            "cross_validate: folds must come from kfold_loaders, got "
            f"{type(fold).__name__}. Write folds=kfold_loaders(x, y=y)."
        )


class _Fresh:
    """Lets a model, optimizer or scheduler pass once, if it knows no earlier fold."""

    def __init__(self) -> None:
        self._used: list[weakref.ref] = []  # weak: the models of earlier folds may go

    def model(self, model: object) -> nn.Module:
        """Return the model, or say what it shares with an earlier one."""
        if not isinstance(model, nn.Module):
            raise TypeError(
                "cross_validate: make_model must return an nn.Module, got "
                f"{type(model).__name__}. Does its function end with return?"
            )
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        parts = [*trained, *model.named_buffers()]
        used = {id(part) for part in (ref() for ref in self._used) if part is not None}
        if id(model) in used:
            raise ValueError(
                "cross_validate: make_model must build a new model at each call, got "
                "the same object twice. Move the call of the class into the function."
            )
        for name, part in parts:
            if id(part) in used:
                raise ValueError(
                    "cross_validate: make_model must build a new model at each call, "
                    f"got {name} of an earlier fold. Build or copy that layer inside it."
                )
        self._used += [weakref.ref(part) for part in (model, *(p for _, p in parts))]
        return model

    def optimizer(self, optimizer: object, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer, or say that it moves other weights than the model's."""
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                "cross_validate: make_optimizer must return an optimizer, got "
                f"{type(optimizer).__name__}. Does its function end with return?"
            )
        own = {id(parameter) for parameter in model.parameters()}
        moved = [p for group in optimizer.param_groups for p in group["params"]]
        if any(id(parameter) not in own for parameter in moved):
            raise ValueError(
                "cross_validate: make_optimizer must build a new optimizer for the model "
                "it is given, got one that holds other weights, such as an earlier "
                "fold's. Write lambda model: Adam(model.parameters())."
            )
        return optimizer

    def scheduler(self, scheduler: object, optimizer: torch.optim.Optimizer):
        """Return the scheduler, or say that it belongs elsewhere or needs a score."""
        from torch.optim import lr_scheduler

        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            raise TypeError(
                "cross_validate: make_scheduler must not return ReduceLROnPlateau: it "
                "would read the fold's score during training. Use one without a metric."
            )
        if not isinstance(scheduler, lr_scheduler.LRScheduler):
            raise TypeError(
                "cross_validate: make_scheduler must return a scheduler, got "
                f"{type(scheduler).__name__}. Does its function end with return?"
            )
        if scheduler.optimizer is not optimizer:
            raise ValueError(
                "cross_validate: make_scheduler must build a new scheduler for the "
                "optimizer it is given, got one that steps another. "
                "Write lambda optimizer: StepLR(optimizer, 5)."
            )
        return scheduler


def _finite_score(value: object, number: int) -> float:
    """Return a fold's score as a float, or say that it is none."""
    try:
        score = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"cross_validate: score must return one number, got {type(value).__name__}."
        ) from None
    if not math.isfinite(score):
        raise ValueError(
            f"cross_validate: score must be finite, got {score} in fold {number}. "
            "Look at that fold's outputs: nan inputs, or a loss that diverged?"
        )
    return score


def _some(scores: list[float]) -> list[float]:
    """Return the scores, or say that there was no fold."""
    if not scores:
        raise ValueError(
            "cross_validate: folds must hold at least one fold, got none. "
            "An iterator can be used once: call kfold_loaders again."
        )
    return scores
