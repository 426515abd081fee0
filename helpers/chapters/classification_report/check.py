"""Checks of the chapter on the classification report."""

import warnings
from collections.abc import Callable, Iterable

import torch
from sklearn.metrics import f1_score, precision_score, recall_score
from torch import Tensor, nn

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import Verdict, checks_code, correct, hint, not_yet

# --- 1. repair a validation loop -----------------------------------------------------


class _Echo(nn.Module):
    """Returns its input as logits; in train mode other logits, as dropout would."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))  # whose device a loop may ask for
        self.modes, self.grads = set(), set()

    def forward(self, x: Tensor) -> Tensor:
        self.modes.add(self.training)
        self.grads.add(torch.is_grad_enabled())
        return x.roll(1, dims=1) if self.training else x


TRUTH = torch.tensor([0] * 20 + [1] * 10 + [2] * 5)
SAID = torch.tensor([0] * 17 + [1] * 3 + [1] * 8 + [0, 2] + [2] * 3 + [1, 0])


@checks_code
def validate(fn: Callable[[nn.Module, Iterable], float]) -> Verdict:
    """Check a validation loop that should return the macro F1 of all predictions.

    Args:
        fn: takes a model and a loader of ``(x, y)``; returns the macro F1.
    """
    return _validated(fn)


def _validated(fn) -> Verdict:
    logits = 4 * nn.functional.one_hot(SAID, 3).float()
    model, scores = _Echo(), {}
    for size in (len(TRUTH), 8):  # the last batch of 8 holds 3 samples
        loader = list(zip(logits.split(size), TRUTH.split(size), strict=True))
        try:
            result = fn(model.train(), loader)
        except ValueError as error:
            if "inconsistent numbers of samples" not in str(error):
                raise
            return hint(f"{error}. One class for each sample: argmax over dim=1.")
        if result is None:
            return not_yet("validate returned None. Return the macro F1.")
        try:
            scores[size] = float(result)
        except (TypeError, ValueError):
            got = type(result).__name__
            return hint(f"validate should return one number, f1_score's, got a {got}.")
    whole, parts = scores.values()
    if abs(whole - parts) > 1e-6:
        found = f"{whole:.3f} in one batch, and {parts:.3f} in batches of 8"
        return not_yet(f"of the same predictions it says {found}.")
    if True in model.modes:
        return hint("the model predicts in train mode, as dropout must not.")
    if True in model.grads:
        return hint("the forward pass still keeps a graph for each batch.")
    right = {name: f1_score(TRUTH, SAID, average=name) for name in AVERAGES}
    for name, advice in AVERAGES.items():
        if name != "macro" and abs(whole - right[name]) < 1e-6:
            return hint(f"that is the {name} average. {advice}")
    if abs(whole - right["macro"]) > 1e-6:
        return hint(f"the macro F1 of all is {right['macro']:.4f}, got {whole:.4f}.")
    return correct("one score for all predictions, whatever the batch size.")


AVERAGES = {
    "macro": "",
    "micro": "It is the accuracy again.",
    "weighted": "Each class should weigh the same.",
}


# --- 2. choose a threshold -----------------------------------------------------------

# What is true, the logits, the least precision, and what is special about them.
CASES = [
    ([1, 0, 1, 1, 0, 0], [3, 2, 1, 0.5, -1, -2], 0.75, "the precision falls and rises"),
    ([0, 1, 1, 1, 0], [2, 1, 0.5, 0, -1], 0.75, "the highest logit belongs to class 0"),
    ([1, 1, 0, 1], [3, 2, 0, -5], 0.75, "it is best to call everything a 1"),
    ([1, 1, 1, 0, 0, 0, 1], [2, 1, 1, 1, 0, 0, -1], 0.75, "three logits are equal"),
    (
        [1, 1, 0, 0, 0, 1, 1, 1, 1],
        range(4, -5, -1),
        0.75,
        "most 1s lie below the 0s",
    ),
    ([1] * 6 + [0, 0, 1], range(4, -5, -1), 0.75, "the last 1 costs two false alarms"),
    ([1, 0, 0, 1], [2, 1, 0, -1], 0.5, "half of what is called 1 may be wrong"),
]


@checks_code
def threshold(
    best_threshold: Callable[[Tensor, Tensor, float], float],
    predict: Callable[[Tensor, float], Tensor],
) -> Verdict:
    """Check a threshold with the highest recall that a least precision allows.

    Args:
        best_threshold: takes classes and logits ``(N,)`` and the least precision,
            returns a threshold.
        predict: takes logits ``(N,)`` and that threshold, returns the classes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 0 / 0, which the verdict speaks of
        return _chosen(best_threshold, predict)


def _chosen(best_threshold, predict) -> Verdict:
    for number, (truth, values, least, special) in enumerate(CASES):
        y, logits = torch.tensor(truth), torch.tensor(values, dtype=torch.float64)
        best = max(_allowed_recall(y, logits >= cut, least) for cut in logits)
        found = best_threshold(y, logits, least)
        if found is None:
            return not_yet("best_threshold returned None.")
        said = torch.as_tensor(predict(logits, found)).long()
        if _allowed_recall(y, said, least) > best - 1e-9:
            continue
        if _allowed_recall(y, logits >= float(found), least) > best - 1e-9:
            above, ones = int((logits >= float(found)).sum()), int((said == 1).sum())
            return hint(
                f"where {special}, {float(found):g} is a right threshold: {above} "
                f"logits lie on it or above it, and predict says 1 for {ones} samples."
            )
        precision, recall = precision_score(y, said), recall_score(y, said)
        what = (
            f"where {special}, the threshold {float(found):g} has a precision of "
            f"{precision:.2f}, and a recall of {recall:.2f}. "
        )
        verdict = not_yet if number == 0 else hint
        if precision < least:
            return verdict(f"{what}The precision should be at least {least}.")
        return verdict(f"{what}Another one has a recall of {best:.2f}.")
    return correct("no other cut that is precise enough finds more.")


def _allowed_recall(y, said, least: float) -> float:
    """The recall, or -1 if the precision is too low."""
    return recall_score(y, said) if precision_score(y, said) >= least else -1.0


# --- 3. backwards --------------------------------------------------------------------

called = NumberCheck(
    prompt="Precision 0.75, recall 0.60, support 50: how many were called that class?",
    answer=40,
    tolerance=0.01,
    praise="30 hits are 0.60 of the 50, and 0.75 of the 40 that were called the class.",
    hints=[
        Hint(30, 30, "those are the hits. The false alarms were called the class too."),
        Hint(10, 10, "those are the false alarms. The hits were called the class too."),
        Hint(20, 20, "those are the ones it missed. Begin with the hits: 0.60 of 50."),
        Hint(
            37.5, 37.5, "precision is no share of the support. Begin with the recall."
        ),
        Hint(22.5, 22.5, "precision is hits / called: divide the hits by it."),
        Hint(50, 50, "that is the support: all that are the class, called or not."),
        Hint(66, 67, "the support is not all hits. Begin with the recall."),
    ],
)
