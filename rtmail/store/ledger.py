"""Message-IDs seen: which request each one belongs to, and how it came to be known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rtmail.store.database import Database, chunks, places, reads, writes
from rtmail.store.spool import message_id_key


class Origin(StrEnum):
    """OURS: we wrote it. RECEIVED: a mail that we took in. CITED: only seen in someone's References.

    A cited id is evidence only for participants of the request that it came with.
    """

    OURS = "ours"
    RECEIVED = "received"
    CITED = "cited"


@dataclass(frozen=True, slots=True)
class Entry:
    """One id on one ticket (row id); `person` is the party that sent or cited it."""

    message_id: str
    ticket: int
    event: int
    origin: Origin
    person: int


class Ledger(Database):
    """The ledger's part of the store."""

    def record(self, message_id: str, ticket: int, event: int, origin: Origin, person: int = 0) -> None:
        """Note one id; the first note of an id with this origin on a ticket stays."""
        self.record_many([Entry(message_id, ticket, event, origin, person)])

    @writes
    def record_many(self, entries: Sequence[Entry]) -> None:
        """Note many ids at once; empty ones are passed over."""
        rows = [(key, e.ticket, e.event, str(Origin(e.origin)), e.person) for e in entries if (key := message_id_key(e.message_id))]
        if rows:
            self._many("INSERT INTO ledger (message_id, ticket_id, event, origin, person) VALUES (?, ?, ?, ?, ?) "
                       "ON CONFLICT (message_id, ticket_id, origin) DO NOTHING", rows)

    @reads
    def find(self, ids: Iterable[str]) -> list[Entry]:
        """Return what is known of `ids`, in the order in which they were given; ours first for each."""
        order: dict[str, int] = {}
        for message_id in ids:
            if key := message_id_key(message_id):
                order.setdefault(key, len(order))
        keys, found = list(order), []
        for some in chunks(keys):
            found += [Entry(message_id, ticket, event, Origin(origin), person) for message_id, ticket, event, origin, person in self._rows(
                f"SELECT message_id, ticket_id, event, origin, person FROM ledger WHERE message_id IN {places(len(some))}", some)]
        return sorted(found, key=lambda e: (order[e.message_id], _STRENGTH[e.origin], e.ticket))


_STRENGTH = {Origin.OURS: 0, Origin.RECEIVED: 1, Origin.CITED: 2}
