"""Run a model for its outputs alone, and see what autograd keeps of a run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn


def evaluating(
    model: nn.Module, inference: bool = True
) -> AbstractContextManager[None]:
    """Switch to ``eval()`` without gradients; give every submodule its own mode back.

    ``model.train()`` would not: it also wakes layers that were frozen in ``eval()``.

    Args:
        model: any ``nn.Module``. What happens to its modes inside is undone, after an
            exception too.
        inference: whether gradients are off by ``torch.inference_mode()``, whose results
            autograd never takes again. Pass False for ``torch.no_grad()`` if results are
            trained on later, or if the model keeps tensors from one call to the next.

    Returns:
        A context manager, to be used in one ``with`` statement.

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
            f"evaluating: inference must be True or False, got {inference!r}. Pass False "
            "for torch.no_grad()."
        )
    return _evaluating(model, torch.inference_mode if inference else torch.no_grad)


@contextmanager
def _evaluating(model: nn.Module, without_gradients: type) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with without_gradients():
            yield
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
        operations share counts once. A batch counts too, if a weight's gradient needs it.

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
    return _kept_for_backward(model)


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
        tensors = [box.tensor for box in boxes]
        # Of a tensor that was expanded, memory holds less than its shape says.
        sizes = {
            t.data_ptr(): min(t.nbytes, t.untyped_storage().nbytes()) for t in tensors
        }
        return sum(sizes.values())

    kept_bytes.peak = 0
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        yield kept_bytes


def _require_module(caller: str, model: object) -> None:
    """Raise an error that names the caller, unless it got a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{caller}: model must be an nn.Module, got {_got(model)}")


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
