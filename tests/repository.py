"""The repository that the tests prove: where it is, a copy of it, its versions, its book."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def copy_product(folder: Path) -> None:
    """Copy every text file of the product into a folder."""
    import set_address

    for path in set_address.files(ROOT):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def pins() -> dict[str, str]:
    """Return the versions that constraints.txt asks for on this machine."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in wanted
        if each.marker is None or each.marker.evaluate()
    }


def build_book(source: Path, output: Path) -> subprocess.CompletedProcess:
    """Build the book below a folder as ``make html`` does: warnings are errors."""
    command = [sys.executable, source / "tools/build.py", "--output", output]
    return subprocess.run(command, capture_output=True, text=True)
