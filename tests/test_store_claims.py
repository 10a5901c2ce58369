"""Claims whose commit was never answered: the connection broke, and nobody knows whether they were made (R21)."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

from collections.abc import Callable

import pytest

from rtmail.errors import Deferred
from rtmail.store import Again, Outcome, Store
from rtmail.store.outbox import Sent
from tests.fakes.stores import ENVELOPE, NOW, minutes, store, ticket_of, url
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
