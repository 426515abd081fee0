"""Which parts of a checkpoint a resumed run needs, and how many bytes each of them has."""

from __future__ import annotations

import io
import itertools

import torch
from traitlets import Bool, Enum

from helpers.chapters.checkpoint_format.stage import PARTS, DigitsRun
from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Fixed

LEFT_OUT = [*PARTS[1:], "rng"]  # the model itself is always in the file


def recorded_runs() -> dict:
    """Return what really happened: the whole run, each resumed one, and the bytes of parts.

    A resumed run is named by a digit for each of ``LEFT_OUT``, 1 if it was in the file.
    """
    with torch.random.fork_rng(devices=[]):
        whole = DigitsRun(0)
        losses = [whole.train_epoch() for _ in range(4)]
        file = _written(whole.checkpoint())
        losses += [whole.train_epoch() for _ in range(4)]
        resumed = {}
        for chosen in itertools.product([0, 1], repeat=len(LEFT_OUT)):
            some = _read(file)  # anew, for the optimizer trains on in what it is given
            for name, taken in zip(LEFT_OUT, chosen, strict=True):
                if not taken:
                    del some[name]
            kilobytes = round(len(_written(some)) / 1000, 1)
            run = DigitsRun(0)
            torch.manual_seed(1)  # another process has other random numbers
            run.resume(some)
            curve = [round(run.train_epoch(), 3) for _ in range(4)]
            gap = run.distance(whole)
            key = "".join(map(str, chosen))
            resumed[key] = [curve, round(gap, 2), gap == 0, kilobytes]
    state = _read(file)
    adds = {name: len(file) - _bytes_without(state, [name]) for name in LEFT_OUT}
    sizes = {"model": _bytes_without(state, LEFT_OUT)} | adds
    parts = {name: round(size / 1000, 1) for name, size in sizes.items()}
    whole = [round(loss, 3) for loss in losses]
    return {"whole": whole, "resumed": resumed, "kilobytes": parts}


def _written(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _bytes_without(state: dict, names: list[str]) -> int:
    """Return the size of the file that lacks these: what a part adds is a difference."""
    some = {name: value for name, value in state.items() if name not in names}
    return len(_written(some))


def _read(data: bytes) -> dict:
    return torch.load(io.BytesIO(data))


class ResumedRun(BookWidget):
    """Choose what is in a checkpoint, guess whether the run goes on the same, and see.

    Args:
        optimizer: whether its state is in the file.
        scheduler: the same of the scheduler.
        scaler: the same of the gradient scaler.
        rng: the same of the random state.
        guess: ``"same"``, ``"other"``, or None while the answer is hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Resumed run"
    height_px = (611, 592)

    optimizer = Bool(False).tag(sync=True)
    scheduler = Bool(False).tag(sync=True)
    scaler = Bool(False).tag(sync=True)
    rng = Bool(False).tag(sync=True)
    guess = Enum(["same", "other"], None, allow_none=True).tag(sync=True)
    runs = Fixed(recorded_runs).tag(sync=True)
