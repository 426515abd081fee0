"""Sixteen grey images: what their pixels look like after a division by either std."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number


class StdExplorer(BookWidget):
    """Let a reader guess how wide the pixels lie after a division by an average of stds.

    Args:
        brightness: spread of the sixteen images' means, from 0 to 0.3.
        contrast: the typical std inside an image, from 0.01 to 0.3.
        batch: images in a batch whose std is taken: 1, 2, 4, 8 or 16.
        mark: where the dotted line is, from 0 to 8.
        guess: the reader's guess, or None while the normalised pixels are hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Std explorer"
    height_px = (725, 1078)

    brightness = Number(0.2, min=0, max=0.3).tag(sync=True)
    contrast = Number(0.1, min=0.01, max=0.3).tag(sync=True)
    batch = Enum([1, 2, 4, 8, 16], 1).tag(sync=True)
    mark = Number(1.0, min=0, max=8).tag(sync=True)
    guess = Number(None, allow_none=True, min=0, max=8).tag(sync=True)
