"""Change a model completely or not at all: what fails half way is undone."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

CONTAINERS = (dict, OrderedDict, list, set)


@contextlib.contextmanager
def all_or_nothing(model: nn.Module) -> Iterator[None]:
    """Undo what happened to a model if the ``with`` block ends in an exception.

    Put back are the contents, shape, dtype and gradient of parameters and buffers, and
    each submodule's attributes, with the dicts, lists, sets and tensors that they hold,
    at any depth. What custom code does to other objects cannot be undone. Costs a copy
    of the parameters and buffers while the block runs.

    Args:
        model: any ``nn.Module``.

    Raises:
        TypeError: if ``model`` is not an ``nn.Module``.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> before = model.weight.clone()
        >>> with contextlib.suppress(KeyboardInterrupt), all_or_nothing(model):
        ...     _ = nn.init.zeros_(model.weight)
        ...     raise KeyboardInterrupt
        >>> torch.equal(model.weight, before)
        True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"all_or_nothing: model must be an nn.Module, got {type(model).__name__}. "
            "Pass the model itself."
        )
    saved = _Saved(model)
    try:
        yield
    except BaseException:  # an interrupt from the keyboard must not leave a half
        saved.put_back()
        raise


class _Saved:
    """Every container and tensor that a model's attributes hold, with its contents."""

    def __init__(self, model: nn.Module) -> None:
        self._containers: list[tuple] = []
        self._tensors: list[tuple] = []
        self._seen: set[int] = set()
        for module in list(model.modules()):
            self._keep(vars(module))

    def _keep(self, value: object) -> None:
        if id(value) in self._seen:
            return
        if isinstance(value, Tensor):
            self._seen.add(id(value))
            self._keep_tensor(value)
        elif type(value) in CONTAINERS or type(value) is tuple:
            self._seen.add(id(value))
            # The copy also keeps all that is inside alive, so that no id is used again.
            self._containers.append((value, type(value)(value)))
            for inner in value.values() if isinstance(value, dict) else value:
                self._keep(inner)

    def _keep_tensor(self, tensor: Tensor) -> None:
        same = tensor.data  # another name for the same storage
        contents = None if is_lazy(tensor) or tensor.is_meta else same.clone()
        grad = tensor.grad if tensor.is_leaf else None
        state = type(tensor), tensor.requires_grad, grad
        self._tensors.append((tensor, same, contents, state))
        if grad is not None:
            self._keep(grad)

    def put_back(self) -> None:
        for container, held in self._containers:
            if isinstance(container, tuple):
                continue  # it cannot have changed; what it holds can
            container.clear()
            container.extend(held) if type(held) is list else container.update(held)
        for tensor, same, contents, (kind, requires_grad, grad) in self._tensors:
            if type(tensor) is not kind:  # a lazy parameter that has got its shape
                tensor.__class__ = kind
            if not _is_view_of(tensor, same):
                tensor.data = same
            if contents is not None and _differ(same, contents):
                with torch.inference_mode():  # tensors made in that mode, too
                    same.copy_(contents)
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
            if tensor.is_leaf and tensor.grad is not grad:
                tensor.grad = grad


def _differ(now: Tensor, before: Tensor) -> bool:
    """Whether contents have to be written back: compared byte by byte, -0.0 and nan too."""
    if now.layout != torch.strided or now.is_quantized:
        return True
    now, before = (t.contiguous().reshape(-1).view(torch.uint8) for t in (now, before))
    return not torch.equal(now, before)


def _is_view_of(tensor: Tensor, same: Tensor) -> bool:
    """Whether a tensor still has its old storage, shape and type."""
    return (
        not is_lazy(tensor)
        and tensor.dtype == same.dtype
        and tensor.device == same.device
        and tensor.layout == same.layout == torch.strided
        and (tensor.shape, tensor.stride()) == (same.shape, same.stride())
        and tensor.data_ptr() == same.data_ptr()
    )
