"""How promises stand, for the daily and weekly picture: counted by the database, each question by an index of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from rtmail.desk.reports.digest import Lost, Owed, Solved, Tally, Unowned
from rtmail.store.database import Database, reads
from rtmail.store.values import instant, instant_or_none, length, load, micros

_KINDS = "('triage', 'first-response', 'update', 'resolution')"
_LIVE = "t.status IN ('new', 'open', 'waiting')"
SLOT = timedelta(minutes=15)
"""Outcomes are counted by quarters of an hour, of which the days of every zone are made."""


class Promises(Database):
    """The promises' part of the store."""

    @reads
    def owed(self, owner: int) -> list[Owed]:
        """Return the open requests of `owner` (party id) with the promise that is due next on each, what is due first on top."""
        rows = self._rows(
            "SELECT t.number, t.subject, t.status, t.priority, t.next_due_at, coalesce((SELECT c.kind FROM clock c "
            "WHERE c.ticket_id = t.id AND c.state = 'running' AND c.due_at = t.next_due_at "
            f"AND c.kind IN {_KINDS} ORDER BY c.kind LIMIT 1), '') "
            f"FROM ticket t WHERE t.owner = ? AND t.owner <> 0 AND {_LIVE}", (owner,))
        found = [Owed(number, subject, status, priority, kind, instant_or_none(due))
                 for number, subject, status, priority, due, kind in rows]
        return sorted(found, key=lambda one: (one.due_at is None, one.due_at, one.number))

    @reads
    def unowned(self) -> list[Unowned]:
        """Return for each queue how many open requests nobody owns, and when the next promise on one of them is due."""
        return [Unowned(queue, count, instant_or_none(due)) for queue, count, due in self._rows(
            "SELECT t.queue, count(*), min(t.next_due_at) FROM ticket t WHERE t.owner = 0 "
            f"AND {_LIVE} GROUP BY t.queue ORDER BY t.queue")]

    @reads
    def solved(self, since: datetime, until: datetime) -> list[Solved]:
        """Return the requests that were solved from `since` to before `until` and still are."""
        return [Solved(queue, load(filled)) for queue, filled in self._rows(
            "SELECT queue, filled FROM ticket WHERE solved_at IS NOT NULL AND solved_at >= ? AND solved_at < ?",
            (micros(since), micros(until)))]

    @reads
    def tallies(self, since: datetime, now: datetime, until: datetime) -> list[Tally]:
        """Return how many promises were kept and missed from `since` to `now` and fall due until `until`."""
        slot, found = length(SLOT), []
        for state, column, start, end in (("met", "settled_at", since, now), ("missed", "due_at", since, now),
                                          ("running", "due_at", now, until)):
            found += [Tally(state, instant(at * slot), priority, owner, count) for at, priority, owner, count in self._rows(
                f"SELECT c.{column} / {slot} AS at, t.priority, t.owner, count(*) FROM clock c JOIN ticket t ON t.id = c.ticket_id "
                f"WHERE c.state = '{state}' AND c.{column} >= ? AND c.{column} < ? AND c.kind IN {_KINDS} "
                f"GROUP BY c.{column} / {slot}, t.priority, t.owner", (micros(start), micros(end)))]
        return found

    @reads
    def lost(self, since: datetime, now: datetime, limit: int) -> list[Lost]:
        """Return the promises that were missed from `since` to `now`, the latest first."""
        return [Lost(number, subject, priority, owner, kind, instant(due)) for number, subject, priority, owner, kind, due in self._rows(
            "SELECT t.number, t.subject, t.priority, t.owner, c.kind, c.due_at FROM clock c JOIN ticket t ON t.id = c.ticket_id "
            f"WHERE c.state = 'missed' AND c.due_at >= ? AND c.due_at < ? AND c.kind IN {_KINDS} "
            "ORDER BY c.due_at DESC, t.number LIMIT ?", (micros(since), micros(now), limit))]
