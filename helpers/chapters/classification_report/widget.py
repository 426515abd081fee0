"""A classification report that follows its confusion matrix, cell by cell."""

from traitlets import Enum, List, TraitError, validate

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number, Row, Whole


class ReportFromMatrix(BookWidget):
    """Show the report of a confusion matrix, and the cells that each number uses.

    Args:
        matrix: 2 to 4 rows (the truth) of as many counts (predicted), 0 to 9999.
        scores: for dragging a threshold, the scores of the samples of class 0 and those
            of class 1: two lists of numbers from -1000 to 1000; rounded, to be small.
        mode: ``"matrix"`` to edit the matrix, ``"threshold"`` to make it from scores.
        threshold: a score above it is class 1, from -1000 to 1000.
        zero_division: what 0 / 0 counts as, ``"0"``, ``"1"`` or ``"nan"``.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Report explorer"
    height_px = (493, 815)

    matrix = Row(List(Whole(min=0, max=9999)), [[1, 0], [2, 2]], 2, 4).tag(sync=True)
    scores = Row(List(Number(min=-1000, max=1000)), [], 0, 2).tag(sync=True)
    mode = Enum(["matrix", "threshold"], "matrix").tag(sync=True)
    threshold = Number(0.0, min=-1000, max=1000).tag(sync=True)
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

    @validate("scores")
    def _of_both_classes(self, proposal):
        lists = proposal["value"]
        if lists and not (len(lists) == 2 and all(lists)):
            raise TraitError(
                "ReportFromMatrix: scores must be two lists that are not empty, those of "
                f"class 0 and those of class 1, got {str(lists)[:60]}."
            )
        return lists

    @validate("mode")
    def _has_scores(self, proposal):
        if proposal["value"] == "threshold" and not self.scores:
            raise TraitError(
                "ReportFromMatrix: mode 'threshold' needs scores, got none. "
                "Pass scores=[of_class_0, of_class_1]."
            )
        return proposal["value"]
