"""The numbers that requests have in other systems: bugs of a tracker, problems of a monitoring."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from rtmail.store.database import Database, places, reads, writes
from rtmail.store.values import clean, micros

ALERTS = "alert:"
"""How the systems begin whose numbers are problems of a monitoring: those are fingerprints, and nobody reads them."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A number elsewhere and the row ids of the tickets that have it, the oldest link first."""

    ref: str
    tickets: tuple[int, ...]


class References(Database):
    """The part of the store that knows them."""

    @writes
    def add_outside_ref(self, ticket_id: int, system: str, ref: str, now: datetime) -> None:
        """Note the number that a ticket has in another system."""
        self._do("INSERT INTO outside_ref (system, ref, ticket_id, at) VALUES (?, ?, ?, ?) "
                 "ON CONFLICT (system, ref, ticket_id) DO NOTHING", (clean(system), clean(ref), ticket_id, micros(now)))

    @writes
    def remove_outside_ref(self, ticket_id: int, system: str, ref: str) -> None:
        """Forget the number that a ticket has in another system."""
        self._do("DELETE FROM outside_ref WHERE ticket_id = ? AND system = ? AND ref = ?", (ticket_id, clean(system), clean(ref)))

    @reads
    def by_outside_ref(self, system: str, ref: str) -> list[int]:
        """Return row ids of the tickets with this number in another system, latest first."""
        return [ticket_id for (ticket_id,) in self._rows(
            "SELECT ticket_id FROM outside_ref WHERE system = ? AND ref = ? ORDER BY at DESC, ticket_id DESC",
            (clean(system), clean(ref)))]

    @reads
    def outside_refs(self, ticket_id: int) -> list[tuple[str, str]]:
        """Return a ticket's numbers in other systems as (system, number)."""
        return [(system, ref) for system, ref in self._rows(
            "SELECT system, ref FROM outside_ref WHERE ticket_id = ? ORDER BY at, system, ref", (ticket_id,))]

    @reads
    def linked_with(self, tickets: Collection[int] | None = None, limit: int = 50) -> list[Linked]:
        """Return numbers elsewhere that people noted, each with all its tickets, the latest noted first; at most `limit`.

        tickets  row ids: those numbers alone that one of these has; None for all
        """
        if tickets is not None and not tickets:
            return []
        chosen = "" if tickets is None else f"AND ticket_id IN {places(len(tickets))} "
        refs = self._rows(f"SELECT system, ref, max(at) FROM outside_ref WHERE substr(system, 1, ?) <> ? {chosen}"
                          "GROUP BY system, ref ORDER BY max(at) DESC, ref LIMIT ?", (len(ALERTS), ALERTS, *(tickets or ()), limit))
        return [Linked(ref, tuple(ticket_id for (ticket_id,) in self._rows(
            "SELECT ticket_id FROM outside_ref WHERE system = ? AND ref = ? ORDER BY at, ticket_id", (system, ref))))
            for system, ref, _ in refs]
