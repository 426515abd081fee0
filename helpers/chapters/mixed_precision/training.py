"""One network trained three times in the page: float32, and float16 without and with a scaler."""

from helpers.chapters.mixed_precision.half import HalfNumbers
from helpers.widgets.live import LiveTraining, digits_as_text
from helpers.widgets.traits import Fixed, Whole


class ScalerTraining(LiveTraining, HalfNumbers):
    """Train in float64, and with float16 rounding with and without a ``GradScaler``.

    Args:
        exponent: of the power of two that multiplies the loss, from -24 to 12. The
            learning rate is divided by it.
        seed: of the weights from which all three start, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Live training"
    height_px = (575, 556)

    exponent = Whole(0, min=-24, max=12).tag(sync=True)
    data = Fixed(lambda: digits_as_text(128, 200)).tag(sync=True)
