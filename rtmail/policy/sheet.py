"""The working sheet of one `clocks.advance`: rows as they become, changes and notices as they arise.

A Sheet lives for one call only. Every change of a row goes through `put`, so that the changes, each with the row it leaves
behind, rebuild the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.policy.duration import Duration
from rtmail.policy.hours import add, between
from rtmail.policy.model import Policy, Priority, UpdateMode
from rtmail.policy.rows import Ack, Basis, Clock, ClockKind, Reach, State
from rtmail.policy.signals import Facts

STOPS_UPDATE = "resolved"


class What(StrEnum):
    """What happened to a clock."""

    STARTED = "started"
    DUE = "due"
    """Its due instant moved."""
    PAUSED = "paused"
    RESUMED = "resumed"
    MET = "met"
    MISSED = "missed"
    SETTLED = "settled"
    """Kept after it was missed."""
    CONFIRMED = "confirmed"
    RETURNED = "returned"
    VOID = "void"
    NUDGED = "nudged"
    WARNED = "warned"
    TOLD = "told"
    ACKED = "acked"
    SNOOZED = "snoozed"


class NoticeKind(StrEnum):
    """What a mail that time causes is for; the names are those of `rtmail simulate`."""

    ACKNOWLEDGEMENT = "acknowledgement"
    NUDGE = "nudge"
    HOLDING_UPDATE = "holding-update"
    MISSED = "missed"
    ESCALATION = "escalation"
    DIGEST = "digest"
    """The daily and weekly mail, and escalations joined per manager: no request's own."""
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to one clock, by which rule; `row` is the clock after it."""

    kind: ClockKind
    generation: int
    what: What
    old_due: datetime | None
    new_due: datetime | None
    rule: str
    at: datetime
    row: Clock


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail that is to be written.

    clock    its clock, "" for the acknowledgement and the closing; generation and rung (from 1; None: no rung's) of it
    tell     role names, "requestor", "owner", "queue", "author" or "admin"; cc: roles of the rungs below
    due_at   when it was due; at: when it was decided; late_by: the time between
    also     other clocks that this mail speaks of too
    skipped  lower rungs that fell due with this one, without a mail of their own
    reach    who stands for the roles in `tell`; alarm: the person and his deputy could not be reached
    next_at  of a holding update: when the next word comes; of an acknowledgement: when a person will have looked
    acks     acknowledgements to quote
    page     goes to the `page` address as well; bundle: may be joined with others for the same person
    """

    kind: NoticeKind
    clock: str
    generation: int
    rung: int | None
    tell: tuple[str, ...]
    template: str
    rule: str
    due_at: datetime
    at: datetime
    cc: tuple[str, ...] = ()
    late_by: timedelta = timedelta(0)
    also: tuple[str, ...] = ()
    skipped: tuple[int, ...] = ()
    reach: Reach = Reach.PERSON
    alarm: bool = False
    next_at: datetime | None = None
    acks: tuple[Ack, ...] = ()
    page: bool = False
    bundle: bool = True


@dataclass(frozen=True, slots=True)
class Advance:
    """What follows from a signal: the rows as they are now, how they became so, and the mails to write."""

    clocks: tuple[Clock, ...]
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]


@dataclass(slots=True)
class Sheet:
    """The rows of one request while a signal works on them.

    status, priority, cadence  as the signal has left them so far
    """

    policy: Policy
    facts: Facts
    rows: dict[tuple[ClockKind, int], Clock]
    status: str
    priority: str
    cadence: Duration | None
    changes: list[Change] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    @classmethod
    def of(cls, policy: Policy, clocks: Iterable[Clock], facts: Facts) -> Sheet:
        rows = {(clock.kind, clock.generation): clock for clock in clocks}
        return cls(policy, facts, rows, facts.status, facts.priority, facts.cadence)

    def result(self) -> Advance:
        return Advance(tuple(self.rows[key] for key in sorted(self.rows)), tuple(self.changes), tuple(self.notices))

    # reading

    def begun_at(self, at: datetime) -> datetime:
        """From when its promises count: the opening; for a request that was moved in, the first of them, at the earliest now (`at`)."""
        if not self.facts.moved_in:
            return self.facts.opened_at
        return min((row.started_at for row in self.rows.values()), default=at)

    @property
    def target(self) -> Priority:
        """The priority whose targets count now."""
        return self.policy.priority(self.priority)

    @property
    def live(self) -> bool:
        return self.status in ("new", "open", "waiting")

    def of_kind(self, kind: ClockKind) -> list[Clock]:
        """All instances, oldest first."""
        return sorted((row for row in self.rows.values() if row.kind is kind), key=lambda row: row.generation)

    def latest(self, kind: ClockKind) -> Clock | None:
        return max((row for row in self.rows.values() if row.kind is kind), key=lambda row: row.generation, default=None)

    def open(self, kind: ClockKind) -> Clock | None:
        row = self.latest(kind)
        return row if row is not None and row.open else None

    def all_open(self, *kinds: ClockKind) -> list[Clock]:
        return [row for kind in kinds or tuple(ClockKind) if (row := self.open(kind)) is not None]

    def interval(self) -> Duration | None:
        """The update interval: agreed for the request, or the priority's."""
        return self.cadence if self.cadence and not self.cadence.is_zero else self.target.update_every

    def reply_within(self) -> Duration | None:
        """In what time a customer who wrote while we waited hears from us."""
        return self.target.reply_within or self.target.first_response or self.interval()

    # writing

    def put(self, row: Clock, what: What, rule: str, at: datetime) -> Clock:
        """Keep `row` and record the change."""
        key = (row.kind, row.generation)
        old = self.rows.get(key)
        self.rows[key] = row
        self.changes.append(Change(row.kind, row.generation, what, old.due_at if old else None, row.due_at, rule, at, row))
        return row

    def start(self, kind: ClockKind, at: datetime, due_at: datetime | None, calendar: str, rule: str, *, now: datetime,
              event: int = 0, basis: Basis = Basis.TARGET, priority: str = "", **values: Any) -> Clock:
        """Begin the next instance of `kind`, standing still when the status says so; `priority`: not the present one's."""
        last = self.latest(kind)
        row = Clock(kind=kind, generation=last.generation + 1 if last else 1, state=State.RUNNING, priority=priority or self.target.key,
                    calendar=calendar, started_at=at, due_at=due_at, rule=rule, started_event=event, basis=basis, **values)
        row = replace(row, nudge_at=self.nudge_at(row, at))
        if self.stands_still(kind):
            row = replace(row, state=State.PAUSED, paused_at=now)
        return self.put(row, What.STARTED, rule, now)

    def stands_still(self, kind: ClockKind) -> bool:
        """Tell whether a clock of `kind` stands still in the present status."""
        if kind is ClockKind.UPDATE and self.status == STOPS_UPDATE:
            return True
        return self.status == "waiting" and kind.value in self.policy.waiting_pauses

    def nudge_at(self, row: Clock, base: datetime) -> datetime | None:
        """When staff are reminded of `row`, reckoned from `base`; None for never."""
        if row.due_at is None or row.kind not in (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE):
            return None
        if row.kind is ClockKind.UPDATE and self.target.update_mode is UpdateMode.SILENT:
            return None
        nudge = self.policy.nudge if row.kind is ClockKind.TRIAGE else self.target.nudge
        return nudge.at(base, row.due_at, self.policy.hours(row.calendar))

    def redue(self, row: Clock, due_at: datetime, rule: str, *, now: datetime, base: datetime, **values: Any) -> Clock:
        """Move a due instant; a reminder that then lies ahead is given (again)."""
        moved = replace(row, due_at=due_at, rule=rule, **values)
        nudge_at = self.nudge_at(moved, base)
        again = nudge_at is not None and nudge_at > now
        moved = replace(moved, nudge_at=nudge_at, nudged_at=None if again else row.nudged_at)
        return self.put(moved, What.DUE, rule, now) if moved != row else row

    def settle(self, row: Clock, by: str, at: datetime, rule: str, *, event: int = 0, person: int = 0,
               confirmed: bool = False) -> Clock:
        """Bring a clock to its outcome: an open one is met, a missed one is settled and stays missed."""
        at = max(at, row.started_at)
        row = self.unpaused(row, at)
        settled = replace(row, settled_at=at, settled_by=by, settled_event=event, settled_person=person, confirmed=confirmed)
        if row.state is State.MISSED:
            return self.put(settled, What.SETTLED, rule, at)
        return self.put(replace(settled, state=State.MET, rule=rule), What.MET, rule, at)

    def void(self, row: Clock, why: str, at: datetime, rule: str) -> Clock:
        """End a clock without an outcome; its pause, if any, is kept as it was."""
        return self.put(replace(row, state=State.VOID, settled_at=at, settled_by=why, rule=rule), What.VOID, rule, at)

    def still(self, row: Clock, old: Clock, at: datetime) -> Clock:
        """Return `row`, which ran to be reckoned anew, standing still from `at` on where `old` does."""
        return row if old.paused_at is None else replace(row, state=old.state, paused_at=max(at, old.paused_at))

    def pause(self, row: Clock, at: datetime, rule: str) -> Clock:
        begun = max(at, row.started_at, *(ended for _, ended in row.pauses))
        return self.put(replace(row, state=State.PAUSED, paused_at=begun), What.PAUSED, rule, at)

    def resume(self, row: Clock, at: datetime, rule: str) -> Clock:
        return self.put(replace(self.unpaused(row, at), rule=rule), What.RESUMED, rule, at)

    def unpaused(self, row: Clock, at: datetime) -> Clock:
        """`row` running on from `at`: what was left of its time when the pause began is left of it now.

        A promised instant stands; when it passed during the pause it is due at once.
        """
        if row.paused_at is None:
            return row
        begun, at = row.paused_at, max(at, row.paused_at)
        moved = replace(row, state=State.RUNNING, paused_at=None, pauses=(*row.pauses, (begun, at)))
        if row.basis is Basis.PROMISE:
            return replace(moved, due_at=max(at, row.due_at) if row.due_at else None)
        return self.shifted(moved, begun, at)

    def shifted(self, row: Clock, begun: datetime, ended: datetime) -> Clock:
        """`row` with everything still ahead moved on by the open time between two instants."""
        due_at = self._later(row, row.due_at, begun, ended)
        nudge_at = self._later(row, row.nudge_at, begun, ended) if row.nudged_at is None else row.nudge_at
        steps = tuple(replace(step, due_at=self._later(row, step.due_at, begun, ended) or step.due_at) if step.done_at is None else step
                      for step in row.steps)
        return replace(row, due_at=due_at, nudge_at=nudge_at, steps=steps)

    def _later(self, row: Clock, instant: datetime | None, begun: datetime, ended: datetime) -> datetime | None:
        if instant is None:
            return None
        hours = self.policy.hours(row.calendar)
        lost = between(begun, ended, hours)
        return add(instant, lost, hours) if lost else instant

    def from_start(self, row: Clock, target: Duration, calendar: str) -> datetime:
        """Start plus target on `calendar`, the open time of every pause left out."""
        hours = self.policy.hours(calendar)
        due = target.after(row.started_at, hours)
        for begun, ended in row.pauses:
            if begun < due and (lost := between(begun, ended, hours)):
                due = add(due, lost, hours)
        return due
