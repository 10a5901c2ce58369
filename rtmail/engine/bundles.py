"""Escalations that fell due together become one mail a manager, each a line of it.

Every escalation is first a mail of its own, decided, rendered and committed with its request, and waits a moment
(`keeping.JOIN_WITHIN`). When a sweep has come to its end, those that wait for the same reader are joined here if they are many
enough; whatever stops us in between, they go out alone. What becomes of the joined mail comes back to each request.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from rtmail.desk.ticket import Ticket
from rtmail.engine.keeping import Keeper
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, Recipient, ReplyTo, Suppress, Visibility
from rtmail.store import Conflict, OutboxRow

TEMPLATE = "bundle"
LISTED = 250
"""So many requests, the most urgent ones, are lines of the table; the others are named by their numbers, else the mail has no end."""
LINKED = 25
"""So many requests of a joined mail, the most urgent ones, bear links to act on; more would bury its table."""


def join(keeper: Keeper, now: datetime) -> int:
    """Join what can be joined and send the rest on its way; returns how many mails now wait to go out for that."""
    by_reader: dict[str, list[OutboxRow]] = {}
    for row in keeper.store.to_be_joined(now):
        by_reader.setdefault(row.recipient, []).append(row)
    sent = 0
    for rows in by_reader.values():
        try:
            sent += keeper.store.run(partial(_join, keeper, rows, now))
        except Conflict:
            # Another daemon joins, or the courier was faster; what is left is looked at by the next sweep.
            continue
    return sent


def _join(keeper: Keeper, rows: Sequence[OutboxRow], now: datetime) -> int:
    store, office = keeper.store, keeper.office
    tickets = store.tickets({row.ticket for row in rows})
    enough = min(office.policy(ticket.policy_version).digest.bundle_from for ticket in tickets.values())
    if len(tickets) < enough:
        store.send_alone([row.id for row in rows], now)
        return len(rows)
    lines = [_line(keeper, row, tickets[row.ticket]) for row in rows]
    lines.sort(key=lambda line: (-line["code"], line["due_at"], line["number"]))
    reader = office.directory.by_party(rows[0].person)
    name, language = (reader.name, reader.language) if reader else ("", "")
    draft = Draft(
        template=TEMPLATE,
        to=Recipient(rows[0].person, rows[0].recipient, name, staff=True, language=language),
        visibility=Visibility.INTERNAL,
        subject=f"{len(lines)} requests need attention",
        queue=tickets[rows[0].ticket].queue,
        facts={"count": len(lines), "requests": lines[:LISTED], "others": [f"#{line['number']}" for line in lines[LISTED:]]},
        links=tuple(
            Link(f"{word} #{number}", action, request=number)
            for number in list(dict.fromkeys(line["number"] for line in lines))[:LINKED]
            for word, action in (("acknowledge", Action.ACK), ("take", Action.TAKE))
        ),
        auto=Auto.GENERATED,
        suppress=Suppress.ABSENCES,
        reply_to=ReplyTo.COMMENT,
        report=True,
    )
    outgoing = keeper.render([draft], now)
    store.carry([row.id for row in rows], outgoing[0][0], now)
    keeper.post(outgoing, None, [draft], now)
    return 1


def _line(keeper: Keeper, row: OutboxRow, ticket: Ticket) -> dict[str, Any]:
    """One request as the table shows it."""
    event = keeper.store.event(row.ticket, row.event)
    facts = event.facts if event else {}
    priority = keeper.office.policy(ticket.policy_version).priority(ticket.priority)
    clock = str(facts.get("clock", "")).replace("-", " ")
    owner = keeper.office.directory.by_party(ticket.owner)
    return {
        "number": ticket.number,
        "priority": ticket.priority or "-",
        "code": priority.code,
        "what": f"{clock} rung {facts['rung']}" if clock == "ladder" else f"{clock} missed",
        "due_at": datetime.fromisoformat(facts["due_at"]) if "due_at" in facts else row.created_at,
        "owner": owner.name if owner else "nobody",
        "subject": ticket.subject,
    }
