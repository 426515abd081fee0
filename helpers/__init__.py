"""The take-home helpers of *Measured PyTorch*, and ``start``, which begins a notebook.

``from helpers import RunningMean`` loads what ``RunningMean`` needs and nothing else:
``import helpers`` costs next to nothing, and imports no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what an editor and a type checker see; a test holds it to TAKE_HOME
    from helpers.accumulation import accumulation_weights, grouped
    from helpers.checkpoints import CheckpointError, describe_checkpoint
    from helpers.cross_validation import accuracy, cross_validate, kfold_loaders
    from helpers.evaluation import (
        collect_logits,
        depends_on_batch,
        evaluating,
        kept_for_backward,
        predictions,
    )
    from helpers.flops import count_macs
    from helpers.image_statistics import dataset_mean_std
    from helpers.losses import pos_weight, prior_logits
    from helpers.mixed_precision import bands, dry_autocast
    from helpers.running_mean import RunningMean
    from helpers.state_dicts import load_matching, load_report

__version__ = "0.1.0"

# Module: the names that it gives a reader to take home.
TAKE_HOME = {
    "losses": ("pos_weight", "prior_logits"),
    "evaluation": (
        "evaluating",
        "predictions",
        "collect_logits",
        "depends_on_batch",
        "kept_for_backward",
    ),
    "accumulation": ("grouped", "accumulation_weights"),
    "mixed_precision": ("bands", "dry_autocast"),
    "running_mean": ("RunningMean",),
    "image_statistics": ("dataset_mean_std",),
    "cross_validation": ("kfold_loaders", "cross_validate", "accuracy"),
    "flops": ("count_macs",),
    "state_dicts": ("load_report", "load_matching"),
    "checkpoints": ("describe_checkpoint", "CheckpointError"),
}
_HOME = {name: module for module, names in TAKE_HOME.items() for name in names}

__all__ = [
    "CheckpointError",
    "RunningMean",
    "accumulation_weights",
    "accuracy",
    "bands",
    "collect_logits",
    "count_macs",
    "cross_validate",
    "dataset_mean_std",
    "depends_on_batch",
    "describe_checkpoint",
    "dry_autocast",
    "evaluating",
    "grouped",
    "kept_for_backward",
    "kfold_loaders",
    "load_matching",
    "load_report",
    "pos_weight",
    "predictions",
    "prior_logits",
    "start",
]


def __getattr__(name: str) -> object:
    """Load a take-home name when it is first used."""
    if name not in _HOME:
        raise AttributeError(
            f"module 'helpers' has no attribute {name!r}. It has: {', '.join(__all__)}."
        )
    value = getattr(importlib.import_module(f"helpers.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def start(seed: int = 0) -> None:
    """Make a notebook repeatable: seed PyTorch, set the figure style, shorten warnings.

    Args:
        seed: non-negative integer for :func:`torch.manual_seed`.

    Raises:
        TypeError: if ``seed`` is not an integer.
        ValueError: if ``seed`` is negative.

    Example:
        >>> import torch
        >>> from helpers import start
        >>> start(seed=0)
        >>> round(torch.rand(1).item(), 4)
        0.4963
    """
    from helpers._arguments import require_seed

    require_seed("start", seed, 2**64 - 1)

    import warnings

    import torch

    from helpers.notebook import style

    torch.manual_seed(int(seed))
    style.use()
    # The default text begins with the path of a file on the machine that ran it.
    warnings.formatwarning = lambda message, category, *_, **__: (
        f"{category.__name__}: {message}\n"
    )
