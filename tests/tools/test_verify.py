"""tools/verify.py: a page made from runs, and what is promised because of it."""

import ast
import re
import sys

import environments
import nbformat
import pytest
import verify
from environments import Environment, NotMade
from nbformat.v4 import new_code_cell, new_notebook, new_output
from packaging.requirements import Requirement
from packaging.version import Version
from repository import ROOT, pins

PINNED = {
    "date": "2026-01-02",
    "machine": "Linux",
    "runs": [["default", 1, 30, 9], ["avx2", 2, 30, 9]],
    "versions": {"Python": "3.11.7", "torch": "2.15.0+cu132", "nbval": "0.11.0"},
}
OLDEST = {
    "date": "2026-01-03",
    "notebooks": {
        "apex": {"stopped": "", "other": [4, 9]},
        "k_fold": {"stopped": "cell 3: ValueError: a|b", "other": []},
        "softmax_dim": {"stopped": "", "other": []},
    },
    "tests": {"total": 9, "failed": ["tests.take_home.test_a test_b"]},
    "versions": {"Python": "3.10.1", "torch": "2.6.0"},
}
RESULTS = {"pinned": PINNED, "oldest": OLDEST, "colab": {"missing": "no Python 3.12"}}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def column(text, name):
    """One environment's versions, from the last table of a page."""
    head, _, *rows = [
        cells(line)
        for line in text.partition("## What was installed")[2].splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row[head.index(f"`{name}`")] for row in rows}


# --- the page ------------------------------------------------------------------------


def test_page_tells_of_each_environment():
    text = verify.page(RESULTS)
    assert "| 2 January 2026 | 3.11.7 | 2.15.0 | 14 of 14 | 9 of 9 |\n" in text
    assert "| 3 January 2026 | 3.10.1 | 2.6.0 | 2 of 3 | 8 of 9 |\n" in text
    assert "| not run | no Python 3.12 |" in text
    assert "| not run | not run here |" in text


def test_page_tells_of_each_run_and_of_all_that_differs():
    text = verify.page(RESULTS)
    assert "| `default` | 1 | 30 | 9 |\n| `avx2` | 2 | 30 | 9 |\n" in text
    assert "| `oldest` | apex | 4, 9 |\n" in text
    assert "| `oldest` | k_fold | stopped: cell 3: ValueError: a\\|b |\n" in text
    assert "| `oldest` | tests | failed: `tests.take_home.test_a test_b` |\n" in text
    assert "softmax_dim" not in text


def test_page_names_every_direct_dependency():
    found = column(verify.page(RESULTS), "pinned")
    assert set(verify.requirements()) <= set(found)
    assert {"torch", "torchvision", "thop", "nbval", "Python"} <= set(found)
    assert (found["torch"], found["thop"]) == ("2.15.0", "–")


# --- what the stored page and the promises say of one another ------------------------

STORED = verify.PAGE.read_text("utf-8")
PROJECT = environments.PROJECT["project"]


def test_stored_page_is_made_from_the_stored_record():
    assert verify.page(verify.recorded()) == STORED


def test_stored_page_has_the_versions_of_the_constraints():
    found, pinned = column(STORED, "pinned"), pins()
    found.pop("Python")
    assert found == {name: pinned[name] for name in found}


def test_stored_page_has_all_cells_in_every_row():
    rows = re.findall(r"^\| `(\w+)` \| (\d) \| (\d+) \| (\d+) \|$", STORED, re.M)
    assert {threads for _, threads, _, _ in rows} == {"1", "2"}
    assert len({(cells, tests) for *_, cells, tests in rows}) == 1


def test_oldest_environment_has_the_oldest_versions_that_are_promised():
    found = column(STORED, "oldest")
    assert f">={found['Python']}".startswith(PROJECT["requires-python"])
    for line in PROJECT["optional-dependencies"]["all"][1:]:
        wanted = Requirement(line)
        (floor,) = wanted.specifier
        assert Version(found[wanted.name]) in wanted.specifier
        assert found[wanted.name].startswith(floor.version), line


def test_readme_promises_what_was_run():
    rows = [cells(x) for x in STORED.splitlines() if re.match(r"\| `\w+`:", x)]
    ran = [row for row in rows if row[1] != "not run"]
    pythons, torches = ({Version(row[i]) for row in ran} for i in (2, 3))
    text = (
        f"Python {short(min(pythons))} to {short(max(pythons))} and "
        f"PyTorch {short(min(torches))} to {short(max(torches))}"
    )
    assert text in (ROOT / "README.md").read_text("utf-8")


def short(version):
    return f"{version.major}.{version.minor}"


# Of the standard library, what came after Python 3.10; ast sees the newer syntax.
NEWER = {
    "contextlib.chdir",
    "datetime.UTC",
    "enum.StrEnum",
    "itertools.batched",
    "tomllib",
    "typing.LiteralString",
    "typing.Never",
    "typing.NotRequired",
    "typing.Self",
    "typing.Unpack",
    "typing.assert_never",
    "typing.override",
}


@pytest.mark.parametrize("folder", ["helpers", "tests/take_home"])
def test_code_is_written_for_the_oldest_python(folder):
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert environments.PROJECT["tool"]["ruff"]["target-version"] == (
        f"py{oldest.replace('.', '')}"
    )
    minor = int(oldest.split(".")[1])
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"), feature_version=(3, minor))
        assert not names(tree) & NEWER, f"{path}: {names(tree) & NEWER}"


def names(tree):
    """Return what a module imports and what it takes from a module: ``typing.Self``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return found


def test_take_home_modules_import_only_what_is_promised():
    extras = PROJECT["optional-dependencies"]
    promised = {Requirement(x).name for x in (*extras["notebooks"], *extras["all"][1:])}
    promised = {name.replace("scikit-learn", "sklearn") for name in promised}
    paths = [
        *(ROOT / "helpers").glob("*.py"),
        *(ROOT / "helpers/checkpoints").glob("*"),
    ]
    for path in [p for p in paths if p.suffix == ".py"]:
        roots = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for name in imported(node)
        }
        foreign = roots - sys.stdlib_module_names - promised - {"helpers"}
        assert not foreign, f"{path.name} imports {foreign}"


def imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) else []


# --- the book's own environment ------------------------------------------------------


def test_run_counts_cells_and_tests_and_names_the_one_that_differs(
    monkeypatch, tmp_path
):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tests" / "take_home").mkdir(parents=True)
    (tmp_path / "tests/take_home/test_a.py").write_text("def test_b(): pass")
    sources = [new_code_cell(source, id=source[:1]) for source in ("1 + 1", "3 + 3")]
    for count, cell in enumerate(sources, 1):
        cell.execution_count = count
        cell.outputs = [
            new_output("execute_result", {"text/plain": "2"}, execution_count=count)
        ]
    nbformat.write(new_notebook(cells=sources), tmp_path / "notebooks" / "a.ipynb")
    monkeypatch.setattr(verify, "ROOT", tmp_path)
    seen = verify.run("default", 2)
    assert (seen.cells, seen.tests, len(seen.failed)) == (2, 1, 1)
    assert seen.failed[0].endswith("Cell 1")


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The page and the results in an empty folder."""
    page = tmp_path / "versions.md"
    page.write_text("old")
    monkeypatch.setattr(verify, "PAGE", page)
    monkeypatch.setattr(verify, "ROOT", tmp_path)
    monkeypatch.setattr(verify, "RECORD", tmp_path / "environments.json")
    monkeypatch.setattr(verify, "requirements", lambda: ["torch"])
    return page


@pytest.mark.parametrize(
    "bad",
    [
        verify.Run("avx2", 1, 30, 9, ("notebooks.a.ipynb Cell 3",)),
        verify.Run("avx2", 1, 0, 9, ()),
    ],
    ids=["a cell differs", "nothing ran"],
)
def test_failed_run_changes_nothing(monkeypatch, kept, capsys, bad):
    monkeypatch.setattr(verify, "instruction_sets", lambda: ("avx2",))
    monkeypatch.setattr(verify, "run", lambda *_: bad)
    assert verify.main(["pinned"]) == 1
    assert kept.read_text() == "old"
    error = capsys.readouterr().err
    assert "versions.md is unchanged" in error
    assert all(name in error for name in bad.failed)


def test_widest_instruction_set_comes_last():
    sets = verify.instruction_sets()
    assert sets[0] == "default"
    assert list(sets) == list(verify.INSTRUCTION_SETS[: len(sets)])


# --- the others ----------------------------------------------------------------------


def test_one_environment_leaves_what_the_page_says_of_others(monkeypatch, kept):
    verify.keep("oldest", OLDEST | {"notebooks": {}})
    monkeypatch.setattr(verify, "verify", lambda name, _: {"missing": "no Python"})
    assert verify.main(["colab"]) == 0
    assert "| 3 January 2026 | 3.10.1 |" in kept.read_text()
    assert "| not run | no Python |" in kept.read_text()
    assert verify.main(["oldest"]) == 0, "not made this time, and run before"
    assert "| 3 January 2026 | 3.10.1 |" in kept.read_text()
    monkeypatch.setattr(verify, "verify", lambda *_: OLDEST)
    assert verify.main(["oldest"]) == 1, "a notebook stopped"
    assert "stopped: cell 3" in kept.read_text()


def test_unknown_environment_is_refused(kept, capsys):
    with pytest.raises(SystemExit):
        verify.main(["windows"])
    assert "environments are pinned, oldest, colab, newest, got windows" in (
        capsys.readouterr().err
    )


def interpreter(path, version):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_interpreters_are_found_by_option_in_pyenv_and_on_the_path(
    monkeypatch, tmp_path
):
    named = interpreter(tmp_path / "mine", "3.12")
    ours = interpreter(tmp_path / "pyenv/versions/3.10.1/bin/python", "3.10")
    theirs = interpreter(tmp_path / "bin/python3.9", "3.9")
    interpreter(tmp_path / "bin/python3.10", "3.10")  # pyenv's comes first
    interpreter(tmp_path / "bin/python3.9-config", "3.8")
    (tmp_path / "bin/python3.14").write_text("does not run")
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + ":/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    found = environments.interpreters([named])
    assert [found[each] for each in ("3.9", "3.10", "3.12")] == [theirs, ours, named]
    assert list(found) == sorted(found, key=Version)
    assert "3.14" not in found


def test_missing_interpreter_is_said():
    oldest, _, newest = environments.environments()
    pythons = {"3.9": "a", f"3.{sys.version_info.minor}": "b"}
    with pytest.raises(NotMade, match=r"^no Python 3\.10 was found$"):
        environments.pick(oldest, pythons)
    with pytest.raises(NotMade, match=r"^no Python newer than 3\.\d+ was found$"):
        environments.pick(newest, pythons)
    pythons |= {"3.98": "c", "3.99": "d"}
    assert environments.pick(newest, pythons) == "d"


def test_environment_is_made_once_for_the_same_requirements(monkeypatch, tmp_path):
    calls = []

    def uv(*arguments):
        calls.append(arguments)
        (tmp_path / "a" / "share").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environments, "WORK", tmp_path)
    monkeypatch.setattr(environments, "uv", uv)
    for requirements, made in ((("x",), 3), (("x",), 3), (("y",), 6)):
        wanted = Environment("a", "3.10", requirements, "lowest-direct")
        assert environments.make(wanted, "python") == tmp_path / "a/bin/python"
        assert len(calls) == made
    assert "lowest-direct" in calls[1]
    assert "lowest-direct" not in calls[2], "the tools that prove it are today's"


def test_what_cannot_be_installed_is_said(tmp_path):
    with pytest.raises(NotMade, match=r"uv venv: .*no-such-python"):
        environments.uv("venv", "--python", "/no-such-python", tmp_path / "a")


def test_cells_that_print_something_else_are_counted_from_the_top():
    def notebook(number, *, tags=(), width=1):
        printed = [
            new_output("stream", text=f"{number}\n"),
            new_output("display_data", {"text/plain": "<Figure>", "image/png": number}),
        ]
        timing = new_code_cell("t", outputs=[new_output("stream", text=number)])
        timing.metadata.tags = ["timing", "nbval-ignore-output"]
        view = {"text/plain": f"Widget({number})", environments.VIEW: {}}
        widget = new_code_cell("w", outputs=[new_output("display_data", view)])
        same = new_code_cell("s", outputs=[new_output("stream", text="same")])
        cell = new_code_cell("c", outputs=printed[:width] + printed[1:])
        return new_notebook(cells=[timing, same, widget, cell])

    assert environments.other_cells(notebook("1"), notebook("1")) == []
    assert environments.other_cells(notebook("1"), notebook("2")) == [4]


def test_versions_are_those_of_the_interpreter():
    found = environments.versions(sys.executable)
    assert found["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"].startswith(pins()["torch"])
