"""Checks of the chapter on progress bars."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from helpers.chapters.progress_bars.stage import Clock, Terminal, fake_clock
from helpers.exercises.verdicts import (
    AttemptFailed,
    Verdict,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. repair a loop ----------------------------------------------------------------


@dataclass
class _Epoch:
    """22 samples in batches of 4, and what a reader's function made of them."""

    clock: Clock
    screen: Terminal = field(default_factory=Terminal)
    losses: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    half: str = ""

    def __post_init__(self) -> None:
        x = torch.arange(22.0)
        self.loader = DataLoader(TensorDataset(x, 0 * x), batch_size=4)

    def loss_of(self, x: Tensor, y: Tensor) -> Tensor:
        if len(self.sizes) == 3:
            self.half = self.screen.text()
        self.clock.sleep(1.0)
        loss = (x.detach().requires_grad_() - y).square().mean()
        self.losses.append(loss.item())
        self.sizes.append(len(x))
        return loss


def _first_epoch(fn: Callable) -> object:
    with fake_clock() as clock:
        epoch = _Epoch(clock)
        return fn(epoch.loader, epoch.loss_of, epoch.screen)


@checks_function(_first_epoch)
def epoch_mean(fn: Callable[..., float]) -> Verdict:
    """Check a loop that averages the loss of an epoch, and shows a bar.

    Args:
        fn: takes a loader, a function that gives a batch's mean loss, and a file for the
            bar; returns the mean over samples.
    """
    with fake_clock() as clock:
        epoch = _Epoch(clock)
        result = fn(epoch.loader, epoch.loss_of, epoch.screen)
    if isinstance(result, Tensor) and result.requires_grad:
        return hint("the result still holds every batch's graph. Return a float.")
    if len(epoch.losses) != 6:
        return hint(f"walk the loader once: got {len(epoch.losses)} of 6 batches.")
    parts = list(zip(epoch.losses, epoch.sizes, strict=True))
    right = sum(loss * size for loss, size in parts) / 22
    value, total = float(result), sum(epoch.losses)
    if math.isclose(value, total / 22, rel_tol=1e-5):
        if "%|" in epoch.half:  # no longer the loop that was given
            return hint(
                "that is the sum of the six batch means, divided by 22. Multiply each mean "
                "by the size of its batch first."
            )
        return not_yet(
            f"the mean loss of the 22 samples is {right:.1f}, got {value:.1f}."
        )
    if math.isclose(value, total / 6, rel_tol=1e-5):
        return hint(
            f"that is the mean of six batches, {value:.1f}. The last one has 2 samples; "
            f"the mean of all 22 is {right:.1f}."
        )
    if math.isclose(value, total * 4 / 22, rel_tol=1e-5):
        return hint(
            "each batch is weighed by 4, the loader's batch_size, but the last one has 2 "
            "samples. Weigh it by len(y)."
        )
    if math.isclose(value, right * 22 / 6, rel_tol=1e-5):
        return hint(
            "each loss is weighed right, but the sum is divided by the 6 batches. Divide "
            "by the 22 samples."
        )
    if not math.isclose(value, right, rel_tol=1e-5):
        return hint(f"the mean loss of the 22 samples is {right:.1f}, got {value:.1f}.")
    if not epoch.screen.getvalue():
        return hint("nothing was drawn. Pass file=file on to tqdm.")
    if "%|" not in epoch.half:
        return hint(
            f"the mean is right, but after 3 batches the bar says {epoch.half!r}: it has "
            "no total."
        )
    if not re.search(r"\| (3/6|12/22) ", epoch.half):
        return hint(f"after 3 of 6 batches, 12 samples, the bar says {epoch.half!r}.")
    return correct("each batch counts by its size, and the bar knows its end.")


# --- 2. two loaders ------------------------------------------------------------------

LABELLED, UNLABELLED = list("abcdefgh"), list("ABCDEF")


class _Loader:
    """Batches with a length that say how many of them were taken."""

    def __init__(self, batches: list[str]) -> None:
        self.batches, self.taken = batches, 0
        self.dataset = "".join(4 * batch for batch in batches)  # batches of four

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
        for pair in islice(fn(*loaders, screen), 20):  # repeated loaders never end
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
        right = list(zip(first, second, strict=False))
        if len(pairs) > len(right) and pairs[: len(right)] == right:
            habit = "repeats batches, as cycle"
            if None in pairs[-1]:
                habit = "fills up with None, as zip_longest"
            return hint(
                f"zip alone ends after {len(right)} pairs. Yours {habit} does: leave that "
                "out."
            )
        if pairs != right:
            return hint(
                f"the loop must get {len(right)} pairs, from "
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
        if (
            not re.search(r"\| [34]/6 ", half) or "/8 " in half
        ):  # 4: counted at the start
            return hint(f"after 3 of 6 pairs the bar says {half!r}. When does zip end?")
    return correct("zip ends with the shorter loader: total=min(len(a), len(b)).")


# --- 3. another mean -----------------------------------------------------------------


def _batches(seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Return predictions and targets in batches of 4, 4 and 1, whose roots are 1, 2, 6."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for errors in ([2.0, 0.0, 0.0, 0.0], [-2.0, -2.0, -2.0, -2.0], [6.0]):
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
        16 / 9: "that is the mean of the absolute errors. Square them first.",
        12 / 9: "that is a root per batch. Add up all squares and take one root, last.",
        math.sqrt(104 / 9): "that squares a batch's sum. Square each error first.",
        56 / 9: "that is the mean square error. Its root is still missing.",
        math.sqrt(56 / 3): "that divides by the 3 batches. Divide by the 9 samples.",
        math.sqrt(56 / 8): "that divides by 8, as std does. Divide by the 9 samples.",
        math.sqrt(
            41 / 3
        ): "the last batch has 1 sample and counts as much as one of 4.",
        math.sqrt(
            164 / 9
        ): "the last batch has 1 sample, and is weighed by 4. Weigh it by len(t).",
    }
    for number, text in known.items():
        if math.isclose(value, number, rel_tol=1e-5):
            return hint(text)
    if not math.isclose(value, math.sqrt(56 / 9), rel_tol=1e-5):
        return hint(
            f"the 9 squared errors sum to 56, so the root of their mean is 2.494, got "
            f"{value:.4f}."
        )
    return correct(
        "√(56/9) = 2.494. Average what adds up, squares here, and take the root last."
    )
