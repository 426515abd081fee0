"""The learners' notebooks hold no answer, and run from top to bottom."""

import ast
import subprocess
import sys
from pathlib import Path

import contents
import nbclient
import nbformat
import pytest
import student
from repository import ROOT

CHAPTERS = [path.stem for path in contents.notebooks()]
QUICK = "softmax_dim"


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    """The folder of all student copies."""
    folder = tmp_path_factory.mktemp("workshop") / "student"
    student.write(folder, contents.notebooks())
    return folder


def sentences(stem):
    """Return what a chapter's checks say: praise, hints and the like, in whole sentences."""
    tree = ast.parse((ROOT / f"helpers/chapters/{stem}/check.py").read_text("utf-8"))
    named = {"prompt"}  # a box's question stands in the prose too
    asked = [k.value for k in ast.walk(tree) if getattr(k, "arg", "") in named]
    skip = {id(node) for value in asked for node in ast.walk(value)}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            skip.add(id(body[0].value))  # a docstring
    return [
        node.value.strip()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value.split()) >= 4
        and node.value.rstrip()[-1] in ".?!"
        and id(node) not in skip
    ]


@pytest.mark.parametrize("stem", CHAPTERS)
def test_copy_holds_no_answer_and_all_the_rest(copies, stem):
    path = copies / "notebooks" / f"{stem}.ipynb"
    original = nbformat.read(ROOT / "notebooks" / path.name, as_version=4)
    copy = nbformat.read(path, as_version=4)
    kept = [c for c in original.cells if "solution" not in c.metadata.get("tags", [])]
    assert [c.id for c in copy.cells] == [c.id for c in kept]
    assert len(original.cells) - len(kept) >= 2
    assert "widgets" not in copy.metadata
    for cell, before in zip(copy.cells, kept, strict=True):
        if cell.cell_type == "code":
            assert (cell.source, cell.outputs) == (before.source, [])
            assert cell.execution_count is None
        else:
            plain = student.LINK.sub(r"\1", before.source)
            assert student.LINK.sub(r"\1", cell.source) == plain
    text = path.read_text("utf-8")
    assert '"answer"' not in text
    assert [
        s for s in sentences(stem) if s in "\n".join(c.source for c in copy.cells)
    ] == []


def test_sentences_of_checks_are_found():
    assert "that is sigmoid(2), with the weight still in it." in sentences(
        "bce_and_logits"
    )


def test_no_later_cell_needs_a_name_that_only_a_solution_defines(copies):
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", "--isolated", "--select", "F821", copies]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_every_link_leads_somewhere(copies):
    for path in (copies / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for link in student.LINK.finditer(cell.source):
                target = copies / "notebooks" / f"{link[2]}.{link[3]}"
                assert target.exists(), (path.name, link[0])


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "See [logit](../book/glossary.md#logit), apex and [a](a.ipynb)."),
        (
            "https://me.github.io/b/",
            "See [logit](../book/glossary.md#logit), "
            "[apex](https://me.github.io/b/notebooks/apex.html#traps) and [a](a.ipynb).",
        ),
    ],
)
def test_links_to_what_is_not_there_lead_to_the_published_book(address, text):
    source = "See [logit](../book/glossary.md#logit), [apex](apex.ipynb#traps) and [a](a.ipynb)."
    present = {"../book/glossary.md", "a.ipynb"}
    assert student.linked(source, present, address) == text
    page = "[symptoms](../book/symptoms.md)"
    online = "[symptoms](https://me.github.io/b/book/symptoms.html)"
    assert student.linked(page, present, address) == (online if address else "symptoms")


def test_a_failure_leaves_the_old_copies_as_they_were(copies, tmp_path):
    student.write(tmp_path / "student", [ROOT / "notebooks" / f"{QUICK}.ipynb"])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileNotFoundError):
        student.write(tmp_path / "student", [tmp_path / "missing.ipynb"])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "stem",
    [
        stem if stem == QUICK else pytest.param(stem, marks=pytest.mark.workshop)
        for stem in CHAPTERS
    ],
)
def test_copy_runs_from_top_to_bottom(copies, stem):
    """A cell that shows an error on purpose says so; any other error stops the run."""
    path = copies / "notebooks" / f"{stem}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=where).execute()
    stubs = [c for c in notebook.cells if "exercise" in c.metadata.get("tags", [])]
    assert all("○ Not yet" in str(stub.outputs) for stub in stubs)
