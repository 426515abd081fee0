"""A timetable for a workshop: chapters with their exercises, breaks, a lunch, log-in time."""

from __future__ import annotations

import math
from typing import NamedTuple

# A guess until somebody has taught these chapters and noted the times: how much longer it
# takes to show and discuss a page than to read it.
TALK_FACTOR = 1.5
START = 9 * 60  # all times are minutes since midnight
LOG_IN, CLOSE, BREAK, LUNCH = 15, 10, 15, 60
STRETCH = 75  # nobody sits longer than this without a break
LUNCH_FROM = 11 * 60 + 30
LONG_DAY = 5 * 60  # a day that is longer has a lunch


class Chapter(NamedTuple):
    """What a timetable needs of a chapter."""

    title: str
    read: int
    exercises: int


class Entry(NamedTuple):
    """One line of a timetable."""

    start: int
    end: int
    what: str
    kind: str  # "log in", "talk", "exercises", "break", "lunch" or "close"


class Timetable(NamedTuple):
    """The entries of each day, the chapters for which no time is left, the minutes over."""

    days: list[list[Entry]]
    left_out: list[str]
    free: int


def clock(minute: int) -> str:
    """Return a time of day.

    Example:
        >>> clock(570)
        '9:30'
    """
    return f"{minute // 60}:{minute % 60:02}"


def hours_of_days(text: str) -> list[float]:
    """Return numbers such as "3.5" or "8 8"; a comma does as well as a point.

    Raises:
        ValueError: if they are not numbers.
    """
    try:
        return [float(hours.replace(",", ".")) for hours in text.split()]
    except ValueError:
        raise ValueError(
            f'HOURS: give the hours of each day, such as 3.5 or "8 8", got {text!r}.'
        ) from None


def timetable(
    chapters: list[Chapter], hours: list[float], factor: float = TALK_FACTOR
) -> Timetable:
    """Place chapters in the order given, whole ones, as many as there is time for.

    Args:
        chapters: in the order in which they are taught.
        hours: how long each day is, from 9:00 on: ``[3.5]`` is one morning.
        factor: how much longer it takes to show a page than to read it, 1 to 3.

    Raises:
        ValueError: if an argument is out of its range, or one part of a chapter alone is
            longer than people can sit.
    """
    if not hours or not all(1 <= h <= 12 for h in hours):
        raise ValueError(f"HOURS: give each day 1 to 12 hours, got {hours}.")
    if not 1 <= factor <= 3:
        raise ValueError(f"FACTOR: must be from 1 to 3, got {factor:g}.")
    waiting, days, free = list(chapters), [], 0
    for length in hours:
        day = [Entry(START, START + LOG_IN, "Log in, check the set-up", "log in")]
        end = START + round(60 * length)
        while waiting:
            longer = [*day, *_entries(day, waiting[0], factor, 60 * length > LONG_DAY)]
            if longer[-1].end > end - CLOSE:
                break
            day = longer
            waiting.pop(0)
        last = day[-1].end
        days.append([*day, Entry(last, last + CLOSE, "Questions, what next", "close")])
        free += end - (last + CLOSE)
    return Timetable(days, [chapter.title for chapter in waiting], free)


def _entries(
    day: list[Entry], chapter: Chapter, factor: float, with_lunch: bool
) -> list[Entry]:
    """Return a chapter's entries at the end of a day, with the breaks that it needs."""
    parts = [
        (math.ceil(chapter.read * factor), chapter.title, "talk"),
        (chapter.exercises, f"Exercises: {chapter.title}", "exercises"),
    ]
    added: list[Entry] = []
    for minutes, what, kind in parts:
        if minutes > STRETCH:
            raise ValueError(
                f"{what}: {minutes} minutes without a break, more than {STRETCH}. "
                "Lower FACTOR, or shorten the chapter."
            )
        added += _pause([*day, *added], minutes, with_lunch)
        start = (added or day)[-1].end
        added.append(Entry(start, start + minutes, what, kind))
    return added


def _pause(day: list[Entry], minutes: int, with_lunch: bool) -> list[Entry]:
    """Return the pause that is due before a part of so many minutes, if one is."""
    now = day[-1].end
    sitting = now - max(
        (e.end for e in day if e.kind in ("break", "lunch")), default=START
    )
    hungry = with_lunch and not any(e.kind == "lunch" for e in day)
    if hungry and now >= LUNCH_FROM and sitting:
        return [Entry(now, now + LUNCH, "Lunch", "lunch")]
    if sitting and sitting + minutes > STRETCH:
        return [Entry(now, now + BREAK, "Break", "break")]
    return []
