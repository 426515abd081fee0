"""What `make` installs, and when: the pages need no PyTorch, and an interruption mends itself."""

import os
import shutil
import stat
import subprocess
import sys

import pytest
from repository import ROOT

# Stands for Python and pip: notes each call, and does what FAIL says.
STUB = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  *-m\\ venv*) rm -rf .venv; mkdir -p .venv/bin
    cp "$0" .venv/bin/python ;;
  *-m\\ pip*"$FAIL_AT"*) [ "$FAIL" = fails ] && exit 1
    [ "$FAIL" = killed ] && kill -9 $PPID && exit 1 ;;
esac
exit 0
"""


@pytest.fixture
def make(tmp_path):
    """Call `make` in a folder of its own; return its exit status and what it called."""
    for name in ("Makefile", "requirements.txt", "requirements-pages.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    names = ("constraints.txt", "pyproject.toml", "_config.yml", "_toc.yml")
    for name in names:
        shutil.copy(ROOT / name, tmp_path / name)
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(STUB)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)

    def call(target, fail="", at="requirements"):
        log.write_text("")
        fakes = {"LOG": str(log), "FAIL": fail, "FAIL_AT": at}
        command = ["make", target, f"PYTHON={python}"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **fakes}, capture_output=True
        )
        calls = log.read_text()
        kinds = {
            "new": "-m venv" in calls,
            "pages": "-r requirements-pages.txt" in calls,
            "all": "-r requirements.txt" in calls,
            "build": "tools/build.py" in calls,
        }
        return done.returncode, [kind for kind, seen in kinds.items() if seen]

    return call


def test_reading_installs_what_builds_the_pages(make):
    assert make("html") == (0, ["new", "pages", "build"])
    assert make("html") == (0, ["build"])
    assert make("lab") == (0, ["all"])
    assert make("lab") == (0, [])
    assert make("html") == (0, ["build"])


def test_first_command_may_be_one_that_needs_all(make):
    assert make("run") == (0, ["new", "pages", "all"])
    assert make("html") == (0, ["build"])


def test_failed_download_is_repeated_and_leaves_the_pages(make):
    code, calls = make("html", "fails")
    assert (code != 0, calls) == (True, ["new", "pages"])
    assert make("html") == (0, ["new", "pages", "build"])
    code, calls = make("lab", "fails")
    assert (code != 0, calls) == (True, ["all"])
    assert make("html") == (0, ["build"])
    assert make("lab") == (0, ["all"])


def test_interrupted_installation_begins_anew(make):
    make("html")
    code, calls = make("lab", "killed", at="requirements.txt")
    assert (code != 0, calls) == (True, ["all"])
    assert make("html") == (0, ["new", "pages", "build"])
    assert make("lab") == (0, ["all"])


def test_building_the_pages_imports_nothing_heavy():
    code = """
import sys
sys.path[:0] = ["tools", "."]
import book_extension, take_home
assert take_home.helpers()
heavy = {"torch", "torchvision", "sklearn", "matplotlib", "anywidget", "thop", "tqdm"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
