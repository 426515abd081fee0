"""What every check is made of: the three answers, and numbers checked on a page too."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
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
    It gets copies of tensors, so it may change them. The check may draw random numbers:
    those that the reader draws afterwards stay the same.

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


def _reporting_its_errors(attempt: Callable, name: str) -> Callable:
    """Return the function on copies of its tensors; what it raises is AttemptFailed."""

    def call(*args):
        copies = [a.clone() if hasattr(a, "clone") else a for a in args]
        try:
            return attempt(*copies)
        except Exception as error:
            text = f"{name} raised {type(error).__name__}: {error}"
            raise AttemptFailed(text) from error

    return call


def wrong_tensor(result: object, expected: object) -> Verdict | None:
    """Return a hint if a result is no tensor of the expected shape, dtype and gradient."""
    if type(result) is not type(expected):
        return hint(f"return a tensor, got {type(result).__name__}.")
    if result.shape != expected.shape:
        return hint(f"return shape {tuple(expected.shape)}, got {tuple(result.shape)}.")
    if result.dtype != expected.dtype:
        return hint(f"keep the input's dtype {expected.dtype}, got {result.dtype}.")
    if expected.requires_grad and not result.requires_grad:
        return hint("the result has no gradient: leave out detach() and no_grad().")
    return None


def gradient_of(result, inputs):
    """Return the gradient of a reader's result, summed, with respect to the inputs."""
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
    for name, (letter, why) in key.items():
        if str(answer[name]).strip().upper() != letter:
            return hint(f"{name}: {why}")
    return correct(praise)


class Hint(NamedTuple):
    """What to say to a wrong number from ``low`` to ``high``, both included."""

    low: float
    high: float
    text: str


class NumberCheck:
    """A check of one number, in a cell or in a box on the page.

    Called with the stub's ``...`` it returns a box that takes the answer in the page,
    with a kernel or without one; called with a number it returns a :class:`Verdict`.

    Args:
        prompt: the question in one sentence.
        answer: the right number.
        tolerance: how far from it is still right, 0 or more.
        praise: what a right answer shows.
        hints: tried in order, for wrong numbers.

    Example:
        >>> half = NumberCheck("What is 1/2?", 0.5, 0.01, "Half.", [])
        >>> half(0.5)
        ✓ Correct: Half.
        >>> half(2)
        ✗ Hint: 2 is too large.
    """

    def __init__(
        self,
        prompt: str,
        answer: float,
        tolerance: float,
        praise: str,
        hints: Sequence[Hint] = (),
    ) -> None:
        self.prompt, self.answer, self.tolerance = prompt, answer, tolerance
        self.praise, self.hints = praise, tuple(hints)

    def __call__(self, value: object):
        if value is ... or value is None:
            from helpers.exercises.answer_box import AnswerBox

            return AnswerBox(
                prompt=self.prompt,
                answer=self.answer,
                tolerance=self.tolerance,
                praise=self.praise,
                hints=[list(h) for h in self.hints],
            )
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return hint(f"pass one number, got {type(value).__name__}.")
        if not math.isfinite(number):
            return hint(f"pass a finite number, got {number}.")
        if abs(number - self.answer) <= self.tolerance:
            return correct(self.praise)
        for low, high, text in self.hints:
            if low <= number <= high:
                return hint(text)
        side = "small" if number < self.answer else "large"
        return hint(f"{number:g} is too {side}.")
