"""Planned work: how soon it may be, what time makes of it, and what its people change of it.

A maintenance begins at its time by itself; that it is over somebody says. Unsaid, those affected and the ladder hear of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from rtmail.desk import notes
from rtmail.desk.decision import Builder
from rtmail.desk.grammar import arguments
from rtmail.desk.outages import about
from rtmail.desk.outages.about import ABOUT, About, Kind, Stage, What
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.ticket import EventKind, Status
from rtmail.policy import signals
from rtmail.policy.hours import between
from rtmail.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether work may be done then: `refused` says why not, "" where it may; `quiet` where nobody needs to be told."""

    quiet: bool = False
    refused: str = ""
    instead: str = ""


def judge(policy: Policy, starts_at: datetime, ends_at: datetime, now: datetime, zone: ZoneInfo, *, emergency: bool) -> Judged:
    """Return whether work from `starts_at` to `ends_at` may be planned at `now`."""
    rules = policy.maintenance
    if ends_at <= starts_at:
        return Judged(refused="it would end before it begins", instead="Ends: Sun 2:00")
    if ends_at <= now:
        return Judged(refused="it would be over already", instead="Starts: Sat 22:00")
    if rules.window and between(starts_at, ends_at, policy.hours(rules.window)) == ends_at - starts_at:
        return Judged(quiet=True)
    if emergency or rules.notice is None:
        return Judged()
    earliest = rules.notice.after(now, policy.hours(rules.promises.calendar))
    if starts_at >= earliest:
        return Judged()
    window = " outside of the recurring window" if rules.window else ""
    why = f"work{window} is told {rules.notice} before: {notes.shown(earliest, zone)} at the earliest; or plan it as an emergency"
    return Judged(refused=why, instead=f"Starts: {_written(earliest, zone)}")


def tick(builder: Builder) -> None:
    """Do what the time of a maintenance has come for."""
    found = about.about(builder.ticket.fields)
    if found is None or found.kind is not Kind.MAINTENANCE or builder.ticket.status not in about.LIVE:
        return
    now = builder.now
    if found.stage is Stage.PLANNED and found.starts_at and found.starts_at <= now:
        found = begin(builder, found)
    if found.stage is Stage.UNDER_WAY and found.ends_at and found.ends_at <= now:
        keep(builder, replace(found, stage=Stage.OVERRUN))
        promises = builder.policy.maintenance.promises
        facts = builder.facts()
        event = builder.add(EventKind.PRIORITY, facts={"old": builder.ticket.priority, "new": promises.key, "state": "", "by_staff": False})
        # From now on its ladder climbs.
        builder.signal(signals.Prioritised(at=now, priority=promises.key, by_staff=False, event=event.seq), facts)
        builder.announces = What.OVERRUN
        return
    due = [length for at, length in about.reminders(found, builder.policy.maintenance.remind) if at <= now]
    if due:
        # After an outage one reminder, not a burst.
        keep(builder, replace(found, reminded=(*found.reminded, *due)))
        builder.announces = What.REMINDER


def begin(builder: Builder, found: About) -> About:
    """The work begins: from here on its end is a promise."""
    found = keep(builder, replace(found, stage=Stage.UNDER_WAY, reminded=_all(builder)))
    if found.ends_at:
        builder.signal(signals.DueSet(at=builder.now, due_at=found.ends_at, event=builder.ticket.events))
    return found


def keep(builder: Builder, found: About, actor: int = 0) -> About:
    """Note what the request is now."""
    builder.add(EventKind.FIELD, actor=actor, facts={"name": ABOUT, "value": found.to_row()})
    return found


def step(builder: Builder, value: str, person: Person) -> str:
    """`Maintenance: start`, `done` or `cancel`. Raises CannotDo."""
    found = _mine(builder)
    word = value.strip(" .!").casefold()
    chosen = _STEPS.get(word)
    if chosen is None:
        raise CannotDo(f"a maintenance is started, done or cancelled, and not {value.strip()!r}", "Maintenance: done")
    return chosen(builder, found, person)


def _start(builder: Builder, found: About, person: Person) -> str:
    if found.stage is not Stage.PLANNED:
        raise CannotDo(f"it is {found.stage} already")
    begin(builder, found)
    return "it is under way"


def done(builder: Builder, found: About, person: Person) -> str:
    """The work is over: those who were told of it hear that."""
    keep(builder, replace(found, stage=Stage.DONE), person.party)
    if builder.ticket.status is Status.NEW:
        builder.status(Status.OPEN, actor=person.party)
    builder.status(Status.CLOSED, actor=person.party, reason="maintenance done")
    _announce(builder, found, What.DONE)
    return "it is done" + _hear(found)


def _cancel(builder: Builder, found: About, person: Person) -> str:
    keep(builder, replace(found, stage=Stage.CANCELLED, sequence=found.sequence + 1), person.party)
    builder.signal(signals.Ended(at=builder.now, how="cancelled", event=builder.ticket.events + 1))
    builder.status(Status.REJECTED, actor=person.party, reason="maintenance cancelled")
    _announce(builder, found, What.CANCELLED)
    return "it is cancelled" + _hear(found)


_STEPS: Mapping[str, Callable[[Builder, About, Person], str]] = {
    **dict.fromkeys(("start", "started", "begin"), _start),
    **dict.fromkeys(("done", "finished", "over", "close"), done),
    **dict.fromkeys(("cancel", "cancelled", "canceled", "off"), _cancel),
}


def move(builder: Builder, name: str, value: str, person: Person, zone: ZoneInfo, *, emergency: bool) -> str:
    """Another start or end: the rules are those of planning it. Raises CannotDo."""
    found = _mine(builder)
    assert found.starts_at is not None
    assert found.ends_at is not None
    # The end is the next of its name after the start, as when it was planned.
    at = arguments.instant(value, max(builder.now, found.starts_at) if name == "ends" else builder.now, zone)
    if name == "starts":
        if found.stage is not Stage.PLANNED:
            raise CannotDo(f"it is {found.stage}: only its end can change", "Ends: 23:00")
        starts_at, ends_at = at, at + (found.ends_at - found.starts_at)
    else:
        starts_at, ends_at = found.starts_at, at
    if found.stage is Stage.PLANNED and starts_at != found.starts_at:
        judged = judge(builder.policy, starts_at, ends_at, builder.now, zone, emergency=emergency or found.emergency)
    else:
        # What has begun, or begins as was told, only ends at another time.
        judged = judge(builder.policy, starts_at, ends_at, builder.now, zone, emergency=True)
    if judged.refused:
        raise CannotDo(judged.refused, judged.instead)
    quiet = found.quiet and judged.quiet
    stage = Stage.UNDER_WAY if found.stage is Stage.OVERRUN else found.stage
    changed = replace(found, starts_at=starts_at, ends_at=ends_at, stage=stage, quiet=quiet, sequence=found.sequence + 1,
                      emergency=found.emergency or emergency, reminded=() if name == "starts" else found.reminded)  # fmt: skip
    keep(builder, changed, person.party)
    if stage is Stage.UNDER_WAY:
        builder.signal(signals.DueSet(at=builder.now, due_at=ends_at, event=builder.ticket.events))
    # Whoever was not told of it as long as it lay within the window hears of it now.
    builder.announces = max_what(builder.announces, What.PLANNED if found.quiet and not quiet else What.CHANGED) if not quiet else None
    return f"it is from {notes.shown(starts_at, zone)} to {notes.shown(ends_at, zone)}" + _hear(changed)


def max_what(one: What | None, other: What) -> What:
    """Return what of two things that happen at once a mail is about."""
    order = list(What)
    return other if one is None else max(one, other, key=order.index)


def _announce(builder: Builder, found: About, what: What) -> None:
    if not found.quiet:
        builder.announces = max_what(builder.announces, what)


def _hear(found: About) -> str:
    return "; nobody was told of it, so nobody hears that" if found.quiet else ", and whoever it affects hears of it"


def _mine(builder: Builder) -> About:
    found = about.about(builder.ticket.fields)
    if found is None or found.kind is not Kind.MAINTENANCE:
        raise CannotDo("this request is no maintenance: plan one in a fresh mail", "Maintenance: New router")
    if builder.ticket.status not in about.LIVE:
        raise CannotDo(f"it is {found.stage} already")
    return found


def _all(builder: Builder) -> tuple[str, ...]:
    return tuple(str(one) for one in builder.policy.maintenance.remind)


def _written(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
