"""What one convolution costs, beside what it cost at the start."""

from traitlets import Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Whole


class LayerCost(BookWidget):
    """Show work, parameters and memory of a convolution against those of the start.

    Args:
        channels: in and out, 16 to 512.
        image: side of input and output in pixels, 7 to 224.
        kernel: side of the kernel, 1, 3 or 5.
        kind: ``"dense"``, or ``"depthwise"`` where each channel is filtered alone.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Layer cost explorer"
    height_px = (595, 560)

    channels = Whole(64, min=16, max=512).tag(sync=True)
    image = Whole(56, min=7, max=224).tag(sync=True)
    kernel = Enum([1, 3, 5], 3).tag(sync=True)
    kind = Enum(["dense", "depthwise"], "dense").tag(sync=True)
