"""tools/run.py: the same bytes twice, and a failure that loses nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
import run
from nbformat.v4 import new_code_cell, new_notebook
from notebook_rules import notebooks
from whole_file import write_whole


def notebook(path, *sources, tags=()):
    cells = [
        new_code_cell(source, id=f"cell-{n}", metadata={"tags": list(tags)})
        for n, source in enumerate(sources)
    ]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_another_run_changes_no_byte(tmp_path):
    original = notebooks()[1]  # the quickest to run
    path = tmp_path / original.name
    shutil.copy(original, path)
    assert run.main([str(path)]) == 0
    assert without_pictures(path) == without_pictures(original)


def without_pictures(path):
    """A notebook's lines but for its PNGs, whose last digits are a machine's own."""
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text("utf-8"))
    return text.splitlines()  # so that a failure shows the line


def test_pictures_are_the_same_in_each_run(tmp_path):
    draw = "from helpers import start\nfrom helpers.notebook import plots\nstart()\n"
    draw += 'figure, (ax,) = plots.panels(["a"])\nax.plot([1, 2])\n'
    draw += (
        'plots.show(figure, alt="A line that rises from 1 to 2, drawn for this test.")'
    )
    paths = [notebook(tmp_path / f"{name}.ipynb", draw) for name in "ab"]
    assert run.main([str(path) for path in paths]) == 0
    first, second = (path.read_bytes() for path in paths)
    assert b"image/png" in first
    assert first == second


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
    source = "from helpers.chapters.bce_and_logits import BceExplorer\nBceExplorer()\nBceExplorer()"
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


def test_output_of_a_solution_is_hidden_too(tmp_path):
    """In JupyterLab; what does not know its key follows the older one, ``collapsed``."""
    tags = ["solution", "hide-cell"]
    path = notebook(tmp_path / "a.ipynb", "# @title Solution\n1", tags=tags)
    assert run.main([str(path)]) == 0
    metadata = json.loads(path.read_text())["cells"][0]["metadata"]
    assert metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
    assert metadata["collapsed"] is True


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interrupted_run_changes_nothing_and_stops_its_kernels(tmp_path, name):
    mark = tmp_path / "kernel"
    source = f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))"
    path = notebook(tmp_path / "slow.ipynb", source, "time.sleep(60)")
    before = path.read_bytes()
    command = [sys.executable, run.__file__, str(path)]
    # tests may have been started in the background, where a shell ignores SIGINT
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not mark.exists() or not mark.read_text():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        assert "interrupted" in process.stderr.read()
    assert process.returncode == 130
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kernel", "slow.ipynb"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_failed_write_leaves_no_other_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_copied_cell_loses_what_its_tags_no_longer_say(tmp_path):
    path = notebook(tmp_path / "a.ipynb", "1")
    copied = nbformat.read(path, as_version=4)
    copied.cells[0].metadata.update(cellView="form", jupyter={"source_hidden": True})
    nbformat.write(copied, path)
    assert run.main([str(path)]) == 0
    assert json.loads(path.read_text())["cells"][0]["metadata"] == {"tags": []}


def test_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
