"""People, holds, counters, the ledger and policy versions."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from rtmail.desk.people import Organisation, Person
from rtmail.store import Entry, Held, NotThere, Origin, Party, Store
from tests.fakes.stores import NOW, minutes, store, ticket_of, url

HOUR = timedelta(hours=1)


def test_a_party_is_known_by_its_addresses(store: Store) -> None:
    ann = store.party_for("Ann@Customer.Example", "", NOW, organisation="acme", language="de")
    assert ann == Party(ann.id, "", "Ann@Customer.Example", ("Ann@Customer.Example",), "acme", "de")
    named = store.party_for("ann@customer.example", "Ann\0 Doe", NOW)
    assert (named.id, named.name) == (ann.id, "Ann\N{REPLACEMENT CHARACTER} Doe")
    assert store.party_for("ann@customer.example", "Someone Else", NOW).name == named.name
    bob = store.party_for("bob@customer.example", "Bob", NOW)
    assert store.add_address(ann.id, "a.doe@customer.example", NOW, verified=True)
    assert not store.add_address(bob.id, "A.Doe@customer.example", NOW)
    assert store.party_for("a.doe@customer.example", "", NOW).id == ann.id
    assert store.party(ann.id).addresses == ("Ann@Customer.Example", "a.doe@customer.example")
    assert store.parties_by_address(["BOB@customer.example", "a.doe@customer.example", "nobody@x"]) == {
        "BOB@customer.example": bob, "a.doe@customer.example": store.party(ann.id)}
    assert store.parties([bob.id, 999]) == {bob.id: bob}
    assert store.party_by_address("nobody@x") is None
    store.update_party(bob.id, organisation="acme", name="Robert")
    assert store.party(bob.id) == Party(bob.id, "Robert", "bob@customer.example", ("bob@customer.example",), "acme")
    with pytest.raises(NotThere):
        store.party(999)


def test_the_same_stranger_on_six_roads_at_once_is_one_party(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        parties = list(pool.map(lambda n: store.party_for(f"p{n % 4}@x", "P", NOW).id, range(48)))
    assert len(set(parties)) == 4


def staff(key: str, *addresses: str) -> Person:
    return Person(key, key.title(), addresses[0], addresses[1:])


def test_staff_follow_the_config(store: Store) -> None:
    stranger = store.party_for("jane@old.example", "J", NOW)
    ids = store.sync_staff({"jane": staff("jane", "Jane@example.com", "jane@old.example"), "carl": staff("carl", "carl@example.com")}, NOW)
    assert store.party_for("jane@old.example", "", NOW).id == ids["jane"] != stranger.id
    assert store.party(ids["jane"]) == Party(
        ids["jane"], "Jane", "Jane@example.com", ("Jane@example.com", "jane@old.example"), staff="jane")
    assert store.sync_staff({"jane": staff("jane", "jane@new.example")}, NOW) == {"jane": ids["jane"]}
    assert store.party(ids["jane"]).address == "jane@new.example"
    assert store.party(ids["carl"]).staff == ""
    assert store.sync_staff({"karl": staff("karl", "carl@example.com")}, NOW) == {"karl": ids["carl"]}
    assert store.sync_staff({}, NOW) == {}
    assert store.party(ids["jane"]).staff == ""
    store.sync_organisations({"acme": Organisation("acme", "Acme", plan="gold")})
    store.sync_organisations({"acme": Organisation("acme", "Acme AG", plan="gold")})


def test_daemons_that_start_together_make_one_staff(store: Store) -> None:
    people = {f"p{n}": staff(f"p{n}", f"p{n}@example.com", f"alias{n}@example.com") for n in range(5)}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: store.sync_staff(people, NOW), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0].values())) == 5


def test_a_hold_is_settled_once(store: Store) -> None:
    first = store.hold("staff-claim", 7, 3, "no proof\0", {"to": ["ann@x"], "words": "\0"}, NOW)
    second = store.hold("private", 8, 0, "card number", {}, NOW + minutes(5))
    held = store.held(first)
    mark = "\N{REPLACEMENT CHARACTER}"
    assert (held.kind, held.spool_id, held.person, held.reason, held.details) == (
        "staff-claim", 7, 3, f"no proof{mark}", {"to": ["ann@x"], "words": mark})
    assert (held.held_at, held.state, held.settled_at) == (NOW, Held.WAITING, None)
    assert [hold.id for hold in store.holds_waiting()] == [first, second]
    assert [hold.id for hold in store.holds_waiting(person=3, kind="staff-claim")] == [first]
    assert [hold.id for hold in store.holds_waiting(kind="private")] == [second]
    assert [hold.id for hold in store.holds_waiting(held_before=NOW)] == [first]
    assert [hold.id for hold in store.holds_of(8)] == [second]
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda by: store.settle_hold(first, Held.RELEASED, by, NOW + HOUR), range(1, 5))) == [False] * 3 + [True]
    assert not store.settle_hold(first, Held.DISCARDED, 9, NOW)
    assert (store.held(first).state, store.held(first).settled_at) == (Held.RELEASED, NOW + HOUR)
    assert not store.settle_hold(999, Held.RELEASED, 1, NOW)
    with pytest.raises(NotThere):
        store.held(999)


def test_one_notice_an_hour_for_each_address(store: Store) -> None:
    answers = [store.hold_notice_due(f"{who}@example.com", NOW + minutes(at))
               for who, at in (("Jane", 0), ("jane", 59.9), ("carl", 59.9), ("jane", 60), ("jane", 61))]
    assert answers == [True, False, True, True, False]


def test_counters_count_in_windows_and_survive(store: Store, url: str) -> None:
    assert [store.count("ack:ann@x", NOW, HOUR) for _ in range(3)] == [1, 2, 3]
    assert store.count("ack:ann@x", NOW, timedelta(days=1)) == 1
    assert store.count("ack:bob@x", NOW, HOUR) == 1
    other = Store(url)
    other.open()
    assert other.peek("ack:ann@x", NOW + minutes(29), HOUR) == 3
    assert other.peek("ack:ann@x", NOW + minutes(30), HOUR) == 0
    other.close()
    assert store.count("ack:ann@x", NOW + minutes(30), HOUR) == 1
    store.forget_expired(NOW + minutes(30))
    assert store.peek("ack:ann@x", NOW, HOUR) == 0  # what has passed is not kept
    with ThreadPoolExecutor(6) as pool:
        counted = sorted(pool.map(lambda _: store.count("all", NOW, HOUR), range(60)))
    assert counted == list(range(1, 61))


def test_once_is_once(store: Store) -> None:
    assert [store.once("token", NOW, None), store.once("token", NOW + timedelta(days=9999), None)] == [True, False]
    noticed = [store.once("notice", NOW + minutes(at), NOW + minutes(at + 10)) for at in (0, 9, 10, 19, 21)]
    assert noticed == [True, False, True, False, True]
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda _: store.once("race", NOW, None), range(30))) == 1
    store.count("old", NOW, HOUR)
    assert store.forget_expired(NOW + timedelta(days=1)) == 2
    assert not store.once("token", NOW, None)


def test_the_ledger_knows_where_an_id_belongs(store: Store) -> None:
    store.record("<ours@example.com>", 1, 3, Origin.OURS)
    store.record("<Theirs@\r\n\tcustomer.example>", 1, 1, Origin.RECEIVED, 7)
    store.record("<theirs@customer.example>", 2, 1, Origin.RECEIVED, 8)
    store.record("<Theirs@customer.example>", 1, 9, Origin.RECEIVED, 9)  # the first note stays
    store.record_many([Entry("<Theirs@customer.example>", 3, 1, Origin.CITED, 5), Entry("", 3, 1, Origin.CITED, 5),
                       Entry("<ours@example.com>", 3, 1, Origin.CITED, 5)])
    assert store.find(["<nowhere@x>", "<Theirs@customer.example>", "", "<ours@example.com>"]) == [
        Entry("<Theirs@customer.example>", 1, 1, Origin.RECEIVED, 7), Entry("<Theirs@customer.example>", 3, 1, Origin.CITED, 5),
        Entry("<ours@example.com>", 1, 3, Origin.OURS, 0), Entry("<ours@example.com>", 3, 1, Origin.CITED, 5)]
    assert store.find([]) == []
    assert [e.ticket for e in store.find([f"<{n}@x>" for n in range(1500)] + ["<ours@example.com>"])] == [1, 3]


def test_a_policy_is_a_version_by_its_content(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(lambda _: store.policy_version("gold", "h1", "name = 'Gold'", {"office": ["2026-12-25"]}, NOW), range(8)))
    (first,) = ids
    second = store.policy_version("gold", "h2", "name = 'Gold'\n", {}, NOW)
    third = store.policy_version("silver", "h1", "name = 'Gold'", {}, NOW)
    assert len({first, second, third}) == 3
    version = store.policy(first)
    assert (version.name, version.hash, version.text, version.holidays, version.created_at) == (
        "gold", "h1", "name = 'Gold'", {"office": ["2026-12-25"]}, NOW)
    with pytest.raises(NotThere):
        store.policy(999)
