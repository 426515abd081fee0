"""Checks of the chapter on what is inside a checkpoint."""

from __future__ import annotations

import argparse
import copy
import io
import os
import pathlib
import pickle
import tempfile
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.chapters.checkpoint_format.stage import DigitsRun
from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_code,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. a run that resumes ------------------------------------------------------------


class _BareRun(DigitsRun):
    """A run without the two methods that the exercise asks for."""

    def checkpoint(self) -> dict:
        raise RuntimeError("write what run.checkpoint() does yourself, from run.parts.")

    def resume(self, state: dict) -> None:
        raise RuntimeError("write what run.resume() does yourself, from run.parts.")


@checks_code
def resumes(
    save: Callable[[DigitsRun, str], object], resume: Callable[[DigitsRun, str], object]
) -> Verdict:
    """Check whether a run that was saved and resumed goes on as if nothing had happened.

    Args:
        save: takes a run and a path, and writes a file.
        resume: takes a new run and the path, and sets it from the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        run = _BareRun(0)
        for _ in range(3):
            run.train_epoch()
        wanted = copy.deepcopy(DigitsRun.checkpoint(run))
        save(run, path)
        torch.set_rng_state(wanted["rng"])
        run.train_epoch()
        other = _BareRun(0)
        torch.manual_seed(1)  # a new process has other random numbers
        try:
            resume(other, path)
        except pickle.UnpicklingError:
            return hint(
                "torch.load refuses the file: it holds more than numbers, texts, dicts and "
                "tensors. For each part, save its state_dict()."
            )
        lacks = [
            name
            for name, value in DigitsRun.checkpoint(other).items()
            if not _equals(value, wanted[name])
        ]
        other.train_epoch()
        return _resumed(lacks, run, other)


def _resumed(lacks: list[str], run: DigitsRun, other: DigitsRun) -> Verdict:
    """Say what has not come back, by what it does to the next epoch."""
    gap = run.distance(other)
    if "model" in lacks:
        return hint(
            'run.parts["model"] has other weights than the saved one. Load them into it.'
        )
    if {"optimizer", "scheduler", "rng"} <= set(lacks):
        return not_yet(
            f"after one more epoch the weights are {gap:.2f} apart from those of the run "
            "that was never stopped."
        )
    rates = f"{other.rates[-1]:g} instead of {run.rates[-1]:g}"
    found = {
        "optimizer": f"the next epoch begins without AdamW's averages, and at a rate of {rates}.",
        "scheduler": "the learning rate will fall in another epoch than it should.",
        "scaler": "the loss scale is not the saved one. In float16 that costs steps.",
        "epoch": f"it says epoch {other.epoch - 1}, and {run.epoch - 1} are done.",
        "rng": "dropout and the order of the samples are other ones.",
    }
    for name, text in found.items():
        if name in lacks:
            return hint(text)
    if gap:
        return hint(
            f"all is there, but the weights end {gap:.2f} apart. In which order is it set?"
        )
    return correct("the next epoch is the same, bit for bit.")


def _equals(given: object, wanted: object) -> bool:
    """Tell whether two states are the same, tensors bit for bit."""
    if isinstance(wanted, Tensor):
        return isinstance(given, Tensor) and torch.equal(given, wanted)
    if isinstance(wanted, dict):
        return given.keys() == wanted.keys() and all(
            _equals(given[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(_equals, given, wanted))
    return given == wanted


# --- 2. and 3. what is in the file ----------------------------------------------------

megabytes = NumberCheck(
    prompt="A column of a (500, 2000) tensor of float64: how many MB has its file?",
    answer=8.0,
    tolerance=0.05,
    praise="500 · 2000 · 8 bytes, all of x. The column alone would be 0.004 MB.",
    hints=[
        Hint(
            0.001, 0.02, "that is the column alone. torch.save keeps its whole storage."
        ),
        Hint(3.9, 4.1, "a float64 has 8 bytes."),
        Hint(0.9, 1.1, "that is how many numbers x holds, in millions. And in bytes?"),
        Hint(7.62, 7.64, "that is in MiB, 1,048,576 bytes each. One MB is a million."),
        Hint(7e6, 9e6, "that is in bytes. Give it in millions of bytes."),
    ],
)


def _colleague() -> dict:
    """Return a checkpoint that the safe loader refuses for five reasons."""
    import numpy as np

    return {
        "model": nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)),  # with buffers
        "args": argparse.Namespace(lr=0.1, layers=2),
        "loss": np.float64(1 / 3),  # rounding loses some of it
        "history": np.array([0.9, 0.6, 0.3]),
        "path": pathlib.PurePosixPath("runs/first"),
    }


@checks_function(lambda fn: fn(_colleague()))
def make_safe(fn: Callable[[dict], dict]) -> Verdict:
    """Check a function that makes a checkpoint safe to load.

    Args:
        fn: takes a checkpoint with five keys, returns one with the same keys.
    """
    before = _colleague()
    safe = fn(dict(before))
    if not isinstance(safe, dict) or set(safe) != set(before):
        return hint(f"return a dict with the keys {', '.join(before)}.")
    file = io.BytesIO()
    try:
        torch.save(safe, file)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        return hint(f"it cannot be saved: {error}.")
    file.seek(0)
    names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    if names:
        return hint(f"the safe loader still refuses {sorted(names)[0]}.")
    return _same(before, safe) or correct(
        "nothing is lost, and no name has to be allowed."
    )


def _same(before: dict, safe: dict) -> Verdict | None:
    """Return a hint if some information is lost or in the wrong form."""
    weights, given = before["model"].state_dict(), safe["model"]
    if not isinstance(given, dict) or set(given) != set(weights):
        return hint("model: keep its state_dict(), with all weights and buffers.")
    if not all(_equal(given[key], weights[key]) for key in weights):
        return hint("model: keep its state_dict(), with tensors as they are in it.")
    args = safe["args"]
    if not isinstance(args, dict) or _typed(args) != _typed(vars(before["args"])):
        return hint("args: keep the names and values, as vars(args) gives them.")
    loss = safe["loss"]
    number = torch.tensor(float(before["loss"]), dtype=torch.float64)
    kept = type(loss) is float and loss == before["loss"]
    if not kept and not _equal(loss, number):
        given = f"{type(loss).__name__} {str(loss)[:40]}"
        return hint(f"loss: it was {before['loss']}, and is now {given}. Use float.")
    history, numbers = safe["history"], torch.from_numpy(before["history"])
    if not isinstance(history, Tensor) or history.dtype != torch.float64:
        return hint("history: make it a tensor of float64, as torch.from_numpy does.")
    if not _equal(history, numbers):
        return hint("history: its numbers have changed, or how they are kept.")
    if safe["path"] != str(before["path"]):
        return hint("path: keep it as a text, str(path).")
    return None


def _typed(values: dict) -> dict:
    """Return names with types and texts, which compare whatever the values are."""
    return {key: (type(value), str(value)) for key, value in values.items()}


def _equal(given: object, expected: Tensor) -> bool:
    """Tell whether a value is the same tensor: type, place, layout and numbers."""
    if not isinstance(given, Tensor):
        return False
    kinds = [(t.dtype, t.device.type, t.layout, t.shape) for t in (given, expected)]
    return kinds[0] == kinds[1] and torch.equal(given, expected)
