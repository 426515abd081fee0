"""Every notebook keeps every rule of tests/notebook_rules.py."""

import json
import re

import pytest
from conftest import ROOT
from notebook_rules import Chapter, notebooks, problems


def test_toc_lists_every_notebook():
    on_disk = sorted(ROOT.glob("notebooks/*.ipynb"))
    assert sorted(notebooks()) == on_disk


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_keeps_the_rules(path):
    found = problems(Chapter.read(path))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_file_is_canonical(path):
    import nbformat

    text = path.read_text(encoding="utf-8")
    assert nbformat.writes(nbformat.read(path, as_version=4), version=4) + "\n" == text
    assert re.fullmatch(r"[a-z][a-z_]*", path.stem), "named for the topic, no numbers"
    assert set(json.loads(text)["metadata"]) <= {
        "kernelspec",
        "language_info",
        "widgets",
    }
