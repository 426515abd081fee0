"""Change a model completely or not at all: what fails half way is undone."""

from __future__ import annotations

import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, UntypedStorage, nn
from torch.nn.parameter import is_lazy

CONTAINERS = (OrderedDict, dict, list, set, deque)  # the first that fits tells how


@contextlib.contextmanager
def all_or_nothing(model: nn.Module) -> Iterator[None]:
    """Undo what happened to a model if the ``with`` block ends in an exception.

    Put back are the contents, shape, dtype and gradient of parameters and buffers, and
    each submodule's attributes, with the dicts, lists, sets, deques and tensors that
    they hold, at any depth. Other objects stay as custom code left them: NumPy arrays,
    the attributes of objects that are no modules, what a scripted model holds besides
    its parameters and buffers. Costs a copy of the memory behind the model's tensors
    while the block runs.

    Args:
        model: any ``nn.Module``.

    Raises:
        TypeError: if ``model`` is not an ``nn.Module``.
        RuntimeError: if the block failed and a part could not be put back; all others
            have been.

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
    except BaseException as error:  # an interrupt must not leave a half, either
        failures = saved.put_back()
        if failures:
            raise RuntimeError(
                f"all_or_nothing: {len(failures)} parts of the model could not be put "
                f"back (first: {failures[0]}). Make the model anew."
            ) from error
        raise


class _Saved:
    """What is to be done to put every container, tensor and storage of a model back."""

    def __init__(self, model: nn.Module) -> None:
        self._undo: list[tuple[Callable, tuple]] = []
        self._seen: set[int] = set()
        self._stored: set[tuple] = set()
        for module in list(model.modules()):
            self._keep(vars(module))
        for tensor in [*model.parameters(), *model.buffers()]:
            self._keep(tensor)  # those of a scripted model are in no attribute

    def put_back(self) -> list[str]:
        """Undo everything, whatever fails, and return what has failed."""
        failures = []
        for undo, arguments in self._undo:
            try:
                undo(*arguments)
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")
        return failures

    def _keep(self, value: object) -> None:
        if id(value) in self._seen:
            return
        if isinstance(value, Tensor):
            self._seen.add(id(value))
            self._keep_tensor(value)
        elif isinstance(value, (*CONTAINERS, tuple)):
            self._seen.add(id(value))
            # The pieces also keep all that is inside alive, so no id is used again.
            pieces = _pieces(value)
            self._undo.append((_refill, (value, pieces)))
            for piece in pieces:
                self._keep(piece)

    def _keep_tensor(self, tensor: Tensor) -> None:
        grad = tensor.grad if tensor.is_leaf else None
        self._keep(grad)  # first, since a gradient must fit when it is put back
        same = tensor.data  # another name for the same storage
        state = type(tensor), tensor.requires_grad, grad
        self._undo.append((_reattach, (tensor, same, *state)))
        if is_lazy(tensor) or tensor.is_meta:
            return
        where = _memory(same)
        if isinstance(where, UntypedStorage):  # which several tensors may share
            address = str(where.device), where.data_ptr(), where.nbytes()
            if address in self._stored:
                return
            self._stored.add(address)
        self._undo.append((_rewrite, (where, where.clone())))


def _pieces(container) -> list:
    """Return the elements of a container; of a dict the keys, then the values."""
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return list(container)


def _refill(container, pieces: list) -> None:
    """Give a container its elements back, unless it has them still."""
    now = _pieces(container)
    if len(now) == len(pieces) and all(
        a is b for a, b in zip(now, pieces, strict=True)
    ):
        return
    kind = next(kind for kind in CONTAINERS if isinstance(container, kind))
    kind.clear(container)  # and not what a subclass may have made of it
    if isinstance(container, dict):
        half = len(pieces) // 2
        kind.update(container, zip(pieces[:half], pieces[half:], strict=True))
    elif kind is set:
        kind.update(container, pieces)
    else:
        kind.extend(container, pieces)


def _reattach(tensor: Tensor, same: Tensor, kind, requires_grad: bool, grad) -> None:
    """Give a tensor its storage, shape, type and gradient back."""
    if type(tensor) is not kind:  # a lazy parameter that has got its shape
        tensor.__class__ = kind
    tensor.data = same
    if tensor.requires_grad != requires_grad:
        tensor.requires_grad_(requires_grad)
    if tensor.is_leaf and tensor.grad is not grad:
        tensor.grad = grad


def _memory(tensor: Tensor) -> UntypedStorage | Tensor:
    """Return the bytes behind a tensor; the tensor itself if others hold them for it."""
    try:
        storage = tensor.untyped_storage()
        storage.data_ptr()  # raises an error if it is a stand-in
    except (NotImplementedError, RuntimeError):  # sparse, or a wrapper of other tensors
        return tensor
    return storage


def _rewrite(where: UntypedStorage | Tensor, contents) -> None:
    """Write old contents back, unless they are there still, byte by byte."""
    if isinstance(where, UntypedStorage):
        if where.nbytes() != contents.nbytes():
            where.resize_(contents.nbytes())
        where, contents = (_as_bytes(storage) for storage in (where, contents))
        if torch.equal(where, contents):
            return
    with torch.inference_mode():  # tensors made in that mode, too
        where.copy_(contents)


def _as_bytes(storage: UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
