"""Checks of the chapter on cross-validation."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.verdicts import Verdict, checks_function, correct, hint, not_yet


def counts(answer: object) -> Verdict:
    """Check the class counts of one validation fold: 90 and 10 samples, five folds.

    Args:
        answer: two numbers, the frequent class first.
    """
    if answer is ... or answer is None:
        return not_yet("put a list of two numbers instead of the dots.")
    try:
        given = [float(count) for count in answer]
    except (TypeError, ValueError):
        return hint(f"write a list of two numbers, got {answer!r}.")
    if len(given) != 2:
        return hint(f"write two numbers, one for each class, got {len(given)}.")
    if given == [2, 18]:
        return hint("right numbers; put the frequent class first.")
    if given == [72, 8]:
        return hint("that is the training set. How much is left to be scored?")
    if given == [10, 10]:
        return hint("stratified means the same shares as in all the data, not equal.")
    if sum(given) != 20:
        return hint(f"five folds of 100 samples hold 20 each, got {sum(given):g}.")
    if given != [18, 2]:
        return hint("each class is cut into five equal parts.")
    return correct(
        "90/5 and 10/5. One error on the rare class moves its recall by half."
    )


def _visits(signal: bool, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return cities 0 to 99 and labels: the city decides 9 of 10, or a coin does."""
    generator = torch.Generator().manual_seed(seed)
    city = torch.randint(0, 100, (600,), generator=generator)
    y = torch.randint(0, 2, (600,), generator=generator)
    if signal:
        kind = torch.randint(0, 2, (100,), generator=generator)
        keeps = torch.rand(600, generator=generator) < 0.9
        y = torch.where(keeps, kind[city], 1 - kind[city])
    return city, y


def _by_training_rate(city: Tensor, y: Tensor, train: Tensor, val: Tensor) -> Tensor:
    """Return the right predictions."""
    positives = torch.bincount(city[train], y[train].double(), minlength=100)
    visits = torch.bincount(city[train], minlength=100)
    return (positives > visits / 2).long()[city[val]]


def _split() -> tuple[Tensor, Tensor]:
    at = torch.arange(600)
    return at[at % 5 != 0], at[at % 5 == 0]


@checks_function(lambda fn: fn(*_visits(signal=False), *_split()))
def predict(fn: Callable[..., Tensor]) -> Verdict:
    """Check predictions from each city's share of positives.

    Args:
        fn: takes cities ``(N,)``, labels ``(N,)`` and the indices of training and
            validation samples; returns 0 or 1 for each validation sample.
    """
    train, val = _split()
    city, y = _visits(signal=False)
    result, expected = fn(city, y, train, val), _by_training_rate(city, y, train, val)
    if not isinstance(result, Tensor) or result.shape != val.shape:
        got = getattr(result, "shape", None)
        got = type(result).__name__ if got is None else f"shape {tuple(got)}"
        return hint(
            f"return one 0 or 1 for each validation sample, ({len(val)},), got {got}."
        )
    hidden = y.clone()
    hidden[val] = 1 - y[val]  # the same training set, other validation labels
    if not torch.equal(result, fn(city, hidden, train, val)):
        score = (result == y[val]).double().mean()
        return hint(
            f"other labels in the validation set change your predictions: they leak. On "
            f"coin flips you score {score:.0%}."
        )
    city, y = _visits(signal=True)
    score = (fn(city, y, train, val) == y[val]).double().mean()
    if score < 0.7:
        return hint(
            f"nothing leaks, but where 9 of 10 visits to a city have its label, you score "
            f"{score:.0%}. Use the training labels of the same city."
        )
    honest = (expected == _visits(signal=False)[1][val]).double().mean()
    return correct(
        f"on coin flips {honest:.0%}, and {score:.0%} where the city does tell. "
        "What is computed from labels belongs inside the fold."
    )
