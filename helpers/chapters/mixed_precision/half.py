"""Numbers in 16 bits, rounded in the page as PyTorch rounds them."""

from helpers.widgets.base import BookWidget


class HalfNumbers(BookWidget):
    """``half.js`` gives a widget's script ``round``, ``powerOfTwo`` and both types' limits."""
