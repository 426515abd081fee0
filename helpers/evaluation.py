"""What a model says about a whole data set: collected once, then handed to any metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from helpers.modes import evaluating


def predictions(model: nn.Module, loader: Iterable) -> tuple[Tensor, Tensor]:
    """Return the true and the predicted class of every sample, for any metric.

    The model is run in ``eval()`` mode without gradients, and gets each submodule's own
    mode back. Results go to the CPU batch by batch, so the memory of a GPU does not grow
    with the data set. Both results have the loader's order; if it shuffles, they are
    shuffled together. A loader with ``drop_last=True`` leaves samples out.

    Args:
        model: returns logits, not probabilities: ``(B, C)`` for C classes, where the
            largest wins, or ``(B,)`` or ``(B, 1)`` for two, where a logit above 0 is
            class 1. It is on one device; inputs are moved there.
        loader: yields ``(x, y)`` or ``(x1, x2, ..., y)`` in batches; the model is called
            with all inputs. ``y`` holds classes from 0, ``(B,)`` or ``(B, 1)``: integers,
            bool, or whole floating-point numbers.

    Returns:
        ``y_true`` and ``y_pred``, int64 ``(N,)`` on the CPU.

    Raises:
        TypeError: if ``model`` is no module, ``loader`` yields no batches, or inputs,
            ``y`` or the model's output are no tensors of the right type.
        ValueError: if there is no batch, a tensor holds no data, the model is on several
            devices, its output is not finite or has the wrong shape, or ``y`` has the
            wrong shape or holds something else than the model's classes.

    Warns:
        UserWarning: if all outputs for two classes lie between 0 and 1, as probabilities
            do. Every one of them is above 0.

    Example:
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> data = TensorDataset(torch.tensor([[-2.0], [0.5], [3.0]]), torch.tensor([0, 0, 1]))
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

    y_true, y_pred = _collect("predictions", model, loader, decide)
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
    raises the same errors under its own name.

    Returns:
        ``y_true``, int64 ``(N,)``, and the logits, ``(N, C)`` or for two classes
        ``(N,)``, in the model's floating-point type; both on the CPU.

    Example:
        >>> loader = [(torch.tensor([[-2.0], [0.5]]), torch.tensor([0, 1]))]
        >>> collect_logits(nn.Identity(), loader)
        (tensor([0, 1]), tensor([-2.0000,  0.5000]))
    """
    return _collect("collect_logits", model, loader, lambda logits: logits)


def _collect(
    caller: str, model: nn.Module, loader: Iterable, reduce: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return all targets and all reduced logits, or say what is wrong."""
    device = _device(caller, model)
    no_batches = (Dataset, Tensor, dict, str)
    if isinstance(loader, no_batches) or not hasattr(loader, "__iter__"):
        raise TypeError(
            f"{caller}: loader must yield batches, got {type(loader).__name__}. "
            "Wrap a data set: DataLoader(dataset, batch_size=256)."
        )
    results, widths = [], set()
    with evaluating(model):
        for count, batch in enumerate(loader, 1):
            where = f"{caller}: batch {count}: "
            y, logits = _one_batch(where, model, device, batch)
            widths.add(logits.shape[1:])
            if len(widths) > 1:
                raise ValueError(
                    f"{where}model must return as many classes as for the batch before, "
                    f"got rows of shape {tuple(logits.shape[1:])}."
                )
            results.append((y, reduce(logits)))
    if not results:
        raise ValueError(
            f"{caller}: loader must yield at least one batch, got none. Is the data set "
            "empty, a generator used up, or drop_last=True with few samples?"
        )
    y_true, reduced = zip(*results, strict=True)
    return torch.cat(y_true), torch.cat(reduced)


def _one_batch(
    where: str, model: nn.Module, device: torch.device | None, batch: object
) -> tuple[Tensor, Tensor]:
    """Return targets and logits of a batch on the CPU; nothing else of it stays alive."""
    *inputs, y = _parts(where, batch)
    if device is not None:
        inputs = [x.to(device) for x in inputs]
    logits = _logits(where, model(*inputs), len(y))
    return _classes(where, y, logits), logits


def _device(caller: str, model: object) -> torch.device | None:
    """Return the one device of a model, None if it holds no tensor."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{caller}: model must be an nn.Module, got {type(model).__name__}. "
            "Put a function into a module's forward."
        )
    devices = {t.device for t in (*model.parameters(), *model.buffers())}
    if len(devices) > 1:
        names = ", ".join(sorted(map(str, devices)))
        raise ValueError(
            f"{caller}: model must be on one device, got {names}. Move it: "
            "model.to(device)."
        )
    if any(device.type == "meta" for device in devices):
        raise ValueError(
            f"{caller}: model must hold data, got weights on the 'meta' device. Load its "
            "weights first: model.to_empty(device=...), then load_state_dict."
        )
    return devices.pop() if devices else None


def _parts(where: str, batch: object) -> tuple[Tensor, ...]:
    """Return the tensors of a batch: one or more inputs and the targets."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        got = type(batch).__name__
        got += f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise TypeError(
            f"{where}loader must yield tuples (x, y) or (x1, x2, ..., y), got {got}. "
            "Give it a collate_fn that does."
        )
    for i, part in enumerate(batch, 1):
        name = "y" if i == len(batch) else f"input {i}"
        if not isinstance(part, Tensor):
            raise TypeError(
                f"{where}{name} must be a torch.Tensor, got {type(part).__name__}. "
                "Let DataLoader(dataset, batch_size=...) make the batches."
            )
        if part.is_meta:
            raise ValueError(
                f"{where}{name} must hold data, got a tensor on the 'meta' device. "
                "Pass real tensors; they may be on any other device."
            )
    if batch[-1].ndim == 0 or len(batch[-1]) == 0:
        raise ValueError(
            f"{where}y must hold the class of at least one sample, got shape "
            f"{tuple(batch[-1].shape)}. Let DataLoader(dataset, batch_size=...) batch."
        )
    return tuple(batch)


def _logits(where: str, output: object, rows: int) -> Tensor:
    """Return the model's output on the CPU as ``(B, C)``, or ``(B,)`` for two classes."""
    if not isinstance(output, Tensor) or not output.is_floating_point():
        got = output.dtype if isinstance(output, Tensor) else type(output).__name__
        raise TypeError(
            f"{where}model must return a floating-point tensor of logits, got {got}. "
            "Use a module whose forward returns the logits alone."
        )
    if output.ndim not in (1, 2) or len(output) != rows or output.shape[-1] == 0:
        raise ValueError(
            f"{where}model must return logits (B, C), (B, 1) or (B,), one row for each "
            f"target, got shape {tuple(output.shape)} for {rows} in y. Write squeeze(1), "
            "not squeeze(); flatten the positions of tokens or pixels into the batch."
        )
    output = output.detach().to("cpu", copy=True)
    if not torch.isfinite(output).all():
        row = (~torch.isfinite(output)).nonzero()[0, 0].item()
        raise ValueError(
            f"{where}model must return finite logits, got {output[row].tolist()} for "
            f"sample {row}. Look for nan in its input, or an overflow in float16."
        )
    return output.squeeze(1) if output.shape[1:] == (1,) else output


def _classes(where: str, y: Tensor, logits: Tensor) -> Tensor:
    """Return the targets as int64 ``(B,)`` on the CPU."""
    if y.shape not in ((len(logits),), (len(logits), 1)):
        raise ValueError(
            f"{where}y must hold one class for each of {len(logits)} samples, (B,) or "
            f"(B, 1), got shape {tuple(y.shape)}. For one-hot rows pass y.argmax(dim=1)."
        )
    if y.is_complex():
        raise TypeError(f"{where}y must hold classes, got {y.dtype}. Take y.real.")
    # A copy: a loader's workers share memory, and a file handle, with what they yield.
    y = y.detach().to("cpu", copy=True).reshape(-1)
    count = 2 if logits.ndim == 1 else logits.shape[1]
    whole = y.long()
    wrong = (whole != y) | (whole < 0) | (whole >= count)  # nan is not whole
    if wrong.any():
        row = wrong.nonzero()[0].item()
        raise ValueError(
            f"{where}y must hold classes from 0 to {count - 1}, got {y[row].item()} for "
            f"sample {row}. Leave out ignored samples, and renumber classes from 0."
        )
    return whole
