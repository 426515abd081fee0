"""What a progress bar says is left, for each smoothing, against the truth."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number, Whole

RUNS = ["slow start", "one stall", "every eighth"]


class EtaSmoothing(BookWidget):
    """Show tqdm's bar over 300 batches of unequal length, and how wrong its ETA is.

    Args:
        run: ``"slow start"``, ``"one stall"`` or ``"every eighth"`` batch slow.
        smoothing: tqdm's argument of that name, from 0 to 1.
        batch: after how many batches to look, from 1 to 299.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "ETA explorer"
    height_px = (573, 711)

    run = Enum(RUNS, "one stall").tag(sync=True)
    smoothing = Number(0.3, min=0, max=1).tag(sync=True)
    batch = Whole(100, min=1, max=299).tag(sync=True)
