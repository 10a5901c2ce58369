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

from rtmail.policy import ladder
from rtmail.policy.due import fall_due, tell_missed, wake_at
from rtmail.policy.duration import Duration
from rtmail.policy.model import MetBy, Policy, Priority
from rtmail.policy.rows import Basis, Clock, ClockKind, Reach, State, Step
from rtmail.policy.sheet import Advance, Change, Notice, NoticeKind, Sheet, What
from rtmail.policy.signals import (
    AcknowledgementSent,
    Answered,
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

_PROMISES = (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.RESOLUTION)
_ANSWERABLE = (ClockKind.FIRST_RESPONSE, ClockKind.UPDATE)


def advance(policy: Policy, clocks: Iterable[Clock], facts: Facts, signal: Signal) -> Advance:
    """Return what `signal` makes of `clocks` (all rows of one request, in any order).

    facts  as they stood before the signal
    The rows of the result are ordered by kind and generation; its changes, applied in order, lead from the old rows to them.
    Raises KeyError for a priority that the policy does not know.
    """
    sheet = Sheet.of(policy, clocks, facts)
    if not isinstance(signal, Tick):
        fall_due(sheet, signal.at, inclusive=False)
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
            _answered(sheet, signal)
        case Delivered(at, event):
            _delivered(sheet, at, event)
        case Returned(at, event):
            _returned(sheet, at, event)
        case CustomerWrote():
            _customer_wrote(sheet, signal)
        case StatusChanged(at, new):
            _status_changed(sheet, at, new)
        case Refused(at, event):
            _refused(sheet, at)
            _fresh_update(sheet, at, event)
        case ReopenedAfterClosed(at, by_customer, event):
            _reopened(sheet, at, event, by_customer=by_customer)
        case Promised():
            _promised(sheet, signal)
        case DueSet():
            _due_set(sheet, signal)
        case CadenceSet(at, every, event):
            _cadence_set(sheet, at, every, event)
        case Taken(at, event):
            _met_otherwise(sheet, MetBy.TAKEN, at, event, confirmed=True)
        case AcknowledgementSent(at, event):
            _met_otherwise(sheet, MetBy.ACKNOWLEDGEMENT, at, event, confirmed=False)
        case ManagerAcked(at, role, until):
            ladder.acknowledged(sheet, at, role, until)
        case Snoozed():
            _snoozed(sheet, signal)
        case NoticeFailed():
            _notice_failed(sheet, signal)
        case ClosingHeld(at):
            _closing_held(sheet, at)
        case ClosingReleased(at):
            _closing_released(sheet, at)
        case Merged(at, theirs, event):
            _merged(sheet, at, theirs, event)
        case Ended(at, how):
            _ended(sheet, at, how)
        case PolicyApplied(at):
            _policy_applied(sheet, at)


# targets


def _length(priority: Priority, kind: ClockKind) -> Duration | None:
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


def _calendar(priority: Priority, kind: ClockKind) -> str:
    return priority.update_calendar if kind is ClockKind.UPDATE else priority.calendar


def _begin(sheet: Sheet, kind: ClockKind, base: datetime, now: datetime, event: int = 0, why: str = "") -> Clock | None:
    """Start the next instance of a promise on the present priority's target; None when it has none."""
    priority = sheet.target
    length = sheet.interval() if kind is ClockKind.UPDATE else _length(priority, kind)
    if length is None:
        return None
    calendar = _calendar(priority, kind)
    untriaged = "" if sheet.priority else " (untriaged)"
    rule = f"{kind.value}: {length} on {calendar} by {priority.key}{untriaged}" + (f", {why}" if why else "")
    return sheet.start(kind, base, length.after(base, sheet.policy.hours(calendar)), calendar, rule, now=now, event=event)


def _begin_triage(sheet: Sheet, at: datetime, event: int) -> Clock | None:
    policy = sheet.policy
    if policy.triage is None:
        return None
    due_at = policy.triage.after(at, policy.hours(policy.triage_calendar))
    roles = ladder.first_rung(policy.highest)
    steps = (Step(rung=1, due_at=due_at, tell=roles),) if roles else ()
    rule = f"triage: {policy.triage} on {policy.triage_calendar}"
    return sheet.start(ClockKind.TRIAGE, at, due_at, policy.triage_calendar, rule, now=at, event=event, steps=steps)


# opening and triage


def _opened(sheet: Sheet, signal: Opened) -> None:
    triage = _begin_triage(sheet, signal.at, signal.event)
    first = _begin(sheet, ClockKind.FIRST_RESPONSE, signal.at, signal.at, signal.event)
    if signal.acknowledge:
        looked = triage or first
        sheet.notices.append(Notice(NoticeKind.ACKNOWLEDGEMENT, "", 0, None, ("requestor",), "acknowledgement",
                                    "opened: the number goes to the requestor at once", signal.at, signal.at,
                                    next_at=looked.due_at if looked else None))


def _prioritised(sheet: Sheet, signal: Prioritised) -> None:
    """Raised: the earlier of the old instant and change plus target. Lowered: start plus target."""
    at, first_time = signal.at, not sheet.priority
    old, new = sheet.target, sheet.policy.priorities[signal.priority]
    triage = sheet.latest(ClockKind.TRIAGE)
    if signal.by_staff and triage is not None and (triage.open or _unsettled(triage)):
        sheet.settle(triage, "staff", at, "triage: staff set or confirmed the priority", event=signal.event, confirmed=True)
    sheet.priority = new.key
    if new is not old:
        moved = "raised" if new.code > old.code else "lowered"
        _retarget(sheet, at, raised=new.code > old.code, why=f"{moved} from {old.key} to {new.key}")
    if not sheet.live:
        return
    if first_time and sheet.open(ClockKind.RESOLUTION) is None:
        _begin(sheet, ClockKind.RESOLUTION, sheet.facts.opened_at, at, signal.event)
    running = sheet.open(ClockKind.LADDER)
    if first_time or running is None:
        if running is None:
            ladder.begin(sheet, at, f"ladder: from {sheet.policy.ladder_from} by {new.key}")
    elif new.code > old.code:
        ladder.raised(sheet, at)
    elif new is not old:
        ladder.retargeted(sheet, running, at, f"lowered from {old.key} to {new.key}: from its start")


def _retarget(sheet: Sheet, at: datetime, *, raised: bool, why: str) -> None:
    for kind in _PROMISES[1:]:
        row = sheet.open(kind)
        length = _length(sheet.target, kind)
        if row is None:
            if raised and length is not None and sheet.live and kind is ClockKind.RESOLUTION and sheet.facts.priority:
                _begin(sheet, kind, at, at, why=why)
        elif row.basis is Basis.TARGET and not (kind is ClockKind.UPDATE and sheet.cadence is not None):
            _move(sheet, row, length, at, raised=raised, why=why)


def _move(sheet: Sheet, row: Clock, length: Duration | None, at: datetime, *, raised: bool, why: str) -> None:
    """Give an open clock another target; one that stands still is reckoned as if it ran on from now, and stands still again."""
    if length is None:
        sheet.void(row, "no-target", at, f"{why}: {sheet.target.key} makes no such promise")
        return
    paused = row.paused_at is not None
    ran = replace(sheet.unpaused(row, at), priority=sheet.target.key)
    calendar = _calendar(sheet.target, row.kind)
    if raised:
        due = length.after(at, sheet.policy.hours(calendar))
        old_due = ran.due_at or due
        rule = f"{why}: the earlier of the old instant and {length} on {calendar} from the change"
        if old_due <= due:
            due, calendar = old_due, ran.calendar
    else:
        due = sheet.from_start(ran, length, calendar)
        rule = f"{why}: {length} on {calendar} from its start"
    still = {"state": State.PAUSED, "paused_at": at} if paused else {}
    sheet.redue(replace(ran, calendar=calendar), due, rule, now=at, base=at if raised else row.started_at, **still)


def _unsettled(row: Clock) -> bool:
    return row.state is State.MISSED and row.settled_at is None


# answers


def _answered(sheet: Sheet, signal: Answered) -> None:
    at, event, by = signal.at, signal.event, signal.by
    first = sheet.latest(ClockKind.FIRST_RESPONSE)
    if first is not None and (first.open or _unsettled(first)):
        sheet.settle(first, "human", at, "first-response: staff wrote to the customer", event=event, person=by)
    latest = sheet.latest(ClockKind.UPDATE)
    if latest is not None and latest.state is not State.VOID and at < latest.started_at:
        return  # read late: a newer word of ours began the present interval
    for row in sheet.of_kind(ClockKind.UPDATE):
        if row.open or _unsettled(row):
            sheet.settle(row, "human", at, "update: staff wrote to the customer", event=event, person=by)
    _go_on(sheet, at, event)


def _go_on(sheet: Sheet, at: datetime, event: int) -> None:
    """Begin the next update interval, while the request is alive."""
    if sheet.live or sheet.status == "resolved":
        _begin(sheet, ClockKind.UPDATE, at, at, event)


def _met_otherwise(sheet: Sheet, how: MetBy, at: datetime, event: int, *, confirmed: bool) -> None:
    """Let taking the request, or its acknowledgement, count as the first response where the policy says so."""
    first = sheet.latest(ClockKind.FIRST_RESPONSE)
    if sheet.target.met_by is not how or first is None or not (first.open or _unsettled(first)):
        return
    sheet.settle(first, how.value, at, f"first-response: met_by {how.value}", event=event, confirmed=confirmed)
    if sheet.open(ClockKind.UPDATE) is None:
        _go_on(sheet, at, event)


def _delivered(sheet: Sheet, at: datetime, event: int) -> None:
    for row in list(sheet.rows.values()):
        if row.settled_event == event and event and not row.confirmed and row.state in (State.MET, State.MISSED):
            sheet.put(replace(row, confirmed=True), What.CONFIRMED, "the relay accepted the answer", at)


def _returned(sheet: Sheet, at: datetime, event: int) -> None:
    """The answer never reached the customer: what it met is owed again, from now."""
    for row in [row for row in sheet.all_open(ClockKind.UPDATE) if row.started_event == event and row.basis is Basis.TARGET]:
        sheet.void(row, "returned", at, "update: the answer that began it came back")
    late: list[Clock] = []
    for kind in _ANSWERABLE:
        answered = [row for row in sheet.of_kind(kind) if event and row.settled_event == event]
        for row in answered:
            if row.state is State.MET:
                back = sheet.put(replace(row, state=State.RETURNED, confirmed=False), What.RETURNED, "the answer came back", at)
                if kind is ClockKind.FIRST_RESPONSE and back.due_at is not None and back.due_at <= at:
                    late.append(back)
            elif row.state is State.MISSED:
                undone = replace(row, settled_at=None, settled_by="", settled_event=0, settled_person=0, confirmed=False)
                sheet.put(undone, What.RETURNED, "the answer came back: missed, and not kept since", at)
        if answered and sheet.open(kind) is None:
            _owed_again(sheet, kind, at, event)
    if late:
        tell_missed(sheet, late, at, "the answer came back after the first response was due")


def _owed_again(sheet: Sheet, kind: ClockKind, at: datetime, event: int) -> None:
    later = [row for row in sheet.rows.values()
             if row.settled_by == "human" and row.settled_event > event and row.state in (State.MET, State.MISSED)]
    if kind is ClockKind.UPDATE and (sheet.open(ClockKind.FIRST_RESPONSE) is not None or not (sheet.live or sheet.status == "resolved")):
        return  # the first response is owed again, and updates follow it
    row = _begin(sheet, kind, at, at, why="from the bounce")
    if row is not None and later:
        answer = max(later, key=lambda row: row.settled_event)
        sheet.settle(row, "human", at, "a later answer stands", event=answer.settled_event, person=answer.settled_person,
                     confirmed=answer.confirmed)


# the customer's words, and the status


def _customer_wrote(sheet: Sheet, signal: CustomerWrote) -> None:
    """Words while waiting or resolved or after closing (a short thanks excepted) set the request going again."""
    match sheet.status:
        case "waiting":
            sheet.status = "open"
            _resume(sheet, signal.at, "the customer wrote", but=ClockKind.UPDATE)
            _fresh_update(sheet, signal.at, signal.event)
        case "resolved" if not signal.thanks:
            _refused(sheet, signal.at)
            _fresh_update(sheet, signal.at, signal.event)
        case "closed" if not signal.thanks:
            _reopened(sheet, signal.at, signal.event, by_customer=True)


def _fresh_update(sheet: Sheet, at: datetime, event: int) -> None:
    """Owe the customer an answer within `reply_within`; while the first response runs, that is the promise."""
    row = sheet.open(ClockKind.UPDATE)
    if row is not None and not (row.basis is Basis.REPLY and row.running):
        sheet.void(row, "customer-wrote", at, "update: the customer wrote, a fresh one begins")
    elif row is not None:
        return
    length = sheet.reply_within()
    if sheet.open(ClockKind.FIRST_RESPONSE) is not None or length is None:
        return
    calendar = sheet.target.calendar
    rule = f"update: the customer wrote, an answer within {length} on {calendar}"
    due_at = length.after(at, sheet.policy.hours(calendar))
    sheet.start(ClockKind.UPDATE, at, due_at, calendar, rule, now=at, event=event, basis=Basis.REPLY)


def _status_changed(sheet: Sheet, at: datetime, new: str) -> None:
    old = sheet.status
    if new == old:
        return
    if new in ("rejected", "merged"):
        _ended(sheet, at, new)
    elif new == "closed":
        _closed(sheet, at)
    elif new == "resolved":
        _resolved(sheet, at)
    elif old == "merged":
        _unmerged(sheet, at)
    elif old in ("closed", "rejected"):
        _reopened(sheet, at, 0, by_customer=False)
    elif old == "resolved":
        _refused(sheet, at)
    sheet.status = new
    if new == "waiting":
        for row in sheet.all_open():
            if row.running and sheet.stands_still(row.kind):
                sheet.pause(row, at, "waiting for the customer")
    elif new in ("new", "open"):
        _resume(sheet, at, f"{old} to {new}")


def _resume(sheet: Sheet, at: datetime, why: str, but: ClockKind | None = None) -> None:
    for row in sheet.all_open():
        if row.state is State.PAUSED and row.kind not in (but, ClockKind.CLOSING):
            sheet.resume(row, at, why)


def _resolved(sheet: Sheet, at: datetime) -> None:
    """Resolution and ladder are met for now and stop; first response and triage run on; the request closes by itself in time."""
    for kind in (ClockKind.RESOLUTION, ClockKind.LADDER):
        row = sheet.latest(kind)
        if row is not None and (row.open or _unsettled(row)):
            sheet.settle(row, "resolved", at, f"{kind.value}: resolved")
    update = sheet.open(ClockKind.UPDATE)
    if update is not None and update.running:
        sheet.pause(update, at, "resolved")
    sheet.status = "resolved"
    policy = sheet.policy
    if policy.close_after is not None and sheet.open(ClockKind.CLOSING) is None:
        due_at = policy.close_after.after(at, policy.hours(policy.close_calendar))
        rule = f"close_after: {policy.close_after} on {policy.close_calendar}"
        sheet.start(ClockKind.CLOSING, at, due_at, policy.close_calendar, rule, now=at)


def _refused(sheet: Sheet, at: datetime) -> None:
    """Resolution refused: the same resolution and ladder go on, the time in resolved not counted."""
    sheet.status = "open"
    for kind in (ClockKind.RESOLUTION, ClockKind.LADDER):
        row = sheet.latest(kind)
        if row is None or row.settled_by != "resolved" or row.confirmed or row.settled_at is None:
            continue
        begun, ended = row.settled_at, max(at, row.settled_at)
        undone = replace(row, settled_at=None, settled_by="", settled_event=0, settled_person=0)
        if row.state is State.MET:
            undone = replace(undone, state=State.RUNNING, pauses=(*row.pauses, (begun, ended)))
            undone = sheet.shifted(undone, begun, ended)
        sheet.put(undone, What.RESUMED, "the resolution was refused: time in resolved not counted", at)
    closing = sheet.open(ClockKind.CLOSING)
    if closing is not None:
        sheet.void(closing, "refused", at, "closing: the request is open again")


def _closed(sheet: Sheet, at: datetime) -> None:
    """Closing settles everything; what was still owed ends without an outcome."""
    for kind in (ClockKind.RESOLUTION, ClockKind.LADDER):
        row = sheet.latest(kind)
        if row is not None and (row.open or _unsettled(row)):
            sheet.settle(row, "closed", at, f"{kind.value}: closed", confirmed=True)
        elif row is not None and row.settled_by == "resolved" and not row.confirmed:
            sheet.put(replace(row, confirmed=True), What.CONFIRMED, "closed", at)
    closing = sheet.open(ClockKind.CLOSING)
    if closing is not None:
        sheet.settle(closing, "closed", at, "closing: closed", confirmed=True)
    _ended(sheet, at, "closed")


def _ended(sheet: Sheet, at: datetime, how: str) -> None:
    for row in sheet.all_open():
        sheet.void(row, how, at, f"the request ended: {how}")


def _reopened(sheet: Sheet, at: datetime, event: int, *, by_customer: bool) -> None:
    """Open again after closing: new instances of resolution and ladder, and of what the closing cut off."""
    sheet.status = "open"
    if not sheet.priority:
        last = sheet.latest(ClockKind.TRIAGE)
        if last is not None and last.state is State.VOID:
            _begin_triage(sheet, at, event)
    first = sheet.latest(ClockKind.FIRST_RESPONSE)
    if first is not None and first.state is State.VOID:
        _begin(sheet, ClockKind.FIRST_RESPONSE, at, at, event, "open again")
    if sheet.priority and sheet.open(ClockKind.RESOLUTION) is None:
        _begin(sheet, ClockKind.RESOLUTION, at, at, event, "open again")
    if sheet.priority and sheet.open(ClockKind.LADDER) is None:
        ladder.begin(sheet, at, f"ladder: open again, by {sheet.target.key}", base=at)
    if by_customer:
        _fresh_update(sheet, at, event)
    elif sheet.open(ClockKind.FIRST_RESPONSE) is None and sheet.open(ClockKind.UPDATE) is None:
        _begin(sheet, ClockKind.UPDATE, at, at, event, "open again")


# what people agree


def _promised(sheet: Sheet, signal: Promised) -> None:
    """The update clock follows a promised instant; one that is past is due at once."""
    at, due_at = signal.at, max(signal.due_at, signal.at)
    row = sheet.open(ClockKind.UPDATE)
    rule = f"update: promised for {due_at.isoformat()}"
    if row is not None:
        sheet.redue(replace(row, basis=Basis.PROMISE), due_at, rule, now=at, base=at)
    elif sheet.live or sheet.status == "resolved":
        sheet.start(ClockKind.UPDATE, at, due_at, sheet.target.update_calendar, rule, now=at, event=signal.event, basis=Basis.PROMISE)


def _due_set(sheet: Sheet, signal: DueSet) -> None:
    """The resolution is promised for an instant; no change of priority moves it."""
    at, due_at = signal.at, max(signal.due_at, signal.at)
    row = sheet.open(ClockKind.RESOLUTION)
    rule = f"resolution: due {due_at.isoformat()} by a word of staff"
    if row is not None:
        sheet.redue(replace(row, basis=Basis.PROMISE), due_at, rule, now=at, base=at)
    elif sheet.live:
        sheet.start(ClockKind.RESOLUTION, at, due_at, sheet.target.calendar, rule, now=at, event=signal.event, basis=Basis.PROMISE)


def _cadence_set(sheet: Sheet, at: datetime, every: Duration | None, event: int) -> None:
    """As agreed: shorter takes effect from now, longer from the interval's start; a promise already given stands."""
    sheet.cadence = every
    row = sheet.open(ClockKind.UPDATE)
    length = sheet.interval()
    if row is None:
        if sheet.open(ClockKind.FIRST_RESPONSE) is None and sheet.live and sheet.of_kind(ClockKind.FIRST_RESPONSE):
            _begin(sheet, ClockKind.UPDATE, at, at, event, "the cadence was agreed")
        return
    if row.basis is not Basis.TARGET:
        return
    if length is None:
        sheet.void(row, "no-target", at, f"the agreed cadence ended: {sheet.target.key} promises no updates")
        return
    ran = sheet.unpaused(row, at)
    shorter = ran.due_at is None or sheet.from_start(ran, length, sheet.target.update_calendar) < ran.due_at
    _move(sheet, row, length, at, raised=shorter, why=f"cadence agreed: {length}")


def _snoozed(sheet: Sheet, signal: Snoozed) -> None:
    """Leave someone alone until an instant: an owner is reminded then, if that is still before the due instant."""
    at, until = signal.at, signal.until
    if signal.who == "owner":
        rule = f"snoozed until {until.isoformat()}"
        for row in sheet.all_open(*_ANSWERABLE):
            if row.nudge_at is not None and row.due_at is not None:
                ahead = until < row.due_at
                sheet.put(replace(row, nudge_at=until if ahead else row.nudge_at, nudged_at=None if ahead else row.nudged_at or at,
                                  snoozed=(*row.snoozed, (signal.who, until))), What.SNOOZED, rule, at)
        return
    rows = sheet.all_open(ClockKind.LADDER, *_PROMISES)
    if rows:
        snoozed = (*rows[0].snoozed, (signal.who, until))
        sheet.put(replace(rows[0], snoozed=snoozed), What.SNOOZED, f"{signal.who} snoozed until {until.isoformat()}", at)


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
        late_by=max(signal.at - step.due_at, signal.at - signal.at), reach=reach, alarm=reach is Reach.ADMIN, acks=row.acks,
        page=priority.page, bundle=priority.bundle,
    ))


def _closing_held(sheet: Sheet, at: datetime) -> None:
    row = sheet.open(ClockKind.CLOSING)
    if row is not None and row.running:
        sheet.pause(row, at, "closing: stopped until staff looked")


def _closing_released(sheet: Sheet, at: datetime) -> None:
    row = sheet.open(ClockKind.CLOSING)
    if row is not None and row.state is State.PAUSED:
        sheet.resume(row, at, "closing: staff looked")


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
            continue
        if other.kind not in _PROMISES or (other.kind is ClockKind.TRIAGE and sheet.priority):
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


def _unmerged(sheet: Sheet, at: datetime) -> None:
    """An undone merge: every promise that it ended counts as if it had never stopped."""
    for row in list(sheet.rows.values()):
        if row.state is State.VOID and row.settled_by == "merged":
            state = State.PAUSED if row.paused_at is not None else State.RUNNING
            sheet.put(replace(row, state=state, settled_at=None, settled_by=""), What.RESUMED, "the merge was undone", at)


def _policy_applied(sheet: Sheet, at: datetime) -> None:
    """Move what is open to this policy's targets, from its own start."""
    why = "policy applied"
    triage = sheet.open(ClockKind.TRIAGE)
    if triage is not None:
        policy = sheet.policy
        if policy.triage is None:
            sheet.void(triage, "no-target", at, f"{why}: no triage")
        else:
            due_at = sheet.from_start(triage, policy.triage, policy.triage_calendar)
            roles = ladder.first_rung(policy.highest)
            steps = (Step(rung=1, due_at=due_at, tell=roles),) if roles else ()
            rule = f"{why}: {policy.triage} on {policy.triage_calendar} from its start"
            sheet.redue(replace(triage, calendar=policy.triage_calendar), due_at, rule, now=at, base=triage.started_at, steps=steps)
    for kind in _PROMISES[1:]:
        row = sheet.open(kind)
        length = sheet.interval() if kind is ClockKind.UPDATE else _length(sheet.target, kind)
        if row is not None and row.basis is Basis.REPLY:
            length = sheet.reply_within()
        if row is not None and row.basis is not Basis.PROMISE:
            _move(sheet, row, length, at, raised=False, why=why)
    running = sheet.open(ClockKind.LADDER)
    if running is not None:
        ladder.retargeted(sheet, running, at, f"{why}: from its start")
