"""`wait until Fri 9:00`: the request waits for the customer, and is ours again by itself when nothing came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.desk.ticket import Status
from rtmail.policy.clocks import ClockKind, State
from tests.fakes.house import House, Sent, blueprint
from tests.fakes.staff import BOB, JANE, answered, opened, request, sent_to

FRIDAY = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, blueprint(policy="portacare"))
    yield made
    made.close()


@pytest.fixture
def waiting(house: House) -> tuple[House, Sent, Sent]:
    """A request that was answered after ten minutes and waits until Friday; the engineer's notice, the customer's mail."""
    notice = sent_to(opened(house), JANE, "opened")
    house.forward(minutes=10)
    sent = answered(house, notice, "Priority: P2\ntake\nwait until Fri 9:00\n\nWhich model is it?")
    said = " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert "request #1 is waiting; if nothing comes until Fri 27 Nov 09:00 UTC it is open again, and you are told" in said
    return house, notice, sent_to(sent, BOB, "words")


def swept(house: House, at: datetime) -> list[Sent]:
    """What goes out while time passes up to an instant."""
    while (wake := house.store.next_wake_at()) is not None and wake <= at:
        house.now = max(wake, house.now)
        house.sweep()
    house.now = at
    house.sweep()
    return house.sent()


def test_nothing_came_and_it_is_open_again_with_its_clocks(waiting: tuple[House, Sent, Sent]) -> None:
    house, _, _ = waiting
    assert request(house).waits_until == FRIDAY
    (update,) = [clock for clock in request(house).clocks if clock.kind is ClockKind.UPDATE]
    assert update.state is State.PAUSED
    before = [one for one in swept(house, FRIDAY - timedelta(seconds=1)) if one.item.template == "wait-over"]
    assert (request(house).status, before) == (Status.WAITING, [])
    told = sent_to(swept(house, FRIDAY), JANE, "wait-over")
    assert request(house).status is Status.OPEN
    assert "You waited for the customer until Fri 27 Nov 2026, 09:00 UTC, and nothing came." in " ".join(told.text.split())
    assert "Last heard from us: Mon 23 Nov 2026, 09:10 UTC" in told.text
    assert told["Reply-To"].count("support+") == 1, "an answer goes to the customer"
    update = [clock for clock in request(house).clocks if clock.kind is ClockKind.UPDATE][-1]
    assert (update.state, update.due_at) == (State.RUNNING, FRIDAY + timedelta(hours=2)), "the time of waiting does not count"
    assert [one for one in swept(house, FRIDAY + timedelta(minutes=5)) if one.item.template == "wait-over"] == [], "once"
    sent = answered(house, told, "Hello, are you still there?")
    assert sent_to(sent, BOB, "words")


def test_his_words_end_the_wait_before(waiting: tuple[House, Sent, Sent]) -> None:
    house, _, words = waiting
    house.forward(hours=3)
    answered(house, words, "A LaserJet 4.")
    assert (request(house).status, request(house).waits_until) == (Status.OPEN, None)
    answered(house, sent_to(opened(house, subject="Other"), JANE, "opened"), "wait")
    assert "wait-over" not in {one.item.template for one in swept(house, FRIDAY)}


def test_a_later_word_moves_the_instant_or_takes_it_away(waiting: tuple[House, Sent, Sent]) -> None:
    house, notice, _ = waiting
    answered(house, notice, "wait until Mon 8:00")
    assert request(house).waits_until == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    sent = answered(house, notice, "wait")
    assert "waiting, until its requestor writes" in " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert request(house).waits_until is None
    swept(house, FRIDAY)
    assert request(house).status is Status.WAITING


@pytest.mark.parametrize(("line", "why"), [
    ("wait until 2020-01-01", "has passed"), ("wait until 2030-01-01", "more than a year ahead"),
])
def test_what_cannot_be_meant_is_refused_and_nothing_waits(house: House, line: str, why: str) -> None:
    sent = answered(house, sent_to(opened(house), JANE, "opened"), line)
    assert why in " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert request(house).status is not Status.WAITING


def test_a_closed_request_waits_for_nobody(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "close")
    sent = answered(house, notice, "wait until Fri")
    assert "a request that is closed cannot become waiting" in " ".join(sent_to(sent, JANE, "receipt").text.split())


def test_replaying_the_events_gives_the_request(waiting: tuple[House, Sent, Sent]) -> None:
    house, _, _ = waiting
    swept(house, FRIDAY)
    assert house.store.replayed(request(house).id) == request(house)
