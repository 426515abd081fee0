"""A training loop for apex beside the one for PyTorch, with the reason for each line."""

from __future__ import annotations

from traitlets import List

from helpers.chapters.apex.loops import LOOP
from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Fixed, Whole

LINE = Whole(min=0, max=len(LOOP) - 1)


class ApexDiff(BookWidget):
    """Let a reader tick the lines that stay, then show the port side by side.

    Args:
        guess: the lines, counted from 0, that the reader expects to stay, or None while
            the port is hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Apex diff"
    height_px = (914, 1325)

    guess = List(LINE, None, allow_none=True).tag(sync=True)
    lines = Fixed(lambda: [[*line] for line in LOOP]).tag(sync=True)
