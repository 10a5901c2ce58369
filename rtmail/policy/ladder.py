"""The escalation ladder: its rungs as steps of a clock row, acknowledgements that hold them, and who stands for a role.

Called by `policy.clocks` and `policy.due`; `choose` also by desk, which knows the people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rtmail.policy.duration import Duration
from rtmail.policy.model import LadderFrom, Priority, Rung
from rtmail.policy.rows import Ack, Clock, ClockKind, Reach, State, Step
from rtmail.policy.sheet import Sheet, What

_FALLBACK_ACK = Duration.parse("1h")
"""How long an acknowledgement counts on a priority without any interval to take it from."""
_NEXT = {Reach.PERSON: Reach.DEPUTY, Reach.DEPUTY: Reach.ADMIN}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a role: keys of people, "" for nobody."""

    person: str
    deputy: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who gets a role's mail: `person` is "" for the admin; `why` says what made it so."""

    person: str
    reach: Reach
    why: str


def choose(role: str, holders: Mapping[str, Holder], away: frozenset[str], least: Reach = Reach.PERSON) -> Choice:
    """Return who stands for `role` now, not before `least` in line; `away` are keys of people who are absent.

    The person when he is there, his deputy when not, the admin when neither is: no escalation reaches nobody.
    """
    holder = holders.get(role, Holder(""))
    reasons: list[str] = []
    for reach, person in ((Reach.PERSON, holder.person), (Reach.DEPUTY, holder.deputy)):
        if least is Reach.ADMIN or (least is Reach.DEPUTY and reach is Reach.PERSON):
            continue
        if person and person not in away:
            return Choice(person, reach, "; ".join(reasons) or f"{reach.value} of {role}")
        reasons.append(f"the {reach.value} of {role} is away" if person else f"{role} has no {reach.value}")
    return Choice("", Reach.ADMIN, "; ".join(reasons) or f"person and deputy of {role} were not reached")


def next_reach(reach: Reach) -> Reach | None:
    """Who hears when `reach` could not be reached; None after the admin."""
    return _NEXT.get(reach)


def begin(sheet: Sheet, now: datetime, rule: str, base: datetime | None = None) -> None:
    """Start a ladder generation for the present priority, its time measured from `base` (default: what the policy says)."""
    priority = sheet.target
    if not priority.ladder:
        return
    if base is None:
        base = sheet.begun_at(now) if sheet.policy.ladder_from is LadderFrom.OPENED else now
    hours = sheet.policy.hours(priority.ladder_calendar)
    steps = tuple(_step(number, rung, rung.after.after(base, hours)) for number, rung in enumerate(priority.ladder, 1))
    sheet.start(ClockKind.LADDER, base, steps[0].due_at, priority.ladder_calendar, rule, now=now, steps=steps)


def follow(sheet: Sheet, running: Clock, now: datetime) -> None:
    """Let a running ladder follow the priority: up by a new generation, down from its own start."""
    new, old = sheet.target, sheet.policy.priority(running.priority)
    tells = {role for step in running.steps for role in step.tell}
    if new.code > old.code:
        raised(sheet, now)
    elif new.key != running.priority or not tells.issuperset(role for rung in new.ladder for role in rung.tell):
        # One that a merge brought may be of a priority of the same name in another policy.
        retargeted(sheet, running, now, f"lowered from {running.priority} to {new.key}: from its start")


def raised(sheet: Sheet, now: datetime) -> None:
    """Begin a new generation from `now`; a role still to be told by the old one is told no later than that would have been."""
    old = sheet.open(ClockKind.LADDER)
    caps: dict[tuple[str, ...], datetime] = {}
    if old is not None:
        caps = {step.tell: step.due_at for step in sheet.unpaused(old, now).steps if step.done_at is None}
        sheet.void(old, "raised", now, "raised: each raise begins a new ladder generation")
    priority = sheet.target
    if not priority.ladder:
        return
    hours = sheet.policy.hours(priority.ladder_calendar)
    dues = [min(rung.after.after(now, hours), caps.get(rung.tell, rung.after.after(now, hours))) for rung in priority.ladder]
    for index in range(len(dues) - 1, 0, -1):
        dues[index - 1] = min(dues[index - 1], dues[index])
    steps = tuple(_step(number, rung, due) for (number, rung), due in zip(enumerate(priority.ladder, 1), dues, strict=True))
    rule = f"raised to {priority.key}: each rung at the earlier of its old instant and its time from the change"
    sheet.start(ClockKind.LADDER, now, dues[0], priority.ladder_calendar, rule, now=now, steps=steps)


def retargeted(sheet: Sheet, old: Clock, now: datetime, rule: str) -> None:
    """Let `old` go on with the present priority's rungs, from its own start; rungs done stay done, as whom they told.

    A rung whose roles were not told is still to come, whatever its number: behind those done, under one of its own.
    """
    priority = sheet.target
    if not priority.ladder:
        sheet.void(old, "no-ladder", now, f"{rule}: {priority.key} has no ladder")
        return
    row = replace(sheet.unpaused(old, now), calendar=priority.ladder_calendar, priority=priority.key)
    done = {step.rung: step for step in old.steps if step.done_at is not None}
    told = Counter(role for step in done.values() for role in step.tell)
    ahead: list[Step] = []
    for number, rung in enumerate(priority.ladder, 1):
        step = _step(number, rung, sheet.from_start(row, rung.after, row.calendar))
        if all(told[role] for role in step.tell):
            told.subtract(step.tell)
            done |= {number: replace(done[number], due_at=step.due_at, ack_holds=step.ack_holds)} if number in done else {}
        else:
            ahead.append(replace(step, rung=max(done, default=0) + len(ahead) + 1))
    # Rungs told beyond the present ladder's end stay told, should a longer one come again.
    row = sheet.still(settle_steps(replace(row, steps=(*(done[number] for number in sorted(done)), *ahead), rule=rule)), old, now)
    if row != old:
        sheet.put(row, What.DUE, rule, now)


def settle_steps(row: Clock) -> Clock:
    """`row` with its due instant at its next rung, None when all are done."""
    return replace(row, due_at=row.pending.due_at if row.pending else None)


def taken_over(sheet: Sheet, theirs: Clock, now: datetime, event: int) -> None:
    """Go on with the ladder of a request that was merged into one without: who would have been told is told when he would have been."""
    row = sheet.unpaused(theirs, now)
    if row.pending is not None:
        priority = row.priority if row.priority in sheet.policy.priorities else ""
        sheet.start(ClockKind.LADDER, row.started_at, row.due_at, row.calendar, "merged: the other request's ladder goes on", now=now,
                    event=event, priority=priority, steps=row.steps, acks=row.acks, told=row.told)


def merged(sheet: Sheet, mine: Clock, theirs: Clock, now: datetime) -> None:
    """Take over the earlier instant of every rung that tells the same roles."""
    earlier = {step.tell: step.due_at for step in sheet.unpaused(theirs, now).steps if step.done_at is None}
    ran = sheet.unpaused(mine, now)
    steps = tuple(replace(step, due_at=min(step.due_at, earlier.get(step.tell, step.due_at))) if step.done_at is None else step
                  for step in ran.steps)
    if steps != ran.steps:
        rule = "merged: each rung at the earlier of the two instants"
        sheet.put(sheet.still(settle_steps(replace(ran, steps=steps, rule=rule)), mine, now), What.DUE, rule, now)


def acknowledged(sheet: Sheet, now: datetime, role: str, until: datetime | None) -> None:
    """Record an acknowledgement of the highest rung told; valid until the instant named, or for the rung's `ack_for`."""
    row = sheet.open(ClockKind.LADDER) or _triage_told(sheet)
    if row is None:
        return
    if row.kind is ClockKind.TRIAGE or not sheet.policy.priority(row.priority).ladder:
        length = sheet.interval() or sheet.target.first_response or _FALLBACK_ACK
        _keep(sheet, row, Ack(role, now, until or length.after(now, sheet.policy.hours(sheet.target.update_calendar))))
        return
    priority = sheet.policy.priority(row.priority)
    told = [step for step in row.steps if step.done_at is not None]
    rung = priority.ladder[min(told[-1].rung if told else 1, len(priority.ladder)) - 1]
    hours = sheet.policy.hours(row.calendar)
    if until is None and rung.ack_for is not None:
        until = rung.ack_for.after(now, hours)
    if until is None:
        length = sheet.interval() or priority.first_response or _FALLBACK_ACK
        until = length.after(now, sheet.policy.hours(priority.update_calendar))
    if rung.ack_max is not None:
        since = told[-1].done_at if told else None
        first = min((ack.at for ack in row.acks if since is None or ack.at >= since), default=now)
        until = min(until, rung.ack_max.after(first, hours))
    _keep(sheet, row, Ack(role, now, until))


def _triage_told(sheet: Sheet) -> Clock | None:
    """The triage clock while the request has no ladder and its rung was told."""
    row = sheet.latest(ClockKind.TRIAGE)
    return row if row is not None and row.told and row.state in (State.RUNNING, State.MISSED) else None


def _keep(sheet: Sheet, row: Clock, ack: Ack) -> None:
    kept = tuple(one for one in row.acks if one.role != ack.role or one.at != ack.at)
    sheet.put(replace(row, acks=(*kept, ack)), What.ACKED, f"acknowledged by {ack.role} until {ack.until.isoformat()}", ack.at)


def acks_so_far(sheet: Sheet) -> tuple[Ack, ...]:
    """Acknowledgements to quote to whoever is told next: of triage's rung, and of the ladder."""
    rows = (sheet.latest(kind) for kind in (ClockKind.TRIAGE, ClockKind.LADDER))
    return tuple(ack for row in rows if row is not None for ack in row.acks)


def held_until(row: Clock, step: Step) -> datetime | None:
    """Until when an acknowledgement holds `step`; None when none does. It may lie in the past: then it has expired."""
    latest = max((ack.until for ack in row.acks), default=None)
    return latest if step.ack_holds else None


def fires_at(row: Clock, step: Step) -> datetime:
    """When `step` fires if nothing else happens: its due instant, or the end of an acknowledgement that holds it."""
    held = held_until(row, step)
    return step.due_at if held is None else max(step.due_at, held)


def below(row: Clock, rung: int) -> tuple[str, ...]:
    """Roles of the rungs below `rung`, highest first, each once."""
    roles = [role for step in reversed(row.steps) if step.rung < rung for role in step.tell]
    return tuple(dict.fromkeys(roles))


def told_so_far(row: Clock) -> tuple[str, ...]:
    """Roles of the rungs done with, highest first, each once."""
    roles = [role for step in reversed(row.steps) if step.done_at is not None for role in step.tell]
    return tuple(dict.fromkeys(roles))


def first_rung(priority: Priority) -> tuple[str, ...]:
    """Roles of a priority's first rung."""
    return priority.ladder[0].tell if priority.ladder else ()


def _step(number: int, rung: Rung, due_at: datetime) -> Step:
    return Step(rung=number, due_at=due_at, tell=rung.tell, ack_holds=rung.ack_holds)
