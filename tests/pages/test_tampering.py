"""Whatever is changed in a stored notebook, something fails and names the place."""

import base64
import copy
import re
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest
from notebook_rules import (
    STATE_MIME_PREFIX,
    VIEW_MIME,
    WIDGETS_MIME,
    Chapter,
    _prose_numbers,
    notebooks,
    problems,
    rule_prose_numbers,
)

PATH, QUICK_TO_RUN = notebooks()[:2]


@pytest.fixture
def chapter() -> Chapter:
    return copy.deepcopy(Chapter.read(PATH))


def other_digit(text: str) -> str:
    """Change the first digit of a text."""
    return re.sub(r"\d", lambda m: str((int(m[0]) + 1) % 10), text, count=1)


def other_last_digit(number: str, step: int) -> str:
    """Change the last digit of a number."""
    return re.sub(r"\d(?=\D*$)", lambda m: str((int(m[0]) + step) % 10), number)


def compared_texts(cell) -> list[tuple[dict, str]]:
    """Where nbval compares text with a digit in it: (mapping, key) pairs."""
    places = []
    for output in cell.outputs:
        places += [(output, key) for key in ("text", "evalue") if key in output]
        data = output.get("data", {})
        places += [(data, "text/plain")] if "text/plain" in data else []
        places += [(data[k], "state") for k in data if k.startswith(STATE_MIME_PREFIX)]
    return [(where, key) for where, key in places if re.search(r"\d", where[key])]


def failed_cells(notebook, folder) -> set[int]:
    """Run nbval over a notebook and return the indices of the code cells that fail."""
    path, report = folder / "tampered.ipynb", folder / "report.xml"
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", path]
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-q", f"--junitxml={report}"]
    subprocess.run([*command, *options], cwd=folder, capture_output=True)
    cases = ElementTree.parse(report).iter("testcase")
    return {
        int(re.search(r"\d+", case.get("name"))[0])
        for case in cases
        if case.find("failure") is not None
    }


def test_untouched_copy_keeps_the_rules(chapter):
    found = problems(chapter)
    assert not found, "\n".join([f"{PATH.name}:", *found])


def test_changed_digit_in_an_output_fails_its_cell(tmp_path):
    """In every cell the last text is changed: of each kind there is one somewhere."""
    chapter = Chapter.read(QUICK_TO_RUN)
    touched, kinds, changed = set(), set(), set()
    for index, (_, cell) in enumerate(chapter.code):
        places = compared_texts(cell)
        kinds |= {key for _, key in places}
        if places:
            where, key = places[-1]
            where[key] = other_digit(where[key])
            touched.add(index)
            changed.add(key)
    assert changed == kinds, (
        f"{QUICK_TO_RUN.name}: no cell ends with an output of the kind {kinds - changed}, "
        "so that a change of it is not tried. Let one cell end so."
    )
    failed = failed_cells(chapter.notebook, tmp_path)
    assert failed == touched, (
        f"{QUICK_TO_RUN.name}: code cells (from 0) whose change nbval did not notice: "
        f"{sorted(touched - failed)}; that failed unchanged: {sorted(failed - touched)}."
    )


def tamper_traceback(chapter):
    n, cell = chapter.tagged("raises-exception")[0]
    cell.outputs[0].traceback[0] += "1"
    return n


def tamper_picture(chapter):
    for n, cell in chapter.code:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                data = bytearray(base64.b64decode(output.data["image/png"]))
                data[len(data) // 2] ^= 1
                output.data["image/png"] = base64.b64encode(bytes(data)).decode()
                return n


def tamper_alt_text(chapter):
    for n, cell in chapter.code:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                output.metadata["image/png"]["alt"] += "1"
                return n


def drop_view(chapter):
    n, cell = chapter.tagged("widget")[0]
    del cell.outputs[0].data[VIEW_MIME]
    return n


def drop_widget_output_data(chapter):
    n, cell = chapter.tagged("widget")[0]
    cell.outputs[0].data = {"text/plain": cell.outputs[0].data["text/plain"]}
    return n


def drop_widget_state(chapter):
    del chapter.notebook.metadata["widgets"]
    return chapter.tagged("widget")[0][0]


def tamper_widget_state(chapter):
    n, cell = chapter.tagged("widget")[0]
    state = chapter.models[cell.outputs[0].data[VIEW_MIME]["model_id"]]["state"]
    state["logit"] = 17.0
    return n


def tamper_widget_code(chapter):
    n, cell = chapter.tagged("widget")[0]
    state = chapter.models[cell.outputs[0].data[VIEW_MIME]["model_id"]]["state"]
    state["_esm"] = other_digit(state["_esm"])
    return n


def drop_outputs_and_count(chapter):
    n, cell = chapter.code[3]
    cell.outputs, cell.execution_count = [], None
    return n


def add_semicolon(chapter):
    n, cell = chapter.code[3]
    cell.source += ";"
    return n


def untag_exception(chapter):
    n, cell = chapter.tagged("raises-exception")[0]
    cell.metadata.tags.remove("raises-exception")
    return n


def break_link(chapter):
    for n, cell in chapter.prose:
        if "glossary.md#" in cell.source:
            cell.source = cell.source.replace("glossary.md#", "glossary.md#no-", 1)
            return n


def spoil_set_up(chapter):
    cell = chapter.notebook.cells[2]
    cell.source = cell.source.replace("measured", "measure")
    return 3


def solve_wrongly(chapter):
    n, cell = chapter.tagged("solution")[0]
    cell.outputs[-1].data["text/plain"] = "✗ Hint: no."
    return n


@pytest.mark.parametrize(
    "tamper",
    [
        tamper_traceback,
        tamper_picture,
        tamper_alt_text,
        drop_view,
        drop_widget_output_data,
        drop_widget_state,
        tamper_widget_state,
        tamper_widget_code,
        drop_outputs_and_count,
        add_semicolon,
        untag_exception,
        break_link,
        spoil_set_up,
        solve_wrongly,
    ],
)
def test_rules_name_the_cell_that_was_tampered_with(chapter, tamper):
    n = tamper(chapter)
    found = problems(chapter)
    assert any(problem.startswith(f"cell {n}:") for problem in found), found


def test_changed_number_in_the_prose_is_named(chapter):
    """Each number of the prose, with each other last digit: the rule must notice.

    It cannot notice a number that another cell happens to print, so a few may pass.
    """
    tried, missed = 0, []
    for n, cell in chapter.prose[1:]:
        original = cell.source
        for text in {text for text, _ in _prose_numbers(original)}:
            for step in range(1, 10):
                wrong = other_last_digit(text, step)
                cell.source = re.sub(rf"(?<![\w.]){re.escape(text)}", wrong, original)
                found = list(rule_prose_numbers(chapter))
                tried += 1
                if not any(p.startswith(f"cell {n}: {wrong} ") for p in found):
                    missed.append(f"cell {n}: {text} -> {wrong}")
        cell.source = original
    assert tried >= 200, f"{PATH.name}: its prose holds too few numbers: {tried} tried"
    assert len(missed) <= 0.1 * tried, (
        f"{PATH.name}: rule_prose_numbers missed {len(missed)} of {tried} changed numbers. "
        f"Print fewer numbers that are not in the prose: {missed}"
    )


def test_stored_widget_state_is_the_only_one(chapter):
    models = chapter.notebook.metadata.widgets[WIDGETS_MIME].state
    models["0" * 32] = copy.deepcopy(next(iter(models.values())))
    assert any("belongs to no view" in problem for problem in problems(chapter))
