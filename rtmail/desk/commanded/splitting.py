"""Opening a request from words that were part of another: split off by staff, or because nobody decided in time."""

from __future__ import annotations

from datetime import datetime

from rtmail.desk import audience
from rtmail.desk.commanded import ownership, prepared
from rtmail.desk.decision import Builder, Decision, House, Words
from rtmail.desk.fields import filling
from rtmail.desk.outages import incidents
from rtmail.desk.promised import notices
from rtmail.desk.received import arrival, standing
from rtmail.desk.ticket import Event, EventKind, Role, Ticket
from rtmail.mail.model import Address
from rtmail.mail.writing.draft import Visibility
from rtmail.policy import signals
from rtmail.policy.model import Policy


def split_off(
    policy: Policy,
    ticket: Ticket,
    now: datetime,
    house: House,
    *,
    source: Ticket,
    event: Event,
    text: str,
    raw_id: int,
    spool_id: int,
    person: int,
    sender: Address,
    language: str,
    reason: str,
    turn: int = 0,
) -> Decision:
    """Return the decision that opens `ticket` from the words of `event` of `source`; clocks start now, the arrival is shown."""
    builder = Builder(policy, ticket, now, house)
    builder.languages = {person: language}
    words = Words(subject=ticket.subject, text=text, reply_text=text, raw_id=raw_id, spool_id=spool_id, person=person)
    opened = builder.add(
        EventKind.OPENED,
        visibility=Visibility.PUBLIC,
        actor=person,
        words=words,
        message_id=event.message_id,
        facts={"rule": "split", "from": source.number, "arrived_at": event.at.isoformat(), "reason": reason},
    )
    if sender.spec:
        builder.join(person, Role.REQUESTOR, sender.spec, sender.name, reason="split")
    builder.links.append(("split", source.number))
    builder.add(EventKind.LINKED, facts={"kind": "split", "number": source.number})
    beside = incidents.beside(builder, sender.spec)
    reception = standing.receive(builder, sender.spec)
    answerable = bool(event.facts.get("answerable", True))
    filling.again(builder, "", text, actor=person, of=opened.seq)
    builder.signal(signals.Opened(at=now, event=opened.seq, acknowledge=answerable and reception.acknowledges))
    assigned = ownership.assign(builder, turn)
    audience.to_staff(
        builder,
        opened,
        "opened",
        who=arrival.shown(sender),
        author=sender.name or sender.spec,
        text=text,
        people=builder.staff(all_of_queue=not assigned),
        flags=(f"Split from #{source.number}: {reason}.", *reception.flags, *filter(None, (assigned,)), *beside),
        facts={"received_at": event.at, "due": []},
    )
    if reception.answer and answerable:
        prepared.by_itself(builder, reception.answer)
    notices.draft(builder)
    return builder.result()
