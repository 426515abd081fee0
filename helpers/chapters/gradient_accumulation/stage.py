"""Measuring gradients, and training runs with five seeds that accumulate them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.notebook.data import Split, digits

SEEDS = range(5)
MICRO = 16  # samples in a micro-batch


class Runs(NamedTuple):
    """What :func:`train_five_seeds` returns, one row per seed.

    Attributes:
        weights: at the end ``(5, P)``.
        losses: on the training set, after each epoch ``(5, epochs)``.
        accuracy: on the test set in per cent ``(5,)``.
        before: the accuracy before the last update ``(5,)``.
        norms: of the gradient at each update, before clipping ``(5, updates)``; without
            a ``max_norm`` nothing is measured, ``(5, 0)``.
    """

    weights: Tensor
    losses: Tensor
    accuracy: Tensor
    before: Tensor
    norms: Tensor

    @property
    def spread(self) -> str:
        """The lowest and the highest accuracy."""
        return _spread(self.accuracy)

    @property
    def spread_before(self) -> str:
        """The lowest and the highest accuracy before the last update."""
        return _spread(self.before)

    def same(self, other: Runs, within: float) -> bool:
        """Return whether all weights agree with those of other runs."""
        return bool((self.weights - other.weights).abs().max() < within)


def _spread(accuracy: Tensor) -> str:
    return f"{accuracy.min():.0f}% to {accuracy.max():.0f}%"


def train_five_seeds(
    backward: Callable[[nn.Module, Tensor, Tensor, int], None],
    k: int,
    make_optimizer: Callable[[Iterable], torch.optim.Optimizer],
    last: Literal["mean", "share", "drop", "leak"] = "mean",
    max_norm: float = math.inf,
    epochs: int = 6,
) -> Runs:
    """Train a small network on the digits, once for each of five seeds.

    Each update takes ``k`` micro-batches of 16; 1,347 samples leave some over.

    Args:
        backward: ``backward(model, x, y, total)`` fills ``.grad`` from the samples of
            one update, ``(n, 64)`` and ``(n,)``.
        k: micro-batches in an update.
        make_optimizer: ``make_optimizer(parameters)``.
        last: what happens to the short group at the end of an epoch. ``"drop"`` leaves
            it out. ``"mean"`` and ``"share"`` make it an update, whose ``total`` is the
            number of its own samples or that of a full group. ``"leak"`` computes its
            gradient as ``"mean"`` does, and leaves it in ``.grad`` for the first update
            of the next epoch.
        max_norm: the norm to which the gradient is clipped before each step.
        epochs: passes over the training set.

    Returns:
        :class:`Runs`, in float64.
    """
    rows = [
        _run(seed, backward, k, make_optimizer, last, max_norm, epochs)
        for seed in SEEDS
    ]
    return Runs(*(torch.stack(part) for part in zip(*rows, strict=True)))


def _run(seed, backward, k, make_optimizer, last, max_norm, epochs) -> tuple:
    """Train with one seed; PyTorch's global random state is left alone."""
    data, full, losses, norms, before = _digits(seed), MICRO * k, [], [], None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
        model = nn.Sequential(*layers).double()
        optimizer = make_optimizer(model.parameters())
        for epoch in range(1, epochs + 1):
            for rows in torch.randperm(len(data.y_train)).split(full):
                if len(rows) < full and last == "drop":
                    continue
                total = full if last == "share" else len(rows)
                backward(model, data.x_train[rows], data.y_train[rows], total)
                if len(rows) < full and last == "leak":
                    continue
                if max_norm < math.inf:
                    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
                    norms.append(norm.item())
                before = _accuracy(model, data) if epoch == epochs else None
                optimizer.step()
                optimizer.zero_grad()
            with torch.no_grad():
                losses.append(F.cross_entropy(model(data.x_train), data.y_train))
    weights, accuracy = as_vector(model.parameters()), _accuracy(model, data)
    return weights, torch.stack(losses), accuracy, before, torch.tensor(norms)


def _accuracy(model: nn.Module, data: Split) -> Tensor:
    """Return the share of test digits that are recognised, in per cent."""
    with torch.no_grad():
        hits = model(data.x_test).argmax(dim=1) == data.y_test
    return 100 * hits.double().mean()


@functools.cache
def _digits(seed: int) -> Split:
    return digits(seed, torch.float64)


def as_vector(tensors: Iterable[Tensor]) -> Tensor:
    """Return all numbers of some tensors as one vector.

    Args:
        tensors: of any shapes.

    Returns:
        A new tensor ``(N,)``.

    Example:
        >>> as_vector([torch.zeros(2, 2), torch.ones(1)])
        tensor([0., 0., 0., 0., 1.])
    """
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def gradient(model: nn.Module) -> Tensor:
    """Return what has been accumulated in ``.grad`` of all parameters, as one vector.

    Args:
        model: each of its parameters must have a ``.grad``.

    Returns:
        A copy ``(N,)``.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> model(torch.tensor([[3.0, 4.0]])).sum().backward()
        >>> gradient(model)
        tensor([3., 4.])
    """
    return as_vector(parameter.grad for parameter in model.parameters())


def loss_gradient(loss: Tensor, model: nn.Module) -> Tensor:
    """Return the gradient of one loss as a vector, and leave ``.grad`` as it is.

    Args:
        loss: a scalar that depends on every parameter of the model.
        model: the gradient is taken with respect to its parameters.

    Returns:
        ``(N,)``, in the order of :func:`gradient`.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> loss_gradient(model(torch.tensor([[3.0, 4.0]])).sum(), model)
        tensor([3., 4.])
        >>> model.weight.grad is None
        True
    """
    return as_vector(torch.autograd.grad(loss, list(model.parameters())))


def how_far_off(found: Tensor, wanted: Tensor) -> str:
    """Return the length of ``found − wanted`` in per cent of the length of ``wanted``.

    Args:
        found: ``(N,)``.
        wanted: ``(N,)``.

    Returns:
        A text such as ``"79%"``; ``"< 1e-12"`` if float64's rounding can explain it, and
        ``"< 0.1%"`` if that of shorter types can.

    Example:
        >>> how_far_off(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0]))
        '50%'
        >>> how_far_off(torch.tensor([3.0, 0.0]), torch.tensor([3.001, 0.0]))
        '< 0.1%'
    """
    relative = ((found - wanted).norm() / wanted.norm()).item()
    for limit, text in ((1e-12, "< 1e-12"), (1e-3, "< 0.1%"), (1e-2, "< 1%")):
        if relative < limit:
            return text
    return f"{relative:.0%}"


def find_factors(total: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Find the factors with which parts were added up to a total, by least squares.

    Args:
        total: ``(N,)``.
        parts: K tensors ``(N,)``, none of them a sum of the others; K is N or less.

    Returns:
        The K factors, ``(K,)``.

    Example:
        >>> parts = [torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])]
        >>> find_factors(3 * parts[0] + 5 * parts[1], parts)
        tensor([3.0000, 5.0000])
    """
    columns = torch.stack(list(parts), dim=1)
    return torch.linalg.lstsq(columns, total.unsqueeze(1)).solution.squeeze(1)
