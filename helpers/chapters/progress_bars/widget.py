"""What a progress bar says is left, for each smoothing, against the truth."""

from traitlets import Enum, Float, Int, TraitError, validate

from helpers.widgets.base import BookWidget

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
    height_px = (426, 722)

    run = Enum(RUNS, "one stall").tag(sync=True)
    smoothing = Float(0.3).tag(sync=True)
    batch = Int(100).tag(sync=True)

    @validate("smoothing")
    def _share(self, proposal):
        if not 0 <= proposal["value"] <= 1:
            raise TraitError(
                "EtaSmoothing: smoothing must be from 0 to 1, got "
                f"{proposal['value']!r}."
            )
        return proposal["value"]

    @validate("batch")
    def _inside_the_run(self, proposal):
        if not 1 <= proposal["value"] <= 299:
            raise TraitError(
                f"EtaSmoothing: batch must be from 1 to 299, got {proposal['value']!r}."
            )
        return proposal["value"]
