"""How the pages look, as far as it can be measured: sizes, widths, print, the index."""

import re

import claims
import contents
import index_page
import nbformat
import pytest

# The longest line of code that a chapter may have.
COLUMNS = 76


def size(page, selector):
    return page.locator(selector).first.evaluate(
        "(e) => parseFloat(getComputedStyle(e).fontSize)"
    )


@pytest.mark.parametrize("width", [1280, 400])
def test_headings_fall_in_size(visit, width):
    screen = {"width": width, "height": 900}
    page = visit("notebooks/softmax_dim.html", viewport=screen).page
    parts = ("h1", "h2", "section > section > p")
    h1, h2, text = (size(page, f"article {part}") for part in parts)
    assert h1 > 1.25 * h2 > 1.4 * text


def test_code_of_the_longest_line_is_not_cut(visit):
    page = visit("notebooks/softmax_dim.html").page
    blocks = {
        "a cell": ".cell:not([class*=tag_]) .cell_input pre",
        "the wrong cell": ".cell.tag_wrong .cell_input pre",
        "what it prints": ".cell.tag_wrong .cell_output pre",
        "an exercise": ".cell.tag_exercise .cell_input pre",
    }
    for name, selector in blocks.items():
        room, needed = page.locator(selector).first.evaluate(
            "(pre, line) => { pre.textContent = line;"
            " return [pre.clientWidth, pre.scrollWidth]; }",
            "m" * COLUMNS,
        )
        assert needed <= room, f"{name} cuts a line of {COLUMNS} columns: {needed} px"


@pytest.mark.parametrize("tag", ["exercise", "solution"])
def test_verdict_of_a_check_wraps(visit, tag):
    page = visit("notebooks/softmax_dim.html").page
    pre = page.locator(f".cell.tag_{tag} .cell_output pre").first
    assert pre.evaluate("(e) => getComputedStyle(e).whiteSpace") == "pre-wrap"


def test_print_is_light_whole_and_without_navigation(visit):
    page = visit("notebooks/softmax_dim.html", scheme="dark").page
    solution = page.locator(".tag_solution .cell_input pre").first
    assert not solution.is_visible()
    page.emulate_media(media="print")
    assert solution.bounding_box()["height"] > 20
    assert page.locator("article h1").is_visible()
    for navigation in (".bd-sidebar-primary", ".bd-header-article", ".prev-next-area"):
        assert not page.locator(navigation).is_visible(), navigation
    ground = "getComputedStyle(document.documentElement).getPropertyValue('--mp-page')"
    assert page.evaluate(ground) == "#ffffff"
    wraps = "(pre) => getComputedStyle(pre).whiteSpace"
    assert page.locator("article pre").first.evaluate(wraps) == "pre-wrap"


# --- the index -----------------------------------------------------------------------


def test_index_counts_the_claims_of_each_verdict(visit):
    page = visit("book/index.html").page
    found = [
        row.verdict for path in contents.notebooks() for row in claims.claims(path)
    ]
    key = page.locator(".verdict-key li").all_inner_texts()
    expected = [f"{v} {found.count(v)}" for v in claims.VERDICTS if v in found]
    assert key == expected
    parts = page.locator(".verdict-bar > i")
    widths = parts.evaluate_all("(all) => all.map((i) => i.style.flexGrow)")
    assert widths == [line.split()[-1] for line in expected]


def test_index_shows_each_tip_with_one_line(visit):
    tips = visit("book/index.html").page.locator(".tips li").all_inner_texts()
    paths = contents.notebooks()
    assert len(tips) == len(paths)
    for path, tip in zip(paths, tips, strict=True):
        title, times = contents.title_and_times(path)
        assert tip.startswith(title.replace("`", "")), path.name
        read, tasks = re.findall(r"\d+", times)
        assert tip.endswith(f"{read} min to read, {tasks} of exercises"), path.name
        assert len(tip.splitlines()) == 2, path.name


def test_index_has_a_widget_that_answers_a_guess(visit):
    widget = visit("book/index.html").page.locator(".mp-view[data-ready]")
    assert widget.count() == 1
    now = widget.locator("tr", has_text="now")
    assert now.inner_text().split() == ["now", "–", "–"]
    widget.get_by_role("button", name="Lock my guess").click()
    assert now.inner_text().split() == ["now", "0.5000", "0.5000"]


def test_index_shows_the_two_cells_of_the_first_chapter(visit):
    page = visit("book/index.html").page
    first = nbformat.read(contents.notebooks()[0], as_version=4)
    for tag in ("wrong", "right"):
        (cell,) = (c for c in first.cells if tag in c.metadata.get("tags", []))
        shown = page.locator(f".hero .tag_{tag} pre").all_inner_texts()
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert [text.strip() for text in shown] == [cell.source, printed.strip()]


def notebook(tmp_path, *cells):
    path = tmp_path / "tip.ipynb"
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(text) for text in cells]
    )
    nbformat.write(made, path)
    return path


def test_one_line_is_the_promise(tmp_path):
    promise = "After this chapter you can see it, and mend it."
    path = notebook(tmp_path, f"# A\n\n*1 minute*\n\n{promise}", "It falls.")
    assert index_page.one_line(path) == "You can see it, and mend it."


def test_cells_are_those_that_nbformat_reads():
    for path in contents.notebooks():
        expected = nbformat.read(path, as_version=4).cells
        found = contents.cells(path)
        assert [c["source"] for c in found] == [c.source for c in expected]


def test_every_link_shows_that_it_has_the_focus(visit):
    page = visit("book/glossary.html").page
    bare = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button")]
          .filter((link) => link.checkVisibility({ visibilityProperty: true }))
          .filter((link) => {
            link.focus({ focusVisible: true });
            const { outlineStyle, boxShadow } = getComputedStyle(link);
            return outlineStyle === "none" && boxShadow === "none";
          })
          .map((link) => link.textContent.trim())"""
    )
    assert bare == []
