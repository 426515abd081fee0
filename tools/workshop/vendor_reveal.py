"""Bring in reveal.js, which turns the slides: its published package, checked, four files.

    python tools/workshop/vendor_reveal.py

Needs npm. Run it to change VERSION; otherwise the files lie in tools/workshop/reveal.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from whole_file import whole_folder

FOLDER = Path(__file__).parent / "reveal"
VERSION = "5.2.1"
# What npm tells of this version: `npm view reveal.js@5.2.1 dist.integrity`.
SHA512 = (
    "r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRlrpRzFv4RbH76TXd2qD+"
    "7ZPZEbpBDhdRhJaFgfQ7zNQ=="
)
FILES = (
    "LICENSE",
    "dist/reveal.js",
    "dist/reveal.css",
    "dist/reset.css",
    "plugin/notes/notes.js",
)


def sums(folder: Path) -> str:
    """Return the digest and name of each vendored file, as ``sha256sum`` writes them."""
    paths = [folder / Path(name).name for name in sorted(FILES)]
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in paths
    )


def vendor() -> None:
    """Fetch the package, and write its files with their digests.

    Raises:
        ValueError: if the package is not the one that SHA512 describes.
    """
    with tempfile.TemporaryDirectory() as here:
        command = ["npm", "pack", "--silent", f"reveal.js@{VERSION}"]
        name = subprocess.run(
            command, cwd=here, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        data = (Path(here) / name).read_bytes()
        found = base64.b64encode(hashlib.sha512(data).digest()).decode()
        if found != SHA512:
            raise ValueError(f"reveal.js {VERSION}: its SHA512 is {found}.")
        with tarfile.open(Path(here) / name) as package, whole_folder(FOLDER) as new:
            for each in FILES:
                text = package.extractfile(f"package/{each}").read()
                (new / Path(each).name).write_bytes(text)
            (new / "SHA256SUMS").write_text(sums(new), encoding="utf-8")


if __name__ == "__main__":
    try:
        vendor()
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
