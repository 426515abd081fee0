"""Run a model for its outputs alone: its modes, its answers, what autograd keeps."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ContextDecorator, contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from helpers._arguments import (
    require_batches,
    require_each,
    require_module,
    require_shape,
    require_some,
    require_tensor,
)
from helpers._batches import moved, parted, require_fitting, way_to_logits

Yielded = TypeVar("Yielded")


def evaluating(
    model: nn.Module, *, inference: bool = False
) -> AbstractContextManager[None]:
    """Switch to ``eval()`` without gradients; give every submodule its own mode back.

    ``model.train()`` would not: it also wakes layers that were frozen in ``eval()``. A
    layer with a ``train`` of its own, such as one that merges weights in ``eval()``, is
    called, so that it undoes what it did.

    Args:
        model: any ``nn.Module``. What happens to its modes inside is undone, after an
            exception too.
        inference: use ``torch.inference_mode()`` instead of ``torch.no_grad()``.
            Autograd never takes its results again: not for results that are trained on
            later, nor for a model that keeps tensors from one call to the next.

    Returns:
        A context manager, or a decorator. It may be used again, and inside itself.

    Raises:
        TypeError: if ``model`` is not a module.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> with evaluating(model):
        ...     model.training, model(torch.ones(1, 2)).requires_grad
        (False, False)
        >>> model.training
        True

    Source: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
    """
    require_module("evaluating", model)
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


def predictions(model: nn.Module, loader: Iterable) -> tuple[Tensor, Tensor]:
    """Return the true and the predicted class of every sample, for any metric.

    The model is run in ``eval()`` mode without gradients, and gets each submodule's own
    mode back. Results go to the CPU batch by batch, so the memory of a GPU does not grow
    with the dataset. Both results have the loader's order; if it shuffles, they are
    shuffled together. A loader with ``drop_last=True`` leaves samples out.

    Args:
        model: returns logits, not probabilities: ``(B, C)`` for C classes, where the
            largest wins, or ``(B,)`` or ``(B, 1)`` for two, where a logit above 0 is
            class 1. They may be called ``logits`` in a dict or an object, or be the one
            thing in a tuple. Inputs are moved to the device of its first weight.
        loader: yields ``(x, y)`` or ``(x1, x2, ..., y)`` in batches, or dicts in which y
            is called ``labels``, ``label``, ``targets``, ``target`` or ``y``; the model is
            called with all inputs, those of a dict by name. ``y`` holds classes from 0,
            ``(B,)`` or ``(B, 1)``: integers, bool, or whole floating-point numbers.

    Returns:
        ``y_true`` and ``y_pred``, int64 ``(N,)`` on the CPU.

    Raises:
        TypeError: if ``model`` is not a module, ``loader`` yields no batches or more
            inputs than the model takes, or ``y`` or the model's output are not tensors of
            the right type.
        ValueError: if there is no batch, the output is not finite or has the wrong
            shape, or ``y`` has the wrong shape or holds something other than the
            model's classes.

    Warns:
        UserWarning: if all outputs for two classes lie between 0 and 1, as probabilities
            do. Every one of them is above 0.

    Example:
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> x, y = torch.tensor([[-2.0], [0.5], [3.0]]), torch.tensor([0, 0, 1])
        >>> data = TensorDataset(x, y)
        >>> y_true, y_pred = predictions(nn.Identity(), DataLoader(data, batch_size=2))
        >>> y_true, y_pred
        (tensor([0, 0, 1]), tensor([0, 1, 1]))

    Source: https://scikit-learn.org/stable/modules/model_evaluation.html
    """
    in_range = []

    def decide(logits: Tensor) -> Tensor:
        if logits.ndim == 2:
            in_range.append(False)
            return logits.argmax(dim=1)
        in_range.append(bool(((logits >= 0) & (logits <= 1)).all()))
        return (logits > 0).long()

    y_true, y_pred = _collect("predictions", model, loader, _classes, decide)
    if all(in_range):
        warnings.warn(
            f"predictions: all {len(y_pred)} outputs lie between 0 and 1, as probabilities "
            "do, and each above 0 counts as class 1. Return the logits: leave out the "
            "sigmoid.",
            stacklevel=2,
        )
    return y_true, y_pred


def collect_logits(model: nn.Module, loader: Iterable) -> tuple[Tensor, Tensor]:
    """Return the true class and the logits of every sample, to choose a threshold.

    Everything else is as in :func:`predictions`, which takes the same arguments and
    raises the same errors under its own name. Here ``y`` may also have one label for each
    logit, ``(B, C)``; it is then returned as it is, missing labels too. Each label has a
    threshold of its own: ``logits > 0`` where the model's probability is above one half.

    Returns:
        ``y_true``, int64 ``(N,)``, or with several labels in a row ``(N, C)`` of the
        loader's type, and the logits, ``(N, C)`` or for two classes ``(N,)``, in the
        model's floating-point type; all on the CPU.

    Example:
        >>> loader = [(torch.tensor([[-2.0], [0.5]]), torch.tensor([0, 1]))]
        >>> collect_logits(nn.Identity(), loader)
        (tensor([0, 1]), tensor([-2.0000,  0.5000]))
    """
    return _collect("collect_logits", model, loader, _labels, lambda logits: logits)


def _collect(
    caller: str, model: nn.Module, loader: Iterable, targets: Callable, reduce: Callable
) -> tuple[Tensor, Tensor]:
    """Return all targets and all reduced logits, or say what is wrong."""
    require_module(caller, model)
    wrap = "Wrap a dataset: DataLoader(dataset, batch_size=256)."
    require_batches(caller, "loader", loader, wrap)
    tensors = (*model.parameters(), *model.buffers())
    device = tensors[0].device if tensors else None
    results = []
    with evaluating(model):
        for count, batch in enumerate(loader, 1):
            where = f"{caller}: batch {count}"
            y, logits = _one_batch(where, model, device, batch, targets)
            results.append((y, reduce(logits)))
    advice = "Is the dataset empty, a generator used up, or drop_last=True?"
    require_some(caller, "loader", results, "batch", advice)
    y_true, reduced = zip(*results, strict=True)
    return torch.cat(y_true), torch.cat(reduced)


def _one_batch(
    where: str,
    model: nn.Module,
    device: torch.device | None,
    batch: object,
    targets: Callable,
) -> tuple[Tensor, Tensor]:
    """Return targets and logits of a batch on the CPU; nothing else of it stays alive."""
    collate = "Give it a collate_fn that returns (x, y) or (x1, x2, ..., y)."
    inputs, named, y = parted(where, batch, "loader yields", collate)
    advice = "Let DataLoader(dataset, batch_size=...) make the batches."
    if isinstance(y, (tuple, list)):
        advice = "Number the classes: torch.tensor([names.index(name) for name in y])."
    require_tensor(where, "y", y, advice)
    pair = "x, y" if inputs else f"b[{next(iter(named), 'x')!r}], b['labels']"
    rest = "for x, y, *_ in loader" if inputs else "for b in loader"
    advice = f"Leave out the rest, such as an index: (({pair}) {rest})."
    require_fitting(where, model, inputs, named, advice)
    # A model without a tensor of its own takes the inputs where they are.
    logits = _logits(where, model(*moved(inputs, device), **moved(named, device)))
    return targets(where, y, logits), logits


def _logits(where: str, output: object) -> Tensor:
    """Return the model's output on the CPU as ``(B, C)``, or ``(B,)`` for two classes."""
    output = _only_tensor(output)
    advice = "Return the logits, before argmax or rounding."
    if not isinstance(output, Tensor):
        way = f"lambda module, x, out: out{way_to_logits(output)}"
        advice = f"Choose the logits: model.register_forward_hook({way})."
    require_tensor(where, "what model returns", output, advice, floating=True)
    fine = output.ndim in (1, 2) and output.shape[-1] > 0
    must = "logits (B, C), (B, 1) or (B,)"
    advice = "Write squeeze(1), not squeeze(); flatten tokens or pixels into the batch."
    require_shape(where, "what model returns", output, fine, must, advice)
    output = output.detach().to("cpu", copy=True)
    advice = "Look for nan in its input, or an overflow in float16."
    require_each(where, "logits", output, output.isfinite(), "finite", advice)
    return output.squeeze(1) if output.shape[1:] == (1,) else output


def _only_tensor(output: object) -> object:
    """Return what an output calls logits, or the one thing that is in it."""
    entries = output if isinstance(output, (tuple, list)) else []
    if isinstance(output, Mapping):
        entries = [output["logits"]] if "logits" in output else output.values()
    elif hasattr(output, "logits"):
        entries = [output.logits]
    entries = [entry for entry in entries if entry is not None]
    return entries[0] if len(entries) == 1 else output


def _labels(where: str, y: Tensor, logits: Tensor) -> Tensor:
    """Return the targets on the CPU: one class for each row, or a label for each logit."""
    if logits.ndim == 2 and y.shape == logits.shape:
        return y.detach().to("cpu", copy=True)
    return _classes(where, y, logits)


def _classes(where: str, y: Tensor, logits: Tensor) -> Tensor:
    """Return the targets as int64 ``(B,)`` on the CPU."""
    rows = len(logits)
    must = f"({rows},) or ({rows}, 1), one class for each row of logits"
    fine, advice = y.shape in ((rows,), (rows, 1)), _way_to_classes(y, logits)
    require_shape(where, "y", y, fine, must, advice)
    # A copy: a loader's workers share memory, and a file handle, with what they yield.
    y = y.detach().to("cpu", copy=True).reshape(-1)
    count = 2 if logits.ndim == 1 else logits.shape[1]
    whole = y.long()
    known = (whole == y) & (whole >= 0) & (whole < count)  # nan is not whole
    advice = "Leave out ignored samples, and renumber classes from 0."
    require_each(where, "y", y, known, f"classes from 0 to {count - 1}", advice)
    return whole


def _way_to_classes(y: Tensor, logits: Tensor) -> str:
    """Say what targets of another shape are good for."""
    if y.ndim != 2 or len(y) != len(logits):
        return "Flatten both alike, so that each row has one class."
    one_each = torch.allclose(
        y.double().sum(dim=1), torch.ones(1).double().to(y.device)
    )
    ways = "For one-hot rows pass y.argmax(dim=1). " * one_each
    if y.shape == logits.shape:
        ways += (
            "For several labels in a row: y, logits = collect_logits(model, loader), "
            "then logits > 0."
        )
    return ways.rstrip() or "Give the model one logit for each label."


def depends_on_batch(
    model: Callable[[Tensor], Tensor], x: Tensor, atol: float = 1e-5
) -> bool:
    """Tell whether a sample's output changes with the other samples of its batch.

    A model at prediction time must not: a softmax or a normalisation over the batch
    dimension does. Modules are tested in ``eval()`` mode, without gradients, and get
    each submodule's own mode back.

    Args:
        model: an ``nn.Module`` or a function, from ``(B, ...)`` to ``(B, ...)``.
        x: a batch of at least two samples ``(B, ...)``, any dtype the model takes.
        atol: how far outputs may differ by rounding, 0 or more.

    Returns:
        True if some output moves by more than ``atol`` with other neighbours, or by more
        than 1% of the largest output in a batch of another size.

    Raises:
        TypeError: if ``x``, or what the model returns, is not a tensor.
        ValueError: if ``x`` has fewer than two samples, or the output has not one row
            per sample or is not finite.

    Example:
        >>> x = torch.randn(4, 3)
        >>> depends_on_batch(nn.Softmax(dim=1), x), depends_on_batch(nn.Softmax(dim=0), x)
        (False, True)
    """
    require_tensor("depends_on_batch", "x", x)
    several, must = x.ndim > 0 and len(x) > 1, "(B, ...) with at least two samples"
    advice = "One sample has no neighbours: pass two."
    require_shape("depends_on_batch", "x", x, several, must, advice)
    with evaluating(model) if isinstance(model, nn.Module) else torch.no_grad():
        together = _rows(model, x)
        # Each in a batch of its own copies: a batch of one, some layers refuse.
        moved = max(
            (together[i] - _rows(model, x[i].expand_as(x).clone())[i]).abs().max()
            for i in (0, len(x) - 1)
        )
        resized = _change_with_size(model, x, together)
    largest = together.abs().max().item()
    return moved.item() > atol or resized > max(atol, 0.01 * largest)


def _change_with_size(model: Callable, x: Tensor, together: Tensor) -> float:
    """Return how far the first output moves in a batch of another size.

    Where all outputs are equal, as behind a last layer that starts at zero, a softmax over
    the batch shows in nothing else. Another size also rounds otherwise.
    """
    others = x[:1].expand(3 if len(x) == 2 else 2, *x.shape[1:]).clone()
    try:
        return (together[0] - _rows(model, others)[0]).abs().max().item()
    except RuntimeError:  # it takes batches of one size alone
        return 0.0


def _rows(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Call the model and return its output in float64, or say what is wrong with it."""
    output, name = model(x), "what model returns"
    advice = "Pass a function that returns it: lambda x: model(x)[0]."
    require_tensor("depends_on_batch", name, output, advice)
    rows = output.shape[:1] == x.shape[:1]
    must = f"({len(x)}, ...), one row for each sample"
    advice = "Leave out what sums or averages over the batch."
    require_shape("depends_on_batch", name, output, rows, must, advice)
    advice = "Look for a masked row or an overflow: nan cannot be compared."
    require_each("depends_on_batch", name, output, output.isfinite(), "finite", advice)
    return output.double()


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
        TypeError: if ``model`` is not a module.

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
    require_module("kept_for_backward", model)
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
