"""Sphinx extension: what the book's pages need and the theme does not give.

The palette in every page's head, room kept for each widget before it is drawn, the list
of chapters on the index, and the theme's accessibility faults mended.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from helpers.notebook import style

sys.path.insert(0, str(Path(__file__).parent))
import claims
import set_address
import take_home

VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">.*?</script>', re.S
)
STATE = re.compile(
    r'(<script type="application/vnd\.jupyter\.widget-state\+json">)(.*?)(</script>)',
    re.S,
)
STATE_MIME = "application/vnd.jupyter.widget-state+json"


class FromNotebooks(SphinxDirective):
    """A directive whose Markdown is made from the notebooks."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        for path in claims.notebooks():
            self.env.note_dependency(str(path))
        box = nodes.container()
        self.state.nested_parse(self.markdown(), self.content_offset, box, True)
        return box.children


class Chapters(FromNotebooks):
    """``:::{chapters}``: each part with its chapters and their times."""

    def markdown(self) -> list[str]:
        text = []
        for caption, paths in claims.parts():
            text += [f"**{caption}**", ""]
            for path in paths:
                title, times = claims.title_and_times(path)
                text.append(f"- [{title}](../notebooks/{path.name})  \n  {times}")
            text.append("")
        return text


class FactCheck(FromNotebooks):
    """``:::{fact-check}``: every claim with its verdict, as the chapters give them."""

    def markdown(self) -> list[str]:
        found = {path: claims.claims(path) for path in claims.notebooks()}
        total = [claim for rows in found.values() for claim in rows]
        text = [f"**{len(total)} claims measured: {claims.summary(total)}.**", ""]
        for path, rows in found.items():
            title, _ = claims.title_and_times(path)
            notebook = f"../notebooks/{path.name}"
            text += [f"**[{title}]({notebook})**", ""]
            text += ["| Claim | Verdict | Evidence |", "| --- | --- | --- |"]
            for row in rows:
                evidence = row.evidence.replace("](#", f"]({notebook}#")
                evidence = re.sub(r"\]\((\w+\.ipynb)", r"](../notebooks/\1", evidence)
                text.append(f"| {row.claim} | **{row.verdict}** | {evidence} |")
            text.append("")
        return text


class TakeHome(FromNotebooks):
    """``:::{take-home}``: each take-home helper with its example and its chapter."""

    def markdown(self) -> list[str]:
        root = claims.ROOT
        files = f"{set_address.current(root)}/blob/{set_address.branch(root)}"
        text = []
        for helper in take_home.helpers():
            title, _ = claims.title_and_times(helper.chapter)
            text += [f"## `{helper.name}`", "", helper.summary, ""]
            if helper.example:
                text += ["```python", *helper.example.splitlines(), "```", ""]
            chapter = f"[{title}](../notebooks/{helper.chapter.name})"
            text += [f"Chapter: {chapter} · [source]({files}/{helper.source})", ""]
        return text


def add_to_page(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Put the palette into the page itself, and keep room for its widgets."""
    context["metatags"] = context.get("metatags", "") + f"<style>{style.css()}</style>"
    body = context.get("body", "")
    if VIEW.search(body):
        notebook = nbformat.read(app.env.doc2path(pagename), as_version=4)
        try:
            state = notebook.metadata.widgets[STATE_MIME].state
        except (AttributeError, KeyError):
            raise ExtensionError(
                f"{pagename}: a widget is shown and no state stored. Run `make run`."
            ) from None
        context["body"] = VIEW.sub(lambda view: _with_room(view[0], state), body)


def _with_room(view: str, state: dict) -> str:
    """Wrap a view in a box of its widget's height, so that the page does not jump."""
    model_id = json.loads(view[view.index(">") + 1 : view.rindex("<")])["model_id"]
    wide, narrow = state[model_id]["state"].get("_height_px", "0 0").split()
    return (
        f'<div class="mp-view" style="--wide:{wide}px;--narrow:{narrow}px">{view}'
        "<noscript>This control needs JavaScript.</noscript></div>"
    )


MENDED = "<html data-mended"

# What the theme writes into every page: what it becomes, and why.
MENDS = [
    # 540 KB: the same icons come from the theme's fonts too, at a quarter of the weight.
    (re.compile(r'<script defer src="[^"]*/fontawesome\.js[^"]*"></script>'), ""),
    # The book's name lies outside every landmark.
    (
        re.compile(r'<div class="sidebar-primary-items__start[^"]*"'),
        r'\g<0> role="navigation" aria-label="Book"',
    ),
]
MATHJAX = re.compile(
    r"<script[^>]*vendor/mathjax/[^>]*></script>|<script>window\.MathJax[^<]*</script>"
)


def _without_tags(state: re.Match) -> str:
    """Write "<" in the stored state so that no text in it can end the script."""
    return state[1] + state[2].replace("<", r"\u003c") + state[3]


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Mend the finished pages, and take MathJax from those without a formula."""
    if exception or app.builder.name != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if 'id="pst-primary-sidebar"' not in text or MENDED in text:
            continue  # a redirect, or a page of an earlier build
        for pattern, replacement in MENDS:
            text, count = pattern.subn(replacement, text)
            if count != 1:
                raise ExtensionError(
                    f"{page.name}: {count} places match {pattern.pattern!r}, not 1. "
                    "The theme has changed: look at MENDS in tools/book_extension.py."
                )
        text = STATE.sub(_without_tags, text)
        if 'class="math ' not in text:
            text = MATHJAX.sub("", text)
        page.write_text(text.replace("<html", MENDED, 1), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    app.add_directive("chapters", Chapters)
    app.add_directive("fact-check", FactCheck)
    app.add_directive("take-home", TakeHome)
    app.connect("html-page-context", add_to_page)
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
