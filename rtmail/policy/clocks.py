"""The clock table of a request: `advance` says what a signal does to its clocks, whom it makes us tell, and by which rule.

Pure: rows, facts and a signal in; rows, changes and notices out. The caller keeps each Change as a clock event with its row
and turns each Notice into drafts; `wake_at` is when to come back with a Tick. What falls due before a signal's own instant
is done first, and what the signal makes due at that instant is done last; so answering at the due instant is in time.

A clock is never both met and missed: an answer whose time lies before the due instant but which is read after the miss was told
settles the missed clock and leaves it missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rtmail.policy import agreements, answers, appeals, course, ladder, targets
from rtmail.policy.due import fall_due, wake_at
from rtmail.policy.model import MetBy, Policy
from rtmail.policy.rows import Clock, ClockKind, Reach, State
from rtmail.policy.sheet import Advance, Change, Notice, NoticeKind, Sheet, What
from rtmail.policy.signals import (
    AcknowledgementSent,
    Answered,
    AppealDecided,
    Appealed,
    CadenceSet,
    ClosingHeld,
    ClosingReleased,
    CustomerWrote,
    Delivered,
    DueSet,
    Ended,
    Facts,
    ManagerAcked,
    Merged,
    NoticeFailed,
    Opened,
    PolicyApplied,
    Prioritised,
    Promised,
    Refused,
    ReopenedAfterClosed,
    Returned,
    Signal,
    Snoozed,
    StatusChanged,
    Taken,
    Tick,
)

__all__ = ["Advance", "Change", "Clock", "ClockKind", "Facts", "Notice", "NoticeKind", "State", "What", "advance", "wake_at"]


def advance(policy: Policy, clocks: Iterable[Clock], facts: Facts, signal: Signal) -> Advance:
    """Return what `signal` makes of `clocks` (all rows of one request, in any order).

    facts  as they stood before the signal
    The rows of the result are ordered by kind and generation; its changes, applied in order, lead from the old rows to them.
    Raises KeyError for a priority that the policy does not know.
    """
    sheet = Sheet.of(policy, clocks, facts)
    if not isinstance(signal, Tick):
        fall_due(sheet, _since(signal) if isinstance(signal, Prioritised) else signal.at, inclusive=False)
        _apply(sheet, signal)
    fall_due(sheet, signal.at, inclusive=True)
    return sheet.result()


def _apply(sheet: Sheet, signal: Signal) -> None:
    match signal:
        case Opened():
            _opened(sheet, signal)
        case Prioritised():
            _prioritised(sheet, signal)
        case Answered():
            answers.answered(sheet, signal)
        case Delivered(at, event):
            answers.delivered(sheet, at, event)
        case Returned(at, event):
            answers.returned(sheet, at, event)
        case CustomerWrote():
            course.customer_wrote(sheet, signal)
        case StatusChanged(at, new):
            course.status_changed(sheet, at, new)
        case Refused(at, event):
            course.refused(sheet, at)
            course.fresh_update(sheet, at, event)
        case ReopenedAfterClosed(at, by_customer, event):
            course.reopened(sheet, at, event, by_customer=by_customer)
        case Promised():
            agreements.promised(sheet, signal)
        case DueSet():
            agreements.due_set(sheet, signal)
        case CadenceSet(at, every, event):
            agreements.cadence_set(sheet, at, every, event)
        case Taken(at, event):
            answers.met_otherwise(sheet, MetBy.TAKEN, at, event, confirmed=True)
        case AcknowledgementSent(at, event):
            answers.met_otherwise(sheet, MetBy.ACKNOWLEDGEMENT, at, event, confirmed=False)
        case ManagerAcked(at, role, until):
            ladder.acknowledged(sheet, at, role, until)
        case Snoozed():
            agreements.snoozed(sheet, signal)
        case NoticeFailed():
            _notice_failed(sheet, signal)
        case ClosingHeld(at):
            course.closing_held(sheet, at)
        case ClosingReleased(at):
            course.closing_released(sheet, at)
        case Merged(at, theirs, event):
            _merged(sheet, at, theirs, event)
        case Ended(at, how):
            course.end(sheet, at, how)
        case PolicyApplied(at):
            targets.policy_applied(sheet, at)
        case Appealed(at, event):
            appeals.appealed(sheet, at, event)
        case AppealDecided(at, event):
            appeals.decided(sheet, at, event)


# opening and triage


def _opened(sheet: Sheet, signal: Opened) -> None:
    triage = targets.begin_triage(sheet, signal.at, signal.event)
    first = targets.begin(sheet, ClockKind.FIRST_RESPONSE, signal.at, signal.at, signal.event)
    if signal.acknowledge:
        looked = triage or first
        sheet.notices.append(Notice(NoticeKind.ACKNOWLEDGEMENT, "", 0, None, ("requestor",), "acknowledgement",
                                    "opened: the number goes to the requestor at once", signal.at, signal.at,
                                    next_at=looked.due_at if looked else None))


def _prioritised(sheet: Sheet, signal: Prioritised) -> None:
    """Raised: the earlier of the old instant and change plus target. Lowered: start plus target."""
    at, first_time = _since(signal), not sheet.priority
    old, new = sheet.target, sheet.policy.priorities[signal.priority]
    triage = sheet.latest(ClockKind.TRIAGE)
    if signal.by_staff and triage is not None and (triage.open or targets.unsettled(triage)):
        sheet.settle(triage, "staff", at, "triage: staff set or confirmed the priority", event=signal.event, confirmed=True)
    sheet.priority = new.key
    if new is not old:
        moved = "raised" if new.code > old.code else "lowered"
        targets.retarget(sheet, at, raised=new.code > old.code, why=f"{moved} from {old.key} to {new.key}")
    if not sheet.live:
        return
    if first_time and sheet.open(ClockKind.RESOLUTION) is None:
        targets.begin(sheet, ClockKind.RESOLUTION, sheet.begun_at(at), at, signal.event)
    running = sheet.open(ClockKind.LADDER)
    if running is None:
        ladder.begin(sheet, at, f"ladder: from {sheet.policy.ladder_from} by {new.key}")
    else:
        ladder.follow(sheet, running, at)


def _since(signal: Prioritised) -> datetime:
    return min(signal.since or signal.at, signal.at)


def _notice_failed(sheet: Sheet, signal: NoticeFailed) -> None:
    """Tell the next in line for a role: his deputy, then the admin, with an alarm."""
    row = sheet.rows.get((signal.clock, signal.generation))
    reach = ladder.next_reach(signal.reach)
    step = next((step for step in row.steps if step.rung == signal.rung and step.done_at is not None), None) if row else None
    if row is None or step is None or reach is None or signal.role not in (*step.tell, *ladder.below(row, step.rung)):
        return
    if dict(step.reached).get(signal.role, Reach.PERSON) is not signal.reach:
        return  # told already: a report came twice
    reached = (*(pair for pair in step.reached if pair[0] != signal.role), (signal.role, reach))
    steps = tuple(replace(each, reached=reached) if each is step else each for each in row.steps)
    rule = f"rung {step.rung}: {signal.role} not reached at {signal.reach.value}, so {reach.value}"
    sheet.put(replace(row, steps=steps), What.TOLD, rule, signal.at)
    priority = sheet.policy.priority(row.priority)
    sheet.notices.append(Notice(
        NoticeKind.ESCALATION, row.name, row.generation, step.rung, (signal.role,), "escalation", rule, step.due_at, signal.at,
        late_by=max(signal.at - step.due_at, signal.at - signal.at), reach=reach, alarm=reach is Reach.ADMIN,
        acks=ladder.acks_so_far(sheet), page=priority.page, bundle=priority.bundle,
    ))


# merging, and another policy


def _merged(sheet: Sheet, at: datetime, theirs: Iterable[Clock], event: int) -> None:
    """The survivor takes the earlier due instant of each kind; what only the other owed is owed here now."""
    rule = "merged: the earlier of the two due instants"
    for other in sorted(theirs, key=lambda row: (row.kind, row.generation)):
        mine = sheet.open(other.kind)
        if not other.open or other.due_at is None or not sheet.live:
            continue
        if other.kind is ClockKind.LADDER:
            if mine is not None:
                ladder.merged(sheet, mine, other, at)
            else:
                ladder.taken_over(sheet, other, at, event)
            continue
        if other.kind not in targets.PROMISES or (other.kind is ClockKind.TRIAGE and sheet.priority):
            continue
        due_at = sheet.unpaused(other, at).due_at or other.due_at
        if mine is None:
            sheet.start(other.kind, other.started_at, due_at, other.calendar, "merged: owed by the other request", now=at, event=event,
                        basis=other.basis, steps=other.steps)
        else:
            ran = sheet.unpaused(mine, at)
            if ran.due_at is not None and due_at < ran.due_at:
                still = {"state": State.PAUSED, "paused_at": at} if mine.paused_at is not None else {}
                sheet.redue(replace(ran, calendar=other.calendar, basis=other.basis), due_at, rule, now=at, base=at, **still)


