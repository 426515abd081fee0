"""Refresh the copy of MathJax that the book serves, or check it.

    python tools/vendor_mathjax.py           # fetch VERSION with npm and replace the copy
    python tools/vendor_mathjax.py --check   # compare the copy with its checksums

The copy holds what the pages use: one component, its fonts, its TeX extensions.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "3.2.2"
FOLDER = Path(__file__).parents[1] / "book" / "assets" / "vendor" / "mathjax"
WANTED = {  # path in the package: path in the copy
    "package/es5/tex-mml-chtml.js": "tex-mml-chtml.js",
    "package/es5/output/chtml/fonts/woff-v2": "output/chtml/fonts/woff-v2",
    "package/es5/input/tex/extensions": "input/tex/extensions",
    "package/LICENSE": "LICENSE",
}


def checksums(folder: Path) -> str:
    """Return one ``sha256  path`` line a file, in the format of sha256sum."""
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS"
    )
    return "".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n"
        for p in files
    )


def refresh() -> None:
    """Replace the copy with npm's package, only once all of it has arrived."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            ["npm", "pack", "--silent", f"mathjax@{VERSION}"], cwd=scratch, check=True
        )
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        fresh = Path(scratch) / "fresh"
        for source, target in WANTED.items():
            origin, goal = Path(scratch) / source, fresh / target
            goal.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if origin.is_dir() else shutil.copyfile)(origin, goal)
        (fresh / "VERSION").write_text(f"mathjax {VERSION}\n")
        (fresh / "SHA256SUMS").write_text(checksums(fresh))
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(fresh, FOLDER)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    if not parser.parse_args().check:
        refresh()
    if (FOLDER / "SHA256SUMS").read_text() != checksums(FOLDER):
        print(f"{FOLDER} differs from its SHA256SUMS: run this tool without --check")
        return 1
    print(f"mathjax {VERSION}: {len(checksums(FOLDER).splitlines())} files as recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
