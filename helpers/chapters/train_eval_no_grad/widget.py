"""Two switches, and meters for what each of them changes in a small real model."""

from traitlets import Enum, Int, TraitError, validate

from helpers.widgets.base import BookWidget, fresh_list


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
    height_px = (545, 900)

    mode = Enum(["train", "eval"], "train").tag(sync=True)
    grad = Enum(["recorded", "no_grad", "inference_mode"], "recorded").tag(sync=True)
    rows = Int(8).tag(sync=True)
    history = fresh_list(list)

    @validate("rows")
    def _a_batch(self, proposal):
        rows = proposal["value"]
        if not 2 <= rows <= 64:
            raise TraitError(f"ModeSwitchboard: rows must be from 2 to 64, got {rows}.")
        return rows

    @validate("history")
    def _of_runs(self, proposal):
        for run in proposal["value"]:
            mode, grad, rows = (
                run if isinstance(run, list) and len(run) == 3 else [0] * 3
            )
            known = mode in ("train", "eval") and grad in self.traits()["grad"].values
            if not known or type(rows) is not int or not 2 <= rows <= 64:
                raise TraitError(
                    "ModeSwitchboard: history must be runs such as ['eval', 'no_grad', "
                    f"8], got {run!r}."
                )
        return proposal["value"]
