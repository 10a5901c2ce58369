"""As agreed: promises, dates and a cadence for one request alone, and whoever wants to be left alone. Called by `clocks`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rtmail.policy.duration import Duration
from rtmail.policy.rows import Basis, ClockKind
from rtmail.policy.sheet import Sheet, What
from rtmail.policy.signals import DueSet, Promised, Snoozed
from rtmail.policy.targets import ANSWERABLE, NO_TARGET, PROMISES, begin, move


def promised(sheet: Sheet, signal: Promised) -> None:
    """The update clock follows a promised instant; one that is past is due at once."""
    at, due_at = signal.at, max(signal.due_at, signal.at)
    row = sheet.open(ClockKind.UPDATE)
    rule = f"update: promised for {due_at.isoformat()}"
    if row is not None:
        sheet.redue(replace(row, basis=Basis.PROMISE), due_at, rule, now=at, base=at)
    elif sheet.live or sheet.status == "resolved":
        sheet.start(ClockKind.UPDATE, at, due_at, sheet.target.update_calendar, rule, now=at, event=signal.event, basis=Basis.PROMISE)


def due_set(sheet: Sheet, signal: DueSet) -> None:
    """The resolution is promised for an instant; no change of priority moves it."""
    at, due_at = signal.at, max(signal.due_at, signal.at)
    row = sheet.open(ClockKind.RESOLUTION)
    rule = f"resolution: due {due_at.isoformat()} by a word of staff"
    if row is not None:
        sheet.redue(replace(row, basis=Basis.PROMISE), due_at, rule, now=at, base=at)
    elif sheet.live:
        sheet.start(ClockKind.RESOLUTION, at, due_at, sheet.target.calendar, rule, now=at, event=signal.event, basis=Basis.PROMISE)


def cadence_set(sheet: Sheet, at: datetime, every: Duration | None, event: int) -> None:
    """As agreed: shorter takes effect from now, longer from the interval's start; a promise already given stands."""
    sheet.cadence = every
    row = sheet.open(ClockKind.UPDATE)
    length = sheet.interval()
    if row is None:
        if sheet.open(ClockKind.FIRST_RESPONSE) is None and sheet.live and sheet.of_kind(ClockKind.FIRST_RESPONSE):
            begin(sheet, ClockKind.UPDATE, at, at, event, "the cadence was agreed")
        return
    if row.basis is not Basis.TARGET:
        return
    if length is None:
        sheet.void(row, NO_TARGET, at, f"the agreed cadence ended: {sheet.target.key} promises no updates")
        return
    ran = sheet.unpaused(row, at)
    shorter = ran.due_at is None or sheet.from_start(ran, length, sheet.target.update_calendar) < ran.due_at
    move(sheet, row, length, at, raised=shorter, why=f"cadence agreed: {length}")


def snoozed(sheet: Sheet, signal: Snoozed) -> None:
    """Leave someone alone until an instant: an owner is reminded then, if that is still before the due instant."""
    at, until = signal.at, signal.until
    if signal.who == "owner":
        rule = f"snoozed until {until.isoformat()}"
        for row in sheet.all_open(*ANSWERABLE):
            if row.nudge_at is not None and row.due_at is not None:
                ahead = until < row.due_at
                sheet.put(replace(row, nudge_at=until if ahead else row.nudge_at, nudged_at=None if ahead else row.nudged_at or at,
                                  snoozed=(*row.snoozed, (signal.who, until))), What.SNOOZED, rule, at)
        return
    rows = sheet.all_open(ClockKind.LADDER, *PROMISES)
    if rows:
        snoozed = (*rows[0].snoozed, (signal.who, until))
        sheet.put(replace(rows[0], snoozed=snoozed), What.SNOOZED, f"{signal.who} snoozed until {until.isoformat()}", at)
