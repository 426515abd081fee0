"""Tests that a reader can put to any model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.modes import evaluating


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
        True if some output moves by more than ``atol``.

    Raises:
        TypeError: if ``model`` cannot be called, ``x`` is no tensor, or the model
            returns something else than a tensor.
        ValueError: if ``x`` has fewer than two samples, ``atol`` is negative, or the
            output has not one row per sample or is not finite.

    Example:
        >>> x = torch.randn(4, 3)
        >>> depends_on_batch(nn.Softmax(dim=1), x), depends_on_batch(nn.Softmax(dim=0), x)
        (False, True)
    """
    if not callable(model):
        raise TypeError(
            f"depends_on_batch: model must be a module or a function, got {model!r}."
        )
    if not isinstance(x, Tensor):
        raise TypeError(
            f"depends_on_batch: x must be a torch.Tensor, got {type(x).__name__}. "
            "Convert it: torch.as_tensor(x)."
        )
    if x.ndim == 0 or len(x) < 2:
        raise ValueError(
            "depends_on_batch: x must hold at least two samples (B, ...), got shape "
            f"{tuple(x.shape)}. One sample has no neighbours."
        )
    if not atol >= 0:
        raise ValueError(f"depends_on_batch: atol must be 0 or more, got {atol}.")

    alone = torch.no_grad()
    if isinstance(model, nn.Module):
        alone = evaluating(model)
    with alone:
        together = _rows(model, x)
        # Each in a batch of its own copies: a batch of one, some layers refuse.
        moved = max(
            (together[i] - _rows(model, x[i].expand_as(x).clone())[i]).abs().max()
            for i in (0, len(x) - 1)
        )
    return moved.item() > atol


def _rows(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Call the model and return its output in float64, or say what is wrong with it."""
    output = model(x)
    if not isinstance(output, Tensor):
        raise TypeError(
            "depends_on_batch: model must return a tensor, got "
            f"{type(output).__name__}. Wrap it: lambda x: model(x)[0]."
        )
    if output.ndim == 0 or len(output) != len(x):
        raise ValueError(
            "depends_on_batch: model must return one row per sample, got shape "
            f"{tuple(output.shape)} for {len(x)} samples."
        )
    if not torch.isfinite(output).all():
        raise ValueError(
            "depends_on_batch: model returned nan or inf, so nothing can be compared. "
            "Look for a masked row or an overflow first."
        )
    return output.double()
