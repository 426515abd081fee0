"""A bad argument becomes a sentence: who was called, what it got, and what to do.

Every function here raises nothing for a good argument, and for a bad one an error that
reads ``caller: name must be this, got that. Advice.``
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real


def require(
    fine: bool, kind: type[Exception], caller: str, must: str, got: object, advice: str
) -> None:
    """Raise an error unless something is fine.

    Args:
        fine: whether the argument can be used.
        kind: the error to raise, ``TypeError`` or ``ValueError``.
        caller: the public function that was called.
        must: what the argument must be, such as ``"k must be 1 or more"``.
        got: what came instead.
        advice: what to do, as a sentence; it must work.
    """
    if not fine:
        raise kind(f"{caller}: {must}, got {got}. {advice}".rstrip())


def require_integer(
    caller: str,
    name: str,
    value: object,
    least: int,
    most: int | None = None,
    advice: str = "",
) -> None:
    """Raise an error unless a value is an integer from ``least`` to ``most``."""
    advice = advice or f"Try {name}={least}."
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    must = f"{name} must be an integer"
    require(whole, TypeError, caller, must, repr(value), advice)
    span = f"{least} or more" if most is None else f"from {least} to {most}"
    inside = least <= value and (most is None or value <= most)
    require(inside, ValueError, caller, f"{name} must be {span}", value, advice)


def require_seed(caller: str, seed: object, largest: int) -> None:
    """Raise an error unless a seed is an integer from 0 to ``largest``."""
    require_integer(caller, "seed", seed, 0, largest)


def require_number(
    caller: str, name: str, value: object, fine, span: str, advice: str
) -> None:
    """Raise an error unless a value is a finite real number for which ``fine`` is true.

    Args:
        fine: takes the value, returns a bool.
        span: the same in words, such as ``"positive"`` or ``"from 0 to 1"``.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    must = f"{name} must be a number"
    require(real, TypeError, caller, must, repr(value), advice)
    good = math.isfinite(value) and fine(value)
    must = f"{name} must be {span} and finite"
    require(good, ValueError, caller, must, value, advice)


def require_choice(
    caller: str, name: str, value: object, choices: Iterable[object]
) -> None:
    """Raise an error unless a value is one of a few."""
    choices = list(choices)
    shown = repr(value) if isinstance(value, str) else value
    must = f"{name} must be one of {', '.join(map(str, choices))}"
    advice = f"Try {choices[0]!r}."
    require(value in choices, ValueError, caller, must, shown, advice)


def require_tensor(caller: str, name: str, value: object, advice: str = "") -> None:
    """Raise an error unless a value is a tensor."""
    from torch import Tensor

    advice = advice or f"Convert it: torch.as_tensor({name})."
    must, got = f"{name} must be a torch.Tensor", type(value).__name__
    require(isinstance(value, Tensor), TypeError, caller, must, got, advice)


def require_module(caller: str, model: object, advice: str = "") -> None:
    """Raise an error unless a model is a module, and say what was passed instead."""
    from torch import nn

    if isinstance(model, nn.Module):
        return
    got = type(model).__name__
    if isinstance(model, type):
        got = f"the class {model.__name__}"
        advice = f"Build a model first: {model.__name__}(...)."
    elif isinstance(model, dict):
        advice = "Build the model, load the weights into it, and pass the model."
    elif isinstance(model, (list, tuple)):
        advice = "Put several models into one: nn.ModuleList(models)."
    elif callable(model):
        advice = advice or "Pass the module that the function calls."
    advice = advice or "Pass the model itself."
    require(False, TypeError, caller, "model must be an nn.Module", got, advice)
