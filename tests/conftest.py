"""What several test files share: the repository, the built book, a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from repository import ROOT, build_book

sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "benchmarks")]


# The same examples every time, and no limit in seconds: the machine may be busy.
settings.register_profile("book", derandomize=True, deadline=None)
settings.load_profile("book")


@pytest.fixture(autouse=True)
def seeded():
    """Every test begins with the same random numbers, whichever ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the book's pages, built once for all workers."""
    # All workers of one run share the folder above their own.
    worker = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if worker else shared
    pages = shared / "book" / "_build" / "html"
    with FileLock(shared / "book.lock"):
        if not (shared / "book.done").exists():
            built = build_book(ROOT, shared / "book")
            assert built.returncode == 0, built.stdout + built.stderr
            (shared / "book.done").touch()
    return pages


@pytest.fixture(scope="session")
def address(book) -> str:
    """Where the built book is served, with a slash at the end."""
    from serving import served

    with served(book) as where:
        yield where


@pytest.fixture(scope="session")
def chromium():
    """A real browser; without one the tests that need it fail and say how to get it."""
    import browser

    executable = browser.find()
    assert executable, browser.HELP
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(chromium, address):
    """Open pages of the book; they are closed after the test."""
    from visit import Visit

    opened = []

    def open_page(name, **options):
        opened.append(Visit(chromium, address, name, **options))
        return opened[-1]

    yield open_page
    for each in opened:
        each.page.close()


IMPORT_AND_EVALUATE = """async ([text, expression, a]) => {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const m = await import(url);
  return new Function("m", "a", `return ${expression}`)(m, a);
}"""


@pytest.fixture(scope="module")
def front_end(chromium):
    """Evaluate an expression of a widget's named exports ``m`` and an argument ``a``."""
    page = chromium.new_page()

    def evaluate(widget, expression, argument):
        return page.evaluate(IMPORT_AND_EVALUATE, [widget()._esm, expression, argument])

    yield evaluate
    page.close()


MOUNT = """async ([text, css, state]) => {
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set(name, value) { state[name] = value; (listeners[name] ?? []).forEach((f) => f()); },
    on(event, f) { (listeners[event.slice("change:".length)] ??= []).push(f); },
    off() {}, save_changes() {},
  };
  window.state = state;
  (await import(url)).default.render({ model, el: document.body });
}"""


@pytest.fixture(scope="module")
def mount(chromium):
    """Draw a widget in a page of its own; its model, ``state``, only remembers."""
    pages = []

    def draw(widget, width=320):
        pages.append(chromium.new_page(viewport={"width": width, "height": 900}))
        pages[-1].set_content("<!doctype html><html lang='en'><body></body></html>")
        names = [n for n in widget.trait_names(sync=True) if not n.startswith("_")]
        state = {n: getattr(widget, n) for n in names if n not in ("layout", "tooltip")}
        pages[-1].evaluate(MOUNT, [widget._esm, widget._css, state])
        return pages[-1]

    yield draw
    for page in pages:
        page.close()
