"""What a small last batch does to a mean of batches: guess, then drag its size."""

from __future__ import annotations

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number, Whole


class LastBatch(BookWidget):
    """Compare the mean of batches with the mean of samples, for a small last batch.

    All but the last batch hold 64 images, of which 3 are wrong.

    Args:
        size: images in the last batch, 1 to 64.
        wrong: how many of them are wrong, 0 to 3.
        full: how many batches are full, 1 to 70.
        guess: the accuracy in per cent that the reader expects of the mean of batches, or
            None while the curves are hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Last batch"
    height_px = (658, 622)

    size = Whole(1, min=1, max=64).tag(sync=True)
    wrong = Whole(1, min=0, max=3).tag(sync=True)
    full = Whole(20, min=1, max=70).tag(sync=True)
    guess = Number(None, allow_none=True, min=0, max=100).tag(sync=True)
