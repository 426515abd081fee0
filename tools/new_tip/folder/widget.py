"""The widget of the chapter new_tip."""

from traitlets import Enum, Float

from helpers.widgets.base import BookWidget


class NewTip(BookWidget):
    """Show what argmax returns over each dimension of two samples' scores.

    Args:
        score: sample 0's score of class 2, from -5 to 5.
        dim: over which dimension argmax runs, 0 or 1.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "New tip explorer"
    height_px = (220, 280)  # the test that fails names the two to write here

    score = Float(1.0, min=-5.0, max=5.0).tag(sync=True)
    dim = Enum([0, 1], 1).tag(sync=True)
