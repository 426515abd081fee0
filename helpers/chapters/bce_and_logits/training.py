"""The same model trained twice in the page, from the same start, with either loss."""

from helpers.chapters.bce_and_logits.losses import BinaryLosses
from helpers.notebook.data import breast_cancer
from helpers.widgets.live import LiveTraining
from helpers.widgets.traits import Fixed, Whole

FEATURES = 10  # the means; the other twenty are their errors and worst values


def tumours() -> dict:
    """Return the standardised training set as text: tenths of a standard deviation."""
    data = breast_cancer()
    tenths = (data.x_train[:, :FEATURES] * 10).round().int().flatten().tolist()
    labels = data.y_train.int().tolist()
    return {"tenths": " ".join(map(str, tenths)), "labels": " ".join(map(str, labels))}


class LogitsTraining(LiveTraining, BinaryLosses):
    """Train a logistic regression on tumours with sigmoid + BCELoss and on logits.

    Args:
        bias: the bias from which both start, from -40 to 40.
        seed: of the weights from which both start, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Live training"
    height_px = (608, 672)

    bias = Whole(0, min=-40, max=40).tag(sync=True)
    data = Fixed(tumours).tag(sync=True)
