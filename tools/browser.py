"""Find a Chromium or Chrome for the tests, or get one.

    python tools/browser.py             # print its path
    python tools/browser.py --install   # get one if there is none

Order: one of this system, Playwright's own, Debian's (as root).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
HELP = (
    "No Chromium or Chrome found, and none could be installed. Install one: "
    "`apt-get install chromium` on Debian or Ubuntu, "
    "https://www.google.com/chrome elsewhere, "
    "or `.venv/bin/python -m playwright install chromium`."
)


def find() -> str | None:
    """Return the path of a browser of this system or of Playwright's, if any."""
    for path in (*map(shutil.which, NAMES), *PLACES):
        if path and Path(path).exists():
            return path
    own = _playwrights_own()
    return own if Path(own).exists() else None


def _playwrights_own() -> str:
    """Return where Playwright puts its Chromium, whether it is there or not."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def install() -> None:
    """Try Playwright's own download, then Debian's package; report each failure."""
    commands = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        commands.append(
            [
                ["apt-get", "update", "-q"],
                ["apt-get", "install", "-y", "-q", "chromium"],
            ]
        )
    for steps in commands:
        for command in steps:
            print("Getting a browser:", " ".join(command), flush=True)
            try:
                subprocess.run(command, check=True, timeout=600)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                print(f"That did not work: {error}", file=sys.stderr)
                break
        if find():
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="get one if need be")
    if parser.parse_args().install and not find():
        install()
    path = find()
    print(path or HELP, file=sys.stdout if path else sys.stderr)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
