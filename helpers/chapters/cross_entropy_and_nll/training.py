"""Digits learned twice in the page, with and without a softmax before the loss."""

from functools import partial

from traitlets import Enum

from helpers.widgets.live import LiveTraining, digits_as_text
from helpers.widgets.traits import Fixed, Number


class SoftmaxTwice(LiveTraining):
    """Train one model on logits and one on probabilities, from the same start.

    Args:
        classes: 10 for the digits, 2 for odd or even.
        rate: the learning rate of both, from 0.1 to 3.
        line: where the dotted line stands, a loss from 0 to 2.5.
        guess: the reader's guess of the lowest loss on probabilities, or None while the
            curves are hidden.
        seed: of the weights from which both start, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Live training"
    height_px = (770, 779)

    classes = Enum([10, 2], 10).tag(sync=True)
    rate = Number(0.5, min=0.1, max=3).tag(sync=True)
    line = Number(0.0, min=0, max=2.5).tag(sync=True)
    guess = Number(None, allow_none=True, min=0, max=2.5).tag(sync=True)
    data = Fixed(partial(digits_as_text, 300, 200)).tag(sync=True)
