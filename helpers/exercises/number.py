"""A number, checked in a cell or in a box on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from helpers.exercises.verdicts import correct, hint


class Hint(NamedTuple):
    """What to say to a wrong number from ``low`` to ``high``, both included."""

    low: float
    high: float
    text: str


class NumberCheck:
    """A check of one number, in a cell or in a box on the page.

    Called with the stub's ``...`` it returns a box that takes the answer in the page,
    with a kernel or without one; called with a number it returns a
    :class:`~helpers.exercises.verdicts.Verdict`.

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

    def box(self):
        """Return the box that takes the answer in the page."""
        from helpers.exercises.number_box import AnswerBox

        return AnswerBox(
            prompt=self.prompt,
            answer=self.answer,
            tolerance=self.tolerance,
            praise=self.praise,
            hints=[list(h) for h in self.hints],
        )

    def __call__(self, value: object):
        if value is ... or value is None:
            return self.box()
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
        return hint(f"{number:.15g} is too {side}.")
