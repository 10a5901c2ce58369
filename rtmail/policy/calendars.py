"""The `[calendars.NAME]` tables of a policy -> Hours: weekdays, days of their own, closed dates, holidays of a country.

Called by `policy.schema`. Holidays come from a source that is handed in: the library for a new text, the stored list for a version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rtmail.policy.hours import HORIZON_DAYS, Hours, NeverOpens, Span, always, next_open, parse_spans
from rtmail.policy.model import ALWAYS
from rtmail.policy.table import Problems, Table, listed, suggestion

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
REFERENCE = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday from which calendars are tried out, and lengths on different ones compared."""

HolidaySource = Callable[[str, tuple[str, ...]], frozenset[date]]
"""Calendar name and holiday codes -> dates; raises ValueError for an unknown code."""


class Calendars:
    """The calendars of one policy as they are read; "always" is there from the start.

    hours     by name
    holidays  the expanded dates of those that name a country; observing: those closed on the customer's own holidays too
    """

    def __init__(self, problems: Problems, timezone: str, source: HolidaySource) -> None:
        self._problems = problems
        self._timezone = timezone
        self._source = source
        self.hours: dict[str, Hours] = {ALWAYS: always(timezone)}
        self.holidays: dict[str, tuple[date, ...]] = {}
        self.observing: list[str] = []

    def read(self, name: str, table: Table) -> None:
        """Add the calendar that a table describes; one with mistakes is noted and never closes, so that nothing trips over it."""
        if name == ALWAYS:
            table.complain(None, 'the calendar "always" is built in', "give yours another name")
            return
        zone = self._zone(table)
        week, days = self._week(table)
        closed = frozenset(self._closed(table))
        codes = table.names("holidays")
        if table.flag("customer_holidays", False):
            self.observing.append(name)
        try:
            holidays = self._source(name, codes)
        except ValueError as error:
            what, _, cure = str(error).partition(": ")
            table.complain("holidays", what, cure)
            holidays = frozenset()
        table.done("mon-fri", *WEEKDAYS)
        if codes:
            self.holidays[name] = tuple(sorted(holidays))
        hours = Hours(zone=zone, week=week, closed=(holidays | closed) - days.keys(), days=days)
        self.hours[name] = hours
        if not any(week):
            table.complain(None, f'the calendar "{name}" never opens', 'give it hours: mon-fri = "09:00-18:00"')
            self.hours[name] = always(self._timezone)
        elif (since := _shut(hours)) is not None:
            what = f'the calendar "{name}" has no opening for more than {HORIZON_DAYS} days from {since}'
            table.complain(None, what, "open it on a day between, or take dates away: no promise could be reckoned over them")
            self.hours[name] = always(self._timezone)

    def _zone(self, table: Table) -> ZoneInfo:
        name = table.text("timezone", self._timezone)
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            table.complain("timezone", f"no time zone is named {name!r}", 'write an IANA name such as "Europe/Berlin" or "UTC"')
            return ZoneInfo("UTC")

    def _week(self, table: Table) -> tuple[tuple[tuple[Span, ...], ...], dict[date, tuple[Span, ...]]]:
        """Weekday keys ("mon", "mon-fri", "sat,sun") and dates with hours of their own ("2026-12-24")."""
        week: list[tuple[Span, ...] | None] = [None] * 7
        days: dict[date, tuple[Span, ...]] = {}
        for key in table.values:
            numbers = weekdays(key)
            day = _as_date(key)
            if numbers is None and day is None:
                continue
            spans = self._spans(table, key)
            if day is not None:
                days[day] = spans
            for weekday in numbers or ():
                if week[weekday] is not None:
                    table.complain(key, f"{WEEKDAYS[weekday]} has hours twice", "let each weekday stand in one key only")
                week[weekday] = spans
        return tuple(spans or () for spans in week), days

    def _spans(self, table: Table, key: str) -> tuple[Span, ...]:
        texts = table.names(key)
        try:
            return parse_spans(",".join(texts))
        except ValueError as error:
            what, _, cure = str(error).partition(": ")
            table.complain(key, what, cure)
            return ()

    def _closed(self, table: Table) -> Iterable[date]:
        for index, value in enumerate(table.take("closed", list, 'a list of dates: ["2026-12-24"]') or []):
            day = value if type(value) is date else _as_date(value) if isinstance(value, str) else None
            if day is None:
                self._problems.complain((*table.path, "closed", index), f"closed holds {value!r}", 'write dates as "2026-12-24"')
            else:
                yield day

    def named(self, table: Table, key: str, default: str) -> str:
        """The calendar that `key` names; it must be there."""
        name = table.text(key, default)
        if name not in self.hours:
            cure = suggestion(name, self.hours, f"write one of {listed(self.hours)}, or add [calendars.{name}]")
            table.complain(key, f"{table.named(key)} names no calendar: {name!r}", cure)
            return ALWAYS
        return name


def _shut(hours: Hours) -> date | None:
    """The first date from which the calendar stays shut beyond the horizon, None for a sound one."""
    last = REFERENCE.date() - timedelta(days=1)
    for day in sorted({REFERENCE.date(), *hours.closed, *(day for day, spans in hours.days.items() if not spans)}):
        if day - last == timedelta(days=1) and day != REFERENCE.date():
            last = day
            continue  # the day before was looked at, and found an opening beyond this one
        last = day
        try:
            next_open(datetime(day.year, day.month, day.day, tzinfo=UTC), hours)
        except NeverOpens:
            return day
    return None


def weekdays(key: str) -> list[int] | None:
    """Weekday numbers of "mon", "mon-fri" or "sat,sun"; None for any other key."""
    found: list[int] = []
    for part in key.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            return None
        start = WEEKDAYS.index(first)
        count = (WEEKDAYS.index(last) - start) % 7 if dash else 0
        found += [(start + step) % 7 for step in range(count + 1)]
    return found


def _as_date(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
