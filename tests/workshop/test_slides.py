"""Slides from a folder, without a server: all fits, lives, and obeys a clicker."""

import re

import claims
import contents
import deck
import lesson
import markup
import pytest
import slides
import vendor_reveal
from visit import too_wide, violations, without_contrast

CHAPTERS = contents.notebooks()
QUICK = CHAPTERS[0]
SCREEN = {"width": 1280, "height": 720}
READY = """() => window.Reveal?.isReady() && document.querySelector(".fit").style.zoom &&
  [...document.querySelectorAll(".mp-view")].every((v) => "ready" in v.dataset)"""
# Where the last and the widest thing on each slide end, from the slide's own corner.
ENDS = """() => [...document.querySelectorAll(".slides section:not(.stack)")].map((slide) => {
  const corner = slide.getBoundingClientRect();
  const shown = [...slide.querySelectorAll(".fit *")].filter((e) => e.checkVisibility());
  const ends = shown.map((e) => e.getBoundingClientRect());
  return {
    text: slide.textContent.trim().slice(0, 60),
    bottom: Math.max(...ends.map((e) => e.bottom)) - corner.top,
    right: Math.max(...ends.map((e) => e.right)) - corner.left,
    zoom: Number(slide.querySelector(".fit").style.zoom),
  };
})"""
each = pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.stem, marks=[] if p == QUICK else pytest.mark.workshop)
        for p in CHAPTERS
    ],
)


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workshop") / "slides"
    slides.write(folder, CHAPTERS)
    return folder


@pytest.fixture
def present(chromium, decks):
    """Open a chapter's deck without a network; what went wrong is kept in ``errors``."""
    pages = []

    def open_deck(path, scheme="light"):
        context = chromium.new_context(
            viewport=SCREEN, color_scheme=scheme, offline=True
        )
        page = context.new_page()
        page.errors = []
        page.on("console", lambda m: page.errors.append(m.text))
        page.on("pageerror", lambda e: page.errors.append(str(e)))
        page.on(
            "request",
            lambda r: page.errors.append(r.url) if _is_outside(r.url) else None,
        )
        page.goto((decks / f"{path.stem}.html").as_uri())
        page.wait_for_function(READY)
        pages.append(context)
        return page

    yield open_deck
    for context in pages:
        context.close()


def _is_outside(url):
    return not url.startswith(("file:", "blob:", "data:", "about:"))


@each
def test_every_slide_fits_and_every_widget_lives(present, path):
    page = present(path)
    page.wait_for_timeout(300)  # figures and widgets have their size
    found = page.evaluate(ENDS)
    assert len(found) > 30
    assert [s for s in found if s["bottom"] > 720 or s["right"] > 1280] == []
    assert [s for s in found if s["zoom"] < 0.55] == []  # 16 px, too small for a room
    views = page.locator(".mp-view[data-ready]").count()
    shown = [c for c in contents.cells(path) if c["cell_type"] == "code"]
    shown = [c for c in shown if "hide-cell" not in c["metadata"].get("tags", [])]
    assert views == sum(len(markup.models(cell)) for cell in shown) > 0
    assert page.errors == []


def first_widget(page):
    """Go to the first slide with a widget, and return the widget and the slide's place."""
    place = page.evaluate(
        """() => {
          const slide = document.querySelector(".mp-view").closest("section");
          const { h, v } = Reveal.getIndices(slide);
          Reveal.slide(h, v);
          return h;
        }"""
    )
    return page.locator(".mp-view").first, place


def test_clicker_turns_the_slide_and_leaves_the_slider_alone(present):
    page = present(QUICK)
    widget, place = first_widget(page)
    slider = widget.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    moved = slider.input_value()
    assert page.evaluate("Reveal.getIndices().h") == place
    page.keyboard.press("PageDown")
    assert page.evaluate("Reveal.getIndices().h") == place + 1
    page.keyboard.press("PageUp")
    assert page.evaluate("Reveal.getIndices().h") == place
    assert slider.input_value() == moved


def test_space_presses_the_focused_button(present):
    page = present(QUICK)
    _, place = first_widget(page)
    page.evaluate(
        """() => {
          window.pressed = 0;
          const button = document.querySelector(".mp-view button");
          button.addEventListener("click", () => { window.pressed += 1; });
          button.focus();
        }"""
    )
    page.keyboard.press("Space")
    assert page.evaluate("[window.pressed, Reveal.getIndices().h]") == [1, place]


def test_number_box_answers_on_its_slide(present):
    page = present(QUICK)
    box = page.locator('.mp[aria-label="Answer box"]').first
    page.evaluate(
        """() => {
          const box = document.querySelector('.mp[aria-label="Answer box"]');
          const { h, v } = Reveal.getIndices(box.closest("section"));
          Reveal.slide(h, v);
        }"""
    )
    box.locator("input").fill("-12345")
    page.keyboard.press("Enter")
    assert "✗ Hint" in box.inner_text()


def test_speaker_sees_the_notes_in_a_window_of_their_own(present):
    page = present(QUICK)
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    notes = opened.value
    notes.wait_for_selector(".speaker-controls-notes")
    words = page.locator("aside.notes").first.inner_text().split()[:3]
    notes.wait_for_function(
        "(t) => document.body.textContent.includes(t)", arg=" ".join(words)
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_slides_can_be_read_in_light_and_dark(present, scheme):
    page = present(QUICK, scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[scheme]
    assert violations(page) == []
    for column in range(4):
        page.evaluate("(h) => Reveal.slide(h, 0, 99)", column)
        assert without_contrast(page) == []
    page.keyboard.press("d")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground


def test_contents_lead_to_every_deck(decks):
    text = (decks / "index.html").read_text("utf-8")
    assert [p.stem for p in CHAPTERS if f'href="{p.stem}.html"' not in text] == []
    assert {p.name for p in decks.glob("*.html")} == {
        "index.html",
        *(f"{p.stem}.html" for p in CHAPTERS),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contents_can_be_read_in_light_and_dark_and_on_a_phone(chromium, decks, scheme):
    page = chromium.new_page(
        viewport={"width": 320, "height": 700}, color_scheme=scheme
    )
    page.goto((decks / "index.html").as_uri())
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[scheme]
    assert too_wide(page) == []
    assert violations(page) == []
    assert without_contrast(page) == []
    page.close()


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in CHAPTERS])
def test_solutions_are_shown_only_when_asked_for(path):
    def bodies(solutions):
        columns = deck.deck(path, solutions)
        return "".join(slide.body for column in columns for slide in column)

    hidden = '<p class="topic">Solution</p>'
    assert hidden not in bodies(False)
    assert bodies(True).count(hidden) == len(lesson.exercises(path))


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in CHAPTERS])
def test_deck_has_what_the_chapter_has(path):
    columns = deck.deck(path)
    bodies = [column[0].body for column in columns]
    for question in lesson.questions(path):
        assert any(f"<h1>{markup.inline(question)}</h1>" in body for body in bodies)
    for trap in lesson.traps(path):
        assert any(f"<h2>{markup.inline(trap)}</h2>" in body for body in bodies), trap
    titles = [f"<h2>{markup.inline(trap)}</h2>" for trap in lesson.traps(path)]
    assert [b for b in bodies[-len(titles) :] if any(t in b for t in titles)]
    captions = re.findall(r'<p class="caption">(.*?)</p>', "".join(bodies), re.S)
    code = re.compile(r"\*\*|^\s*(?:def|class|import|from|for|print)\b|\w\(\w*=")
    assert [c for c in captions if code.search(re.sub("<code.*?</code>", "", c))] == []
    assert sum("Holds, or not?" in body for body in bodies) == len(claims.claims(path))
    assert (
        sum("✗ Wrong" in b for b in bodies) == sum("✓ Right" in b for b in bodies) == 1
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("It is so. And so.", "It is so."),
        ("Look at `a.b` first. Then go.", "Look at `a.b` first."),
        ("Change each of them:", ""),
        ("**Ask twice. Then go.**", "**Ask twice.**"),
        ("> **Trap: x.** y", ""),
        ("| a | b |", ""),
        ("", ""),
    ],
)
def test_caption_is_the_first_whole_sentence(text, sentence):
    assert markup.first_sentence(text) == sentence


def test_reveal_is_the_one_that_was_checked():
    text = (vendor_reveal.FOLDER / "SHA256SUMS").read_text("utf-8")
    assert text == vendor_reveal.sums(vendor_reveal.FOLDER)
    names = {line.split()[1] for line in text.splitlines()}
    assert names == {p.name for p in vendor_reveal.FOLDER.iterdir()} - {"SHA256SUMS"}
