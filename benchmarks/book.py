"""Measure what the book promises: import, build, notebooks, page load. Prints, asserts nothing."""

from __future__ import annotations

import asyncio
import gzip
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import browser
import image_statistics
import run
from serving import served

ROOT = Path(__file__).parents[1]


def seconds(task) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def import_ms(statement: str) -> float:
    """Median time of an import statement in five fresh interpreters, torch loaded before."""
    code = (
        "import torch, time; t = time.perf_counter(); "
        f"{statement}; print((time.perf_counter() - t) * 1e3)"
    )
    times = [
        float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5)
    ]
    return statistics.median(times)


def build(output: str) -> None:
    command = [sys.executable, ROOT / "tools/build.py", "--output", output]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def load(chromium: Browser, address: str) -> tuple[float, float]:
    """Return a page's first-load weight in MB (gzip) and the ms until its widgets are ready."""
    page = chromium.new_page()
    bodies: dict[str, bytes] = {}
    page.on("response", lambda r: bodies.update({r.url: r.body()}))
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_function(
        "[...document.querySelectorAll('.mp-view')].every((v) => 'ready' in v.dataset)"
    )
    ready_ms = (time.perf_counter() - start) * 1e3
    page.wait_for_load_state("networkidle")
    page.close()
    return sum(len(gzip.compress(b)) for b in bodies.values()) / 1e6, ready_ms


def main() -> None:
    # As in `make run` and `make test`.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"import helpers, on top of torch: {import_ms('import helpers'):.1f} ms")
    image_statistics.main()
    executable = browser.find()
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in notebooks:
        print(
            f"{path.stem}: runs in {seconds(lambda p=path: asyncio.run(run.execute(p))):.1f} s"
        )
    with tempfile.TemporaryDirectory() as output:
        print(f"build from stored outputs: {seconds(lambda: build(output)):.1f} s")
        with (
            served(Path(output) / "_build" / "html") as address,
            sync_playwright() as playwright,
        ):
            chromium = playwright.chromium.launch(executable_path=executable)
            for path in notebooks:
                page = f"{address}notebooks/{path.stem}.html"
                weight_mb, ready_ms = load(chromium, page)
                print(
                    f"{path.stem}: {weight_mb:.2f} MB, widgets ready in {ready_ms:.0f} ms"
                )
            chromium.close()


if __name__ == "__main__":
    main()
