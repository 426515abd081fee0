"""A bad argument becomes a sentence: who was called, what it got, and what to do.

Every function here raises nothing for a good argument, and for a bad one an error that
reads ``caller: name must be this, got that. Advice.`` What Python, PyTorch or
scikit-learn say well by themselves needs no check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
    caller: str, name: str, value: object, fine: Callable, span: str, advice: str
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


def require_positive(caller: str, name: str, value: object, advice: str) -> None:
    """Raise an error unless a value is a finite number above 0."""
    require_number(caller, name, value, lambda v: v > 0, "more than 0", advice)


def require_choice(
    caller: str, name: str, value: object, choices: Iterable[object]
) -> None:
    """Raise an error unless a value is one of a few."""
    choices = list(choices)
    shown = repr(value) if isinstance(value, str) else value
    must = f"{name} must be one of {', '.join(map(str, choices))}"
    advice = f"Try {choices[0]!r}."
    require(value in choices, ValueError, caller, must, shown, advice)


def require_type(
    caller: str, name: str, value: object, kinds: tuple[type, ...], advice: str
) -> None:
    """Raise an error unless a value is of one of a few types."""
    must = f"{name} must be of type {' or '.join(kind.__name__ for kind in kinds)}"
    got = type(value).__name__
    require(isinstance(value, kinds), TypeError, caller, must, got, advice)


def require_tensor(
    caller: str, name: str, value: object, advice: str = "", floating: bool = False
) -> None:
    """Raise an error unless a value is a tensor; of a floating-point type, if asked."""
    from torch import Tensor

    fine = isinstance(value, Tensor)
    got = type(value).__name__
    if fine and floating:
        fine, got = value.is_floating_point(), value.dtype
    advice = advice or f"Convert it: torch.as_tensor({name})."
    must = f"{name} must be a {'floating-point ' * floating}torch.Tensor"
    require(fine, TypeError, caller, must, got, advice)


def require_shape(
    caller: str, name: str, array: Tensor, fine: bool, must: str, advice: str = ""
) -> None:
    """Raise an error with the shape of a tensor or an array, unless it is fine.

    Args:
        must: the shape in words, such as ``"(N,) or (N, C)"``.
    """
    got = f"shape {tuple(array.shape)}"
    require(fine, ValueError, caller, f"{name} must be {must}", got, advice)


def require_each(
    caller: str,
    name: str,
    values: Tensor,
    fine: Tensor,
    must: str,
    advice: str,
    start: int = 0,
) -> None:
    """Raise an error with the first bad element and its place, unless all are fine.

    Args:
        values: a tensor or an array.
        fine: which elements are, in the same shape.
        start: where the first of ``values`` lies in the whole of which it is a part.
    """
    import torch

    bad = (~torch.as_tensor(fine)).nonzero()
    if len(bad):
        row, *rest = bad[0].tolist()
        value = values[(row, *rest)]
        value = value.item() if hasattr(value, "item") else value
        got = f"{value} at index {(start + row, *rest)}"
        require(False, ValueError, caller, f"{name} must be {must}", got, advice)


def require_some(
    caller: str, name: str, found: object, what: str, advice: str = ""
) -> None:
    """Raise an error if something holds nothing."""
    advice = advice or "An iterator can be used once: make a new one."
    must = f"{name} must hold at least one {what}"
    require(bool(found), ValueError, caller, must, "none", advice)


def require_batches(caller: str, name: str, loader: object, advice: str) -> None:
    """Raise an error unless a loop over a value can give batches, and not their rows."""
    from torch import Tensor

    fine = hasattr(loader, "__iter__") and not isinstance(loader, (Tensor, dict, str))
    must, got = f"{name} must be a DataLoader or a list of batches", type(loader)
    require(fine, TypeError, caller, must, got.__name__, advice)


def require_floating_type(caller: str, dtype: object) -> None:
    """Raise an error unless a dtype is a floating-point one."""
    import torch

    fine = isinstance(dtype, torch.dtype) and dtype.is_floating_point
    must = "dtype must be a floating-point type"
    require(fine, TypeError, caller, must, dtype, "Try torch.float32.")


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


def require_sizes(caller: str, model: object) -> None:
    """Raise an error if a model has a lazy layer that has met no batch yet."""
    from torch.nn.parameter import is_lazy

    sized = not any(map(is_lazy, [*model.parameters(), *model.buffers()]))
    must, got = "model must have its sizes", "a lazy layer without them"
    require(sized, ValueError, caller, must, got, "Run it once on a batch first.")
