"""What the notes claim, and what the chapters found: read from the notebooks' tables."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
import contents

HEADING = "What the notes said"
VERDICTS = {"holds": "✓", "holds, with a caveat": "◐", "outdated": "↻", "wrong": "✗"}


class Claim(NamedTuple):
    """One row of a chapter's table."""

    claim: str
    verdict: str
    evidence: str


def claims(path: Path) -> list[Claim]:
    """Return the rows of a notebook's table of claims.

    Raises:
        ValueError: if a row is not claim, verdict, evidence, or its verdict is none of
            ``VERDICTS``.
    """
    markdown = (c for c in contents.cells(path) if c["cell_type"] == "markdown")
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
