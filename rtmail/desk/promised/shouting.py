"""A request that nobody has, of a priority that lets nobody rest: the queue is told again and again until somebody takes it.

The policy says of which priorities, and how often (`shout_every`). Who is on duty hears it, else the whole queue, whoever has
muted what: this is duty mail.
"""

from __future__ import annotations

from datetime import datetime

from rtmail.desk.decision import SHOUT_AT, Builder
from rtmail.desk.ticket import Status
from rtmail.policy.clocks import Notice, NoticeKind
from rtmail.policy.duration import Duration
from rtmail.policy.rows import ClockKind

TEMPLATE = "unowned"


def watch(builder: Builder) -> None:
    """Note when it is next to be said that nobody has this request; called at the end of every decision."""
    every, at = _every(builder), _at(builder)
    if every is None:
        if at is not None:
            builder.note(SHOUT_AT, None)
        return
    next_at = _after(builder, every)
    if at is None or at > next_at:
        builder.note(SHOUT_AT, next_at.isoformat())


def shout(builder: Builder) -> None:
    """Say it, where its time has come; after an outage once, and the next time is counted from now."""
    every, at = _every(builder), _at(builder)
    if every is None or at is None or at > builder.now:
        return
    priority = builder.policy.priority(builder.ticket.priority)
    clock = ClockKind.UPDATE if builder.ticket.answered else ClockKind.FIRST_RESPONSE
    rule = f"shout_every: {priority.key} and nobody owns it, told each {every}"
    builder.notices.append(
        Notice(NoticeKind.NUDGE, clock.value, 0, None, ("queue",), TEMPLATE, rule, at, builder.now, page=priority.page, bundle=False)
    )
    builder.note(SHOUT_AT, _after(builder, every).isoformat())


def _every(builder: Builder) -> Duration | None:
    """How often it is said now; None where somebody has it, or nothing has to be done, or nobody said yet how urgent it is."""
    ticket = builder.ticket
    if ticket.owner or not ticket.priority or ticket.status not in (Status.NEW, Status.OPEN):
        return None
    return builder.policy.priority(ticket.priority).shout_every


def _at(builder: Builder) -> datetime | None:
    at = builder.ticket.fields.get(SHOUT_AT)
    return datetime.fromisoformat(at) if at else None


def _after(builder: Builder, every: Duration) -> datetime:
    return every.after(builder.now, builder.policy.hours(builder.policy.priority(builder.ticket.priority).ladder_calendar))
