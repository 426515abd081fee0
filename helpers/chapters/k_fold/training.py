"""Coin flips in five folds: one model kept from fold to fold beside a new one for each."""

from helpers.widgets.live import LiveTraining
from helpers.widgets.traits import Number, Whole


class FoldTraining(LiveTraining):
    """Train a kept model and new ones through the folds of 200 coin flips, in the page.

    Args:
        steps: of SGD in each fold, from 10 to 200.
        guess: what a reader expects to be reported with the kept model, in per cent; None
            until there is a guess, and until then nothing is trained.
        seed: of the coin flips and of the weights, from 0 to 9999.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Fold training"
    height_px = (670, 665)

    steps = Whole(60, min=10, max=200).tag(sync=True)
    guess = Number(None, allow_none=True, min=0, max=100).tag(sync=True)
