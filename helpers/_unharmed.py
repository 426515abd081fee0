"""Try something out on a model, and give it back exactly as it was."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn

CONTAINERS = (dict, OrderedDict, list, set)


@contextlib.contextmanager
def unharmed(model: nn.Module) -> Iterator[None]:
    """Give a model back as it was, whatever happens to it inside the ``with`` block.

    That is each submodule's mode, hooks, attributes, submodules, and the contents of
    its buffers; the gradients' tensors; and the state of the random number generators
    of PyTorch (CPU, and the model's CUDA devices), NumPy and Python.

    Args:
        model: any ``nn.Module``. The contents of parameters are not copied, so what
            changes them in place, such as an optimizer's step, stays.

    Raises:
        TypeError: if ``model`` is not an ``nn.Module``.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        >>> with unharmed(model):
        ...     _ = model.eval()
        ...     model.register_buffer("scratch", torch.zeros(1))
        >>> model.training, "scratch" in model.state_dict()
        (True, False)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"unharmed: model must be an nn.Module, got {type(model).__name__}. "
            "Pass the model itself."
        )
    modules = [(module, _snapshot(vars(module))) for module in model.modules()]
    grads = [(p, p.grad) for p in model.parameters()]
    buffers = [(b, b.clone(), _version(b)) for b in model.buffers()]
    try:
        with _same_random_numbers(model):
            yield
    finally:
        for module, saved in modules:
            _restore(vars(module), saved)
        for parameter, grad in grads:
            parameter.grad = grad
        with torch.no_grad():
            for buffer, before, version in buffers:
                # Writing to an untouched one would spoil a backward pass under way.
                if _version(buffer) != version:
                    buffer.copy_(before)


@contextlib.contextmanager
def _same_random_numbers(model: nn.Module) -> Iterator[None]:
    """Put back the state of every random number generator that a model may use."""
    cuda = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy and numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(states[0])
        if numpy:
            numpy.random.set_state(states[1])


def _version(tensor: torch.Tensor) -> int:
    """Return how often a tensor was changed in place."""
    return -1 if tensor.is_inference() else tensor._version


def _snapshot(attributes: dict) -> dict:
    """Return each attribute, and a copy of what it holds if it is a container."""
    return {
        name: (value, type(value)(value) if type(value) in CONTAINERS else None)
        for name, value in attributes.items()
    }


def _restore(attributes: dict, saved: dict) -> None:
    """Put back attributes, and fill their containers as before: others may hold them."""
    attributes.clear()
    for name, (value, held) in saved.items():
        attributes[name] = value
        if held is not None:
            value.clear()
            value.extend(held) if isinstance(value, list) else value.update(held)
