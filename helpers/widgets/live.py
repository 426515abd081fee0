"""A widget that trains a model in the page, one step at a time, when it is asked to."""

from helpers.notebook.data import digits
from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Whole


class LiveTraining(BookWidget):
    """``live.js`` gives its script random numbers, a dense layer, and a bar to drive it.

    The bar has play or pause, one step, reset and the seed. What is being trained lives
    in the page alone; a kernel sees the settings.
    """

    seed = Whole(0, min=0, max=9999).tag(sync=True)


def digits_as_text(train: int, test: int) -> dict[str, str]:
    """Return real digits as text, for the state of a widget.

    Args:
        train: how many of the training set, from the first.
        test: how many of the test set.

    Returns:
        For ``train`` and ``test``: pixels, 64 numbers from 0 to 16 per digit, and labels.
    """
    data = digits()
    parts = {
        "train_pixels": (data.x_train[:train] * 16).int(),
        "train_labels": data.y_train[:train],
        "test_pixels": (data.x_test[:test] * 16).int(),
        "test_labels": data.y_test[:test],
    }
    return {
        name: " ".join(map(str, part.flatten().tolist()))
        for name, part in parts.items()
    }
