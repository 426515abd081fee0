"""The slides of a chapter, made from its cells' tags and its headings alone."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import claims
import contents
import lesson
import markup
from lesson import Piece

UNSEEN = {"set-up", "given", "hide-cell", "solution"}


class Slide(NamedTuple):
    """What a slide shows, and what the speaker says to it."""

    body: str
    notes: str = ""


# The first slide of a column comes next; the others lie below it, for who wants to see.
Column = list[Slide]


def deck(path: Path, solutions: bool = False) -> list[Column]:
    """Return a chapter's slides.

    Args:
        path: the chapter's notebook.
        solutions: whether each exercise is followed by its solution.
    """
    columns, traps = [_title(path)], []
    for section, group in groupby(lesson.pieces(path), key=lambda p: p.section):
        pieces = list(group)
        if section == lesson.TRAPS:
            traps = _traps(pieces)
        elif section == lesson.EXERCISES:
            columns += _exercises(pieces, solutions)
        elif section == claims.HEADING:
            columns += [_claim(claim) for claim in claims.claims(path)]
        elif section == "Takeaways":
            points = "\n".join(f"- {point}" for point in lesson.takeaways(path))
            columns.append([Slide(heading("Takeaways") + markup.prose(points))])
        elif section:
            columns += _section(section, pieces)
    # Last, since no timetable has minutes for them.
    return columns + traps


def heading(text: str) -> str:
    return f"<h2>{markup.inline(text)}</h2>"


def topic(text: str) -> str:
    """Return the small line that says which question a slide belongs to."""
    return f'<p class="topic">{markup.inline(text)}</p>'


def fragment(text: str) -> str:
    """Hide a part of a slide until the speaker goes on."""
    return f'<div class="fragment">{text}</div>' if text else ""


def stepwise(items: list[str]) -> str:
    """Return a numbered list whose items come one by one."""
    lines = (f'<li class="fragment">{markup.inline(item)}</li>' for item in items)
    return f"<ol>{''.join(lines)}</ol>"


def _title(path: Path) -> Column:
    title, times = contents.title_and_times(path)
    opening = [p.text for p in lesson.pieces(path) if not p.section and not p.cell]
    promise = re.search(r"^After this chapter you can .*", opening[0], re.M)
    lead = opening[-1]
    body = f"<h1>{markup.inline(title)}</h1>{markup.prose(lead)}"
    keys = "→ or PageDown next · ↓ the code · S notes · D dark or light · ? all keys"
    notes = markup.prose(f"{times}\n\n{promise[0] if promise else ''}")
    return [Slide(f'{body}<p class="keys">{keys}</p>', notes)]


def _section(section: str, pieces: list[Piece]) -> Iterator[Column]:
    """Yield a section's divider, if it is a question, and a column for each result."""
    said, waiting = "", []
    if section not in (lesson.SHORT_ANSWER, lesson.SEE_IT):
        first = markup.first_sentence(pieces[0].text)
        yield [
            Slide(
                f'<h1>{markup.inline(section)}</h1><p class="lead">{markup.inline(first)}</p>'
            )
        ]
    for at, piece in enumerate(pieces):
        follows = pieces[at + 1 : at + 2]
        after = follows[0].text if follows and follows[0].cell is None else ""
        if piece.cell is None:
            said = piece.text
            yield from _folds(said)
        elif piece.tags & UNSEEN:
            continue
        elif markup.models(piece.cell):
            yield from _widget(section, said, piece)
        elif piece.tags & {"recipe", "wrong", "right"}:
            yield [_contrast(piece, said)]
        elif not piece.cell["outputs"]:
            waiting.append(Slide(topic(section) + markup.code(piece.text)))
        else:
            yield [
                _result(section, piece, said, after),
                *waiting,
                *_code(section, piece),
            ]
            waiting = []


def _folds(text: str) -> Iterator[Column]:
    """Yield a slide for the answers to the predictions."""
    for summary, inside in lesson.FOLD.findall(text):
        if summary == "What you saw":
            yield [Slide(heading(summary) + stepwise(lesson.numbered(inside)))]


def _widget(section: str, said: str, piece: Piece) -> Iterator[Column]:
    """Yield the questions to the room, and then the widget that answers them."""
    asked = lesson.numbered(said.partition(lesson.PREDICT)[2])
    if asked:
        yield [Slide(heading("Predict first") + stepwise(asked), markup.prose(said))]
    reminder = "".join(f"<li>{markup.inline(question)}</li>" for question in asked)
    notes = f"<ol>{reminder}</ol>"
    yield [Slide(topic(section) + markup.outputs(piece.cell), notes)]


def _contrast(piece: Piece, said: str) -> Slide:
    """Return the recipe, or what is wrong or right about a way, with what it prints."""
    (tag,) = piece.tags & {"recipe", "wrong", "right"}
    name = {"recipe": "The recipe", "wrong": "✗ Wrong", "right": "✓ Right"}[tag]
    shown = markup.code(piece.text) + fragment(markup.outputs(piece.cell))
    return Slide(f'<div class="{tag}"><h2>{name}</h2>{shown}</div>', markup.prose(said))


def _result(section: str, piece: Piece, said: str, after: str) -> Slide:
    """Return what a cell shows, and the first sentence that is said about it."""
    caption = f'<p class="caption">{markup.inline(markup.first_sentence(after))}</p>'
    body = topic(section) + markup.outputs(piece.cell) + caption
    return Slide(body, markup.prose(f"{said}\n\n{after}"))


def _code(section: str, piece: Piece) -> Column:
    if "hide-input" in piece.tags:
        return []
    return [Slide(topic(section) + markup.code(piece.text))]


def _traps(pieces: list[Piece]) -> list[Column]:
    """Return a column for each trap: what it is, and below it the evidence."""
    columns = [[Slide("<h1>Traps</h1>")]]
    for piece in pieces:
        if piece.cell is None and piece.text:
            told = heading(piece.below or "Traps") + markup.prose(piece.text)
            columns.append([Slide(told)])
        elif piece.cell and not piece.tags & UNSEEN:
            both = markup.code(piece.text) + markup.outputs(piece.cell)
            columns[-1].append(Slide(topic("Traps") + both))
    return columns


def _exercises(pieces: list[Piece], solutions: bool) -> Iterator[Column]:
    """Yield a column for each exercise: its text, its box or its stub, its solution."""
    told = ""
    for at, piece in enumerate(pieces):
        if piece.cell is None and lesson.EXERCISE.search(piece.text):
            told = piece.text
        elif "exercise" in piece.tags:
            boxed = markup.models(piece.cell)
            body = topic("Exercise") + markup.prose(told)
            column = [Slide(body + (markup.outputs(piece.cell) if boxed else ""))]
            column.append(Slide(topic("Exercise") + markup.code(piece.text)))
            if solutions:
                shown = markup.code(pieces[at + 1].text.partition("\n")[2])
                column.append(Slide(topic("Solution") + shown))
            yield column


def _claim(claim: claims.Claim) -> Column:
    """Return a claim to vote on; its verdict comes when the speaker goes on."""
    mark = html.escape(claim.verdict)
    sign = f'<p class="verdict">{mark}</p>'
    body = (
        f"{topic('Holds, or not?')}<p>{markup.inline(claim.claim)}</p>{fragment(sign)}"
    )
    return [Slide(body, markup.prose(claim.evidence))]
