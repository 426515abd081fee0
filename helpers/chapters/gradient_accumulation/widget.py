"""Fifty samples cut into micro-batches: what each weighs, and where the gradient points."""

import math

from traitlets import Bool, Enum

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Number, Whole, grid

SAMPLES = 50
RULES = ["sum", "mean", "size"]


def sample_gradients() -> list[list[float]]:
    """Return 53 made-up gradients, the last of the fifty unlike the others."""
    angles = [0.7 + 0.9 * math.sin(7 * i) + 0.02 * i for i in range(SAMPLES)]
    lengths = [1 + 0.5 * math.cos(3 * i) for i in range(SAMPLES)]
    pairs = [*zip(angles, lengths, strict=True), (2.8, 1.1), (3.0, 1.2), (2.5, 0.9)]
    return [[round(r * math.cos(a), 3), round(r * math.sin(a), 3)] for a, r in pairs]


class AccumulationCuts(BookWidget):
    """Show the accumulated gradient of any cut against that of the whole batch.

    Args:
        first: the first cut lies behind this many samples, from 0 to 50. A cut at 0 or
            50, or on another one, is none.
        second: the second cut, likewise.
        third: the third cut, likewise.
        rule: how a micro-batch's mean loss is weighed: ``"sum"`` not at all, ``"mean"``
            divided by their number, ``"size"`` by its share of the samples.
        left_over: whether .grad holds three samples of the epoch before.
        gradients: 53 gradients of one sample each, two numbers from -100 to 100; the
            last three are left over.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Accumulation explorer"
    height_px = (635, 912)

    first = Whole(16, min=0, max=SAMPLES).tag(sync=True)
    second = Whole(32, min=0, max=SAMPLES).tag(sync=True)
    third = Whole(48, min=0, max=SAMPLES).tag(sync=True)
    rule = Enum(RULES, "sum").tag(sync=True)
    left_over = Bool(False).tag(sync=True)
    gradients = grid(sample_gradients(), Number(min=-100, max=100)).tag(sync=True)
