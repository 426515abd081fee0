"""A training loop for apex, line by line, with what replaces each line and why."""

from __future__ import annotations

from traitlets import Int, TraitError, validate

from helpers.chapters.apex.loops import LOOP
from helpers.widgets.base import BookWidget, fresh_list


def _rows() -> list:
    return [[*line, line.fate] for line in LOOP]


class ApexMigration(BookWidget):
    """Show the old loop as buttons; below the chosen line, what replaces it and why.

    Args:
        line: which line of the old loop is chosen, counted from 1; 0 for none.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Apex migration"
    height_px = (554, 793)

    line = Int(0).tag(sync=True)
    lines = fresh_list(_rows)

    @validate("line")
    def _in_the_loop(self, proposal):
        if not 0 <= proposal["value"] <= len(LOOP):
            raise TraitError(
                f"ApexMigration: line must be from 0 to {len(LOOP)}, "
                f"got {proposal['value']}."
            )
        return proposal["value"]

    @validate("lines")
    def _those_of_the_book(self, proposal):
        if proposal["value"] != _rows():
            raise TraitError(
                "ApexMigration: lines are those of helpers.chapters.apex.loops and cannot be set."
            )
        return proposal["value"]
