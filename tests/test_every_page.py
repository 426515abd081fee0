"""Every page in a real browser, wide and narrow, light and dark."""

from dataclasses import dataclass

import claims
import pytest
from axe_playwright_python.sync_playwright import Axe
from notebook_rules import VIEW_MIME, Chapter, notebooks
from visit import NARROW, WIDE

PAGES = [f"{file}.html" for file in [*claims.pages(), "search", "genindex"]]
FIRST_LOAD_MB = 1.3
# The contrast of every text takes most of axe's time, and depends on the palette, not
# on the width: the narrow page is asked for all else.
WAYS = {
    "wide-light": (WIDE, "light", {}),
    "wide-dark": (WIDE, "dark", {}),
    "narrow": (NARROW, "light", {"rules": {"color-contrast": {"enabled": False}}}),
}


@dataclass
class Sight:
    """What one visit saw; several tests ask about it."""

    errors: list[str]
    theme: str
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
            viewport, scheme, options = WAYS[way]
            opened = visit(name, viewport=viewport, scheme=scheme)
            if way == "wide-light":  # what a page asks for later counts too
                opened.page.wait_for_load_state("networkidle")
            sights[name, way] = seen(opened, options)
        return sights[name, way]

    return look


def seen(opened, axe_options) -> Sight:
    page = opened.page
    root = "document.documentElement"
    # Before axe, which loads style sheets of its own.
    errors, megabytes = list(opened.errors), opened.megabytes()
    violations = Axe().run(page, options=axe_options).response["violations"]
    views = [
        (
            view.evaluate("(v) => parseFloat(getComputedStyle(v).minHeight)"),
            view.locator(".mp").first.bounding_box()["height"],
        )
        for view in page.locator(".mp-view[data-ready]").all()
    ]
    theme = page.evaluate(f"{root}.dataset.theme")
    too_wide = [page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")]
    if page.viewport_size == NARROW:
        page.set_viewport_size({"width": 320, "height": 640})  # a small phone
        too_wide.append(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))
    return Sight(
        errors,
        theme,
        max(too_wide),
        [(v["id"], [n["target"] for n in v["nodes"]]) for v in violations],
        megabytes,
        views,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound(sight, name, way):
    """No console error, no other host, nothing wider than the screen, no axe violation."""
    at = sight(name, way)
    assert at.errors == []
    assert at.theme == WAYS[way][1]
    assert at.too_wide_px <= 0
    assert at.violations == []


@pytest.mark.parametrize("name", PAGES)
def test_first_load_is_light(sight, name):
    assert sight(name, "wide-light").megabytes <= FIRST_LOAD_MB


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_every_stored_widget_is_on_the_page(sight, path):
    outputs = [o for _, cell in Chapter.read(path).code for o in cell.outputs]
    stored = [o for o in outputs if VIEW_MIME in o.get("data", {})]
    at = sight(f"notebooks/{path.stem}.html", "wide-light")
    assert len(at.views_px) == len(stored)


@pytest.mark.parametrize("way", ["wide-light", "narrow"])
@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_room_kept_for_a_widget_is_its_height(sight, path, way):
    """Within an eighth, so that the page hardly moves when the widget is drawn."""
    for kept, drawn in sight(f"notebooks/{path.stem}.html", way).views_px:
        assert drawn == pytest.approx(kept, rel=0.125, abs=45)


@pytest.mark.parametrize("name", ["book/index.html", "notebooks/bce_and_logits.html"])
def test_dark_phone_has_contrast_too(visit, name):
    page = visit(name, viewport=NARROW, scheme="dark").page
    assert Axe().run(page).response["violations"] == []
