"""Sends the monthly statements that are due: once a customer and month, whoever of several daemons comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from rtmail.desk.people import Organisation
from rtmail.desk.reports import statement
from rtmail.desk.reports.statement import Month, Worked
from rtmail.engine.keeping import Keeper
from rtmail.mail.writing import table_csv
from rtmail.mail.writing.draft import AttachmentRef, Auto, Draft, Recipient, ReplyTo, Visibility

REMEMBERED_FOR = timedelta(days=70)
PART = "statement"


class Statements:
    """The statements of one office."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._office, self._store = keeper, keeper.office, keeper.store
        self._done: dict[str, str] = {}
        """The last month of each customer that is known to be settled: looking again costs nothing."""

    def send(self, now: datetime) -> int:
        """Write what is due; returns how many mails. A month without any work has none."""
        at, zone = self._office.statements_at, ZoneInfo(self._office.site.timezone)
        if not at:
            return 0
        sent, known = 0, dict[tuple[datetime, datetime], list[Worked]]()
        for one in self._office.directory.organisations.values():
            month = statement.due(one, time.fromisoformat(at), now, zone) if one.statement_to else None
            if month is None or self._done.get(one.key) == month.name:
                continue
            with self._store.transaction():
                if self._store.once(f"statement:{one.key}:{month.name}", now, now + REMEMBERED_FOR):
                    span = (month.since, month.until)
                    if span not in known:
                        known[span] = self._store.worked(*span)
                    sent += self._post(one, month, statement.of(one, known[span], self._office.directory), now, zone)
            self._done[one.key] = month.name
        return sent

    def _harmless(self, subject: str) -> str:
        """A subject that holds something internal is somebody's words: it is left out, or nobody of that customer had a statement."""
        return "" if self._office.house.leaks(subject) else subject

    def _post(self, one: Organisation, month: Month, worked: list[Worked], now: datetime, zone: ZoneInfo) -> int:
        if not worked:
            return 0
        worked = [replace(row, subject=self._harmless(row.subject)) for row in worked]
        data = "".join(table_csv.lines(statement.TITLES, statement.table(one, worked, zone))).encode()
        draft = Draft(
            template="statement",
            to=Recipient(0, one.statement_to, "", staff=False, language=one.language),
            visibility=Visibility.PUBLIC,
            subject="",
            queue=next(iter(self._office.directory.queues)),
            facts=statement.facts(one, month, worked, zone),
            attachments=(AttachmentRef(0, PART, f"statement-{one.key}-{month.name}.csv", "text/csv", len(data)),),
            auto=Auto.GENERATED,
            reply_to=ReplyTo.PLAIN,
            urgency=2,
        )
        self._keeper.post(self._keeper.render([draft], now, {PART: data}), None, [draft], now)
        return 1
