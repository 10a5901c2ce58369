"""The course of a request: the customer's words, waiting, resolved, closed and open again, and what that does to its clocks.

Called by `clocks`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rtmail.policy import ladder
from rtmail.policy.rows import Basis, ClockKind, State
from rtmail.policy.sheet import Sheet, What
from rtmail.policy.signals import CustomerWrote
from rtmail.policy.targets import begin, begin_closing, begin_reply, begin_triage, move, owe, unsettled


def customer_wrote(sheet: Sheet, signal: CustomerWrote) -> None:
    """Words while waiting or resolved or after closing (a short thanks excepted) set the request going again."""
    if sheet.facts.moved_in and not sheet.rows:
        if not signal.thanks:
            begun_late(sheet, signal.at, signal.event)
        return
    match sheet.status:
        case "waiting":
            sheet.status = "open"
            resume(sheet, signal.at, "the customer wrote", but=ClockKind.UPDATE)
            fresh_update(sheet, signal.at, signal.event)
        case "resolved" if not signal.thanks:
            refused(sheet, signal.at)
            fresh_update(sheet, signal.at, signal.event)
        case "closed" if not signal.thanks:
            reopened(sheet, signal.at, signal.event, by_customer=True)


def begun_late(sheet: Sheet, at: datetime, event: int) -> None:
    """The customer's first words on a request that was moved in: from now on it promises what a new one does."""
    if sheet.status != "new":
        sheet.status = "open"
    if not sheet.priority:
        begin_triage(sheet, at, event)
    else:
        begin(sheet, ClockKind.RESOLUTION, at, at, event, "moved in")
        ladder.begin(sheet, at, f"ladder: moved in, by {sheet.target.key}", base=at)
    if not sheet.facts.answered:
        begin(sheet, ClockKind.FIRST_RESPONSE, at, at, event, "moved in")
    else:
        fresh_update(sheet, at, event)


def fresh_update(sheet: Sheet, at: datetime, event: int) -> None:
    """Owe the customer an answer within `reply_within`; while the first response runs, that is the promise."""
    row = sheet.open(ClockKind.UPDATE)
    if row is not None and row.basis is Basis.REPLY and row.running:
        return
    length, calendar = sheet.reply_within(), sheet.target.calendar
    due_at = length.after(at, sheet.policy.hours(calendar)) if length is not None else None
    if row is not None and row.basis is Basis.PROMISE and row.due_at is not None and (due_at is None or row.due_at <= due_at):
        # What he was promised before that stands.
        if row.paused_at is not None:
            sheet.resume(row, at, "the customer wrote; the instant promised to him stands")
        return
    if row is not None:
        sheet.void(row, "customer-wrote", at, "update: the customer wrote, a fresh one begins")
    if sheet.open(ClockKind.FIRST_RESPONSE) is not None or due_at is None:
        return
    begin_reply(sheet, at, event, "the customer wrote")


def status_changed(sheet: Sheet, at: datetime, new: str) -> None:
    old = sheet.status
    if new == old:
        return
    if new in ("rejected", "merged"):
        end(sheet, at, new)
    elif new == "closed":
        closed(sheet, at)
    elif new == "resolved":
        resolved(sheet, at)
    elif old == "merged":
        unmerged(sheet, at)
    elif old in ("closed", "rejected"):
        reopened(sheet, at, 0, by_customer=False)
    elif old == "resolved":
        refused(sheet, at)
    sheet.status = new
    if new == "waiting":
        for row in sheet.all_open():
            if row.running and sheet.stands_still(row.kind):
                sheet.pause(row, at, "waiting for the customer")
    elif new in ("new", "open"):
        resume(sheet, at, f"{old} to {new}")


def resume(sheet: Sheet, at: datetime, why: str, but: ClockKind | None = None) -> None:
    for row in sheet.all_open():
        if row.state is State.PAUSED and row.kind not in (but, ClockKind.CLOSING):
            sheet.resume(row, at, why)


def resolved(sheet: Sheet, at: datetime) -> None:
    """Resolution and ladder are met for now and stop; first response and triage run on; the request closes by itself in time."""
    for kind in (ClockKind.RESOLUTION, ClockKind.LADDER):
        row = sheet.latest(kind)
        if row is not None and (row.open or unsettled(row)):
            sheet.settle(row, "resolved", at, f"{kind.value}: resolved")
    update = sheet.open(ClockKind.UPDATE)
    if update is not None and update.running:
        sheet.pause(update, at, "resolved")
    sheet.status = "resolved"
    begin_closing(sheet, at)


def refused(sheet: Sheet, at: datetime) -> None:
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
    _caught_up(sheet, at)


def _caught_up(sheet: Sheet, at: datetime) -> None:
    """A priority that was set while the request was resolved counts now."""
    if not sheet.priority:
        return
    owe(sheet, at, "open again")
    resolution, new = sheet.open(ClockKind.RESOLUTION), sheet.target
    if resolution is not None and resolution.basis is Basis.TARGET and (resolution.priority != new.key or new.resolution is None):
        raised = new.code > sheet.policy.priority(resolution.priority).code
        why = f"{'raised' if raised else 'lowered'} from {resolution.priority} to {new.key}"
        move(sheet, resolution, new.resolution, at, raised=raised, why=why)
    row = sheet.latest(ClockKind.LADDER)
    if row is None:
        ladder.begin(sheet, at, f"ladder: open again, by {sheet.target.key}")
    elif row.open:
        ladder.follow(sheet, row, at)


def closed(sheet: Sheet, at: datetime) -> None:
    """Closing settles everything; what was still owed ends without an outcome."""
    for kind in (ClockKind.RESOLUTION, ClockKind.LADDER):
        row = sheet.latest(kind)
        if row is not None and (row.open or unsettled(row)):
            sheet.settle(row, "closed", at, f"{kind.value}: closed", confirmed=True)
        elif row is not None and row.settled_by == "resolved" and not row.confirmed:
            sheet.put(replace(row, confirmed=True), What.CONFIRMED, "closed", at)
    closing = sheet.open(ClockKind.CLOSING)
    if closing is not None:
        sheet.settle(closing, "closed", at, "closing: closed", confirmed=True)
    end(sheet, at, "closed")


def end(sheet: Sheet, at: datetime, how: str) -> None:
    for row in sheet.all_open():
        sheet.void(row, how, at, f"the request ended: {how}")


def reopened(sheet: Sheet, at: datetime, event: int, *, by_customer: bool) -> None:
    """Open again after closing: new instances of resolution and ladder, and of what the closing cut off."""
    sheet.status = "open"
    if by_customer and sheet.facts.moved_in and not sheet.rows:
        begun_late(sheet, at, event)
        return
    if not sheet.priority:
        last = sheet.latest(ClockKind.TRIAGE)
        if last is not None and last.state is State.VOID:
            begin_triage(sheet, at, event)
    first = sheet.latest(ClockKind.FIRST_RESPONSE)
    if first is not None and first.state is State.VOID:
        begin(sheet, ClockKind.FIRST_RESPONSE, at, at, event, "open again")
    if sheet.priority and sheet.open(ClockKind.RESOLUTION) is None:
        begin(sheet, ClockKind.RESOLUTION, at, at, event, "open again")
    if sheet.priority and sheet.open(ClockKind.LADDER) is None:
        ladder.begin(sheet, at, f"ladder: open again, by {sheet.target.key}", base=at)
    if by_customer:
        fresh_update(sheet, at, event)
    elif sheet.open(ClockKind.FIRST_RESPONSE) is None and sheet.open(ClockKind.UPDATE) is None:
        begin(sheet, ClockKind.UPDATE, at, at, event, "open again")


def closing_held(sheet: Sheet, at: datetime) -> None:
    row = sheet.open(ClockKind.CLOSING)
    if row is not None and row.running:
        sheet.pause(row, at, "closing: stopped until staff looked")


def closing_released(sheet: Sheet, at: datetime) -> None:
    row = sheet.open(ClockKind.CLOSING)
    if row is not None and row.state is State.PAUSED:
        sheet.resume(row, at, "closing: staff looked")


def unmerged(sheet: Sheet, at: datetime) -> None:
    """An undone merge: every promise that it ended counts as if it had never stopped. One that was closed before is open again."""
    ended = [row for row in sheet.rows.values() if row.state is State.VOID and row.settled_by == "merged"]
    if not ended:
        reopened(sheet, at, 0, by_customer=False)
        return
    sheet.status = "open"
    for row in ended:
        state = State.PAUSED if row.paused_at is not None else State.RUNNING
        sheet.put(replace(row, state=state, settled_at=None, settled_by=""), What.RESUMED, "the merge was undone", at)
    refused(sheet, at)  # one that was resolved before is open now
