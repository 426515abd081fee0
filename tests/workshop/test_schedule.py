"""Timetables: nobody sits too long, nothing runs past the end, no minute is lost."""

import itertools
import math

import contents
import lesson
import pytest
import schedule
from hypothesis import given
from hypothesis import strategies as st
from schedule import Chapter

titles = st.text("abcdef", min_size=1, max_size=4)
chapters = st.lists(
    st.builds(Chapter, titles, st.integers(1, 25), st.integers(1, 40)), max_size=14
)
days = st.lists(st.floats(1, 12), min_size=1, max_size=3)
PAUSES = ("break", "lunch")


@given(chapters, days, st.floats(1, 3))
def test_timetable_of_any_chapters(chapters, hours, factor):
    table = schedule.timetable(chapters, hours, factor)
    taught = []
    for day, length in zip(table.days, hours, strict=True):
        assert (day[0].start, day[0].kind, day[-1].kind) == (540, "log in", "close")
        assert day[-1].end <= 540 + round(60 * length)
        assert all(a.end == b.start for a, b in itertools.pairwise(day))
        assert max(stretches(day)) <= 90
        assert sum(e.kind == "lunch" for e in day) <= (length > 5)
        taught += [e for e in day if e.kind == "talk"]
        for talk in (e for e in day if e.kind == "talk"):
            assert any(e.what == f"Exercises: {talk.what}" for e in day)
    assert [e.what for e in taught] + table.left_out == [c.title for c in chapters]
    ends = [540 + round(60 * length) for length in hours]
    assert table.free == sum(ends) - sum(day[-1].end for day in table.days)
    whole = [e.end - e.start for e in taught]
    asked = [math.ceil(c.read * factor) for c in chapters[: len(taught)]]
    assert whole == asked


def stretches(day):
    """Return how long people sit from pause to pause."""
    ends = [0]
    for entry in day:
        ends = (
            [*ends, 0]
            if entry.kind in PAUSES
            else [*ends[:-1], ends[-1] + entry.end - entry.start]
        )
    return ends


def test_times_are_written_as_on_a_clock():
    assert [schedule.clock(t) for t in (540, 725)] == ["9:00", "12:05"]


def test_long_day_has_a_lunch_around_noon():
    (day,) = schedule.timetable([Chapter("a", 12, 15)] * 14, [8]).days
    (lunch,) = (e for e in day if e.kind == "lunch")
    assert 690 <= lunch.start <= 780


def test_whole_book_fits_into_two_days_and_a_morning_leaves_some_out():
    book = [Chapter(p.stem, *lesson.minutes(p)) for p in contents.notebooks()]
    assert schedule.timetable(book, [8, 8]).left_out == []
    assert 0 < len(schedule.timetable(book, [3.5]).left_out) < len(book)


@pytest.mark.parametrize(
    ("hours", "factor", "text"),
    [
        ([], 1, r"HOURS: give each day 1 to 12 hours, got \[\]"),
        ([13], 1, "HOURS"),
        ([3], 0.5, "FACTOR: must be from 1 to 3, got 0.5"),
    ],
)
def test_what_no_timetable_can_keep_is_named(hours, factor, text):
    with pytest.raises(ValueError, match=text):
        schedule.timetable([], hours, factor)


def test_part_that_is_longer_than_people_can_sit_is_named():
    with pytest.raises(ValueError, match="long: 90 minutes without a break"):
        schedule.timetable([Chapter("long", 30, 1)], [8], 3)


def test_hours_are_numbers_with_a_point_or_a_comma():
    assert schedule.hours_of_days("3,5 8") == [3.5, 8.0]
    with pytest.raises(
        ValueError, match="HOURS: give the hours of each day.*'all day'"
    ):
        schedule.hours_of_days("all day")
