"""The worked BCE example, editable, above one logit on a slider."""

from traitlets import Enum, Float, TraitError, validate

from helpers.widgets.base import BookWidget, fresh_list


class BceExplorer(BookWidget):
    """Show what each element adds to the loss, and where float32 runs out.

    Args:
        values: 2 rows of 3 numbers, each from -60 to 60.
        targets: 2 rows of 3, each 0 or 1.
        kind: what the values are, ``"probabilities"`` or ``"logits"``.
        target: the target of the single logit below, 0 or 1.
        logit: the single logit, from -100 to 100.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "BCE explorer"
    height_px = (784, 1176)

    values = fresh_list(lambda: [[0.3992, 0.2232, 0.6435], [0.3800, 0.3044, 0.3241]])
    targets = fresh_list(lambda: [[0, 1, 1], [0, 0, 1]])
    kind = Enum(["probabilities", "logits"], "probabilities").tag(sync=True)
    target = Enum([0, 1], 0).tag(sync=True)
    logit = Float(16.0).tag(sync=True)

    @validate("values", "targets")
    def _table(self, proposal):
        name, rows = proposal["trait"].name, proposal["value"]
        rows = [list(row) if isinstance(row, (list, tuple)) else row for row in rows]
        fits = [len(row) if isinstance(row, list) else 0 for row in rows] == [3, 3]
        if not fits:
            raise TraitError(f"BceExplorer: {name} must be 2 rows of 3, got {rows!r}.")
        for cell in (cell for row in rows for cell in row):
            if name == "targets" and not (type(cell) is int and cell in (0, 1)):
                raise TraitError(f"BceExplorer: targets must be 0 or 1, got {cell!r}.")
            if name == "values" and not (
                isinstance(cell, (int, float)) and -60 <= cell <= 60
            ):
                raise TraitError(
                    f"BceExplorer: values must be from -60 to 60, got {cell!r}."
                )
        return rows

    @validate("logit")
    def _logit_in_range(self, proposal):
        if not -100 <= proposal["value"] <= 100:
            raise TraitError(
                f"BceExplorer: logit must be from -100 to 100, got {proposal['value']!r}."
            )
        return proposal["value"]
