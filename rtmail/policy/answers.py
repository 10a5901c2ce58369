"""Answers to the customer: what they meet, what they begin, and what is owed again when one comes back. Called by `clocks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rtmail.policy.due import tell_missed
from rtmail.policy.model import MetBy
from rtmail.policy.rows import Basis, Clock, ClockKind, State
from rtmail.policy.sheet import Sheet, What
from rtmail.policy.signals import Answered
from rtmail.policy.targets import ANSWERABLE, begin, begin_reply, unsettled


def answered(sheet: Sheet, signal: Answered) -> None:
    at, event, by = signal.at, signal.event, signal.by
    first = sheet.latest(ClockKind.FIRST_RESPONSE)
    if first is not None and (first.open or unsettled(first)):
        sheet.settle(first, "human", at, "first-response: staff wrote to the customer", event=event, person=by)
    latest = sheet.latest(ClockKind.UPDATE)
    if latest is not None and latest.state is not State.VOID and at < latest.started_at:
        return  # read late: a newer word of ours began the present interval
    for row in sheet.of_kind(ClockKind.UPDATE):
        if row.open or unsettled(row):
            sheet.settle(row, "human", at, "update: staff wrote to the customer", event=event, person=by)
    go_on(sheet, at, event)


def go_on(sheet: Sheet, at: datetime, event: int) -> None:
    """Begin the next update interval, while the request is alive."""
    if sheet.live or sheet.status == "resolved":
        begin(sheet, ClockKind.UPDATE, at, at, event)


def met_otherwise(sheet: Sheet, how: MetBy, at: datetime, event: int, *, confirmed: bool) -> None:
    """Let taking the request, or its acknowledgement, count as the first response where the policy says so."""
    first = sheet.latest(ClockKind.FIRST_RESPONSE)
    if sheet.target.met_by is not how or first is None or not (first.open or unsettled(first)):
        return
    sheet.settle(first, how.value, at, f"first-response: met_by {how.value}", event=event, confirmed=confirmed)
    if sheet.open(ClockKind.UPDATE) is None:
        go_on(sheet, at, event)


def delivered(sheet: Sheet, at: datetime, event: int) -> None:
    for row in list(sheet.rows.values()):
        if row.settled_event == event and event and not row.confirmed and row.state in (State.MET, State.MISSED):
            sheet.put(replace(row, confirmed=True), What.CONFIRMED, "the relay accepted the answer", at)


def returned(sheet: Sheet, at: datetime, event: int) -> None:
    """The answer never reached the customer, nor did what it promised: what it met is owed again, from now."""
    for row in [row for row in sheet.all_open(ClockKind.UPDATE) if event and row.started_event == event and row.basis is not Basis.REPLY]:
        sheet.void(row, "returned", at, "update: the answer that began it came back")
    late: list[Clock] = []
    for kind in ANSWERABLE:
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
            owed_again(sheet, answered, at, event)
    if late:
        tell_missed(sheet, late, at, "the answer came back after the first response was due")


def owed_again(sheet: Sheet, answered: Sequence[Clock], at: datetime, event: int) -> None:
    """Promise anew what the answer had met, on the target of that: what the customer waits for in the time in which he is answered."""
    kind, waits = answered[0].kind, any(row.basis is Basis.REPLY for row in answered)
    later = [row for row in sheet.rows.values()
             if row.settled_by == "human" and row.settled_event > event and row.state in (State.MET, State.MISSED)]
    if kind is ClockKind.UPDATE and (sheet.open(ClockKind.FIRST_RESPONSE) is not None or not (sheet.live or sheet.status == "resolved")):
        return  # the first response is owed again, and updates follow it
    row = None if waits else begin(sheet, kind, at, at, why="from the bounce")
    if row is None and kind is ClockKind.UPDATE:
        row = begin_reply(sheet, at, 0, "the answer came back")
    if row is not None and later:
        answer = max(later, key=lambda row: row.settled_event)
        sheet.settle(row, "human", at, "a later answer stands", event=answer.settled_event, person=answer.settled_person,
                     confirmed=answer.confirmed)
