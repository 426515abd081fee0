"""Both losses and their gradients in the page, in float32 as PyTorch computes them."""

from helpers.widgets.base import BookWidget


class BinaryLosses(BookWidget):
    """``losses.js`` gives a widget's script ``PAIRS``: each loss and its gradient."""
