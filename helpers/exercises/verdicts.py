"""The three answers of a check, and what checks of functions and letters share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

SIGNS = {"not yet": "○ Not yet:", "hint": "✗ Hint:", "correct": "✓ Correct:"}


class Verdict(NamedTuple):
    """What a check answers.

    Attributes:
        state: ``"not yet"``, ``"hint"`` or ``"correct"``.
        text: one or two sentences.
    """

    state: str
    text: str

    def __repr__(self) -> str:
        return f"{SIGNS[self.state]} {self.text}"


def not_yet(text: str) -> Verdict:
    """Answer an exercise that has not been tried."""
    return Verdict("not yet", text)


def hint(text: str) -> Verdict:
    """Answer a wrong attempt with what to look at next."""
    return Verdict("hint", text)


def correct(text: str) -> Verdict:
    """Answer a right attempt, with what it shows."""
    return Verdict("correct", text)


class AttemptFailed(Exception):
    """The reader's function raised; anything else that a check raises is our bug."""


def checks_function(first_call: Callable[[Callable], object]):
    """Make a check of a reader's function: stubs and exceptions get their answer here.

    The reader may hand over anything, so whatever their function raises becomes a hint.
    A function that changes its tensors in place gets a hint: it would change its caller's.
    The check may draw random numbers: those that the reader draws afterwards stay the same.

    Args:
        first_call: calls the reader's function once; its result is None for a stub.

    Returns:
        A decorator for a check that is only called when the function is not a stub.
    """

    def decorate(check: Callable[[Callable], Verdict]) -> Callable[[object], Verdict]:
        @functools.wraps(check)
        def checked(attempt: object) -> Verdict:
            import torch

            if not callable(attempt):
                return hint(
                    f"pass the function itself, got {type(attempt).__name__}. "
                    f"Write check.{check.__name__}(your_function), without brackets."
                )
            name = getattr(attempt, "__name__", "your function")
            fn = _reporting_its_errors(attempt, name)
            try:
                with torch.random.fork_rng(devices=[]):
                    if first_call(fn) is not None:
                        return check(fn)
            except AttemptFailed as failure:
                return hint(str(failure))
            return not_yet(f"{name} returned None. Write its body, then rerun.")

        return checked

    return decorate


def checks_code(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Make a check of several pieces of a reader's code, such as a model and its loss.

    Whatever the code raises becomes a hint. The check begins with the same random numbers
    every time, and those that the reader draws afterwards stay the same.
    """

    @functools.wraps(check)
    def checked(*pieces: object, **named: object) -> Verdict:
        import torch

        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return check(*pieces, **named)
        except Exception as error:  # the reader's code may do anything
            return hint(f"your code raised {type(error).__name__}: {error}")

    return checked


@contextmanager
def advice_on(errors: dict[str, str]) -> Iterator[None]:
    """Add to a failed attempt what a part of its message means in the exercise."""
    try:
        yield
    except AttemptFailed as failure:
        for part, advice in errors.items():
            if part in str(failure):
                raise AttemptFailed(f"{failure} {advice}") from failure
        raise


def _reporting_its_errors(attempt: Callable, name: str) -> Callable:
    """Return the function on copies of its tensors; what it raises is AttemptFailed."""

    def call(*args):
        copies = [a.clone() if hasattr(a, "clone") else a for a in args]
        try:
            result = attempt(*copies)
        except Exception as error:
            text = f"{name} raised {type(error).__name__}: {error}"
            raise AttemptFailed(text) from error
        for place, (copy, given) in enumerate(zip(copies, args, strict=True), 1):
            if hasattr(given, "clone") and not _same(copy, given):
                raise AttemptFailed(
                    f"{name} changes its argument {place} in place, and with it the "
                    "tensor of whoever calls it. Write x = x - 1 instead of x -= 1."
                )
        return result

    return call


def _same(one, other) -> bool:
    """Tell whether two tensors have the same shape and numbers; nan is the same as nan."""
    if one.shape != other.shape:
        return False
    both_nan = (one != one) & (other != other)
    return bool(((one == other) | both_nan).all())


def wrong_tensor(result: object, expected: object) -> Verdict | None:
    """Return a hint unless a result is a tensor of the expected shape, dtype and gradient."""
    if type(result) is not type(expected):
        return hint(f"return a tensor, got {type(result).__name__}.")
    if result.shape != expected.shape:
        return hint(f"return shape {tuple(expected.shape)}, got {tuple(result.shape)}.")
    if result.dtype != expected.dtype:
        return hint(f"keep the input's dtype {expected.dtype}, got {result.dtype}.")
    if expected.requires_grad and not result.requires_grad:
        return hint("the result has no gradient: leave out detach() and no_grad().")
    return None


def gradient_of_sum(result, inputs):
    """Return the gradient of the sum of a reader's result, with respect to the inputs.

    Raises:
        AttemptFailed: if autograd cannot compute it.
    """
    import torch

    try:
        (gradient,) = torch.autograd.grad(result.sum(), inputs)
    except RuntimeError as error:
        raise AttemptFailed(f"the gradient cannot be computed: {error}") from error
    return gradient


def letters(
    answer: object, key: dict[str, tuple[str, str]], count: str, ask: str, praise: str
) -> Verdict:
    """Check a dict from names to letters.

    Args:
        answer: what the reader wrote; the stub holds ``...`` for each letter.
        key: name: (right letter, what to think of).
        count: how many names there are, as a word.
        ask: what to do with an answer that is not complete.
        praise: what a right answer shows.
    """
    if answer is ... or answer is None:
        return not_yet(ask)
    if not isinstance(answer, dict) or set(answer) != set(key):
        return hint(f"keep the dict with its {count} names: {', '.join(key)}.")
    if any(letter is ... for letter in answer.values()):
        return not_yet(ask)
    for name, (letter, advice) in key.items():
        if str(answer[name]).strip().upper() != letter:
            return hint(f"{name}: {advice}")
    return correct(praise)
