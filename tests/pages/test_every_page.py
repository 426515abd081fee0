"""Every page in a real browser, wide and narrow, in light colours."""

from dataclasses import dataclass

import pytest
from notebook_rules import VIEW_MIME, Chapter, notebooks
from visit import NARROW, PAGES, WIDE, too_wide_px, violations

FIRST_LOAD_MB = 1.3
# The contrast of every text takes most of axe's time, and depends on the palette, not
# on the width: the narrow page is asked for all else.
WAYS = {
    "wide": (WIDE, {}),
    "narrow": (NARROW, {"color-contrast": {"enabled": False}}),
}


@dataclass
class Sight:
    """What one visit saw; several tests ask about it."""

    errors: list[str]
    too_wide_px: int
    violations: list[tuple]
    megabytes: float
    views_px: list[tuple[float, float]]  # height kept for a widget, height drawn


@pytest.fixture(scope="module")
def sights():
    return {}


@pytest.fixture
def sight(visit, sights):
    """Visit a page in one of the WAYS, once, and say what was seen."""

    def look(name, way):
        if (name, way) not in sights:
            viewport, rules = WAYS[way]
            sights[name, way] = seen(visit(name, viewport=viewport), rules)
        return sights[name, way]

    return look


def seen(opened, rules) -> Sight:
    page = opened.page
    page.wait_for_load_state("networkidle")  # what a page asks for later counts too
    # Before axe, which loads style sheets of its own.
    errors, megabytes = list(opened.errors), opened.megabytes()
    views = [
        (
            view.evaluate("(v) => parseFloat(getComputedStyle(v).minHeight)"),
            view.locator(".mp").first.bounding_box()["height"],
        )
        for view in page.locator(".mp-view[data-ready]").all()
    ]
    found, too_wide = violations(page, **rules), [too_wide_px(page)]
    if page.viewport_size == NARROW:
        page.set_viewport_size({"width": 320, "height": 640})  # a small phone
        too_wide.append(too_wide_px(page))
    return Sight(errors, max(too_wide), found, megabytes, views)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound(sight, name, way):
    """No console error, no other host, nothing wider than the screen, no axe violation."""
    at = sight(name, way)
    assert at.errors == []
    assert at.too_wide_px <= 0
    assert at.violations == []


@pytest.mark.parametrize("name", PAGES)
def test_first_load_is_light(sight, name):
    assert sight(name, "wide").megabytes <= FIRST_LOAD_MB


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_every_stored_widget_is_on_the_page(sight, path):
    outputs = [o for _, cell in Chapter.read(path).code for o in cell.outputs]
    stored = [o for o in outputs if VIEW_MIME in o.get("data", {})]
    at = sight(f"notebooks/{path.stem}.html", "wide")
    assert len(at.views_px) == len(stored)


@pytest.mark.parametrize("way", ["wide", "narrow"])
@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_room_kept_for_a_widget_is_its_height(sight, path, way):
    """Within an eighth, so that the page hardly moves when the widget is drawn."""
    for kept, drawn in sight(f"notebooks/{path.stem}.html", way).views_px:
        assert drawn == pytest.approx(kept, rel=0.125, abs=45)
