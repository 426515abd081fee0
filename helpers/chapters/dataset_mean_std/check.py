"""Checks of the chapter on the mean and std of a dataset."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
    not_yet,
    wrong_tensor,
)

pooled = NumberCheck(
    prompt="Within the images 0.20, between them 0.15: what is the std of all pixels?",
    answer=0.25,
    tolerance=0.0005,
    praise="variances add: 0.04 + 0.0225 = 0.0625, and its root is 0.25.",
    hints=[
        Hint(0.3495, 0.3505, "stds do not add; their squares do."),
        Hint(0.1745, 0.1755, "it is larger than either of the two."),
        Hint(0.0624, 0.0626, "that is the variance. Take its square root."),
        Hint(0.17, 0.18, "the squares are added, not averaged."),
    ],
)


def _part(pixels: Tensor) -> tuple[int, Tensor, Tensor]:
    """Count, mean and sum of squared deviations of one channel of numbers."""
    mean = pixels.mean()
    return len(pixels), mean, (pixels - mean).square().sum()


MERGES = (  # how many numbers, and about which value, in both parts
    (5, 0.0, 5, 3.0, "two parts with different means"),
    (2, 0.0, 6, 3.0, "a part of 2 and a part of 6"),
    (40, 1e8, 60, 1e8 + 1, "numbers near 100,000,000"),
)


@checks_function(lambda fn: fn(_part(torch.zeros(2)), _part(torch.ones(3))))
def merge(fn: Callable[[tuple, tuple], tuple]) -> Verdict:
    """Check a merge of (count, mean, sum of squared deviations) of two sets.

    Args:
        fn: takes two such triples, returns that of all of the numbers.
    """
    generator = torch.Generator().manual_seed(0)
    for n, low, m, high, name in MERGES:
        a = torch.randn(n, generator=generator, dtype=torch.float64) + low
        b = torch.randn(m, generator=generator, dtype=torch.float64) + high
        result, expected = fn(_part(a), _part(b)), _part(torch.cat([a, b]))
        if not isinstance(result, (tuple, list)) or len(result) != 3:
            return hint(f"return three values, count, mean and m2, got {result!r}.")
        for part, got, right in zip(
            ("count", "mean", "m2"), result, expected, strict=True
        ):
            got, right = float(got), float(right)
            if _differ(got, right):
                advice = _advice(part, got, right, n + m, low)
                return hint(
                    f"for {name} the {part} is {right:.6g}, got {got:.6g}.{advice}"
                )
    return correct("the same as one pass over all of them, however they are cut.")


def _differ(got: float, right: float) -> bool:
    return not abs(got - right) <= 1e-6 * abs(right)  # nan differs too


def _advice(part: str, got: float, right: float, count: int, about: float) -> str:
    """Return what to say about a wrong part for so many numbers about some value."""
    if part != "m2":
        return " The larger part has more weight." if part == "mean" else ""
    if about:  # it was right for small numbers
        return (
            " Squares of large numbers have lost its digits: square differences only."
        )
    if not (_differ(got, right / count) and _differ(got, right / (count - 1))):
        return " m2 is a sum: do not divide it by the count."
    if not _differ(got, (right / count) ** 0.5):
        return " That is the std; m2 is a sum of squares."
    return " What do the distance of the two means and both counts add to it?"


@checks_function(lambda fn: fn(*_sets()[:2]))
def prepare(fn: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Verdict:
    """Check that two sets are normalised with the statistics of the first alone.

    Args:
        fn: takes training and test images, uint8 ``(N, C, H, W)``, returns both as
            float32, normalised.
    """
    train, test, expected_train, expected_test = _sets()
    result = fn(train, test)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return hint("return two tensors, the training set and the test set.")
    for got, right in zip(result, (expected_train, expected_test), strict=True):
        dtype = getattr(got, "dtype", right.dtype)
        if dtype != right.dtype:
            return hint(f"return both sets as {right.dtype}, got {dtype}.")
        fault = wrong_tensor(got, right)
        if fault:
            return fault
    if not torch.equal(fn(train, test // 2)[0], result[0]):
        by_both = _normalised(train, torch.cat([train, test]))
        if not torch.allclose(result[0], by_both, atol=0.02):
            return not_yet("these are not the training set's mean and std.")
        return hint("the training set changes with the test set: that is the leak.")
    if not torch.allclose(result[0], expected_train, atol=0.02):
        stds, means = torch.std_mean(result[0], dim=(0, 2, 3), correction=0)
        means, stds = (
            [round(v, 2) for v in values.tolist()] for values in (means, stds)
        )
        return hint(
            "the training set should have mean 0 and std 1 in each channel, got means "
            f"{means} and stds {stds}. Of which pixels did you take yours?"
        )
    if not torch.allclose(fn(train, test[:1])[1], result[1][:1], atol=0.02):
        return hint(
            "a test image changes with the other test images. Whose mean is it?"
        )
    if not torch.allclose(result[1], expected_test, atol=0.02):
        return hint("the test set needs the same mean and std as the training set.")
    return correct("the test set is measured with the training set's ruler.")


def _sets() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a darker and a brighter set of images, and both normalised."""
    generator = torch.Generator().manual_seed(0)
    shape = (6, 3, 4, 4)
    train = torch.randint(0, 40, shape, generator=generator, dtype=torch.uint8)
    train += (30 * torch.arange(6, dtype=torch.uint8)).view(6, 1, 1, 1)  # dark, bright
    train += (20 * torch.arange(3, dtype=torch.uint8)).view(3, 1, 1)  # channels differ
    test = torch.randint(100, 256, shape, generator=generator, dtype=torch.uint8)
    return train, test, _normalised(train, train), _normalised(test, train)


def _normalised(images: Tensor, source: Tensor) -> Tensor:
    """Return uint8 images normalised by the mean and std of all pixels of the source."""
    pixels = source.float() / 255
    std, mean = torch.std_mean(pixels, dim=(0, 2, 3), keepdim=True, correction=0)
    return (images.float() / 255 - mean) / std
