"""Time worked: each note of it as a row, by the time at which it was noted; for statements."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rtmail.desk.notes import WORKED
from rtmail.desk.reports.statement import Worked
from rtmail.desk.ticket import Event, EventKind
from rtmail.policy.terms import TERMS
from rtmail.store.database import Database, reads
from rtmail.store.values import instant, load, micros


class WorkedTime(Database):
    """The part of the store that knows what was worked."""

    def _keep_worked(self, ticket_id: int, events: Iterable[Event]) -> None:
        noted = [e for e in events if e.kind is EventKind.FIELD and e.facts["name"] == WORKED and "minutes" in e.facts]
        if noted:
            self._many("INSERT INTO worked (ticket_id, seq, at, minutes, billable, actor) VALUES (?, ?, ?, ?, ?, ?)",
                       [(ticket_id, e.seq, micros(e.at), int(e.facts["minutes"]), int(bool(e.facts["billable"])), e.actor) for e in noted])

    @reads
    def worked(self, since: datetime, until: datetime) -> list[Worked]:
        """Return what was worked from `since` to before `until` on all requests, in order of time."""
        return [
            Worked(instant(at), number, subject, requestor, str((load(fields).get(TERMS) or {}).get("organisation") or ""), minutes,
                   bool(billable))
            for at, number, subject, requestor, fields, minutes, billable in self._rows(
                "SELECT w.at, t.number, t.subject, coalesce(r.address, ''), t.fields, w.minutes, w.billable FROM worked w "
                "JOIN ticket t ON t.id = w.ticket_id LEFT JOIN party r ON r.id = t.requestor WHERE w.at >= ? AND w.at < ? "
                "ORDER BY w.at, w.ticket_id, w.seq", (micros(since), micros(until)))
        ]
