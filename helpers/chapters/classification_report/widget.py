"""A classification report that follows its confusion matrix, cell by cell."""

from traitlets import Enum, List, TraitError, validate

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Row, Whole


class ReportFromMatrix(BookWidget):
    """Show the report of a confusion matrix, and the cells that each number uses.

    Args:
        matrix: 2 to 4 rows (the truth) of as many counts (predicted), 0 to 9999.
        zero_division: what 0 / 0 counts as, ``"0"``, ``"1"`` or ``"nan"``.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Report explorer"
    height_px = (446, 710)

    matrix = Row(List(Whole(min=0, max=9999)), [[1, 0], [2, 2]], 2, 4).tag(sync=True)
    zero_division = Enum(["0", "1", "nan"], "0").tag(sync=True)

    @validate("matrix")
    def _square(self, proposal):
        rows = proposal["value"]
        if {len(row) for row in rows} != {len(rows)}:
            raise TraitError(
                f"ReportFromMatrix: matrix must be square, got {len(rows)} rows of "
                f"lengths {[len(row) for row in rows]}."
            )
        return rows
