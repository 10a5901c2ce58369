"""The short form of `make torture`: houses that bear faults of several kinds at once, and the books that would see a loss."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect
from types import SimpleNamespace

import pytest

from tests.fakes.daemon import wait_for
from tests.fakes.family import family, tell
from tests.fakes.nursery import Nursery
from tests.fakes.postgres import Cluster
from tests.fakes.stores import cluster as shared_or_skip
from torture import books, faults, outside
from torture.__main__ import Row, State, chosen, enter, play, resumed, table
from torture.books import Sums
from torture.cases import CASES
from torture.relay import Came
from torture.rows import ROWS
from torture.siege import STAFF, Siege
from torture.told import Bench, Told


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    shared_or_skip()  # missing programs are told here
    cluster = Cluster("fsync = on")
    yield cluster
    cluster.close()


LIVES: tuple[tuple[type[faults.Fault], ...], ...] = (
    (faults.DiskFull, outside.RelayMoody), (faults.Locked, outside.AnswersEaten), (faults.NoInodes, outside.MailboxDrops),
    (faults.NoDescriptors, outside.RelayHangs, outside.MailboxRenumbers), (faults.LogBlocked, outside.CustomersCut, faults.DiskFull))


def test_lives_on_a_small_disk(nursery: Nursery, tmp_path: Path) -> None:
    """Disk full, no inodes, no descriptors, database held, log blocked, answers lost; relay, mailbox and customers as bad."""
    with Siege(nursery, tmp_path, random.Random(7)) as siege:
        if siege.disk.trouble:
            if os.environ.get("CI") == "true":
                pytest.fail(f"cannot mount a small tmpfs: {siege.disk.trouble}")
            pytest.skip(f"R6, R7 not tested under load: cannot mount a small tmpfs: {siege.disk.trouble}")
        for kinds in LIVES:
            siege.live([kind(siege.dice) for kind in kinds])
        sums = siege.home()
    assert not sums, f"{sums} {siege.log}"
    assert sums.mails > 20, "there was no load"


@pytest.mark.servers
def test_postgresql_killed_twenty_times_under_load(nursery: Nursery, tmp_path: Path, server: Cluster) -> None:
    """Two daemons go on each time by themselves; at last they are split from it without a word (R21, R23)."""
    with Siege(nursery, tmp_path, random.Random(8), cluster=server) as siege:
        for daemon in siege.daemons:
            siege.spawn(daemon)
        for kill in range(20):
            # Some hit it at work, some while it is about to come back.
            assert kill % 4 or siege.works(60), "nothing goes out any more"
            threading.Event().wait(siege.dice.uniform(0, 0.5))
            server.stop()
            server.start()
        faults.Split(siege.dice).act(siege)
        assert all(siege.alive(daemon) for daemon in siege.daemons)
        sums = siege.home()
    assert not sums, f"{sums} {siege.log}"


@pytest.mark.servers
def test_one_of_two_daemons_stands_still_beyond_its_leases(nursery: Nursery, tmp_path: Path, server: Cluster) -> None:
    """R22. Their clock runs twenty times as fast: the longest lease, five minutes, is over in fifteen seconds.

    Much faster, and a busy machine has not worked off what it claimed before somebody else may claim it."""
    clock = ("--clock-rate", "20", "--clock-from", datetime.now(UTC).isoformat(), "--clock-zero", str(time.time()))
    with Siege(nursery, tmp_path, random.Random(9), cluster=server, arguments=clock) as siege:
        for daemon in siege.daemons:
            siege.spawn(daemon)
        still, goes_on = siege.daemons
        for _ in range(2):
            assert siege.works(60)
            there = family(still._pid)
            tell(there, signal.SIGSTOP)
            assert siege.works(60), "the other one does not go on"
            claimed = "SELECT count(*) FROM spool WHERE outcome = '' AND owner <> ''"
            threading.Event().wait(16)
            try:
                wait_for(lambda: books.rows(siege.url, claimed) == [(0,)] or siege.works(0.1), 60)  # noqa: B023
            except AssertionError as error:
                raise AssertionError(f"{error}: {siege._stuck()}") from error
            tell(there, signal.SIGCONT)
            still, goes_on = goes_on, still
        sums = siege.home()
    assert not sums, f"{sums} {siege.log}"


# the books


@pytest.fixture(scope="module")
def quiet(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    """A house that nothing happened to, at rest."""
    with Siege(nursery, tmp_path_factory.mktemp("quiet"), random.Random(1), disk=False) as siege:
        siege.spawn(siege.daemon)
        wait_for(lambda: len(siege.relay.came) >= 12, 60)
        assert not siege.home()
        yield siege


TAMPERED = {
    "DELETE FROM event WHERE kind = 'opened' AND message_id = '<load-1@acme.example>'": "lost",
    "UPDATE raw SET packed = NULL WHERE id = 1": "lost",
    "UPDATE outbox SET recipient = 'x@y.example' WHERE recipient = 'customer1@acme.example'": "lost",
    "UPDATE event SET message_id = '<load-1@acme.example>' WHERE message_id = '<load-2@acme.example>'": "doubled",
    "UPDATE outbox SET ticket_id = 1, event = 1, template = 'x', recipient = 'y@z.example'": "doubled",
    "UPDATE outbox SET state = 'waiting' WHERE id = (SELECT min(id) FROM outbox)": "wrong",
    "UPDATE outbox SET state = 'failed' WHERE id = (SELECT min(id) FROM outbox)": "wrong",
    "UPDATE spool SET outcome = '' WHERE id = 1": "wrong",
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_the_books_see_what_was_lost_or_doubled(quiet: Siege, tmp_path: Path, statement: str) -> None:
    copy = tmp_path / "rtmail.db"
    shutil.copy(quiet.url.removeprefix("sqlite:///"), copy)
    with closing(connect(copy)) as database, database:
        assert database.execute(statement).rowcount, "nothing was tampered with"
    sums = books.compare(f"sqlite:///{copy}", quiet.ledger.snapshot(), quiet.relay.came, quiet.relay.refused, STAFF)
    assert getattr(sums, TAMPERED[statement]), sums


def test_the_books_see_what_the_relay_got(quiet: Siege) -> None:
    told, came = quiet.ledger.snapshot(), list(quiet.relay.came)

    def compared(mails: list[Came]) -> Sums:
        return books.compare(quiet.url, told, mails, set(), STAFF)

    first = came[0]
    assert not compared([*came, first])
    assert compared([*came, first]).repeated == compared(came).repeated + 1
    assert compared([mail for mail in came if mail.sender != first.sender]).lost
    assert compared([*came, Came(first.sender, first.recipient, first.raw + b"x", sure=True)]).doubled
    assert compared([*came, Came("nobody@example.com", first.recipient, first.raw, sure=True)]).wrong
    assert compared([Came(mail.sender, mail.recipient, mail.raw, sure=False) for mail in came]).lost


# the run


def test_the_order_follows_from_the_seed_and_every_case_has_its_turn() -> None:
    state, laps = State(5), []
    for _ in range(2):
        lap = []
        for _ in CASES:
            lap.append(chosen(state, CASES)[0].__name__)
            state.played += 1
        laps.append(lap)
    assert sorted(laps[0]) == sorted(laps[1]) == sorted(case.__name__ for case in CASES)
    assert laps[0] != laps[1]
    again = State(5, played=3)
    assert chosen(again, CASES)[0].__name__ == laps[0][3]
    dice, same, other = (chosen(State(seed, played=3), CASES)[1].random() for seed in (5, 5, 6))
    assert dice == same != other


def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torture.__main__.GROUND", tmp_path)
    monkeypatch.setattr("torture.__main__.STATE", tmp_path / "state.json")
    state = State(9, played=4, seconds=60, rows={"R1": Row(cases=3)})
    state.save()
    assert resumed(0, 30, fresh=False) == state
    assert resumed(9, 30, fresh=False) == state
    assert resumed(8, 30, fresh=False) == State(8)
    assert resumed(0, 30, fresh=True).played == 0
    assert resumed(0, 1, fresh=False).played == 0, "it came to its end"


def test_the_table_says_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: Nursery) -> None:
    monkeypatch.setattr("torture.__main__.GROUND", tmp_path)
    assert not table(State(1))[1], "rows that were not reached do not hold"
    state = State(1, rows={name: Row(cases=1) for name in ROWS})
    assert table(state)[1]

    def case(bench: Bench) -> Told:
        raise RuntimeError("trouble of its own")

    enter(state, case, play(case, random.Random(1), nursery))
    assert not table(state)[1]
    assert "trouble of its own" in next(tmp_path.iterdir()).read_text()

    def control_blind(bench: Bench) -> Told:
        raise AssertionError

    for lost, held in ((["one"], True), ([], False)):
        state = State(1, rows={name: Row(cases=1) for name in ROWS})
        told = play(control_blind, random.Random(1), nursery)
        told.rows, told.sums = type(told.rows)({"control: blind": 1}), Sums(lost=lost)
        enter(state, control_blind, told)
        assert table(state)[1] is held


def test_a_process_id_that_comes_again_is_that_of_the_living(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tens of thousands of processes later a daemon had the id of one that had ended: it was started again beside itself."""
    nursery = Nursery()
    nursery._lock, nursery._ended = threading.Lock(), {7: 0}
    nursery._parent = SimpleNamespace(stdin=io.BytesIO())  # type: ignore[assignment]
    told = iter([{"dead": 8, "code": 1}, {"born": 7}])
    monkeypatch.setattr(nursery, "_tell", lambda seconds: next(told, {}))
    assert nursery.start("serve", log=Path("log"), environ={}) == 7
    assert nursery.poll(7) is None
    assert nursery.poll(8) == 1
