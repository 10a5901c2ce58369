"""The clock of an appeal: begun by the customer, met by management's decision, told to management again when it is missed.

Called by `clocks`. What time does to it is in `due`, as for triage: its only rung is the management role's.
"""

from __future__ import annotations

from datetime import datetime

from rtmail.policy.rows import ClockKind, Step
from rtmail.policy.sheet import Sheet
from rtmail.policy.targets import unsettled


def appealed(sheet: Sheet, at: datetime, event: int) -> None:
    """Begin the clock, unless one runs: an appeal that is repeated is no other."""
    appeal = sheet.policy.appeal
    if appeal is None or sheet.open(ClockKind.APPEAL) is not None:
        return
    due_at = appeal.within.after(at, sheet.policy.hours(appeal.calendar))
    rule = f"appeal: decided within {appeal.within} on {appeal.calendar}"
    steps = (Step(rung=1, due_at=due_at, tell=(appeal.tell,)),)
    sheet.start(ClockKind.APPEAL, at, due_at, appeal.calendar, rule, now=at, event=event, steps=steps)


def decided(sheet: Sheet, at: datetime, event: int) -> None:
    row = sheet.latest(ClockKind.APPEAL)
    if row is not None and (row.open or unsettled(row)):
        sheet.settle(row, "management", at, "appeal: management decided", event=event, confirmed=True)
