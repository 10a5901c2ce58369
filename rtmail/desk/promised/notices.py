"""The mails that clocks ask for: each `policy.clocks.Notice` becomes an event and one draft a reader.

Whom a role name means is looked up here; where nobody can be reached the clocks are told at once, and name the next in line.
Words of people (the last ones of each side) are put in by the engine, which has the store at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rtmail.desk import audience, notes
from rtmail.desk.decision import Builder
from rtmail.desk.promised import closing, shouting
from rtmail.desk.ticket import EventKind
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, Recipient, ReplyTo, Suppress, Visibility
from rtmail.policy import signals
from rtmail.policy.clocks import Notice, NoticeKind
from rtmail.policy.rows import ClockKind, Reach

ROUNDS = 10
"""Role, deputy, admin, and no further; a bound against a policy that names roles in a ring."""
UNDELIVERED = "undelivered"
_ANSWERED = frozenset({"nudge", shouting.TEMPLATE})
"""Mails about what the customer waits for: an answer to them goes to him."""
_STAFF_LINKS: Mapping[NoticeKind, tuple[Link, ...]] = {
    NoticeKind.NUDGE: (Link("take", Action.TAKE), Link("wait", Action.WAIT)),
    NoticeKind.MISSED: (Link("take", Action.TAKE),),
    NoticeKind.ESCALATION: (Link("acknowledge", Action.ACK), Link("take", Action.TAKE), Link("snooze", Action.SNOOZE, body="snooze 2h")),
}


@dataclass(frozen=True, slots=True)
class _Reader:
    """One reader of a notice, and the role he reads it in."""

    recipient: Recipient
    role: str
    page: str = ""


def draft(builder: Builder) -> None:
    """Turn all notices that the clocks left with `builder` into events and drafts."""
    for _ in range(ROUNDS):
        notices, builder.notices = builder.notices, []
        if not notices:
            return
        builder.noticed += notices
        for notice in notices:
            match notice.kind:
                case NoticeKind.ACKNOWLEDGEMENT:
                    audience.acknowledge(builder)
                case NoticeKind.HOLDING_UPDATE:
                    _holding_update(builder, notice)
                case NoticeKind.CLOSING:
                    closing.close(builder)
                case _:
                    _to_staff(builder, notice)


def _holding_update(builder: Builder, notice: Notice) -> None:
    """Tell the requestor how it stands, since nobody wrote to him by the due instant; it claims no work that no event shows."""
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts=_facts(notice))
    eta = builder.ticket.eta_at
    facts = {
        "status": str(builder.ticket.status),
        "owner": audience.signed_by(builder, audience.owner_name(builder)),
        "eta_at": eta if eta and eta > builder.now else None,
        "next_at": notice.next_at,
    }
    audience.to_requestor(builder, event, "holding-update", facts=facts, urgency=0, report=True)


def _to_staff(builder: Builder, notice: Notice) -> None:
    """Nudge, miss or escalation: one copy for each who is told, in the roles that the notice names and those below."""
    readers: dict[str, _Reader] = {}
    unreached: list[str] = []
    for role in notice.tell:
        found = list(_author(builder, notice) if role == "author" else _readers(builder, role, notice.reach))
        if not found:
            unreached.append(role)
        for reader in found:
            readers.setdefault(reader.recipient.address, reader)
    for role in notice.cc:
        for reader in _readers(builder, role, Reach.PERSON):
            readers.setdefault(reader.recipient.address, reader)
    if not readers and notice.rung is None:
        # No rung from which the clocks could go on to the next in line.
        unreached = []
        readers = {reader.recipient.address: reader for reader in _readers(builder, "admin", Reach.ADMIN)}
    roles = {str(reader.recipient.person): reader.role for reader in readers.values()}
    if readers:
        event = builder.add(EventKind.TOLD, facts={**_facts(notice), "roles": roles})
        for reader in readers.values():
            builder.drafts.append(_staff_draft(builder, notice, reader, event.seq))
            if notice.page and reader.page:
                builder.drafts.append(_page(builder, notice, reader, event.seq))
    for role in unreached:
        if notice.rung is not None:
            builder.signal(
                signals.NoticeFailed(
                    at=builder.now,
                    clock=ClockKind(notice.clock),
                    generation=notice.generation,
                    rung=notice.rung,
                    role=role,
                    reach=notice.reach,
                    event=builder.ticket.events,
                )
            )


def _staff_draft(builder: Builder, notice: Notice, reader: _Reader, seq: int) -> Draft:
    ticket = builder.ticket
    root = builder.house.message_id(ticket.number, 1)
    return Draft(
        template=notice.template,
        to=reader.recipient,
        visibility=Visibility.INTERNAL,
        subject=ticket.subject,
        queue=ticket.queue,
        number=ticket.number,
        event=seq,
        references=tuple(dict.fromkeys((*ticket.thread[:1], root))),
        in_reply_to=root,
        facts=_words_for(builder, notice, reader),
        links=_links(notice),
        auto=Auto.GENERATED,
        suppress=Suppress.ABSENCES,
        reply_to=ReplyTo.CORRESPONDENCE if notice.template in _ANSWERED else ReplyTo.COMMENT,
        headers=audience.staff_headers(builder),
        urgency=0,
        report=notice.kind in (NoticeKind.ESCALATION, NoticeKind.MISSED),
        joins=notice.bundle and notice.kind in (NoticeKind.ESCALATION, NoticeKind.MISSED),
    )


def _links(notice: Notice) -> tuple[Link, ...]:
    if notice.template == shouting.TEMPLATE:
        return audience.STAFF_LINKS
    return _STAFF_LINKS.get(notice.kind, ()) if notice.template != UNDELIVERED else ()


def _page(builder: Builder, notice: Notice, reader: _Reader, seq: int) -> Draft:
    """A plain copy of at most 140 characters for a pager or phone."""
    ticket = builder.ticket
    return Draft(
        template="page",
        to=Recipient(reader.recipient.person, reader.page, "", staff=True, language=reader.recipient.language),
        visibility=Visibility.INTERNAL,
        subject=ticket.subject,
        queue=ticket.queue,
        number=ticket.number,
        event=seq,
        auto=Auto.GENERATED,
        suppress=Suppress.ABSENCES,
        reply_to=ReplyTo.COMMENT,
        urgency=0,
        facts={"priority": ticket.priority, "rule": notice.rule, "due_at": notice.due_at},
    )


def _words_for(builder: Builder, notice: Notice, reader: _Reader) -> dict[str, Any]:
    ticket = builder.ticket
    clock = notice.clock.replace("-", " ")
    row = next((one for one in ticket.clocks if one.name == notice.clock and one.generation == notice.generation), None)
    due_at = row.due_at if row and row.due_at and notice.rung is None else notice.due_at
    facts: dict[str, Any] = {"who": audience.named(ticket.requestor), "priority": ticket.priority, "due_at": due_at}
    if notice.template == UNDELIVERED:
        author = builder.house.directory.by_party(row.settled_person) if row else None
        return {**facts, "clock": clock, "written_by": author.name if author else "", "admin": reader.role == "admin"}
    if notice.template == shouting.TEMPLATE:
        del facts["due_at"]
        return {**facts, "opened_at": ticket.opened_at}
    if notice.kind is NoticeKind.NUDGE:
        return {
            **facts,
            "clock": clock,
            "left": max(due_at - builder.now, builder.now - builder.now),
        }
    facts["owner"] = audience.owner_name(builder)
    if notice.kind is NoticeKind.MISSED:
        instead = {"instead": reader.role} if notice.reach is not Reach.PERSON else {}
        return {**facts, **instead, "clock": clock, "late": builder.now - due_at}
    target = builder.policy.priorities.get(ticket.priority)
    organisation = (
        builder.house.directory.organisation_of(ticket.requestor.address) if ticket.requestor and ticket.requestor.address else None
    )
    facts |= {
        "role": reader.role,
        "rung": notice.rung or 1,
        "why": notice.rule,
        "organisation": organisation.name if organisation else "",
        "status": str(ticket.status),
        "priority": f"{target.key}: {target.meaning}" if target else "",
        "opened_at": ticket.opened_at,
        "promises": _promises(builder),
        "told": _told_before(builder, notice),
    }
    if notice.alarm:
        facts["alarm"] = True
    if notice.acks:
        zone = builder.zone
        facts["acked"] = "; ".join(f"{_role_name(builder, ack.role)}, until {notes.shown_near(ack.until, zone)}" for ack in notice.acks)
    if notice.late_by.total_seconds() >= 60:
        outage = "rtmail was not running, or could not be reached, when it fell due."
        unreached = "whoever was told first could not be reached."
        facts |= {"late": notice.late_by, "late_why": outage if notice.reach is Reach.PERSON else unreached}
    return facts


def _promises(builder: Builder) -> list[dict[str, Any]]:
    states = {"met": "kept", "missed": "missed", "returned": "returned", "running": "open", "paused": "stands still"}
    return [
        {"what": clock.name.replace("-", " "), "due_at": clock.due_at, "state": states[clock.state.value]}
        for clock in builder.ticket.clocks
        if clock.due_at and clock.state.value in states and clock.name in ("triage", "first-response", "update", "resolution")
    ][-6:]


def _told_before(builder: Builder, notice: Notice) -> list[dict[str, Any]]:
    told = [(at, role) for clock in builder.ticket.clocks for role, at in clock.told if at < builder.now]
    return [{"at": at, "who": _role_name(builder, role)} for at, role in sorted(told)]


def _role_name(builder: Builder, role: str) -> str:
    person = builder.house.directory.reached(role)
    return f"{person.name} ({role})" if person else role


def _facts(notice: Notice) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "notice": str(notice.kind),
        "clock": notice.clock,
        "generation": notice.generation,
        "rule": notice.rule,
        "due_at": notice.due_at.isoformat(),
        "late_seconds": int(notice.late_by.total_seconds()),
    }
    if notice.kind in (NoticeKind.ESCALATION, NoticeKind.MISSED):
        facts |= {"reach": str(notice.reach), "alarm": notice.alarm}
    if notice.rung is not None:
        facts |= {"rung": notice.rung, "skipped": list(notice.skipped)}
    return facts


def _author(builder: Builder, notice: Notice) -> Iterable[_Reader]:
    """Who wrote the answer that a notice is about; whoever owns the request where that is no member of staff any more."""
    row = next((one for one in builder.ticket.clocks if one.name == notice.clock and one.generation == notice.generation), None)
    person = builder.house.directory.by_party(row.settled_person) if row else None
    return [_Reader(audience.staff_recipient(person), "author", person.page)] if person else _readers(builder, "owner", Reach.PERSON)


def _readers(builder: Builder, role: str, reach: Reach) -> Iterable[_Reader]:
    """Who reads what is told to `role`, at this reach: for one who seems away his stand-in as well, for one who is away he alone."""
    house = builder.house
    directory, away, missing = house.directory, house.away(builder.now), house.missing(builder.now)
    if reach is Reach.ADMIN or role == "admin":
        return [_Reader(Recipient(0, house.site.admin, "", staff=True), role)]
    if role in ("owner", "queue"):
        owner = directory.by_party(builder.ticket.owner) if role != "queue" else None
        people = [owner] if owner else []
        if owner is None or owner.key in missing:
            queue = builder.ticket.queue
            people += [one for one in house.on_duty(queue, builder.now) or directory.staff_of(queue) if one is not owner]
        return [_Reader(audience.staff_recipient(one), role, one.page) for one in people]
    named = directory.roles.get(role)
    deputy = directory.people.get(named.deputy) if named and named.deputy not in away else None
    person = deputy if reach is Reach.DEPUTY else directory.reached(role, away)
    people = [person] if person else []
    if person and deputy and person.key in missing and deputy is not person:
        people.append(deputy)
    return [_Reader(audience.staff_recipient(one), role, one.page) for one in people]

