"""What a request is that is an incident or a maintenance: values that stand in a field of it, and what is still to be told.

An incident is a request like any other, so its clocks, ladder, number, thread and log are those of requests; it has no requestor.
Whom it affects hears of it by tellings, which the engine works off in slices (`engine.announcing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.desk.grammar.commands import Command
from rtmail.desk.ticket import Status, Ticket
from rtmail.policy.duration import Duration
from rtmail.policy.model import Policy

ABOUT, TELLINGS, MUTES, INCIDENTS = "incident", "tellings", "notice_mutes", "incidents"
"""Fields of a request: what it is; what is still to be told of it; party ids who want no mail about it; of any other request, the
numbers of the incidents that it is linked to."""
LIVE = (Status.NEW, Status.OPEN, Status.WAITING)


class Kind(StrEnum):
    INCIDENT = "incident"
    MAINTENANCE = "maintenance"


class Stage(StrEnum):
    """Where a maintenance stands; an incident is open while its request is."""

    PLANNED = "planned"
    UNDER_WAY = "under-way"
    OVERRUN = "overrun"
    DONE = "done"
    CANCELLED = "cancelled"


class What(StrEnum):
    """What is told of it; of two that happen at once the later one here is what the mail is about."""

    UPDATED = "updated"
    ANNOUNCED = "announced"
    PLANNED = "planned"
    REMINDER = "reminder"
    CHANGED = "changed"
    OVERRUN = "overrun"
    DONE = "done"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    LINKED = "linked"
    """To the requestors of linked requests, on these: it is over."""


ENDS = frozenset({What.DONE, What.CLOSED, What.CANCELLED})


@dataclass(frozen=True, slots=True)
class About:
    """What it is.

    severity   key of the policy's severities with which it opened
    affects    as `affected.read` returns it
    sequence   how often its calendar entry changed (RFC 5545 3.8.7.4)
    quiet      inside the recurring window: nobody is told of it by itself
    root       event of the first mail about it, which the others refer to; 0 before
    reminded   lengths of the reminders that are done with
    """

    kind: Kind
    affects: tuple[str, ...]
    severity: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    stage: Stage = Stage.PLANNED
    emergency: bool = False
    quiet: bool = False
    sequence: int = 0
    root: int = 0
    reminded: tuple[str, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Return it as JSON values, what is at its default left out."""
        row: dict[str, Any] = {"kind": str(self.kind), "affects": list(self.affects)}
        if self.severity:
            row["severity"] = self.severity
        if self.starts_at and self.ends_at:
            row |= {"starts_at": self.starts_at.isoformat(), "ends_at": self.ends_at.isoformat(), "stage": str(self.stage)}
        row |= {name: getattr(self, name) for name in ("emergency", "quiet", "sequence", "root") if getattr(self, name)}
        return {**row, "reminded": list(self.reminded)} if self.reminded else row


@dataclass(frozen=True, slots=True)
class Telling:
    """Something to tell everybody affected, by event `event`, whose words, if it has any, are told.

    after   key of the last address that is done with, or the last row id where linked requests are told; count: mails so far
    but     whoever these cover was told before
    """

    event: int
    what: What
    after: str = ""
    count: int = 0
    but: tuple[str, ...] = ()

    def to_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"event": self.event, "what": str(self.what), "after": self.after, "count": self.count}
        return {**row, "but": list(self.but)} if self.but else row


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be opened: its title, what it is, and the commands that are left to run on it."""

    title: str
    found: About
    rest: tuple[Command, ...] = ()


def about(fields: Mapping[str, Any]) -> About | None:
    """Return what the fields of a request say, None for an ordinary one."""
    row = fields.get(ABOUT)
    if not row:
        return None
    return About(
        kind=Kind(row["kind"]), affects=tuple(row["affects"]), severity=row.get("severity", ""), starts_at=_instant(row.get("starts_at")),
        ends_at=_instant(row.get("ends_at")), stage=Stage(row.get("stage", Stage.PLANNED)), emergency=row.get("emergency", False),
        quiet=row.get("quiet", False), sequence=row.get("sequence", 0), root=row.get("root", 0), reminded=tuple(row.get("reminded", ())),
    )  # fmt: skip


def tellings(fields: Mapping[str, Any]) -> tuple[Telling, ...]:
    """Return what is still to be told, the next one first."""
    return tuple(
        Telling(row["event"], What(row["what"]), row["after"], row["count"], tuple(row.get("but", ())))
        for row in fields.get(TELLINGS) or ()
    )


def counting(policy: Policy, ticket: Ticket) -> Policy:
    """Return the policy as it counts for a request: for an incident its severities, with nobody who could be waited for."""
    found = about(ticket.fields)
    return policy.around(str(found.kind), found.severity) if found else policy


def on_page_alone(policy: Policy, ticket: Ticket) -> bool:
    """Tell whether it is an incident of a severity that stands on the status page, and nobody is written to.

    Who was written to once, when it was worse, hears of its end too.
    """
    found = about(ticket.fields)
    return found is not None and found.kind is Kind.INCIDENT and not found.root and ticket.priority in policy.incidents.page_alone


def reminders(found: About, lengths: Iterable[Duration]) -> list[tuple[datetime, str]]:
    """Return when whoever is affected is reminded of a planned maintenance, each with the length that it is before the start."""
    if found.kind is not Kind.MAINTENANCE or found.stage is not Stage.PLANNED or found.starts_at is None or found.quiet:
        return []
    ahead = [one for one in lengths if str(one) not in found.reminded]
    return sorted((found.starts_at - one.open_time - timedelta(days=one.days), str(one)) for one in ahead)


def wakes(ticket: Ticket, policy: Policy, now: datetime) -> list[datetime]:
    """Return the instants at which time alone, or what is left to tell, makes something happen."""
    found = about(ticket.fields)
    if found is None:
        return []
    pending = [now] if ticket.fields.get(TELLINGS) else []
    if ticket.status not in LIVE or found.kind is not Kind.MAINTENANCE:
        return pending
    pending += [at for at, _ in reminders(found, policy.maintenance.remind)]
    if found.stage is Stage.PLANNED and found.starts_at:
        pending.append(found.starts_at)
    if found.stage is Stage.UNDER_WAY and found.ends_at:
        pending.append(found.ends_at)
    return pending


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
