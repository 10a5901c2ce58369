"""Mails that are joined: they stand still together, go together, and share one fate; whatever went its way is left alone."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import pytest

from rtmail.store import Conflict, Fate, Store
from rtmail.store.outbox import Failed, Sent
from tests.fakes.stores import NOW, minutes, store, url
from tests.test_store_outbox import add


def waiting(store: Store, n: int) -> list[int]:
    return [item.id for item in add(store, n, joins=True, not_before=NOW + minutes(1))]


def test_what_may_be_joined_waits_and_is_listed_by_reader(store: Store) -> None:
    ann = waiting(store, 2)
    add(store, 1)
    bob = [item.id for item in add(store, 1, joins=True, not_before=NOW + minutes(1), recipient="aaron@x")]
    assert [row.id for row in store.to_be_joined(NOW)] == [*bob, *ann]
    assert not {item.id for item in store.lease_outbox("courier", NOW, 10, 60)} & {*ann, *bob}


def test_carried_mails_have_the_fate_of_the_one_that_carries_them(store: Store) -> None:
    ids = waiting(store, 3)
    (carrier,) = add(store, 1, ticket=0)
    store.carry(ids, carrier.id, NOW)
    assert store.to_be_joined(NOW) == []
    leased = store.lease_outbox("courier", NOW + minutes(5), 10, 60)
    assert [item.id for item in leased] == [carrier.id]
    store.settle_outbox(leased[0], Failed("550 5.1.1 no such user", "5.1.1"), NOW)
    row = store.by_id(carrier.id)
    assert row is not None
    assert store.share_fate(row) == 3
    assert store.share_fate(row) == 0, "once"
    told = [row for row in store.unreported(10) if row.id in ids]
    assert [(row.fate, row.status, row.said) for row in told] == [(Fate.FAILED, "5.1.1", "550 5.1.1 no such user")] * 3


def test_one_that_was_sent_and_came_home_changes_its_fate(store: Store) -> None:
    ids = waiting(store, 2)
    (carrier,) = add(store, 1, ticket=0)
    store.carry(ids, carrier.id, NOW)
    (leased,) = store.lease_outbox("courier", NOW, 10, 60)
    store.settle_outbox(leased, Sent("250 ok"), NOW)
    sent = store.by_id(carrier.id)
    assert sent is not None
    store.share_fate(sent)
    store.mark_reported(store.unreported(10))
    store.mark_bounced(carrier.id, "5.2.2", "full", NOW)
    home = store.by_id(carrier.id)
    assert home is not None
    assert store.share_fate(home) == 2
    assert {row.fate for row in store.unreported(10)} == {Fate.BOUNCED}


def test_what_the_courier_took_is_not_carried_as_well(store: Store) -> None:
    ids = waiting(store, 2)
    (carrier,) = add(store, 1, ticket=0)
    store.lease_outbox("courier", NOW + minutes(2), 1, 600)
    taken = {item.id for item in store.lease_outbox("courier", NOW + minutes(2), 10, 600)} & set(ids)
    assert taken
    with pytest.raises(Conflict):
        store.carry(ids, carrier.id, NOW + minutes(3))


def test_what_goes_alone_goes_at_once(store: Store) -> None:
    ids = waiting(store, 2)
    store.send_alone(ids, NOW)
    assert store.to_be_joined(NOW) == []
    assert {item.id for item in store.lease_outbox("courier", NOW, 10, 60)} >= {ids[0]}
