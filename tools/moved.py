"""Sphinx extension: a link to a heading that was renamed still leads to its text."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parent))
import contents

DATA = contents.ROOT / "book/data/moved.yml"


@cache  # each page asks for its own
def load() -> dict[str, dict[str, str]]:
    """Return the new anchor of each old one, by page."""
    return yaml.safe_load(DATA.read_text(encoding="utf-8"))


def keep_old_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Give each section the anchors that it had before."""
    app.env.note_dependency(str(DATA))
    sections = {i: node for node in doctree.findall(nodes.section) for i in node["ids"]}
    for old, new in load().get(app.env.docname, {}).items():
        if new not in sections or old in sections:
            logging.getLogger(__name__).warning(
                f"moved.yml: {app.env.docname} has a heading {old!r}, or has none "
                f"{new!r}. Correct the line."
            )
        else:
            sections[new]["ids"].append(old)


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", keep_old_anchors)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
