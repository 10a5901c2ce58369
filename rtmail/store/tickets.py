"""Tickets: rows that their events made, written together with those events, clocks and participants (promise 4).

A ticket is written only over the state that it was decided on: `save` compares the number of its events, so two
daemons that decide on the same ticket never interleave.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.desk.notes import URGENCY
from rtmail.desk.outages.about import ABOUT
from rtmail.desk.ticket import PREPARED_MARK, Event, EventKind, Participant, Role, Status, Ticket, apply
from rtmail.failpoint import failpoint
from rtmail.mail.model import Attachment
from rtmail.mail.writing.draft import Visibility
from rtmail.policy.rows import Clock, ClockKind, State
from rtmail.store.database import chunks, places, reads, writes
from rtmail.store.faults import Conflict, NotThere, RungTaken
from rtmail.store.search import Search
from rtmail.store.values import clean, dump, instant, instant_or_none, length, load, micros, micros_or_none
from rtmail.store.worked import WorkedTime


@dataclass(frozen=True, slots=True)
class Content:
    """The words of an event; `party` wrote them, `raw_id` and `spool_id` name the mail they came in (0 for none)."""

    subject: str
    text: str
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    raw_id: int = 0
    spool_id: int = 0
    party: int = 0
    erased: bool = False
    id: int = 0


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of one ladder: unique for ever by clock, its generation and the number of the rung (from 1)."""

    clock: str
    generation: int
    rung: int


class LinkKind(StrEnum):
    MERGED = "merged"
    CONTINUES = "continues"
    SPLIT = "split"
    PROBLEM = "problem"
    DUPLICATE = "duplicate"
    RELATED = "related"
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class TicketLink:
    """`ticket` is merged into, continues, was split from … `other` (row ids)."""

    ticket: int
    other: int
    kind: LinkKind
    actor: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TicketSummary:
    """A line of `ticket list`. `owner` is the staff key, "" for nobody; `requestor` the address."""

    id: int
    number: int
    subject: str
    status: Status
    priority: str
    owner: str
    requestor: str
    queue: str
    created_at: datetime
    next_due_at: datetime | None
    priority_state: str = ""
    filled: Mapping[str, Any] = field(default_factory=dict)
    mark: str = ""


_PROMISES = frozenset({ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.RESOLUTION})
"""What the next due time of a list is about: neither the rungs behind a promise nor the closing."""
LIVE = (Status.NEW, Status.OPEN, Status.WAITING)
COUNTED = 10_000
_MARKED = "mark <> ''"
"""Written out beside the mark that is asked for, so that the index of marked tickets applies."""

_SUMMARY = ("t.id, t.number, t.subject, t.status, t.priority, coalesce(o.staff, ''), coalesce(r.address, ''), t.queue, t.opened_at, "
            "t.next_due_at, t.priority_state, t.filled, t.mark")
_COLUMNS = ("id, number, queue, subject, status, opened_at, policy_version, priority, priority_state, owner, removed, events, "
            "thread, status_at, last_public_seq, last_public_at, answered, merged_into, fields, filled, solved_at")
_CHANGING = ("queue", "subject", "status", "policy_version", "priority", "priority_state", "owner", "requestor", "removed", "events",
             "thread", "status_at", "last_public_seq", "last_public_at", "answered", "merged_into", "fields", "filled", "solved_at",
             "urgency", "incident", "mark", "wake_at", "next_due_at")
_UPDATE = (f"UPDATE ticket SET {', '.join(f'{column} = ?' for column in _CHANGING)}, sweep_until = 0 WHERE id = ? AND events = ?")
_INSERT = (f"INSERT INTO ticket ({', '.join(_CHANGING)}, id, number, opened_at) VALUES {places(len(_CHANGING) + 3)}")


class Tickets(Search, WorkedTime):
    """The tickets' part of the store."""

    @writes
    def next_number(self) -> int:
        """Return a request number that nobody had; gaps are allowed."""
        return self._engine.reserve("number", 1)[0]

    @writes
    def start_numbers_at(self, start: int) -> None:
        """Let request numbers begin at `start`; numbers never go back."""
        self._engine.raise_floor("number", start)

    @writes
    def create(self, ticket: Ticket, events: Sequence[tuple[Event, Content | None]] = (), *, wake_at: datetime | None = None,
               rungs: Sequence[Rung] = ()) -> Ticket:
        """Keep a new ticket with its first events; return it with its row id."""
        (new,) = self._engine.reserve("ticket", 1)
        ticket = replace(ticket, id=new)
        self.insert_ticket(ticket, wake_at)
        self._parts(None, ticket, events, rungs)
        return ticket

    @writes
    def insert_ticket(self, ticket: Ticket, wake_at: datetime | None) -> None:
        """Write the row of a new ticket, whose row id was reserved."""
        self._do(_INSERT, (*_changing(ticket, wake_at), ticket.id, ticket.number, micros(ticket.opened_at)))

    @writes
    def save(self, before: Ticket, after: Ticket, events: Sequence[tuple[Event, Content | None]] = (), *,
             wake_at: datetime | None = None, rungs: Sequence[Rung] = ()) -> list[Event]:
        """Keep what became of a ticket: its row, new events with their words, changed clocks and participants, told rungs.

        before   the ticket as loaded, after what its events made of it; wake_at is when time has something to do on it
        Returns the events with the ids of their contents. Raises Conflict when the ticket is no longer `before`,
        RungTaken when a rung was told already; then nothing of this call is kept.
        """
        with self.transaction():
            if not self._do(_UPDATE, (*_changing(after, wake_at), before.id, before.events)):
                raise Conflict(f"ticket {before.id} is no longer at event {before.events}")
            return self._parts(before, after, events, rungs)

    def _parts(self, before: Ticket | None, after: Ticket, events: Sequence[tuple[Event, Content | None]],
               rungs: Sequence[Rung]) -> list[Event]:
        if rungs:
            at = events[-1][0].at if events else after.opened_at
            told = self._many("INSERT INTO rung (ticket_id, clock, generation, rung, event, at) VALUES (?, ?, ?, ?, ?, ?) "
                              "ON CONFLICT (ticket_id, clock, generation, rung) DO NOTHING",
                              [(after.id, r.clock, r.generation, r.rung, after.events, micros(at)) for r in rungs])
            if told != len(rungs):
                raise RungTaken(f"ticket {after.id}: {rungs}")
        kept = self._keep_events(after.id, events)
        self._keep_clocks(after.id, before.clocks if before else (), after.clocks)
        self._keep_participants(after, before.participants if before else ())
        failpoint("ticket-saved-before-commit")
        return kept

    def _keep_events(self, ticket_id: int, events: Sequence[tuple[Event, Content | None]]) -> list[Event]:
        contents = [content for _, content in events if content is not None]
        ids = iter(self._engine.reserve("content", len(contents)) if contents else ())
        kept = [event if content is None else replace(event, content_id=next(ids)) for event, content in events]
        if contents:
            self._many("INSERT INTO content (id, ticket_id, subject, text, html, attachments, raw_id, spool_id, party) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       [(event.content_id, ticket_id, clean(c.subject), clean(c.text), clean(c.html), attachments_text(c.attachments),
                         c.raw_id, c.spool_id, c.party)
                        for event, (_, c) in zip(kept, events, strict=True) if c is not None])
            self._index([(event.content_id, clean(c.subject), clean(c.text))
                         for event, (_, c) in zip(kept, events, strict=True) if c is not None])
        self._keep_worked(ticket_id, kept)
        if kept:
            self._many("INSERT INTO event (ticket_id, seq, at, kind, visibility, actor, facts, content_id, message_id) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       [(ticket_id, e.seq, micros(e.at), str(e.kind), str(e.visibility), e.actor, dump(e.facts), e.content_id,
                         clean(e.message_id)) for e in kept])
        return kept

    def _keep_clocks(self, ticket_id: int, before: Iterable[Clock], after: Iterable[Clock]) -> None:
        old = {(c.kind, c.generation): c for c in before}
        changed = [c for c in after if old.get((c.kind, c.generation)) != c]
        if changed:
            self._many("INSERT INTO clock (ticket_id, kind, generation, state, started_at, due_at, settled_at, settled_by, clock) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ticket_id, kind, generation) DO UPDATE SET "
                       "state = excluded.state, started_at = excluded.started_at, due_at = excluded.due_at, "
                       "settled_at = excluded.settled_at, settled_by = excluded.settled_by, clock = excluded.clock",
                       [(ticket_id, str(c.kind), c.generation, str(c.state), micros_or_none(c.started_at), micros_or_none(c.due_at),
                         micros_or_none(c.settled_at), clean(str(c.settled_by)), dump(c.to_row())) for c in changed])

    def _keep_participants(self, after: Ticket, before: Iterable[Participant]) -> None:
        old = {(p.person, p.role, p.since): p.muted for p in before}
        new = {(p.person, p.role, p.since): p.muted for p in after.participants}
        changed = [(after.id, person, str(role), since, int(muted))
                   for (person, role, since), muted in new.items() if old.get((person, role, since)) != muted]
        gone = [(after.events, after.id, person, str(role), since) for person, role, since in old if (person, role, since) not in new]
        if changed:
            self._many("INSERT INTO participant (ticket_id, person, role, since, muted) VALUES (?, ?, ?, ?, ?) "
                       "ON CONFLICT (ticket_id, person, role, since) DO UPDATE SET muted = excluded.muted, until = 0", changed)
        if gone:
            self._many("UPDATE participant SET until = ? WHERE ticket_id = ? AND person = ? AND role = ? AND since = ?", gone)

    @reads
    def ticket(self, ticket_id: int, *, lock: bool = False) -> Ticket:
        """Return a ticket; `lock` (inside a transaction) keeps other daemons from it until the commit. Raises NotThere."""
        found = self._load("id", [ticket_id], lock)
        if not found:
            raise NotThere(f"ticket {ticket_id}")
        return found[0]

    @reads
    def tickets(self, ids: Iterable[int], *, lock: bool = False) -> dict[int, Ticket]:
        """Return the tickets with these row ids; unknown ones are left out. Locks are taken in order of id, so none deadlock."""
        return {ticket.id: ticket for ticket in self._load("id", sorted(set(ids)), lock)}

    @reads
    def by_number(self, number: int, *, lock: bool = False) -> Ticket | None:
        """Return the request with this number, merged or not; None when there is none."""
        found = self._load("number", [number], lock)
        return found[0] if found else None

    def _load(self, key: str, values: Sequence[int], lock: bool = False) -> list[Ticket]:
        loaded: list[Ticket] = []
        for some in chunks(values):
            rows = self._rows(f"SELECT {_COLUMNS} FROM ticket WHERE {key} IN {places(len(some))} ORDER BY id"
                              f"{self._engine.for_update if lock else ''}", some)
            ids = [row[0] for row in rows]
            if not ids:
                continue
            participants: dict[int, list[Participant]] = {}
            for ticket_id, person, role, since, muted, address, name, language in self._rows(
                    "SELECT p.ticket_id, p.person, p.role, p.since, p.muted, coalesce(w.address, ''), coalesce(w.name, ''), "
                    "coalesce(w.language, '') FROM participant p LEFT JOIN party w ON w.id = p.person "
                    f"WHERE p.ticket_id IN {places(len(ids))} AND p.until = 0 ORDER BY p.ticket_id, p.since, p.role, p.person", ids):
                participants.setdefault(ticket_id, []).append(
                    Participant(person, Role(role), address, name, since, bool(muted), language))
            clocks: dict[int, list[Clock]] = {}
            for ticket_id, clock in self._rows(f"SELECT ticket_id, clock FROM clock WHERE ticket_id IN {places(len(ids))} "
                                               "ORDER BY ticket_id, kind, generation", ids):
                clocks.setdefault(ticket_id, []).append(Clock.from_row(load(clock)))
            loaded += [_ticket(row, tuple(participants.get(row[0], ())), tuple(clocks.get(row[0], ()))) for row in rows]
        return loaded

    @reads
    def events(self, ticket_id: int, *, after: int = 0) -> list[tuple[Event, Content | None]]:
        """Return a ticket's log with its words, in order; only events behind `after` when given."""
        rows = self._rows(
            "SELECT e.seq, e.at, e.kind, e.visibility, e.actor, e.facts, e.content_id, e.message_id, "
            "c.subject, c.text, c.html, c.attachments, c.raw_id, c.spool_id, c.party, c.erased, c.id "
            "FROM event e LEFT JOIN content c ON c.id = e.content_id WHERE e.ticket_id = ? AND e.seq > ? ORDER BY e.seq",
            (ticket_id, after))
        return [(_event(row[:8]), _content(row[8:])) for row in rows]

    @reads
    def event(self, ticket_id: int, seq: int) -> Event | None:
        """Return one event of a ticket, None when there is none."""
        row = self._row("SELECT seq, at, kind, visibility, actor, facts, content_id, message_id FROM event WHERE ticket_id = ? AND seq = ?",
                        (ticket_id, seq))
        return _event(row) if row else None

    @reads
    def opened_in(self, ticket: Ticket) -> str:
        """Return the queue in which a request was before it was ever moved."""
        row = self._row("SELECT facts FROM event WHERE ticket_id = ? AND kind = ? ORDER BY seq LIMIT 1", (ticket.id, EventKind.MOVED))
        return str(load(row[0])["old"]) if row else ticket.queue

    @reads
    def last_words(self, ticket_id: int, *, by_staff: bool) -> tuple[Event, Content] | None:
        """Return the latest public words of staff, or of the customer's side, with their event; None when there are none."""
        rows = self._rows(
            "SELECT e.seq, e.at, e.kind, e.visibility, e.actor, e.facts, e.content_id, e.message_id, "
            "c.subject, c.text, c.html, c.attachments, c.raw_id, c.spool_id, c.party, c.erased, c.id "
            "FROM event e JOIN content c ON c.id = e.content_id WHERE e.ticket_id = ? "
            "AND e.kind IN ('opened', 'correspondence', 'unverified') ORDER BY e.seq DESC LIMIT 50", (ticket_id,))
        for row in rows:
            event, content = _event(row[:8]), _content(row[8:])
            if content is not None and bool(event.facts.get("by_staff")) is by_staff:
                return event, content
        return None

    @reads
    def content(self, content_id: int) -> Content:
        """Return the words of an event; raises NotThere."""
        row = self._row("SELECT subject, text, html, attachments, raw_id, spool_id, party, erased, id FROM content WHERE id = ?",
                        (content_id,))
        found = _content(row) if row else None
        if found is None:
            raise NotThere(f"content {content_id}")
        return found

    @reads
    def replayed(self, ticket_id: int) -> Ticket:
        """Return what replaying all its events makes of a ticket; equal to `ticket` unless the store is damaged."""
        stored = self._load("id", [ticket_id])
        if not stored:
            raise NotThere(f"ticket {ticket_id}")
        now = stored[0]
        ticket = Ticket(now.id, now.number, now.queue, now.subject, Status.NEW, now.opened_at, now.policy_version, filled=now.filled)
        rows = self._rows("SELECT seq, at, kind, visibility, actor, facts, content_id, message_id FROM event "
                          "WHERE ticket_id = ? ORDER BY seq", (ticket_id,))
        for row in rows:
            ticket = apply(ticket, _event(row))
        known = {p.person: p for p in now.participants}
        return replace(ticket, participants=tuple(
            replace(p, address=known[p.person].address, name=known[p.person].name, language=known[p.person].language)
            if p.person in known else p for p in ticket.participants))

    @reads
    def rungs(self, ticket_id: int) -> list[tuple[Rung, int, datetime]]:
        """Return the rungs told for a ticket, each with the event that told it and when."""
        return [(Rung(clock, generation, rung), event, instant(at)) for clock, generation, rung, event, at in self._rows(
            "SELECT clock, generation, rung, event, at FROM rung WHERE ticket_id = ? ORDER BY at, rung", (ticket_id,))]

    def due_tickets(self, now: datetime, limit: int, owner: str, seconds: float) -> list[int]:
        """Claim up to `limit` tickets on which time has something to do, longest due first; return their row ids.

        A claim ends with the ticket's next `save`, or after `seconds`. The cost grows with what is due, not with what is open.
        """
        at, name = micros(now), clean(owner)

        def take(begin: int, until: int) -> list[int]:
            rows = self._rows(
                "WITH due AS MATERIALIZED (SELECT id FROM ticket WHERE wake_at IS NOT NULL AND wake_at <= ? AND sweep_until <= ? "
                f"ORDER BY wake_at LIMIT ?{self._engine.skip_locked}) UPDATE ticket SET sweep_owner = ?, sweep_until = ? "
                "WHERE id IN (SELECT id FROM due) RETURNING wake_at, id", (at, begin, limit, name, until))
            return [ticket_id for _, ticket_id in sorted(rows)]

        return self._claim(f"ticket {name}", at, length(timedelta(seconds=seconds)), take, lambda ends: self._do(
            f"UPDATE ticket SET sweep_until = 0 WHERE sweep_until > 0 AND sweep_owner = ? AND sweep_until IN {places(len(ends))}",
            (name, *ends)))

    @writes
    def release_tickets(self, owner: str, ids: Sequence[int]) -> None:
        """Put back tickets that were claimed and not looked at. Claims already lost are passed over."""
        self._many("UPDATE ticket SET sweep_until = 0 WHERE id = ? AND sweep_owner = ?", [(id_, clean(owner)) for id_ in ids])

    @reads
    def next_wake_at(self) -> datetime | None:
        """Return when time has something to do next, None for never."""
        row = self._row("SELECT wake_at FROM ticket WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1")
        return instant(row[0]) if row else None

    def list_tickets(self, *, queue: str = "", owner: int | None = None, requestor: int | None = None, mark: str = "",
                     statuses: Collection[Status] | None = LIVE) -> Iterator[TicketSummary]:
        """Yield tickets by number, read in pages; `statuses` None for all, `owner` 0 for those that nobody owns."""
        last = 0
        while rows := self._page(last, queue, owner, requestor, mark, statuses):
            yield from rows
            last = rows[-1].number

    @reads
    def _page(self, after: int, queue: str, owner: int | None, requestor: int | None, mark: str,
              statuses: Collection[Status] | None) -> list[TicketSummary]:
        where, values = ["t.number > ?"], [after]
        rest: list[Any] = values
        if statuses is not None:
            if not statuses:
                return []
            # Written out, so that the index of live tickets applies.
            where.append(f"t.status IN ({', '.join(repr(str(status)) for status in statuses)})")
            if set(statuses) <= set(LIVE):
                where.append("t.status IN ('new', 'open', 'waiting')")
        for column, value in (("queue", queue or None), ("owner", owner), ("requestor", requestor), ("mark", mark or None)):
            if value is not None:
                where.append(f"t.{column} = ?")
                rest.append(value)
        where += [f"t.{_MARKED}"] if mark else []
        return [_summary(row) for row in self._rows(
            f"SELECT {_SUMMARY} FROM ticket t LEFT JOIN party o ON o.id = t.owner LEFT JOIN party r ON r.id = t.requestor "
            f"WHERE {' AND '.join(where)} ORDER BY t.number LIMIT 500", values)]

    @reads
    def find_tickets(self, *, queues: Collection[str] | None = None, owner: int | None = None, requestor: int | None = None,
                     organisation: str = "", domain: str = "", mark: str = "", due_before: datetime | None = None,
                     ids: Collection[int] | None = None, statuses: Collection[Status] = LIVE,
                     limit: int = 50) -> tuple[list[TicketSummary], int]:
        """Return the tickets that all of these hold for, most urgent and then first due on top, `limit` at most, and how many.

        Those with one mark come the newest first: most of them are closed, and nothing is due on these.

        More than COUNTED are not counted: how many a list of a thousand pages has is not worth reading a million rows.
        owner 0: nobody's; organisation, domain: of the requestor; ids: row ids to choose from; None or "" asks for nothing.
        """
        if not statuses or (ids is not None and not ids) or (queues is not None and not queues):
            return [], 0
        # Written out, so that the index of live tickets applies.
        where = [f"t.status IN ({', '.join(repr(str(status)) for status in statuses)})"]
        if set(statuses) <= set(LIVE):
            where.append("t.status IN ('new', 'open', 'waiting')")
        rest: list[Any] = []
        if owner:
            where.append("t.owner <> 0")
        for text, value in (("t.owner = ?", owner), ("t.requestor = ?", requestor), ("r.organisation = ?", organisation or None),
                            ("t.mark = ?", mark or None),
                            ("lower(r.address) LIKE ?", f"%@{domain.lower()}" if domain else None),
                            ("t.next_due_at < ?", micros_or_none(due_before))):
            if value is not None:
                where.append(text)
                rest.append(value)
        where += [f"t.{_MARKED}"] if mark else []
        for column, chosen in (("t.queue", queues), ("t.id", ids)):
            if chosen is not None:
                where.append(f"{column} IN {places(len(chosen))}")
                rest += chosen
        source = ("FROM ticket t LEFT JOIN party o ON o.id = t.owner LEFT JOIN party r ON r.id = t.requestor "
                  f"WHERE {' AND '.join(where)}")
        order = "t.number DESC" if mark else "t.urgency DESC, t.next_due_at IS NULL, t.next_due_at, t.number"
        rows = self._rows(f"SELECT {_SUMMARY} {source} ORDER BY {order} LIMIT ?", [*rest, limit])
        if len(rows) < limit:
            return [_summary(row) for row in rows], len(rows)
        count = self._row(f"SELECT count(*) FROM (SELECT t.id {source} LIMIT {COUNTED}) AS counted", rest)
        return [_summary(row) for row in rows], int(count[0]) if count else len(rows)

    @reads
    def incidents(self, *, statuses: Collection[Status] = LIVE, since: datetime | None = None) -> list[Ticket]:
        """Return incidents and maintenance by number: those in one of `statuses`, and with `since` those that ended after it, too."""
        rows = self._rows(f"SELECT id FROM ticket WHERE incident <> '' AND (status IN {places(len(statuses))} OR status_at >= ?) "
                          "ORDER BY number", (*map(str, statuses), micros(since) if since else 1 << 62))
        return self._load("id", [ticket_id for (ticket_id,) in rows])

    @reads
    def linked_to(self, ticket_id: int, kind: LinkKind, *, after: int = 0, requestor: int = 0, limit: int = 100) -> list[Ticket]:
        """Return live requests that are linked to a ticket, by row id from behind `after` on; of one requestor where one is named."""
        mine = "AND t.requestor = ? " if requestor else ""
        rows = self._rows("SELECT t.id FROM link l JOIN ticket t ON t.id = l.ticket_id WHERE l.other_id = ? AND l.kind = ? AND t.id > ? "
                          f"AND t.status IN ('new', 'open', 'waiting', 'resolved') {mine}ORDER BY t.id LIMIT ?",
                          (ticket_id, str(kind), after, *((requestor,) if requestor else ()), limit))
        return self._load("id", [row_id for (row_id,) in rows])

    @reads
    def tickets_of(self, party_id: int, *, roles: Collection[Role] = tuple(Role)) -> list[int]:
        """Return row ids of the tickets on which a party holds one of `roles` now."""
        return [ticket_id for (ticket_id,) in self._rows(
            f"SELECT DISTINCT ticket_id FROM participant WHERE person = ? AND until = 0 AND role IN {places(len(roles))} "
            "ORDER BY ticket_id", (party_id, *map(str, roles)))]

    @writes
    def add_link(self, ticket_id: int, other_id: int, kind: LinkKind, actor: int, now: datetime) -> bool:
        """Link a ticket to another; False when it was already."""
        return bool(self._do("INSERT INTO link (ticket_id, other_id, kind, actor, at) VALUES (?, ?, ?, ?, ?) "
                             "ON CONFLICT (ticket_id, other_id, kind) DO NOTHING",
                             (ticket_id, other_id, str(LinkKind(kind)), actor, micros(now))))

    @writes
    def remove_link(self, ticket_id: int, other_id: int, kind: LinkKind) -> bool:
        """Take a link away; False when there was none."""
        return bool(self._do("DELETE FROM link WHERE ticket_id = ? AND other_id = ? AND kind = ?",
                             (ticket_id, other_id, str(LinkKind(kind)))))

    @reads
    def links(self, ticket_id: int) -> list[TicketLink]:
        """Return the links from and to a ticket, oldest first."""
        return [TicketLink(ticket, other, LinkKind(kind), actor, instant(at)) for ticket, other, kind, actor, at in self._rows(
            "SELECT ticket_id, other_id, kind, actor, at FROM link WHERE ticket_id = ? OR other_id = ? "
            "ORDER BY at, ticket_id, other_id", (ticket_id, ticket_id))]


def _changing(ticket: Ticket, wake_at: datetime | None) -> tuple[Any, ...]:
    requestor = ticket.requestor
    due = [micros(c.due_at) for c in ticket.clocks if c.state is State.RUNNING and c.kind in _PROMISES and c.due_at is not None]
    return (clean(ticket.queue), clean(ticket.subject), str(ticket.status), ticket.policy_version, clean(ticket.priority),
            clean(ticket.priority_state), ticket.owner, requestor.person if requestor else 0, dump(ticket.removed), ticket.events,
            dump(ticket.thread), micros_or_none(ticket.status_at), ticket.last_public_seq, micros_or_none(ticket.last_public_at),
            int(ticket.answered), ticket.merged_into, dump(ticket.fields), dump(ticket.filled),
            micros_or_none(ticket.solved_at), _urgency(ticket), _kind(ticket), _mark(ticket), micros_or_none(wake_at),
            min(due, default=None))


def _summary(row: Sequence[Any]) -> TicketSummary:
    id_, number, subject, status, priority, owner, address, queue, opened, due, state, filled, mark = row
    return TicketSummary(id_, number, subject, Status(status), priority, owner, address, queue, instant(opened), instant_or_none(due),
                         state, load(filled), mark)


def _ticket(row: Sequence[Any], participants: tuple[Participant, ...], clocks: tuple[Clock, ...]) -> Ticket:
    (id_, number, queue, subject, status, opened, policy, priority, priority_state, owner, removed, events, thread, status_at,
     last_seq, last_at, answered, merged_into, fields, filled, solved_at) = row
    return Ticket(id_, number, queue, subject, Status(status), instant(opened), policy, priority, priority_state, owner, participants,
                  frozenset(load(removed)), clocks, events, tuple(load(thread)), instant_or_none(status_at), last_seq,
                  instant_or_none(last_at), bool(answered), merged_into, load(fields), instant_or_none(solved_at), load(filled))


def _event(row: Sequence[Any]) -> Event:
    seq, at, kind, visibility, actor, facts, content_id, message_id = row
    return Event(seq, instant(at), EventKind(kind), Visibility(visibility), actor, load(facts), content_id, message_id)


def _content(row: Sequence[Any]) -> Content | None:
    subject, text, html, attachments, raw_id, spool_id, party, erased, id_ = row
    if id_ is None:
        return None
    return Content(subject, text, html, tuple(Attachment(**one) for one in load(attachments)), raw_id, spool_id, party, bool(erased), id_)


def attachments_text(attachments: Iterable[Attachment]) -> str:
    """Return the attachments of somebody's words as they are kept."""
    return dump([{"name": a.name, "type": a.type, "bytes": a.bytes, "sha256": a.sha256, "part": a.part, "content_id": a.content_id,
                  "inline": a.inline} for a in attachments])


def _kind(ticket: Ticket) -> str:
    """What a request is that is no ordinary one."""
    return str((ticket.fields.get(ABOUT) or {}).get("kind", ""))


def _mark(ticket: Ticket) -> str:
    return clean(str(ticket.fields.get(PREPARED_MARK) or ""))


def _urgency(ticket: Ticket) -> int:
    return int((ticket.fields.get(URGENCY) or {}).get("value", 0))
