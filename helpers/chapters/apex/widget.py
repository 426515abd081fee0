"""A training loop for apex, line by line, with what replaces each line and why."""

from __future__ import annotations

from helpers.chapters.apex.loops import LOOP
from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Fixed, Whole


class ApexMigration(BookWidget):
    """Show the old loop as buttons; below the chosen line, what replaces it and why.

    Args:
        line: which line of the old loop is chosen, counted from 1; 0 for none.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Apex migration"
    height_px = (573, 717)

    line = Whole(0, min=0, max=len(LOOP)).tag(sync=True)
    lines = Fixed(lambda: [[*line, line.fate] for line in LOOP]).tag(sync=True)
