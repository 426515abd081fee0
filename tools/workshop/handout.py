"""Print the handout: the recipes on two sheets, and the whole book as one PDF.

    python tools/workshop/handout.py

Prints the built pages (`make html`) with the browser, so that widgets, formulas and figures
are those of the book. The teacher's page and all solutions stay out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import browser
import chosen
import contents
import one_pdf
from serving import served
from whole_file import whole_folder

BUILT = contents.ROOT / "_build" / "html"
LEFT_OUT = {"book/teach", "book/index"}
PAPER = {"format": "A4", "tagged": True, "print_background": True}
MARGIN = {"top": "16mm", "bottom": "16mm", "left": "17mm", "right": "17mm"}
READY = """() => document.readyState === "complete" &&
  [...document.querySelectorAll(".mp-view")].every((v) => "ready" in v.dataset)"""
# The browser keeps as a place only what a page itself links to: hence a link to each
# heading, too small to be seen.
PREPARE = """() => {
  document.documentElement.dataset.theme = "light";
  document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; });
  const targets = [...document.querySelectorAll("article section[id], article tr[id]")];
  const link = ({ id }) => Object.assign(document.createElement("a"), { href: `#${id}` });
  const box = document.createElement("div");
  box.className = "print-places";
  box.append(...targets.map(link));
  document.querySelector("article").append(box);
  return [...document.querySelectorAll("article section > h2")].map((heading) => {
    const copy = heading.cloneNode(true);
    copy.querySelectorAll(".headerlink").forEach((link) => link.remove());
    return [heading.parentElement.id, copy.textContent.trim()];
  });
}"""
STYLE = """
.print-places { position: absolute; left: 0; top: 0; }
.print-places a { position: absolute; width: 1px; height: 1px; }
@media print {
  body, .bd-container, .bd-container__inner, .bd-main, .bd-content, .bd-article-container {
    display: block !important;
  }
  article { position: relative; }
  details.hide, .mp-trouble, .bd-header, .bd-sidebar-secondary { display: none !important; }
}
"""
# A workshop of some chapters has the recipes of those.
KEEP = """(names) => document.querySelectorAll("#recipes > section").forEach((recipe) => {
  const link = recipe.querySelector("h2 a").getAttribute("href");
  if (!names.some((name) => link.endsWith(`/${name}.html`))) recipe.remove();
})"""


class Printed(NamedTuple):
    """A page of the book on paper, with the headings that its outline shows."""

    name: str  # such as "notebooks/k_fold"
    title: str
    headings: list[tuple[str, str]]  # (id, text)
    file: Path


@contextmanager
def launched() -> Iterator[Browser]:
    """Start the browser that prints.

    Raises:
        ValueError: if there is none.
    """
    executable = browser.find()
    if not executable:
        raise ValueError(browser.HELP)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable)
        yield chromium
        chromium.close()


def print_page(chromium: Browser, address: str, name: str, file: Path) -> Printed:
    """Print one page of the built book."""
    page = chromium.new_page(viewport={"width": 900, "height": 1200})
    page.goto(f"{address}{name}.html")
    page.wait_for_function(READY)
    headings = [tuple(each) for each in page.evaluate(PREPARE)]
    page.add_style_tag(content=STYLE)
    page.wait_for_load_state("networkidle")
    title = page.locator("h1").first.inner_text().removesuffix("#").strip()
    page.pdf(path=file, margin=MARGIN, **PAPER)
    page.close()
    return Printed(name, title, headings, file)


def print_book(chromium: Browser, built: Path, file: Path, names: list[str]) -> None:
    """Print pages of the built book as one PDF with an outline and working links."""
    parts = file.parent / ".parts"
    parts.mkdir()
    with served(built) as address:
        printed = [
            print_page(chromium, address, name, parts / f"{number}.pdf")
            for number, name in enumerate(tqdm(names, unit="page", leave=False))
        ]
        one_pdf.merge(printed, address, file)
    for each in printed:
        each.file.unlink()
    parts.rmdir()


def print_recipes(
    chromium: Browser, built: Path, file: Path, paths: list[Path]
) -> None:
    """Print the page of recipes, which the book's style sheet sets in two columns."""
    page = chromium.new_page()
    with served(built) as address:
        page.goto(f"{address}book/recipes.html")
        page.evaluate(KEEP, [path.stem for path in paths])
        page.pdf(path=file, margin=dict.fromkeys(MARGIN, "10mm"), **PAPER)
    page.close()


def write(folder: Path, built: Path, paths: list[Path]) -> None:
    """Write recipes.pdf and book.pdf."""
    if not (built / "index.html").exists():
        raise ValueError(f"{built}: the book is not built. Type `make html`.")
    names = [name for name in contents.pages() if name not in LEFT_OUT]
    with whole_folder(folder) as new, launched() as chromium:
        print_recipes(chromium, built, new / "recipes.pdf", paths)
        print_book(chromium, built, new / "book.pdf", names)


if __name__ == "__main__":
    try:
        write(chosen.OUTPUT / "handout", BUILT, chosen.chapters(sys.argv[1:]))
        print(f"The recipes and the book as PDF: {chosen.OUTPUT / 'handout'}")
    except ValueError as error:
        sys.exit(str(error))
