"""Search and lists of the store, on both engines."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.ticket import Event, EventKind, Status, Ticket
from rtmail.mail.writing.draft import Visibility
from rtmail.policy.rows import Clock, ClockKind, State
from rtmail.store import Content, Store, search
from tests.fakes.stores import NOW, add_event, minutes, store, ticket_of, url


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("toner", [2, 1]), ("TONER", [2, 1]), ("ton", [2, 1]), ("oner", []), ("toner empty", [1]), ("printer", [3, 2, 1]),
        ('"; DROP TABLE words; --', []), ("toner OR printer", []), ("", []), ("*'()&|!:", []), ("E-042", [2]), ("müller", [3]),
        ("MULLER gruße", [3]), ("tonerjam", []),
    ],
)  # fmt: skip
def test_words_are_found_the_latest_first(store: Store, said: str, found: list[int]) -> None:
    for words in ("The toner is empty.", "Error E-042, toner jam", "Grüße von Müller"):
        ticket_of(store, words=words)
    assert [hit.ticket for hit in store.search(said)] == found


def test_long_words_and_odd_ones_are_taken(store: Store) -> None:
    ticket = ticket_of(store, words="x" * 5000 + " needle " + "\0\ud800 " + "word " * 100_000)
    assert [hit.ticket for hit in store.search("needle")] == [ticket.id]


def test_erased_words_are_found_no_more(store: Store) -> None:
    ticket = ticket_of(store, words="a secret thing")
    other = ticket_of(store, words="a secret too")
    (_, content), *_ = store.events(ticket.id)
    assert content is not None
    store.erase_content(content.id)
    store.erase_content(content.id)
    assert [hit.ticket for hit in store.search("secret")] == [other.id]


def test_comments_and_changed_subjects_are_found(store: Store) -> None:
    ticket = ticket_of(store)
    add_event(store, ticket, EventKind.COMMENT, content=Content("Printer", "the fuser is broken"))
    assert [hit.text for hit in store.search("fuser")] == ["the fuser is broken"]


def test_texts_of_some_kinds_on_other_requests(store: Store) -> None:
    first, second = ticket_of(store, words="the fuser is broken"), ticket_of(store, words="another thing")
    add_event(store, second, EventKind.COMMENT, content=Content("Printer", "They say the fuser is broken again."))
    kinds = [EventKind.COMMENT, EventKind.OUTSIDE]
    said = "They say the fuser is broken again."
    assert store.texts_with(["broken fuser again", "no such words"], kinds, first.id) == [(second.id, said)]
    assert store.texts_with(["broken fuser"], kinds, second.id) == []
    assert store.texts_with([], kinds, first.id) == []
    (_, content) = [row for row in store.events(second.id) if row[1]][-1]
    assert content is not None
    store.erase_content(content.id)
    assert store.texts_with(["broken fuser"], kinds, first.id) == []


def owned(store: Store, owner: int, due: int | None, person: int = 0) -> Ticket:
    ticket = ticket_of(store, person=person)
    clocks = (Clock(ClockKind.UPDATE, 1, State.RUNNING, "P1", "always", NOW, NOW + minutes(due)),) if due else ()
    after = replace(ticket, owner=owner, clocks=clocks, events=ticket.events + 1)
    store.save(ticket, after, [(Event(after.events, NOW, EventKind.OWNER, Visibility.INTERNAL, 0, {"new": owner}), None)])
    return after


def test_lists_by_what_holds_and_what_is_due_first(store: Store) -> None:
    ann = store.party_for("ann@acme.example", "Ann", NOW, organisation="acme")
    bob = store.party_for("bob@eu.elsewhere.example", "Bob", NOW)
    late, soon, none = owned(store, 7, 90, ann.id), owned(store, 7, 30, bob.id), owned(store, 0, None, ann.id)

    def ids(**what: object) -> list[int]:
        rows, count = store.find_tickets(**what)  # type: ignore[arg-type]
        assert count == len(rows)
        return [row.id for row in rows]

    assert ids() == [soon.id, late.id, none.id]
    assert ids(owner=7) == [soon.id, late.id]
    assert ids(owner=0) == [none.id]
    assert ids(organisation="acme") == [late.id, none.id]
    assert ids(domain="Eu.elsewhere.example") == [soon.id]
    assert ids(requestor=ann.id) == [late.id, none.id]
    assert ids(due_before=NOW + minutes(60)) == [soon.id]
    assert ids(queues=("support",), ids=[none.id, soon.id]) == [soon.id, none.id]
    assert ids(ids=[]) == ids(queues=()) == ids(statuses=()) == []
    assert ids(statuses=(Status.CLOSED,)) == []
    rows, count = store.find_tickets(limit=1)
    assert ([row.id for row in rows], count) == ([soon.id], 3)


def noted(store: Store, status: Status = Status.OPEN, **fields: str) -> Ticket:
    ticket = ticket_of(store)
    after = replace(ticket, fields=fields, status=status, events=ticket.events + 1)
    store.save(ticket, after, [(Event(after.events, NOW, EventKind.FIELD, Visibility.INTERNAL, 0, {"name": "mark"}), None)])
    return after


def test_requests_are_listed_by_their_mark_closed_ones_too_the_newest_first(store: Store) -> None:
    first, second = noted(store, Status.CLOSED, mark="feature"), noted(store, mark="feature")
    noted(store, mark="training")
    noted(store)
    rows, count = store.find_tickets(mark="feature", statuses=tuple(Status))
    assert ([row.id for row in rows], count) == ([second.id, first.id], 2)
    assert [row.id for row in store.list_tickets(mark="feature", statuses=None)] == [first.id, second.id]
    assert [row.id for row in store.list_tickets(mark="feature")] == [second.id]
    assert [row.mark for row in store.list_tickets(statuses=None)] == ["feature", "feature", "training", ""]


def test_marks_that_were_noted_before_there_was_a_column_for_them(store: Store) -> None:
    for fields in ({"mark": "feature"}, {"note": 'a "mark" of ink'}, {}):
        noted(store, **fields)
    for statement in ("DROP INDEX ticket_mark", "ALTER TABLE ticket DROP COLUMN mark", "DELETE FROM schema_migration WHERE name >= '0015'"):
        store._do(statement)
    store.close()
    store.open()
    assert [row.mark for row in store.list_tickets()] == ["feature", "", ""]


def test_words_come_first_and_what_begins_with_them_where_there_is_room(store: Store) -> None:
    for words in ("Printing again.", "The print is grey.", "A print more."):
        ticket_of(store, words=words)
    assert [hit.text for hit in store.search("print", limit=2)] == ["A print more.", "The print is grey."]
    assert len(store.search("print", limit=3)) == 3


def test_a_long_list_is_not_counted_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmail.store.tickets.COUNTED", 3)
    for _ in range(5):
        ticket_of(store)
    rows, count = store.find_tickets(limit=2)
    assert (len(rows), count) == (2, 3)


def test_lists_read_no_more_than_they_show(tmp_path: Path) -> None:
    """With a million requests only an index in the order of the list does that."""
    store = Store("sqlite:///plan.db", tmp_path)
    store.open()
    asked: list[tuple[str, tuple[object, ...]]] = []
    real = store._rows

    def rows(text: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        asked.append((text, tuple(values)))
        return real(text, values)

    store._rows = rows  # type: ignore[method-assign,assignment]
    for owner, index in ((None, "ticket_due"), (0, "ticket_due"), (7, "ticket_owed")):
        asked.clear()
        store.find_tickets(owner=owner, limit=50)
        plan = " ".join(str(row[3]) for row in real(f"EXPLAIN QUERY PLAN {asked[0][0]}", asked[0][1]))
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    for listed in (lambda: store.find_tickets(mark="feature", statuses=tuple(Status)), lambda: list(store.list_tickets(mark="feature"))):
        asked.clear()
        listed()
        assert "ticket_mark" in " ".join(str(row[3]) for row in real(f"EXPLAIN QUERY PLAN {asked[0][0]}", asked[0][1]))
    store.close()


def test_words_that_most_texts_have_cost_no_more_in_a_large_store(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is found by its rare words, whatever else is in it; of pieces without any, the first few are looked for."""
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL's index looks at rare words first by itself")
    monkeypatch.setattr(search, "EVERYDAY", 3)
    first = ticket_of(store)
    for number in range(5):
        other = ticket_of(store)
        add_event(store, other, EventKind.COMMENT, content=Content("x", f"please look into the contract{number}"))
    kinds = [EventKind.COMMENT]
    (found,) = store.texts_with(["please look into the contract4"], kinds, first.id)
    assert found[1].endswith("contract4")
    assert len(store.texts_with(["please look into"], kinds, first.id)) == 5
    monkeypatch.setattr(search, "EVERYDAY_PIECES", 0)
    assert store.texts_with(["please look into"], kinds, first.id) == []
    assert len(store.texts_with(["please look into the contract4", "into please"], kinds, first.id)) == 1
