"""What ``cross_validate`` asks of its factories: something new for every fold."""

from __future__ import annotations

import math
import weakref

import torch
from torch import nn


def require_factories(
    make_model: object, make_optimizer: object, make_scheduler: object
) -> None:
    """Raise an error unless each is a function that builds, not what it built."""
    factories = [
        ("make_model", make_model, "lambda: Net()"),
        ("make_optimizer", make_optimizer, "lambda model: Adam(model.parameters())"),
        ("make_scheduler", make_scheduler, "lambda optimizer: StepLR(optimizer, 5)"),
    ]
    for name, factory, example in factories[: 2 + (make_scheduler is not None)]:
        if isinstance(factory, nn.Module) or not callable(factory):
            raise TypeError(
                f"cross_validate: {name} must be a function that builds a new one for "
                f"each fold, got {type(factory).__name__}. Write {name}={example}."
            )


def require_fold(fold: object) -> None:
    """Raise an error unless a fold has the two loaders of :class:`helpers.folds.Fold`."""
    if not (hasattr(fold, "train") and hasattr(fold, "validation")):
        raise TypeError(
            "cross_validate: folds must come from kfold_loaders, got "
            f"{type(fold).__name__}. Write folds=kfold_loaders(x, y=y)."
        )


class Fresh:
    """Lets a model, optimizer or scheduler pass once, if it knows no earlier fold."""

    def __init__(self) -> None:
        self._used: list[weakref.ref] = []  # weak: the models of earlier folds may go

    def model(self, model: object) -> nn.Module:
        """Return the model, or say what it shares with an earlier one."""
        if not isinstance(model, nn.Module):
            raise TypeError(
                "cross_validate: make_model must return an nn.Module, got "
                f"{type(model).__name__}. Does its function end with return?"
            )
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        parts = [*trained, *model.named_buffers()]
        used = {id(part) for part in (ref() for ref in self._used) if part is not None}
        if id(model) in used:
            raise ValueError(
                "cross_validate: make_model must build a new model at each call, got "
                "the same object twice. Move the call of the class into the function."
            )
        for name, part in parts:
            if id(part) in used:
                raise ValueError(
                    "cross_validate: make_model must build a new model at each call, "
                    f"got {name} of an earlier fold. Build or copy that layer inside it."
                )
        self._used += [weakref.ref(part) for part in (model, *(p for _, p in parts))]
        return model

    def optimizer(self, optimizer: object, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer, or say that it moves other weights than the model's."""
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                "cross_validate: make_optimizer must return an optimizer, got "
                f"{type(optimizer).__name__}. Does its function end with return?"
            )
        own = {id(parameter) for parameter in model.parameters()}
        moved = [p for group in optimizer.param_groups for p in group["params"]]
        if any(id(parameter) not in own for parameter in moved):
            raise ValueError(
                "cross_validate: make_optimizer must build a new optimizer for the model "
                "it is given, got one that holds other weights, such as an earlier "
                "fold's. Write lambda model: Adam(model.parameters())."
            )
        return optimizer

    def scheduler(self, scheduler: object, optimizer: torch.optim.Optimizer):
        """Return the scheduler, or say that it belongs elsewhere or needs a score."""
        from torch.optim import lr_scheduler

        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            raise TypeError(
                "cross_validate: make_scheduler must not return ReduceLROnPlateau: it "
                "would read the fold's score during training. Use one without a metric."
            )
        if not isinstance(scheduler, lr_scheduler.LRScheduler):
            raise TypeError(
                "cross_validate: make_scheduler must return a scheduler, got "
                f"{type(scheduler).__name__}. Does its function end with return?"
            )
        if scheduler.optimizer is not optimizer:
            raise ValueError(
                "cross_validate: make_scheduler must build a new scheduler for the "
                "optimizer it is given, got one that steps another. "
                "Write lambda optimizer: StepLR(optimizer, 5)."
            )
        return scheduler


def finite_score(value: object, number: int) -> float:
    """Return a fold's score as a float, or say that it is none."""
    try:
        score = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"cross_validate: score must return one number, got {type(value).__name__}."
        ) from None
    if not math.isfinite(score):
        raise ValueError(
            f"cross_validate: score must be finite, got {score} in fold {number}. "
            "Look at that fold's outputs: nan inputs, or a loss that diverged?"
        )
    return score


def some(scores: list[float]) -> list[float]:
    """Return the scores, or say that there was no fold."""
    if not scores:
        raise ValueError(
            "cross_validate: folds must hold at least one fold, got none. "
            "An iterator can be used once: call kfold_loaders again."
        )
    return scores
