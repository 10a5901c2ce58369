"""What time alone does to a request's clocks: misses, reminders, holding updates, rungs; and when it does the next thing.

Called by `policy.clocks` around every signal. It acts on what the rows say is still to be done, never on the time that passed,
so a clock set back fires nothing again, and after an outage everything overdue is done at once: one mail up the ladder, at the
highest rung due, that says how late it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rtmail.policy import ladder
from rtmail.policy.model import UpdateMode
from rtmail.policy.rows import Basis, Clock, ClockKind, State, Step
from rtmail.policy.sheet import Notice, NoticeKind, Sheet, What
from rtmail.policy.targets import calendar_of

NOT_TWICE = timedelta(minutes=15)
"""A role told so recently for a request is not told again."""
LATE = timedelta(minutes=5)
"""Later than this, time was lost to an outage: the next update interval counts from now, not from the due instant."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """The instant up to which things fall due, itself included or not."""

    now: datetime
    inclusive: bool

    def reached(self, instant: datetime | None) -> bool:
        return instant is not None and (instant < self.now or (self.inclusive and instant == self.now))


def fall_due(sheet: Sheet, now: datetime, *, inclusive: bool) -> None:
    """Do everything that is due before `now`, and with `inclusive` at `now`."""
    moment = _Moment(now, inclusive)
    misses = [_missed(sheet, row, now) for row in _overdue(sheet, moment)]
    climbs = False
    update = sheet.open(ClockKind.UPDATE)
    if update is not None and update.running and moment.reached(update.due_at):
        climbs = _update_due(sheet, update, now)
    told_late = _tell_ladder(sheet, moment, misses, climbs)
    _nudge(sheet, moment, silently=told_late)
    _warn(sheet, moment)
    _appeal_due(sheet, moment)
    _close(sheet, moment)


def wake_at(clocks: Iterable[Clock]) -> datetime | None:
    """Return the next instant at which time alone does something to these clocks; None for never."""
    return min((instant for clock in clocks for instant in _instants(clock)), default=None)


def _instants(row: Clock) -> Iterable[datetime]:
    if row.kind is ClockKind.LADDER:
        if row.running:
            yield from (ladder.fires_at(row, step) for step in row.steps if step.done_at is None)
    elif row.running and row.due_at is not None:
        yield row.due_at
        if row.nudge_at is not None and row.nudged_at is None:
            yield row.nudge_at
    elif _unconfirmed(row) and row.due_at is not None:
        yield row.due_at


def _unconfirmed(row: Clock) -> bool:
    """Answered in time, not delivered yet, and nobody heard of that."""
    return (row.kind is ClockKind.FIRST_RESPONSE and row.state is State.MET and row.settled_by == "human"
            and not row.confirmed and row.warned_at is None)


def _overdue(sheet: Sheet, moment: _Moment) -> list[Clock]:
    rows = sheet.all_open(ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.RESOLUTION)
    return [row for row in rows if row.running and moment.reached(row.due_at)]


def _missed(sheet: Sheet, row: Clock, now: datetime) -> Clock:
    return sheet.put(replace(row, state=State.MISSED), What.MISSED, f"{row.name}: its due instant passed", now)


def _update_due(sheet: Sheet, row: Clock, now: datetime) -> bool:
    """Miss an update, send a holding update if the policy says so, begin the next interval; tell whether that climbs the ladder."""
    due_at = row.due_at or now
    _missed(sheet, row, now)
    holding = sheet.target.update_mode is UpdateMode.HOLD and sheet.status not in ("waiting", "resolved")
    holds = row.holds + 1 if holding else 0
    interval = sheet.interval() or sheet.reply_within()
    following = None
    if interval is not None and not interval.is_zero:
        basis = Basis.REPLY if sheet.interval() is None else Basis.TARGET
        calendar = calendar_of(sheet.target, ClockKind.UPDATE, basis)
        hours = sheet.policy.hours(calendar)
        base = now if now - due_at > LATE or interval.after(due_at, hours) <= now else due_at
        rule = f"update: the next one {interval} after the missed one on {calendar}"
        due = interval.after(base, hours)
        following = sheet.start(ClockKind.UPDATE, base, due, calendar, rule, now=now, basis=basis, holds=holds)
    if holding:
        sheet.notices.append(Notice(
            NoticeKind.HOLDING_UPDATE, row.name, row.generation, None, ("requestor",), "holding-update",
            "update_mode hold: no human wrote by the due instant", due_at, now, late_by=now - due_at,
            next_at=following.due_at if following else None,
        ))
    return holds > 0 and holds % 2 == 0


# the ladder


def _tell_ladder(sheet: Sheet, moment: _Moment, misses: Sequence[Clock], climbs: bool) -> bool:
    """Write the one mail up the ladder that is called for, if any; tell whether it went out late, after an outage."""
    before = len(sheet.notices)
    row = sheet.open(ClockKind.LADDER)
    step = _highest_due(row, moment) if row is not None else None
    early = False
    if row is not None and row.running and climbs and step is None and (step := row.pending) is not None:
        early = True
        if (held := ladder.held_until(row, step)) is not None and held > moment.now:
            step = None
    if row is not None and step is not None:
        _fire(sheet, row, step, misses, moment.now, early)
    elif misses:
        tell_missed(sheet, misses, moment.now)
    elif climbs and not _acknowledged(row, moment.now):
        update = sheet.of_kind(ClockKind.UPDATE)
        last = next((clock for clock in reversed(update) if clock.state is State.MISSED), update[-1])
        tell_missed(sheet, [last], moment.now, "two holding updates in a row")
    return any(notice.late_by > LATE for notice in sheet.notices[before:])


def _highest_due(row: Clock, moment: _Moment) -> Step | None:
    """The highest rung that is due and not held by an acknowledgement."""
    if not row.running:
        return None
    due = [step for step in row.steps if step.done_at is None and moment.reached(ladder.fires_at(row, step))]
    return due[-1] if due else None


def _acknowledged(row: Clock | None, now: datetime) -> bool:
    return row is not None and any(ack.until > now for ack in row.acks)


def _fire(sheet: Sheet, row: Clock, step: Step, misses: Sequence[Clock], now: datetime, early: bool) -> None:
    """Tell a rung; the lower ones still to come are done with it, since they stand in Cc."""
    skipped = tuple(lower.rung for lower in row.steps if lower.rung < step.rung and lower.done_at is None)
    recent = _recently_told(sheet, now)
    tell = tuple(role for role in step.tell if role not in recent)
    cc = tuple(role for role in ladder.below(row, step.rung) if role not in recent and role not in step.tell) if tell else ()
    outcome = "told-recently" if not tell else "early" if early else "told"
    steps = tuple(
        replace(each, done_at=now, outcome=outcome) if each.rung == step.rung
        else replace(each, done_at=now, outcome="with-higher") if each.rung in skipped else each
        for each in row.steps
    )
    if early:
        rule = f"rung {step.rung} early: two holding updates in a row"
    elif not tell:
        rule = f"rung {step.rung}: all its roles were told less than 15 minutes ago"
    else:
        held = ladder.held_until(row, step)
        expired = held is not None and held > step.due_at
        rule = f"rung {step.rung} of {row.priority}: {'the acknowledgement expired' if expired else 'its time came'}"
    told = ladder.settle_steps(replace(row, steps=steps, told=_with_told(row, (*tell, *cc), now)))
    sheet.put(told, What.TOLD, rule, now)
    if not tell:
        return
    due_at = now if early else ladder.fires_at(row, step)
    priority = sheet.policy.priority(row.priority)
    sheet.notices.append(Notice(
        NoticeKind.ESCALATION, row.name, row.generation, step.rung, tell, "escalation", rule, due_at, now, cc=cc, late_by=now - due_at,
        also=tuple(clock.name for clock in misses), skipped=skipped, acks=ladder.acks_so_far(sheet), page=priority.page,
        bundle=priority.bundle,
    ))


def tell_missed(sheet: Sheet, misses: Sequence[Clock], now: datetime, why: str = "") -> None:
    """Tell the ladder of missed clocks: the rungs told so far, or the first one when none was.

    While untriaged the only rung is triage's: the first one of the highest priority; its own miss is that rung.
    """
    first = misses[0]
    triage = next((row for row in misses if row.kind is ClockKind.TRIAGE), None)
    row = sheet.latest(ClockKind.LADDER)
    if triage is not None or row is None:
        roles = ladder.first_rung(sheet.policy.highest if not sheet.priority or triage is not None else sheet.target)
    else:
        roles = ladder.told_so_far(row) or ladder.first_rung(sheet.target)
    recent = _recently_told(sheet, now)
    quiet = frozenset[str]() if triage is not None else _snoozed(sheet, now)
    fallback = ("owner",) if sheet.facts.owner else ("queue",)
    tell = tuple(role for role in roles or fallback if role not in recent and role not in quiet)
    speaker = triage or first
    if tell or triage is not None:
        steps = tuple(replace(step, done_at=now, outcome="told" if tell else "told-recently") for step in speaker.steps)
        told = replace(sheet.rows[speaker.kind, speaker.generation], steps=steps, told=_with_told(speaker, tell, now))
        sheet.put(told, What.TOLD, why or f"{speaker.name} missed", now)
    if not tell:
        return
    due_at = min((clock.due_at for clock in misses if clock.due_at is not None), default=now)
    priority = sheet.policy.highest if triage is not None else sheet.target
    also = tuple(clock.name for clock in misses if clock is not speaker)
    if triage is not None:
        kind, rung, template, rule = NoticeKind.ESCALATION, 1, "escalation", "triage missed: the first rung of the highest priority"
    else:
        kind, rung, template = NoticeKind.MISSED, None, "missed"
        rule = why or f"{first.name} missed: the rungs told so far hear of it, or the first one"
    sheet.notices.append(Notice(
        kind, speaker.name, speaker.generation, rung, tell, template, rule, due_at, now, late_by=now - due_at, also=also,
        acks=ladder.acks_so_far(sheet), page=priority.page and triage is not None, bundle=priority.bundle or not sheet.priority,
    ))


def _recently_told(sheet: Sheet, now: datetime) -> frozenset[str]:
    # Told "later than now": the clock was set back since. A clock that was wrong for hours must not keep anybody from being told.
    return frozenset(role for row in sheet.rows.values() for role, at in row.told if abs(now - at) < NOT_TWICE)


def _snoozed(sheet: Sheet, now: datetime) -> frozenset[str]:
    return frozenset(who for row in sheet.rows.values() for who, until in row.snoozed if until > now)


def _with_told(row: Clock, roles: Iterable[str], now: datetime) -> tuple[tuple[str, datetime], ...]:
    return (*row.told, *((role, now) for role in roles))


# staff and customer


def _nudge(sheet: Sheet, moment: _Moment, *, silently: bool) -> None:
    """Remind staff, in one mail, of everything that is due soon; `silently`: the ladder just heard, and one mail is enough."""
    soon = [row for row in sheet.all_open(ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE)
            if row.running and row.nudged_at is None and moment.reached(row.nudge_at)]
    for row in soon:
        rule = f"{row.name}: due soon" + (", told with the escalation" if silently else "")
        sheet.put(replace(row, nudged_at=moment.now), What.NUDGED, rule, moment.now)
    if not soon or silently:
        return
    soon.sort(key=lambda row: row.due_at or moment.now)
    first = soon[0]
    tell = tuple(dict.fromkeys(who for row in soon for who in _reminded(sheet, row)))
    nudge_at = first.nudge_at or moment.now
    sheet.notices.append(Notice(
        NoticeKind.NUDGE, first.name, first.generation, None, tell, "nudge", f"{first.name}: due soon", nudge_at, moment.now,
        late_by=moment.now - nudge_at, also=tuple(row.name for row in soon[1:]), next_at=first.due_at,
    ))


def _reminded(sheet: Sheet, row: Clock) -> tuple[str, ...]:
    if row.kind is ClockKind.TRIAGE:
        return (sheet.policy.on_call or "queue",)
    if not sheet.facts.owner:
        return ("queue",)
    return ("owner", "queue") if row.kind is ClockKind.FIRST_RESPONSE else ("owner",)


def _warn(sheet: Sheet, moment: _Moment) -> None:
    """Tell author and admin of an answer that was given in time and is not delivered by the due instant."""
    for row in sheet.of_kind(ClockKind.FIRST_RESPONSE):
        if not (_unconfirmed(row) and moment.reached(row.due_at)):
            continue
        due_at = row.due_at or moment.now
        rule = "first-response answered in time, but the relay has not accepted it"
        sheet.put(replace(row, warned_at=moment.now), What.WARNED, rule, moment.now)
        sheet.notices.append(Notice(NoticeKind.NUDGE, row.name, row.generation, None, ("author", "admin"), "undelivered", rule, due_at,
                                    moment.now, late_by=moment.now - due_at))


def _appeal_due(sheet: Sheet, moment: _Moment) -> None:
    """Tell management again of an appeal that it has not decided in time."""
    row = sheet.open(ClockKind.APPEAL)
    if row is None or not row.running or not moment.reached(row.due_at):
        return
    due_at, rule = row.due_at or moment.now, "appeal: nobody decided it in time"
    tell = tuple(role for step in row.steps for role in step.tell)
    steps = tuple(replace(step, done_at=moment.now, outcome="told") for step in row.steps)
    sheet.put(replace(row, state=State.MISSED, steps=steps, told=_with_told(row, tell, moment.now)), What.MISSED, rule, moment.now)
    sheet.notices.append(Notice(NoticeKind.MISSED, row.name, row.generation, None, tell, "missed", rule, due_at, moment.now,
                                late_by=moment.now - due_at, bundle=False))


def _close(sheet: Sheet, moment: _Moment) -> None:
    row = sheet.open(ClockKind.CLOSING)
    if row is None or not row.running or not moment.reached(row.due_at):
        return
    due_at = row.due_at or moment.now
    rule = f"close_after: no answer for {sheet.policy.close_after}"
    sheet.settle(row, "no-answer", moment.now, rule, confirmed=True)
    sheet.notices.append(Notice(NoticeKind.CLOSING, "", row.generation, None, ("requestor",), "closing", rule, due_at, moment.now,
                                late_by=moment.now - due_at))
