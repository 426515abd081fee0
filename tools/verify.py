"""Run the notebooks as readers will, and write book/versions.md from what happened.

    python tools/verify.py                  # all environments, most of an hour
    python tools/verify.py oldest colab     # some; the page keeps what it says of others
    python tools/verify.py --python /opt/python3.14/bin/python newest

In the book's own environment each stored output is compared with the fresh one, with one
thread and with two, with every instruction set that PyTorch finds here; if one differs,
nothing is written of it. In the others the notebooks must come to their end, and the page
names the cells that print something else.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

sys.path.insert(0, str(Path(__file__).parent))
import environments
from whole_file import write_whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "versions.md"
RECORD = ROOT / "book" / "data" / "environments.json"  # what the page is made from
INSTRUCTION_SETS = ("default", "avx2", "avx512")  # of x86-64, the narrowest first
PINNED = "pinned"
WHAT = {
    PINNED: "the book's own, pinned",
    "oldest": "the oldest that pyproject.toml promises",
    "colab": "like Colab's",
    "newest": "the newest packages",
}


class Run(NamedTuple):
    """The notebooks and the take-home tests, run once in the book's own environment."""

    instruction_set: str
    threads: int
    cells: int
    tests: int
    failed: tuple[str, ...]


def instruction_sets() -> tuple[str, ...]:
    """Return what ``ATEN_CPU_CAPABILITY`` can be set to on this processor."""
    import torch

    widest = torch.backends.cpu.get_cpu_capability().lower()
    if widest not in INSTRUCTION_SETS:  # another architecture
        return ("default",)
    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(widest) + 1]


def run(instruction_set: str, threads: int) -> Run:
    """Run every notebook under nbval, and the take-home tests.

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
            [sys.executable, "-m", "pytest", *options, "notebooks", "tests/take_home"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        if not report.exists():
            raise RuntimeError(f"pytest gave no report:\n{done.stdout}{done.stderr}")
        names, failed = environments.read_report(report)
    if not failed and done.returncode != 0:
        raise RuntimeError(f"pytest failed:\n{done.stdout}{done.stderr}")
    cells = sum(name.startswith("notebooks") for name in names)
    return Run(instruction_set, threads, cells, len(names) - cells, tuple(failed))


def verify_pinned() -> dict | None:
    """Run the book's own environment; return what the page tells, None if a cell differs."""
    runs = []
    for instruction_set in instruction_sets():
        for threads in (1, 2):
            runs.append(run(instruction_set, threads))
            print(f"{instruction_set}, {threads} threads: {runs[-1].cells} cells")
            for name in runs[-1].failed:
                print(f"  failed: {name}", file=sys.stderr)
    if any(each.failed for each in runs) or not all(each.cells for each in runs):
        return None
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "runs": [each[:-1] for each in runs],
        "versions": environments.versions(Path(sys.executable)),
    }


def machine() -> str:
    import torch

    widest = torch.backends.cpu.get_cpu_capability()
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, instruction sets up to {widest}, no GPU in use"


# --- the page --------------------------------------------------------------------------


def requirements() -> list[str]:
    """Return the names of the direct dependencies, in their order.

    Without what takes no part in a run: what builds the pages (its list is a file of its
    own), the formatter of scripts, and the lock's uv.
    """
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [m[0] for line in lines if (m := re.match(r"[A-Za-z][\w-]*", line))]
    return [name for name in names if name not in ("oxfmt", "uv")]


def table(*rows: list[object]) -> str:
    """Return a Markdown table; its first row is the head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    # An error's text, or a test's name, may hold a bar.
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def page(results: dict[str, dict]) -> str:
    """Return the page that tells of the results, by the environments' names."""
    pinned = results.get(PINNED)
    head = ["Environment", "Date", "Python", "PyTorch"]
    head += ["Notebooks to their end", "Tests of the take-home helpers passed"]
    return f"""\
% Made by `make verify` from runs. Do not edit.

# Versions

The notebooks were run from top to bottom in environments as readers have them. In the
book's own, every output must be the one that this book shows. In the others every
notebook must come to its end; where a cell printed something else, it is named below.
Timings are run but not compared. The helpers and the
notebooks run from Python 3.10 on; to build the book takes 3.11.

{table(head, *[_row(name, results) for name in WHAT])}
{_exceptions(results)}{_matrix(pinned) if pinned else ""}
## What was installed

{_installed(results)}
A dash: it was not installed. The versions of all that the book's own environment holds
stand in the file `constraints.txt`.
"""


def _row(name: str, results: dict[str, dict]) -> list[object]:
    """Return an environment's row."""
    result = results.get(name, {"missing": "not run here"})
    what = f"`{name}`: {WHAT[name]}"
    if "missing" in result:
        return [what, "not run", result["missing"], "", "", ""]
    day = datetime.date.fromisoformat(result["date"])
    found = result["versions"]
    row = [what, f"{day.day} {day:%B %Y}", found["Python"], public(found["torch"])]
    if name == PINNED:
        notebooks = len(list((ROOT / "notebooks").glob("*.ipynb")))
        tests = result["runs"][0][3]
        return [*row, f"{notebooks} of {notebooks}", f"{tests} of {tests}"]
    ended = [not each["stopped"] for each in result["notebooks"].values()]
    total, failed = result["tests"]["total"], len(result["tests"]["failed"])
    passed = f"{total - failed} of {total}"
    return [*row, f"{sum(ended)} of {len(ended)}", passed]


def _exceptions(results: dict[str, dict]) -> str:
    """Return what was not as in the book: cells, stopped notebooks, failed tests."""
    rows = []
    for name, result in results.items():
        for stem, seen in result.get("notebooks", {}).items():
            if seen["stopped"]:
                rows.append([f"`{name}`", stem, f"stopped: {seen['stopped']}"])
            elif seen["other"]:
                rows.append([f"`{name}`", stem, ", ".join(map(str, seen["other"]))])
        for test in result.get("tests", {}).get("failed", []):
            rows.append([f"`{name}`", "tests", f"failed: `{test}`"])
    if not rows:
        return ""
    head = ["Environment", "Notebook", "Numbers of the cells"]
    return f"""Cells that printed something else, counted from the top, text included:

{table(head, *rows)}"""


def _matrix(pinned: dict) -> str:
    """Return the section on the runs of the book's own environment."""
    head = [
        "Instruction set",
        "Threads",
        "Cells that passed",
        "Tests of the take-home helpers",
    ]
    rows = [[f"`{name}`", *numbers] for name, *numbers in pinned["runs"]]
    return f"""
## Instruction sets and threads

The book's own environment, on {pinned["machine"]}:

{table(head, *rows)}
The first column is PyTorch's `ATEN_CPU_CAPABILITY`. Other processors and other numbers
of threads add the terms of a sum in another order, so that the last digits of a number
differ. With the settings above the digits printed in this book did not.
"""


def _installed(results: dict[str, dict]) -> str:
    """Return the table of versions, a column for each environment that was run."""
    ran = {name: r["versions"] for name, r in results.items() if "versions" in r}
    names = ["Python", "numpy", "ipykernel", *requirements()]
    rows = [[each, *(public(ran[name].get(each)) for name in ran)] for each in names]
    return table(["Package", *(f"`{name}`" for name in ran)], *rows)


def public(version: str | None) -> str:
    """Return a version without its build: 2.15.0+cu132 is 2.15.0, built for a CUDA."""
    return Version(version).public if version else "–"


# --- all together ----------------------------------------------------------------------


def verify(name: str, named: list[Path]) -> dict | None:
    """Run one environment, and return what the page tells of it.

    Args:
        name: one of :data:`WHAT`.
        named: interpreters to take before those found on this machine.
    """
    print(f"{name}:")
    if name == PINNED:
        return verify_pinned()
    (wanted,) = [each for each in environments.environments() if each.name == name]
    try:
        base = environments.pick(wanted, environments.interpreters(named))
        python = environments.make(wanted, base)
    except environments.NotMade as reason:
        return {"missing": " ".join(str(reason).split())[:300]}
    return environments.verify(wanted, python)


def recorded() -> dict[str, dict]:
    """Return the latest result of each environment, in the page's order."""
    results = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    return {each: results[each] for each in WHAT if each in results}


def keep(name: str, result: dict) -> dict[str, dict]:
    """Store a result; return the latest of each environment.

    An environment that could not be made says nothing of the book: its last run stays.
    """
    results = recorded()
    if "missing" in result and name in results:
        print(f"not made, so its last run stays: {result['missing']}", file=sys.stderr)
    else:
        results[name] = result
        write_whole(RECORD, json.dumps(results, indent=1) + "\n")
    return recorded()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(WHAT)}; default: all")
    parser.add_argument("--python", type=Path, action="append", default=[])
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(WHAT):
        parser.error(f"environments are {', '.join(WHAT)}, got {', '.join(unknown)}")
    good = True
    for name in options.names or WHAT:
        result = verify(name, options.python)
        if result is None:
            print(f"{PAGE.name} is unchanged.", file=sys.stderr)
            return 1
        good &= all(not n["stopped"] for n in result.get("notebooks", {}).values())
        good &= not result.get("tests", {}).get("failed")
        write_whole(PAGE, page(keep(name, result)))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
