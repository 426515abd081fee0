"""Traits whose errors name the bounds of a number or list, and a trait that is made."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from traitlets import Float, Int, List, TraitError, TraitType


class _Within:
    """A number between two bounds, named in the error wherever the number stands."""

    def validate(self, obj, value):
        # nan lies within any bounds to traitlets, and True is an int to Python
        if isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
            self.error(obj, value)
        try:
            return super().validate(obj, value)
        except TraitError:
            self.error(obj, value)

    def info(self) -> str:
        return f"{self.info_text} from {self.min} to {self.max}"


class Number(_Within, Float):
    """A float between two bounds."""

    info_text = "a number"


class Whole(_Within, Int):
    """An int between two bounds."""

    info_text = "a whole number"


class Row(List):
    """A list with a least and a greatest length."""

    def __init__(self, cell: TraitType, default: list, minlen: int, maxlen: int):
        super().__init__(cell, default, minlen=minlen, maxlen=maxlen)
        self.lengths = f"{minlen}" if minlen == maxlen else f"{minlen} to {maxlen}"

    def length_error(self, obj, value):
        self.error(obj, value)  # traitlets' own would not name the trait inside a list

    def info(self) -> str:
        return f"a list of length {self.lengths}"


class Fixed(TraitType):
    """What the widget makes itself: no setting but an equal value is accepted."""

    def __init__(self, make: Callable[[], object]) -> None:
        super().__init__()
        self.make_dynamic_default = functools.cache(make)

    def validate(self, obj, value):
        if value != self.make_dynamic_default():
            raise TraitError(
                f"{type(obj).__name__}: {self.name} cannot be set: the widget makes it."
            )
        return value


def grid(default: list, cell: TraitType) -> Row:
    """Return a list trait with the shape of its default, and cells that a trait checks."""
    inner = grid(default[0], cell) if isinstance(default[0], list) else cell
    return Row(inner, default, len(default), len(default))
