"""Tickets: written over the state they were decided on, together with what made them; replay gives the same (promises 4, 10)."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from rtmail.desk.ticket import Event, EventKind, Participant, Role, Status, Ticket, apply
from rtmail.mail.model import Attachment
from rtmail.mail.writing.draft import Visibility
from rtmail.policy.rows import Clock, ClockKind, Reach, State, Step
from rtmail.store import Conflict, Content, Linked, LinkKind, NotThere, Rung, RungTaken, Store
from tests.fakes.stores import NOW, add_event, minutes, store, ticket_of, url


def test_a_ticket_comes_back_as_it_was_kept(store: Store) -> None:
    ann = store.party_for("Ann@customer.example", "Ann", NOW, language="de")
    ticket = Ticket(0, store.next_number(), "support", "Drucker \0 raucht \ud800", Status.WAITING, NOW, 3, "P1", "agreed", 7,
                    (Participant(ann.id, Role.REQUESTOR, "Ann@customer.example", "Ann", 1, False, "de"),
                     Participant(99, Role.WATCHER, "", "", 2, True)),
                    frozenset({4, 5}), (), 2, ("<a@x>", "<b@y>"), NOW + minutes(1), 2, NOW + minutes(2), True, 0,
                    {"serial": "12", "nested": {"list": [1, None, "\N{SNOWMAN}"]}})
    kept = store.create(ticket, wake_at=NOW)
    expected = replace(ticket, id=kept.id, subject="Drucker \N{REPLACEMENT CHARACTER} raucht \N{REPLACEMENT CHARACTER}")
    assert store.ticket(kept.id) == expected
    assert store.by_number(ticket.number) == expected
    assert store.tickets([kept.id, 999]) == {kept.id: expected}
    assert store.by_number(999) is None
    with pytest.raises(NotThere):
        store.ticket(999)


def test_events_carry_their_words_and_both_are_cleaned(store: Store) -> None:
    ticket = ticket_of(store)
    attachment = Attachment("photo\0.jpg", "image/jpeg", 12, "ab", "2.1", "<c@x>", True)
    words = Content("Re: Printer", "still\0smokes\udfff", "<p>", (attachment,), raw_id=5, spool_id=6, party=7)
    event = Event(2, NOW, EventKind.COMMENT, Visibility.INTERNAL, 7, {"to": {"a": [1, 2]}, "text": "n\0"}, message_id="<c@x>")
    (kept,) = store.save(ticket, apply(ticket, event), [(event, words)])
    assert kept.content_id
    log = store.events(ticket.id)
    assert [e.seq for e, _ in log] == [1, 2]
    mark = "\N{REPLACEMENT CHARACTER}"
    assert log[1] == (
        replace(kept, facts={"to": {"a": [1, 2]}, "text": f"n{mark}"}),
        replace(words, id=kept.content_id, text=f"still{mark}smokes{mark}", attachments=(replace(attachment, name=f"photo{mark}.jpg"),)))
    assert store.content(kept.content_id) == log[1][1]
    assert [e.seq for e, _ in store.events(ticket.id, after=1)] == [2]


def test_replaying_the_events_gives_the_ticket(store: Store) -> None:
    ann, bob = store.party_for("ann@x", "Ann", NOW), store.party_for("bob@x", "Bob", NOW)
    ticket = ticket_of(store, person=ann.id)
    for kind, facts in (
            (EventKind.JOINED, {"person": bob.id, "role": "cc"}), (EventKind.STATUS, {"old": "new", "new": "open"}),
            (EventKind.PRIORITY, {"new": "P1", "state": "proposed"}), (EventKind.OWNER, {"new": 5}),
            (EventKind.LEFT, {"person": bob.id, "by_staff": True}), (EventKind.JOINED, {"person": bob.id, "role": "watcher"}),
            (EventKind.LEFT, {"person": bob.id, "roles": ["cc"]}), (EventKind.FIELD, {"name": "serial", "value": [1, 2]}),
            (EventKind.CORRESPONDENCE, {"by_staff": True}), (EventKind.TOLD, {"clock": "ladder"})):
        ticket = add_event(store, ticket, kind, **facts)
        assert store.ticket(ticket.id) == store.replayed(ticket.id)
    assert [(p.person, p.role, p.name) for p in store.ticket(ticket.id).participants] == [
        (ann.id, Role.REQUESTOR, "Ann"), (bob.id, Role.WATCHER, "Bob")]


def test_clocks_are_rows_beside_the_events_that_carry_them(store: Store) -> None:
    ticket = ticket_of(store)
    triage = Clock(ClockKind.TRIAGE, 1, State.RUNNING, "P1", "always", NOW, NOW + minutes(30), "triage = 30m")
    ladder = Clock(ClockKind.LADDER, 1, State.RUNNING, "P1", "always", NOW, NOW + minutes(1), steps=(
        Step(1, NOW + minutes(1), ("cto",), reached=(("cto", Reach.DEPUTY),)),))
    ticket = add_event(store, ticket, EventKind.CLOCK, row=triage.to_row())
    ticket = add_event(store, ticket, EventKind.CLOCK, row=ladder.to_row())
    assert store.ticket(ticket.id).clocks == (ladder, triage)
    assert next(iter(store.list_tickets())).next_due_at == NOW + minutes(30)
    met = replace(triage, state=State.MET, settled_at=NOW + minutes(3), settled_by="staff", settled_event=4)
    again = replace(triage, generation=2, due_at=NOW + minutes(90))
    ticket = add_event(store, ticket, EventKind.CLOCK, row=met.to_row())
    ticket = add_event(store, ticket, EventKind.CLOCK, row=again.to_row())
    assert store.ticket(ticket.id).clocks == (ladder, met, again)
    assert store.ticket(ticket.id) == store.replayed(ticket.id)
    assert next(iter(store.list_tickets())).next_due_at == NOW + minutes(90)
    assert store._rows("SELECT kind, generation, state, settled_by FROM clock ORDER BY kind, generation") == [
        ("ladder", 1, "running", ""), ("triage", 1, "met", "staff"), ("triage", 2, "running", "")]


def test_erasing_words_and_people_leaves_replay_true(store: Store) -> None:
    ann = store.party_for("ann@customer.example", "Ann Secret", NOW)
    ticket = add_event(store, ticket_of(store, person=ann.id, words="my secret"), EventKind.CORRESPONDENCE,
                       content=Content("secret", "more secret", party=ann.id))
    for _, content in store.events(ticket.id):
        if content:
            store.erase_content(content.id)
    store.erase_party(ann.id)
    store.erase_subject(ticket.id, "[erased]")
    after = store.ticket(ticket.id)
    assert after == store.replayed(ticket.id)
    assert after.subject == "[erased]"
    assert after.participants == (Participant(ann.id, Role.REQUESTOR, "", "", 2),)
    assert all(c is None or (c.text, c.subject, c.party, c.erased) == ("", "", 0, True) for _, c in store.events(ticket.id))
    assert store.party_by_address("ann@customer.example") is None
    assert store.party_for("ann@customer.example", "Ann again", NOW).id != ann.id


def test_a_ticket_that_changed_meanwhile_is_not_overwritten(store: Store) -> None:
    ticket = ticket_of(store)
    add_event(store, ticket, EventKind.STATUS, new="open")
    stale = Event(2, NOW, EventKind.STATUS, Visibility.PUBLIC, 0, {"new": "waiting"})
    with pytest.raises(Conflict):
        store.save(ticket, apply(ticket, stale), [(stale, Content("", "lost"))], rungs=[Rung("ladder", 1, 1)])
    assert store.ticket(ticket.id).status is Status.OPEN
    assert store.rungs(ticket.id) == []


def test_interleaved_deciders_lose_no_event(store: Store, url: str) -> None:
    ticket = ticket_of(store)

    def decide(n: int) -> int:
        conflicts = 0
        for i in range(8):
            while True:
                try:
                    with store.transaction():
                        now = store.ticket(ticket.id, lock=bool(n % 2))
                        event = Event(now.events + 1, NOW, EventKind.FIELD, Visibility.INTERNAL, 0, {"name": f"{n}-{i}", "value": i})
                        store.save(now, apply(now, event), [(event, None)])
                    break
                except Conflict:
                    conflicts += 1
        return conflicts

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(decide, range(6)))
    after = store.ticket(ticket.id)
    assert after.events == 49
    assert len(after.fields) == 48
    assert after == store.replayed(ticket.id)


def test_each_rung_is_told_once(store: Store) -> None:
    ticket = ticket_of(store)
    event = Event(2, NOW, EventKind.TOLD, Visibility.INTERNAL, 0, {})
    store.save(ticket, after := apply(ticket, event), [(event, None)], rungs=[Rung("ladder", 1, 1), Rung("ladder", 1, 2)])
    again = Event(3, NOW, EventKind.TOLD, Visibility.INTERNAL, 0, {})
    with store.transaction():
        with pytest.raises(RungTaken):
            store.save(after, apply(after, again), [(again, Content("", "x"))], rungs=[Rung("ladder", 1, 3), Rung("ladder", 1, 2)])
        # The rest of the transaction goes on, without any part of what failed.
        store.save(after, apply(after, again), [(again, None)], rungs=[Rung("ladder", 2, 2)])
    assert [rung for rung, _, _ in store.rungs(ticket.id)] == [Rung("ladder", 1, 1), Rung("ladder", 1, 2), Rung("ladder", 2, 2)]
    assert store.ticket(ticket.id).events == 3


def test_two_sweepers_tell_a_rung_once(store: Store) -> None:
    ticket = ticket_of(store)
    start = threading.Barrier(4)

    def sweep(_: int) -> bool:
        start.wait(20)
        event = Event(2, NOW, EventKind.TOLD, Visibility.INTERNAL, 0, {})
        try:
            store.save(ticket, apply(ticket, event), [(event, None)], rungs=[Rung("ladder", 1, 1)])
        except (Conflict, RungTaken):
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(sweep, range(4))) == [False, False, False, True]
    assert len(store.events(ticket.id)) == 2


def test_due_tickets_are_claimed_longest_due_first(store: Store, url: str) -> None:
    late, later, due, soon, _ = (ticket_of(store, wake_at=at)
                                 for at in (NOW - minutes(9), NOW - minutes(5), NOW, NOW + minutes(1), None))
    assert store.next_wake_at() == NOW - minutes(9)
    assert store.due_tickets(NOW, 2, "a", 60) == [late.id, later.id]
    other = Store(url)
    other.open()
    assert other.due_tickets(NOW, 9, "b", 60) == [due.id]
    assert other.due_tickets(NOW, 9, "b", 60) == []
    assert other.due_tickets(NOW + minutes(0.9), 9, "b", 60) == []
    add_event(store, store.ticket(late.id), EventKind.TOLD, wake_at=NOW - minutes(1))  # a save ends the claim
    assert other.due_tickets(NOW, 9, "b", 60) == [late.id]
    assert other.due_tickets(NOW + timedelta(seconds=61), 9, "b", 60) == [later.id, late.id, due.id, soon.id]
    other.close()


def test_looking_for_due_work_reads_what_is_due_and_not_what_is_open(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 open tickets, 2 due: the statement that `due_tickets` really runs is explained by the engine."""
    asked: list[tuple[str, tuple[object, ...]]] = []
    for n in range(2):
        ticket_of(store, wake_at=NOW - minutes(n))
    with store.transaction():
        store._many("INSERT INTO ticket (id, number, queue, subject, status, opened_at, policy_version, priority, priority_state, owner, "
                    "requestor, removed, events, thread, last_public_seq, answered, merged_into, fields, wake_at) "
                    "VALUES (?, ?, '', '', 'open', 0, 1, '', '', 0, 0, '[]', 1, '[]', 1, 0, 0, '{}', ?)",
                    [(1000 + n, 1000 + n, 4102444800000000 + n) for n in range(3000)])
    store._do("ANALYZE")
    engine = store._engine
    execute = engine.execute

    def heard(sql: str, values: Sequence[object] = ()) -> object:
        asked.append((sql, tuple(values)))
        return execute(sql, values)

    monkeypatch.setattr(engine, "execute", heard)
    assert len(store.due_tickets(NOW, 100, "a", 60)) == 2
    assert len(list(store.list_tickets())) == 3002
    monkeypatch.undo()
    explain = "EXPLAIN " if engine.name == "postgresql" else "EXPLAIN QUERY PLAN "
    for asked_for, index in (("WITH due", "ticket_wake"), ("SELECT t.id", "ticket_live")):
        sql, values = next((sql, values) for sql, values in asked if sql.startswith(asked_for))
        plan = " ".join(str(row) for row in engine.execute(explain + sql, values).fetchall())
        assert index in plan, plan
        assert "Seq Scan on ticket" not in plan, plan
        assert "SCAN ticket " not in plan.replace("USING INDEX", ""), plan


def test_numbers_are_given_once_and_start_where_told(store: Store, url: str) -> None:
    store.start_numbers_at(1000)
    assert store.next_number() == 1000
    store.start_numbers_at(5)
    other = Store(url)
    other.open()
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda n: (store, other)[n % 2].next_number(), range(40)))
    assert len(set(numbers)) == 40
    assert min(numbers) > 1000
    assert max(numbers) < 1100
    other.close()


def test_list_streams_what_is_asked_for(store: Store) -> None:
    ann = store.party_for("ann@x", "Ann", NOW)
    tickets = [ticket_of(store, person=ann.id if n % 2 else 0) for n in range(6)]
    add_event(store, tickets[0], EventKind.STATUS, new="closed")
    add_event(store, tickets[1], EventKind.OWNER, new=ann.id)

    def numbers(**wanted: object) -> list[int]:
        return [line.number for line in store.list_tickets(**wanted)]  # type: ignore[arg-type]

    everything = [t.number for t in tickets]
    assert numbers() == everything[1:]
    assert numbers(statuses=None) == everything
    assert numbers(statuses=[Status.CLOSED, Status.OPEN]) == everything[:1]
    assert numbers(statuses=[]) == []
    assert numbers(requestor=ann.id) == everything[1::2]
    assert numbers(owner=ann.id) == [everything[1]]
    assert numbers(owner=0, queue="support") == everything[2:]
    assert numbers(queue="sales") == []
    line = next(iter(store.list_tickets(requestor=ann.id)))
    assert (line.requestor, line.owner, line.subject, line.created_at, line.next_due_at) == ("ann@x", "", "Printer down", NOW, None)


def test_links_and_outside_numbers(store: Store) -> None:
    one, two = ticket_of(store), ticket_of(store)
    assert store.add_link(two.id, one.id, LinkKind.CONTINUES, 7, NOW)
    assert not store.add_link(two.id, one.id, LinkKind.CONTINUES, 7, NOW)
    assert store.add_link(two.id, one.id, LinkKind.PROBLEM, 0, NOW + minutes(1))
    assert [(link.ticket, link.other, link.kind, link.actor) for link in store.links(one.id)] == [
        (two.id, one.id, LinkKind.CONTINUES, 7), (two.id, one.id, LinkKind.PROBLEM, 0)]
    assert store.links(one.id) == store.links(two.id)
    assert store.remove_link(two.id, one.id, LinkKind.PROBLEM)
    assert not store.remove_link(two.id, one.id, LinkKind.PROBLEM)

    store.add_outside_ref(one.id, "jira", "NET-7", NOW)
    store.add_outside_ref(one.id, "jira", "NET-7", NOW)
    store.add_outside_ref(two.id, "jira", "NET-7", NOW + minutes(1))
    assert store.by_outside_ref("jira", "NET-7") == [two.id, one.id]
    assert store.outside_refs(one.id) == [("jira", "NET-7")]
    assert store.by_outside_ref("servicenow", "NET-7") == []
    store.add_outside_ref(two.id, "jira", "NET-8", NOW + minutes(2))
    store.add_outside_ref(two.id, "alert:nagios", "0badcafe", NOW + minutes(3))
    assert store.linked_with() == [Linked("NET-8", (two.id,)), Linked("NET-7", (one.id, two.id))]
    assert store.linked_with([one.id]) == [Linked("NET-7", (one.id, two.id))]
    assert store.linked_with(limit=1) == [Linked("NET-8", (two.id,))]
    assert store.linked_with([]) == []
    store.remove_outside_ref(two.id, "jira", "NET-8")
    assert [bug.ref for bug in store.linked_with()] == ["NET-7"]


def test_tickets_of_a_person(store: Store) -> None:
    ann = store.party_for("ann@x", "Ann", NOW)
    asked, watched, left = (ticket_of(store, person=ann.id), ticket_of(store), ticket_of(store, person=ann.id))
    add_event(store, watched, EventKind.JOINED, person=ann.id, role="watcher")
    add_event(store, left, EventKind.LEFT, person=ann.id)
    assert store.tickets_of(ann.id) == [asked.id, watched.id]
    assert store.tickets_of(ann.id, roles=[Role.WATCHER]) == [watched.id]
