"""Which numbers compete: softmax over each dimension of a small tensor."""

from traitlets import Enum, TraitError, validate

from helpers.widgets.base import BookWidget, fresh_list


class SoftmaxDim(BookWidget):
    """Show the cells that sum to one, and whether samples influence each other.

    Args:
        logits: 2 samples of 3 classes at 2 positions, each from -20 to 20.
        dim: over which dimension the softmax runs, 0, 1 or 2.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Softmax explorer"
    height_px = (510, 1000)

    logits = fresh_list(
        lambda: [
            [[2.0, 0.5], [0.0, 1.5], [1.0, -1.0]],
            [[0.0, 2.0], [3.0, 1.0], [1.0, 0.0]],
        ]
    )
    dim = Enum([0, 1, 2], 1).tag(sync=True)

    @validate("logits")
    def _two_three_two(self, proposal):
        blocks = proposal["value"]
        rows = [row for block in blocks if isinstance(block, list) for row in block]
        if len(blocks) != 2 or len(rows) != 6 or {len(row) for row in rows} != {2}:
            raise TraitError(
                f"SoftmaxDim: logits must be 2 samples of 3 rows of 2, got {blocks!r}."
            )
        for value in (value for row in rows for value in row):
            if not (isinstance(value, (int, float)) and -20 <= value <= 20):
                raise TraitError(
                    f"SoftmaxDim: logits must be from -20 to 20, got {value!r}."
                )
        return blocks
