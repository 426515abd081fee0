"""One margin, four ways to join logits and loss."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number

PAIRINGS = ["ce_softmax", "nll_softmax", "nll_logits", "nll_log_softmax"]


class CrossEntropyMargin(BookWidget):
    """Show loss and gradient of a pairing against the right one, over the margin.

    Args:
        margin: the true class's logit minus all the others, from -20 to 20.
        classes: 2, 5, 10, 100 or 1000.
        pairing: what is compared with CrossEntropyLoss on logits: ``"ce_softmax"``,
            ``"nll_softmax"``, ``"nll_logits"`` or ``"nll_log_softmax"``.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Cross-entropy explorer"
    height_px = (518, 877)

    margin = Number(0.0, min=-20, max=20).tag(sync=True)
    classes = Enum([2, 5, 10, 100, 1000], 10).tag(sync=True)
    pairing = Enum(PAIRINGS, "ce_softmax").tag(sync=True)
