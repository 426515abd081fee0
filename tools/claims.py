"""What the notes claim, and what the chapters found: read from the notebooks' tables."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
HEADING = "What the notes said"
VERDICTS = {"holds": "✓", "holds, with a caveat": "◐", "outdated": "↻", "wrong": "✗"}


class Claim(NamedTuple):
    """One row of a chapter's table."""

    claim: str
    verdict: str
    evidence: str


def contents() -> list[tuple[str, list[str]]]:
    """Return each part's caption and files, in the order of _toc.yml.

    Raises:
        ValueError: if a part has no caption, or a chapter is more than one file.
    """
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        flat = all(set(chapter) == {"file"} for chapter in part.get("chapters", [{}]))
        if "caption" not in part or not flat:
            raise ValueError(
                f"_toc.yml: each part needs a caption and chapters of one file each, "
                f"got {part}."
            )
    return [(p["caption"], [c["file"] for c in p["chapters"]]) for p in toc["parts"]]


def pages() -> list[str]:
    """Return every page of the book without its suffix, the index first."""
    return ["book/index"] + [file for _, files in contents() for file in files]


def parts() -> list[tuple[str, list[Path]]]:
    """Return the parts of the book that hold notebooks, in the order of _toc.yml."""
    found = []
    for caption, files in contents():
        notebooks = [ROOT / f"{f}.ipynb" for f in files if f.startswith("notebooks/")]
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


def claims(path: Path) -> list[Claim]:
    """Return the rows of a notebook's table of claims.

    Raises:
        ValueError: if a row is not claim, verdict, evidence, or its verdict is none of
            ``VERDICTS``.
    """
    markdown = (c for c in cells(path) if c["cell_type"] == "markdown")
    text = "\n\n".join(cell["source"] for cell in markdown)
    return rows(text.partition(f"## {HEADING}\n")[2].partition("\n## ")[0], path.name)


def rows(section: str, name: str) -> list[Claim]:
    """Return the rows of a table of claims, as :func:`claims` does."""
    lines = [
        line.strip("| ").split(" | ") for line in section.splitlines() if "|" in line
    ]
    found = []
    for row in lines[2:]:  # after the head and its rule
        if len(row) != 3 or row[1].strip("* ") not in VERDICTS:
            raise ValueError(
                f"{name}: {' | '.join(row)!r} is not 'claim | verdict | evidence' "
                f"with a verdict of {', '.join(VERDICTS)}."
            )
        found.append(Claim(row[0].strip(), row[1].strip("* "), row[2].strip()))
    return found


def summary(found: list[Claim]) -> str:
    """Return the count by verdict, such as ``2 holds, 1 wrong``."""
    counts = Counter(claim.verdict for claim in found)
    return " · ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v])
