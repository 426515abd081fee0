"""The chapter new_tip: its checks, and its widget against torch."""

import pytest
import torch
from helpers.chapters.new_tip import NewTip, check
from traitlets import TraitError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10, "✓ Correct"),
        (32, "✗ Hint: that is what argmax(dim=1) returns"),
        (1, "✗ Hint: that is argmax without a dimension"),
        (11, "✗ Hint: 11 is too large"),
    ],
)
def test_answers_tells_right_from_wrong(value, text):
    assert repr(check.answers(value)).startswith(text)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda s, t: (s.argmax(dim=1) == t).sum().item(), "✓ Correct"),
        (
            lambda s, t: len(t),
            "✗ Hint: for the truth [0, 0, 1] there are 1 hits, got 3",
        ),
        (lambda s, t: (s.argmax(dim=0) == t).sum().item(), "✗ Hint: "),
        (lambda s, t: None, "○ Not yet"),
    ],
)
def test_hits_tells_right_from_wrong(attempt, text):
    assert repr(check.hits(attempt)).startswith(text)


@pytest.mark.parametrize("dim", [0, 1])
def test_widget_computes_what_torch_does(front_end, dim):
    for score in (-5, 0.9, 1.1, 2.1, 5):
        shown = front_end(NewTip, "m.argmax(m.scoresWith(a[0]), a[1])", [score, dim])
        scores = torch.tensor([[2.0, 0.0, score], [0.0, 3.0, 1.0]])
        assert shown == scores.argmax(dim).tolist(), f"score {score}"


def test_widget_shows_the_answer(mount):
    page = mount(NewTip(score=3.0))
    assert "argmax returns [2, 1]" in page.inner_text("body")
    page.get_by_label("0, the samples").check()
    assert "argmax returns [0, 1, 0]" in page.inner_text("body")


@pytest.mark.parametrize("settings", [{"score": 6.0}, {"dim": 2}])
def test_bad_setting_is_refused(settings):
    with pytest.raises(TraitError):
        NewTip(**settings)
