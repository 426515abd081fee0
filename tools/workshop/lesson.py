"""A chapter as a teacher sees it, read from its notebook by tags and headings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
import claims
import contents

SHORT_ANSWER, SEE_IT = "The short answer", "See it"
TRAPS, EXERCISES = "Traps", "Exercises"
CLOSING = (TRAPS, EXERCISES, claims.HEADING, "Takeaways")
PREDICT = "**Predict first**"
FOLD = re.compile(r"<details><summary>(.*?)</summary>(.*?)</details>", re.S)
# "**1. One fold.** ...", or "**1. One fold** (4 minutes). ..."
EXERCISE = re.compile(r"^\*\*(\d)\. (.+?)[.?]?\*\*(?: \((\d+) minutes?\))?", re.M)


class Piece(NamedTuple):
    """A code cell, or the prose of one cell under one heading."""

    section: str  # the last heading "## ...", or "" above the first one
    below: str  # the last heading "### ..." in it, or ""
    text: str  # without the heading
    cell: dict | None  # None for prose

    @property
    def tags(self) -> set[str]:
        return set(self.cell["metadata"].get("tags", [])) if self.cell else set()


class Exercise(NamedTuple):
    """One exercise: its title, its minutes, the check that answers it, its solution."""

    title: str
    minutes: int
    check: str
    solution: str


def pieces(path: Path) -> Iterator[Piece]:
    """Return a notebook's pieces in order; prose is cut at its headings."""
    section = below = ""
    for cell in contents.cells(path):
        if cell["cell_type"] == "code":
            yield Piece(section, below, cell["source"], cell)
            continue
        for text in filter(None, re.split(r"^(?=#+ )", cell["source"], flags=re.M)):
            head = re.match(r"(#+) (.+)\n*", text)
            if head and len(head[1]) == 2:
                section, below = head[2], ""
            elif head and len(head[1]) == 3:
                below = head[2]
            yield Piece(section, below, text[head.end() if head else 0 :].strip(), None)


def minutes(path: Path) -> tuple[int, int]:
    """Return the minutes to read a chapter, and those of its exercises.

    Raises:
        ValueError: if the line under the title does not hold both.
    """
    found = re.findall(r"(\d+) minutes", contents.title_and_times(path)[1])
    if len(found) != 2:
        raise ValueError(
            f"{path.name}: the line under the title must read '*N minutes to read · "
            "N minutes of exercises*'."
        )
    return int(found[0]), int(found[1])


def blocks(path: Path, total: int) -> dict[str, int]:
    """Share minutes among the sections that are talked about; each gets one at least.

    Words and lines of code weigh as in the title's minutes, 200 and 20 a minute, and each
    question to the room half a minute.
    """
    weights: dict[str, float] = {}
    for piece in pieces(path):
        if piece.section not in CLOSING[:3] and "hide-cell" not in piece.tags:
            words = len(FOLD.sub("", piece.text).split()) / 200
            asked = len(numbered(piece.text.partition(PREDICT)[2])) / 2
            lines = len(piece.text.splitlines()) / 20
            weight = lines if piece.cell else words + asked
            name = piece.section or SHORT_ANSWER  # the lead is told with it
            weights[name] = weights.get(name, 0) + weight
    least = int(total >= len(weights))
    parts = shared(total - least * len(weights), weights)
    return {name: least + part for name, part in parts.items()}


def shared(total: int, weights: dict[str, float]) -> dict[str, int]:
    """Share whole minutes by weight; the sum is the total."""
    whole, so_far, given = sum(weights.values()), 0.0, 0
    parts = {}
    for name, weight in weights.items():
        so_far += weight
        parts[name] = round(total * so_far / whole) - given
        given += parts[name]
    return parts


def predictions(path: Path) -> list[tuple[str, str]]:
    """Return what a chapter asks before each widget, with what is seen then."""
    prose = [p.text for p in pieces(path) if p.cell is None]
    asked = [q for text in prose for q in numbered(text.partition(PREDICT)[2])]
    seen = [
        answer
        for text in prose
        for summary, inside in FOLD.findall(text)
        if summary == "What you saw"
        for answer in numbered(inside)
    ]
    return list(zip(asked, seen, strict=True))


def numbered(text: str) -> list[str]:
    """Return the items of a numbered list."""
    items = re.findall(r"^\d+\. (.+(?:\n   .+)*)", text, re.M)
    return [" ".join(item.split()) for item in items]


def questions(path: Path) -> list[str]:
    """Return the headings between "See it" and the traps: each is a question."""
    found = dict.fromkeys(p.section for p in pieces(path))
    return [s for s in found if s not in ("", SHORT_ANSWER, SEE_IT, *CLOSING)]


def without_predictions(path: Path) -> list[str]:
    """Return the questions that are told, with no prediction for the room in them."""
    asked = {p.section for p in pieces(path) if p.cell is None and PREDICT in p.text}
    return [question for question in questions(path) if question not in asked]


def traps(path: Path) -> list[str]:
    """Return the titles of a chapter's traps."""
    found = (p.below for p in pieces(path) if p.section == TRAPS and p.below)
    return list(dict.fromkeys(found))


def exercises(path: Path) -> list[Exercise]:
    """Return a chapter's exercises; where they have no minutes, they share the title's.

    Raises:
        ValueError: if stubs, solutions and headings are not one for one.
    """
    own = [p for p in pieces(path) if p.section == EXERCISES]
    heads = [head for p in own if p.cell is None for head in EXERCISE.findall(p.text)]
    stubs = [p.text for p in own if "exercise" in p.tags]
    solutions = [p.text for p in own if "solution" in p.tags]
    if not len(heads) == len(stubs) == len(solutions):
        raise ValueError(
            f"{path.name}: {len(heads)} exercises '**1. Title** (N minutes)', "
            f"{len(stubs)} cells tagged exercise, {len(solutions)} tagged solution."
        )
    even = shared(minutes(path)[1], {number: 1 for number, _, _ in heads})
    return [
        Exercise(
            title,
            int(told or even[number]),
            re.findall(r"check\.(\w+)\(", stub)[-1],
            by,
        )
        for (number, title, told), stub, by in zip(heads, stubs, solutions, strict=True)
    ]


def earlier(path: Path) -> list[Path]:
    """Return the chapters before this one in the book to which its text refers."""
    before = {
        p.name: p for p in contents.notebooks()[: contents.notebooks().index(path)]
    }
    prose = "\n".join(p.text for p in pieces(path) if p.cell is None)
    told = prose.partition("**Next.**")[0]
    return [p for name, p in before.items() if f"]({name}" in told]


def takeaways(path: Path) -> list[str]:
    """Return the bullets at a chapter's end."""
    text = "\n".join(p.text for p in pieces(path) if p.section == "Takeaways")
    return re.findall(r"^- (.+)", text, re.M)
