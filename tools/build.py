"""Build the book's pages: all of them, or those alone whose own source changed.

A page shows more than its source: every page has all titles at its side, and a link needs
the heading that it leads to. So a change of anything but text, code and outputs below
unchanged headings builds all pages anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import contents

PAGES = ["book/*.md", "notebooks/*.ipynb"]
# What all pages are made from.
SHARED = [
    "_config.yml",
    "_toc.yml",
    "constraints.txt",
    "requirements-pages.txt",
    "book/assets/*",
    "book/data/*",
    "helpers/*.py",
    "helpers/chapters/*/check.py",
    "helpers/checkpoints/*.py",
    "helpers/notebook/style.py",
    "tools/*.py",
    "tools/workshop/*.py",
]
HEADING = re.compile(r"^(?:#+ .*|\(.*\)=)$", re.M)


def sources() -> dict[str, str]:
    """Return a digest of each page's source, and of what all pages share as ``shared``."""
    pages, shared = files(PAGES), files(SHARED)
    headings = ["\n".join(HEADING.findall(_text(path))) for path in pages]
    parts = [path.read_bytes() for path in shared]
    parts += [text.encode() for text in [*map(_name, shared + pages), *headings]]
    found = {_name(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in pages}
    return found | {"shared": hashlib.sha256(b"\0".join(parts)).hexdigest()}


def files(patterns: list[str]) -> list[Path]:
    """Return the files that match, in one order everywhere."""
    return [p for each in patterns for p in sorted(contents.ROOT.glob(each))]


def _name(path: Path) -> str:
    return path.relative_to(contents.ROOT).as_posix()


def _text(path: Path) -> str:
    """Return what a page's source says, without code cells and outputs."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = contents.cells(path)
    return "\n".join(c["source"] for c in cells if c["cell_type"] == "markdown")


def build(output: Path) -> None:
    """Build what changed since the last build into ``output/_build``, warnings as errors.

    Raises:
        RuntimeError: if Sphinx warns; the next call builds all pages anew.
    """
    folder, now = output / "_build", sources()
    mark = folder / "ready"
    built = json.loads((mark.exists() and mark.read_text("utf-8")) or "{}")
    if built == now:
        return
    if built.get("shared") == now["shared"]:
        for name in now:
            if now[name] != built[name]:
                (contents.ROOT / name).touch()  # Sphinx goes by the time
        mark.unlink()  # a failed build is never taken for a finished one
    else:
        shutil.rmtree(folder, ignore_errors=True)
    # jsonschema would make a grammar of internationalized addresses, for a second, and the
    # book's settings have none.
    sys.modules["rfc3987_syntax"] = None
    from jupyter_book.cli.main import main as jupyter_book

    options = ["-W", "-n", "--keep-going", "-q", "--path-output", str(output)]
    jupyter_book(["build", str(contents.ROOT), *options], standalone_mode=False)
    remove_old_figures(folder / "html")
    mark.write_text(json.dumps(now), encoding="utf-8")


def remove_old_figures(html: Path) -> None:
    """Delete the figures that no page shows any more."""
    text = "".join(page.read_text(encoding="utf-8") for page in html.rglob("*.html"))
    shown = set(re.findall(r'_images/([^"]+)"', text))
    for figure in html.glob("_images/*"):
        if figure.name not in shown:
            figure.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=contents.ROOT)
    build(parser.parse_args().output.resolve())
