"""Run the notebooks with every instruction set and write book/versions.md from it.

Each stored output is compared with the fresh one, with one thread and with two, with
every instruction set that PyTorch finds here. If one differs, nothing is written.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from packaging.version import Version

sys.path.insert(0, str(Path(__file__).parent))
from whole_file import write_whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "versions.md"
INSTRUCTION_SETS = ("default", "avx2", "avx512")  # of x86-64, the narrowest first


class Run(NamedTuple):
    """The notebooks, run once."""

    instruction_set: str
    threads: int
    cells: int
    failed: tuple[str, ...]


def instruction_sets() -> tuple[str, ...]:
    """Return what ``ATEN_CPU_CAPABILITY`` can be set to on this processor."""
    import torch

    widest = torch.backends.cpu.get_cpu_capability().lower()
    if widest not in INSTRUCTION_SETS:  # another architecture
        return ("default",)
    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(widest) + 1]


def run(instruction_set: str, threads: int) -> Run:
    """Run every notebook under nbval.

    Raises:
        RuntimeError: if pytest did not come to a result.
    """
    environment = os.environ | {
        "ATEN_CPU_CAPABILITY": instruction_set,
        "OMP_NUM_THREADS": str(threads),  # the root's conftest.py sets the rest
    }
    # Workers with several threads each would wait for one another.
    workers = max(1, (os.cpu_count() or 1) // threads)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["--nbval", "--nbval-current-env", "--dist", "loadfile"]
        options += ["-n", str(workers), f"--junitxml={report}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "notebooks"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        if not report.exists():
            raise RuntimeError(f"pytest gave no report:\n{done.stdout}{done.stderr}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [
        f"{case.get('classname')} {case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    if not failed and done.returncode != 0:
        raise RuntimeError(f"pytest failed:\n{done.stdout}{done.stderr}")
    return Run(instruction_set, threads, len(cases), tuple(failed))


def requirements() -> list[str]:
    """Return the names of the direct dependencies, in their order.

    Without what takes no part in a run: what builds the pages (its list is a file of its
    own), the formatter of scripts, and the lock's uv.
    """
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [m[0] for line in lines if (m := re.match(r"[A-Za-z][\w-]*", line))]
    return [name for name in names if name not in ("oxfmt", "uv")]


def page(runs: list[Run], date: datetime.date) -> str:
    """Return the page that tells of these runs."""
    import torch

    notebooks = len(list((ROOT / "notebooks").glob("*.ipynb")))
    rows = [("Python", platform.python_version())]
    # A build such as 2.15.0+cu132 is the version 2.15.0 built for a CUDA of its own.
    rows += [(name, Version(version(name)).public) for name in requirements()]
    matrix = "".join(
        f"| `{r.instruction_set}` | {r.threads} | {r.cells} |\n" for r in runs
    )
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    widest = torch.backends.cpu.get_cpu_capability()
    return f"""\
% Made by `make verify` from a run. Do not edit.

# Versions

On {date.day} {date:%B %Y}, all {notebooks} notebooks were run from top to bottom, and
their outputs compared with those that this book shows. Timings are run but not compared.
The machine: {system}, instruction sets up to {widest}, no GPU in use.

| Instruction set | Threads | Cells that passed |
| --- | --- | --- |
{matrix}
The first column is PyTorch's `ATEN_CPU_CAPABILITY`. Other processors and other numbers
of threads add the terms of a sum in another order, so that the last digits of a number
differ. The digits printed in this book did not.

## What was installed

| Package | Version |
| --- | --- |
{"".join(f"| {name} | {number} |{chr(10)}" for name, number in rows)}
The versions of all that these need stand in the file `constraints.txt`.
"""


def main() -> int:
    runs = []
    for instruction_set in instruction_sets():
        for threads in (1, 2):
            runs.append(run(instruction_set, threads))
            print(f"{instruction_set}, {threads} threads: {runs[-1].cells} cells")
            for name in runs[-1].failed:
                print(f"  failed: {name}", file=sys.stderr)
    if any(r.failed for r in runs) or not all(r.cells for r in runs):
        print(f"{PAGE.name} is unchanged.", file=sys.stderr)
        return 1
    write_whole(PAGE, page(runs, datetime.date.today()))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
