"""Two switches, and meters for what each of them changes in a small real model."""

from traitlets import Enum, List, Tuple

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Whole

MODES = ["train", "eval"]
GRADS = ["recorded", "no_grad", "inference_mode"]
ROWS = {"min": 2, "max": 64}  # in a batch


class ModeSwitchboard(BookWidget):
    """Run batches in each combination of mode and gradient, and read what happened.

    The model is the chapter's, in float64: ``Linear(64, 64)``, ``BatchNorm1d(64)``,
    ``ReLU``, ``Dropout(0.5)``, ``Linear(64, 10)``.

    Args:
        mode: ``"train"`` or ``"eval"``.
        grad: ``"recorded"``, ``"no_grad"`` or ``"inference_mode"``.
        rows: samples in a batch, 2 to 64.
        history: one entry for each batch that was run: ``[mode, grad, rows]``.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Mode switchboard"
    height_px = (600, 932)

    mode = Enum(MODES, "train").tag(sync=True)
    grad = Enum(GRADS, "recorded").tag(sync=True)
    rows = Whole(8, **ROWS).tag(sync=True)
    history = List(Tuple(Enum(MODES), Enum(GRADS), Whole(**ROWS))).tag(sync=True)
