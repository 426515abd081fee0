"""Where recorded gradients land in float16 and bfloat16, as the loss is multiplied."""

from traitlets import Enum

from helpers.chapters.mixed_precision.half import HalfNumbers
from helpers.widgets.traits import Number, Row, Whole

# Made up, for a widget without recorded ones: a size for each third power of two.
SAMPLE = [2.0**-k for k in range(3, 60, 3)]
SIZE = Number(1.0, min=2.0**-140, max=2.0**30)


class LossScale(HalfNumbers):
    """Let a reader guess when a type loses half of some gradients, then show it.

    Args:
        gradients: 1 to 1,000 sizes of gradients from float32 or float64, none of them 0.
        exponent: of the power of two that multiplies the loss, from -28 to 32.
        type: ``"float16"`` or ``"bfloat16"``.
        guess: the reader's guess, an exponent, or None while the type's limits are hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Loss scale explorer"
    height_px = (661, 534)

    gradients = Row(SIZE, SAMPLE, 1, 1000).tag(sync=True)
    exponent = Whole(0, min=-28, max=32).tag(sync=True)
    type = Enum(["float16", "bfloat16"], "float16").tag(sync=True)
    guess = Whole(None, allow_none=True, min=-28, max=32).tag(sync=True)
