"""tools/run.py: the same bytes twice, and a failure that loses nothing."""

import json
import os
import shutil

import nbformat
import pytest
import run
from nbformat.v4 import new_code_cell, new_notebook
from notebook_rules import notebooks


def notebook(path, *sources, tags=()):
    cells = [
        new_code_cell(source, id=f"cell-{n}", metadata={"tags": list(tags)})
        for n, source in enumerate(sources)
    ]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_second_run_changes_no_byte(tmp_path):
    path = tmp_path / notebooks()[0].name
    shutil.copy(notebooks()[0], path)
    assert run.main([str(path)]) == 0
    first = path.read_bytes()
    assert run.main([str(path)]) == 0
    assert path.read_bytes() == first
    # And it is what is stored, but for the pictures' last digits on another machine.
    stored = json.loads(notebooks()[0].read_text())
    ours = json.loads(first)
    assert ours["metadata"] == stored["metadata"]


def test_failing_cell_is_named_and_the_old_file_stays(tmp_path, capsys):
    path = notebook(tmp_path / "bad.ipynb", "x = 1", "1 / 0", "x")
    good = notebook(tmp_path / "good.ipynb", "1 + 1")
    before = path.read_bytes()
    assert run.main([str(path), str(good)]) == 1
    error = capsys.readouterr().err
    assert f"failed {path}: cell 2: ZeroDivisionError: division by zero" in error
    assert path.read_bytes() == before
    assert json.loads(good.read_text())["cells"][0]["execution_count"] == 1


def test_dying_kernel_is_named(tmp_path, capsys):
    path = notebook(tmp_path / "bad.ipynb", "import os", "os._exit(1)")
    before = path.read_bytes()
    assert run.main([str(path)]) == 1
    assert f"failed {path}: cell 2: DeadKernelError" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_file_that_is_no_notebook_is_named(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    path.write_text("{")
    assert run.main([str(path)]) == 1
    assert f"failed {path}: not a readable notebook" in capsys.readouterr().err


def test_expected_error_is_stored_in_one_line(tmp_path):
    path = notebook(tmp_path / "trap.ipynb", "int('a')", tags=["raises-exception"])
    assert run.main([str(path)]) == 0
    (output,) = json.loads(path.read_text())["cells"][0]["outputs"]
    assert output["traceback"] == [f"ValueError: {output['evalue']}"]


def test_widget_that_is_not_shown_is_not_stored(tmp_path):
    source = "from helpers.widgets import BceExplorer\nBceExplorer()\nBceExplorer()"
    path = notebook(tmp_path / "two.ipynb", source)
    assert run.main([str(path)]) == 0
    models = json.loads(path.read_text())["metadata"]["widgets"][run.STATE_MIME][
        "state"
    ]
    assert sorted(m["model_name"] for m in models.values()) == [
        "AnyModel",
        "LayoutModel",
    ]


def test_hidden_cell_is_folded_everywhere(tmp_path):
    path = notebook(tmp_path / "a.ipynb", "# @title Solution\n1", tags=["hide-cell"])
    assert run.main([str(path)]) == 0
    metadata = json.loads(path.read_text())["cells"][0]["metadata"]
    assert metadata["jupyter"] == {"source_hidden": True}
    assert metadata["cellView"] == "form"
    assert metadata["mystnb"]["code_prompt_show"] == "Solution: show"


def test_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.write_whole(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
