"""How a solved request closes: the requestor is asked, approves or not, or says nothing until it closes with a word.

Only the requestor approves: by the link he was sent, by that one word, or by a bare yes to a mail that asks nothing else. What nobody
vouches for stops automatic closing until somebody of the staff has looked.
"""

from __future__ import annotations

from datetime import datetime

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.fields import filled
from rtmail.desk.ticket import EventKind, Status
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility
from rtmail.policy import signals
from rtmail.policy.fields import By
from rtmail.policy.rows import Clock, ClockKind, State

REOPEN = (Link("reopen", Action.REOPEN),)
HELD = "Nothing vouches for its sender: the request does not close by itself until one of you has answered, commented or sent a command."


def ask(builder: Builder) -> None:
    """The request was resolved: the requestor is asked whether it may be closed, below the engineer's words if there are any."""
    row = _row(builder)
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "closing"})
    facts = {"close_at": row.due_at if row else None, "stated": _stated(builder)}
    links = (Link("approve", Action.APPROVE), *REOPEN)
    if not audience.beside_words(builder, "closing", facts=facts, links=links):
        audience.to_requestor(builder, event, "closing", facts={"text": "", **facts}, links=links, report=True)


def _stated(builder: Builder) -> list[dict[str, str]]:
    """What staff filled in of the solution that the requestor may read, as rows {label, value}."""
    requestor, fields = builder.ticket.requestor, builder.policy.fields
    language = (requestor.language if requestor else "") or builder.house.site.language
    rows = filled.rows(builder.policy, builder.ticket, language, staff=False)
    return [{"label": row["label"], "value": row["value"]} for row in rows if fields[row["key"]].by is By.STAFF]


def close(builder: Builder) -> None:
    """Nobody answered the question in time: the request closes, with a word. One that somebody moved meanwhile stays as it is."""
    if builder.ticket.status is not Status.RESOLVED or not builder.status(Status.CLOSED, reason="no answer"):
        return
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "closed"})
    audience.to_requestor(builder, event, "closed", facts={}, links=REOPEN)


def approve(builder: Builder, person: int) -> bool:
    """The requestor says that it is solved; tell whether that closed it."""
    return builder.ticket.status is Status.RESOLVED and builder.status(Status.CLOSED, actor=person, reason="approved by the requestor")


def hold(builder: Builder, at: datetime, event: int) -> None:
    """Stop automatic closing until staff looked."""
    row = _row(builder)
    if row and row.running:
        builder.signal(signals.ClosingHeld(at=at, event=event))


def looked(builder: Builder, at: datetime) -> None:
    """Somebody of the staff did something on the request: automatic closing counts on."""
    row = _row(builder)
    if row and row.state is State.PAUSED:
        builder.signal(signals.ClosingReleased(at=at, event=builder.ticket.events))


def closes_at(builder: Builder) -> datetime | None:
    """When the request closes by itself, None when it does not."""
    row = _row(builder)
    return row.due_at if row and row.running else None


def _row(builder: Builder) -> Clock | None:
    return next((clock for clock in builder.ticket.clocks if clock.kind is ClockKind.CLOSING and clock.open), None)
