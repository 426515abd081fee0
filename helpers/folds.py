"""Cross-validation that cannot forget to start again: folds of tensors, a model for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import fold_checks as checks
from helpers import fresh
from helpers._arguments import require_seed


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
    checks.require_count("kfold_loaders", "n_splits", n_splits, 2, one_part)
    checks.require_count("kfold_loaders", "batch_size", batch_size, 1, "Try 32.")
    checks.require_tensors(tensors, y, n_splits)
    people = checks.group_codes(groups, len(y), n_splits)
    classes = checks.class_codes(y, n_splits) if stratify else None
    splits = _splits(len(y), classes, people, n_splits, seed)
    checks.require_usable(splits, y if stratify else None)
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
    fresh.require_factories(make_model, make_optimizer, make_scheduler)
    checks.require_count("cross_validate", "epochs", epochs, 1, "Try epochs=10.")
    require_seed("cross_validate", seed, 2**32 - 1)
    new = fresh.Fresh()
    scores = []
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for number, fold in enumerate(folds):
            fresh.require_fold(fold)
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
            scores.append(fresh.finite_score(score(outputs, y), number))
    return torch.tensor(fresh.some(scores), dtype=torch.float64)


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
