"""Write constraints.txt: every version in this environment, for the same one elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from run import write_whole

PATH = Path(__file__).parents[1] / "constraints.txt"
HEADER = "# All versions of the book's environment, made by `make lock`. Do not edit.\n"


def constraints() -> str:
    """Return one ``name==version`` line for each installed distribution but our own."""
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pinned = [line for line in frozen.splitlines() if "==" in line]
    # A build such as 2.15.0+cpu must satisfy the line too.
    return HEADER + "".join(f"{re.sub(r'[+].*', '', line)}\n" for line in pinned)


if __name__ == "__main__":
    write_whole(PATH, constraints())
    print(f"{PATH}: {len(constraints().splitlines()) - 1} versions")
