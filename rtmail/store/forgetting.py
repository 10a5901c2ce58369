"""Where a person stands in the store, to hand it out or to erase it; and what is old enough to be erased.

Addresses stand in few places besides the rows of people: envelopes, traces, holds, outgoing mails and counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rtmail.store.database import Database, reads, writes
from rtmail.store.values import dump, load, micros

NOBODY = "erased@invalid"
"""Stands for an address that was erased."""
_ENDED = "('closed', 'rejected', 'merged')"
ERASED = "[erased]"
"""Stands for the subject of a request that was erased."""


class Forgetting(Database):
    """The part of the store that knows what there is of a person, and of what age."""

    @reads
    def words_of(self, party_id: int) -> list[tuple[int, int, int]]:
        """Return (content id, ticket's row id, spool id) of everything that a person wrote and that is not erased."""
        return [(id_, ticket, spool_id) for id_, ticket, spool_id in self._rows(
            "SELECT id, ticket_id, spool_id FROM content WHERE party = ? AND erased = 0 ORDER BY id", (party_id,))]

    @reads
    def tickets_with(self, party_id: int) -> list[int]:
        """Return the row ids of the tickets that a person ever took part in or wrote to."""
        return [id_ for (id_,) in self._rows(
            "SELECT ticket_id FROM participant WHERE person = ? UNION SELECT ticket_id FROM content WHERE party = ? ORDER BY 1",
            (party_id, party_id))]

    @reads
    def mails_with(self, address: str) -> list[int]:
        """Return the spool ids of mails in whose envelope an address stands."""
        return [id_ for (id_,) in self._rows("SELECT id FROM spool WHERE lower(envelope) LIKE ? ORDER BY id", (f'%"{address.lower()}"%',))]

    @reads
    def mails_to(self, party_id: int, address: str) -> list[int]:
        """Return the outgoing mails to a person, or to his address."""
        return [id_ for (id_,) in self._rows("SELECT id FROM outbox WHERE person = ? OR lower(recipient) = ? ORDER BY id",
                                             (party_id, address.lower()))]

    @writes
    def erase_address(self, address: str) -> None:
        """Take an address out of envelopes, traces, holds and counters."""
        wanted, like = address.lower(), f"%{address.lower()}%"
        for id_, text in self._rows("SELECT id, envelope FROM spool WHERE lower(envelope) LIKE ?", (like,)):
            row = load(text)
            row["sender"] = NOBODY if str(row["sender"]).lower() == wanted else row["sender"]
            row["recipients"] = [NOBODY if one.lower() == wanted else one for one in row["recipients"]]
            row["checked"] = None
            self._do("UPDATE spool SET envelope = ? WHERE id = ?", (dump(row), id_))
        for table, key, column in (("trace", "spool_id", "verdict"), ("hold", "id", "details"), ("hold", "id", "reason")):
            for id_, text in self._rows(f"SELECT {key}, {column} FROM {table} WHERE lower({column}) LIKE ?", (like,)):
                self._do(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (_without(text, wanted), id_))
        for table, column in (("once", "key"), ("cap", "key"), ("junk_sender", "address")):
            self._do(f"DELETE FROM {table} WHERE lower({column}) LIKE ?", (like,))

    # -- ages --

    @reads
    def old_mails(self, queue: str, before: datetime, after: int, limit: int) -> list[int]:
        """Return spool ids above `after` of mails of a queue's requests that came in before an instant and still have their bytes."""
        return [id_ for (id_,) in self._rows(
            "SELECT s.id FROM spool s JOIN ticket t ON t.id = s.ticket_id JOIN raw r ON r.id = s.raw_id WHERE s.id > ? "
            "AND s.arrived_at < ? AND s.outcome = 'event' AND t.queue = ? AND r.packed IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM hold h WHERE h.spool_id = s.id AND h.state = 'waiting') ORDER BY s.id LIMIT ?",
            (after, micros(before), queue, limit))]

    @reads
    def old_tickets(self, queue: str, before: datetime, limit: int) -> list[int]:
        """Return row ids of requests of a queue that ended before an instant and are not erased."""
        return [id_ for (id_,) in self._rows(
            f"SELECT id FROM ticket WHERE status IN {_ENDED} AND status_at < ? AND queue = ? AND subject <> ? ORDER BY id LIMIT ?",
            (micros(before), queue, ERASED, limit))]

    @reads
    def old_aside(self, outcome: str, before: datetime, limit: int) -> list[tuple[int, Sequence[str]]]:
        """Return (spool id, recipients) of mails with this outcome that came in before an instant and were not dropped."""
        assert outcome in ("quarantined", "junk")
        return [(id_, load(envelope)["recipients"]) for id_, envelope in self._rows(
            f"SELECT id, envelope FROM spool WHERE outcome = '{outcome}' AND dropped = 0 AND arrived_at < ? ORDER BY id LIMIT ?",
            (micros(before), limit))]

    @reads
    def marked(self, key: str) -> int:
        """Return how far a walk over rows came, 0 for the beginning."""
        row = self._row("SELECT value FROM meta WHERE key = ?", (f"walk:{key}",))
        return int(row[0]) if row else 0

    @writes
    def mark(self, key: str, at: int) -> None:
        """Note how far a walk over rows came."""
        self._do("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                 (f"walk:{key}", str(at)))

    @writes
    def forget_holds(self, spool_id: int) -> None:
        """Take what a list shows of a mail out of its holds."""
        self._do("UPDATE hold SET details = '{}' WHERE spool_id = ?", (spool_id,))


def _without(text: str, address: str) -> str:
    parts, low = [], text.lower()
    at = 0
    while (found := low.find(address, at)) >= 0:
        parts += [text[at:found], NOBODY]
        at = found + len(address)
    return "".join(parts) + text[at:]
