"""Who is on duty when, as a roster says it, and who stands in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rtmail.desk.absence import Absence
from rtmail.desk.decision import House
from rtmail.desk.duty import Roster, read_days, read_shift
from rtmail.desk.people import Directory, ManagementRole, Person, Queue
from rtmail.mail.site import Site

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def roster(week: Mapping[str, str], dates: Mapping[str, str] | None = None, *, daily: bool = False) -> Roster:
    shifts = tuple(read_shift(key, tuple(people.split())) for key, people in week.items())
    days = tuple(read_days(key, tuple(people.split())) for key, people in (dates or {}).items())
    return Roster("support", BERLIN, shifts, days, daily)


HOURS = roster(
    {"mon-fri 09:00-18:00": "jane kim", "mon-fri 18:00-24:00, 00:00-09:00": "max", "sat,sun": "cto"},
    {"2026-12-24 - 2026-12-26": "kim jane", "2026-12-31": "max"},
)


@pytest.mark.parametrize(("at", "people"), [
    ("2026-11-23 09:00", "jane kim"),
    ("2026-11-27 17:59", "jane kim"),
    ("2026-11-27 18:00", "max"),
    ("2026-11-23 08:59", "max"),
    ("2026-11-28 00:00", "cto"),
    ("2026-11-29 23:59", "cto"),
    ("2026-11-30 09:00", "kim jane"),
    ("2026-12-07 09:00", "jane kim"),
    ("2026-12-23 12:00", "jane kim"),
    ("2026-12-24 00:00", "kim jane"),
    ("2026-12-26 23:59", "kim jane"),
    ("2026-12-27 00:00", "cto"),
    ("2026-12-31 20:00", "max"),
    ("2026-12-28 09:00", "kim jane"),
    ("2027-01-04 09:00", "jane kim"),
])  # fmt: skip
def test_dates_come_first_then_the_week_in_turn(at: str, people: str) -> None:
    named = HOURS.named(datetime.fromisoformat(at).replace(tzinfo=BERLIN).astimezone(UTC))
    assert " ".join(named) == people


def test_turns_of_a_day_and_hours_that_nobody_serves() -> None:
    daily = roster({"mon-fri 09:00-18:00": "jane kim max"}, daily=True)
    days = [daily.named(datetime(2026, 11, day, 12, tzinfo=UTC))[:1] for day in range(23, 28)]
    assert days == [("max",), ("jane",), ("kim",), ("max",), ("jane",)]
    assert daily.named(datetime(2026, 11, 28, 12, tzinfo=UTC)) == ()


def test_every_minute_of_a_year_has_one_answer_whatever_the_clock_does() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert all(HOURS.named(start + timedelta(minutes=23 * step)) for step in range(23_000))


def test_the_next_change_is_found_to_the_minute() -> None:
    assert HOURS.next_change(datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)) == datetime(2026, 11, 23, 17, tzinfo=UTC)
    assert roster({"mon-sun": "jane"}).next_change(NOW) is None


def house(absences: Mapping[str, Absence], week: str) -> House:
    people = {key: Person(key, key, f"{key}@staff.example", party=number) for number, key in enumerate(("jane", "kim", "max", "tom"), 1)}
    directory = Directory(
        people=people,
        queues={"support": Queue("support", "s@x.example", "c@x.example", "p", duty="support"),
                "sales": Queue("sales", "t@x.example", "d@x.example", "p")},
        roles={"cto": ManagementRole("cto", "max", "tom")},
        rosters={"support": roster({"mon-sun": week})},
    )
    return House(Site("X", "X", "x.example", "a@y.example"), directory, lambda number, event: "", absences)


AWAY, SEEMS = (Absence(NOW + timedelta(days=1), declared=declared) for declared in (True, False))
GONE_BY = Absence(NOW - timedelta(days=1), declared=True)


@pytest.mark.parametrize(("absences", "week", "told"), [
    ({}, "jane kim", "jane"),
    ({"jane": AWAY}, "jane kim", "kim"),
    ({"jane": SEEMS}, "jane kim", "jane kim"),
    ({"jane": SEEMS, "kim": SEEMS}, "jane kim", "jane kim"),
    ({"jane": AWAY, "kim": AWAY}, "jane kim", ""),
    ({"jane": AWAY, "kim": SEEMS}, "jane kim tom", "kim tom"),
    ({"jane": GONE_BY}, "jane kim", "jane"),
    ({"max": AWAY}, "cto", "tom"),
    ({"max": AWAY, "tom": AWAY}, "cto jane", "jane"),
])  # fmt: skip
def test_who_is_away_is_stood_in_for(absences: Mapping[str, Absence], week: str, told: str) -> None:
    """Whoever only seems away stays, with who stands in: an out-of-office removes nobody."""
    assert " ".join(person.key for person in house(absences, week).on_duty("support", NOW)) == told


def test_a_queue_without_a_roster_has_nobody_on_duty() -> None:
    for queue in ("sales", "gone"):
        assert house({}, "jane").on_duty(queue, NOW) == ()


@pytest.mark.parametrize("text", ["", "monday", "mon-fry 09:00-18:00", "mon 18:00-09:00", "mon 9", "mon-fri 09:00-10:00, 09:30-11:00"])
def test_a_shift_that_cannot_be_read_says_why(text: str) -> None:
    with pytest.raises(ValueError, match=r": "):
        read_shift(text, ("jane",))


@pytest.mark.parametrize("text", ["", "24.12.2026", "2026-13-01", "2026-12-26 - 2026-12-24", "2026-02-30"])
def test_dates_that_cannot_be_read_say_why(text: str) -> None:
    with pytest.raises(ValueError, match=r": write"):
        read_days(text, ("jane",))
