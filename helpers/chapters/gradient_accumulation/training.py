"""One network trained three times in the page: at once, and in micro-batches, divided or not."""

from helpers.widgets.live import LiveTraining, digits_as_text
from helpers.widgets.traits import Fixed, Number


class AccumulationTraining(LiveTraining):
    """Train on batches of 128 digits at once, and in eight parts, with and without ``/ 8``.

    Args:
        rate: the learning rate of all three, from 0.05 to 1.
        seed: of the weights from which all three start, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Live training"
    height_px = (575, 534)

    rate = Number(0.1, min=0.05, max=1).tag(sync=True)
    data = Fixed(lambda: digits_as_text(512, 200)).tag(sync=True)
