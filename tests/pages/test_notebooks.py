"""Every notebook keeps every rule of tests/notebook_rules.py."""

import json
import re

import pytest
from notebook_rules import Chapter, notebooks, problems
from repository import ROOT


def test_toc_lists_every_notebook():
    on_disk = sorted(ROOT.glob("notebooks/*.ipynb"))
    listed = sorted(notebooks())
    assert listed == on_disk, (
        f"in _toc.yml alone: {[p.name for p in listed if p not in on_disk]}; in notebooks/ "
        f"alone: {[p.name for p in on_disk if p not in listed]}. Add or delete their lines "
        "'- file: notebooks/...' in _toc.yml."
    )


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_keeps_the_rules(path):
    found = problems(Chapter.read(path))
    assert not found, "\n".join([f"{path.name}:", *found])


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_file_is_canonical(path):
    import nbformat

    text = path.read_text(encoding="utf-8")
    canonical = nbformat.writes(nbformat.read(path, as_version=4), version=4) + "\n"
    run = f"Run `python tools/run.py notebooks/{path.name}`."
    assert canonical == text, f"{path.name}: not written as `make run` writes it. {run}"
    assert re.fullmatch(r"[a-z][a-z_]*", path.stem), (
        f"{path.name}: name it for its topic, in small letters and underscores."
    )
    known = {"kernelspec", "language_info", "widgets"}
    other = set(json.loads(text)["metadata"]) - known
    assert not other, f"{path.name}: its metadata holds {sorted(other)} too. {run}"
