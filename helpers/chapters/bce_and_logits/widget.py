"""One logit, two losses: guess where the gradient breaks, then drag through it."""

from traitlets import Enum

from helpers.chapters.bce_and_logits.losses import BinaryLosses
from helpers.widgets.traits import Number


class BceExplorer(BinaryLosses):
    """Let a reader guess from which logit on a loss loses its gradient, then show it.

    Args:
        target: the truth, 0 or 1.
        shows: what the plot shows, ``"gradient"`` or ``"loss"``.
        logit: where the marker stands, from -100 to 100.
        guess: the reader's guess, or None while the curves are hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "BCE explorer"
    height_px = (612, 609)

    target = Enum([0, 1], 0).tag(sync=True)
    shows = Enum(["gradient", "loss"], "gradient").tag(sync=True)
    logit = Number(0.0, min=-100, max=100).tag(sync=True)
    guess = Number(None, allow_none=True, min=-100, max=100).tag(sync=True)
