"""Checks of the chapter on what is inside a checkpoint."""

from __future__ import annotations

import argparse
import io
import pathlib
import pickle
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import Verdict, checks_function, correct, hint, letters

KEY = {
    "80 02 8a 0a": ("B", "a pickle that begins with a number of 10 bytes: PyTorch's."),
    "50 4b 03 04": ("A", "50 4b are the letters PK."),
    "98 01 00 00": ("C", "read it as a length: 0x198 = 408 bytes of header."),
    "80 04 95 1c": ("D", "80 is a pickle, of protocol 4. Where is PyTorch's number?"),
    "76 65 72 73": ("E", "these are letters, 'vers': a Git LFS pointer begins so."),
}


def formats(answer: object) -> Verdict:
    """Check which five formats begin with which four bytes.

    Args:
        answer: a dict from four bytes in hex to a letter from A to E.
    """
    return letters(
        answer,
        KEY,
        count="five",
        ask="put a letter instead of each of the dots.",
        praise="four bytes tell more than the ending of a name.",
    )


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
        Hint(7e6, 9e6, "in millions of bytes."),
    ],
)


def _colleague() -> dict:
    """Return a checkpoint that the safe loader refuses for five reasons."""
    import numpy as np

    return {
        "model": nn.Linear(2, 1),
        "args": argparse.Namespace(lr=0.1, layers=2),
        "loss": np.float64(0.25),
        "history": np.array([0.75, 0.5, 0.25]),
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
        return hint("model: keep its state_dict(), with all weights.")
    if not all(_equal(given[key], weights[key]) for key in weights):
        return hint("model: keep its state_dict(), with tensors as they are in it.")
    args = safe["args"]
    if not isinstance(args, dict) or _typed(args) != _typed(vars(before["args"])):
        return hint("args: keep the names and values, as vars(args) gives them.")
    loss = safe["loss"]
    if type(loss) is not float or loss != before["loss"]:
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
