"""Which sample is in which fold, and what a model kept from fold to fold scores on noise."""

from __future__ import annotations

import numpy as np
from traitlets import Bool, Dict, Enum, TraitError, validate

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Fixed

SPLITTERS = ["KFold", "StratifiedKFold", "StratifiedGroupKFold"]
SPLITS = [3, 5]
CLASSES = np.arange(30) // 10  # sorted, as files often are
PEOPLE = np.arange(30) // 2  # each gave two samples


def assignment(splitter: str, shuffle: bool, n_splits: int) -> list[int]:
    """Return the fold in which each of the 30 samples is scored, by scikit-learn.

    Args:
        splitter: one of ``SPLITTERS``.
        shuffle: whether it shuffles, with seed 0.
        n_splits: 3 or 5.
    """
    from sklearn import model_selection

    seed = 0 if shuffle else None
    make = getattr(model_selection, splitter)
    folds = make(n_splits, shuffle=shuffle, random_state=seed)
    # KFold would warn that it makes no use of groups.
    groups = {"groups": PEOPLE} if splitter == "StratifiedGroupKFold" else {}
    fold_of = np.empty(30, dtype=int)
    for number, (_, scored) in enumerate(folds.split(CLASSES, CLASSES, **groups)):
        fold_of[scored] = number
    return fold_of.tolist()


def assignments() -> dict[str, list[int]]:
    """Return the folds of every splitter, shuffled or not, by a key such as ``kfold true 3``."""
    return {
        f"{name} {shuffle} {n}".lower(): assignment(name, shuffle, n)
        for name in SPLITTERS
        for shuffle in (False, True)
        for n in SPLITS
    }


class FoldLeak(BookWidget):
    """Show the folds of 30 sorted samples, and recorded accuracies on coin-flip labels.

    Args:
        splitter: ``"KFold"``, ``"StratifiedKFold"`` or ``"StratifiedGroupKFold"``.
        shuffle: whether the splitter shuffles first.
        n_splits: 3 or 5.
        fresh: whether each fold gets a new model.
        runs: accuracies in per cent, ``{"new": {"3": rows, "5": rows}, "kept": ...}``,
            one row for each seed, one number for each fold. Without them the chart stays empty.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Fold explorer"
    height_px = (724, 1046)

    splitter = Enum(SPLITTERS, "KFold").tag(sync=True)
    shuffle = Bool(False).tag(sync=True)
    n_splits = Enum(SPLITS, 3).tag(sync=True)
    fresh = Bool(False).tag(sync=True)
    folds = Fixed(assignments).tag(sync=True)
    runs = Dict().tag(sync=True)

    @validate("runs")
    def _complete(self, proposal):
        runs = proposal["value"]
        for model in ("new", "kept") if runs else ():
            for n in SPLITS:
                rows = runs.get(model, {}).get(str(n), [])
                if not rows or any(len(row) != n for row in rows):
                    raise TraitError(
                        f"FoldLeak: runs[{model!r}]['{n}'] must be rows of {n} "
                        f"accuracies, got {rows!r}."
                    )
                for value in (value for row in rows for value in row):
                    if not (isinstance(value, (int, float)) and 0 <= value <= 100):
                        raise TraitError(
                            f"FoldLeak: runs must be from 0 to 100, got {value!r}."
                        )
        return runs
