"""Text, code and outputs of a notebook as the HTML of a slide."""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

sys.path.insert(0, str(Path(__file__).parents[1]))
import formulas

VIEW = "application/vnd.jupyter.widget-view+json"
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)\s]*\)")
FOLD_TAGS = re.compile(r"</?(?:details|summary)>")
SENTENCE = re.compile(r"(?<=[.!?])(?:\*\*)?\s+(?=[A-Z“\"`*$(])")
MOST_LINES = 20  # of an output
LONGEST_LINE = 100  # columns; one longer line would make all the rest small
FORMATTER = HtmlFormatter(nowrap=True, classprefix="c-")


def _formula(source: str, options: dict) -> str:
    kind = "block" if options["display_mode"] else "inline"
    return formulas.mathml(source, kind)


MARKDOWN = MarkdownIt("commonmark").enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=_formula)


def prose(text: str) -> str:
    """Return Markdown as HTML. A slide leads nowhere, so of a link its text stays."""
    return MARKDOWN.render(FOLD_TAGS.sub("", LINK.sub(r"\1", text)))


def inline(text: str) -> str:
    """Return one line of Markdown as HTML without a paragraph around it."""
    return MARKDOWN.renderInline(LINK.sub(r"\1", text))


def code(source: str) -> str:
    """Return Python with its colours."""
    return f"<pre><code>{highlight(source, PythonLexer(), FORMATTER)}</code></pre>"


def outputs(cell: dict) -> str:
    """Return what a cell printed, drew and raised."""
    return "".join(_output(each) for each in cell["outputs"])


def _output(output: dict) -> str:
    if output["output_type"] == "error":
        text = f"{output['ename']}: {output['evalue']}"
        return _printed(text, "error")
    if output["output_type"] == "stream":
        return _printed(_shortened(_joined(output["text"])))
    data = output["data"]
    if VIEW in data:
        reference = json.dumps(data[VIEW])
        return f'<div class="mp-view"><script type="{VIEW}">{reference}</script></div>'
    if "image/png" in data:
        alt = output["metadata"].get("image/png", {}).get("alt", "")
        source = _joined(data["image/png"]).replace("\n", "")
        return f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" />'
    return _printed(_joined(data["text/plain"]))


def _printed(text: str, name: str = "output") -> str:
    """Return printed text; lines that no slide has room for may break."""
    long = " long" * (max(map(len, text.splitlines()), default=0) > LONGEST_LINE)
    return f'<pre class="{name}{long}">{html.escape(text)}</pre>'


def _shortened(text: str) -> str:
    """Return what a slide has room for: most cells print less than that."""
    lines = text.rstrip().splitlines()
    if len(lines) <= MOST_LINES:
        return "\n".join(lines)
    left = len(lines) - MOST_LINES + 1
    return "\n".join([*lines[: MOST_LINES - 1], f"... and {left} more lines"])


def _joined(text: str | list[str]) -> str:
    return "".join(text)


def models(cell: dict) -> list[str]:
    """Return the ids of the widgets that a cell shows."""
    found = [o["data"] for o in cell["outputs"] if VIEW in o.get("data", {})]
    return [data[VIEW]["model_id"] for data in found]


def first_sentence(text: str) -> str:
    """Return the first sentence of prose, or "" if it leads to something below it."""
    paragraph = FOLD_TAGS.sub("", text).strip().partition("\n\n")[0]
    if re.match(r"[|>#-]|\d+\.", paragraph):  # a table, a quotation or a list
        return ""
    sentence = SENTENCE.split(" ".join(paragraph.split()), maxsplit=1)[0]
    if sentence.count("**") % 2:  # bold letters that go on in the next sentence
        sentence += "**"
    return "" if sentence.endswith(":") else sentence
