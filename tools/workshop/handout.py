"""Print the handout: the recipes on two sheets, and the whole book as one PDF.

    python tools/workshop/handout.py

Prints the built pages (`make html`) with the browser, so that widgets, formulas and figures
are those of the book. The teacher's page and all solutions stay out.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import browser
import chosen
import claims
import lesson
import markup
import one_pdf
from slides import whole_page
from whole_file import whole_folder

BUILT = claims.ROOT / "_build" / "html"
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
SHEET = """
@page { size: A4; margin: 10mm; }
body { margin: 0; font: 8.5pt/1.35 "Source Sans 3", "Liberation Sans", Arial, sans-serif; }
h1 { margin: 0 0 3mm; font-size: 15pt; }
.recipes { columns: 2; column-gap: 6mm; }
section { break-inside: avoid; margin-bottom: 3mm; }
h2 { margin: 0 0 1mm; font-size: 9.5pt; line-height: 1.2; }
code { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; }
pre {
  margin: 0; padding: 1.5mm 2mm; border-left: 1mm solid var(--mp-correct);
  background: var(--mp-plate); font-size: 6.6pt; line-height: 1.3;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.c-c1 { color: var(--mp-soft); } .c-k, .c-kn, .c-ow { color: var(--mp-extra); }
"""


class Printed(NamedTuple):
    """A page of the book on paper, with the headings that its outline shows."""

    name: str  # such as "notebooks/k_fold"
    title: str
    headings: list[tuple[str, str]]  # (id, text)
    file: Path


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder to this machine, and give its address with a slash at the end."""
    handler = partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: the bar shows the progress."""


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


def recipe(path: Path) -> str:
    """Return what to copy from a chapter: its recipe, or else its right way."""
    tagged = {tag: p.text for p in lesson.pieces(path) for tag in p.tags}
    return tagged.get("recipe") or tagged["right"]


def print_recipes(chromium: Browser, file: Path, paths: list[Path]) -> None:
    """Print the chapters' recipes in two columns."""
    found = "".join(
        f"<section><h2>{markup.inline(claims.title_and_times(path)[0])}</h2>"
        f"{markup.code(recipe(path))}</section>"
        for path in paths
    )
    page = chromium.new_page()
    body = f'<h1>Recipes</h1><div class="recipes">{found}</div>'
    page.set_content(whole_page("Recipes", body))
    page.add_style_tag(content=SHEET)
    page.pdf(path=file, prefer_css_page_size=True, **PAPER)
    page.close()


def write(folder: Path, built: Path, paths: list[Path]) -> None:
    """Write recipes.pdf and book.pdf."""
    if not (built / "index.html").exists():
        raise ValueError(f"{built}: the book is not built. Type `make html`.")
    names = [name for name in claims.pages() if name not in LEFT_OUT]
    with whole_folder(folder) as new, launched() as chromium:
        print_recipes(chromium, new / "recipes.pdf", paths)
        print_book(chromium, built, new / "book.pdf", names)


if __name__ == "__main__":
    try:
        write(chosen.OUTPUT / "handout", BUILT, chosen.chapters(sys.argv[1:]))
        print(f"The recipes and the book as PDF: {chosen.OUTPUT / 'handout'}")
    except ValueError as error:
        sys.exit(str(error))
