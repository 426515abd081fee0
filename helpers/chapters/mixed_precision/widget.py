"""Where recorded gradients land in float16 and bfloat16, at any scale of the loss."""

from __future__ import annotations

import math

from traitlets import Dict, Enum, TraitError, Unicode, default, validate

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number

# Made up, for a widget without recorded ones: a size for each third power of two.
SAMPLE = {"made up": [2.0**-k for k in range(3, 60, 3)]}


class LossScale(BookWidget):
    """Show which gradients become zero, subnormal or inf, as the loss is scaled.

    Args:
        gradients: sizes of gradients from float32 or float64, not 0:
            ``{"first step": [...], "last step": [...]}``.
        shown: which of them; at the start the first.
        exponent: the scale's exponent of two, from -20 to 32.
        type: ``"float16"`` or ``"bfloat16"``, for the picture; the table shows both.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Loss scale explorer"
    height_px = (499, 724)

    gradients = Dict().tag(sync=True)
    shown = Unicode().tag(sync=True)
    exponent = Number(0.0, min=-20, max=32).tag(sync=True)
    type = Enum(["float16", "bfloat16"], "float16").tag(sync=True)

    @default("gradients")
    def _made_up(self) -> dict:
        return {name: list(sizes) for name, sizes in SAMPLE.items()}

    @default("shown")
    def _first(self) -> str:
        return next(iter(self.gradients))

    @validate("gradients")
    def _sizes(self, proposal):
        gradients = proposal["value"]
        if not gradients or not all(isinstance(v, list) for v in gradients.values()):
            raise TraitError(
                "LossScale: gradients must be {name: list of sizes}, with one name or "
                f"more, got {gradients!r}."
            )
        for name, sizes in gradients.items():
            for size in sizes or [None]:
                if not (isinstance(size, (int, float)) and 0 < size < math.inf):
                    raise TraitError(
                        f"LossScale: gradients[{name!r}] must be sizes above 0, got "
                        f"{size!r}. Take abs() and leave zeros out."
                    )
        return gradients

    @validate("shown")
    def _known(self, proposal):
        if proposal["value"] not in self.gradients:
            raise TraitError(
                f"LossScale: shown must be one of {', '.join(self.gradients)}, got "
                f"{proposal['value']!r}."
            )
        return proposal["value"]
