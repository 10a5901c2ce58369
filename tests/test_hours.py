"""Business-hours arithmetic: the examples of the rule book, and everything against a slow reference that walks minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.policy.duration import Duration
from rtmail.policy.hours import (
    Hours,
    NeverOpens,
    add,
    add_business_days,
    always,
    between,
    holidays_of,
    is_open,
    next_open,
    parse_spans,
    wall_to_utc,
)

BERLIN = ZoneInfo("Europe/Berlin")
NINE_TO_SIX = ((9 * 60, 18 * 60),)
OFFICE = Hours(BERLIN, (NINE_TO_SIX,) * 5 + ((), ()))
LUNCH = Hours(BERLIN, (((9 * 60, 12 * 60), (13 * 60, 18 * 60)),) * 5 + ((), ()))
XMAS = Hours(BERLIN, (NINE_TO_SIX,) * 5 + ((), ()), closed=frozenset({date(2026, 12, 25)}),
             days={date(2026, 12, 24): ((9 * 60, 13 * 60),), date(2026, 12, 26): ((10 * 60, 11 * 60),)})


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(("start", "days", "hours", "expected"), [
    ("2026-07-03T17:59", 1, OFFICE, "2026-07-06T17:59"),
    ("2026-07-03T18:00", 1, OFFICE, "2026-07-07T09:00"),
    ("2026-07-04T12:00", 1, OFFICE, "2026-07-07T09:00"),
    ("2026-07-03T08:59", 1, OFFICE, "2026-07-06T09:00"),
    ("2026-07-03T09:00:01", 2, OFFICE, "2026-07-07T09:00:01"),
    ("2026-12-23T15:00", 1, XMAS, "2026-12-24T13:00"),          # closed there then: the last closing before it
    ("2026-12-24T10:30", 1, XMAS, "2026-12-26T10:30"),          # an own Saturday counts
    ("2026-12-24T09:30", 1, XMAS, "2026-12-26T10:00"),          # before its first opening: that
    ("2026-12-24T13:00", 1, XMAS, "2026-12-28T10:00"),          # over at 13:00 sharp: from the own Saturday's 10:00
    ("2026-07-06T12:00", 1, LUNCH, "2026-07-07T13:00"),         # in the break: from 13:00
    ("2026-07-03T10:00", 0, OFFICE, "2026-07-03T10:00"),
    ("2026-07-04T10:00", 0, OFFICE, "2026-07-06T09:00"),
    ("2026-03-27T09:30", 1, OFFICE, "2026-03-30T09:30"),        # over the spring change the wall clock stays
])
def test_business_days(start: str, days: int, hours: Hours, expected: str) -> None:
    assert add_business_days(berlin(start), days, hours) == berlin(expected)


@pytest.mark.parametrize(("start", "length", "hours", "expected"), [
    ("2026-07-03T17:30", 60, OFFICE, "2026-07-06T09:30"),
    ("2026-07-03T17:00", 60, OFFICE, "2026-07-03T18:00"),       # exactly used up: the closing, not the next opening
    ("2026-07-03T18:00", 0, OFFICE, "2026-07-06T09:00"),
    ("2026-07-03T17:59:59", 0, OFFICE, "2026-07-03T17:59:59"),
    ("2026-07-06T11:30", 60, LUNCH, "2026-07-06T13:30"),
    ("2026-12-23T17:00", 5 * 60, XMAS, "2026-12-24T13:00"),
    ("2026-12-23T17:00", 6 * 60, XMAS, "2026-12-26T11:00"),
])
def test_open_time(start: str, length: int, hours: Hours, expected: str) -> None:
    assert add(berlin(start), timedelta(minutes=length), hours) == berlin(expected)


def test_round_the_clock_counts_real_time_and_its_days_the_wall_clock() -> None:
    hours = always("Europe/Berlin")
    assert add(berlin("2026-03-28T12:00"), timedelta(hours=24), hours) == berlin("2026-03-29T13:00")
    assert add_business_days(berlin("2026-03-28T12:00"), 1, hours) == berlin("2026-03-29T12:00")
    assert add_business_days(berlin("2026-07-04T12:00"), 1, hours) == berlin("2026-07-05T12:00")
    assert next_open(berlin("2026-07-05T03:00"), hours) == berlin("2026-07-05T03:00")
    assert is_open(berlin("2026-07-05T03:00"), hours)


@pytest.mark.parametrize(("wall", "instant"), [
    ("2026-03-29T02:30:00", "2026-03-29T01:00:00+00:00"),       # in the gap: the first instant after it
    ("2026-03-29T02:00:00.5", "2026-03-29T01:00:00+00:00"),
    ("2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00"),
    ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),       # in the fold: the first of the two
    ("2026-10-25T03:00:00", "2026-10-25T02:00:00+00:00"),
])
def test_wall_clocks_in_gap_and_fold(wall: str, instant: str) -> None:
    assert wall_to_utc(datetime.fromisoformat(wall), BERLIN) == datetime.fromisoformat(instant)


def test_a_business_day_into_the_gap() -> None:
    nights = Hours(BERLIN, (((0, 300),),) * 7)
    assert add_business_days(berlin("2026-03-28T02:30"), 1, nights) == berlin("2026-03-29T03:00")
    assert add_business_days(berlin("2026-10-24T02:30"), 1, nights) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_between() -> None:
    assert between(berlin("2026-07-03T17:00"), berlin("2026-07-06T10:00"), OFFICE) == timedelta(hours=2)
    assert between(berlin("2026-07-04T17:00"), berlin("2026-07-05T10:00"), OFFICE) == timedelta(0)
    assert between(berlin("2026-07-06T10:00"), berlin("2026-07-03T17:00"), OFFICE) == timedelta(0)
    assert between(berlin("2026-03-28T12:00"), berlin("2026-03-29T12:00"), always("UTC")) == timedelta(hours=23)


def test_a_calendar_that_never_opens_says_so() -> None:
    start = berlin("2026-07-03T12:00")
    for attempt in (lambda: next_open(start, Hours(BERLIN)), lambda: add(start, timedelta(hours=1), Hours(BERLIN)),
                    lambda: add_business_days(start, 1, Hours(BERLIN))):
        with pytest.raises(NeverOpens):
            attempt()
    once = Hours(BERLIN, days={date(2026, 7, 3): NINE_TO_SIX})
    with pytest.raises(NeverOpens):
        add(start, timedelta(hours=7), once)
    with pytest.raises(NeverOpens):
        add_business_days(start, 1, once)


def test_an_interval_that_a_gap_swallows_is_no_opening() -> None:
    gap = Hours(BERLIN, ((),) * 6 + (((120, 180),),))
    assert gap.openings(date(2026, 3, 29)) == ()
    assert next_open(berlin("2026-03-29T01:00"), gap) == berlin("2026-04-05T02:00")


def test_negative_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        add(berlin("2026-07-03T12:00"), timedelta(minutes=-1), OFFICE)


@pytest.mark.parametrize(("text", "spans"), [
    ("09:00-18:00", ((540, 1080),)),
    ("13:00-18:00, 9:00-12:00", ((540, 720), (780, 1080))),
    ("00:00-24:00", ((0, 1440),)),
    ("closed", ()),
    ("", ()),
])
def test_spans_are_read(text: str, spans: object) -> None:
    assert parse_spans(text) == spans


@pytest.mark.parametrize(("text", "cure"), [
    ("22:00-06:00", "22:00-24:00"), ("09:00", "09:00-18:00"), ("9-18", "09:00"), ("09:00-25:00", "24:00"),
    ("09:00-12:00,11:00-13:00", "join"), ("09:00-12:60", "24:00"), ("09:00-09:00", "ends before"),
])
def test_bad_spans_name_the_cure(text: str, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        parse_spans(text)


def test_holidays_of_countries_and_their_parts() -> None:
    assert date(2026, 10, 3) in holidays_of("DE", [2026])
    assert date(2026, 1, 6) not in holidays_of("DE", [2026])
    assert date(2026, 1, 6) in holidays_of("DE-BY", [2026])
    for unknown in ("XX", "DE-XX"):
        with pytest.raises(ValueError, match="ISO 3166"):
            holidays_of(unknown, [2026])


@pytest.mark.parametrize(("text", "shown"), [("90m", "1h30m"), ("4h", "4h"), ("1h30m", "1h30m"), ("1bd", "1bd"), ("30d", "30d"), ("0", "0"),
                                             ("0h", "0"), (" 2 BD ", "2bd")])
def test_lengths_are_read(text: str, shown: str) -> None:
    assert str(Duration.parse(text)) == shown
    assert Duration.parse(str(Duration.parse(text))) == Duration.parse(text)


@pytest.mark.parametrize("text", ["", "h", "4", "-4h", "4h1bd", "1.5h", "4 hours", "1w", "٤h", "99999999h"])
def test_bad_lengths_name_the_cure(text: str) -> None:
    with pytest.raises(ValueError, match="business days"):
        Duration.parse(text)


def test_days_run_round_the_clock() -> None:
    assert Duration.parse("2d").after(berlin("2026-07-03T18:00"), OFFICE) == berlin("2026-07-05T18:00")


# The reference: minutes are walked one by one; a boundary is passed when the clock on the wall first shows it or jumps over it.

MINUTE = timedelta(minutes=1)
DAYS = {
    "office": ((9 * 60, 18 * 60),),
    "shifts": ((0, 135), (150, 300), (23 * 60 + 15, 24 * 60)),
    "small hours": ((30, 90), (125, 155)),
    "all day": ((0, 24 * 60),),
}
CALENDARS = {
    "office": (DAYS["office"],) * 5 + ((), ()),
    "shifts": (DAYS["shifts"],) * 7,
    "small hours": ((),) * 4 + (DAYS["small hours"],) * 3,
    "weekend": ((), (), (), (), DAYS["shifts"], DAYS["all day"], DAYS["shifts"]),
}
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo")
"""A half-hour change, a gap at midnight and a fold into the day before are among them."""
BEFORE, AFTER = 3, 12
"""Days around a change that the reference walks."""


@cache
def changes() -> tuple[tuple[str, datetime], ...]:
    """Every (zone, instant to the hour before) of a change of offset from 2024 to 2030."""
    found = []
    for name in ZONES:
        zone = ZoneInfo(name)
        at, offset = datetime(2024, 1, 1, tzinfo=UTC), None
        while at.year < 2031:
            now = at.astimezone(zone).utcoffset()
            if offset is not None and now != offset:
                found.append((name, at - timedelta(hours=1)))
            at, offset = at + timedelta(hours=1), now
    return tuple(found)


@cache
def clock_on_the_wall(index: int) -> list[datetime]:
    """What it shows at each minute around a change."""
    name, change = changes()[index]
    zone, first = ZoneInfo(name), change - timedelta(days=BEFORE)
    return [(first + minute * MINUTE).astimezone(zone).replace(tzinfo=None) for minute in range((BEFORE + AFTER) * 24 * 60)]


class Reference:
    """Open or closed, minute by minute, around one change."""

    def __init__(self, index: int, week: tuple[tuple[tuple[int, int], ...], ...]) -> None:
        self.walls = clock_on_the_wall(index)
        self.first = changes()[index][1] - timedelta(days=BEFORE)
        day = (self.walls[0] - timedelta(days=2)).date()
        boundaries = []
        for _ in range(BEFORE + AFTER + 4):
            midnight = datetime.combine(day, time())
            for start, end in week[day.weekday()]:
                boundaries += [(midnight + start * MINUTE, True), (midnight + end * MINUTE, False)]
            day += timedelta(days=1)
        self.open = []
        passed, state = 0, False
        for wall in self.walls:
            while passed < len(boundaries) and boundaries[passed][0] <= wall:
                state = boundaries[passed][1]
                passed += 1
            self.open.append(state)

    def at(self, minute: int) -> datetime:
        return self.first + minute * MINUTE

    def add(self, minute: int, length: int) -> datetime:
        while length or not self.open[minute]:
            length -= self.open[minute]
            minute += 1
            if not length and self.open[minute - 1]:
                break
        return self.at(minute)

    def business_days(self, minute: int, number: int) -> datetime:
        while not self.open[minute]:
            minute += 1
        wall, day = self.walls[minute], self.walls[minute].date()
        while number:
            day += timedelta(days=1)
            number -= any(self.open[index] and at.date() == day for index, at in self._from(minute, day))
        minutes = [index for index, at in self._from(minute, day) if at.date() == day]
        target = next(index for index in range(minutes[0], len(self.walls)) if self.walls[index] >= datetime.combine(day, wall.time()))
        if self.open[target]:
            return self.at(target)
        closings = [index for index in range(minutes[0] + 1, target + 1) if self.open[index - 1] and not self.open[index]]
        return self.at(closings[-1] if closings else next(index for index in minutes if self.open[index]))

    def _from(self, minute: int, day: date) -> list[tuple[int, datetime]]:
        start = max(minute, minute + ((day - self.walls[minute].date()).days - 1) * 1440 - 120)
        return list(enumerate(self.walls[start:start + 2 * 1440 + 240], start))


@cache
def reference(index: int, calendar: str) -> tuple[Hours, Reference]:
    return Hours(ZoneInfo(changes()[index][0]), CALENDARS[calendar]), Reference(index, CALENDARS[calendar])


def test_there_are_enough_changes() -> None:
    assert len(changes()) >= 50
    assert {name for name, _ in changes()} == set(ZONES)


@settings(max_examples=600, deadline=None)
@given(index=st.integers(0, 10_000), calendar=st.sampled_from(sorted(CALENDARS)), minute=st.integers(0, 4 * 1440),
       length=st.integers(0, 240))
def test_open_time_as_the_reference_counts_it(index: int, calendar: str, minute: int, length: int) -> None:
    hours, slow = reference(index % len(changes()), calendar)
    start = slow.at(minute)
    end = add(start, timedelta(minutes=length), hours)
    assert end == slow.add(minute, length)
    assert between(start, end, hours) == timedelta(minutes=length)
    assert is_open(start, hours) == slow.open[minute]


@settings(max_examples=300, deadline=None)
@given(index=st.integers(0, 10_000), calendar=st.sampled_from(sorted(CALENDARS)), minute=st.integers(0, 4 * 1440), number=st.integers(0, 3))
def test_business_days_as_the_reference_counts_them(index: int, calendar: str, minute: int, number: int) -> None:
    hours, slow = reference(index % len(changes()), calendar)
    if number == 0:
        assert add_business_days(slow.at(minute), 0, hours) == slow.add(minute, 0)
    elif calendar != "small hours" or number == 1:
        assert add_business_days(slow.at(minute), number, hours) == slow.business_days(minute, number)


@pytest.mark.parametrize("calendar", ["shifts", "office"])
def test_every_change_from_2024_to_2030(calendar: str) -> None:
    for index, (name, change) in enumerate(changes()):
        hours, slow = reference(index, calendar)
        for minute in range((BEFORE - 1) * 1440 + 7, (BEFORE + 1) * 1440, 97):
            end = add(slow.at(minute), timedelta(minutes=300), hours)
            assert end == slow.add(minute, 300), (name, change, minute)
            assert between(slow.at(minute), end, hours) == timedelta(minutes=300)


@given(st.integers(0, 7 * 365 * 86400), st.integers(0, 30 * 3600), st.sampled_from([OFFICE, LUNCH, XMAS]))
def test_between_gives_back_what_add_took(start: int, seconds: int, hours: Hours) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    assert between(at, add(at, timedelta(seconds=seconds), hours), hours) == timedelta(seconds=seconds)
