"""The small tools: address, browser, versions, make's commands."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import browser
import pytest
import set_address
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from repository import ROOT, copy_product, pins

NEW = "https://github.com/" + "someone/a-book"  # in two, so that no file holds it


@pytest.fixture
def copy(tmp_path):
    """The product's files in a repository of their own."""
    copy_product(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def places(root, address):
    """How often an address stands in each file."""
    counts = {p: p.read_text("utf-8").count(address) for p in set_address.files(root)}
    return {path.relative_to(root): count for path, count in counts.items() if count}


def test_new_address_replaces_every_old_one(copy):
    old = set_address.current(copy)
    before = places(copy, old)
    changed = set_address.set_address(copy, NEW)
    assert places(copy, old) == {}
    assert places(copy, NEW) == before
    assert sorted(path.relative_to(copy) for path in changed) == sorted(before)
    assert set_address.current(copy) == NEW


def test_new_address_reaches_all_kinds_of_places(copy):
    names = {str(path) for path in places(copy, set_address.current(copy))}
    assert {"_config.yml", "pyproject.toml", "README.md"} <= names
    assert {
        f"notebooks/{p.name}" for p in (ROOT / "notebooks").glob("*.ipynb")
    } <= names


def test_there_and_back_changes_no_byte(copy):
    before = {p: p.read_bytes() for p in set_address.files(copy)}
    old = set_address.current(copy)
    set_address.set_address(copy, NEW)
    set_address.set_address(copy, old)
    assert {p: p.read_bytes() for p in set_address.files(copy)} == before


def test_longer_address_that_begins_alike_is_left_alone(copy):
    old = set_address.current(copy)
    (copy / "other.md").write_text(f"{old}-fork and {old}.")
    set_address.set_address(copy, NEW)
    assert (copy / "other.md").read_text() == f"{old}-fork and {NEW}."


def test_branch_of_the_links_is_another_one_and_set_up_cells_stay(copy):
    before = {p: p.read_text("utf-8") for p in set_address.files(copy)}
    old = set_address.branch(copy)
    set_address.set_branch(copy, "published")
    assert set_address.branch(copy) == "published"
    changed = [p.name for p in before if p.read_text("utf-8") != before[p]]
    assert changed == ["_config.yml"]
    set_address.set_branch(copy, old)
    assert {p: p.read_text("utf-8") for p in before} == before


@pytest.mark.parametrize(
    "address",
    ["", "github.com/a/b", "http://github.com/a/b", NEW + "/", NEW + ".git", "a b"],
)
def test_bad_address_is_named_and_changes_nothing(copy, address):
    before = {p: p.read_bytes() for p in set_address.files(copy)}
    with pytest.raises(
        ValueError, match=rf"new must look like .*got {re.escape(repr(address))}"
    ):
        set_address.set_address(copy, address)
    assert {p: p.read_bytes() for p in set_address.files(copy)} == before


def test_address_is_one_that_colab_can_open():
    address = set_address.current(ROOT)
    assert re.fullmatch(r"https://github\.com/[\w-]+/[\w.-]+", address)


def test_no_other_address_of_the_book_is_left():
    """Whatever ends in the repository's name is the repository's address."""
    address = set_address.current(ROOT)
    name = address.rsplit("/", 1)[1]
    for path in set_address.files(ROOT):
        if path.parent.name != "tests":
            found = re.findall(rf"https://[\w./-]*/{name}\b", path.read_text("utf-8"))
            assert set(found) <= {address}, path


def test_system_browser_comes_before_playwrights(monkeypatch, tmp_path):
    real = tmp_path / "google-chrome"
    real.touch()
    monkeypatch.setattr(browser.shutil, "which", {"google-chrome": str(real)}.get)
    monkeypatch.setattr(browser, "PLACES", ())
    assert browser.find() == str(real)


def test_no_browser_at_all_fails_and_says_how_to_get_one(monkeypatch, capsys):
    monkeypatch.setattr(browser, "find", lambda: None)
    monkeypatch.setattr(sys, "argv", ["browser.py"])
    assert browser.main() == 1
    assert "apt-get install chromium" in capsys.readouterr().err


def test_failed_download_is_reported_and_the_next_way_tried(monkeypatch, capsys):
    tried = []

    def fail(command, **_):
        tried.append(command[0])
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(browser, "find", lambda: None)
    monkeypatch.setattr(browser.subprocess, "run", fail)
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0)
    browser.install()
    assert tried == [sys.executable, "apt-get"]
    assert capsys.readouterr().err.count("That did not work") == 2


def test_book_is_served_on_this_machine_only():
    """The same command in the Makefile and on the pages, for those without make."""
    command = "python -m http.server -b 127.0.0.1 -d _build/html"
    dry = subprocess.run(
        ["make", "-n", "book", "PORT="], cwd=ROOT, capture_output=True, text=True
    )
    assert command in " ".join(dry.stdout.split())
    for page in ("README.md", "book/how_to.md"):
        assert command in (ROOT / page).read_text("utf-8"), page


def requirements():
    """The direct dependencies, as the three lists of requirements have them."""
    parts = ("", "-pages", "-workshop")
    files = [f"requirements{part}.txt" for part in parts]
    lines = [x for name in files for x in (ROOT / name).read_text("utf-8").splitlines()]
    return [Requirement(line.split(" #")[0]) for line in lines if line[:1].isalpha()]


def test_requirements_are_pinned_once():
    """Each direct dependency is among the constraints, with the same version."""
    pinned = pins()
    for each in requirements():
        name = canonicalize_name(each.name)
        assert each.specifier.contains(pinned[name]), name


def test_constraints_hold_versions_alone():
    """No address, path, extra or hash; what Windows and macOS need is there too."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [\w .'<>=!()]+)?", line), line
    names = {line.split("==")[0] for line in lines}
    assert {"appnope", "colorama", "pywinpty"} <= names


def test_this_environment_keeps_the_constraints():
    """They may hold more: CUDA's libraries, which the CPU build of PyTorch lacks."""
    # A build such as 2.15.0+cpu satisfies the line too.
    # Here alone: setuptools puts packages of its own on the path when it is imported.
    here = distributions(path=[sysconfig.get_path("purelib")])
    installed = {
        canonicalize_name(each.name): Version(each.version).public for each in here
    }
    for name in ("pip", "measured-pytorch"):  # venv's, and this folder's
        installed.pop(name, None)
    assert installed.items() - pins().items() == set()


@pytest.mark.parametrize(
    "command",
    ["ruff format --check --no-cache", "ruff check --no-cache", "oxfmt --check"],
)
def test_code_is_formatted_and_sound(command):
    name, *options = command.split()
    tool = Path(sys.executable).with_name(name)
    result = subprocess.run([tool, *options], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_line_of_a_script_or_style_sheet_is_longer_than_the_formatters():
    """The formatter leaves a long string or comment as it is."""
    width = json.loads((ROOT / ".oxfmtrc.json").read_text())["printWidth"]
    ours = [p for p in set_address.files(ROOT) if "reveal" not in p.parts]
    scripts = [p for p in ours if p.suffix in (".js", ".css")]
    lines = {p.relative_to(ROOT): p.read_text("utf-8").splitlines() for p in scripts}
    assert len(lines) > 30
    assert [
        (str(path), n)
        for path in lines
        for n, line in enumerate(lines[path], 1)
        if len(line) > width
    ] == []


def test_every_make_target_is_explained():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"\.PHONY: (.*)", text)[1].split()) - {"browser"}
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.M)) == targets


def test_published_book_is_proven_first():
    """The workflow's commands exist, in an order that proves before it publishes."""
    text = (ROOT / ".github" / "workflows" / "book.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["needs"] == ["test", "workshop"]
    assert jobs["branches"]["needs"] == ["test", "workshop"]
    (kit,) = [step["run"] for step in jobs["workshop"]["steps"] if "run" in step]
    assert kit == "make workshop-test"
    proof, build = [step["run"] for step in jobs["test"]["steps"] if "run" in step]
    assert os.access(ROOT / proof, os.X_OK)
    dry = subprocess.run(
        ["make", "-nB", *shlex.split(os.path.expandvars(build))[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert re.search(r"set_address.py .* published\n", dry.stdout)
    assert "python tools/build.py\n" in dry.stdout
    made = [step["run"] for step in jobs["branches"]["steps"] if "run" in step]
    assert re.findall(r"publish\.py (.+)", made[-1]) == [
        "published .",
        "workshop _workshop/student",
    ]
