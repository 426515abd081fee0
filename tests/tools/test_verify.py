"""tools/verify.py: a page made from a run, or none."""

import datetime
import re

import nbformat
import pytest
import verify
from nbformat.v4 import new_code_cell, new_notebook, new_output
from repository import pins

DATE = datetime.date(2026, 1, 2)
RUNS = [verify.Run("default", 1, 30, ()), verify.Run("avx2", 2, 30, ())]


def versions(text):
    """The second table of the page."""
    rows = re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \|$", text, re.M)
    return {name: number for name, number in rows if name != "Package"}


def test_page_tells_of_each_run():
    text = verify.page(RUNS, DATE)
    assert "On 2 January 2026, all" in text
    assert "| `default` | 1 | 30 |\n| `avx2` | 2 | 30 |\n" in text


def test_page_names_every_direct_dependency():
    found = versions(verify.page(RUNS, DATE))
    assert set(verify.requirements()) | {"Python"} == set(found)
    assert {"torch", "torchvision", "thop", "nbval"} <= set(found)


def test_stored_page_has_the_versions_of_the_constraints():
    found = versions(verify.PAGE.read_text("utf-8"))
    found.pop("Python")
    pinned = pins()
    assert found == {name: pinned[name] for name in found}
    assert set(found) == set(verify.requirements())


def test_stored_page_has_all_cells_in_every_row():
    rows = re.findall(
        r"^\| `(\w+)` \| (\d) \| (\d+) \|$", verify.PAGE.read_text("utf-8"), re.M
    )
    assert {threads for _, threads, _ in rows} == {"1", "2"}
    assert len({cells for *_, cells in rows}) == 1


def test_run_counts_cells_and_names_the_one_that_differs(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    cells = [new_code_cell(source, id=source[:1]) for source in ("1 + 1", "3 + 3")]
    for count, cell in enumerate(cells, 1):
        cell.execution_count = count
        cell.outputs = [
            new_output("execute_result", {"text/plain": "2"}, execution_count=count)
        ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "a.ipynb")
    monkeypatch.setattr(verify, "ROOT", tmp_path)
    seen = verify.run("default", 2)
    assert (seen.cells, len(seen.failed)) == (2, 1)
    assert seen.failed[0].endswith("Cell 1")


@pytest.mark.parametrize(
    "bad",
    [
        verify.Run("avx2", 1, 30, ("notebooks.a.ipynb Cell 3",)),
        verify.Run("avx2", 1, 0, ()),
    ],
    ids=["a cell differs", "nothing ran"],
)
def test_failed_run_changes_nothing(monkeypatch, tmp_path, capsys, bad):
    page = tmp_path / "versions.md"
    page.write_text("old")
    monkeypatch.setattr(verify, "PAGE", page)
    monkeypatch.setattr(verify, "instruction_sets", lambda: ("avx2",))
    monkeypatch.setattr(verify, "run", lambda *_: bad)
    assert verify.main() == 1
    assert page.read_text() == "old"
    error = capsys.readouterr().err
    assert "versions.md is unchanged" in error
    assert all(name in error for name in bad.failed)


def test_widest_instruction_set_comes_last():
    sets = verify.instruction_sets()
    assert sets[0] == "default"
    assert list(sets) == list(verify.INSTRUCTION_SETS[: len(sets)])
