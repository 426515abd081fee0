"""The worked BCE example, editable, above one logit on a slider."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number, Whole, grid

VALUES = [[0.3992, 0.2232, 0.6435], [0.3800, 0.3044, 0.3241]]
TARGETS = [[0, 1, 1], [0, 0, 1]]


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

    values = grid(VALUES, Number(min=-60, max=60)).tag(sync=True)
    targets = grid(TARGETS, Whole(min=0, max=1)).tag(sync=True)
    kind = Enum(["probabilities", "logits"], "probabilities").tag(sync=True)
    target = Enum([0, 1], 0).tag(sync=True)
    logit = Number(16.0, min=-100, max=100).tag(sync=True)
