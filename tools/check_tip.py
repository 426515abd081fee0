"""Prove one tip: run its notebook, then everything that speaks of this tip alone.

python tools/check_tip.py argmax_dim
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contents

ROOT = contents.ROOT
PROVEN = """\
{tip} stands, in {seconds:.0f} s:
  its notebook runs, is stored, and gives the same outputs once more
  it keeps the rules that CONTRIBUTING.md lists, and so do the other chapters
  its checks and its widget pass tests/chapters/test_{tip}.py
  its page in a browser: links, figures, heights of widgets, contrast, 320 px
  the symptom page and the README lead to it
The whole proof is `make test`; whether the code is formatted is `make lint`."""


def commands(tip: str) -> list[list[str]]:
    """Return the steps of one tip's proof."""
    notebook = f"notebooks/{tip}.ipynb"
    # The rules of the neighbours too: a chapter leads to the next one.
    wanted = f"{tip} or keeps_the_rules or toc_lists or sorted or made_list"
    proof = [notebook, f"tests/chapters/test_{tip}.py", "tests/pages"]
    return [
        ["tools/run.py", notebook],
        ["tools/listings.py"],
        ["-m", "pytest", "-k", wanted, *proof],
    ]


def check(tip: str) -> int:
    """Run one tip's proof, and return the exit status of the step that failed, or 0."""
    started = time.monotonic()
    for command in commands(tip):
        status = subprocess.run([sys.executable, *command], cwd=ROOT).returncode
        if status:
            return status
    print(PROVEN.format(tip=tip, seconds=time.monotonic() - started))
    return 0


def main(arguments: list[str]) -> int:
    tips = [path.stem for path in contents.notebooks()]
    if len(arguments) != 1 or arguments[0] not in tips:
        print(
            f"check_tip: TIP must be one of {', '.join(tips)}, got "
            f"{' '.join(arguments)!r}. Write `make check TIP={tips[0]}`.",
            file=sys.stderr,
        )
        return 1
    return check(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
