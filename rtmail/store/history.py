"""Requests that are moved in: many old mails with their tickets in one commit, each mail settled as it is written.

Nothing that is moved in ever waits in the spool, so no daemon that runs meanwhile takes it for new mail and answers it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rtmail.desk.ticket import Event, Ticket
from rtmail.mail.model import Envelope
from rtmail.store.database import chunks, places, reads, writes
from rtmail.store.faults import Conflict
from rtmail.store.spool import Outcome, Spool, envelope_text, message_id_key
from rtmail.store.tickets import Content, Tickets
from rtmail.store.values import clean, instant, load, micros, pack

_LEFT = "left:"


@dataclass(frozen=True, slots=True)
class MovedMail:
    """An old mail as it is kept: `spool_id`, `raw_id` and the ticket's row id are reserved before; `digest` is SHA-256 in hex.

    message_id, fingerprint  what it is recognised by when it comes again; "" for what is recognised by its bytes alone
    """

    spool_id: int
    raw_id: int
    raw: bytes
    digest: str
    envelope: Envelope
    message_id: str
    fingerprint: str
    ticket: int
    event: int
    reason: str
    trace: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MovedTicket:
    """A ticket before (None for a new one, whose row id is reserved) and after, with its new events and their words."""

    before: Ticket | None
    after: Ticket
    rows: Sequence[tuple[Event, Content | None]]
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Print:
    """A mail that was seen: by what it was recognised, which spooled mail it is, and the ticket that it reached (0: none)."""

    message_id: str
    fingerprint: str
    spool_id: int
    ticket: int
    at: datetime


class History(Spool, Tickets):
    """The moving-in part of the store."""

    @writes
    def reserve_rows(self, name: str, count: int) -> list[int]:
        """Return `count` fresh row ids of "raw", "spool" or "ticket"; those that are not used stay unused."""
        return self._engine.reserve(name, count) if count else []

    @reads
    def known_bytes(self, digests: Iterable[str]) -> dict[str, tuple[int, bool]]:
        """Return (row id of the bytes, whether they came in as a mail before) for those of `digests` that are known."""
        found: dict[str, tuple[int, bool]] = {}
        for some in chunks(list(digests)):
            found.update({digest: (id_, bool(spooled)) for digest, id_, spooled in self._rows(
                "SELECT r.sha256, r.id, EXISTS (SELECT 1 FROM spool s WHERE s.raw_id = r.id) FROM raw r "
                f"WHERE r.sha256 IN {places(len(some))}", some)})
        return found

    @reads
    def known_prints(self, pairs: Iterable[tuple[str, str]]) -> list[Print]:
        """Return the mails that were seen under any of these (Message-ID, fingerprint): under the id, or, without one, the same print."""
        keys = [(message_id_key(message_id), fingerprint) for message_id, fingerprint in pairs]
        rows: list[tuple[Any, ...]] = []
        wanted = ("SELECT n.message_id, n.fingerprint, n.spool_id, coalesce(s.ticket_id, 0), n.at FROM seen n "
                  "LEFT JOIN spool s ON s.id = n.spool_id WHERE")
        for some in chunks(sorted({key for key, _ in keys if key})):
            rows += self._rows(f"{wanted} n.message_id IN {places(len(some))}", some)
        for some in chunks(sorted({fingerprint for key, fingerprint in keys if not key})):
            rows += self._rows(f"{wanted} n.message_id = '' AND n.fingerprint IN {places(len(some))}", some)
        return [Print(key, fingerprint, spool_id, ticket, instant(at)) for key, fingerprint, spool_id, ticket, at in rows]

    @reads
    def facts_of_events(self, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], Mapping[str, Any]]:
        """Return the facts of events named by (row id of the ticket, number of the event)."""
        found: dict[tuple[int, int], Mapping[str, Any]] = {}
        for some in chunks(sorted({ticket for ticket, _ in wanted})):
            for ticket, seq, facts in self._rows(f"SELECT ticket_id, seq, facts FROM event WHERE ticket_id IN {places(len(some))}", some):
                if (ticket, seq) in wanted:
                    found[ticket, seq] = load(facts)
        return found

    @reads
    def last_words_of_staff(self, ticket_id: int, most: int) -> list[tuple[Event, Content]]:
        """Return the latest public words of the house on a ticket with their events, the latest first."""
        rows = self._rows("SELECT seq FROM event WHERE ticket_id = ? AND kind = 'correspondence' ORDER BY seq DESC LIMIT ?",
                          (ticket_id, 10 * most))
        found: list[tuple[Event, Content]] = []
        for (seq,) in rows:
            event = self.event(ticket_id, seq)
            if event and event.facts.get("by_staff") and event.content_id and len(found) < most:
                found.append((event, self.content(event.content_id)))
        return found

    @reads
    def numbers_in_use(self, numbers: Iterable[int]) -> set[int]:
        """Return those of `numbers` that requests have."""
        return {number for some in chunks(sorted(set(numbers))) for (number,) in self._rows(
            f"SELECT number FROM ticket WHERE number IN {places(len(some))}", some)}

    @reads
    def were_left(self, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` under which mails were left before."""
        return {key for some in chunks([f"{_LEFT}{key}" for key in keys]) for (key,) in self._rows(
            f"SELECT substr(key, {len(_LEFT) + 1}) FROM once WHERE key IN {places(len(some))}", some)}

    @writes
    def note_left(self, keys: Iterable[str], until: datetime) -> None:
        """Note mails of an archive that became nothing: the same archive once more must not find them a place meanwhile."""
        self._many("INSERT INTO once (key, expires_at) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                   [(f"{_LEFT}{key}", micros(until)) for key in keys])

    @writes
    def move_in(self, mails: Sequence[MovedMail], tickets: Sequence[MovedTicket], now: datetime) -> None:
        """Keep old mails and what became of their tickets. Raises Conflict when somebody else changed a ticket or took a mail in."""
        fresh = {mail.digest: mail for mail in mails}
        # An erased mail that comes again has its row: its bytes are put back where it is taken in again at all.
        self._many("INSERT INTO raw (id, sha256, size_bytes, packed) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                   "packed = coalesce(raw.packed, excluded.packed)",
                   [(mail.raw_id, digest, len(mail.raw), pack(mail.raw)) for digest, mail in sorted(fresh.items())])
        at = micros(now)
        self._many("INSERT INTO spool (id, raw_id, envelope, arrived_at, attempts, outcome, reason, ticket_id, event, settled_at) "
                   "VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
                   [(m.spool_id, m.raw_id, envelope_text(m.envelope), micros(m.envelope.arrived_at), str(Outcome.EVENT), clean(m.reason),
                     m.ticket, m.event, at) for m in mails])
        named = [mail for mail in mails if mail.fingerprint]
        noted = self._many("INSERT INTO seen (message_id, fingerprint, spool_id, at) VALUES (?, ?, ?, ?) "
                           "ON CONFLICT (message_id, fingerprint) DO NOTHING",
                           [(message_id_key(m.message_id), m.fingerprint, m.spool_id, micros(m.envelope.arrived_at)) for m in named])
        if noted != len(named):
            raise Conflict("a mail came in while it was moved in")
        self._trace(((mail.spool_id, mail.trace) for mail in mails), at)
        for one in tickets:
            if one.before is None:
                self.insert_ticket(one.after, one.wake_at)
                self._parts(None, one.after, one.rows, ())
            else:
                self.save(one.before, one.after, one.rows, wake_at=one.wake_at)
