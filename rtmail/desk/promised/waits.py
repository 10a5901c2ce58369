"""Waiting for the customer until an instant: `wait until Fri 9:00`. When nothing came by then, the request is open again by itself.

His words end the wait before, and so does any other status. Without an instant a request waits until somebody writes.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rtmail.desk import audience, notes
from rtmail.desk.decision import Builder
from rtmail.desk.grammar import arguments
from rtmail.desk.outcome import CannotDo
from rtmail.desk.promised import agreed
from rtmail.desk.ticket import WAIT_UNTIL, EventKind, Status, legal
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility

TEMPLATE = "wait-over"
LINKS = (Link("take", Action.TAKE), Link("wait", Action.WAIT), Link("resolve", Action.RESOLVE))


def wait(builder: Builder, value: str, actor: int, zone: ZoneInfo) -> str:
    """Let the request wait, until the instant that `value` names if it names one. Raises CannotDo or ArgumentError."""
    ticket = builder.ticket
    if ticket.status is not Status.WAITING and not legal(ticket.status, Status.WAITING):
        raise CannotDo(f"a request that is {ticket.status} cannot become {Status.WAITING}", "reopen")
    due = arguments.until(value, builder.now, zone) if value else None
    if due is not None and due - builder.now > agreed.AHEAD:
        raise CannotDo(f"{due.astimezone(zone):%a %d %b %Y} is more than a year ahead", "wait until Fri 9:00")
    was = builder.status(Status.WAITING, actor=actor)
    if due is None:
        if ticket.fields.get(WAIT_UNTIL):
            builder.note(WAIT_UNTIL, None)
            return f"request #{ticket.number} is waiting, until its requestor writes"
        return f"request #{ticket.number} is waiting" if was else "it was waiting already"
    builder.note(WAIT_UNTIL, due.isoformat())
    return f"request #{ticket.number} is waiting; if nothing comes until {notes.shown_near(due, zone)} it is open again, and you are told"


def end_overdue(builder: Builder) -> None:
    """The instant has come and the customer has not written: the request is open again, and its staff are told."""
    at = builder.ticket.waits_until
    if at is None or at > builder.now:
        return
    builder.note(WAIT_UNTIL, None)
    builder.status(Status.OPEN, reason="nothing came in time")
    event = builder.add(EventKind.TOLD, visibility=Visibility.INTERNAL, facts={"notice": TEMPLATE, "due_at": at.isoformat()})
    ticket = builder.ticket
    facts = {"until": at, "who": audience.named(ticket.requestor), "priority": ticket.priority}
    audience.to_staff(
        builder, event, TEMPLATE, who="", author="", text="", people=builder.staff(), links=LINKS, human=False, facts=facts
    )
