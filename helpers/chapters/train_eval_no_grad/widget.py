"""A network trained in the page, then tested in train() or eval(), in batches of any size."""

from functools import partial

from traitlets import Enum

from helpers.widgets.live import LiveTraining, digits_as_text
from helpers.widgets.traits import Fixed, Whole

MODES = ["train", "eval"]


class ModeExplorer(LiveTraining):
    """Train a network with batch normalisation and dropout, then test it in both modes.

    Args:
        mode: in which it is tested, ``"train"`` or ``"eval"``.
        size: of the batches in which it is tested: 2, 8 or 64.
        guess: how many per cent the reader expects to be right, or None before the test.
        seed: of the weights, the batches and the dropped units, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Mode explorer"
    height_px = (723, 665)

    mode = Enum(MODES, "train").tag(sync=True)
    size = Enum([2, 8, 64], 8).tag(sync=True)
    guess = Whole(None, allow_none=True, min=0, max=100).tag(sync=True)
    data = Fixed(partial(digits_as_text, 500, 200)).tag(sync=True)
