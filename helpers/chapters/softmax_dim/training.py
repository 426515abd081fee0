"""Digits learned twice in the page, with softmax over the classes and over the batch."""

from functools import partial

from traitlets import Enum

from helpers.widgets.live import LiveTraining, digits_as_text
from helpers.widgets.traits import Fixed, Whole


class BatchSoftmaxTraining(LiveTraining):
    """Train one network rightly and one with a softmax over the batch, from one start.

    Args:
        form: where the softmax over the batch stands: ``"predict"``, only when
            predicting; ``"train"``, ``log_softmax`` in front of ``nll_loss`` and when
            predicting; ``"layer"``, a layer in front of ``CrossEntropyLoss``.
        size: how many samples a test batch has, from 1 to 64.
        guess: the reader's guess of such a size, or None while the curves are hidden.
        seed: of the weights from which both start, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Live training"
    height_px = (725, 809)

    form = Enum(["predict", "train", "layer"], "predict").tag(sync=True)
    size = Whole(32, min=1, max=64).tag(sync=True)
    guess = Whole(None, allow_none=True, min=1, max=64).tag(sync=True)
    data = Fixed(partial(digits_as_text, 300, 200)).tag(sync=True)
