"""How the engine works off many mails: in few commits, the next ones read meanwhile, and who hands over a mail waits for one at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from rtmail.engine import batches
from rtmail.engine.batches import BATCH
from rtmail.engine.engine import STEPS_BACK_SECONDS, STORM, Engine
from rtmail.engine.intake import Intake
from rtmail.engine.reader import Job, ReadFailed
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.site import Site
from rtmail.store import Settlement, SpoolItem
from rtmail.store.turns import Turn
from tests.fakes.house import House, mail
from tests.fakes.stores import until

SECONDS = 30


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def put(house: House, count: int, name: str = "one") -> list[int]:
    envelope = Envelope("bob@acme.example", ("support@example.com",), "smtp", house.now)
    return house.store.put_many(
        [(mail(sender=f"{name}{n}@acme.example", subject=f"{name} {n}", message_id=f"<{name}{n}@acme.example>"), envelope)
         for n in range(count)])  # fmt: skip


def at_each_mail(monkeypatch: pytest.MonkeyPatch, do: Callable[[int], None]) -> None:
    """Call `do` with 1, 2, … before each mail that is taken in."""
    real, count = Intake.take, 0

    def take(self: Intake, item: SpoolItem, read: Mail, now: object) -> Settlement:
        nonlocal count
        count += 1
        do(count)
        return real(self, item, read, now)  # type: ignore[arg-type]

    monkeypatch.setattr(Intake, "take", take)


def test_who_hands_over_a_mail_waits_for_one_mail_at_most(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(house, 5)
    other = threading.Thread(target=lambda: put(house, 1, "other"))

    def do(count: int) -> None:
        if count == 2:
            other.start()
            until(lambda: house.store.wanted, SECONDS)
        if count == 3:
            other.join(SECONDS)
            assert not other.is_alive(), "its commit came between two of ours"

    at_each_mail(monkeypatch, do)
    assert house.engine.work(house.now) == 5
    assert house.engine.work(house.now) == 1
    assert house.store.spool_depth() == 0


def test_the_next_mails_are_read_while_these_are_taken_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(house, BATCH + 3)
    reads: list[int] = []
    real = house.pool.read_many

    def read_many(jobs: Sequence[Job], site: Site) -> list[Mail | ReadFailed]:
        reads.append(len(jobs))
        return real(jobs, site)

    monkeypatch.setattr(house.pool, "read_many", read_many)

    def do(count: int) -> None:
        if count == 1:
            until(lambda: reads == [BATCH, 3], SECONDS)

    at_each_mail(monkeypatch, do)
    assert house.engine.work(house.now) == BATCH
    assert house.engine.work(house.now) == 3


def test_what_was_only_being_read_is_given_back_at_the_end(house: House) -> None:
    ids = put(house, BATCH + 3)
    house.engine.work(house.now)
    assert [house.store.spool_row(spool_id).attempts for spool_id in ids[BATCH:]] == [1] * 3
    house.engine.close()
    assert [house.store.spool_row(spool_id).attempts for spool_id in ids[BATCH:]] == [0] * 3
    house.engine = Engine(house.store, house.pool, house.engine.office, "another")
    house.settle()
    assert {house.store.spool_row(spool_id).outcome for spool_id in ids} == {"event"}


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for() -> None:
    turn, order, waiting = Turn(), list[int](), list[threading.Thread]()
    assert turn.take(1)
    assert not turn.wanted

    def wait(number: int) -> None:
        assert turn.take(SECONDS)
        order.append(number)
        turn.give()

    for number in range(5):
        waiting.append(threading.Thread(target=wait, args=(number,)))
        waiting[-1].start()
        until(lambda number=number: len(turn._waiting) == number + 1, SECONDS)  # type: ignore[misc]
    assert turn.wanted
    turn.give()
    for thread in waiting:
        thread.join(SECONDS)
    assert order == [0, 1, 2, 3, 4]
    assert not turn.wanted


def test_a_turn_that_does_not_come_is_not_waited_for_without_end() -> None:
    turn = Turn()
    assert turn.take(1)
    assert not turn.take(0.01)
    assert not turn.wanted
    turn.give()
    assert turn.take(0)


def test_a_batch_of_large_mails_is_cut_and_the_rest_blamed_for_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1000)
    ids = put(house, 5)
    assert house.engine.work(house.now) < 5
    assert house.store.spool_row(ids[-1]).attempts == 0
    house.settle()
    assert {house.store.spool_row(spool_id).outcome for spool_id in ids} == {"event"}
    assert {house.store.spool_row(spool_id).attempts for spool_id in ids} == {1}


@pytest.mark.parametrize(("at_once", "pauses"), [(0, 0), (STORM - 1, 0), (STORM, 3)])
def test_in_a_storm_who_accepts_has_most_of_the_time(house: House, monkeypatch: pytest.MonkeyPatch, at_once: int, pauses: int) -> None:
    """With what we can keep up nobody waits: we would fall behind, and stay there."""
    monkeypatch.setattr(type(house.store), "wanted", property(lambda _: True))
    slept = list[float]()
    monkeypatch.setattr("rtmail.engine.engine.time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append))
    left = [len(some) for some in house.engine._commits(range(4), lambda number: put(house, at_once, str(number)) and None)]
    assert left == [3, 2, 1, 0]
    assert len(slept) == pauses
    assert all(pause > 0 for pause in slept)


def test_who_waited_long_for_the_disk_does_not_step_back_as_long_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit of a batch may wait so: deadlines would be told, and we would be stopped, four times as late."""
    monkeypatch.setattr(type(house.store), "wanted", property(lambda _: True))
    slept, now = list[float](), iter(range(0, 1000, 4))
    monkeypatch.setattr("rtmail.engine.engine.time", SimpleNamespace(monotonic=now.__next__, sleep=slept.append))
    for _ in house.engine._commits(range(4), lambda number: put(house, STORM, str(number)) and None):
        pass
    assert slept == [STEPS_BACK_SECONDS] * 3
