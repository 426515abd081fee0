"""Which numbers compete: softmax over each dimension of a small tensor."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number, grid

LOGITS = [
    [[2.0, 0.5], [0.0, 1.5], [1.0, -1.0]],
    [[0.0, 2.0], [3.0, 1.0], [1.0, 0.0]],
]


class SoftmaxDim(BookWidget):
    """Let a reader drag logits, and show which probabilities move with each.

    Args:
        logits: 2 samples of 3 classes at 2 positions, each from -20 to 20.
        dim: over which dimension the softmax runs, 0, 1 or 2.
        samples: how many of the two are in the batch, 2 or 1.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Softmax explorer"
    height_px = (635, 1129)

    logits = grid(LOGITS, Number(min=-20, max=20)).tag(sync=True)
    dim = Enum([0, 1, 2], 1).tag(sync=True)
    samples = Enum([1, 2], 2).tag(sync=True)
