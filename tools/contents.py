"""What the book consists of: its pages in the order of _toc.yml, and the cells of each notebook."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def files() -> list[tuple[str, list[str]]]:
    """Return each part's caption and files, in the order of _toc.yml.

    Raises:
        ValueError: if a part has no caption, or a chapter is more than one file.
    """
    toc = _parsed((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        flat = all(set(chapter) == {"file"} for chapter in part.get("chapters", [{}]))
        if "caption" not in part or not flat:
            raise ValueError(
                f"_toc.yml: each part needs a caption and chapters of one file each, "
                f"got {part}."
            )
    return [(p["caption"], [c["file"] for c in p["chapters"]]) for p in toc["parts"]]


@cache  # a build asks some sixty times
def _parsed(toc: str) -> dict:
    return yaml.safe_load(toc)


def pages() -> list[str]:
    """Return every page of the book without its suffix, the index first."""
    return ["book/index"] + [file for _, names in files() for file in names]


def parts() -> list[tuple[str, list[Path]]]:
    """Return the parts of the book that hold notebooks, in the order of _toc.yml."""
    found = []
    for caption, names in files():
        notebooks = [ROOT / f"{f}.ipynb" for f in names if f.startswith("notebooks/")]
        if notebooks:
            found.append((caption, notebooks))
    return found


def notebooks() -> list[Path]:
    """Return the notebooks in the order of _toc.yml."""
    return [path for _, paths in parts() for path in paths]


def cells(path: Path) -> list[dict]:
    """Return a notebook's cells, each source as one text.

    ``nbformat.read`` would check the whole file, which takes ten times as long.
    """
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in found]


def title_and_times(path: Path) -> tuple[str, str]:
    """Return a notebook's first heading and the line of times under it."""
    lines = cells(path)[0]["source"].splitlines()
    if len(lines) < 3:
        raise ValueError(f"{path.name}: cell 1 must hold a title and a line of times.")
    return lines[0].removeprefix("# "), lines[2].strip("*")
