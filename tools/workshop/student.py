"""The learners' notebooks: without solutions, outputs, and all that holds an answer.

    python tools/workshop/student.py                  # all chapters
    python tools/workshop/student.py k_fold apex      # some

They are written to _workshop/student, and never committed: a copy that somebody edits by
hand would soon differ from its chapter.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).parent))
import chosen
import set_address
from whole_file import whole_folder

ROOT = chosen.contents.ROOT
# The only page beside the chapters that JupyterLab shows as it is meant.
GLOSSARY = "../book/glossary.md"
LINK = re.compile(
    r"\[((?:[^\[\]]|\[[^\]]*\])*)\]"
    r"\(((?:\.\./book/)?\w+)\.(ipynb|md)(#[\w-]*)?\)"
)


def student_copy(path: Path, present: set[str], address: str) -> NotebookNode:
    """Return a chapter as a learner gets it.

    Args:
        path: the chapter's notebook.
        present: the targets of links that lie in the learner's folder.
        address: where the book is published, or ``""``.
    """
    notebook = nbformat.read(path, as_version=4)
    # The state of number boxes and tables holds their answers.
    notebook.metadata.pop("widgets", None)
    notebook.cells = [
        c for c in notebook.cells if "solution" not in c.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        # It tells what a figure will show, and serves the book's pages alone.
        cell.metadata.pop("mystnb", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = linked(cell.source, present, address)
    return notebook


def linked(text: str, present: set[str], address: str) -> str:
    """Lead links to what a learner lacks to the published book; without one, drop them."""

    def mended(link: re.Match) -> str:
        name, stem, kind, anchor = link.groups(default="")
        if f"{stem}.{kind}" in present:
            return link[0]
        page = stem.removeprefix("../") if kind == "md" else f"notebooks/{stem}"
        return f"[{name}]({address}{page}.html{anchor})" if address else name

    return LINK.sub(mended, text)


def write(folder: Path, paths: list[Path]) -> None:
    """Write the copies of some chapters, and the glossary that they link to."""
    present = {path.name for path in paths} | {GLOSSARY}
    address = set_address.pages_address(ROOT)
    with whole_folder(folder) as new:
        (new / "notebooks").mkdir()
        (new / "book").mkdir()
        for path in paths:
            copy = student_copy(path, present, address)
            nbformat.write(copy, new / "notebooks" / path.name)
        shutil.copy(ROOT / "notebooks" / GLOSSARY, new / "book")


if __name__ == "__main__":
    try:
        found = chosen.chapters(sys.argv[1:])
        write(chosen.OUTPUT / "student", found)
        print(f"{len(found)} student copies: {chosen.OUTPUT / 'student'}")
    except ValueError as error:
        sys.exit(str(error))
