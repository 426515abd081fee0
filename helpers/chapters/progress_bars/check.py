"""Checks of the chapter on progress bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from helpers.chapters.progress_bars.stage import Terminal, fake_clock
from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    AttemptFailed,
    Verdict,
    checks_function,
    correct,
    hint,
)

LABELLED, UNLABELLED = list("abcdefgh"), list("ABCDEF")


class _Loader:
    """Batches with a length that say how many of them were taken."""

    def __init__(self, batches: list[str]) -> None:
        self.batches, self.taken = batches, 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            self.taken += 1
            yield batch


def _watch(fn: Callable, first: list, second: list) -> tuple[list, str, Terminal, int]:
    """Run a reader's bar: the pairs, what stood there at the third, the screen, waste."""
    screen, loaders = Terminal(), (_Loader(first), _Loader(second))
    pairs, half, taken = [], "", 0
    with fake_clock() as clock:
        for pair in fn(*loaders, screen):
            pairs.append(pair)
            taken = taken or loaders[0].taken
            if len(pairs) == 4:
                half = screen.text()
            clock.sleep(1.0)
    return pairs, half, screen, taken


def _first_call(fn: Callable) -> object:
    """Call a reader's function once, without starting tqdm's background thread."""
    with fake_clock():
        return fn(_Loader(LABELLED), _Loader(UNLABELLED), Terminal())


def _failure_of_the_loop(error: Exception) -> str:
    """Say what the loop raised, and what to look at."""
    message = f"the loop raised {type(error).__name__}: {error}."
    if isinstance(error, ValueError) and "zip()" in str(error):
        return f"{message} strict=True forbids what is meant here: an unequal length."
    if isinstance(error, TypeError):
        return f"{message} Return what it can walk."
    return f"{message} The loaders are fine; look at what stands around them."


@checks_function(_first_call)
def paired(fn: Callable[..., Iterable]) -> Verdict:
    """Check a bar over two loaders of unequal length, walked in step.

    Args:
        fn: takes two loaders and a file for the bar; returns what a loop can walk,
            pairs of batches.
    """
    for first, second in ((LABELLED, UNLABELLED), (UNLABELLED, LABELLED)):
        try:
            pairs, half, screen, taken = _watch(fn, first, second)
        except AttemptFailed:
            raise
        except Exception as error:  # the reader's code runs while the loop walks
            return hint(_failure_of_the_loop(error))
        if pairs != list(zip(first, second, strict=False)):
            return hint(
                f"the loop must get {min(len(first), len(second))} pairs, from "
                f"{(first[0], second[0])!r} on; got {len(pairs)}, {pairs[:1]}."
            )
        if not screen.getvalue():
            return hint("nothing was drawn. Pass file=file on to tqdm.")
        if taken > 2:
            return hint(
                "all batches were loaded before the first was used. Leave list() out "
                "and tell tqdm the total."
            )
        if "%|" not in half:
            return hint(f"after 3 pairs the bar says {half!r}: it has no total.")
        if "| 3/6 " not in half:
            return hint(f"after 3 of 6 pairs the bar says {half!r}. When does zip end?")
    return correct("zip ends with the shorter loader: total=min(len(a), len(b)).")


postfix_cost = NumberCheck(
    prompt="How many seconds does refresh=False save in the epoch?",
    answer=1.8,
    tolerance=0.06,
    praise="100,000 × 18 µs. The bar's own 1,000 refreshes cost 0.02 s.",
    hints=[
        Hint(1.95, 2.05, "that is the whole cost; refresh=False costs something too."),
        Hint(0.15, 0.25, "that is what is left with refresh=False. What is saved?"),
        Hint(0.017, 0.021, "that counts the bar's own refreshes, ten a second."),
        Hint(1700, 2100, "1,000 ms are 1 s: is your unit the second?"),
        Hint(1.7e6, 2.1e6, "1,000,000 µs are 1 s: is your unit the second?"),
    ],
)


def _batches(seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Return predictions and targets in batches of 4, 4 and 1, whose roots are 1, 2, 6."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for errors in ([0.0, -2.0, 0.0, 0.0], [-4.0, 0.0, 0.0, 0.0], [6.0]):
        target = torch.randn(len(errors), generator=generator, dtype=torch.float64)
        off = torch.tensor(errors, dtype=torch.float64)
        batches.append(((target + off).requires_grad_(), target))
    return batches


@checks_function(lambda fn: fn(_batches()))
def epoch_rmse(fn: Callable[[list], float]) -> Verdict:
    """Check the root mean square error of an epoch, from batches of unequal size.

    Args:
        fn: takes a list of pairs, predictions ``(B,)`` and targets ``(B,)``; returns a
            float.
    """
    result = fn(_batches())
    if isinstance(result, Tensor):
        if result.requires_grad:
            return hint("the result still holds every batch's graph. Return a float.")
        if result.numel() != 1:
            return hint(f"return one number, got shape {tuple(result.shape)}.")
    try:
        value = float(result)
    except (TypeError, ValueError):
        return hint(f"return one number, got {type(result).__name__}.")
    known = {
        3.0: "that is the mean of the three batches' errors: 1, 2 and 6 count alike.",
        2.0: "that weighs the batches' roots by their size. Which mean is additive?",
        12 / 9: "that is the mean of the absolute errors. Square them first.",
        56 / 9: "that is the mean square error. Its root is still missing.",
        math.sqrt(
            41 / 3
        ): "the last batch has 1 sample and counts as much as one of 4.",
    }
    for number, text in known.items():
        if math.isclose(value, number, rel_tol=1e-5):
            return hint(text)
    if not math.isclose(value, math.sqrt(56 / 9), rel_tol=1e-5):
        return hint(f"the 9 squared errors sum to 56, got {value:.4f}.")
    return correct(
        "√(56/9) = 2.494. Average what adds up, squares here, and take the root last."
    )
