"""What makes the pages load at once: formulas, icons, figures; and what describes them."""

import base64
import html
import io
import re
from types import SimpleNamespace

import contents
import formulas
import page_head
import page_style
import pytest
import set_address
from fontTools.ttLib import TTFont
from repository import ROOT
from visit import PAGES


@pytest.fixture(scope="module")
def texts(book):
    """The text of each page of the book, by its name."""
    return {name: (book / name).read_text("utf-8") for name in PAGES}


# --- formulas ------------------------------------------------------------------------


def plain(formula):
    """Return what a formula shows, a thin space as one space."""
    text = formulas.mathml(formula).replace(formulas.THIN, " ")
    return html.unescape(re.sub("<[^>]+>", "", text))


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (r"y \ln p + (1-y) \ln(1-p)", "y ln p+(1−y) ln(1−p)"),
        (r"\ln \sum_j e^{z_j}", "ln ∑jezj"),
        (r"-\ln \sigma(x)", "−ln σ(x)"),
        (r"\sqrt{n}", "n"),
    ],
)
def test_name_of_a_function_stands_apart(formula, shown):
    assert plain(formula) == shown


def test_minus_after_equals_is_a_sign():
    text = formulas.mathml(r"\ln(1-p) = -\infty")
    assert '<mo form="prefix">&#x02212;</mo><mi>&#x0221E;</mi>' in text
    assert "<mn>1</mn><mo>&#x02212;</mo><mi>p</mi>" in text


@pytest.mark.parametrize("formula", [r"\foo{x}", r"\left( x", "x^"])
def test_formula_that_cannot_be_written_is_refused(formula):
    with pytest.raises(ValueError, match=re.escape(repr(formula))):
        formulas.mathml(formula)


def test_every_formula_is_drawn_by_the_browser(texts):
    spans = [
        span
        for text in texts.values()
        for span in re.findall(r'<(?:span|div) class="math [^>]*>(.*?)</', text)
    ]
    assert len(spans) >= 14
    assert [span for span in spans if not span.startswith("<math ")] == []


def test_formulas_have_a_size(visit):
    page = visit("notebooks/bce_and_logits.html").page
    page.evaluate(
        "document.querySelectorAll('details').forEach((d) => (d.open = true))"
    )
    boxes = [each.bounding_box() for each in page.locator("math").all()]
    assert len(boxes) >= 5
    assert all(box["height"] > 8 and box["width"] > 5 for box in boxes)


def test_no_mathjax_anywhere(book):
    """A style sheet of the theme may have a rule for it."""
    files = [p for p in book.rglob("*") if p.suffix in (".html", ".js")]
    assert [p.name for p in files if b"mathjax" in p.read_bytes().lower()] == []
    assert list(book.rglob("*[Mm]ath[Jj]ax*")) == []


# --- icons ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sheet(book):
    return (book / "_static" / page_style.SHEET).read_text("utf-8")


def test_fonts_hold_the_icons_that_pages_show_and_no_more(sheet, texts):
    page_texts = "".join(texts.values())
    fonts = re.findall(r"data:font/woff;base64,([^)]+)", sheet)
    held = [set(TTFont(io.BytesIO(base64.b64decode(f))).getBestCmap()) for f in fonts]
    wanted = {
        int(match["code"], 16) if match["code"] else ord(match["itself"])
        for match in page_style.CHARACTER.finditer(sheet)
    }
    assert set.union(*held) == wanted
    assert 20 < len(wanted) < 60
    found = re.findall(r'class="[^"]*?(?:fas|fab|fa-solid) +(fa-[a-z-]+)', page_texts)
    shown = set(found)
    assert {"fa-bars", "fa-github", "fa-download"} <= shown
    assert [name for name in shown if f".{name}:before" not in sheet] == []
    assert ".fa-ghost:before" not in sheet


def test_style_sheet_needs_no_other_file_than_there_is(sheet, book):
    folder = (book / "_static" / page_style.SHEET).parent
    found = page_style.RELATIVE.findall(sheet)
    assert "@import" not in sheet
    assert [name for name in found if not (folder / name).exists()] == []


# --- figures -------------------------------------------------------------------------


def test_figures_wait_for_the_reader_and_keep_their_room(visit):
    page = visit("notebooks/dataset_mean_std.html").page
    figures = page.locator("article img").all()
    assert figures
    for figure in figures:
        assert figure.get_attribute("loading") == "lazy"
        kept = figure.bounding_box()["height"]
        figure.scroll_into_view_if_needed()
        figure.evaluate("(image) => image.decode()")
        assert figure.bounding_box()["height"] == pytest.approx(kept, abs=1)
        natural = figure.evaluate("(i) => [i.naturalWidth, i.naturalHeight].join()")
        size = [figure.get_attribute(name) for name in ("width", "height")]
        assert natural == ",".join(size)


# --- search --------------------------------------------------------------------------


def test_search_begins_when_somebody_searches(chromium, book):
    """From the button in the page's head, also without a server."""
    page = chromium.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((book / "notebooks" / "k_fold.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert [url for url in asked if "search" in url] == []
    page.locator("button.search-button__button:visible").first.click()
    page.keyboard.type("logits")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all(
        "(as) => as.map((a) => a.href)"
    )
    assert any("notebooks/bce_and_logits.html" in href for href in found)
    page.close()


# --- what search engines and previews of links read ----------------------------------


def meta(text, name):
    found = re.findall(rf'<meta (?:name|property)="{name}" content="([^"]*)" />', text)
    assert len(found) == 1, (name, found)
    return html.unescape(found[0])


def test_every_page_has_a_description_of_its_own(texts):
    found = {name: meta(text, "description") for name, text in texts.items()}
    assert len(set(found.values())) == len(found)
    assert all(20 <= len(text) <= 450 for text in found.values()), found
    for name, text in texts.items():
        assert meta(text, "og:description") == found[name]
        assert meta(text, "og:title") in html.unescape(re.sub("<[^>]+>", "", text))


def test_description_of_a_chapter_is_its_lead(texts):
    lead = contents.cells(ROOT / "notebooks/k_fold.ipynb")[1]["source"]
    text = meta(texts["notebooks/k_fold.html"], "description")
    assert text.startswith(lead[:40])
    assert meta(texts["book/index.html"], "description").endswith("out of date.")


@pytest.mark.parametrize(
    ("repository", "pages"),
    [
        ("https://github.com/your_org/measured-pytorch", ""),
        ("https://github.com/Someone/a-book", "https://someone.github.io/a-book/"),
        ("https://github.com/me/me.github.io", "https://me.github.io/"),
        ("https://gitlab.com/me/a-book", ""),
    ],
)
def test_address_of_the_pages_follows_the_repositorys(monkeypatch, repository, pages):
    monkeypatch.setattr(set_address, "current", lambda root: repository)
    assert set_address.pages_address(ROOT) == pages


def test_sitemap_is_written_where_an_address_is_known(tmp_path):
    config = SimpleNamespace(html_baseurl="")
    env = SimpleNamespace(found_docs={"book/index", "notebooks/a"})
    app = SimpleNamespace(config=config, env=env, outdir=tmp_path)
    page_head.write_sitemap(app)
    assert list(tmp_path.iterdir()) == []
    config.html_baseurl = "https://me.github.io/a/"
    page_head.write_sitemap(app)
    text = (tmp_path / "sitemap.xml").read_text()
    places = re.findall("<loc>(.*)</loc>", text)
    assert places == [
        "https://me.github.io/a/book/index.html",
        "https://me.github.io/a/notebooks/a.html",
    ]
