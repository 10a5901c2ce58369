"""The daily and weekly mail: when, to whom, what it says; once a person and day, and none with nothing in it."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rtmail.desk.reports.digest import Kind, Owed, Tally, Unowned, sendings
from rtmail.desk.ticket import Event, EventKind, Status, Ticket
from rtmail.engine.digests import Digests
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.mail.writing.blocks import Block, Row, Run, bars_html, plain
from rtmail.policy.hours import Hours
from rtmail.policy.model import Digest
from rtmail.policy.rows import Clock, ClockKind, State
from rtmail.store import Store
from rtmail.ticking import Ticker
from tests.fakes.house import House, Sent, blueprint
from tests.fakes.staff import BOB, JANE, KIM, MAX, answered, opened, sent_to
from tests.fakes.stores import NOW, minutes, store, ticket_of, until, url

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Hours(BERLIN, (((540, 1080),),) * 5 + ((), ()), closed=frozenset({date(2026, 12, 25), date(2026, 11, 30)}))
BOTH = Digest("office", time(8, 30), time(8, 30), 0)


def local(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("rule", "now", "due"),
    [
        (BOTH, local(24, 8, 29), []),
        (BOTH, local(24, 8, 30), [Kind.DAILY]),
        (BOTH, local(24, 23, 59), [Kind.DAILY]),
        (BOTH, local(28, 12), []),  # a Saturday
        (BOTH, local(25, 12, month=12), []),  # a holiday
        (BOTH, local(23, 8, 30), [Kind.WEEKLY]),  # it takes the daily one's place
        (replace(BOTH, weekly=time(17)), local(23, 16), [Kind.DAILY]),
        (replace(BOTH, weekly=time(17)), local(23, 17), [Kind.WEEKLY, Kind.DAILY]),
        (BOTH, local(30, 12), []),  # a Monday that is closed ...
        (BOTH, local(1, 12, month=12), [Kind.WEEKLY]),  # ... so the weekly one comes on Tuesday
        (BOTH, local(2, 12, month=12), [Kind.DAILY]),
        (replace(BOTH, daily=None), local(24, 12), []),
        (replace(BOTH, weekly=None), local(23, 12), [Kind.DAILY]),
        (replace(BOTH, weekly_day=5), local(28, 12), []),  # on Saturdays, which are closed: on the next Monday
        (replace(BOTH, weekly_day=5), local(23, 12), [Kind.WEEKLY]),
    ],
)
def test_when_mails_are_due(rule: Digest, now: datetime, due: list[Kind]) -> None:
    assert [sending.kind for sending in sendings(rule, OFFICE, now)] == due


def test_what_a_picture_spans() -> None:
    (friday,) = sendings(BOTH, OFFICE, local(27, 9))
    assert (friday.since, friday.at, friday.until) == (local(26, 8, 30), local(27, 8, 30), local(1, 8, 30, month=12))
    (week,) = sendings(BOTH, OFFICE, local(23, 9))
    assert (week.since, week.until) == (local(16, 8, 30), local(30, 8, 30))


# In the house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path, blueprint(policy="portacare"))
    yield one
    one.close()


def digests(house: House) -> list[Sent]:
    house.engine.digest(house.now)
    return [one for one in house.sent() if one.item.template in ("daily", "weekly")]


TUESDAY = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
"""08:30 in Berlin."""


def test_nothing_to_say_no_mail(house: House) -> None:
    house.now = TUESDAY
    assert digests(house) == []


def test_each_engineer_reads_what_is_his_and_a_manager_how_promises_stand(house: House) -> None:
    notice = sent_to(opened(house, subject="Network down"), JANE, "opened")
    answered(house, notice, "take\n\nWe are on it.")
    opened(house, subject="Second one")
    house.forward(hours=2)
    house.sweep()
    house.now = TUESDAY - timedelta(seconds=1)
    house.sweep()
    house.sent()
    assert digests(house) == [], "not before its hour"
    house.now = TUESDAY
    sent = digests(house)
    assert {one.item.recipient for one in sent} == {JANE, KIM, MAX}

    jane = sent_to(sent, JANE)
    assert "#1 " in jane.text
    assert "Network down" in jane.text
    assert "Second one" not in jane.text.partition("Nobody's")[0]
    assert "Promises since" not in jane.text, "she manages nobody"
    assert jane["X-Auto-Response-Suppress"] == "DR, RN, NRN"
    assert jane["Auto-Submitted"] == "auto-generated"
    assert jane["From"] == "Example <support-comment@example.com>"
    manager = sent_to(sent, MAX)
    assert "Promises since Mon 23 Nov 2026, 07:30 UTC" in manager.text
    assert "Jane Doe" in manager.text
    assert "Missed\n" in manager.text.replace("\r\n", "\n")
    assert "Yours" not in manager.text
    for one in sent:
        assert all(len(line) < 80 for line in one.text.splitlines() if "ref:" not in line)


def test_once_a_person_and_day_over_restarts_and_two_daemons(house: House) -> None:
    opened(house)
    house.now = TUESDAY
    other = Engine(house.store, house.pool, Office(house.plan, house.store, house.now), "other")
    assert len(digests(house)) == 2
    assert other.digest(house.now) == 0
    house.forward(minutes=-45)
    assert Engine(house.store, house.pool, Office(house.plan, house.store, house.now), "again").digest(house.now) == 0, "a clock set back"
    house.now = TUESDAY + timedelta(hours=3)
    assert digests(house) == []
    house.now = TUESDAY + timedelta(days=1)
    assert len(digests(house)) == 2


def test_the_weekly_one_shows_the_days_as_bars_without_any_remote_part(house: House) -> None:
    opened(house)
    house.forward(hours=3)
    house.sweep()
    house.now = TUESDAY + timedelta(days=6)
    weekly = sent_to(digests(house), MAX, "weekly")
    assert "Promises day by day" in weekly.text
    assert "Mon 23  ====" in weekly.text or "Mon 23  ####" in weekly.text
    html = str(weekly.mail.get_body(("html",)).get_content())  # type: ignore[attr-defined]
    assert 'bgcolor="#c62828"' in html
    assert "http:" not in html
    assert "src=" not in html


def test_a_failing_mail_is_not_taken_for_sent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(house)
    house.now = TUESDAY
    with monkeypatch.context() as broken:
        broken.setattr(Digests, "_post", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            house.engine.digest(house.now)
    assert len(digests(house)) == 2


# The store, on both engines


def clock(kind: ClockKind, state: State, due: datetime, *, settled: datetime | None = None, generation: int = 1) -> Clock:
    return Clock(kind, generation, state, "P1", "always", NOW, due, settled_at=settled)


def owned(store: Store, owner: int, *clocks: Clock, priority: str = "P1") -> Ticket:
    ticket = ticket_of(store)
    after = replace(ticket, owner=owner, priority=priority, clocks=clocks, events=ticket.events + 1)
    event = Event(after.events, NOW, EventKind.OWNER, "internal", 0, {"new": owner})  # type: ignore[arg-type]
    store.save(ticket, after, [(event, None)])
    return after


def test_promises_are_counted(store: Store) -> None:
    hour = minutes(60)
    one = owned(store, 7, clock(ClockKind.FIRST_RESPONSE, State.MET, NOW + hour, settled=NOW + minutes(5)),
                clock(ClockKind.UPDATE, State.RUNNING, NOW + 3 * hour), clock(ClockKind.LADDER, State.RUNNING, NOW + hour))
    two = owned(store, 0, clock(ClockKind.TRIAGE, State.MISSED, NOW + minutes(30)),
                clock(ClockKind.FIRST_RESPONSE, State.RUNNING, NOW + 2 * hour), priority="")
    slot = NOW + minutes(0)
    found = store.tallies(NOW, NOW + hour, NOW + 4 * hour)
    assert sorted(found, key=lambda tally: (tally.state, tally.owner)) == [
        Tally("met", slot, "P1", 7, 1),
        Tally("missed", NOW + minutes(30), "", 0, 1),
        Tally("running", NOW + 2 * hour, "", 0, 1),
        Tally("running", NOW + 3 * hour, "P1", 7, 1),
    ]
    assert store.owed(7) == [Owed(one.number, "Printer down", "new", "P1", "update", NOW + 3 * hour)]
    assert store.owed(0) == []
    assert store.unowned() == [Unowned("support", 1, NOW + 2 * hour)]
    assert [(lost.number, lost.promise) for lost in store.lost(NOW, NOW + hour, 5)] == [(two.number, "triage")]


# Tables and bars


def test_a_table_keeps_within_eighty_columns() -> None:
    cells = [("Request", "Subject"), ("#1", "x" * 200)]
    text = plain([Block("table", lines=tuple(tuple(Run(cell) for cell in line) for line in cells))])
    assert max(map(len, text.splitlines())) == 78
    assert text.splitlines()[0] == "Request  Subject"
    assert text.endswith("…")


def test_bars_are_as_long_as_their_numbers() -> None:
    block = Block("bars", lines=((Run("kept"), Run("missed")),),
                  rows=(Row("Mon", (Run("30"), Run("10"))), Row("Tue", (Run("20"), Run("0"))), Row("Wed", (Run("0"), Run("0")))))
    assert plain([block]).splitlines() == [
        "Mon  " + "=" * 30 + "#" * 10 + " 30 kept, 10 missed",
        "Tue  " + "=" * 20 + " 20 kept",
        "Wed  -",
    ]
    html = bars_html(block)
    assert 'width="75%"' in html
    assert 'width="25%"' in html
    assert 'width="50%"' in html


def test_a_daemon_that_starts_sends_the_mornings_mails_before_it_takes_in_what_is_new() -> None:
    """A request that came right after the start stood in the picture of that morning."""
    did: list[str] = []

    class Noted:
        """An engine and a store that do nothing."""

        def __getattr__(self, name: str) -> Callable[..., Any]:
            return lambda *_: [] if name == "pauses" else did.append(name) or 0

    noted: Any = Noted()
    ticker = Ticker(noted, lambda: NOW, noted, list)
    ticker.start()
    until(lambda: "work" in did)
    ticker.stop(10)
    assert did[0] == "digest"
