"""Business-hours arithmetic: when a calendar is open, and what so much open time from an instant comes to.

A calendar is open intervals of local wall clock per weekday, in a zone, minus closed dates, with days of their own hours.
Instants are aware datetimes and results UTC; what is counted is real elapsed time. Intervals are half-open: at 18:00 sharp
a 09:00-18:00 day is over. A wall clock inside a DST gap is the first instant after the gap, in a fold the first of the two.
Called by `policy.clocks` and `policy.schema`; the only door to the `holidays` library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import ClassVar
from zoneinfo import ZoneInfo

from rtmail.errors import RtmailError

DAY_MINUTES = 24 * 60
HORIZON_DAYS = 400
"""How far an opening is looked for: a year and a month holds every yearly pattern."""

Span = tuple[int, int]
"""An open interval in minutes since local midnight, the end excluded; 1440 is the next midnight."""


class NeverOpens(RtmailError):  # noqa: N818
    """The calendar has no opening within HORIZON_DAYS."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When a calendar is open.

    zone    IANA zone of the wall clock
    week    spans of each weekday, Monday first, each in order and without overlap
    closed  dates without any opening (holidays and own dates)
    days    dates with hours of their own; they win over `week` and `closed`
    always  open at every instant; only the zone counts then, for business days
    """

    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...] = ((),) * 7
    closed: frozenset[date] = frozenset()
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    always: bool = False
    utc: ClassVar[timezone] = UTC

    def spans(self, day: date) -> tuple[Span, ...]:
        """Return the local open spans of `day`, in order."""
        if self.always:
            return ((0, DAY_MINUTES),)
        if day in self.days:
            return self.days[day]
        return () if day in self.closed else self.week[day.weekday()]

    def openings(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """Return the open intervals of local date `day` as UTC instants; one that a DST gap swallows whole is left out."""
        pairs = ((self._instant(day, start), self._instant(day, end)) for start, end in self.spans(day))
        return tuple((start, end) for start, end in pairs if start < end)

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def _instant(self, day: date, minutes: int) -> datetime:
        if minutes == DAY_MINUTES:
            day, minutes = day + timedelta(days=1), 0
        return wall_to_utc(datetime(day.year, day.month, day.day, minutes // 60, minutes % 60), self.zone)  # noqa: DTZ001


def always(zone: str) -> Hours:
    """Return the calendar that never closes, with business days of `zone`."""
    return Hours(zone=ZoneInfo(zone), always=True)


def wall_to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant at which the clock on the wall in `zone` first shows naive `wall`, or jumps over it."""
    aware = wall.replace(tzinfo=zone, fold=0)
    instant = aware.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # Inside a gap fold=1 reads the wall clock with the offset after it (an instant before the gap) and fold=0 with the
    # offset before it (an instant after the gap): the jump lies between the two, found by halving.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant
    offset_after = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset_after:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def _intervals(start: datetime, hours: Hours) -> Iterator[tuple[datetime, datetime]]:
    """Yield the open intervals that end after `start`, in order, until HORIZON_DAYS pass without one. Raises NeverOpens."""
    day = hours.local(start).date()
    barren = 0
    while barren <= HORIZON_DAYS:
        openings = hours.openings(day)
        yield from ((opens, closes) for opens, closes in openings if closes > start)
        barren = 0 if openings else barren + 1
        day += timedelta(days=1)
    raise NeverOpens(f"no opening within {HORIZON_DAYS} days after {start.isoformat()}")


def is_open(at: datetime, hours: Hours) -> bool:
    """Tell whether the calendar is open at `at`."""
    return hours.always or any(opens <= at < closes for opens, closes in hours.openings(hours.local(at).date()))


def next_open(at: datetime, hours: Hours) -> datetime:
    """Return `at` when open then, else the next opening. Raises NeverOpens."""
    at = at.astimezone(UTC)
    if hours.always:
        return at
    opens, _ = next(_intervals(at, hours))
    return max(at, opens)


def add(start: datetime, open_time: timedelta, hours: Hours) -> datetime:
    """Return the first instant at which `open_time` of open hours has passed since `start`.

    start      aware, any zone; the result is UTC
    open_time  >= 0; zero gives `start`, or the next opening when `start` is closed
    Raises NeverOpens when `hours` has no opening within HORIZON_DAYS.
    """
    if open_time < timedelta(0):
        raise ValueError("open_time must not be negative")
    start = start.astimezone(UTC)
    if hours.always:
        return start + open_time
    if not open_time:
        return next_open(start, hours)
    left = open_time
    for opens, closes in _intervals(start, hours):
        opens = max(opens, start)
        if left <= closes - opens:
            return opens + left
        left -= closes - opens
    raise NeverOpens(f"no opening within {HORIZON_DAYS} days after {start.isoformat()}")


def between(start: datetime, end: datetime, hours: Hours) -> timedelta:
    """Return how much open time lies between two instants; zero when `end` is not after `start`."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        return timedelta(0)
    if hours.always:
        return end - start
    total = timedelta(0)
    day, last = hours.local(start).date(), hours.local(end).date()
    while day <= last:
        for opens, closes in hours.openings(day):
            total += max(timedelta(0), min(closes, end) - max(opens, start))
        day += timedelta(days=1)
    return total


def add_business_days(start: datetime, number: int, hours: Hours) -> datetime:
    """Return the instant `number` business days after `start`.

    In hours: the same wall clock on the number-th next open day; closed there then: the last closing before it on that day,
    else that day's first opening. Out of hours: from the next opening. Raises NeverOpens.
    """
    start = next_open(start, hours)
    if number == 0:
        return start
    wall = hours.local(start).replace(tzinfo=None)
    day, openings = _open_day(wall.date(), number, hours)
    target = wall_to_utc(wall.replace(year=day.year, month=day.month, day=day.day, fold=0), hours.zone)
    if any(opens <= target < closes for opens, closes in openings):
        return target
    return max((closes for _, closes in openings if closes <= target), default=openings[0][0])


def _open_day(day: date, number: int, hours: Hours) -> tuple[date, tuple[tuple[datetime, datetime], ...]]:
    """Return the number-th open date after `day`, with its openings."""
    barren = 0
    while barren <= HORIZON_DAYS:
        day += timedelta(days=1)
        openings = hours.openings(day)
        barren = 0 if openings else barren + 1
        number -= bool(openings)
        if number == 0:
            return day, openings
    raise NeverOpens(f"no open day within {HORIZON_DAYS} days before {day.isoformat()}")


def parse_spans(text: str) -> tuple[Span, ...]:
    """Return the spans of one day from `09:00-12:00, 13:00-18:00`, in order; `closed` and "" are none.

    Raises ValueError, its words the cure, when an interval is malformed, empty, past midnight or overlaps another.
    """
    if text.strip().lower() in ("", "closed"):
        return ()
    spans = tuple(sorted(_parse_span(part) for part in text.split(",")))
    if any(second[0] < first[1] for first, second in pairwise(spans)):
        raise ValueError(f"the intervals of {text!r} overlap: join them into one")
    return spans


def _parse_span(text: str) -> Span:
    start, dash, end = (part.strip() for part in text.partition("-"))
    if not dash:
        raise ValueError(f'{text.strip()!r} is no interval: write "09:00-18:00"')
    opens, closes = _parse_wall(start), _parse_wall(end)
    if closes <= opens:
        raise ValueError(f"{text.strip()!r} ends before it begins: write hours past midnight as \"{start}-24:00\" "
                         f"and, for the next day, \"00:00-{end}\"")
    return opens, closes


def _parse_wall(text: str) -> int:
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isascii() and hour.isdigit() and minute.isascii() and minute.isdigit() and len(minute) == 2):
        raise ValueError(f'{text!r} is no time of day: write "09:00"')
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > DAY_MINUTES:
        raise ValueError(f"{text!r} is no time of day: it runs from 00:00 to 24:00")
    return minutes


def holidays_of(code: str, years: Iterable[int]) -> frozenset[date]:
    """Return the public holidays of `DE` or, with a subdivision, `DE-BY` in `years`, observed days included.

    Raises ValueError for a code that the library does not know.
    """
    import holidays  # a slow import, wanted only by calendars that name a country

    country, _, subdivision = code.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=list(years)))
    except NotImplementedError:
        raise ValueError(f'no holidays are known for {code!r}: write an ISO 3166 code such as "DE", "DE-BY" or "US-CO"') from None


def yearly(code: str, at: datetime) -> tuple[date, ...]:
    """Return the public holidays of a country from the year of `at` on, for as long as a request may live; () for an unknown code."""
    try:
        return tuple(sorted(holidays_of(code, range(at.year, at.year + 3))))
    except ValueError:
        return ()
