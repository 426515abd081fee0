"""A classification report that follows its confusion matrix, cell by cell."""

import math

from traitlets import Enum, Float, TraitError, validate

from helpers.widgets.base import BookWidget, fresh_list


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
    height_px = (421, 720)

    matrix = fresh_list(lambda: [[1, 0], [2, 2]])
    scores = fresh_list(list)
    mode = Enum(["matrix", "threshold"], "matrix").tag(sync=True)
    threshold = Float(0.0).tag(sync=True)
    zero_division = Enum(["0", "1", "nan"], "0").tag(sync=True)

    @validate("matrix")
    def _square(self, proposal):
        rows = proposal["value"]
        sizes = [len(row) if isinstance(row, list) else 0 for row in rows]
        if not 2 <= len(rows) <= 4 or set(sizes) != {len(rows)}:
            raise TraitError(
                "ReportFromMatrix: matrix must be 2 to 4 rows, each as long as there are "
                f"rows, got {rows!r}."
            )
        for count in (count for row in rows for count in row):
            if type(count) is not int or not 0 <= count <= 9999:
                raise TraitError(
                    "ReportFromMatrix: matrix must hold whole numbers from 0 to 9999, "
                    f"got {count!r}."
                )
        return rows

    @validate("scores")
    def _two_lists(self, proposal):
        lists = proposal["value"]
        filled = [isinstance(scores, list) and len(scores) > 0 for scores in lists]
        if filled not in ([], [True, True]):
            raise TraitError(
                "ReportFromMatrix: scores must be two lists that are not empty, those of "
                f"class 0 and those of class 1, got {str(lists)[:60]}."
            )
        for score in (score for scores in lists for score in scores):
            usable = isinstance(score, (int, float)) and abs(score) <= 1000
            if not usable or isinstance(score, bool):
                raise TraitError(
                    "ReportFromMatrix: scores must be numbers from -1000 to 1000, "
                    f"got {score!r}."
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

    @validate("threshold")
    def _in_range(self, proposal):
        if math.isnan(proposal["value"]) or abs(proposal["value"]) > 1000:
            raise TraitError(
                "ReportFromMatrix: threshold must be from -1000 to 1000, got "
                f"{proposal['value']!r}."
            )
        return proposal["value"]
