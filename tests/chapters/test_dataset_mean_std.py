"""The chapter on mean and std: checks, widget."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from traitlets import TraitError

from helpers.chapters.dataset_mean_std import StdExplorer, check
from helpers.widgets.base import STATE_MIME, state_digest

# --- checks, widget ------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "✓ Correct: variances add"),
        (0.35, "✗ Hint: stds do not add"),
        (0.175, "✗ Hint: it is larger than either"),
        (0.0625, "✗ Hint: that is the variance"),
        (0.1768, "✗ Hint: the squares are added"),
        (0.3, "✗ Hint: 0.3 is too large"),
    ],
)
def test_pooled_tells_right_from_wrong(value, text):
    assert repr(check.pooled(value)).startswith(text)


def right_merge(a, b):
    n, delta = a[0] + b[0], b[1] - a[1]
    return n, a[1] + delta * b[0] / n, a[2] + b[2] + delta**2 * a[0] * b[0] / n


def from_squares(a, b):
    n, mean, _ = right_merge(a, b)
    squares = sum(m2 + k * mu**2 for k, mu, m2 in (a, b))
    return n, mean, squares - n * mean**2


MERGES = [
    (right_merge, "✓ Correct"),
    (lambda a, b: None, "○ Not yet"),
    (lambda a, b: 3, "✗ Hint: return three values, count, mean and m2, got 3"),
    (
        lambda a, b: (a[0], a[1], a[2]),
        "✗ Hint: for two parts with different means the count",
    ),
    (
        lambda a, b: (a[0] + b[0], (a[1] + b[1]) / 2, right_merge(a, b)[2]),
        "✗ Hint: for a part of 2 and a part of 6 the mean",
    ),
    (
        lambda a, b: (*right_merge(a, b)[:2], a[2] + b[2]),
        "✗ Hint: for two parts with different means the m2",
    ),
    (from_squares, "✗ Hint: for numbers near 100,000,000 the m2"),
    (
        lambda a, b: (*right_merge(a, b)[:2], float("nan")),
        "✗ Hint: for two parts with different means the m2",
    ),
]

MERGE_HINTS = [
    (from_squares, "square differences only"),
    (lambda a, b: divided(a, b, a[0] + b[0]), "do not divide it by the count"),
    (lambda a, b: divided(a, b, a[0] + b[0] - 1), "do not divide it by the count"),
    (lambda a, b: (*divided(a, b)[:2], divided(a, b, 10)[2] ** 0.5), "That is the std"),
    (lambda a, b: divided(a, b, 2), "the distance of the two means and both counts"),
]


def divided(a, b, by=1):
    n, mean, m2 = right_merge(a, b)
    return n, mean, m2 / by


@pytest.mark.parametrize(("attempt", "text"), MERGE_HINTS)
def test_merge_says_what_is_wrong_with_m2(attempt, text):
    assert text in repr(check.merge(attempt))


@pytest.mark.parametrize(("attempt", "text"), MERGES)
def test_merge_tells_right_from_wrong(attempt, text):
    assert repr(check.merge(attempt)).startswith(text)


def normalise(x, by, dims=(0, 2, 3)):
    x, by = x / 255, by / 255
    std = by.std(dims, keepdim=True, correction=0).mean(0, keepdim=True)
    return (x - by.mean((0, 2, 3), keepdim=True)) / std


def leaking_average_of_stds(a, b):
    both = torch.cat([a, b])
    return normalise(a, both, (2, 3)), normalise(b, both, (2, 3))


PREPARES = [
    (lambda a, b: (normalise(a, a), normalise(b, a)), "✓ Correct"),
    (lambda a, b: None, "○ Not yet"),
    (lambda a, b: normalise(a, a), "✗ Hint: return two tensors"),
    (lambda a, b: (a, b), "✗ Hint: return both sets as torch.float32, got torch.uint8"),
    (
        lambda a, b: (normalise(a, torch.cat([a, b])), normalise(b, torch.cat([a, b]))),
        "✗ Hint: the training set changes with the test set: that is the leak",
    ),
    (leaking_average_of_stds, "○ Not yet: these are not the training set's mean"),
    (
        lambda a, b: (normalise(a, a), normalise(b, b)),
        "✗ Hint: a test image changes with the other test images",
    ),
    (
        lambda a, b: (normalise(a, a, (2, 3)), normalise(b, a, (2, 3))),
        "✗ Hint: the training set should have mean 0 and std 1",
    ),
    (lambda a, b: (normalise(a, a), b / 255), "✗ Hint: the test set needs the same"),
    (
        lambda a, b: (normalise(a, a, (0, 1, 2, 3)), normalise(b, a, (0, 1, 2, 3))),
        "✗ Hint: the training set should have mean 0 and std 1",
    ),
    (lambda a, b: (fixed(a), fixed(b)), "✗ Hint: the training set should have mean 0"),
    (lambda a, b: (whole(a, a), whole(b, a)), "✓ Correct"),
]


def fixed(x):
    """Normalise with the constants of a pretrained model."""
    return v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(x / 255)


def whole(x, by):
    """Normalise in units of 0 to 255: the scale cancels."""
    std, mean = torch.std_mean(by.float(), dim=(0, 2, 3), keepdim=True)
    return (x - mean) / std


def test_prepare_asks_which_pixels_a_wrong_std_is_of():
    verdict = repr(
        check.prepare(lambda a, b: [normalise(x, a, (2, 3)) for x in (a, b)])
    )
    assert "got means [" in verdict
    assert verdict.endswith("Of which pixels did you take yours?")


@pytest.mark.parametrize(("attempt", "text"), PREPARES)
def test_prepare_tells_right_from_wrong(attempt, text):
    assert repr(check.prepare(attempt)).startswith(text)


@pytest.mark.parametrize(
    "change", [{"brightness": 0.3}, {"contrast": 0.2}, {"batch": 16}, {"guess": 2}]
)
def test_digest_changes_with_whatever_is_shown(change):
    digest = StdExplorer(**change)._repr_mimebundle_()[0][STATE_MIME]["state"]
    assert digest != state_digest(StdExplorer().get_state())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"spread": 1}, TypeError, "no setting 'spread'. It has: batch, brightness"),
        (
            {"brightness": 0.5},
            TraitError,
            r"brightness.* from 0 to 0.3, not the \w+ 0.5",
        ),
        (
            {"contrast": -0.1},
            TraitError,
            r"contrast.* from 0.01 to 0.3, not the \w+ -0.1",
        ),
        ({"contrast": float("nan")}, TraitError, "not the float nan"),
        ({"batch": 3}, TraitError, "batch"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        StdExplorer(**settings)


@pytest.mark.parametrize("batch", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(
    ("brightness", "contrast"), [(0.2, 0.1), (0.3, 0.01), (0, 0.3)]
)
def test_std_decomposition_agrees_with_torch(front_end, brightness, contrast, batch):
    shown = front_end(StdExplorer, "m.images(...a)", [brightness, contrast])
    mean, std = torch.tensor(shown, dtype=torch.float64).T
    pixels = torch.stack([mean - std, mean + std], dim=1)  # two pixels an image
    ours = front_end(
        StdExplorer,
        "[m.within(a[0]), m.between(a[0]), m.pooled(a[0]), m.averageOfBatches(...a)]",
        [shown, batch],
    )
    stds = [b.std(correction=0).item() for b in pixels.split(batch)]
    theirs = [
        pixels.var(dim=1, correction=0).mean().sqrt().item(),
        pixels.mean(dim=1).std(correction=0).item(),
        pixels.std(correction=0).item(),
        np.mean(stds),
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours[:2], [contrast, brightness], atol=1e-9)


def test_pixels_of_the_page_have_the_std_that_it_names(front_end):
    shown, pixels = front_end(
        StdExplorer, "[m.images(...a), m.pixels(m.images(...a))]", [0.2, 0.1]
    )
    values = np.array(pixels).reshape(16, 64)
    np.testing.assert_allclose(values.mean(axis=1), np.array(shown)[:, 0], atol=1e-9)
    np.testing.assert_allclose(values.std(axis=1), np.array(shown)[:, 1], atol=1e-9)
    pooled = front_end(StdExplorer, "m.pooled(a)", shown)
    assert pooled == pytest.approx(values.std(), rel=1e-9)


def test_histogram_of_the_page_is_numpy_s(front_end):
    values = np.random.default_rng(0).normal(size=200)
    steps = front_end(StdExplorer, "m.histogram(a, -4, 4, 16)", values.tolist())
    counts, edges = np.histogram(values, bins=16, range=(-4, 4))
    np.testing.assert_allclose([y for _, y in steps[1:-1:2]], counts / 200, atol=1e-9)
    np.testing.assert_allclose([x for x, _ in steps[1:-1:2]], edges[:-1], atol=1e-9)


def test_guess_is_locked_before_anything_is_shown(mount):
    page = mount(StdExplorer())
    assert page.locator("td").all_inner_texts() == ["", "–", "–", "–", "–"]
    assert page.locator("path.mp-correct").count() == 0
    page.get_by_label("Your guess, as a number").fill("2")
    page.get_by_role("button", name="Lock my guess").click()
    assert page.locator("td").all_inner_texts()[1:] == [
        "0.2236",
        "0.0885",
        "1.00",
        "2.53",
    ]
    assert page.locator("path.mp-correct").count() == 1
    assert "You guessed 2.00." in page.locator(".mp").inner_text()
    page.get_by_role("button", name="Reset").click()
    assert page.locator("td").all_inner_texts()[1:] == ["–", "–", "–", "–"]
