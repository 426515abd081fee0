"""What search engines and previews of links read: description, address, sitemap."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

sys.path.insert(0, str(Path(__file__).parent))
import set_address

# The pages that the theme makes have neither a title of their own nor text.
UNTITLED = {"genindex": "Index", "search": "Search"}
PICTURE = "_static/bce_explorer.png"


def set_base(app: Sphinx, config: Config) -> None:
    """Take the book's own address from the repository's, unless _config.yml gives one.

    Pages then name their canonical address, and there is a sitemap. Without an address
    (the repository's is a placeholder until ``make address``) there is neither.
    """
    config.html_baseurl = config.html_baseurl or set_address.pages_address(
        Path(app.srcdir)
    )


def description(doctree: nodes.document | None, title: str) -> str:
    """Return a chapter's lead, another page's first sentence, or else the title.

    Before a chapter's lead stand its times, all in italics, and what one can do afterwards.
    """
    paragraphs = list(doctree.findall(nodes.paragraph)) if doctree else []
    if not paragraphs:
        return title
    texts = [" ".join(paragraph.astext().split()) for paragraph in paragraphs[:3]]
    if all(isinstance(child, nodes.emphasis) for child in paragraphs[0].children):
        return texts[-1]
    return re.split(r"(?<=[.!?]) ", texts[0])[0]


def tags(app: Sphinx, context: dict, doctree: nodes.document | None) -> str:
    """Return a page's description, and the same for previews of links (Open Graph)."""
    book = app.config.html_title
    title = context.get("title") or UNTITLED[context["pagename"]]
    title = html.unescape(re.sub("<[^>]+>", "", title))
    about = description(doctree, f"{title}: {book}")
    graph = {
        "title": title,
        "description": about,
        "type": "article",
        "site_name": book,
    }
    if app.config.html_baseurl:  # a preview takes no relative address
        graph["url"] = context["pageurl"]
        graph["image"] = app.config.html_baseurl + PICTURE
    lines = [f'<meta name="description" content="{html.escape(about)}" />']
    lines += [
        f'<meta property="og:{name}" content="{html.escape(text)}" />'
        for name, text in graph.items()
    ]
    return "\n".join(lines)


def write_sitemap(app: Sphinx) -> None:
    """List the book's pages for search engines, if the book's address is known."""
    if not app.config.html_baseurl:
        return
    lines = [
        f"<url><loc>{html.escape(app.config.html_baseurl)}{name}.html</loc></url>"
        for name in sorted(app.env.found_docs)
    ]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *lines,
        "</urlset>",
    ]
    path = Path(app.outdir) / "sitemap.xml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
