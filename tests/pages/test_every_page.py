"""Every page in a real browser: wide and narrow, in light colours and in dark ones."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
import symptoms
from notebook_rules import VIEW_MIME, Chapter, notebooks
from visit import (
    ACCESSIBLE,
    NARROW,
    NARROWER,
    PAGES,
    SOUND,
    WIDE,
    report,
    too_wide,
    violations,
    without_contrast,
)

# What comes over the wire before a reader scrolls, pictures below the fold apart. A
# chapter has its widgets, the symptom page its rows and patterns, the search page the
# words of all pages; the others have text.
FIRST_LOAD_KB = {
    "notebooks": 240,
    "book/symptoms.html": 200,
    "book/teach.html": 190,
    "search.html": 165,
    "others": 150,
}
REQUESTS = 20


@dataclass
class Sight:
    """What one visit saw; several tests ask about it."""

    errors: list[str]
    too_wide: list[str]
    violations: list[tuple]
    # Violations of contrast in dark colours.
    dark: list[tuple]
    kilobytes: float
    requests: list[str]
    # What the browser loads before it paints anything.
    waited_for: list[str]
    # Heights kept for widgets, and drawn, on a wide screen and on a narrow one.
    views_px: dict[str, list[tuple[float, float]]]
    # Where the recipe and the right way end.
    ends_px: dict[str, float]
    # Code and outputs that need scrolling, by the width of the screen.
    cut: dict[int, list[str]]
    # For each anchor that the symptom page leads to: the places where it lands.
    lands_px: dict[str, list[float]]


@pytest.fixture(scope="module")
def sights():
    return {}


@pytest.fixture
def sight(visit, sights):
    """Visit a page once, and say what was seen."""
    looks = sights.setdefault("looks", {"light": [], "dark": []})

    def look(name):
        if name not in sights:
            sights[name] = seen(name, visit(name), looks)
        return sights[name]

    return look


WAITED_FOR = """() => performance.getEntriesByType("resource")
  .filter((r) => r.renderBlockingStatus === "blocking").map((r) => r.name)"""
# Code that scrolls becomes a tab stop 0.3 s after the width has changed.
DEBOUNCE_MS = 400
CUT = """() => [...document.querySelectorAll(".cell:not(.tag_set-up) pre")]
  .filter((p) => p.scrollWidth > p.clientWidth + 1).map((p) => p.textContent.slice(0, 80))"""
LANDS = """(anchors) => Object.fromEntries(anchors.map((id) => {
  location.hash = id;
  const found = [...document.querySelectorAll(`[id="${id}"]`)];
  return [id, found.map((e) => Math.round(e.getBoundingClientRect().top))];
}))"""
# The anchors to which the symptom page leads, of each chapter.
TRAPS = defaultdict(list)
for place in symptoms.links(symptoms.load()["rows"]):
    TRAPS[place.chapter].append(place.anchor)
# Seen without searching: on the first screen, and on the second.
ENDS_PX = {"recipe": 1000, "right": 1600}


def seen(name, opened, looks) -> Sight:
    """Look at a page on a wide screen, on a phone, on a small phone, and in the dark."""
    page = opened.page
    page.wait_for_load_state("networkidle")  # what a page asks for later counts too
    # Before axe, which loads style sheets of its own.
    requests, kilobytes = [r.url for r in opened.responses], opened.kilobytes()
    waited_for, views_px = page.evaluate(WAITED_FOR), {"wide": heights(page)}
    ends_px, cut = ends(page), {WIDE["width"]: page.evaluate(CUT)}
    wide, faint = too_wide(page), without_contrast(page, looks["light"])

    page.set_viewport_size({"width": 1366, "height": 768})
    cut[1366] = page.evaluate(CUT)

    page.set_viewport_size(NARROW)
    page.wait_for_timeout(DEBOUNCE_MS)
    views_px["narrow"] = heights(page)
    wide, found = wide + too_wide(page), violations(page) + faint
    page.set_viewport_size({"width": 320, "height": 640})
    wide += too_wide(page)

    # Last, since it leaves the page dark; contrast does not depend on the width.
    page.set_viewport_size(WIDE)
    dark = dark_contrast(page, looks["dark"])
    lands_px = page.evaluate(LANDS, TRAPS[Path(name).stem])
    return Sight(
        errors=opened.errors,
        too_wide=wide,
        violations=found,
        dark=dark,
        kilobytes=kilobytes,
        requests=requests,
        waited_for=waited_for,
        views_px=views_px,
        ends_px=ends_px,
        cut=cut,
        lands_px=lands_px,
    )


def heights(page) -> list[tuple[float, float]]:
    """Return for each widget of a page the height kept for it, and the one drawn."""
    return [
        (
            view.evaluate("(v) => parseFloat(getComputedStyle(v).minHeight)"),
            view.locator(".mp").first.bounding_box()["height"],
        )
        for view in page.locator(".mp-view[data-ready]").all()
    ]


def ends(page) -> dict[str, float]:
    """Return where a chapter's recipe and right way end, in px from the top."""
    boxes = {tag: page.locator(f".tag_{tag}") for tag in ENDS_PX}
    found = {tag: box.bounding_box() for tag, box in boxes.items() if box.count()}
    return {tag: box["y"] + box["height"] for tag, box in found.items()}


def dark_contrast(page, known) -> list[tuple]:
    """Return the texts without contrast once the reader's system asks for dark colours.

    All else that axe knows of is the same in both.
    """
    page.add_style_tag(content="* { transition: none !important; }")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    return without_contrast(page, known)


@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound(sight, name):
    """No console error, no other host, nothing wider than the screen, no axe violation."""
    at = sight(name)
    assert not at.errors, report(name, at.errors, SOUND)
    assert not at.too_wide, report(name, at.too_wide, NARROWER)
    assert not at.violations, report(name, at.violations, ACCESSIBLE)


@pytest.mark.parametrize("name", PAGES)
def test_dark_page_has_contrast(sight, name):
    found = sight(name).dark
    assert not found, report(f"{name}, dark", found, ACCESSIBLE)


@pytest.mark.parametrize("name", ["book/index.html", "notebooks/bce_and_logits.html"])
def test_page_opened_in_the_dark_on_a_phone_is_sound(visit, name):
    opened = visit(name, viewport=NARROW, scheme="dark")
    assert not opened.errors, report(name, opened.errors, SOUND)
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    found = without_contrast(opened.page)
    assert not found, report(f"{name}, dark, narrow", found, ACCESSIBLE)


def test_wide_page_keeps_the_rules_too(visit):
    """Its bars at the sides, which a phone folds away, are the same on every page."""
    found = violations(visit("notebooks/bce_and_logits.html").page)
    assert not found, report("bce_and_logits, wide", found, ACCESSIBLE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_faint_text_among_others_is_named(chromium, scheme):
    page = chromium.new_page(color_scheme=scheme)
    page.set_content(
        """<style>
          body { color: #000; background: #fff; }
          i { color: #777; }
          @media (prefers-color-scheme: dark) { .night { color: #ccc; } }
        </style>
        <p>dark</p><p>dark</p><p class="night">faint at night</p>
        <div style="background: #eee"><i>faint on grey</i></div>
        <div style="opacity: 0.5"><p class="half">faint</p></div>
        <p class="mixed" style="color: #aaa">faint <b style="color: #000">dark</b></p>
        <p>dark text <a href="#" style="color: #333; text-decoration: none">link</a></p>"""
    )
    (_, targets), (links, of_links) = without_contrast(page)
    by_night = [[".night"]] if scheme == "dark" else []
    assert targets == [*by_night, ["i"], [".half"], [".mixed"]]
    assert (links, of_links) == ("link-in-text-block", [["a"]])
    known = []
    assert without_contrast(page, known)
    looks = ["dark", "on grey", "half", "faint and dark", "dark in faint", "link"]
    assert len(known) == len(looks) + len(by_night)
    assert without_contrast(page, known) == []
    assert page.locator("p").nth(1).is_visible()
    assert page.locator(".mixed").inner_text() == "faint dark"
    page.close()


def test_element_that_is_too_wide_is_named(chromium):
    page = chromium.new_page(viewport={"width": 320, "height": 640})
    inner = "<p class='long' style='width: 400px'>far</p>"
    page.set_content(f"<main style='overflow-x: auto'>{inner}</main>")
    assert too_wide(page) == []
    page.set_content(f"<main style='margin: 0'>{inner}</main>")
    total, element = too_wide(page)
    assert total.endswith("px wide on a screen of 320 px")
    assert (
        element == "html > body > main > p.long ends at 408 px: far"
    )  # 8 px are the body's margin
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_first_load_is_light(sight, name):
    at = sight(name)
    kind = "notebooks" if name.startswith("notebooks/") else name
    limit = FIRST_LOAD_KB.get(kind, FIRST_LOAD_KB["others"])
    assert at.kilobytes <= limit, (
        f"{name}: {at.kilobytes:.0f} KB come with the first load, more than {limit}. Drop "
        f"what the page does not need of {at.requests}."
    )
    files = [url for url in at.requests if "/_images/" not in url]
    assert len(files) <= REQUESTS, f"{name} asks for {len(files)} files: {files}"


@pytest.mark.parametrize("name", PAGES)
def test_first_paint_waits_for_one_style_sheet(sight, name):
    (sheet,) = sight(name).waited_for
    assert "/_static/styles/page.css?v=" in sheet


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_every_stored_widget_is_on_the_page(sight, path):
    outputs = [o for _, cell in Chapter.read(path).code for o in cell.outputs]
    stored = [o for o in outputs if VIEW_MIME in o.get("data", {})]
    at = sight(f"notebooks/{path.stem}.html")
    drawn = at.views_px["wide"]
    assert len(drawn) == len(stored), (
        f"{path.name}: {len(stored)} widgets are stored, and {len(drawn)} are drawn "
        f"on the page. The browser says {at.errors or 'nothing'}; run the notebook again "
        f"with `make check TIP={path.stem}`."
    )


@pytest.mark.parametrize("way", ["wide", "narrow"])
@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_room_kept_for_a_widget_is_its_height(sight, path, way):
    """Within an eighth, so that the page hardly moves when the widget is drawn."""
    views = sight(f"notebooks/{path.stem}.html").views_px[way]
    for number, (kept, drawn) in enumerate(views, 1):
        assert drawn == pytest.approx(kept, rel=0.125, abs=45), (
            f"{path.name}: widget {number} of the page keeps {kept:.0f} px and is "
            f"{drawn:.0f} px high in the {way} column. In height_px of its class write "
            f"{drawn:.0f} as the {'first' if way == 'wide' else 'second'} number, then "
            "run the notebook again."
        )


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_recipe_and_right_are_seen_without_searching(sight, path):
    ends_px = sight(f"notebooks/{path.stem}.html").ends_px
    for tag, most in ENDS_PX.items():
        assert ends_px[tag] <= most, (
            f"{path.stem}: {tag} ends at {ends_px[tag]:.0f} px, not within {most}. Shorten "
            "what stands above it."
        )


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_no_code_or_output_is_cut(sight, path):
    assert sight(f"notebooks/{path.stem}.html").cut == {1280: [], 1366: []}


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_link_of_the_symptom_page_lands_at_its_trap(sight, path):
    """In the first 300 px of the window, once the page's figures and widgets are there."""
    lands_px = sight(f"notebooks/{path.stem}.html").lands_px
    assert set(lands_px) == set(TRAPS[path.stem]) != set()
    off = {
        a: tops
        for a, tops in lands_px.items()
        if [0 <= y < 300 for y in tops] != [True]
    }
    assert not off, f"{path.stem}.html, px from the top of the window: {off}"
