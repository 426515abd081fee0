"""Checks of the chapter on the classification report."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
    letters,
    wrong_tensor,
)

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
        Hint(66, 67, "the support is not all hits. Begin with the recall."),
    ],
)

# Hits only; a class never predicted; a class never hit; four classes of unlike size.
MATRICES = {
    "a perfect model": [[3, 0], [0, 5]],
    "the notes' matrix": [[1, 0], [2, 2]],
    "a class that is never predicted": [[4, 0, 1], [1, 0, 2], [0, 0, 3]],
    "a class that is predicted and never hit": [[0, 2], [1, 4]],
    "four classes": [[9, 1, 0, 0], [2, 5, 1, 1], [0, 0, 2, 7], [1, 0, 0, 30]],
}


def _f1_averages(matrix: Tensor) -> tuple[Tensor, Tensor]:
    support, predicted = matrix.sum(dim=1), matrix.sum(dim=0)
    f1 = 2 * matrix.diag().double() / (support + predicted)
    return f1.mean(), (f1 * support).sum() / support.sum()


@checks_function(lambda fn: fn(torch.tensor([[1, 0], [2, 2]])))
def f1_averages(fn: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Verdict:
    """Check macro and weighted F1 of a confusion matrix.

    Args:
        fn: takes counts ``(C, C)``, returns two float64 tensors ``()``.
    """
    for name, rows in MATRICES.items():
        matrix = torch.tensor(rows)
        result, expected = fn(matrix), _f1_averages(matrix)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return hint("return two tensors: macro, weighted.")
        for which, given, right in zip(
            ("macro", "weighted"), result, expected, strict=True
        ):
            fault = wrong_dtype_or_shape(given, right)
            if fault:
                return hint(f"{which}: {fault}")
            if not torch.isclose(given, right, atol=1e-6):
                return _wrong_value(name, which, given, right, matrix, expected)
    return correct(
        "2 hits / (support + predicted) is never 0 / 0 if a class has samples."
    )


def wrong_dtype_or_shape(given: object, right: Tensor) -> str | None:
    """Return what is wrong with one of the two averages, if anything is."""
    if isinstance(given, Tensor) and given.dtype != right.dtype:
        return f"return {right.dtype}, got {given.dtype}. Count in double()."
    fault = wrong_tensor(given, right)
    return fault.text if fault else None


def _wrong_value(
    name: str,
    which: str,
    given: Tensor,
    right: Tensor,
    matrix: Tensor,
    expected: tuple[Tensor, Tensor],
) -> Verdict:
    """Name the likely mistake behind a wrong average."""
    finding = f"for {name} the {which} F1 is {right:.4f}, got {given:.4f}."
    hits = matrix.diag().double()
    precision, recall = hits / matrix.sum(dim=0), hits / matrix.sum(dim=1)
    p, r = precision.mean(), recall.mean()
    if given.isnan():
        return hint(f"{finding} A precision of 0 / 0, or 0 hits, must give an F1 of 0.")
    if torch.isclose(given, 2 * p * r / (p + r)):
        return hint(f"{finding} Average the classes' F1s, not precision and recall.")
    if torch.isclose(given, _f1_averages(matrix.T)[1]):
        return hint(f"{finding} Weigh by the true samples: rows, not columns.")
    if torch.isclose(given, expected[which == "macro"]):
        return hint(f"{finding} Return macro first, then weighted.")
    return hint(finding)


RANKING = {
    "0": ("B", "A's class 2 counts as 0: (0.500 + 1 + 0) / 3."),
    "1": ("A", "A's class 2 counts as 1: (0.500 + 1 + 1) / 3."),
    "nan": ("A", "A's class 2 is left out: (0.500 + 1) / 2."),
}

OF_B = "B has (1 + 0.500 + 0.500) / 3."


def ranking(answer: object) -> Verdict:
    """Check which of two models wins for each value of zero_division.

    Args:
        answer: dict from "0", "1" and "nan" to "A" or "B".
    """
    ask = 'write "A" or "B" for each of the three values.'
    praise = "never to predict a class pays, unless 0 / 0 counts as 0."
    key = {name: (right, f"{of_a} {OF_B}") for name, (right, of_a) in RANKING.items()}
    return letters(answer, key, "three", ask, praise)
