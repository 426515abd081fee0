"""One score for all predictions, and the mean of a score for each batch, by batch size."""

from traitlets import Enum, TraitError, validate

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Row, Whole


class BatchMeans(BookWidget):
    """Let a reader guess which batch size hurts a mean of scores most, then show it.

    Args:
        truth: the class of each sample, 1 to 1000 whole numbers from 0 to 9.
        said: the class that a model gave each, as many.
        order: of the samples, ``"sorted"`` by true class or ``"shuffled"``.
        score: ``"macro F1"`` or ``"accuracy"``.
        size: of a batch, 1 to 450.
        guess: the reader's guess, or None while the curve is hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Batch explorer"
    height_px = (606, 588)

    truth = Row(Whole(min=0, max=9), [0, 0, 1, 2], 1, 1000).tag(sync=True)
    said = Row(Whole(min=0, max=9), [0, 1, 1, 2], 1, 1000).tag(sync=True)
    order = Enum(["sorted", "shuffled"], "sorted").tag(sync=True)
    score = Enum(["macro F1", "accuracy"], "macro F1").tag(sync=True)
    size = Whole(100, min=1, max=450).tag(sync=True)
    guess = Whole(None, allow_none=True, min=1, max=450).tag(sync=True)

    @validate("truth", "said")
    def _of_equal_length(self, proposal):
        lists = {"truth": self.truth, "said": self.said}
        lists[proposal["trait"].name] = proposal["value"]
        if len(lists["truth"]) != len(lists["said"]):
            raise TraitError(
                "BatchMeans: truth and said must be of one length, got "
                f"{len(lists['truth'])} and {len(lists['said'])}."
            )
        return proposal["value"]
