"""Sixteen images as dots: what their spread within and between adds up to."""

from traitlets import Enum, Float, TraitError, validate

from helpers.widgets.base import BookWidget


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
    height_px = (378, 586)

    brightness = Float(0.2).tag(sync=True)
    contrast = Float(0.1).tag(sync=True)
    batch = Enum([1, 2, 4, 8, 16], 1).tag(sync=True)

    @validate("brightness", "contrast")
    def _in_range(self, proposal):
        if not 0 <= proposal["value"] <= 0.4:
            raise TraitError(
                f"StdDecomposition: {proposal['trait'].name} must be from 0 to 0.4, got "
                f"{proposal['value']!r}."
            )
        return proposal["value"]
