"""Checks of the chapter on mixed precision."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers._torch_internals import has_scaled
from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    advice_on,
    checks_function,
    correct,
    hint,
    not_yet,
)

smallest_scale = NumberCheck(
    prompt="Which is the smallest power of two that keeps 1e-8 from becoming 0 in float16?",
    answer=4,
    tolerance=0,
    praise="4e-8 is nearer to 2⁻²⁴ = 6e-8 than to 0, so it is rounded up. It keeps no "
    "digit of its own: for all eleven bits it must reach 2⁻¹⁴.",
    hints=[
        Hint(8, 8, "that works, and a smaller one does too: think of rounding."),
        Hint(5, 7, "a power of two, please; and think of rounding to the nearest."),
        Hint(8192, 8192, "that makes it a normal number. Less keeps it from 0."),
        Hint(
            1, 2, "even 2e-8 is nearer to 0 than to 6e-8, the smallest number above 0."
        ),
        Hint(3, 3, "that would do, but a power of two is asked for."),
    ],
)

scale = NumberCheck(
    prompt="Start 4096, backoff factor 0.25, growth interval 2: what is the scale after two "
    "steps that overflow and three that do not?",
    answer=512,
    tolerance=0,
    praise="4096 becomes 1024, then 256; two clean steps double it, and the third only "
    "begins the next interval.",
    hints=[
        Hint(4096, 4096, "that is where it starts. Each inf changes it."),
        Hint(
            256,
            256,
            "that is after the two infs. Clean steps count too: see the interval.",
        ),
        Hint(128, 128, "two clean steps double the scale; they do not halve it."),
        Hint(
            1024,
            1024,
            "two infs, and each multiplies by 0.25; then one interval of two "
            "clean steps is complete.",
        ),
        Hint(
            2048,
            2048,
            "each inf multiplies by 0.25, not by 0.5; and it takes two clean "
            "steps to double.",
        ),
        Hint(131072, 131072, "on inf it goes down."),
        Hint(9, 9, "that is its exponent: the scale is two to this power."),
    ],
)


# --- repair a training step -----------------------------------------------------------


def _case(large: float = 20.0, scale: float = 1024.0) -> tuple:
    """Return a model, its optimizer, a scaler, and a batch."""
    torch.manual_seed(0)
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return model, optimizer, scaler, large * torch.rand(16, 8), torch.arange(16) % 3


# What the scaler's own errors leave unsaid.
ADVICE = {
    "No inf checks were recorded prior to update": "Which call must come before it?",
    "No inf checks were recorded for this optimizer": "The step found no gradients. "
    "Where are they cleared?",
}


def _call(fn: Callable, case: tuple) -> Tensor:
    """Return how one call moves the weights."""
    before = nn.utils.parameters_to_vector(case[0].parameters()).detach()
    with advice_on(ADVICE):
        fn(*case)
    return nn.utils.parameters_to_vector(case[0].parameters()).detach() - before


def _expected(clip: bool = True, step: int = 1) -> Tensor:
    """Return how a step in float32 moves the weights."""

    def in_float32(model, optimizer, scaler, x, y):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return _call(in_float32, _case()) if step == 1 else _second(in_float32)


def _second(fn: Callable) -> Tensor:
    """Return how a second call, with other labels, moves the weights.

    Gradients are small and the scale is 1, so that clipping and unscaling do not hide what
    the first call has left in ``.grad``.
    """
    *rest, labels = _case(large=2.0, scale=1.0)
    _call(fn, (*rest, labels))
    return _call(fn, (*rest, labels.roll(1)))


def _stepped_last(case: tuple) -> bool:
    """Whether no `update` has followed the scaler's last `step`."""
    _, optimizer, scaler, *_ = case
    try:
        scaler.unscale_(optimizer)  # after a `step` it raises, until the next `update`
    except RuntimeError:
        return True
    return False


def _close(found: Tensor, wanted: Tensor) -> bool:
    return bool((found - wanted).norm() < 0.02 * wanted.norm())


@checks_function(lambda fn: True)  # a training step returns nothing
def train_step(fn: Callable[..., None]) -> Verdict:
    """Check one step in float16, clipped to norm 1.

    Args:
        fn: takes model, optimizer, scaler, samples ``(N, 8)`` and labels ``(N,)``.
    """
    case = _case()
    moved = _call(fn, case)
    clean = case[2].state_dict()["_growth_tracker"]
    if not moved.any():
        return not_yet("after a step the weights are those of before.")
    hardly = moved.norm() < 0.01 * _expected().norm()
    if hardly and not clean:
        return not_yet("the weights hardly move, and the scaler has learned nothing.")
    if hardly and _stepped_last(case):
        return hint("the weights hardly move: `update` is before `step`.")
    if hardly:
        return hint("the weights hardly move: which gradients are clipped to norm 1?")
    if _close(moved, _expected(clip=False)):
        return hint("the gradient is not clipped to norm 1.")
    if moved.norm() > 10 * _expected(clip=False).norm():
        return hint("the weights move by scaled gradients. Who divides by the scale?")
    if not _close(moved, _expected()):
        return hint("the weights move, but not as after a step in float32.")
    if not has_scaled(case[2]):
        return hint("the step is right, but no scaler: which call multiplies the loss?")
    if not clean:
        return hint(
            "the step is right, but the scaler does not know that it went well."
        )
    if not _close(_second(fn), _expected(step=2)):
        return hint("the gradients of one step are still there in the next.")
    return _overflow(fn) or correct(
        "true gradients are clipped, and the scaler hears of each step."
    )


def _overflow(fn: Callable) -> Verdict | None:
    """Return a hint unless a batch that float16 cannot hold is skipped."""
    case = _case(large=1e5)
    moved = _call(fn, case)
    if moved.any() and moved.isfinite().all():
        return hint(
            "nothing overflows, where float16 would. In which type does the forward "
            "pass run?"
        )
    if moved.any():
        return hint("a batch that overflows must leave the weights as they are.")
    if case[2].get_scale() != 512:
        return hint("a batch that overflows must halve the scale.")
    return None
