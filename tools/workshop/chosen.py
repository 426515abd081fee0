"""Which chapters a workshop has, and where its files are written."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import contents

OUTPUT = contents.ROOT / "_workshop"


def chapters(names: list[str]) -> list[Path]:
    """Return the notebooks of a workshop, in the book's order.

    Args:
        names: names of chapters; none means all of them.

    Raises:
        ValueError: if the book has no chapter of a name.
    """
    known = {path.stem: path for path in contents.notebooks()}
    for name in names:
        if name not in known:
            raise ValueError(
                f"CHAPTERS: the book has no chapter {name!r}. It has: "
                f"{', '.join(known)}. Put spaces between names."
            )
    return [path for stem, path in known.items() if stem in names or not names]
