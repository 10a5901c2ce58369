"""What the engine does after it died, failed or was told "not now": the right mail is blamed, the others go on, nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from rtmail.desk.decision import Decision
from rtmail.desk.ticket import Ticket
from rtmail.engine import engine as module
from rtmail.engine.batches import DEATHS
from rtmail.engine.engine import Engine
from rtmail.engine.intake import Intake
from rtmail.engine.keeping import Keeper
from rtmail.engine.reader import Job, ReadFailed
from rtmail.errors import Deferred
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.site import Site
from rtmail.store import OutboxRow, Settlement, SpoolItem
from tests.fakes.house import House, mail

Take = Callable[[Intake, SpoolItem, Mail, object], Settlement]


class Killed(BaseException):
    """The end of the process, as far as one test can have it."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def put(house: House, *subjects: str) -> list[int]:
    """Each of another customer."""
    envelope = Envelope("bob@acme.example", ("support@example.com",), "smtp", house.now)
    return house.store.put_many(
        [(mail(sender=f"{one}@acme.example", subject=one, text=f"About {one}.", message_id=f"<{one}@acme.example>"), envelope)
         for one in subjects])


def outcomes(house: House, ids: list[int]) -> list[str]:
    return [house.store.spool_row(spool_id).outcome for spool_id in ids]


def acknowledged(house: House) -> int:
    return sum(one.item.template == "acknowledgement" for one in house.sent())


def trouble(monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException], subject: str = "poison") -> None:
    """Whoever takes in the mail with `subject` meets `error`."""
    real: Take = Intake.take

    def take(self: Intake, item: SpoolItem, read: Mail, now: object) -> Settlement:
        if read.subject == subject:
            raise error()
        return real(self, item, read, now)

    monkeypatch.setattr(Intake, "take", take)


def live(house: House) -> None:
    """A daemon's life: take back, work until nothing is left; Killed ends it, and the next one is another engine."""
    alone_to = house.store.take_back("test")
    house.engine = Engine(house.store, house.pool, house.engine.office, "test", alone_to=alone_to)
    house.settle()


def test_what_kills_the_engine_is_found_out_and_only_it_is_blamed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(house, *(f"one{n}" for n in range(5)), "poison", *(f"two{n}" for n in range(5)))
    trouble(monkeypatch, Killed)
    deaths = 0
    while outcomes(house, ids).count("event") < 10 or not outcomes(house, ids)[5]:
        try:
            live(house)
        except Killed:
            deaths += 1
        assert deaths <= DEATHS + 2, "once in a crowd, then alone, and once over what could be read of it"
    assert outcomes(house, ids) == ["event"] * 5 + ["quarantined"] + ["event"] * 5
    assert {house.store.spool_row(spool_id).attempts for spool_id in ids if spool_id != ids[5]} == {1}, "nobody else is blamed"
    assert acknowledged(house) == 10


def test_deaths_in_a_crowd_blame_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(house, *(f"one{n}" for n in range(20)))

    def killed(name: str) -> None:
        if name == "engine-read":
            raise Killed

    for _ in range(10):
        with monkeypatch.context() as patch:
            patch.setattr(module, "failpoint", killed)
            with pytest.raises(Killed):
                house.engine.work(house.now)
        house.store.take_back("test")
    live(house)
    assert set(outcomes(house, ids)) == {"event"}
    assert acknowledged(house) == 20


def test_an_unforeseen_failure_holds_up_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(house, "one", "poison", "two")
    trouble(monkeypatch, lambda: RuntimeError("unforeseen"))
    house.settle()
    assert outcomes(house, ids) == ["event", "", "event"]
    for _ in range(2):
        house.forward(seconds=20)
        house.settle()
    assert outcomes(house, ids) == ["event", "quarantined", "event"]
    assert acknowledged(house) == 2


def test_a_reader_that_cannot_be_had_blames_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole batch failed, its mails go one by one; the one with which it fails again is tried later, the others go on."""
    ids = put(house, "one", "poison", "two")
    real = house.pool.read_many

    def read_many(jobs: Sequence[Job], site: Site) -> list[Mail | ReadFailed]:
        if any(b"Subject: poison" in raw for raw, _ in jobs):
            raise RuntimeError("a mail reader did not start")
        return real(jobs, site)

    with monkeypatch.context() as patch:
        patch.setattr(house.pool, "read_many", read_many)
        for _ in range(6):
            with suppress(RuntimeError):
                house.engine.work(house.now)
    assert outcomes(house, ids) == ["event", "", "event"]
    house.forward(seconds=20)
    house.settle()
    assert outcomes(house, ids) == ["event"] * 3
    assert acknowledged(house) == 3


def test_not_now_is_no_mails_fault(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(house, "one", "two")
    with monkeypatch.context() as patch:
        trouble(patch, Deferred, "two")
        for _ in range(10):
            with pytest.raises(Deferred):
                house.engine.work(house.now)
    house.settle()
    assert outcomes(house, ids) == ["event", "event"]
    assert [house.store.spool_row(spool_id).attempts for spool_id in ids] == [1, 1]
    assert acknowledged(house) == 2


def test_a_database_that_is_busy_for_a_moment_delays_no_deadline(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What time does on a batch of requests comes to nothing then; the claims on them must not outlast it."""
    put(house, "one", "two")
    house.settle()
    house.sent()
    house.forward(hours=4, minutes=1)
    real, troubles = Keeper.keep, [Deferred("database busy")] * 2

    def keep(self: Keeper, decision: Decision, now: datetime) -> Ticket:
        if troubles:
            raise troubles.pop()
        return real(self, decision, now)

    monkeypatch.setattr(Keeper, "keep", keep)
    for _ in range(2):
        with pytest.raises(Deferred):
            house.engine.sweep(house.now)
    assert house.engine.sweep(house.now) == 2
    assert house.engine.sweep(house.now) == 0
    assert house.sent()


def test_a_mail_from_quarantine_opens_no_second_request(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (spool_id,) = put(house, "poison")
    with monkeypatch.context() as patch:
        failures = [ValueError("a slip of ours")] * 3
        real: Take = Intake.take

        def take(self: Intake, item: SpoolItem, read: Mail, now: object) -> Settlement:
            if failures:
                raise failures.pop()
            return real(self, item, read, now)

        patch.setattr(Intake, "take", take)
        for _ in range(3):
            house.settle()
            house.forward(seconds=20)
    assert outcomes(house, [spool_id]) == ["quarantined"]
    assert house.store.by_number(1) is not None, "a request opens from what could be read"
    house.sent()
    house.store.requeue_spool(spool_id, house.now)
    house.settle()
    assert outcomes(house, [spool_id]) == ["event"]
    assert house.store.by_number(2) is None, "the mail has its request"
    assert acknowledged(house) == 0
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert "About poison." in [content.text.strip() for _, content in house.store.events(ticket.id) if content]


def fails_three_times(monkeypatch: pytest.MonkeyPatch, spool_id: int) -> None:
    """That arrival fails until it is set aside; what could be read of it is taken in."""
    real: Take = Intake.take
    failures = [ValueError("a slip of ours")] * 3

    def take(self: Intake, item: SpoolItem, read: Mail, now: object) -> Settlement:
        if item.id == spool_id and failures:
            raise failures.pop()
        return real(self, item, read, now)

    monkeypatch.setattr(Intake, "take", take)


@pytest.mark.parametrize("before", [True, False])
def test_a_mail_that_comes_twice_and_fails_once_opens_one_request(house: House, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    """Its sender never heard of our 250 and sent it again: one arrival is taken in, the other one fails three times, before or after."""
    (failing,) = put(house, "one")
    fails_three_times(monkeypatch, failing)
    good = put(house, "one") if before else []
    for _ in range(3):
        house.settle()
        house.forward(seconds=20)
    good = good or put(house, "one")
    house.settle()
    assert outcomes(house, [failing]) == ["quarantined"]
    assert house.store.by_number(2) is None, "one mail, one request"
    assert house.store.spool_row(failing).ticket == house.store.spool_row(good[0]).ticket != 0
    assert acknowledged(house) == before, "what opened from a stub is left to people"


def test_a_fate_that_cannot_be_told_holds_up_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(house, "one", "two")
    house.settle()
    told: list[int] = []

    def delivered(self: Engine, row: OutboxRow, now: object) -> None:
        if row.ticket == 1:
            raise RuntimeError("unforeseen")
        told.append(row.ticket)

    monkeypatch.setattr(Engine, "_delivered", delivered)
    house.store.run(lambda: house.store._do("UPDATE outbox SET report = 1"))
    house.sent()
    assert set(told) == {2}
    assert house.store.unreported(10) == []
