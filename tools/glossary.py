"""Sphinx extension: each term of the glossary leads to the chapters that use it most."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import contents
import symptoms

PAGE = "book/glossary"
MOST = 2


def uses(term: str, texts: dict[str, str]) -> list[str]:
    """Return the chapters that use a term most, at most two.

    Args:
        term: such as ``logit``; the plural counts too, and code such as ``no_grad``.
        texts: the prose of each chapter.
    """
    pattern = re.compile(rf"\b{re.escape(term)}(s|es|d|ing)?\b", re.I)
    counts = {name: len(pattern.findall(text)) for name, text in texts.items()}
    used = sorted(
        (name for name in counts if counts[name]), key=counts.get, reverse=True
    )
    return used[:MOST]


def texts() -> dict[str, str]:
    """Return the prose of each chapter."""
    prose = {
        path.stem: "\n".join(
            cell["source"]
            for cell in contents.cells(path)
            if cell["cell_type"] == "markdown"
        )
        for path in contents.notebooks()
    }
    # The last lines name the next chapter and its words.
    return {name: text.partition("**Next.**")[0] for name, text in prose.items()}


def add_uses(app: Sphinx, doctree: nodes.document) -> None:
    """End each definition with the chapters that use its term."""
    if app.env.docname != PAGE:
        return
    names, prose = symptoms.load()["chapters"], texts()
    for path in contents.notebooks():
        app.env.note_dependency(str(path))
    for section in list(doctree.findall(nodes.section))[1:]:
        term = section[0].astext()
        found = uses(term, prose)
        if not found:
            continue
        links = ", ".join(
            f'<a href="../notebooks/{name}.html">{names[name]}</a>' for name in found
        )
        html = f'<span class="used-in"> In: {links}.</span>'
        section[-1] += nodes.raw("", html, format="html")


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", add_uses)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
