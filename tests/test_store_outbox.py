"""Mail to go out: fixed bytes, in order, claimed by lease and settled once; its fate comes back (promise 5)."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from rtmail.store import Fate, LeaseLost, NotThere, OutboxItem, Store
from rtmail.store.outbox import Deferred, Expired, Failed, Sent, Settled
from tests.fakes.stores import NOW, minutes, store, url


def add(store: Store, n: int = 1, **values: object) -> list[OutboxItem]:
    plain = OutboxItem(0, 1, 1, 7, "ann@x", "support+verp@example.com", b"", "<rt-1-1@example.com>", "ack", 1, NOW,
                       NOW + timedelta(days=3), True)
    items = [replace(plain, id=id_, raw=b"raw %d" % id_, **values) for id_ in store.reserve(n)]  # type: ignore[arg-type]
    store.add_many(items, NOW)
    return items


def test_the_courier_gets_what_the_engine_added(store: Store) -> None:
    (item,) = add(store)
    big = replace(item, id=store.reserve(1)[0], raw=bytes(range(256)) * 4000, ticket=0, expires_at=None, report=False)
    store.add_many([big], NOW)
    leased = store.lease_outbox("courier", NOW, 10, 60)
    assert leased == [replace(item, attempts=1, fence=1), replace(big, attempts=1, fence=1)]
    assert store.outbox_mail(big.id) == big.raw
    assert store.by_id(item.id).created_at == NOW  # type: ignore[union-attr]
    assert store.by_id(99) is None
    with pytest.raises(NotThere):
        store.outbox_mail(99)


def test_the_bytes_of_a_large_mail_may_come_before_it(store: Store) -> None:
    (first,) = add(store, ticket=0)
    (ahead,) = store.reserve(1)
    with store.transaction():
        store.add_bytes(ahead, b"large")
        store.add_many([replace(first, id=ahead, raw=b"")], NOW)
    assert [one.raw for one in store.lease_outbox("a", NOW, 9, 30)] == [first.raw, b"large"]


@pytest.mark.parametrize("letter", [b"x", None])
def test_large_mails_are_claimed_few_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch, letter: bytes | None) -> None:
    """They are in memory until they are sent. Some are small where they are kept."""
    monkeypatch.setattr("rtmail.store.outbox.CLAIM_BYTES", 25_000)
    raw = letter * 10_000 if letter else random.Random(1).randbytes(10_000)
    first, *others = add(store, 5, ticket=0)
    ids = [first.id]
    for one in others:
        ids.append(store.reserve(1)[0])
        store.add_many([replace(one, id=ids[-1], raw=raw)], NOW)
    for one in others:
        store.drop_outbox(one.id, "test", NOW)
    claimed = []
    while items := store.lease_outbox("a", NOW, 9, 30):
        claimed.append([(one.id, one.attempts) for one in items])
        for one in items:
            store.settle_outbox(one, Sent("250"), NOW)
    assert claimed == [[(ids[0], 1), (ids[1], 1), (ids[2], 1)], [(ids[3], 1), (ids[4], 1)]]


def test_a_mail_of_a_decision_undone_is_not_there(store: Store) -> None:
    def decide() -> None:
        with store.transaction():
            add(store, 3)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        decide()
    assert store.lease_outbox("courier", NOW, 10, 60) == []
    (item,) = add(store)
    assert store.lease_outbox("courier", NOW, 10, 60)[0].id == item.id


def test_urgent_first_then_by_due_time(store: Store) -> None:
    bulk, early, late, urgent, later = (
        add(store, ticket=0, urgency=urgency, not_before=NOW - minutes(ago))[0].id
        for urgency, ago in ((2, 60), (1, 10), (1, 5), (0, 0), (0, -1)))
    assert [item.id for item in store.lease_outbox("a", NOW, 3, 600)] == [urgent, early, late]
    assert store.next_outbox_at() == NOW - minutes(60)
    assert [item.id for item in store.lease_outbox("a", NOW, 9, 600)] == [bulk]
    assert store.next_outbox_at() == NOW + minutes(1)
    assert [item.id for item in store.lease_outbox("a", NOW + minutes(0.99), 9, 60)] == []
    assert [item.id for item in store.lease_outbox("a", NOW + minutes(1), 9, 6000)] == [later]
    assert store.next_outbox_at() == NOW + minutes(10)  # the first claims end


def test_mails_of_one_request_to_one_person_keep_their_order(store: Store) -> None:
    first, second = add(store, 2)
    (other_person,) = add(store, recipient="bob@x")
    (other_ticket,) = add(store, ticket=2)
    (overtakes,) = add(store, urgency=0)

    def lease(at: timedelta) -> list[int]:
        return [item.id for item in store.lease_outbox("a", NOW + at, 9, 30)]

    leased = store.lease_outbox("a", NOW, 9, 30)
    assert [item.id for item in leased] == [overtakes.id, first.id, other_person.id, other_ticket.id]
    store.settle_outbox_many([(item, Sent("250")) for item in leased if item.id != first.id], NOW)
    mine = next(item for item in leased if item.id == first.id)
    store.settle_outbox(mine, Deferred("relay down", NOW + minutes(5)), NOW)
    assert lease(minutes(4)) == []  # the second waits for the first
    (mine,) = store.lease_outbox("a", NOW + minutes(5), 9, 30)
    store.settle_outbox(mine, Deferred("451 greylisted", NOW + minutes(60), blocks=False), NOW + minutes(5))
    assert lease(minutes(6)) == [second.id]  # put off for a reason of its own


FATES: list[tuple[Settled, Fate, str, str]] = [
    (Sent("250 ok \0 <id@relay>", "<id@relay>"), Fate.SENT, "250 ok \N{REPLACEMENT CHARACTER} <id@relay>", ""),
    (Failed("550 no such user", "5.1.1"), Fate.FAILED, "550 no such user", "5.1.1"),
    (Expired("451 for three days"), Fate.EXPIRED, "451 for three days", ""),
    (Deferred("451 later", NOW + minutes(5)), Fate.WAITING, "451 later", ""),
]


@pytest.mark.parametrize(("settled", "fate", "said", "status"), FATES, ids=[str(case[1]) for case in FATES])
def test_the_fate_comes_back_once(store: Store, settled: Settled, fate: Fate, said: str, status: str) -> None:
    add(store)
    add(store, report=False, recipient="nobody@asks")
    for item in store.lease_outbox("a", NOW, 9, 60):
        store.settle_outbox(item, settled, NOW + minutes(1))
    (row,) = store.unreported(9)
    assert (row.fate, row.said, row.status, row.attempts) == (fate, said, status, 1)
    assert row.settled_at == (None if fate is Fate.WAITING else NOW + minutes(1))
    assert store.mark_reported([row]) == {row.id}
    assert store.mark_reported([row]) == set()
    assert store.unreported(9) == []


def test_a_deferral_is_told_the_first_time_and_then_the_end(store: Store) -> None:
    add(store)
    told = []
    for n, settled in enumerate([Deferred("451", NOW)] * 3 + [Sent("250")]):
        (item,) = store.lease_outbox("a", NOW + minutes(n), 9, 30)
        store.settle_outbox(item, settled, NOW + minutes(n))
        told.append([row.fate for row in store.unreported(9)])
        store.mark_reported(store.unreported(9))
    assert told == [[Fate.WAITING], [], [], [Fate.SENT]]


def test_a_fate_that_changed_while_it_was_told_is_told_again(store: Store) -> None:
    add(store)
    (item,) = store.lease_outbox("a", NOW, 9, 30)
    store.settle_outbox(item, Deferred("451", NOW), NOW)
    stale = store.unreported(9)
    (item,) = store.lease_outbox("a", NOW, 9, 30)
    store.settle_outbox(item, Sent("250"), NOW)
    assert store.mark_reported(stale) == set()
    assert [row.fate for row in store.unreported(9)] == [Fate.SENT]


def test_two_engines_tell_a_fate_once(store: Store) -> None:
    add(store, 20, ticket=0)
    store.settle_outbox_many([(item, Sent("250")) for item in store.lease_outbox("a", NOW, 20, 30)], NOW)
    rows = store.unreported(20)
    with ThreadPoolExecutor(4) as pool:
        marked = list(pool.map(lambda _: store.mark_reported(rows), range(4)))
    assert sorted(id_ for ids in marked for id_ in ids) == [row.id for row in rows]


def test_a_paused_courier_can_neither_send_nor_settle(store: Store) -> None:
    add(store)
    (paused,) = store.lease_outbox("paused", NOW, 1, 30)
    store.renew_outbox(paused, NOW + timedelta(seconds=20), 30)
    assert store.lease_outbox("awake", NOW + timedelta(seconds=45), 1, 30) == []
    (awake,) = store.lease_outbox("awake", NOW + timedelta(seconds=51), 1, 30)
    assert (awake.attempts, awake.raw) == (2, paused.raw)
    too_late: list[Callable[[], None]] = [
        lambda: store.renew_outbox(paused, NOW, 30), lambda: store.settle_outbox(paused, Sent("250"), NOW)]
    for late in too_late:
        with pytest.raises(LeaseLost):
            late()
    store.release_outbox([paused])
    store.settle_outbox(awake, Sent("250"), NOW)
    with pytest.raises(LeaseLost):
        store.settle_outbox(awake, Sent("250"), NOW)


def test_settling_many_is_all_or_none(store: Store) -> None:
    add(store, 2, ticket=0)
    one, two = store.lease_outbox("a", NOW, 9, 30)
    with pytest.raises(LeaseLost):
        store.settle_outbox_many([(one, Sent("250")), (replace(two, fence=9), Sent("250"))], NOW)
    assert store.outbox_depth() == 2


def test_put_back_untried(store: Store) -> None:
    add(store)
    store.release_outbox(store.lease_outbox("a", NOW, 9, 3000))
    (item,) = store.lease_outbox("b", NOW, 9, 30)
    assert (item.attempts, item.fence) == (1, 2)


def test_bounces_are_noted_once(store: Store) -> None:
    sent, waits = (item.id for item in add(store, 2, ticket=0))
    (item,) = store.lease_outbox("a", NOW, 1, 30)
    store.settle_outbox(item, Sent("250"), NOW)
    store.mark_reported(store.unreported(9))
    assert store.mark_bounced(sent, "5.1.1", "no such user", NOW + minutes(3))
    assert not store.mark_bounced(sent, "5.1.1", "again", NOW)
    row = store.by_id(sent)
    assert row is not None
    assert (row.fate, row.status, row.said, row.settled_at) == (Fate.BOUNCED, "5.1.1", "no such user", NOW + minutes(3))
    assert store.unreported(9) == []  # who noted it tells the ticket
    assert store.mark_bounced(waits, "5.1.1", "forged or early", NOW)
    assert store.lease_outbox("a", NOW, 9, 30) == []


def test_list_show_retry_drop(store: Store) -> None:
    failed, dropped, waits = (item.id for item in add(store, 3, ticket=0))
    leased = store.lease_outbox("a", NOW, 2, 30)
    assert not store.drop_outbox(failed, "root", NOW)  # in work
    assert not store.retry_outbox(failed, NOW)
    for item in leased:
        store.settle_outbox(item, Failed("550"), NOW)
    assert [row.id for row in store.list_outbox(Fate.FAILED, Fate.EXPIRED)] == [failed, dropped]
    assert [row.id for row in store.list_outbox()] == [waits]
    assert store.outbox_oldest() == NOW
    assert store.drop_outbox(dropped, "root", NOW)
    assert not store.retry_outbox(dropped, NOW)
    assert store.by_id(dropped).said == "dropped by root"  # type: ignore[union-attr]
    assert store.retry_outbox(failed, NOW, NOW + minutes(60))
    assert [(i.id, i.attempts, i.expires_at) for i in store.lease_outbox("a", NOW, 9, 30)] == [
        (failed, 1, NOW + minutes(60)), (waits, 1, NOW + timedelta(days=3))]


def test_copies_by_message_id_and_by_ticket(store: Store) -> None:
    ann, bob = (add(store, recipient=who)[0] for who in ("ann@x", "bob@x"))
    (next_event,) = add(store, event=2, message_id="<rt-1-2@example.com>")
    assert [row.id for row in store.by_message_id("<rt-1-1@\r\n example.com>")] == [ann.id, bob.id]
    assert [row.id for row in store.outbox_of(1)] == [ann.id, bob.id, next_event.id]
    assert [row.id for row in store.outbox_of(1, 2)] == [next_event.id]
    assert store.outbox_of(2) == []


def test_erasing_a_sent_mail_keeps_only_its_fate(store: Store) -> None:
    sent, waits = add(store, 2, ticket=0)
    (item,) = store.lease_outbox("a", NOW, 1, 30)
    store.settle_outbox(item, Sent("250 ann@x ok"), NOW)
    for one in (sent, waits):
        store.erase_outbox_mail(one.id)
    row = store.by_id(sent.id)
    assert row is not None
    assert (row.recipient, row.said, row.fate) == ("", "", Fate.SENT)
    with pytest.raises(NotThere):
        store.outbox_mail(sent.id)
    assert store.outbox_mail(waits.id) == waits.raw


def test_an_erased_mail_is_not_tried_again(store: Store) -> None:
    """Without its bytes it could not be claimed, nor could any other with it."""
    failed, other = add(store, 2, ticket=0)
    (item,) = store.lease_outbox("a", NOW, 1, 30)
    store.settle_outbox(item, Failed("550"), NOW)
    store.erase_outbox_mail(failed.id)
    assert not store.retry_outbox(failed.id, NOW)
    assert [one.id for one in store.lease_outbox("a", NOW, 9, 30)] == [other.id]


def test_two_couriers_send_each_mail_once_and_in_order(store: Store, url: str) -> None:
    """Four couriers on two connections pools; each recipient of each ticket sees his five mails in order."""
    for n in range(60):
        add(store, ticket=1 + n % 4, recipient=f"p{n % 3}@x", event=n)
    other = Store(url)
    other.open()
    sent: list[tuple[str, int, int]] = []

    def work(node: Store, owner: str) -> None:
        while node.outbox_depth():
            for item in node.lease_outbox(owner, NOW, 5, 60):
                sent.append((f"{item.ticket} {item.recipient}", item.event, item.id))
                node.settle_outbox(item, Sent("250"), NOW)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, node, f"{n}") for n, node in enumerate((store, other, store, other))]:
            future.result()
    assert len({id_ for _, _, id_ in sent}) == len(sent) == 60
    for chain in {key for key, _, _ in sent}:
        events = [event for key, event, _ in sent if key == chain]
        assert events == sorted(events)
    other.close()
