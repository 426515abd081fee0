"""Sphinx extension: what the book's pages need and the theme does not give.

The palette in every page's head, room kept for each widget before it is drawn, the list
of chapters on the index, and the theme's accessibility faults mended.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from helpers import style

ROOT = Path(__file__).parents[1]
VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">.*?</script>', re.S
)
STATE = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>', re.S
)


def parts() -> list[tuple[str, list[Path]]]:
    """Return the parts of the book that hold notebooks, in the order of _toc.yml."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found = []
    for part in toc["parts"]:
        files = [chapter["file"] for chapter in part["chapters"]]
        notebooks = [ROOT / f"{f}.ipynb" for f in files if f.startswith("notebooks/")]
        if notebooks:
            found.append((part["caption"], notebooks))
    return found


def title_and_times(path: Path) -> tuple[str, str]:
    """Return a notebook's first heading and the line of times under it."""
    lines = nbformat.read(path, as_version=4).cells[0].source.splitlines()
    return lines[0].removeprefix("# "), lines[2].strip("*")


class Chapters(SphinxDirective):
    """``:::{chapters}``: each part with its chapters and their times."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = []
        for caption, notebooks in parts():
            text += [f"**{caption}**", ""]
            for path in notebooks:
                title, times = title_and_times(path)
                self.env.note_dependency(str(path))
                text.append(f"- [{title}](../notebooks/{path.name})  \n  {times}")
            text.append("")
        box = nodes.container()
        self.state.nested_parse(text, self.content_offset, box)
        return box.children


def add_to_page(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Put the palette into the page itself, and keep room for its widgets."""
    context["metatags"] = context.get("metatags", "") + f"<style>{style.css()}</style>"
    body = context.get("body", "")
    stored = STATE.search(body)
    if stored:
        state = json.loads(stored[1])["state"]
        context["body"] = VIEW.sub(lambda view: _with_room(view[0], state), body)


def _with_room(view: str, state: dict) -> str:
    """Wrap a view in a box of its widget's height, so that the page does not jump."""
    model_id = json.loads(view[view.index(">") + 1 : view.rindex("<")])["model_id"]
    wide, narrow = state[model_id]["state"].get("_height_px", "0 0").split()
    return (
        f'<div class="mp-view" style="--wide:{wide}px;--narrow:{narrow}px">{view}'
        "<noscript>This control needs JavaScript.</noscript></div>"
    )


def setup(app: Sphinx) -> dict:
    app.add_directive("chapters", Chapters)
    app.connect("html-page-context", add_to_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
