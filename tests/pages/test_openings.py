"""What opens a chapter: a recipe that runs and is seen at once, and no code that is cut."""

import subprocess
import sys

import pytest
from claims import notebooks
from notebook_rules import Chapter
from repository import ROOT
from visit import WIDE

TIPS = [path.stem for path in notebooks()]


def cell(tip, tag):
    ((_, found),) = Chapter.read(ROOT / "notebooks" / f"{tip}.ipynb").tagged(tag)
    return found


@pytest.mark.parametrize("tip", TIPS)
def test_recipe_runs_in_an_empty_file(tip, tmp_path):
    """With the folded cell above it, which defines every name that it takes."""
    script = tmp_path / "script.py"
    script.write_text(f"{cell(tip, 'given').source}\n{cell(tip, 'recipe').source}\n")
    command = [sys.executable, "-I", "-W", "error", script.name]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("tip", TIPS)
def test_recipe_and_right_are_seen_without_searching(visit, tip):
    page = visit(f"notebooks/{tip}.html").page
    for tag, most in (("recipe", 1000), ("right", 1600)):
        box = page.locator(f".tag_{tag}").bounding_box()
        end = box["y"] + box["height"]
        assert end <= most, f"{tip}: {tag} ends at {end:.0f} px, not within {most}"


CUT = """() => [...document.querySelectorAll(".cell:not(.tag_set-up) pre")]
  .filter((p) => p.scrollWidth > p.clientWidth + 1).map((p) => p.textContent.slice(0, 80))"""


@pytest.mark.parametrize("width", [WIDE["width"], 1366])
@pytest.mark.parametrize("tip", TIPS)
def test_no_code_or_output_is_cut(visit, tip, width):
    opened = visit(f"notebooks/{tip}.html", viewport={"width": width, "height": 900})
    assert opened.page.evaluate(CUT) == []
