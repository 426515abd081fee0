"""Notebooks run on one thread, whichever way they are called, unless the caller says how many."""

import shutil
import subprocess
import sys

import nbformat
import pytest
import run
from nbformat.v4 import new_code_cell, new_notebook, new_output
from repository import ROOT

SOURCE = "import os\nprint(os.environ['OMP_NUM_THREADS'])"
CALLERS = pytest.mark.parametrize(("asked", "used"), [(None, "1"), ("3", "3")])


def store(folder, threads):
    """Store a notebook whose last run had so many threads."""
    output = new_output("stream", name="stdout", text=f"{threads}\n")
    cell = new_code_cell(SOURCE, id="a", execution_count=1, outputs=[output])
    nbformat.write(new_notebook(cells=[cell]), folder / "threads.ipynb")
    return folder / "threads.ipynb"


def ask(monkeypatch, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)


@CALLERS
def test_pytest_runs_a_notebook(tmp_path, monkeypatch, asked, used):
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "notebooks").mkdir()
    store(tmp_path / "notebooks", used)
    ask(monkeypatch, asked)
    command = [sys.executable, "-m", "pytest", "-n", "0", "notebooks/threads.ipynb"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@CALLERS
def test_run_stores_a_notebook(tmp_path, monkeypatch, asked, used):
    path = store(tmp_path, "?")
    ask(monkeypatch, asked)
    assert run.main([str(path)]) == 0
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == f"{used}\n"
