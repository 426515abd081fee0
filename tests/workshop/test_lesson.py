"""What a teacher is told of each chapter: complete, and the checks' own words."""

import importlib

import contents
import hints
import lesson
import pytest
from repository import ROOT

from helpers.exercises.number import NumberCheck
from helpers.exercises.table import TableCheck

CHAPTERS = [pytest.param(p, id=p.stem) for p in contents.notebooks()]


@pytest.mark.parametrize("path", CHAPTERS)
def test_minutes_of_the_blocks_are_those_of_the_title(path):
    read, exercises = lesson.minutes(path)
    blocks = lesson.blocks(path, read)
    assert sum(blocks.values()) == read
    assert min(blocks.values()) >= 1
    assert sum(e.minutes for e in lesson.exercises(path)) == exercises
    assert set(lesson.questions(path)) < set(blocks)


@pytest.mark.parametrize("path", CHAPTERS)
def test_every_chapter_tells_what_to_ask_and_what_to_expect(path):
    assert len(lesson.predictions(path)) >= 2
    assert len(lesson.traps(path)) >= 3
    assert len(lesson.takeaways(path)) == 3
    assert len(lesson.questions(path)) >= 2


@pytest.mark.parametrize("path", CHAPTERS)
def test_every_exercise_has_hints_that_are_the_checks_own(path):
    check = ROOT / f"helpers/chapters/{path.stem}/check.py"
    module = importlib.import_module(f"helpers.chapters.{path.stem}.check")
    for exercise in lesson.exercises(path):
        told = [text for _, text in hints.hints(check, exercise.check)]
        assert told, exercise
        live = getattr(module, exercise.check)
        if isinstance(live, NumberCheck):
            assert told == [hint.text for hint in live.hints]
        elif isinstance(live, TableCheck):
            assert told == list(live.hints.values())
        assert f"check.{exercise.check}(" in exercise.solution


def test_hint_is_found_with_the_answer_that_earns_it(tmp_path):
    (tmp_path / "check.py").write_text(
        "KEY = {'a': ('B', 'think of b again.')}\n"
        "def _deep(x):\n    return hint(f'it is far too {x} for this.')\n"
        "def first(answer):\n"
        "    if answer == [1, 2]:\n        return hint('swap the two numbers.')\n"
        "    return letters(answer, KEY) or _deep(answer)\n"
        "second = NumberCheck('?', 1, 0, '', [Hint(2, 3, 'that is a bit more.')])\n"
    )
    assert hints.hints(tmp_path / "check.py", "first") == [
        ("[1, 2]", "swap the two numbers."),
        ("a", "think of b again."),
        ("", "it is far too … for this."),
    ]
    assert hints.hints(tmp_path / "check.py", "second") == [
        ("2 to 3", "that is a bit more.")
    ]
    with pytest.raises(ValueError, match="no check is named 'third'"):
        hints.hints(tmp_path / "check.py", "third")


def test_what_is_no_sentence_without_its_numbers_is_left_out(tmp_path):
    (tmp_path / "check.py").write_text(
        "CASES = ('two parts with other means', 'a part of two and six')\n"
        "def merge(x, y, why):\n"
        "    CASES, hint(f'for {x} the {y} is {x}, got {y}.')\n"
        "    return hint(f'the sum of both {x} is {y}, got {x}.{why}')\n"
    )
    assert hints.hints(tmp_path / "check.py", "merge") == [
        ("", "the sum of both … is …, got …."),
    ]


def test_a_variable_named_like_another_check_brings_none_of_its_hints(tmp_path):
    (tmp_path / "check.py").write_text(
        "def scale(x):\n    return hint('that is where it starts.')\n"
        "def step(x, k):\n    scale = k\n    return hint(f'it moves by {scale}, not x.')\n"
    )
    assert hints.hints(tmp_path / "check.py", "step") == [("", "it moves by …, not x.")]


@pytest.mark.parametrize("path", CHAPTERS)
def test_what_is_cut_when_late_asks_the_room_for_no_prediction(path):
    *_, cut = lesson.without_predictions(path)
    text = [p.text for p in lesson.pieces(path) if p.section == cut and not p.cell]
    assert text
    assert not any(lesson.PREDICT in each for each in text)


def test_minutes_are_shared_whole_and_none_is_lost():
    assert lesson.shared(10, {"a": 1.0, "b": 1.0, "c": 1.0}) == {"a": 3, "b": 4, "c": 3}
