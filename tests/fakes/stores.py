"""Fixtures of the store's suite: every test runs on both engines, each on an empty database of its own.

Import the fixtures by name into a test module (`url`, `store`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.desk.ticket import Event, EventKind, Status, Ticket, apply
from rtmail.mail.model import Envelope
from rtmail.mail.writing.draft import Visibility
from rtmail.store import Content, Store
from tests.fakes.postgres import Cluster, PostgresMissingError, shared

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ENVELOPE = Envelope("ann@customer.example", ("support@example.com",), "smtp", NOW, peer="192.0.2.7", helo="mx.customer.example")


def cluster() -> Cluster:
    """Return the session's PostgreSQL; without one the test fails under CI=true and is skipped by name elsewhere."""
    try:
        return shared()
    except PostgresMissingError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'rtmail.db'}"
        return
    server = cluster()
    database = server.database()
    yield database
    server.drop(database)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    opened.open()
    yield opened
    opened.close()


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def ticket_of(store: Store, *, person: int = 0, wake_at: datetime | None = None, words: str = "It smokes.") -> Ticket:
    """Keep a ticket opened by `person`, who becomes its requestor."""
    ticket = Ticket(0, store.next_number(), "support", "Printer down", Status.NEW, NOW, 1)
    events: list[tuple[Event, Content | None]] = [
        (Event(1, NOW, EventKind.OPENED, Visibility.PUBLIC, person, message_id=f"<{ticket.number}@customer.example>"),
         Content("Printer down", words, party=person))]
    if person:
        events.append((Event(2, NOW, EventKind.JOINED, Visibility.PUBLIC, 0, {"person": person, "role": "requestor"}), None))
    for event, _ in events:
        ticket = apply(ticket, event)
    return store.create(ticket, events, wake_at=wake_at)


def add_event(store: Store, ticket: Ticket, kind: EventKind, *, content: Content | None = None, wake_at: datetime | None = None,
              **facts: object) -> Ticket:
    """Put one more event on a ticket and return it as it is then."""
    event = Event(ticket.events + 1, NOW + minutes(ticket.events), kind, Visibility.PUBLIC, 0, facts)
    after = apply(ticket, event)
    store.save(ticket, after, [(event, content)], wake_at=wake_at)
    return after if after.participants == ticket.participants else replace(after, participants=store.ticket(ticket.id).participants)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Return once `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
