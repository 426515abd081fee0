"""What a convolution and an attention layer cost, for one image or one sequence."""

from traitlets import Enum, TraitError, validate

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Whole


class ConvCost(BookWidget):
    """Show work, parameters and memory of one layer, as its settings change.

    Args:
        layer: which is shown, ``"convolution"`` or ``"attention"``.
        c_in: input channels, 1 to 512.
        c_out: output channels, 1 to 512.
        kernel: side of the kernel, 1, 3, 5 or 7; padding is ``kernel // 2``.
        stride: 1 to 4.
        groups: 1 to 512, a divisor of both ``c_in`` and ``c_out``.
        image: side of the input in pixels, 1 to 224.
        tokens: sequence length N, 1 to 4096.
        width: model width d, 64 to 1024 in steps of 64.
        heads: 1, 4 or 16.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Layer cost explorer"
    height_px = (849, 769)

    layer = Enum(["convolution", "attention"], "convolution").tag(sync=True)
    c_in = Whole(64, min=1, max=512).tag(sync=True)
    c_out = Whole(64, min=1, max=512).tag(sync=True)
    kernel = Enum([1, 3, 5, 7], 3).tag(sync=True)
    stride = Whole(1, min=1, max=4).tag(sync=True)
    groups = Whole(1, min=1, max=512).tag(sync=True)
    image = Whole(56, min=1, max=224).tag(sync=True)
    tokens = Whole(256, min=1, max=4096).tag(sync=True)
    width = Enum([*range(64, 1025, 64)], 256).tag(sync=True)
    heads = Enum([1, 4, 16], 4).tag(sync=True)

    @validate("c_in", "c_out", "groups")
    def _groups_of_channels(self, proposal):
        names = ("c_in", "c_out", "groups")
        now = {name: getattr(self, name) for name in names}
        now[proposal["trait"].name] = proposal["value"]
        if now["c_in"] % now["groups"] or now["c_out"] % now["groups"]:
            raise TraitError(
                "ConvCost: groups must divide c_in and c_out, got {groups} for "
                "{c_in} and {c_out}.".format(**now)
            )
        return proposal["value"]
