"""What a promise's length comes to on the present priority: beginning an instance, and moving those that run to another target.

Called by the rooms of the clock table: `clocks`, `answers`, `course` and `agreements`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rtmail.policy import ladder
from rtmail.policy.duration import Duration
from rtmail.policy.model import MetBy, Priority
from rtmail.policy.rows import Basis, Clock, ClockKind, State, Step
from rtmail.policy.sheet import Sheet

PROMISES = (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.RESOLUTION)
ANSWERABLE = (ClockKind.FIRST_RESPONSE, ClockKind.UPDATE)
_OTHERWISE = frozenset({MetBy.TAKEN.value, MetBy.ACKNOWLEDGEMENT.value})
NO_TARGET = "no-target"
"""What ended a clock whose priority promised nothing of the kind."""


def length_of(priority: Priority, kind: ClockKind) -> Duration | None:
    """The priority's target for a kind of clock."""
    match kind:
        case ClockKind.FIRST_RESPONSE:
            return priority.first_response
        case ClockKind.UPDATE:
            return priority.update_every
        case ClockKind.RESOLUTION:
            return priority.resolution
        case _:
            return None


def calendar_of(priority: Priority, kind: ClockKind, basis: Basis = Basis.TARGET) -> str:
    """What a clock counts on: an answer that the customer waits for on the calendar of the first one, not on that of the cadence."""
    return priority.update_calendar if kind is ClockKind.UPDATE and basis is not Basis.REPLY else priority.calendar


def begin(sheet: Sheet, kind: ClockKind, base: datetime, now: datetime, event: int = 0, why: str = "") -> Clock | None:
    """Start the next instance of a promise on the present priority's target; None when it has none."""
    priority = sheet.target
    length = sheet.interval() if kind is ClockKind.UPDATE else length_of(priority, kind)
    if length is None:
        return None
    calendar = calendar_of(priority, kind)
    untriaged = "" if sheet.priority else " (untriaged)"
    rule = f"{kind.value}: {length} on {calendar} by {priority.key}{untriaged}" + (f", {why}" if why else "")
    return sheet.start(kind, base, length.after(base, sheet.policy.hours(calendar)), calendar, rule, now=now, event=event)


def begin_reply(sheet: Sheet, at: datetime, event: int, why: str) -> Clock | None:
    """Owe the customer an answer within `reply_within`; None when the policy promises nothing at all."""
    length, calendar = sheet.reply_within(), sheet.target.calendar
    if length is None:
        return None
    rule = f"update: {why}, an answer within {length} on {calendar}"
    due_at = length.after(at, sheet.policy.hours(calendar))
    return sheet.start(ClockKind.UPDATE, at, due_at, calendar, rule, now=at, event=event, basis=Basis.REPLY)


def begin_triage(sheet: Sheet, at: datetime, event: int) -> Clock | None:
    policy = sheet.policy
    if policy.triage is None:
        return None
    due_at = policy.triage.after(at, policy.hours(policy.triage_calendar))
    roles = ladder.first_rung(policy.highest)
    steps = (Step(rung=1, due_at=due_at, tell=roles),) if roles else ()
    rule = f"triage: {policy.triage} on {policy.triage_calendar}"
    return sheet.start(ClockKind.TRIAGE, at, due_at, policy.triage_calendar, rule, now=at, event=event, steps=steps)


def retarget(sheet: Sheet, at: datetime, *, raised: bool, why: str) -> None:
    """The priority changed: what runs on its targets moves, and what only the new one promises begins.

    An answer that the customer waits for comes sooner by a raise, and never later.
    """
    for kind in PROMISES[1:]:
        row, agreed = sheet.open(kind), kind is ClockKind.UPDATE and sheet.cadence is not None
        if row is not None and row.basis is Basis.TARGET and (raised or not agreed):
            # An agreed cadence stays, and runs on the calendar of the priority that is more urgent.
            move(sheet, row, sheet.interval() if agreed else length_of(sheet.target, kind), at, raised=raised, why=why)
        elif row is not None and row.basis is Basis.REPLY and raised and (length := sheet.reply_within()) is not None:
            move(sheet, row, length, at, raised=True, why=why)
    owe(sheet, at, why)


def owe(sheet: Sheet, at: datetime, why: str) -> None:
    """Begin from `at` what the present priority promises and no earlier one did: nothing that is owed goes without a clock.

    A first response that an acknowledgement met, or taking the request, is owed again where that does not count any more.
    """
    if not sheet.live:
        return
    answered, first = sheet.facts.answered, sheet.latest(ClockKind.FIRST_RESPONSE)
    if not answered and (first is None or first.settled_by == NO_TARGET or _counts_no_more(sheet, first)):
        begin(sheet, ClockKind.FIRST_RESPONSE, at, at, why=why)
    follows = first is not None and first.settled_by in _OTHERWISE and sheet.open(ClockKind.FIRST_RESPONSE) is None
    for kind, owed in ((ClockKind.UPDATE, answered or follows), (ClockKind.RESOLUTION, bool(sheet.facts.priority))):
        last = sheet.latest(kind)
        if owed and (last is None or last.settled_by == NO_TARGET):
            begin(sheet, kind, at, at, why=why)


def _counts_no_more(sheet: Sheet, first: Clock) -> bool:
    """Tell whether what met a first response, though nobody answered, would not have met the one of the present priority."""
    met_by = sheet.target.met_by
    taken = first.settled_by == MetBy.TAKEN or bool(sheet.facts.owner)
    return first.settled_by in _OTHERWISE and (met_by is MetBy.HUMAN or (met_by is MetBy.TAKEN and not taken))


def move(sheet: Sheet, row: Clock, length: Duration | None, at: datetime, *, raised: bool, why: str) -> None:
    """Give an open clock another target; one that stands still is reckoned as if it ran on from now, and stands still again."""
    if length is None:
        sheet.void(row, NO_TARGET, at, f"{why}: {sheet.target.key} makes no such promise")
        return
    ran = replace(sheet.unpaused(row, at), priority=sheet.target.key)
    calendar = calendar_of(sheet.target, row.kind, row.basis)
    if raised:
        due = length.after(at, sheet.policy.hours(calendar))
        old_due = ran.due_at or due
        rule = f"{why}: the earlier of the old instant and {length} on {calendar} from the change"
        if old_due <= due:
            due, calendar = old_due, ran.calendar
    else:
        due = sheet.from_start(ran, length, calendar)
        rule = f"{why}: {length} on {calendar} from its start"
    still = {"state": State.PAUSED, "paused_at": max(at, row.paused_at)} if row.paused_at is not None else {}
    sheet.redue(replace(ran, calendar=calendar), due, rule, now=at, base=at if raised else row.started_at, **still)


def unsettled(row: Clock) -> bool:
    return row.state is State.MISSED and row.settled_at is None


def policy_applied(sheet: Sheet, at: datetime) -> None:
    """Move what is open to this policy's targets, from its own start; what no clock measured yet is promised from now."""
    why, policy = "policy applied", sheet.policy
    triage = sheet.open(ClockKind.TRIAGE)
    if triage is not None:
        if policy.triage is None:
            sheet.void(triage, NO_TARGET, at, f"{why}: no triage")
        else:
            due_at = sheet.from_start(triage, policy.triage, policy.triage_calendar)
            roles = ladder.first_rung(policy.highest)
            steps = (Step(rung=1, due_at=due_at, tell=roles),) if roles else ()
            rule = f"{why}: {policy.triage} on {policy.triage_calendar} from its start"
            sheet.redue(replace(triage, calendar=policy.triage_calendar), due_at, rule, now=at, base=triage.started_at, steps=steps)
    for kind in PROMISES[1:]:
        row = sheet.open(kind)
        length = sheet.interval() if kind is ClockKind.UPDATE else length_of(sheet.target, kind)
        if row is not None and row.basis is Basis.REPLY:
            length = sheet.reply_within()
        if row is not None and row.basis is not Basis.PROMISE:
            move(sheet, row, length, at, raised=False, why=why)
    running = sheet.open(ClockKind.LADDER)
    if running is not None:
        ladder.retargeted(sheet, running, at, f"{why}: from its start")
    _rest_by(sheet, at, why)
    closing = sheet.open(ClockKind.CLOSING)
    if closing is not None and policy.close_after is None:
        sheet.void(closing, NO_TARGET, at, f"{why}: nothing closes by itself")
    elif closing is not None and policy.close_after is not None:
        due_at = sheet.from_start(closing, policy.close_after, policy.close_calendar)
        rule = f"{why}: close_after {policy.close_after} on {policy.close_calendar} from its start"
        sheet.redue(replace(closing, calendar=policy.close_calendar), due_at, rule, now=at, base=closing.started_at)
    elif sheet.status == "resolved" and (sheet.rows or not sheet.facts.moved_in):
        begin_closing(sheet, at, f"{why}: ")
    if not sheet.live:
        return
    if not sheet.priority and triage is None and sheet.latest(ClockKind.TRIAGE) is None:
        begin_triage(sheet, at, 0)
    owe(sheet, at, why)
    if sheet.priority and running is None and sheet.latest(ClockKind.LADDER) is None:
        ladder.begin(sheet, at, f"{why}: ladder from now, by {sheet.target.key}", base=at)


def begin_closing(sheet: Sheet, at: datetime, why: str = "") -> None:
    """Let a resolved request close by itself in time, where the policy says so."""
    policy = sheet.policy
    if policy.close_after is not None and sheet.open(ClockKind.CLOSING) is None:
        due_at = policy.close_after.after(at, policy.hours(policy.close_calendar))
        rule = f"{why}close_after: {policy.close_after} on {policy.close_calendar}"
        sheet.start(ClockKind.CLOSING, at, due_at, policy.close_calendar, rule, now=at)


def _rest_by(sheet: Sheet, at: datetime, why: str) -> None:
    """What resolved met for now: should the customer refuse, it goes on by this policy. What was kept stays kept."""
    ended = sheet.latest(ClockKind.LADDER)
    if ended is not None and _met_for_now(ended):
        ladder.retargeted(sheet, ended, at, f"{why}: from its start")
    row, length, calendar = sheet.latest(ClockKind.RESOLUTION), sheet.target.resolution, sheet.target.calendar
    if row is None or row.settled_at is None or not _met_for_now(row) or row.basis is Basis.PROMISE or length is None:
        return
    due_at = max(sheet.from_start(row, length, calendar), row.settled_at)
    rule = f"{why}: {length} on {calendar} from its start"
    sheet.redue(replace(row, calendar=calendar, priority=sheet.target.key), due_at, rule, now=at, base=row.started_at)


def _met_for_now(row: Clock) -> bool:
    return row.state is State.MET and row.settled_by == "resolved" and not row.confirmed
