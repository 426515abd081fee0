"""Run a model for its outputs alone, and see what autograd keeps of a run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

Yielded = TypeVar("Yielded")


def evaluating(
    model: nn.Module, inference: bool = False
) -> AbstractContextManager[None]:
    """Switch to ``eval()`` without gradients; give every submodule its own mode back.

    ``model.train()`` would not: it also wakes layers that were frozen in ``eval()``. A
    layer with a ``train`` of its own, such as one that merges weights in ``eval()``, is
    called, so that it undoes what it did.

    Args:
        model: any ``nn.Module``. What happens to its modes inside is undone, after an
            exception too.
        inference: whether gradients are off by ``torch.inference_mode()`` in place of
            ``torch.no_grad()``. Autograd never takes its results again: not for results
            that are trained on later, nor for a model that keeps tensors from one call
            to the next.

    Returns:
        A context manager, or a decorator. It may be used again, and inside itself.

    Raises:
        TypeError: if ``model`` is no module or ``inference`` no bool.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> with evaluating(model):
        ...     model.training, model(torch.ones(1, 2)).requires_grad
        (False, False)
        >>> model.training
        True

    Source: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
    """
    _require_module("evaluating", model)
    if not isinstance(inference, bool):
        raise TypeError(
            "evaluating: inference must be True or False, got "
            f"{_got_inference(inference)}"
        )
    grad = torch.inference_mode if inference else torch.no_grad
    return _Reusable(partial(_evaluating, model, grad))


@contextmanager
def _evaluating(model: nn.Module, without_gradients: type) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with without_gradients():
            yield
    finally:
        try:  # parents stand before their children, whose own mode so has the last word
            for module, mode in modes:
                if module.training != mode:
                    module.train(bool(mode))
        finally:
            for module, mode in modes:
                module.training = mode


def kept_for_backward(
    model: nn.Module,
) -> AbstractContextManager[Callable[[], int]]:
    """Count the bytes that autograd keeps of what runs inside, weights left out.

    The function that counts has a ``peak``: the most that was held at a time so far.

    Args:
        model: its weights and buffers are not counted; they are there anyway.

    Returns:
        A context manager that yields a function. Called at any time, inside or
        afterwards, it returns the bytes that a graph still holds. Memory that two
        tensors share counts once; a tensor with gaps counts from its first element to
        its last. A batch counts too, if a weight's gradient needs it. The manager may be
        used again: each use has a count of its own.

    Raises:
        TypeError: if ``model`` is no module.

    Example:
        >>> model = nn.Linear(4, 2)
        >>> with kept_for_backward(model) as kept_bytes:
        ...     output = model(torch.ones(3, 4))
        >>> kept_bytes()  # the input, 3 x 4 numbers of 4 bytes
        48
        >>> del output
        >>> kept_bytes()
        0
        >>> kept_bytes.peak
        48

    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.saved_tensors_hooks
    """
    _require_module("kept_for_backward", model)
    return _Reusable(partial(_kept_for_backward, model))


class _Box:
    """Holds a saved tensor for as long as the graph holds the box."""

    def __init__(self, tensor: Tensor) -> None:
        # An operation's own output would hold the operation, and so itself.
        self.tensor = tensor.detach()


@contextmanager
def _kept_for_backward(model: nn.Module) -> Iterator[Callable[[], int]]:
    boxes = weakref.WeakSet()
    weights = (*model.parameters(), *model.buffers())
    own = {weight.untyped_storage().data_ptr() for weight in weights}

    def pack(tensor: Tensor) -> _Box:
        box = _Box(tensor)
        if tensor.untyped_storage().data_ptr() not in own:
            boxes.add(box)
            kept_bytes.peak = max(kept_bytes.peak, kept_bytes())
        return box

    def kept_bytes() -> int:
        return _bytes_covered(box.tensor for box in boxes)

    kept_bytes.peak = 0
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        yield kept_bytes


def _bytes_covered(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of memory that the tensors cover, each byte counted once."""
    spans, total, end = [], 0, (0, 0)
    for t in tensors:
        if t.numel():  # a dimension that was expanded has stride 0
            last = sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
            start = t.storage_offset() * t.itemsize
            stop = start + (last + 1) * t.itemsize
            spans.append((t.untyped_storage().data_ptr(), start, stop))
    for storage, start, stop in sorted(spans):
        seen = end[1] if end[0] == storage else start
        total += max(0, stop - max(start, seen))
        end = storage, max(stop, seen)
    return total


class _Reusable(ContextDecorator):
    """A context manager that makes a new one for each ``with``."""

    def __init__(self, make: Callable[[], AbstractContextManager[Yielded]]) -> None:
        self._make, self._open = make, []

    def __enter__(self) -> Yielded:
        context = self._make()
        value = context.__enter__()
        self._open.append(context)
        return value

    def __exit__(self, *error: object) -> bool | None:
        return self._open.pop().__exit__(*error)


def _require_module(caller: str, model: object) -> None:
    """Raise an error that names the caller, unless it got a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{caller}: model must be an nn.Module, got {_got(model)}")


def _got_inference(inference: object) -> str:
    """Say what came in place of a bool, and what to pass."""
    if isinstance(inference, nn.Module):
        name = type(inference).__name__
        return f"a second model ({name}). Put both into one: nn.ModuleList(models)."
    return f"{inference!r:.60}. Pass False for torch.no_grad()."


def _got(model: object) -> str:
    """Say what came in place of a module, and what to pass."""
    if isinstance(model, type):
        return (
            f"the class {model.__name__}. Build a model first: {model.__name__}(...)."
        )
    name = type(model).__name__
    if isinstance(model, dict):
        return f"{name}. Build the model, load the weights into it, and pass the model."
    if isinstance(model, (list, tuple)):
        return f"{name}. Put several models into one: nn.ModuleList(models)."
    if callable(model):
        return f"{name}. A function has no mode; pass the module that it calls."
    return f"{name}. Pass the model itself."
