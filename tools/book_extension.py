"""Sphinx extension: what the book's pages need and the theme does not give.

The palette and a description in every page's head, room kept for each widget and figure
before it is drawn, the lists made from the notebooks, and the theme's faults mended: what
it loads and no reader uses, and what a screen reader cannot place.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import sys
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

# Also where the helpers are not installed: the pages need no more of them than is here.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import contents
import formulas
import page_head
import page_style
import set_address
import symptoms
import take_home

from helpers.notebook import style

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
VIEW = re.compile(rf'<script type="{re.escape(VIEW_MIME)}">.*?</script>', re.S)
STATE_MIME = "application/vnd.jupyter.widget-state+json"
FIGURE = re.compile(r'<img [^>]*src="(?:\.\./)*_images/([^"]+)"')


class FromNotebooks(SphinxDirective):
    """A directive whose Markdown is made from the notebooks."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        for path in contents.notebooks():
            self.env.note_dependency(str(path))
        box = nodes.container()
        self.state.nested_parse(self.markdown(), self.content_offset, box, True)
        return box.children


class TakeHome(FromNotebooks):
    """``:::{take-home}``: each take-home helper with its example and its chapter."""

    def markdown(self) -> list[str]:
        root = contents.ROOT
        files = f"{set_address.current(root)}/blob/{set_address.branch(root)}"
        text = []
        for helper in take_home.helpers():
            title, _ = contents.title_and_times(helper.chapter)
            text += [f"## `{helper.name}`", "", helper.summary, ""]
            if helper.example:
                text += ["```python", *helper.example.splitlines(), "```", ""]
            chapter = f"[{title}](../notebooks/{helper.chapter.name})"
            text += [f"Chapter: {chapter} · [source]({files}/{helper.source})", ""]
        return text


def add_to_page(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Put palette and description into the page, and keep room for widgets and figures."""
    context["metatags"] = (
        f"{context.get('metatags', '')}{page_head.tags(app, context, doctree)}"
        f"<style>{style.css()}</style>"
    )
    body = context.get("body", "")
    source = Path(app.env.doc2path(pagename))
    if source.suffix != ".ipynb" and VIEW.search(body):
        app.add_js_file("widgets.js", defer="defer")  # a notebook's page has it
    context["script_files"] = [s for s in context["script_files"] if _is_used(s)]
    for script in context["script_files"]:
        if script.attributes.get("type") == STATE_MIME:
            script.attributes["body"] = in_script(script.attributes["body"])
    if source.suffix == ".ipynb" and VIEW.search(body):
        notebook = nbformat.read(source, as_version=4)
        try:
            state = notebook.metadata.widgets[STATE_MIME].state
        except (AttributeError, KeyError):
            raise ExtensionError(
                f"{pagename}: a widget is shown and no state stored. Run `make run`."
            ) from None
        body = VIEW.sub(lambda view: with_room(view[0], state), body)
    files = {name: app.srcdir / path for path, name in app.builder.images.items()}
    context["body"] = FIGURE.sub(lambda image: _when_seen(image, files), body)


def _is_used(script) -> bool:
    """Tell whether a script serves the book: not one for versions and live search."""
    return not script.attributes.get("body", "").startswith("DOCUMENTATION_OPTIONS")


def in_script(text: str) -> str:
    """Return a stored state in which no text can end the script that holds it."""
    return text.replace("<", r"\u003c")


def with_room(view: str, state: dict) -> str:
    """Wrap a view in a box of its widget's height, so that the page does not jump."""
    model_id = json.loads(view[view.index(">") + 1 : view.rindex("<")])["model_id"]
    wide, narrow = state[model_id]["state"].get("_height_px", "0 0").split()
    return (
        f'<div class="mp-view" style="--wide:{wide}px;--narrow:{narrow}px">{view}'
        "<noscript>This widget needs JavaScript.</noscript></div>"
    )


def _when_seen(image: re.Match, files: dict[str, Path]) -> str:
    """Load a figure when the reader comes near; a PNG's room is kept until then."""
    start = f'{image[0]} loading="lazy"'
    head = files[image[1]].read_bytes()[:24]
    if head[12:16] != b"IHDR":
        return start
    width, height = struct.unpack(">II", head[16:24])
    return f'{start} width="{width}" height="{height}"'


MENDED = "<html data-mended"
SHEETS = re.compile(
    r'<link (?=[^>]*rel="stylesheet")[^>]*href="([^"]*_static/)([^"?]*)[^>]*>\s*'
)
JOINED = re.compile(rf"({re.escape(page_style.SHEET)}\?v=)\w*")

# What the theme writes into every page: what it becomes, how often, and why.
MENDS = [
    # 540 KB: the same icons come from the theme's fonts too.
    (r'<script defer src="[^"]*/fontawesome\.js[^"]*"></script>', "", {1}),
    # They would come before the style sheet, which the first paint waits for.
    (r'<link rel="preload" as="script"[^>]*>', "", {2}),
    # Needed by the search page alone, which has them a second time.
    (
        r'<script src="[^"]*_static/searchtools\.js"></script>\s*'
        r'<script src="[^"]*_static/language_data\.js"></script>\s*'
        r'<script src="[^"]*searchindex\.js"></script>\s*</head>',
        "</head>",
        {0, 1},
    ),
    # Once the index is there, the query is answered: the book's own way comes first.
    (
        r'<script src="searchindex\.js"></script>',
        r'<script src="_static/search.js"></script>\n\g<0>',
        {0, 1},
    ),
    # No script is needed to draw the page.
    ("<script src=", "<script defer src=", None),
    # The book's name lies outside every landmark.
    (
        r'<div class="sidebar-primary-items__start[^"]*"',
        r'\g<0> role="navigation" aria-label="Book"',
        {1},
    ),
]


def mended(text: str, name: str) -> str:
    """Return a finished page without the theme's faults.

    Raises:
        ExtensionError: if the theme writes something else than it did.
    """
    for pattern, replacement, expected in MENDS:
        text, count = re.subn(pattern, replacement, text)
        if expected and count not in expected:
            raise ExtensionError(
                f"{name}: {count} places match {pattern!r}, not {expected}. "
                "The theme has changed: look at MENDS in tools/book_extension.py."
            )
    return text.replace("<html", MENDED, 1)


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Mend the new pages, and give all pages their one style sheet, and the sitemap."""
    if exception or app.builder.name != "html":
        return
    pages = {p: p.read_text(encoding="utf-8") for p in Path(app.outdir).rglob("*.html")}
    # Not the redirects.
    pages = {p: text for p, text in pages.items() if 'id="pst-primary-sidebar"' in text}
    new = {p: text for p, text in pages.items() if MENDED not in text}
    if not new:
        return
    lists = {tuple(name for _, name in SHEETS.findall(text)) for text in new.values()}
    if len(lists) != 1:
        raise ExtensionError(f"pages name different style sheets, so not one: {lists}")
    for page, text in new.items():
        pages[page] = mended(_with_one_sheet(text), page.name)
    static = Path(app.outdir) / "_static"
    icons = set(re.findall(r"\bfa-[\w-]+", "".join(pages.values())))
    sheet = page_style.joined(static, lists.pop(), icons)
    (static / page_style.SHEET).write_text(sheet, encoding="utf-8")
    digest = hashlib.sha256(sheet.encode()).hexdigest()[:8]
    for page, text in pages.items():
        whole = JOINED.sub(rf"\g<1>{digest}", text)
        if page in new or whole != text:
            page.write_text(whole, encoding="utf-8")
    page_head.write_sitemap(app)


def _with_one_sheet(text: str) -> str:
    """Name the joined sheet where the first of a page's sheets is named."""
    first = SHEETS.search(text)
    link = f'<link rel="stylesheet" href="{first[1]}{page_style.SHEET}?v=" />\n'
    return text[: first.start()] + link + SHEETS.sub("", text[first.start() :])


def setup(app: Sphinx) -> dict:
    app.add_directive("take-home", TakeHome)
    formulas.setup(app)
    symptoms.setup(app)
    app.connect("config-inited", page_head.set_base, priority=900)
    # After the theme has added its scripts, and MyST-NB written its style sheet.
    app.connect("html-page-context", add_to_page, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
