"""A number asked and checked in the page, with a kernel or without one."""

import math

from traitlets import Float, Unicode

from helpers.widgets.base import BookWidget, fresh_list


class AnswerBox(BookWidget):
    """Ask for one number, and answer with praise or a hint.

    Made by :class:`helpers.exercises.verdicts.NumberCheck`; a chapter does not call it.
    """

    label = "○ Not yet: put a number in place of the dots. Answer box"
    prompt = Unicode().tag(sync=True)
    answer = Float().tag(sync=True)
    tolerance = Float().tag(sync=True)
    praise = Unicode().tag(sync=True)
    hints = fresh_list(list)  # [low, high, text]

    def room_px(self) -> tuple[int, int]:
        """Return the heights for a prompt of this length, 23 px a line."""
        wide, narrow = (math.ceil(len(self.prompt) / n) for n in (90, 43))
        return 106 + 23 * wide, 129 + 23 * narrow
