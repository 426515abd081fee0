"""Run a model for its outputs alone, and give it back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch to ``eval()`` without gradients; give every submodule its own mode back.

    Args:
        model: any ``nn.Module``. What happens to its modes inside is undone, after an
            exception too.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> with evaluating(model):
        ...     model.training, model(torch.ones(1, 2)).requires_grad
        (False, False)
        >>> model.training
        True
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
