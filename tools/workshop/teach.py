"""Sphinx extension: the teacher's page, made from the notebooks and their checks."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import claims
import contents
import hints
import index_page
import lesson
import schedule
from book_extension import FromNotebooks

CUT_FIRST, CUT_SECOND = "cut first", "cut second"


class Timetable(FromNotebooks):
    """``:::{timetable} 3.5``: the book's chapters on days of so many hours each."""

    required_arguments = 1
    final_argument_whitespace = True

    def markdown(self) -> list[str]:
        hours = [float(h) for h in self.arguments[0].split()]
        return timetable(contents.notebooks(), hours)


class MeasuredTimes(FromNotebooks):
    """``:::{measured-times}``: a table to print, for the minutes that a room takes."""

    def markdown(self) -> list[str]:
        text = [
            "| Chapter | Talk, planned | Talk, taken | Exercises, planned | taken |"
        ]
        text.append("| --- | --- | --- | --- | --- |")
        for path in contents.notebooks():
            read, exercises = lesson.minutes(path)
            title, _ = contents.title_and_times(path)
            text.append(f"| {title} | {talk(read)} | | {exercises} | |")
        return text


class ChapterByChapter(FromNotebooks):
    """``:::{chapter-by-chapter}``: what a teacher wants to know of each chapter."""

    def markdown(self) -> list[str]:
        return [line for path in contents.notebooks() for line in plan(path)]


def timetable(paths: list[Path], hours: list[float]) -> list[str]:
    """Return a timetable of some chapters as Markdown."""
    found = schedule.timetable(
        [
            schedule.Chapter(contents.title_and_times(path)[0], *lesson.minutes(path))
            for path in paths
        ],
        hours,
    )
    text = []
    for number, day in enumerate(found.days, 1):
        text += [f"**Day {number}**", ""] * (len(found.days) > 1)
        text += ["| From | To | What |", "| --- | --- | --- |"]
        text += [row(entry) for entry in day] + [""]
    if found.left_out:
        text.append(f"Left out for want of time: {'; '.join(found.left_out)}.")
    elif found.free >= 30:
        text.append(f"Of the {sum(hours):g} hours, {found.free} minutes are free.")
    return text


def talk(read: int) -> int:
    """Return the minutes to show what takes so many to read."""
    return math.ceil(read * schedule.TALK_FACTOR)


def row(entry: schedule.Entry) -> str:
    """Return a line of a timetable; what is not a chapter stands in italics."""
    what = entry.what if entry.kind in ("talk", "exercises") else f"*{entry.what}*"
    return f"| {schedule.clock(entry.start)} | {schedule.clock(entry.end)} | {what} |"


def plan(path: Path) -> list[str]:
    """Return one chapter's part of the page as Markdown."""
    title, _ = contents.title_and_times(path)
    read, exercises = lesson.minutes(path)
    head = (
        f"{index_page.one_line(path)} Talk {talk(read)} minutes, exercises {exercises}."
    )
    back = ", ".join(
        f"[{contents.title_and_times(p)[0]}](../notebooks/{p.name})"
        for p in lesson.earlier(path)
    )
    text = [
        *(f"### {title}", "", f"[The chapter](../notebooks/{path.name}). {head}", ""),
        *([f"It refers back to: {back}.", ""] if back else []),
        *(*minutes_by_block(path), "", *to_ask(path), "", *to_vote_on(path), ""),
        *(*wrong_answers(path), "", *to_expect(path), ""),
    ]
    return [from_book(line, path.name) for line in text]


def minutes_by_block(path: Path) -> list[str]:
    """Return a table of a chapter's blocks: their minutes, and what to cut when late."""
    tasks, told = lesson.exercises(path), lesson.without_predictions(path)
    late = {told[-1]: CUT_SECOND} if told else {}
    text = ["| Block | Minutes | When late |", "| --- | --- | --- |"]
    for name, minutes in lesson.blocks(path, talk(lesson.minutes(path)[0])).items():
        text.append(f"| {name} | {minutes} | {late.get(name, 'keep')} |")
    for number, task in enumerate(tasks, 1):
        cut = CUT_FIRST if number == len(tasks) > 1 else "keep"
        text.append(f"| Exercise {number}: {task.title} | {task.minutes} | {cut} |")
    return text


def to_ask(path: Path) -> list[str]:
    """Return the questions to ask before a widget moves, with what is seen then."""
    pairs = lesson.predictions(path)
    asked = [f"{n}. {question}" for n, (question, _) in enumerate(pairs, 1)]
    seen = [f"{n}. {answer}" for n, (_, answer) in enumerate(pairs, 1)]
    answers = folded("What they will see", seen)
    return ["**Ask the room**, before the widget moves:", "", *asked, "", *answers]


def to_vote_on(path: Path) -> list[str]:
    """Return the claims of the notes, for a show of hands."""
    rows = [f"| {c.claim} | {c.verdict} |" for c in claims.claims(path)]
    table = ["| Claim | Verdict |", "| --- | --- |", *rows]
    answers = folded("The claims, with their verdicts", table)
    return ["**Let them vote**: does it hold?", "", *answers]


def wrong_answers(path: Path) -> list[str]:
    """Return each exercise's likely wrong answers and its solution."""
    check = contents.ROOT / f"helpers/chapters/{path.stem}/check.py"
    tasks = lesson.exercises(path)
    said = [hints.hints(check, task.check) for task in tasks]
    exercises = Counter(hint for each in said for hint in dict.fromkeys(each))
    shared = [hint for hint in exercises if exercises[hint] > 1]
    text = [
        "**Likely wrong answers**, and what the check says (it fills in each …):",
        "",
    ]
    for number, (task, each) in enumerate(zip(tasks, said, strict=True), 1):
        own = [hint for hint in each if hint not in shared]
        code = ["```python", *task.solution.splitlines()[1:], "```"]
        below = [] if own else ["- those under “In more than one exercise”, below"]
        listed = [*map(_hint, own), *below]
        text += [f"Exercise {number}, {task.title}:", "", *listed, ""]
        text += [*folded(f"Solution {number}", code), ""]
    if shared:
        text += ["In more than one exercise:", "", *map(_hint, shared), ""]
    return text


def _hint(said: hints.Said) -> str:
    answer, text = said
    return f"- {f'`{answer}`: ' if answer else ''}{literal(text)}"


def to_expect(path: Path) -> list[str]:
    """Return the traps: what learners ask about."""
    listed = [f"- {trap}" for trap in lesson.traps(path)]
    return [f"**Questions to expect** are its [traps]({path.name}#traps):", "", *listed]


def folded(summary: str, lines: list[str]) -> list[str]:
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def literal(text: str) -> str:
    """Keep a check's plain text from being read as Markdown."""
    return re.sub(r"([\\`*_\[\]<>$|])", r"\\\1", text)


def from_book(text: str, name: str) -> str:
    """Make a notebook's links lead to the same places from a page of the book."""
    text = text.replace("](#", f"](../notebooks/{name}#").replace("](../book/", "](")
    return re.sub(r"\]\((\w+\.ipynb)", r"](../notebooks/\1", text)


def setup(app: Sphinx) -> dict:
    app.add_directive("timetable", Timetable)
    app.add_directive("measured-times", MeasuredTimes)
    app.add_directive("chapter-by-chapter", ChapterByChapter)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
