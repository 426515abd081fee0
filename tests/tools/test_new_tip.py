"""A new tip keeps every rule from the start; a bad name, or a failure, writes nothing."""

import os
import re
import subprocess
import sys

import check_tip
import new_tip
import pytest
from contents import notebooks
from repository import ROOT, copy_product


def command(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def contents(folder):
    return {
        p: p.read_bytes() for p in folder.rglob("*.*") if "__pycache__" not in str(p)
    }


def test_new_tip_keeps_every_rule(tmp_path):
    """In the middle of the book, so that it has a neighbour on each side."""
    copy_product(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    made = command(tmp_path, "tools/new_tip.py", "my_tip", "Losses and activations")
    assert made.returncode == 0, made.stderr
    assert "make check TIP=my_tip" in made.stdout
    proof = ["tests/pages/test_notebooks.py", "tests/pages/test_pages.py"]
    proof += ["tests/chapters/test_my_tip.py", "tests/tools/test_house.py"]
    # What leads to the tip and away from it; the other chapters are proven elsewhere.
    keywords = "my_tip or toc_lists or sorted or house or bce_and_logits"
    options = ["-o", "addopts=", "-q", "-p", "no:cacheprovider", "-k", keywords]
    passed = command(tmp_path, "-m", "pytest", *options, *proof)
    assert passed.returncode == 0, passed.stdout
    for check in (["check"], ["format", "--check"]):
        sound = command(tmp_path, "-m", "ruff", *check, "--no-cache", ".")
        assert sound.returncode == 0, sound.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "TIP must be small letters and single underscores, got ''"),
        (["Argmax"], "TIP must be small letters and single underscores, got 'Argmax'"),
        (["argmax-dim"], "underscores, got 'argmax-dim'"),
        (["tip_2"], "underscores, got 'tip_2'"),
        (["../x"], "underscores, got '../x'"),
        (["import"], "underscores, got 'import'"),
        (["softmax_dim"], "got 'softmax_dim', and notebooks/softmax_dim.ipynb exists"),
        (["exercises"], "and tests/chapters/test_exercises.py exists"),
        (["my_tip", "No part"], "PART must be one of .*Losses.*, got 'No part'"),
    ],
)
def test_bad_name_is_named_and_writes_nothing(arguments, text, monkeypatch, capsys):
    monkeypatch.setattr(new_tip, "write_all", lambda texts: pytest.fail("it wrote"))
    assert new_tip.main(arguments) == 1
    error = capsys.readouterr().err
    assert re.search(text, error), error


def test_template_that_fails_writes_nothing(monkeypatch, capsys):
    def fail(texts, tip):
        raise subprocess.CalledProcessError(1, ["run"])

    monkeypatch.setattr(new_tip, "run_aside", fail)
    monkeypatch.setattr(new_tip, "write_all", lambda texts: pytest.fail("it wrote"))
    assert new_tip.main(["my_tip"]) == 1
    assert "Nothing was written" in capsys.readouterr().err


def test_failed_writing_puts_back_what_stood_there(monkeypatch, tmp_path):
    (tmp_path / "old.md").write_text("old")
    (tmp_path / "README.md").write_text("table")
    before = contents(tmp_path)

    def full(path, text):
        if text == "third":
            raise OSError("No space left on device")
        path.write_text(text)

    monkeypatch.setattr(new_tip, "ROOT", tmp_path)
    monkeypatch.setattr(new_tip, "write_whole", full)
    monkeypatch.setattr(new_tip.listings, "LISTS", {"README.md": None})
    texts = {"old.md": "new", "folder/new.md": "second", "third.md": "third"}
    with pytest.raises(OSError, match="No space left"):
        new_tip.write_all(texts)
    assert contents(tmp_path) == before
    assert not (tmp_path / "folder").exists()


def test_cells_of_a_template():
    text = "# A\n---\nlead\n```python wrong\nx\n\ny\n```\n```python\nz\n```\nend\n"
    made = new_tip.notebook(text, set_up="")
    assert [(c.cell_type, c.source) for c in made.cells] == [
        ("markdown", "# A"),
        ("markdown", "lead"),
        ("code", "x\n\ny"),
        ("code", "z"),
        ("markdown", "end"),
    ]
    assert made.cells[2].metadata == {"tags": ["wrong"]}


def test_previous_chapter_leads_to_the_new_one_and_that_one_onward():
    first, second = notebooks()[:2]
    changed, onward = new_tip.insert_after(first, "**Next.** [New](new.ipynb)")
    assert "**Next.** [New](new.ipynb)" in changed
    assert onward.endswith(f"({second.name})")


def test_check_of_an_unknown_tip_names_the_tips(monkeypatch, capsys):
    monkeypatch.setattr(check_tip, "check", lambda tip: pytest.fail("it ran"))
    assert check_tip.main(["softmax"]) == 1
    assert re.search(
        r"one of .*softmax_dim.*got 'softmax'. Write", capsys.readouterr().err
    )


def test_check_stops_at_the_first_failure(monkeypatch, capsys):
    commands = [["-c", "raise SystemExit(3)"], ["-c", "raise SystemExit(4)"]]
    monkeypatch.setattr(check_tip, "commands", lambda tip: commands)
    assert check_tip.check("softmax_dim") == 3
    assert capsys.readouterr().out == ""


def test_check_reaches_every_test_of_a_page():
    """What a contributor can break is collected: page, widget, symptoms, lists."""
    *_, pytest_command = check_tip.commands("softmax_dim")
    found = command(ROOT, *pytest_command, "--collect-only", "-n", "0").stdout
    for name in (
        "test_dark_page_has_contrast[notebooks/softmax_dim.html]",
        "test_page_is_sound[notebooks/softmax_dim.html]",
        "test_room_kept_for_a_widget_is_its_height[softmax_dim-wide]",
        "test_every_chapter_is_in_the_symptom_index[softmax_dim]",
        "test_symptom_is_shown_where_it_leads[softmax_dim",
        "test_every_picture_has_the_alt_text_of_its_cell[softmax_dim]",
        "test_notebook_keeps_the_rules[cross_entropy_and_nll]",
        "test_toc_lists_every_notebook",
        "test_symptoms_are_sorted_as_a_person_in_trouble_looks",
        "test_made_list_is_fresh[README.md]",
    ):
        assert name in found, f"{name} is not part of `make check`"
