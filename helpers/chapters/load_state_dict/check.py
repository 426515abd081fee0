"""Checks of the chapter on load_state_dict."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. repair a loader --------------------------------------------------------------


class _Net(nn.Module):
    """Three layers: one name ends like a prefix, one begins with a letter of module."""

    def __init__(self) -> None:
        super().__init__()
        self.submodule, self.layer = nn.Linear(3, 2), nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)


def loader(load: Callable[[nn.Module, str], object]) -> Verdict:
    """Check a function that loads a whole checkpoint of a DataParallel.

    Args:
        load: takes a model and a path, and sets the model from the file or raises.
    """
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        model, trained = _Net(), _Net()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        path = os.path.join(folder, "checkpoint.pt")
        state_dict = {f"module.{k}": v for k, v in trained.state_dict().items()}
        torch.save({"epoch": 7, "model": state_dict}, path)
        try:
            returned = load(model, path)
        except Exception as error:  # whatever the reader's code raises becomes a hint
            return hint(f"on the whole file it raised {type(error).__name__}: {error}")
        wanted = trained.state_dict()
        problem = _not_loaded(before, wanted, model.state_dict())
        another = problem and isinstance(returned, nn.Module)
        if another and not _not_loaded(before, wanted, returned.state_dict()):
            return hint(
                "you return another model, and that one is loaded. Load into the model "
                "that you were given."
            )
        if problem:
            return problem
        del state_dict["module.head.weight"]
        torch.save({"epoch": 7, "model": state_dict}, path)
        try:
            load(_Net(), path)
        except Exception:  # an error of any kind tells the user
            return correct("all of the model is set, and a file with less is refused.")
        return hint(
            "the file is loaded. But from one that lacks head.weight it loads the rest, "
            "and its user sees nothing. It should raise."
        )


def _not_loaded(before: dict, wanted: dict, now: dict) -> Verdict | None:
    """Return what is wrong unless a model has the numbers of the file."""
    right = [key for key in wanted if torch.equal(now[key], wanted[key])]
    if len(right) == len(wanted):
        return None
    if all(torch.equal(now[key], before[key]) for key in before):
        return not_yet(
            "the model still has its random numbers, and no error was raised."
        )
    lost = next(key for key in wanted if key not in right)
    return hint(
        f"{len(right)} of {len(wanted)} entries are set, and {lost} is not. What has "
        "become of its name?"
    )


# --- 2. take a prefix off, and no part of the model -----------------------------------

# The model has a part that is called like a wrapper's attribute, and one that ends so.
NAMES = ("submodule.weight", "submodule.bias", "net.0.weight", "head.bias")


def saved(prefix: str = "") -> dict[str, Tensor]:
    """Return a state dict of the exercise's model, with a prefix before each key."""
    return {prefix + n: torch.full((2,), float(i)) for i, n in enumerate(NAMES)}


def target() -> nn.Module:
    """Return the model of the exercise."""
    model = nn.Module()
    for name in NAMES:
        *path, last = name.split(".")
        module = model
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = getattr(module, part)
        module.register_parameter(last, nn.Parameter(torch.zeros(2)))
    return model


@checks_function(lambda fn: fn(saved("module."), target()))
def repair(fn: Callable[[dict, nn.Module], Mapping[str, Tensor]]) -> Verdict:
    """Check a function that takes a wrapper's prefix off the keys of a state dict.

    Args:
        fn: takes a dict of tensors and the model, returns a dict.
    """
    for prefix in ("module.", "_orig_mod.module.", "", "net."):
        case = saved(prefix)
        file = f"for a file with {prefix!r} before each key"
        if not prefix:
            file = "for a file that needs no repair"
        if prefix == "net.":  # a file need not have the order of the model
            case = dict(reversed(case.items()))
            file += ", in another order"
        given = dict(case)
        result = fn(given, target())
        if not isinstance(result, Mapping):
            return hint(f"{file}: return a dict, got {type(result).__name__}.")
        for key in NAMES:
            problem = _wrong_entry(result, key, case[prefix + key])
            if problem:
                return hint(f"{file}: {problem}")
        extra = [key for key in result if key not in NAMES]
        if extra:
            return hint(f"{file}: {extra[0]!r} is still there. Make a new dict.")
        if list(given) != list(case):
            return hint("the dict that you were given has changed. Make a new one.")
        loaded = target().load_state_dict(dict(result))
    return correct(f"{loaded}, for each of four files.")


def _wrong_entry(result: Mapping, key: str, right: Tensor) -> str | None:
    """Say what has become of an entry that should stand under a key."""
    if key in result:
        if isinstance(result[key], Tensor) and torch.equal(result[key], right):
            return None
        return f"{key!r} holds what belongs to another key. Go by names, not by order."
    left = [k for k in result if str(k).endswith("." + key)]
    if left:
        return f"{left[0]!r} still has a prefix that the model does not know."
    return (
        f"{key!r} is gone: there is {', '.join(map(repr, result)) or 'nothing'}. "
        "Compare with the names in model.state_dict() before you cut."
    )


# --- 3. the share --------------------------------------------------------------------


def _models() -> list[tuple[nn.Module, dict[str, Tensor], str]]:
    """Return models, state dicts, and what is special about each pair."""
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    # No batch normalisation: PyTorch never calls its counter of batches missing.
    # Of another dtype, so that bytes are no measure of numbers.
    model.register_buffer("mean", torch.zeros(3, dtype=torch.float64))
    full = {key: torch.ones_like(value) for key, value in model.state_dict().items()}
    wrapped = {f"module.{key}": value for key, value in full.items()}
    body = {key: value for key, value in full.items() if not key.startswith("2.")}
    turned = full | {"2.weight": torch.ones(4, 2)}  # as many numbers, another shape
    other_head = full | {"2.weight": torch.ones(9, 4), "2.bias": torch.ones(9)}
    return [
        (model, full, "a state dict that fits"),
        (model, wrapped, "one whose keys all have a prefix"),
        (model, body, "one that lacks the last layer"),
        (model, full | {"extra": torch.ones(50)}, "one with an entry too many"),
        (model, other_head, "one with another shape of the last layer"),
        (model, turned, "one whose last weight is transposed"),
    ]


@checks_function(lambda fn: fn(*_models()[0][:2]))
def share(fn: Callable[[nn.Module, dict], float]) -> Verdict:
    """Check a function that tells the share of a model that a state dict would set.

    Args:
        fn: takes a model and a dict of tensors, returns a number from 0 to 1.
    """
    for model, state_dict, name in _models():
        before = {key: value.clone() for key, value in model.state_dict().items()}
        answer = fn(model, dict(state_dict))
        parameters = set(dict(model.named_parameters()))
        problem = _wrong_share(answer, before, state_dict, parameters)
        if problem:
            return hint(f"for {name}: {problem}")
        if any(not torch.equal(before[k], v) for k, v in model.state_dict().items()):
            return hint(f"for {name}: the model has changed. Compare, do not load.")
    return correct("0 for a prefix, and 1 only if all of the model is set.")


def _wrong_share(
    answer: object, ours: dict, theirs: dict, parameters: set[str]
) -> str | None:
    """Say what is wrong with a share, from what it would have been right for."""
    try:
        answer = float(answer)
    except (TypeError, ValueError, RuntimeError):
        return f"return one number, got {type(answer).__name__}."
    common = [key for key in ours if key in theirs]
    fitting = [key for key in common if ours[key].shape == theirs[key].shape]
    everything = sum(value.numel() for value in ours.values())
    numbers = sum(ours[key].numel() for key in fitting)
    trained = [ours[key].numel() for key in fitting if key in parameters]
    size = {key: value.numel() * value.element_size() for key, value in ours.items()}

    def equals(part: float, whole: float) -> bool:
        return abs(answer - part / whole) < 1e-6

    if equals(numbers, everything):
        return None
    if equals(100 * numbers, everything):
        return "return a share from 0 to 1, not a percentage."
    if equals(sum(ours[key].numel() for key in common), everything):
        return "a tensor of another shape does not load."
    if equals(sum(trained), sum(ours[key].numel() for key in parameters)):
        return "buffers are numbers of the model, too: take model.state_dict()."
    if equals(sum(size[key] for key in fitting), sum(size.values())):
        return "count numbers, not bytes: a buffer may have another dtype."
    if equals(len(fitting), len(ours)) or equals(len(common), len(ours)):
        return "count numbers, not keys: a weight holds more than a bias."
    if equals(numbers, sum(value.numel() for value in theirs.values())):
        return "divide by the model's numbers, not by the state dict's."
    return (
        f"{numbers} of {everything} numbers fit: a share of {numbers / everything:.6f}, "
        f"not rounded. Got {answer:.6f}."
    )
