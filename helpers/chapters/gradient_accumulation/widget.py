"""Fifty samples cut into micro-batches: what each weighs, and where the gradient points."""

import math

from traitlets import Bool, Enum, Int, TraitError, validate

from helpers.widgets.base import BookWidget, fresh_list

SAMPLES, LEFT_OVER = 50, 3
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
    height_px = (535, 805)

    first = Int(16).tag(sync=True)
    second = Int(32).tag(sync=True)
    third = Int(48).tag(sync=True)
    rule = Enum(RULES, "sum").tag(sync=True)
    left_over = Bool(False).tag(sync=True)
    gradients = fresh_list(sample_gradients)

    @validate("first", "second", "third")
    def _inside(self, proposal):
        if not 0 <= proposal["value"] <= SAMPLES:
            raise TraitError(
                f"AccumulationCuts: {proposal['trait'].name} must be from 0 to "
                f"{SAMPLES}, got {proposal['value']!r}."
            )
        return proposal["value"]

    @validate("gradients")
    def _pairs(self, proposal):
        rows = proposal["value"]
        sizes = {len(row) if isinstance(row, list) else 0 for row in rows}
        if len(rows) != SAMPLES + LEFT_OVER or sizes != {2}:
            raise TraitError(
                f"AccumulationCuts: gradients must be {SAMPLES + LEFT_OVER} pairs of "
                f"numbers, got {len(rows)} items of length {sorted(sizes)}."
            )
        for value in (value for row in rows for value in row):
            if not (isinstance(value, (int, float)) and -100 <= value <= 100):
                raise TraitError(
                    f"AccumulationCuts: gradients must be from -100 to 100, got {value!r}."
                )
        return rows
