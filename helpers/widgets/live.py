"""A widget that trains a model in the page, one step at a time, when it is asked to."""

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Whole


class LiveTraining(BookWidget):
    """``live.js`` gives its script random numbers, a dense layer, and a bar to drive it.

    The bar has play or pause, one step, reset and the seed. What is being trained lives
    in the page alone; a kernel sees the settings.
    """

    seed = Whole(0, min=0, max=9999).tag(sync=True)
