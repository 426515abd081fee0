"""A number asked and checked in the page, with a kernel or without one."""

from traitlets import Float, List, Unicode

from helpers.widgets.base import BookWidget


class AnswerBox(BookWidget):
    """Ask for one number, and answer with praise or a hint.

    Made by :class:`helpers.check.core.NumberCheck`; a chapter does not call it.
    """

    label = "○ Not yet: put a number in place of the dots. Answer box"
    height_px = (104, 210)

    prompt = Unicode().tag(sync=True)
    answer = Float().tag(sync=True)
    tolerance = Float().tag(sync=True)
    praise = Unicode().tag(sync=True)
    hints = List().tag(sync=True)  # [low, high, text]
