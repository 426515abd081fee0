"""Fifty digits in two micro-batches: how far off is the accumulated gradient, for three loops?"""

from helpers.widgets.live import LiveTraining, digits_as_text
from helpers.widgets.traits import Fixed, Whole

SAMPLES = 50


class AccumulationCut(LiveTraining):
    """Let a reader guess how far a cut may move, then show what it does to the gradient.

    Args:
        cut: how many of the fifty digits are in the first micro-batch, from 1 to 49.
        guess: the reader's guess, or None while the curves are hidden.
        seed: of the model's weights, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Accumulation explorer"
    height_px = (654, 528)

    cut = Whole(SAMPLES // 2, min=1, max=SAMPLES - 1).tag(sync=True)
    guess = Whole(None, allow_none=True, min=1, max=SAMPLES - 1).tag(sync=True)
    data = Fixed(lambda: digits_as_text(SAMPLES, 0)).tag(sync=True)
