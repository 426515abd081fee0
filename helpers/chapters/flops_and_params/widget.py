"""What a convolution and an attention layer cost, for one image or one sequence."""

from traitlets import Enum, Int, TraitError, validate

from helpers.widgets.base import BookWidget

RANGES = {
    "c_in": (1, 512),
    "c_out": (1, 512),
    "kernel": (1, 7),
    "stride": (1, 4),
    "groups": (1, 512),
    "image": (1, 224),
    "tokens": (1, 4096),
    "width": (64, 1024),
}


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
    height_px = (708, 721)

    layer = Enum(["convolution", "attention"], "convolution").tag(sync=True)
    c_in = Int(64).tag(sync=True)
    c_out = Int(64).tag(sync=True)
    kernel = Int(3).tag(sync=True)
    stride = Int(1).tag(sync=True)
    groups = Int(1).tag(sync=True)
    image = Int(56).tag(sync=True)
    tokens = Int(256).tag(sync=True)
    width = Int(256).tag(sync=True)
    heads = Enum([1, 4, 16], 4).tag(sync=True)

    @validate(*RANGES)
    def _in_range(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        low, high = RANGES[name]
        if not low <= value <= high:
            raise TraitError(
                f"ConvCost: {name} must be from {low} to {high}, got {value}."
            )
        if name == "kernel" and value % 2 == 0:
            raise TraitError(f"ConvCost: kernel must be odd, got {value}.")
        if name == "width" and value % 64:
            raise TraitError(f"ConvCost: width must be a multiple of 64, got {value}.")
        if name in ("c_in", "c_out", "groups"):
            self._require_divisor(**{name: value})
        return value

    def _require_divisor(self, **proposed: int) -> None:
        names = ("c_in", "c_out", "groups")
        now = {name: getattr(self, name) for name in names} | proposed
        if now["c_in"] % now["groups"] or now["c_out"] % now["groups"]:
            raise TraitError(
                "ConvCost: groups must divide c_in and c_out, got {groups} for "
                "{c_in} and {c_out}.".format(**now)
            )
