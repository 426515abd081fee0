"""The symptom page: its field, its questions and its tables, made from symptoms.yml."""

from __future__ import annotations

import difflib
import html
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import contents
import yaml
from docutils import nodes
from markdown_it import MarkdownIt
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

DATA = contents.ROOT / "book/data/symptoms.yml"
ROWS = "trouble-rows.js"
INLINE = MarkdownIt()


class Place(NamedTuple):
    """Where a cause is shown: a heading or a trap of a chapter."""

    chapter: str
    heading: str

    @property
    def anchor(self) -> str:
        """The id that the heading has on its page."""
        return nodes.make_id(self.heading.replace("`", ""))


@cache  # each chapter's page asks for its rows
def load(text: str | None = None) -> dict:
    """Return what symptoms.yml holds, with a :class:`Place` at each ``at`` and ``more``.

    Raises:
        ValueError: if an id or a place is not one that can be linked to.
    """
    # The parser in C, where PyYAML has it: it takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(text or DATA.read_text(encoding="utf-8"), loader)
    for row in data["rows"]:
        for each in [row, *row["causes"]]:
            for key in {"at", "more"} & set(each):
                each[key] = _place(row["id"], each[key], data["chapters"])
    return data


def _place(row: str, text: str, chapters: dict) -> Place:
    chapter, _, heading = text.partition(": ")
    if chapter not in chapters or not heading:
        raise ValueError(
            f"symptoms.yml, {row}: {text!r} must be 'chapter: heading', with a chapter of "
            f"{', '.join(chapters)}."
        )
    return Place(chapter, heading)


@cache
def places(chapter: str) -> dict[str, str]:
    """Return the headings of a chapter by the id that each has on its page."""
    path = contents.ROOT / "notebooks" / f"{chapter}.ipynb"
    cells = contents.cells(path)
    text = "\n".join(c["source"] for c in cells if c["cell_type"] == "markdown")
    found = re.findall(r"^#{2,3} (.+)$", text, re.M)
    return {nodes.make_id(name.replace("`", "")): name for name in found}


def lost(place: Place) -> str | None:
    """Return a sentence about a place that its chapter lacks, or None."""
    known = places(place.chapter)
    if place.anchor in known:
        return None
    near = difflib.get_close_matches(place.anchor, known, 3, 0.3)
    names = [known[anchor] for anchor in near] or list(known.values())
    return (
        f"symptoms.yml: {place.chapter}.ipynb has no heading "
        f"{place.heading!r}. Write another one, such as {names}."
    )


# --- to HTML --------------------------------------------------------------------------


def inline(text: str) -> str:
    return INLINE.renderInline(text)


def code(text: str) -> str:
    return f"<code>{html.escape(text, quote=False)}</code>"


def link(place: Place, chapters: dict) -> str:
    name = inline(f"{chapters[place.chapter]}: {place.heading}")
    return f'<a href="../{address(place)}">{name}</a>'


def address(place: Place) -> str:
    return f"notebooks/{place.chapter}.html#{place.anchor}"


def title(row: dict) -> str:
    """Return a row in one line of plain text, as a link names it."""
    return (
        row["see"]
        if "see" in row
        else [*row.get("text", ()), *row.get("quoted", ())][0]
    )


def seen(row: dict) -> str:
    """Return what a row's reader sees: messages, or words."""
    lines = [code(text) for text in row.get("text", ())]
    if "see" in row:
        lines.insert(0, inline(row["see"]))
    if "note" in row:
        lines[-1] += " " + inline(row["note"])
    older = [
        f'{code(text)} <span class="mp-from">({html.escape(version)})</span>'
        for text, version in row.get("quoted", {}).items()
    ]
    parts = [f"<p>{line}</p>" for line in (lines or older[:1])]
    parts += [f"<p>{line}</p>" for line in older[not lines :]]
    return "".join(parts)


def cause(each: dict, chapters: dict) -> str:
    text = inline(each["why"])
    if "tell" in each:
        text += f" <i>You can tell:</i> {inline(each['tell'])}"
    text += f" <b>Cure:</b> {inline(each['cure'])}"
    if "at" in each:
        text += f" {link(each['at'], chapters)}"
    return f"<p>{text}</p>"


def table_row(row: dict, chapters: dict) -> str:
    """Return one row; the field's script copies its second cell into an answer."""
    causes = "".join(cause(each, chapters) for each in row["causes"])
    if "more" in row:
        causes += f'<p class="mp-more">More: {link(row["more"], chapters)}</p>'
    return f'<tr id="symptom-{row["id"]}"><td>{seen(row)}</td><td>{causes}</td></tr>\n'


def table(rows: list[dict], chapters: dict) -> str:
    body = "".join(table_row(row, chapters) for row in rows)
    head = "<tr><th>You see</th><th>Cause and cure</th></tr>"
    return f'<table class="table mp-symptoms"><thead>{head}</thead><tbody>{body}</tbody></table>'


def questions(data: dict) -> str:
    """Return the tree of questions: two clicks, and a third on the row."""
    titles = {
        row["id"]: (inline if "see" in row else code)(title(row))
        for row in data["rows"]
    }

    def leaf(each: dict) -> str:
        items = "".join(
            f'<li><a href="#symptom-{i}">{titles[i]}</a></li>' for i in each["rows"]
        )
        ask = inline(each["ask"])
        return f"<details><summary>{ask}</summary><ul>{items}</ul></details>"

    return "".join(
        f'<details class="mp-question"><summary>{inline(each["ask"])}</summary>'
        f"{''.join(map(leaf, each['then']))}</details>"
        for each in data["questions"]
    )


def field(data: dict) -> str:
    """Return the field, and the place of its answers."""
    kinds = ", ".join(
        f'<a href="#{nodes.make_id(title)}">{html.escape(title)}</a>'
        for title in data["kinds"].values()
    )
    return f"""<div class="mp-trouble">
<label for="trouble-paste">Paste a traceback or a line of it, or say what happens</label>
<textarea id="trouble-paste" rows="6" spellcheck="false" autocomplete="off"
 placeholder="RuntimeError: mat1 and mat2 must have the same dtype"></textarea>
<p id="trouble-count" role="status" aria-live="polite"></p>
<div id="trouble-answers" role="region" aria-label="Answers"></div>
<p id="trouble-none" hidden><span></span> Look through the tables: {kinds}. Or
answer <a href="#no-message-only-a-behaviour">two questions</a>.</p>
<noscript>The field needs JavaScript; the tables below do not.</noscript>
</div>
<script src="../_static/{ROWS}"></script>
<script src="../_static/trouble.js"></script>"""


def write_rows(app: Sphinx, exception: Exception | None) -> None:
    """Write what the field and the search know of the rows: patterns, words, a title, a link.

    It is a script, for a page that is opened from a folder can load nothing else.
    """
    if exception or app.builder.name != "html":
        return
    data = load()
    rows = {
        row["id"]: {
            **{key: row[key] for key in ("match", "words", "special") if key in row},
            "see": title(row).replace("`", ""),
            "at": next(
                map(address, links([row])), f"book/symptoms.html#symptom-{row['id']}"
            ),
        }
        for row in data["rows"]
    }
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    path = Path(app.outdir, "_static", ROWS)
    path.write_text(f"globalThis.troubleRows = {text};\n", encoding="utf-8")


DOOR = """<form class="mp-trouble" onsubmit="location.href = 'symptoms.html#q=' +
encodeURIComponent(this.q.value); return false">
<label for="trouble-door">Paste the traceback, or a line of it</label>
<textarea id="trouble-door" name="q" rows="3" spellcheck="false"></textarea>
<button>Read the cure</button>
</form>"""


class Symptoms(SphinxDirective):
    """``:::{symptoms} kind``: the table of a kind; or ``field``, ``questions``, ``door``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        for path in contents.notebooks():
            self.env.note_dependency(str(path))
        return [nodes.raw("", self.html(self.arguments[0]), format="html")]

    def html(self, part: str) -> str:
        if part == "door":
            return DOOR
        data = load()
        if part in ("field", "questions"):
            return {"field": field, "questions": questions}[part](data)
        rows = [row for row in data["rows"] if row["kind"] == part]
        for place in links(rows):
            if problem := lost(place):
                logging.getLogger(__name__).warning(
                    problem, location=self.get_location()
                )
        return table(rows, data["chapters"])


def links(rows: list[dict]) -> list[Place]:
    """Return every place that rows lead to."""
    found = [
        each[k]
        for r in rows
        for each in [r, *r["causes"]]
        for k in ("at", "more")
        if k in each
    ]
    return list(dict.fromkeys(found))


def setup(app: Sphinx) -> None:
    app.add_directive("symptoms", Symptoms)
    app.connect("build-finished", write_rows)
