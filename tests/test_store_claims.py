"""Claims whose commit was never answered: the connection broke, and nobody knows whether they were made (R21)."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from rtmail import clockwork
from rtmail.errors import Deferred, DiskFull
from rtmail.store import Again, Outcome, Store
from rtmail.store.outbox import Sent
from tests.fakes.needed import program
from tests.fakes.stores import ENVELOPE, NOW, cluster, minutes, store, ticket_of, url
from tests.test_store_outbox import add

LONG = 300.0


@pytest.fixture
def unanswered(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Call it to let so many of the next commits be made and not be answered."""
    commit, silent = store._engine.commit, [0]

    def without_a_word() -> None:
        commit()
        if silent[0]:
            silent[0] -= 1
            raise Again("database connection lost")

    def begin(count: int) -> None:
        silent[0] = count

    monkeypatch.setattr(store._engine, "commit", without_a_word)
    return begin


def test_mails_of_the_spool_are_claimed_again_at_once(store: Store, unanswered: Callable[[int], None]) -> None:
    ids = store.put_many([(b"raw %d" % n, ENVELOPE) for n in range(4)])
    (held,) = store.lease_spool("me", NOW, 1, LONG)
    (others,) = store.lease_spool("other", NOW, 1, LONG)
    unanswered(2)
    claimed = store.lease_spool("me", NOW, 9, LONG)
    assert [(item.id, item.attempts) for item in claimed] == [(ids[2], 1), (ids[3], 1)], "not before their claim ended, or blamed"
    for item in (held, others, *claimed):
        store.settle_spool(item, Outcome.IGNORED, "x", now=NOW)


def test_mails_that_go_out_are_claimed_again_at_once(store: Store, unanswered: Callable[[int], None]) -> None:
    first, second, third = add(store, 3, ticket=0)
    (held,) = store.lease_outbox("me", NOW, 1, LONG)
    unanswered(1)
    claimed = store.lease_outbox("me", NOW, 9, LONG)
    assert held.id == first.id
    assert [(item.id, item.attempts) for item in claimed] == [(second.id, 1), (third.id, 1)]
    for item in (held, *claimed):
        store.settle_outbox(item, Sent("250 ok"), NOW)


def test_requests_that_are_due_are_claimed_again_at_once(store: Store, unanswered: Callable[[int], None]) -> None:
    held, second = (ticket_of(store, wake_at=NOW - minutes(ago)).id for ago in (2, 1))
    assert store.due_tickets(NOW, 1, "me", LONG) == [held]
    unanswered(1)
    assert store.due_tickets(NOW, 9, "me", LONG) == [second]
    assert store.due_tickets(NOW, 9, "me", LONG) == []


def test_the_next_claim_takes_what_one_took_that_was_given_up(store: Store, unanswered: Callable[[int], None],
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmail.store.database._PAUSES", ())
    (id_,) = store.put_many([(b"raw", ENVELOPE)])
    unanswered(1)
    with pytest.raises(Deferred):
        store.lease_spool("me", NOW, 9, LONG)
    assert [(item.id, item.attempts) for item in store.lease_spool("me", NOW, 9, LONG)] == [(id_, 1)]


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No try is repeated."""
    monkeypatch.setattr("rtmail.store.database._PAUSES", ())


def test_what_is_on_its_way_is_not_put_back_with_a_claim_that_ends_together(store: Store, unanswered: Callable[[int], None],
                                                                            once: None) -> None:
    """The clock stands still: a claim was never answered, and another one is renewed at the same moment."""
    first, second = add(store, 2, ticket=0)
    (held,) = store.lease_outbox("me", NOW, 1, LONG)
    unanswered(1)
    later = NOW + minutes(1)
    with pytest.raises(Deferred):
        store.lease_outbox("me", later, 9, LONG)
    store.renew_outbox(held, later, LONG)
    assert [item.id for item in store.lease_outbox("me", later, 9, LONG)] == [second.id]
    assert held.id == first.id


def test_a_commit_that_comes_through_after_the_next_claim_is_put_back_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was slow to make it does not know that the connection is gone."""
    first, second = add(store, 2, ticket=0)
    commit, ends = store._engine.commit, list[int]()

    def lost() -> None:
        monkeypatch.setattr(store._engine, "commit", commit)
        ends.extend(store._claims["outbox me"][1])
        raise Again("database connection lost")

    monkeypatch.setattr(store._engine, "commit", lost)
    (held,) = store.lease_outbox("me", NOW, 1, LONG)
    with store.transaction():
        store._do("UPDATE outbox SET owner = 'me', lease_until = ?, attempts = 1, fence = 1 WHERE id = ?", (ends[0], second.id))
    (claimed,) = store.lease_outbox("me", NOW, 9, LONG)
    assert (held.id, claimed.id, claimed.attempts) == (first.id, second.id, 1)


def test_nothing_is_put_back_that_another_thread_is_about_to_be_given(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = store.put_many([(b"raw %d" % n, ENVELOPE) for n in range(2)])
    run, between = store.run, list[int]()

    def whole(job, **how):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(store, "run", run)
        claimed = run(job, **how)
        between.extend(item.id for item in store.lease_spool("me", NOW, 9, LONG))
        return claimed

    monkeypatch.setattr(store, "run", whole)
    assert [item.id for item in store.lease_spool("me", NOW, 1, LONG)] == ids[:1]
    assert between == ids[1:], "each is given to one of the two"


def test_claims_that_fail_for_hours_do_not_add_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each claim would look for those of all tries before."""
    def full() -> None:
        raise DiskFull

    monkeypatch.setattr(store._engine, "commit", full)
    for second in range(30):
        with pytest.raises(DiskFull):
            store.lease_spool("me", NOW + timedelta(seconds=second), 9, 10)
    assert len(store._claims["spool me"][0]) <= 10


CLAIMS = """
import json, sys
from rtmail import clockwork
from rtmail.store import Store
store, now = Store(sys.argv[1]), clockwork.system()
outbox, spool = store.lease_outbox("other", now, 9, 60), store.lease_spool("other", now, 9, 60)
tickets, mailbox = store.due_tickets(now, 9, "other", 60), store.lease_mailbox("box", "other", now, 60)
dropped = store.drop_outbox(int(sys.argv[2]), "other", now)
store.close()
print(json.dumps([now.timestamp(), len(outbox), len(spool), len(tickets), mailbox, dropped]))
"""


def claims_of_another(url: str, outbox_id: int, apart: str) -> list[float]:
    """Let a node claim whatever it gets, whose clock is `apart` from ours; return its time, and what it got of each."""
    command = [program("faketime", "faketime"), "-f", apart, sys.executable, "-c", CLAIMS, url, str(outbox_id)]
    return list(json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout))


@pytest.mark.servers
@pytest.mark.parametrize("apart", ["+90s", "-90s"])
def test_nodes_whose_clocks_differ_leave_each_other_their_claims(apart: str) -> None:
    """Claims end by the database's clock: one whose own was more than a minute ahead sent what the other was just sending."""
    server = cluster()
    url = server.database()
    with closing(Store(url)) as store:
        store.open()
        store.put_many([(b"raw", ENVELOPE)])
        ticket_of(store, wake_at=NOW)
        (mail,) = add(store, ticket=0)
        now = clockwork.system()
        (item,) = store.lease_outbox("me", now, 9, 60)
        assert store.lease_spool("me", now, 9, 60)
        assert store.due_tickets(now, 9, "me", 60)
        assert store.lease_mailbox("box", "me", now, 60)
        theirs, *got = claims_of_another(url, mail.id, apart)
        assert abs(theirs - now.timestamp()) > 60, "the other's clock is another one"
        assert got == [0, 0, 0, False, False]
        store.renew_outbox(item, clockwork.system(), 60)
        assert claims_of_another(url, mail.id, apart)[1:] == [0, 0, 0, False, False]
        store.settle_outbox(item, Sent("250 ok"), clockwork.system())
    server.drop(url)


@pytest.mark.servers
def test_a_claim_of_one_whose_clock_is_ahead_ends_in_time() -> None:
    """It stood for as long as his clock was ahead, when he was gone."""
    server = cluster()
    url = server.database()
    with closing(Store(url)) as store:
        store.open()
        (mail,) = add(store, ticket=0)
        assert claims_of_another(url, mail.id, "+1h")[1] == 1
        now = clockwork.system()
        assert store.lease_outbox("me", now, 9, 60) == []
        assert [item.id for item in store.lease_outbox("me", now + minutes(2), 9, 60)] == [mail.id]
    server.drop(url)
