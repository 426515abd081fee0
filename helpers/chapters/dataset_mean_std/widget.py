"""Sixteen images as dots: what their spread within and between adds up to."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number


class StdDecomposition(BookWidget):
    """Show the std of all pixels against the average of the stds of batches.

    Args:
        brightness: spread of the sixteen images' means, from 0 to 0.4.
        contrast: the typical std inside an image, from 0 to 0.4.
        batch: images in a batch whose std is taken: 1, 2, 4, 8 or 16.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Std explorer"
    height_px = (406, 579)

    brightness = Number(0.2, min=0, max=0.4).tag(sync=True)
    contrast = Number(0.1, min=0, max=0.4).tag(sync=True)
    batch = Enum([1, 2, 4, 8, 16], 1).tag(sync=True)
