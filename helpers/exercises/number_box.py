"""A number asked and checked in the page, with a kernel or without one."""

import math

from traitlets import Float

from helpers.exercises.box import Box
from helpers.exercises.verdicts import SIGNS


class AnswerBox(Box):
    """Ask for one number, and answer with praise or a hint.

    Made by :class:`helpers.exercises.number.NumberCheck`, whose hints become lists
    ``[low, high, text]``; a chapter does not call it.
    """

    label = f"{SIGNS['not yet']} put a number instead of the dots. Answer box"
    answer = Float().tag(sync=True)
    tolerance = Float().tag(sync=True)

    def room_px(self) -> tuple[int, int]:
        """Return the heights for a prompt of this length, 23 px for each line."""
        wide, narrow = (math.ceil(len(self.prompt) / n) for n in (90, 43))
        return 126 + 23 * wide, 119 + 23 * narrow
