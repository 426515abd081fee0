"""Checks of the chapter on k-fold cross-validation."""

import contextlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
    not_yet,
)


def _as_tensor(result: object) -> object:
    """Return a list or an array of numbers as a tensor, anything else as it is."""
    try:
        return torch.tensor(result) if isinstance(result, list | np.ndarray) else result
    except (TypeError, ValueError):
        return result


def _not_a_vector(result: object, count: int, one: str) -> Verdict | None:
    """Return a hint if a result is not a tensor with one number for each sample."""
    if not isinstance(result, Tensor):
        got = f"{type(result).__module__}.{type(result).__name__}"
        got = got.removeprefix("builtins.")
        return hint(f"return a torch tensor with one {one}, got {got}.")
    if result.shape != (count,):
        got = tuple(result.shape)
        return hint(f"return one {one}, shape ({count},), got shape {got}.")
    return None


# --- 1. repair a loop ----------------------------------------------------------------


@dataclass(eq=False)
class _Call:
    """One forward pass of a watched model."""

    model: int  # another number for each start from first weights
    at: list[int]  # the samples, in the order of the batch
    logits: Tensor
    training: bool  # the mode
    moved: bool  # whether the weights differ from the first ones
    sent_back: list  # for each gradient that goes back: whether there was one before

    @property
    def rows(self) -> set[int]:
        return set(self.at)

    def agrees(self, rows: set[int], result: Tensor) -> bool:
        """Return whether a result holds what was predicted here for these samples."""
        said = zip(self.at, self.logits.argmax(dim=1).tolist(), strict=True)
        return all(result[i] == label for i, label in said if i in rows)


class _Linear(nn.Linear):
    """Remembers the weights that it starts from, and how often it has started."""

    starts = 0

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.starts, self.first = self.starts + 1, self.weight.detach().clone()


class _Watch:
    """Builds models that note which samples they are given, and in which state."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.starts, self.calls = x, itertools.count(), []

    def new_model(self) -> nn.Module:
        # In a block of its own, which reset_parameters() on all children misses.
        net = nn.Sequential(nn.Sequential(nn.Dropout(0.1), _Linear(4, 2)))
        numbers = {(net, 1): next(self.starts)}  # copies have the hook too, and join

        def note(module: nn.Module, args: tuple, logits: Tensor) -> None:
            linear, back = module[0][1], []
            moved = not torch.equal(linear.weight, linear.first)
            start = module, linear.starts
            known = start in numbers
            if not moved and (not known or self._has_moved(numbers[start])):
                numbers[start] = next(self.starts)  # it starts from first weights
            number = numbers.setdefault(start, max(numbers.values()))
            same = (args[0][:, None] == self.x).all(dim=-1)
            at = same.nonzero()[:, 1].tolist()
            seen = logits.detach().clone()
            self.calls.append(_Call(number, at, seen, module.training, moved, back))
            if logits.requires_grad:
                weight = linear.weight
                logits.register_hook(
                    lambda slopes: back.append(
                        weight.grad is not None and bool(weight.grad.any())
                    )
                )

        net.register_forward_hook(note)
        return net

    def _has_moved(self, number: int) -> bool:
        return any(call.moved for call in self.calls if call.model == number)


def _run(
    fn: Callable, flip: bool = False
) -> tuple[object, _Watch, list[tuple[Tensor, Tensor]]]:
    """Call a reader's loop on 40 samples in five folds, and watch its models.

    With `flip`, the samples of the last fold have the other class.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 4, generator=generator)
    y, at = torch.randint(0, 2, (40,), generator=generator), torch.arange(40)
    folds = [(at[at % 5 != f], at[at % 5 == f]) for f in range(5)]
    if flip:
        y[folds[-1][1]] = 1 - y[folds[-1][1]]
    watch = _Watch(x)
    return _as_tensor(fn(x, y, watch.new_model, folds)), watch, folds


@checks_function(lambda fn: _run(fn)[0])
def out_of_fold(fn: Callable[..., Tensor]) -> Verdict:
    """Check a loop over folds by what its models were given, and in which mode.

    Args:
        fn: takes samples ``(N, 4)``, classes ``(N,)``, a function that builds a model, and
            a list of pairs of index tensors; returns a predicted class for each sample.
    """
    result, watch, folds = _run(fn)
    fault = _not_a_vector(result, 40, "class for each sample")
    if fault:
        return fault
    scored = [_scoring(set(val.tolist()), watch.calls, result) for _, val in folds]
    for fault_of in (_leak, _other_fault):
        for number, (calls, (_, val)) in enumerate(zip(scored, folds, strict=True), 1):
            fault = fault_of(number, set(val.tolist()), calls, result)
            if fault:
                return fault
    if _remembers(fn):
        return hint(
            "other labels in fold 5 change what is predicted for it: an earlier fold has "
            "left something. Is the optimizer new in each fold, or are its averages old?"
        )
    return correct(
        "each sample is predicted once, in eval mode, by a model that never trained on it."
    )


def _scoring(
    rows: set[int], calls: list[_Call], result: Tensor
) -> tuple[_Call | None, list[_Call]]:
    """Return the last call that predicts a fold, and those that trained its model before.

    A fold is given to its model alone, perhaps in batches, or among all samples. Several
    models may be given all samples: then it is one that the result agrees with, if there
    is one, and among those one without a leak.
    """

    def trained(last: _Call) -> list[_Call]:
        before = calls[: calls.index(last)]
        return [c for c in before if c.sent_back and c.model == last.model]

    idle = [c for c in calls if not c.sent_back]
    alone = [c for c in idle if c.rows and c.rows <= rows]
    if rows == set().union(*(call.rows for call in alone)):
        return alone[-1], trained(alone[-1])
    among = [c for c in idle if rows <= c.rows]
    if not among:
        return None, []
    last = max(
        among,
        key=lambda c: (c.agrees(rows, result), not _has_seen(rows, trained(c))),
    )
    return last, trained(last)


def _has_seen(rows: set[int], trained: list[_Call]) -> bool:
    return any(call.rows & rows for call in trained)


def _leak(number: int, rows: set[int], calls: tuple, result: Tensor) -> Verdict | None:
    """Return what to say if a fold is predicted by a model that has seen it."""
    last, trained = calls
    if last is None:
        return hint(
            f"not every sample of fold {number} is given to a model to predict."
        )
    if _has_seen(rows, trained):
        return not_yet(
            f"fold {number} is predicted by a model that was trained on its samples."
        )
    return None


def _other_fault(
    number: int, rows: set[int], calls: tuple, result: Tensor
) -> Verdict | None:
    """Return what else is wrong with the predictions of one fold."""
    last, trained = calls
    if not last.moved:
        return hint(
            f"the model of fold {number} is new, but no step has changed it. Whose "
            "weights does the optimizer hold?"
        )
    seen = set().union(*(call.rows for call in trained))
    if len(seen) + len(rows) < 40:
        return hint(
            f"the model that predicts fold {number} was trained on {len(seen)} samples, not "
            f"on the {40 - len(rows)} of the other folds. folds holds pairs (train, val)."
        )
    if last.training:
        return hint(f"fold {number} is predicted in training mode, with dropout.")
    if not all(call.training for call in trained):
        return hint(f"the model of fold {number} is trained in eval mode.")
    if len(trained) > 1 and all(any(call.sent_back) for call in trained[1:]):
        return hint(
            f"fold {number}: each step still has the gradients of the steps before. "
            "Where is optimizer.zero_grad()?"
        )
    if not last.agrees(rows, result):
        return hint(f"fold {number}: the predictions are not at its own indices.")
    return None


def _remembers(fn: Callable) -> bool:
    """Return whether the labels of the last fold change what is predicted for it.

    They do if the weights are the first ones again and Adam is the old one: its averages
    are of gradients that earlier folds had from these labels.
    """

    def logits(flip: bool) -> Tensor:
        torch.manual_seed(0)
        result, watch, folds = _run(fn, flip)
        last, _ = _scoring(set(folds[-1][1].tolist()), watch.calls, result)
        return last.logits

    silent = contextlib.redirect_stdout(io.StringIO())  # the loop has printed already
    with torch.random.fork_rng(devices=[]), silent:
        once, again, other = logits(False), logits(False), logits(True)
    return torch.equal(once, again) and not torch.equal(once, other)


# --- 2. find the leak ----------------------------------------------------------------


def _visits(signal: bool) -> tuple[Tensor, Tensor]:
    """Return cities and labels of 600 visits: the city decides 9 of 10, or a coin does.

    Cities 97 to 99 are visited by validation samples alone.
    """
    generator = torch.Generator().manual_seed(0)
    city = torch.randint(0, 97, (600,), generator=generator)
    city[:15:5] = torch.tensor([97, 98, 99])
    y = torch.randint(0, 2, (600,), generator=generator)
    if signal:
        kind = torch.randint(0, 2, (100,), generator=generator)
        keeps = torch.rand(600, generator=generator) < 0.9
        y = torch.where(keeps, kind[city], 1 - kind[city])
    return city, y


def _split() -> tuple[Tensor, Tensor]:
    at = torch.arange(600)
    return at[at % 5 != 0], at[at % 5 == 0]


@checks_function(lambda fn: fn(*_visits(signal=False), *_split()))
def predict(fn: Callable[..., Tensor]) -> Verdict:
    """Check predictions from each city's share of positives in the training set.

    Args:
        fn: takes cities ``(N,)``, labels ``(N,)`` and the indices of training and
            validation samples; returns 0 or 1 for each validation sample.
    """
    train, val = _split()
    city, y = _visits(signal=False)
    result = _as_tensor(fn(city, y, train, val))
    fault = _not_a_vector(result, len(val), "0 or 1 for each validation sample")
    if fault:
        return fault
    hidden = y.clone()
    hidden[val] = 1 - y[val]  # the same training set, other validation labels
    if not torch.equal(result, _as_tensor(fn(city, hidden, train, val))):
        return hint(
            "other labels in the validation set change your predictions: they leak."
        )
    scores = []
    for signal in (False, True):
        city, y = _visits(signal)
        result = _as_tensor(fn(city, y, train, val))
        fault = _wrong_city(result, city[train], y[train], city[val])
        if fault:
            return fault
        scores.append((result == y[val]).double().mean())
    return correct(
        f"on coin flips {scores[0]:.0%}, and {scores[1]:.0%} where the city does tell. "
        "What uses labels is computed on the training part alone."
    )


def _wrong_city(
    result: Tensor, city: Tensor, y: Tensor, asked: Tensor
) -> Verdict | None:
    """Return a hint that names the first city with a wrong prediction, or None."""
    visits = torch.bincount(city, minlength=100)
    positives = torch.bincount(city[y == 1], minlength=100)
    expected = (2 * positives > visits)[asked]
    wrong = (result != expected.long()).nonzero()
    if not len(wrong):
        return None
    at = int(wrong[0])
    among, seen = positives[asked[at]].item(), visits[asked[at]].item()
    facts = f"{among} of the {seen} training samples of city {asked[at]} are positive"
    why = "" if 2 * among != seen else " Half is not more than half."
    if seen == 0:
        facts = f"city {asked[at]} has no training samples, so it counts as negative"
        why = ""
    return hint(f"nothing leaks, but {facts}, and you predict {result[at]:g}.{why}")


# --- 3. an interval ------------------------------------------------------------------

half_width = NumberCheck(
    prompt="Five folds: 91, 94, 89, 92 and 94%. How many points are after the ± of the mean, "
    "at 95%?",
    answer=2.776 * 4.5**0.5 / 5**0.5,
    tolerance=0.04,  # 2.6, as it is reported, too
    praise="2.776 × 2.12 / √5 = 2.63, so 92 ± 2.6; and that is still a little too narrow.",
    hints=[
        Hint(1.84, 1.88, "1.96 needs the true std. What replaces it for five numbers?"),
        Hint(
            2.34, 2.37, "divide the squares by n − 1, not by n: the mean was estimated."
        ),
        Hint(
            2.11, 2.13, "that is the std of one fold. How far is the mean of five off?"
        ),
        Hint(1.89, 1.91, "for many numbers it would be 2. What replaces it for five?"),
        Hint(0.93, 0.96, "that is std / √5. By which factor does it become 95%?"),
        Hint(5.86, 5.92, "the mean of five varies less than one fold: divide by √5."),
        Hint(1.16, 1.19, "divide the std by √5, not by 5."),
        Hint(2.42, 2.46, "five numbers leave four degrees of freedom, not five."),
        Hint(2.01, 2.04, "95% between both ends leaves 2.5% at each."),
        Hint(5.24, 5.29, "that is the whole interval. Give the half, after the ±."),
        Hint(4.14, 4.17, "1.96 needs the true std, and the mean of five varies less."),
        Hint(0.0255, 0.0267, "that is a fraction. Give it in points of the accuracy."),
    ],
)
