"""Who is on duty when: a roster of weekly shifts and of dates, as a sysadmin writes it in rtmail.toml.

A roster names people or roles; who of them is there, and who stands in, is `decision.House.on_duty`'s to say. Wall clocks are
those of the roster's zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from rtmail.policy.calendars import weekdays
from rtmail.policy.hours import Span, parse_spans

_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\s*(?:-|\.\.)\s*(\d{4}-\d{2}-\d{2}))?")
_WHOLE_DAY: tuple[Span, ...] = ((0, 24 * 60),)


@dataclass(frozen=True, slots=True)
class Shift:
    """Weekdays (0 is Monday), spans of minutes of the day, and the keys of who serves them in turn."""

    days: frozenset[int]
    spans: tuple[Span, ...]
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Days:
    """Dates from `first` to `last`, both whole, and who serves them."""

    first: date
    last: date
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """Shifts and dates of one duty; dates come first, then the first shift that fits. `daily`: turns last a day, else a week."""

    name: str
    zone: ZoneInfo
    shifts: tuple[Shift, ...] = ()
    days: tuple[Days, ...] = ()
    daily: bool = False

    def named(self, now: datetime) -> tuple[str, ...]:
        """Return the keys of who is on duty at `now`, then of who stands in for him, in order; () while nobody is."""
        local = now.astimezone(self.zone)
        today, minute = local.date(), local.hour * 60 + local.minute
        for days in self.days:
            if days.first <= today <= days.last:
                return days.people
        for shift in self.shifts:
            if today.weekday() in shift.days and any(start <= minute < end for start, end in shift.spans):
                return self._in_turn(shift.people, today)
        return ()

    def next_change(self, now: datetime, within: timedelta = timedelta(days=28)) -> datetime | None:
        """Return the next minute at which somebody else is on duty, None for none that soon."""
        first, minute = self.named(now)[:1], timedelta(minutes=1)
        start = now.replace(second=0, microsecond=0)
        instants = (start + minute * step for step in range(1, within // minute + 1))
        return next((at for at in instants if self.named(at)[:1] != first), None)

    def _in_turn(self, people: tuple[str, ...], today: date) -> tuple[str, ...]:
        """Weeks begin on Monday: day 1 of the proleptic calendar was one."""
        turn = today.toordinal() if self.daily else (today.toordinal() - 1) // 7
        at = turn % len(people)
        return people[at:] + people[:at]


def read_shift(text: str, people: tuple[str, ...]) -> Shift:
    """Return the shift that "mon-fri 09:00-18:00" or "sat,sun" names. Raises ValueError: what is wrong, ": ", how to mend it."""
    named, _, hours = text.strip().partition(" ")
    days = weekdays(named)
    if days is None:
        raise ValueError(f'{named!r} names no weekdays: write "mon-fri 09:00-18:00", or "sat,sun" for whole days')
    spans = parse_spans(hours) if hours.strip() else _WHOLE_DAY
    return Shift(frozenset(days), spans, people)


def read_days(text: str, people: tuple[str, ...]) -> Days:
    """Return the dates that "2026-12-24" or "2026-12-24 - 2026-12-26" names. Raises ValueError likewise."""
    match = _DATES.fullmatch(text.strip())
    cure = 'write "2026-12-24", or "2026-12-24 - 2026-12-26"'
    try:
        first = date.fromisoformat(match[1]) if match else None
        last = date.fromisoformat(match[2]) if match and match[2] else first
    except ValueError:
        first = last = None
    if first is None or last is None:
        raise ValueError(f"{text!r} is no date: {cure}")
    if last < first:
        raise ValueError(f"{text!r} ends before it begins: {cure}")
    return Days(first, last, people)
