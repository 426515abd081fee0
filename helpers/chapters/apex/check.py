"""Checks of the chapter on apex."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector
from torch.optim.optimizer import register_optimizer_step_pre_hook

from helpers.exercises.verdicts import (
    Verdict,
    advice_on,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. port a loop -------------------------------------------------------------------


def _model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def _batches() -> list[tuple[Tensor, Tensor]]:
    """Return 13 batches: one step overflows, one is clipped, one batch is left over."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(13, 32, 8, generator=generator)
    x[:2] *= 30
    x[2:4] *= 3
    return list(zip(x, x[..., :3].argmax(dim=-1), strict=True))


def _by_the_book(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    half: bool = True,
    loss_inside: bool = True,
    share: float = 2.0,
    unscale: bool = True,
    clip: bool = True,
    every: int = 2,
    step_on_rest: bool = False,
    clear_each: bool = False,
) -> torch.amp.GradScaler:
    """Train as the exercise asks, or with one mistake."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    batches = list(batches)
    for i, (x, y) in enumerate(batches):
        if clear_each:
            optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16, enabled=half):
            logits = model(x)
        with torch.autocast("cpu", dtype=torch.float16, enabled=half and loss_inside):
            loss = F.cross_entropy(logits, y) / share
        scaler.scale(loss).backward()
        rest = step_on_rest and i == len(batches) - 1
        if i % every == every - 1 or rest:
            if unscale:
                scaler.unscale_(optimizer)
            if clip:
                clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    return scaler


@contextmanager
def _optimizers() -> Iterator[list[torch.optim.Optimizer]]:
    """Give a list to which every optimizer that steps is added."""
    used: list[torch.optim.Optimizer] = []
    handle = register_optimizer_step_pre_hook(lambda o, args, kwargs: used.append(o))
    try:
        yield used
    finally:
        handle.remove()


MISTAKES = [
    (
        {"unscale": False},
        "the gradients are clipped while they are still scaled, or are divided twice.",
    ),
    ({"clip": False}, "nothing is clipped: limit the norm to 0.5."),
    ({"half": False}, "the forward pass ran in float32: put it into autocast."),
    ({"loss_inside": False}, "compute the loss inside autocast too, or it is float16."),
    (
        {"clear_each": True},
        "zero_grad before each batch clears the first of the two: call it after a step.",
    ),
    ({"every": 1}, "you step after every batch; the old loop steps after two."),
    (
        {"step_on_rest": True},
        "the last of an odd number of batches makes no step of its own.",
    ),
    ({"share": 1.0}, "the loss of each batch counts half: divide it by 2."),
]


# What the scaler's own errors leave unsaid.
ADVICE = {
    "unscale_() is being called after step()": "Which call ends a step of the scaler?",
    "unscale_() has already been called": "Unscale once for each step, not each batch. "
    "Which call ends a step of the scaler?",
    "No inf checks were recorded prior to update": "Before update() comes "
    "scaler.step(optimizer), not optimizer.step(); call both once for each step.",
    "No inf checks were recorded for this optimizer": "The step found no gradients. "
    "Where are they cleared?",
}


def _call(fn: Callable, model: nn.Module, batches: list) -> object:
    with advice_on(ADVICE):
        return fn(model, batches)


def _started(fn: Callable) -> object:
    """Return what a first call gives, or what stepped in it: then a body is written."""
    with _optimizers() as used:
        result = _call(fn, _model(), _batches())
    return used or result


def _trained(fn: Callable) -> tuple[object, Tensor, nn.Module]:
    model = _model()
    result = _call(fn, model, _batches())
    return result, parameters_to_vector(model.parameters()).detach(), model


def _judge(fn: Callable, settings: dict, praise: str, nan=hint) -> Verdict:
    """Compare what a reader's loop makes of a model with a right one, and with mistakes."""
    with _optimizers() as used:
        scaler, weights, model = _trained(fn)
    if not isinstance(scaler, torch.amp.GradScaler):
        return hint(f"return the scaler, got {type(scaler).__name__}.")
    if not scaler.is_enabled():
        return hint(
            "the scaler is off, so nothing was scaled. "
            'Write torch.amp.GradScaler("cpu").'
        )
    if {p.dtype for p in model.parameters()} != {torch.float32}:
        return hint("the weights must stay in float32; autocast casts copies of them.")
    if any(isinstance(o, torch.optim.SGD) and o.defaults["fused"] for o in used):
        return hint(
            "leave fused=True away: where the first step is left out, fused SGD goes on "
            "with a momentum that was never written."
        )
    if not weights.isfinite().all():
        return nan(
            "the weights are nan. One step overflows: leave the step to the scaler, "
            "with scaler.step(optimizer)."
        )
    right = partial(_by_the_book, **settings)
    expected_scaler, expected, _ = _trained(right)
    if not torch.allclose(weights, expected, atol=1e-6):
        if torch.equal(weights, parameters_to_vector(_model().parameters())):
            return hint(
                "the model has not changed. Does scaler.step(optimizer) run, or are the "
                "gradients never cleared? The first inf then stays."
            )
        for change, text in MISTAKES:
            _, wrong, _ = _trained(partial(_by_the_book, **settings | change))
            if torch.allclose(weights, wrong, atol=1e-6):
                return hint(text)
        # Two batches in one backward are right too, and round otherwise.
        if not torch.allclose(weights, expected, atol=1e-4):
            return hint(
                "the weights are not those of a right loop. Check each of these: "
                "float16, scale, unscale_, clip to 0.5, after which batches you step, "
                "update, zero_grad, and the settings of optimizer and scaler."
            )
    if scaler.get_scale() != expected_scaler.get_scale():
        return hint(
            f"the weights are right, but the scale ends at {scaler.get_scale():g}; "
            "with one scaler that starts at its default, updated once for each step, it is "
            f"{expected_scaler.get_scale():g}."
        )
    return correct(praise)


@checks_function(_started)
def train_clipped(fn: Callable[[nn.Module, Iterable], object]) -> Verdict:
    """Check a half ported loop: clipping and float16, one step for each batch.

    Args:
        fn: takes a model and batches, trains the model, returns the scaler.
    """
    each = {"every": 1, "share": 1.0}
    praise = "clipped at their true size, and no step is made of inf."
    return _judge(fn, each, praise, nan=not_yet)


@checks_function(_started)
def train(fn: Callable[[nn.Module, Iterable], object]) -> Verdict:
    """Check a loop ported from apex: accumulation over two batches, clipping, float16.

    Args:
        fn: takes a model and batches, trains the model, returns the scaler.
    """
    praise = "weights and scale are as they should be, the overflow included."
    return _judge(fn, {}, praise)
