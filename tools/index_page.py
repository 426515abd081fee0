"""Sphinx extension: what pages show of the chapters, so that none of it goes stale."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from copy import copy
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import claims
import contents
from book_extension import STATE_MIME, VIEW_MIME, FromNotebooks, in_script, with_room


class Tips(FromNotebooks):
    """``:::{tips}``: each part with its chapters, what each one gives, and its minutes."""

    def markdown(self) -> list[str]:
        text = ["::::{container} tips"]
        for caption, paths in contents.parts():
            text += [f"**{caption}**", ""]
            for path in paths:
                title, times = contents.title_and_times(path)
                read, tasks = re.findall(r"\d+", times)
                text.append(f"- [{title}](../notebooks/{path.name})  ")
                text.append(
                    f"  {one_line(path)} {read} min to read, {tasks} of exercises"
                )
            text.append("")
        return [*text, "::::"]


class Recipes(FromNotebooks):
    """``:::{recipes}``: the recipe cell of each chapter, as the chapter has it."""

    def markdown(self) -> list[str]:
        text = []
        for path in contents.notebooks():
            title, _ = contents.title_and_times(path)
            text += [f"## [{title}](../notebooks/{path.name})", "", one_line(path), ""]
            text += ["```python", *_tagged(path, "recipe").splitlines(), "```", ""]
        return text


class RecipeImports(FromNotebooks):
    """``:::{recipe-imports}``: what the recipes use of the imports above them."""

    def markdown(self) -> list[str]:
        found = set()
        for path in contents.notebooks():
            found |= needed_imports(
                *(_tagged(path, tag) for tag in ("given", "recipe"))
            )
        lines = sorted(found, key=lambda line: (line.startswith("from"), line))
        return ["```python", *lines, "```"]


def _tagged(path: Path, tag: str) -> str:
    """Return the first cell of a notebook with a tag."""
    cells = contents.cells(path)
    return next(c["source"] for c in cells if tag in c["metadata"].get("tags", []))


def needed_imports(folded: str, recipe: str) -> set[str]:
    """Return what a recipe uses of the imports above it, one name a statement."""
    used = {n.id for n in ast.walk(ast.parse(recipe)) if isinstance(n, ast.Name)}
    found = set()
    for node in ast.walk(ast.parse(folded)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for each in node.names:
                if (each.asname or each.name) in used:
                    one = copy(node)
                    one.names = [each]
                    found.add(ast.unparse(one))
    return found


class WrongAndRight(SphinxDirective):
    """``:::{wrong-and-right} <tip>``: the two cells of a chapter's short answer."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = contents.ROOT / "notebooks" / f"{self.arguments[0]}.ipynb"
        self.env.note_dependency(str(path))
        return [
            nodes.container("", *_blocks(cell), classes=["cell", f"tag_{tag}"])
            for cell in contents.cells(path)
            for tag in ("wrong", "right")
            if tag in cell["metadata"].get("tags", [])
        ]


def _blocks(cell: dict) -> list[nodes.Node]:
    """Return a cell's code, and what it prints, as MyST-NB would show them."""
    texts = ["".join(output.get("text", "")) for output in cell["outputs"]]
    code = nodes.literal_block("", cell["source"], language="ipython3")
    printed = nodes.literal_block("", "".join(texts).rstrip(), language="none")
    output = nodes.container("", printed, classes=["output"])
    return [
        nodes.container("", code, classes=["cell_input"]),
        nodes.container("", output, classes=["cell_output"]),
    ]


class Verdicts(SphinxDirective):
    """``:::{verdicts}``: how many claims there are of each verdict, as a bar and a key."""

    def run(self) -> list[nodes.Node]:
        paths = contents.notebooks()
        for path in paths:
            self.env.note_dependency(str(path))
        found = [claim.verdict for path in paths for claim in claims.claims(path)]
        counts = Counter(found)
        shown = [(v, counts[v], v.split()[-1]) for v in claims.VERDICTS if counts[v]]
        bar = "".join(
            f'<i class="verdict-{role}" style="flex:{count}"></i>'
            for _, count, role in shown
        )
        key = "".join(
            f'<li><i class="verdict-{role}"></i>{verdict} <b>{count}</b></li>'
            for verdict, count, role in shown
        )
        html = (
            f'<div class="verdict-bar" aria-hidden="true">{bar}</div>'
            f'<ul class="verdict-key">{key}</ul>'
        )
        return [nodes.raw("", html, format="html")]


class StoredWidget(SphinxDirective):
    """``:::{stored-widget} <tip> <class>``: a widget of a chapter, alive on this page."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        tip, name = self.arguments
        path = contents.ROOT / "notebooks" / f"{tip}.ipynb"
        self.env.note_dependency(str(path))
        notebook = json.loads(path.read_text(encoding="utf-8"))
        state = notebook["metadata"]["widgets"][STATE_MIME]["state"]
        (model_id,) = (
            key
            for key, model in state.items()
            if model["state"].get("_anywidget_id", "").endswith(f".{name}")
        )
        view = f'<script type="{VIEW_MIME}">{{"model_id": "{model_id}"}}</script>'
        stored = in_script(json.dumps({"state": {model_id: state[model_id]}}))
        html = f'{with_room(view, state)}<script type="{STATE_MIME}">{stored}</script>'
        return [nodes.raw("", html, format="html")]


def one_line(path: Path) -> str:
    """Return what a chapter promises: "You can ..."."""
    promise = contents.cells(path)[0]["source"].splitlines()[-1]
    return promise.replace("After this chapter you can", "You can", 1)


def setup(app: Sphinx) -> dict:
    app.add_directive("tips", Tips)
    app.add_directive("stored-widget", StoredWidget)
    app.add_directive("recipes", Recipes)
    app.add_directive("recipe-imports", RecipeImports)
    app.add_directive("wrong-and-right", WrongAndRight)
    app.add_directive("verdicts", Verdicts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
