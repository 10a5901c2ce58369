"""Mail taken in: kept once and for good, claimed by lease, settled with exactly one outcome (promises 1, 2, 3)."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rtmail.errors import Deferred, DiskFull
from rtmail.mail.model import Envelope
from rtmail.store import (
    Duplicate,
    First,
    LeaseLost,
    NotThere,
    Outcome,
    SameIdOtherPrint,
    Settlement,
    SpoolWriter,
    Store,
)
from tests.fakes.stores import ENVELOPE, NOW, cluster, minutes, store, ticket_of, until, url

CHILD = Path(__file__).parent / "fakes" / "spool_child.py"


def raws(n: int) -> list[tuple[bytes, Envelope]]:
    return [(b"mail %d" % i, ENVELOPE) for i in range(n)]


def test_what_was_put_comes_out_as_it_went_in(store: Store) -> None:
    odd = Envelope(None, ("a@x", "b+d\N{LATIN SMALL LETTER U WITH DIAERESIS}@y"), "imap:INBOX", NOW - minutes(3), "::1", "h\0elo", "jane",
                   "support")
    raw = bytes(range(256)) * 300
    first, second = store.put_many([(raw, ENVELOPE), (b"", odd)])
    assert store.spool_row(first).envelope == ENVELOPE
    assert store.spool_row(second).envelope == replace(odd, helo="h\N{REPLACEMENT CHARACTER}elo")
    assert store.raw(store.spool_row(first).raw_id) == raw
    assert store.raw(store.spool_row(second).raw_id) == b""
    assert second > first
    assert store.spool_depth() == 2
    assert store.spool_oldest() == NOW
    with pytest.raises(NotThere):
        store.raw(999)


def test_the_same_bytes_are_kept_once(store: Store) -> None:
    one, two, three = store.put_many([(b"same", ENVELOPE), (b"other", ENVELOPE), (b"same", ENVELOPE)])
    (four,) = store.put_many([(b"same", ENVELOPE)])
    raw_ids = [store.spool_row(spool_id).raw_id for spool_id in (one, two, three, four)]
    assert raw_ids[0] == raw_ids[2] == raw_ids[3] != raw_ids[1]
    store.erase_raw(raw_ids[0])
    with pytest.raises(NotThere):
        store.raw(raw_ids[0])
    store.put_many([(b"same", ENVELOPE)])
    assert store.raw(raw_ids[0]) == b"same"


def test_oldest_first_each_to_one_owner_and_the_attempt_counts_before_the_mail_is_looked_at(store: Store, url: str) -> None:
    ids = store.put_many(raws(5))
    first = store.lease_spool("a", NOW, 2, 60)
    assert [item.id for item in first] == ids[:2]
    assert {item.attempts for item in first} == {1}
    other = Store(url)
    other.open()
    assert [item.id for item in other.lease_spool("b", NOW, 10, 60)] == ids[2:]
    assert other.spool_row(ids[0]).attempts == 1  # committed, whatever becomes of the first owner
    assert store.lease_spool("a", NOW, 10, 60) == []
    assert [(item.id, item.attempts) for item in other.lease_spool("b", NOW + timedelta(seconds=60), 1, 60)] == [(ids[0], 2)]
    other.close()


def test_a_paused_owner_can_neither_settle_nor_put_back(store: Store) -> None:
    store.put_many(raws(1))
    (mine,) = store.lease_spool("paused", NOW, 1, 30)
    (theirs,) = store.lease_spool("awake", NOW + timedelta(seconds=31), 1, 30)
    for late in (lambda: store.settle_spool(mine, Outcome.IGNORED, "late", now=NOW), lambda: store.retry_spool(mine, NOW)):
        with pytest.raises(LeaseLost):
            late()
    store.release_spool([mine])
    assert store.spool_row(mine.id).attempts == 2
    store.settle_spool(theirs, Outcome.IGNORED, "duplicate of 1", now=NOW)
    with pytest.raises(LeaseLost):
        store.settle_spool(theirs, Outcome.EVENT, "twice", now=NOW)
    assert store.spool_row(mine.id).reason == "duplicate of 1"


def test_settling_many_is_all_or_none(store: Store) -> None:
    store.put_many(raws(3))
    items = store.lease_spool("a", NOW, 3, 60)
    lost = replace(items[2], fence=99)
    with pytest.raises(LeaseLost):
        store.settle_many([Settlement(item, Outcome.IGNORED, "x") for item in (*items[:2], lost)], NOW)
    assert store.audit_counts().waiting == 3
    store.settle_many([Settlement(item, Outcome.IGNORED, "loop", trace={"rule": "own\0"}) for item in items], NOW)
    assert store.audit_counts().outcomes == {"ignored": 3}
    assert store.spool_row(items[0].id).trace == {"rule": "own\N{REPLACEMENT CHARACTER}"}


def test_put_back_until_later(store: Store) -> None:
    store.put_many(raws(2))
    first, second = store.lease_spool("a", NOW, 2, 600)
    store.retry_spool(first, NOW + minutes(5))
    store.release_spool([second])
    assert [(i.id, i.attempts) for i in store.lease_spool("a", NOW, 9, 1)] == [(second.id, 1)]
    assert store.lease_spool("a", NOW + minutes(4.9), 9, 600)[0].id == second.id
    assert [(i.id, i.attempts) for i in store.lease_spool("a", NOW + minutes(5), 9, 1)] == [(first.id, 2)]


def test_leases_end_when_their_owner_starts_again(store: Store) -> None:
    store.put_many(raws(2))
    (mine,) = store.lease_spool("me", NOW, 1, 600)
    store.lease_spool("other", NOW, 1, 600)
    store.take_back("me")
    assert [item.id for item in store.lease_spool("me", NOW, 9, 600)] == [mine.id]
    store.take_back()
    assert len(store.lease_spool("me", NOW, 9, 600)) == 2


def test_a_crash_is_counted_against_a_mail_that_was_claimed_alone(store: Store) -> None:
    first, second, third = store.put_many(raws(3))
    store.lease_spool("me", NOW, 2, 600)
    assert store.take_back("me") == second
    assert store.take_back("me") == 0
    for attempts in (1, 2):
        assert [(item.id, item.attempts) for item in store.lease_spool("me", NOW, 1, 600)] == [(first, attempts)]
        assert store.take_back("me") == 0
    store.lease_spool("other", NOW, 2, 600)
    assert [(item.id, item.attempts) for item in store.lease_spool("me", NOW, 9, 600)] == [(third, 1)]
    assert store.take_back("me") == 0, "what another one claimed is not ours to take back"


def test_the_conservation_sum(store: Store) -> None:
    ids = store.put_many(raws(7))
    ticket = ticket_of(store)
    items = store.lease_spool("a", NOW, 6, 60)
    store.hold("staff", items[2].id, 0, "claims to be jane", {}, NOW)
    ends = [(Outcome.EVENT, ticket.id, 1), (Outcome.BOUNCE, 0, 0), (Outcome.HELD, 0, 0), (Outcome.JUNK, 0, 0), (Outcome.IGNORED, 0, 0),
            (Outcome.QUARANTINED, 0, 0)]
    for item, (outcome, ticket_id, event) in zip(items, ends, strict=True):
        store.settle_spool(item, outcome, "because", ticket_id, event, now=NOW)
    audit = store.audit_counts()
    assert (audit.accepted, audit.waiting, sum(audit.outcomes.values()), audit.closes) == (7, 1, 6, True)
    assert [row.id for row in store.list_spool("")] == [ids[6]]

    (last,) = store.lease_spool("a", NOW, 6, 60)
    store.settle_spool(last, Outcome.EVENT, "because", ticket.id, 99, now=NOW)
    audit = store.audit_counts()
    assert not audit.closes
    assert audit.culprits == ((last.id, "settled as event, but its ticket has no such event"),)


def test_quarantined_mail_goes_through_again_or_is_dropped(store: Store) -> None:
    store.put_many([*raws(2), raws(1)[0]])
    first, second, twin = store.lease_spool("a", NOW, 3, 60)
    for item in (first, second, twin):
        store.settle_spool(item, Outcome.QUARANTINED, "ValueError", now=NOW)
    assert [row.id for row in store.list_spool("quarantined")] == [first.id, second.id, twin.id]
    assert store.requeue_spool(second.id, NOW)
    assert not store.requeue_spool(second.id, NOW)
    assert [(item.id, item.attempts) for item in store.lease_spool("a", NOW, 3, 60)] == [(second.id, 1)]

    assert store.drop_spool(first.id, "root", NOW)
    assert store.raw(first.raw_id) == b"mail 0"  # the twin still has it
    assert store.drop_spool(twin.id, "root", NOW)
    with pytest.raises(NotThere):
        store.raw(first.raw_id)
    assert not store.drop_spool(twin.id, "root", NOW)
    assert list(store.list_spool("quarantined")) == []
    assert [row.reason for row in store.list_spool("quarantined", dropped=True)] == ["dropped by root"] * 2
    assert store.audit_counts().closes


@pytest.mark.servers
@pytest.mark.parametrize("first", ["dropped", "kept"])
def test_what_comes_while_its_twin_is_dropped_keeps_its_bytes(first: str) -> None:
    """Two daemons share the database: the one drops, and the other keeps, at the same moment."""
    server = cluster()
    url = server.database()
    with closing(Store(url)) as one, closing(Store(url)) as other, ThreadPoolExecutor() as threads:
        one.open()
        (twin,) = one.put_many([(b"twin", ENVELOPE)])
        (item,) = one.lease_spool("me", NOW, 1, 60)
        one.settle_spool(item, Outcome.QUARANTINED, "broken", now=NOW)

        def drop(store: Store) -> None:
            assert store.drop_spool(twin, "root", NOW)

        def keep(store: Store) -> None:
            store.put_many([(b"twin", ENVELOPE)])

        with one.transaction():
            (drop if first == "dropped" else keep)(one)
            second = threads.submit(keep if first == "dropped" else drop, other)
            until(lambda: second.done() or bool(one._rows("SELECT 1 FROM pg_locks WHERE NOT granted")))
        second.result(30)
        (waits,) = one.list_spool("")
        assert one.raw(waits.raw_id) == b"twin"
    server.drop(url)


REMEMBER = [
    ("same id, same print", ("<a@x>", "p", True, 0), ("<a@x>", "p", True, 6000), Duplicate),
    ("same id folded, same print", ("<a@x>", "p", True, 0), ("<a\r\n @x>", "p", True, 0), Duplicate),
    ("ids keep their case", ("<a@x>", "p", True, 0), ("<A@x>", "p", True, 0), First),
    ("same id, other print", ("<a@x>", "p", True, 0), ("<a@x>", "q", True, 0), SameIdOtherPrint),
    ("other id, same print", ("<a@x>", "p", True, 0), ("<b@x>", "p", True, 0), First),
    ("no id, same print, dated", ("", "p", True, 0), ("", "p", True, 600000), Duplicate),
    ("no id, other print", ("", "p", True, 0), ("", "q", True, 0), First),
    ("neither id nor date, within the hour", ("", "p", False, 0), ("", "p", False, 59.9), Duplicate),
    ("neither id nor date, later", ("", "p", False, 0), ("", "p", False, 60), First),
    ("neither id nor date, an older one comes later", ("", "p", False, 0), ("", "p", False, -60), First),
    ("id without date", ("<a@x>", "p", False, 0), ("<a@x>", "p", False, 600), Duplicate),
]


@pytest.mark.parametrize(("one", "two", "answer"), [case[1:] for case in REMEMBER], ids=[case[0] for case in REMEMBER])
def test_which_mail_is_the_same(store: Store, one: tuple[str, str, bool, float], two: tuple[str, str, bool, float], answer: type) -> None:
    first, second = store.put_many(raws(2))

    def remember(mail: tuple[str, str, bool, float], spool_id: int) -> object:
        message_id, fingerprint, dated, at = mail
        return store.remember(message_id, fingerprint, spool_id, NOW + minutes(at), dated)

    assert remember(one, first) == First()
    assert remember(one, first) == First()  # a second attempt at the same mail is no second mail
    (item,) = store.lease_spool("a", NOW, 1, 60)
    ticket = ticket_of(store)
    store.settle_spool(item, Outcome.EVENT, "new", ticket.id, 1, now=NOW)
    said = remember(two, second)
    assert type(said) is answer
    if not isinstance(said, First):
        assert (said.spool_id, said.ticket) == (first, ticket.id)  # type: ignore[attr-defined]


def test_the_same_mail_on_two_roads_at_once_is_first_once(store: Store) -> None:
    ids = store.put_many(raws(12))
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda spool_id: store.remember("<a@x>", "p", spool_id, NOW, True), ids))
    assert sum(isinstance(one, First) for one in said) == 1
    (winner,) = (spool_id for spool_id, one in zip(ids, said, strict=True) if isinstance(one, First))
    assert all(one == Duplicate(winner, 0) for one in said if one != First())


def test_two_daemons_claim_each_mail_once(store: Store, url: str) -> None:
    ids = store.put_many(raws(300))
    other = Store(url)
    other.open()

    def work(node: Store, owner: str) -> list[int]:
        done = []
        while items := node.lease_spool(owner, NOW, 7, 60):
            node.settle_many([Settlement(item, Outcome.IGNORED, owner) for item in items], NOW)
            done += [item.id for item in items]
        return done

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(work, node, f"{i}{node is store}") for i in range(3) for node in (store, other)]
        everything = sorted(spool_id for future in done for spool_id in future.result())
    assert everything == ids
    other.close()


class Counting(Store):
    """Counts its commits, and holds the first one until told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.commits: list[int] = []
        self.go = threading.Event()

    def _put(self, mails):  # type: ignore[no-untyped-def]
        self.commits.append(len(mails))
        assert self.go.wait(20)
        return super()._put(mails)


def test_mails_that_wait_share_a_commit(url: str) -> None:
    store = Counting(url)
    store.open()
    kept: list[int] = []
    writer = SpoolWriter(store, kept.append)
    futures = [writer.submit(b"first", ENVELOPE)]
    until(lambda: store.commits == [1])
    futures += [writer.submit(b"%d" % i, ENVELOPE) for i in range(100)]
    assert not any(future.done() for future in futures)
    store.go.set()
    wait(futures, 20)
    assert store.commits == [1, 100]
    until(lambda: kept == [1, 100])
    assert [store.raw(store.spool_row(f.result()).raw_id) for f in futures[1:4]] == [b"0", b"1", b"2"]
    writer.close()
    assert writer.submit(b"too late", ENVELOPE).exception() is not None
    store.close()


def test_a_full_writer_answers_not_now_instead_of_growing(url: str) -> None:
    store = Counting(url)
    store.open()
    writer = SpoolWriter(store, limit_mails=3, limit_bytes=1000)
    taken = [writer.submit(b"x" * 2000, ENVELOPE)]  # one mail larger than all room passes alone
    assert isinstance(writer.submit(b"x", ENVELOPE).exception(1), Deferred)
    store.go.set()
    assert taken[0].result(20)
    store.go.clear()
    until(lambda: writer._mails == 0)
    taken = [writer.submit(b"%d" % i, ENVELOPE) for i in range(3)]
    assert isinstance(writer.submit(b"4th", ENVELOPE).exception(1), Deferred)
    store.go.set()
    assert all(future.result(20) for future in taken)
    writer.close()
    store.close()


class Picky(Store):
    """Fails as told by a mail's words."""

    def put_many(self, mails, more=tuple):  # type: ignore[no-untyped-def]
        self.started.set()
        assert self.go.wait(20)
        return super().put_many(self.looked_at(mails), lambda: self.looked_at(more()))

    def looked_at(self, mails):  # type: ignore[no-untyped-def]
        mails = list(mails)
        for raw, _ in mails:
            if raw == b"full":
                raise DiskFull
            if raw == b"bug":
                raise ValueError("secret")
        return mails


@pytest.mark.parametrize(("words", "answers"), [
    ((b"a", b"full", b"b"), (int, DiskFull, int)),
    ((b"a", b"bug", b"b"), (int, Deferred, int)),
])
def test_what_the_writer_tells_when_the_store_fails(url: str, words: tuple[bytes, ...], answers: tuple[type, ...]) -> None:
    store = Picky(url)
    store.open()
    store.started, store.go = threading.Event(), threading.Event()  # type: ignore[attr-defined]
    writer = SpoolWriter(store)
    writer.submit(b"hold the thread", ENVELOPE)
    assert store.started.wait(20)  # type: ignore[attr-defined]
    futures = [writer.submit(raw, ENVELOPE) for raw in words]
    store.go.set()  # type: ignore[attr-defined]
    wait(futures, 20)
    assert tuple(type(f.exception() or f.result()) for f in futures) == answers
    assert all("secret" not in str(f.exception()) for f in futures)
    writer.close()
    store.close()


def acknowledged(output: bytes) -> list[int]:
    """Return the numbers of whole lines: a torn last one was never read by anybody."""
    return [int(line) for line in output.split(b"\n")[:-1]]


def kept(path: Path) -> set[int]:
    """Return the mails in a store as an independent reader sees them."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {int(envelope.split('"helo":"')[1].split('"')[0]) for (envelope,) in connection.execute("SELECT envelope FROM spool")}


def child(url: str, mode: str, start: int, failpoint: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(CHILD), url, mode, str(start)], stdout=subprocess.PIPE,
                            cwd=CHILD.parent.parent.parent, env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin", "RTMAIL_FAILPOINT": failpoint})


def test_kill_9_loses_no_acknowledged_mail(tmp_path: Path) -> None:
    path, acked, first = tmp_path / "rtmail.db", set[int](), 0
    for round_ in range(6):
        process = child(f"sqlite:///{path}", "honest", first)
        assert process.stdout is not None
        lines = b""
        while lines.count(b"\n") < 20 * (round_ + 1):
            lines += process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read()
        process.wait()
        acked |= set(acknowledged(lines))
        first = max(acked) + 1000
    assert len(acked) > 100
    assert acked <= kept(path)


@pytest.mark.parametrize(("mode", "failpoint", "loses"), [
    ("honest", "spool-before-commit:3:kill", False),
    ("honest", "store-before-commit:6:kill", False),
    ("honest", "store-after-commit:6:kill", False),
    ("honest", "spool-after-commit:3:kill", False),
    ("early", "spool-before-commit:3:kill", True),
])
def test_killed_at_a_named_point(tmp_path: Path, mode: str, failpoint: str, loses: bool) -> None:
    """The last row is the control: told "kept" before the commit, a mail is lost, and this test sees it."""
    path = tmp_path / "rtmail.db"
    process = child(f"sqlite:///{path}", mode, 0, failpoint)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    lost = set(acknowledged(output)) - kept(path)
    assert bool(lost) is loses


def test_times_are_those_of_the_envelope_to_the_microsecond(store: Store) -> None:
    at = datetime(2027, 12, 31, 23, 59, 59, 999999, tzinfo=NOW.tzinfo)
    (spool_id,) = store.put_many([(b"x", replace(ENVELOPE, arrived_at=at))])
    assert store.spool_row(spool_id).arrived_at == at
    assert store.spool_row(spool_id).arrived_at.utcoffset() == timedelta(0)


def test_what_comes_while_another_one_writes_shares_the_next_commit(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'rtmail.db'}")) as store:
        store.open()
        kept: list[int] = []
        writer = SpoolWriter(store, kept.append)
        mails = raws(6)
        with store.transaction():
            first = writer.submit(*mails[0])
            until(lambda: store.wanted, 10)
            others = [writer.submit(*one) for one in mails[1:]]
        ids = [future.result(10) for future in (first, *others)]
        writer.close()
        assert kept == [6]
        assert [store.raw(store.spool_row(id_).raw_id) for id_ in ids] == [raw for raw, _ in mails]


def test_who_waits_while_the_database_is_kept_is_told_with_the_first_one(tmp_path: Path) -> None:
    """Each by a try of his own, the last of a hundred peers would wait for minutes, give up and come again."""
    with closing(Store(f"sqlite:///{tmp_path / 'rtmail.db'}", busy=timedelta(seconds=1))) as store:
        store.open()
        writer = SpoolWriter(store)
        with store.transaction():
            futures = [writer.submit(*one) for one in raws(20)]
            until(lambda: all(future.done() for future in futures), 5)
        assert {type(future.exception(0)) for future in futures} == {Deferred}
        assert writer.submit(b"another one", ENVELOPE).result(10)
        writer.close()
        assert writer.progress is None
