"""The built book: its links and figures, and its widgets by mouse, keyboard and touch."""

import html
import json
import re

import contents
import pytest
import torch
import torch.nn.functional as F
from notebook_rules import Chapter, notebooks
from repository import ROOT
from visit import NARROW, READY


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_every_picture_has_the_alt_text_of_its_cell(book, path):
    text = (book / "notebooks" / f"{path.stem}.html").read_text("utf-8")
    alts = re.findall(r'<img alt="([^"]*)"[^>]*src="\.\./_images', text)
    alts = [html.unescape(alt) for alt in alts]
    cells = [cell.metadata.get("mystnb", {}) for _, cell in Chapter.read(path).code]
    stored = [c["image"]["alt"] for c in cells if "image" in c]
    assert alts == stored, (
        f"{path.name}: the alt texts on the page, {alts}, are not those of the cells, "
        f"{stored}. Show each figure with plots.show(figure, alt=...), and run the "
        "notebook again."
    )


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_colab_and_download_lead_to_this_notebook(book, path):
    import set_address

    text = (book / "notebooks" / f"{path.stem}.html").read_text("utf-8")
    owner_and_name = set_address.current(ROOT).removeprefix("https://github.com/")
    place = f"{owner_and_name}/blob/{set_address.branch(ROOT)}/notebooks/{path.name}"
    for link in (
        f"https://colab.research.google.com/github/{place}",
        f'href="../_sources/notebooks/{path.name}"',
    ):
        assert link in text, f"{path.stem}.html has no link {link}: see _config.yml."
    download = (book / "_sources" / "notebooks" / path.name).read_bytes()
    assert download == path.read_bytes(), f"{path.name}: another file is downloaded."


def test_search_finds_a_chapter(visit):
    page = visit("search.html?q=logits").page
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all(
        "(as) => as.map((a) => a.href)"
    )
    assert any("notebooks/bce_and_logits.html" in href for href in found)


def test_theme_switch_changes_the_palette(visit):
    from helpers.notebook.style import color

    page = visit("book/index.html").page
    seen = set()
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        seen.add(
            page.evaluate(
                "getComputedStyle(document.documentElement).getPropertyValue('--mp-correct')"
            ).strip()
        )
    assert seen == {color("correct"), color("correct", dark=True)}


def test_previous_and_next_lead_through_the_book(book):
    pages = [book / f"{name}.html" for name in contents.pages()]
    for page, target in zip(pages, [*pages[1:], None], strict=True):
        links = re.findall(
            r'class="right-next"\s+href="([^"]+)"', page.read_text("utf-8")
        )
        leads_to = [(page.parent / link).resolve() for link in links]
        assert leads_to == [each for each in [target] if each], (
            f"{page.name}: its button 'next' leads to {leads_to}, not to {target}, which "
            "follows in _toc.yml."
        )


def test_copy_button_copies_a_cell(visit):
    page = visit("notebooks/bce_and_logits.html").page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cell = page.locator(".tag_right .cell_input").first
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == cell.locator("pre").inner_text().strip()


# What has the focus: its name; whether it is seen, marked, and under nothing else.
FOCUSED = """() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  const { left, top, width, height } = e.getBoundingClientRect();
  const hit = document.elementFromPoint(left + width / 2, top + height / 2);
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(e);
  return {
    name: `${e.tagName} ${e.ariaLabel ?? e.textContent.trim().slice(0, 40)}`,
    article: e.closest("article") !== null,
    seen: hit !== null && (e.contains(hit) || hit.contains(e)),
    marked: (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none",
  };
}"""


def test_tab_goes_through_a_whole_chapter_and_shows_where_it_is(visit):
    page = visit("notebooks/bce_and_logits.html").page
    stops = []
    while stop := page.keyboard.press("Tab") or page.evaluate(FOCUSED):
        stops.append(stop)
        assert len(stops) < 500, "Tab never leaves the page"
    inside = [each for each in stops if each["article"]]
    names = [each["name"] for each in inside]
    for kind in ("INPUT", "BUTTON", "SUMMARY", "A"):  # widget, copy, folds, links
        assert any(name.startswith(f"{kind} ") for name in names), kind
    assert [e["name"] for e in inside if not (e["seen"] and e["marked"])] == []


# --- the first chapter's widgets, by mouse and by keyboard ---------------------------


@pytest.fixture
def explorer(visit):
    page = visit("notebooks/bce_and_logits.html").page
    return page, page.get_by_role("group", name="BCE explorer")


def shown(explorer):
    """The numbers of the table: for each loss at the guess, then now."""
    rows = explorer.locator("tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in rows]


HIDDEN = [["–", "–"], ["–", "–"]]


def test_explorer_answers_nothing_before_a_guess(explorer):
    _, widget = explorer
    assert shown(widget) == HIDDEN
    assert widget.locator(".mp-curve, .mp-dot").count() == 0
    assert "16.6" not in widget.inner_text()
    widget.get_by_label("Logit, as a number").fill("60")
    assert shown(widget) == HIDDEN


def test_explorer_compares_the_guess_with_the_answer(explorer):
    _, widget = explorer
    widget.get_by_label("Logit, as a number").fill("60")
    widget.get_by_role("button", name="Lock my guess").click()
    widget.get_by_label("Logit, as a number").fill("10")
    assert "Your guess: 60.00. It happens at 16.64." in widget.inner_text()
    assert shown(widget) == [["0.0000", "1.0000"], ["1.0000", "1.0000"]]
    widget.get_by_label("loss", exact=True).check()
    assert shown(widget)[0] == ["100.0000", "60.0000"]
    assert_curves_stay_inside(widget)
    widget.get_by_label("● 1", exact=True).check()
    assert shown(widget) == HIDDEN
    widget.get_by_role("button", name="Reset").click()
    assert widget.get_by_label("○ 0", exact=True).is_checked()


def test_explorer_by_keyboard_alone(explorer):
    page, widget = explorer
    widget.get_by_label("○ 0", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert widget.get_by_label("● 1", exact=True).is_checked()
    for _ in range(3):  # past the plot's choice and the button "Reset"
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert widget.get_by_label("Logit", exact=True).input_value() == "-100"
    page.keyboard.press("Tab")
    page.keyboard.type("-28,3")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "Your guess: −28.29. It happens at −28.32." in widget.inner_text()


def test_explorer_keeps_the_last_number_instead_of_nonsense(explorer):
    _, widget = explorer
    field = widget.get_by_label("Logit, as a number")
    field.fill("30")
    field.fill("abc")
    assert field.get_attribute("aria-invalid") == "true"
    field.blur()
    assert field.input_value() == "30"
    assert field.get_attribute("aria-invalid") == "false"


def test_explorer_is_dragged_on_its_plot(explorer):
    page, widget = explorer
    chart = widget.locator("svg.mp-pick")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=5)
    dragged = float(widget.get_by_label("Logit", exact=True).input_value())
    page.mouse.move(box["x"] + 2 * box["width"], middle)
    assert widget.get_by_label("Logit", exact=True).input_value() == "100"
    page.mouse.up()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    assert widget.get_by_label("Logit", exact=True).input_value() == "100"
    left, right = 38 / 340, 12 / 340  # the margins of the plot
    assert dragged == pytest.approx(
        200 * (0.8 - left) / (1 - left - right) - 100, abs=1
    )


def assert_curves_stay_inside(widget):
    """What leaves the axes is cut off by an inner svg that lies inside its chart."""
    charts = widget.locator("div > svg").all()
    assert charts
    for chart in charts:
        inner = chart.locator("svg:has(.mp-curve)")
        assert inner.evaluate("(s) => getComputedStyle(s).overflow") == "hidden"
        box = {k: float(inner.get_attribute(k)) for k in ("x", "y", "width", "height")}
        _, _, width, height = map(float, chart.get_attribute("viewBox").split())
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
        assert 0 <= box["y"] < box["y"] + box["height"] <= height


def test_explorer_works_by_touch(chromium, address):
    context = chromium.new_context(viewport=NARROW, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(address + "notebooks/bce_and_logits.html")
    page.wait_for_function(READY)
    widget = page.get_by_role("group", name="BCE explorer")
    widget.get_by_label("● 1", exact=True).tap()
    box = widget.locator("svg.mp-pick").bounding_box()
    page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    widget.get_by_role("button", name="Lock my guess").tap()
    guess = float(widget.get_by_label("Logit", exact=True).input_value())
    assert -85 < guess < -75
    p = torch.sigmoid(torch.tensor(guess, requires_grad=True))
    loss = F.binary_cross_entropy(p, torch.tensor(1.0))
    widget.get_by_label("loss", exact=True).tap()
    assert shown(widget)[0][0] == f"{loss:.4f}"
    context.close()


def test_answer_box_answers_without_a_kernel(visit):
    page = visit("notebooks/bce_and_logits.html").page
    box = page.get_by_role("group", name="Answer box").first
    field, button = box.get_by_role("textbox"), box.get_by_role("button", name="Check")
    field.fill("0.88")
    button.click()
    assert "✗ Hint: that is sigmoid(2), with the weight still in it" in box.inner_text()
    field.fill("5/72")
    field.press("Enter")
    assert "✓ Correct: 2 − ln 99 = −2.595" in box.inner_text()


def test_book_works_from_a_folder_without_a_server(chromium, book):
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((book / "notebooks" / "bce_and_logits.html").as_uri())
    page.wait_for_function(READY)
    widget = page.get_by_role("group", name="BCE explorer")
    widget.get_by_role("button", name="Lock my guess").click()
    assert "It happens at 16.64" in widget.inner_text()
    assert errors == []
    page.close()


def test_two_views_of_one_state_do_not_share_listeners_with_others(visit):
    """The two boxes on the page are independent of each other."""
    page = visit("notebooks/mixed_precision.html").page
    first, second = page.get_by_role("group", name="Answer box").all()
    first.get_by_role("textbox").fill("1")
    first.get_by_role("button", name="Check").click()
    assert "✗ Hint" in first.inner_text()
    assert "○ Not yet" in second.inner_text()


def test_control_without_a_kernel_says_so(chromium, address, book):
    """A widget that is not the book's own is told apart, not left blank."""
    page = chromium.new_page()
    text = (book / "notebooks" / "bce_and_logits.html").read_text("utf-8")
    stored = re.search(r'widget-state\+json">(.*?)</script>', text, re.S)[1]
    state = json.loads(stored)
    for model in state["state"].values():
        model["state"].pop("_esm", None)
    page.route(
        "**/bce_and_logits.html",
        lambda route: route.fulfill(
            body=text.replace(stored, json.dumps(state)), content_type="text/html"
        ),
    )
    page.goto(address + "notebooks/bce_and_logits.html")
    page.wait_for_selector(".mp-view[data-failed]")
    assert "Run this notebook to use it" in page.locator(".mp-view").first.inner_text()
    page.close()
