"""Score every page of the built book with Lighthouse, as a phone on a slow network sees it.

Lighthouse comes from npm: ``npm install --prefix .venv/lighthouse lighthouse@12``. Then
``make html`` and ``.venv/bin/python benchmarks/lighthouse.py``: five runs of each page
take half an hour. Leave the machine alone meanwhile, since it measures this machine too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import browser
import contents
from serving import Quiet, served

COMMAND = contents.ROOT / ".venv/lighthouse/node_modules/.bin/lighthouse"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
AUDITS = {
    "first-contentful-paint": "paint ms",
    "cumulative-layout-shift": "CLS",
    "total-byte-weight": "KB",
}


class Compressed(Quiet):
    """Serves texts in gzip, as a web server does."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(path)
        if not path.is_file() or not kind.startswith(
            ("text/", "application/j", "image/svg")
        ):
            return super().do_GET()
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        for header, value in {
            "Content-Type": kind,
            "Content-Encoding": "gzip",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)


def measure(address: str) -> dict[str, float]:
    """Return a page's scores of 100, and its first paint, layout shift and weight."""
    flags = "--headless=new --no-sandbox --disable-gpu --disable-background-networking"
    options = ["--quiet", "--output=json", f"--chrome-flags={flags}"]
    done = subprocess.run(
        [COMMAND, address, *options],
        env=os.environ | {"CHROME_PATH": str(browser.find())},
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    found = {c: round(report["categories"][c]["score"] * 100) for c in CATEGORIES}
    for audit, name in AUDITS.items():
        found[name] = report["audits"][audit]["numericValue"]
    return found | {"KB": found["KB"] / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=contents.pages(), metavar="PAGE")
    parser.add_argument("--runs", type=int, default=5)
    wanted = parser.parse_args()
    if not COMMAND.exists():
        sys.exit("npm install --prefix .venv/lighthouse lighthouse@12, and again.")
    with served(contents.ROOT / "_build/html", Compressed) as address:
        for page in tqdm(wanted.pages, unit="page"):
            runs = [measure(f"{address}{page}.html") for _ in range(wanted.runs)]
            medians = {k: statistics.median(run[k] for run in runs) for k in runs[0]}
            shown = "  ".join(f"{k} {medians[k]:.4g}" for k in medians)
            tqdm.write(f"{page:34} {shown}")


if __name__ == "__main__":
    main()
