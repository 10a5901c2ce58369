"""The monthly statement of time worked for one customer: which month is due when, what it says, and its rows as a table. Pure.

A request is the customer's whom its terms name, else whom its requestor's address does. Nobody of the staff is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rtmail.desk.people import Directory, Organisation
from rtmail.mail.writing.table_csv import Cell
from rtmail.policy.hours import wall_to_utc

TITLES = ("date", "request", "subject", "requestor", "minutes", "billable_minutes")


@dataclass(frozen=True, slots=True)
class Worked:
    """One note of time worked on a request; `organisation` is what its terms name, "" for nothing. Taken back, minutes are negative."""

    at: datetime
    number: int
    subject: str
    requestor: str
    organisation: str
    minutes: int
    billable: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month on somebody's wall clock, by its first day, and its bounds as instants."""

    first: date
    since: datetime
    until: datetime

    @property
    def name(self) -> str:
        """As "2026-11"."""
        return f"{self.first:%Y-%m}"


def month_of(day: date, zone: ZoneInfo) -> Month:
    """Return the month that `day` lies in."""
    first = day.replace(day=1)
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    since, until = (wall_to_utc(datetime.combine(one, time()), zone) for one in (first, after))
    return Month(first, since, until)


def zone_of(one: Organisation, site: ZoneInfo) -> ZoneInfo:
    return ZoneInfo(one.timezone) if one.timezone else site


def due(one: Organisation, at: time, now: datetime, site: ZoneInfo) -> Month | None:
    """Return the month of which `one` is to have its statement by now: the last one, from `at` on the first day of this one."""
    zone = zone_of(one, site)
    local = now.astimezone(zone)
    this = month_of(local.date(), zone)
    if now < wall_to_utc(datetime.combine(this.first, at), zone):
        return None
    before = date(this.first.year - (this.first.month == 1), (this.first.month - 2) % 12 + 1, 1)
    return month_of(before, zone)


def named(name: str, one: Organisation, zone: ZoneInfo, now: datetime) -> Month:
    """Return the month that somebody names ("2026-11"); "" is the last whole one. Raises ValueError."""
    own = zone_of(one, zone)
    if name:
        return month_of(date.fromisoformat(f"{name}-01"), own)
    this = month_of(now.astimezone(own).date(), own)
    return month_of(this.first - timedelta(days=1), own)


def of(one: Organisation, worked: Iterable[Worked], directory: Directory) -> list[Worked]:
    """Return what of `worked` is of this customer's requests."""
    def customer(row: Worked) -> str:
        found = None if row.organisation else directory.organisation_of(row.requestor) if row.requestor else None
        return row.organisation or (found.key if found else "")

    return [row for row in worked if customer(row) == one.key]


def facts(one: Organisation, month: Month, worked: Iterable[Worked], site: ZoneInfo) -> dict[str, Any]:
    """Return what the statement says: its totals in minutes, and one row a request, in order of number."""
    zone, rows = zone_of(one, site), sorted(worked, key=lambda row: row.number)
    numbers = dict.fromkeys(row.number for row in rows)
    requests = []
    for number in numbers:
        some = [row for row in rows if row.number == number]
        requests.append({
            "number": number, "subject": some[0].subject, "requestor": some[0].requestor,
            "days": sorted({f"{row.at.astimezone(zone):%d.%m.}" for row in some}),
            **_sums(some),
        })  # fmt: skip
    return {"organisation": one.name or one.key, "month": month.name, "requests": requests, **_sums(rows)}


def _sums(rows: Iterable[Worked]) -> dict[str, int]:
    some = list(rows)
    return {"minutes": sum(row.minutes for row in some), "billable": sum(row.minutes for row in some if row.billable)}


def table(one: Organisation, worked: Iterable[Worked], site: ZoneInfo) -> list[tuple[Cell, ...]]:
    """Return one row a note, under `TITLES`, days on the customer's wall clock."""
    zone = zone_of(one, site)
    return [
        (f"{row.at.astimezone(zone):%Y-%m-%d}", row.number, row.subject, row.requestor, row.minutes, row.minutes if row.billable else 0)
        for row in worked
    ]
