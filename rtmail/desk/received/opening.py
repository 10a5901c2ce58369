"""A mail opens a request: its event, people and links, its clocks and acknowledgement, the word to the staff of its queues."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rtmail.desk import audience
from rtmail.desk.commanded import accepting, ownership, prepared
from rtmail.desk.decision import Builder, Words
from rtmail.desk.fields import filling
from rtmail.desk.judging.match import Link as RequestLink
from rtmail.desk.judging.match import LinkKind
from rtmail.desk.known import LINKED
from rtmail.desk.outages import incidents
from rtmail.desk.people import Person
from rtmail.desk.promised import afterhours, consent
from rtmail.desk.received import arrival, standing
from rtmail.desk.stimulus import AlsoSent, Received
from rtmail.desk.ticket import Event, EventKind, Role
from rtmail.mail import address
from rtmail.mail.model import Address, Kind
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility
from rtmail.policy import signals

FROM_SHOWN = 200
"""Characters of a From line that names nobody, as staff see it."""


def open_request(builder: Builder, stimulus: Received) -> None:
    verdict = stimulus.verdict
    requestor = verdict.requestor or verdict.sender.address
    opened(builder, stimulus, requestor, arrival.words_of(stimulus), stimulus.mail.message_id, stimulus.answerable, by_customer=True)


def opened(
    builder: Builder,
    stimulus: Received,
    requestor: Address,
    words: Words,
    message_id: str,
    answerable: bool,
    *,
    by_customer: bool = False,
    inside: bool = False,
) -> Event:
    """Open the request: event, people, links, clocks, acknowledgement, and the word to the queue's staff.

    by_customer  the requestor himself wrote to us: what he says of its priority counts as far as the policy lets it
    inside       the words stay among staff, whoever takes part later
    """
    verdict = stimulus.verdict
    person = stimulus.parties.get(address.key(requestor.spec), 0)
    event = builder.add(
        EventKind.OPENED,
        visibility=Visibility.INTERNAL if inside else Visibility.PUBLIC,
        actor=words.person,
        facts=arrival.facts_of(stimulus),
        words=words,
        message_id=message_id,
        at=stimulus.at,
    )
    if person and verdict.requestor:
        builder.join(person, Role.REQUESTOR, requestor.spec, requestor.name, reason=verdict.rule)
    arrival.joins(builder, stimulus)
    if stimulus.problem[0]:
        builder.refs.append(stimulus.problem)
    for link in verdict.links:
        _link(builder, link)
    beside = incidents.beside(builder, requestor.spec)
    reception = standing.receive(builder, requestor.spec)
    critical = afterhours.critical(builder, stimulus, reception.terms) if by_customer else ""
    if critical:
        afterhours.terms(builder)
    builder.signal(signals.Opened(at=stimulus.at, event=event.seq, acknowledge=answerable and reception.acknowledges))
    if critical:
        afterhours.raised(builder, event)
    assigned = ownership.assign(builder, stimulus.turn)
    trusted = by_customer and stimulus.mail.kind is Kind.REQUEST_OR_REPLY and not verdict.stops_closing
    heard = consent.heard(builder, stimulus, event, trusted=trusted) if by_customer and not critical else ()
    builder.asks_no_form = stimulus.private is not None and stimulus.private.withholds
    if by_customer:
        heard = (*heard, *filling.heard(builder, stimulus, event, trusted=trusted))
    audience.to_staff(
        builder,
        event,
        "opened",
        who=arrival.shown(requestor),
        author=requestor.name or requestor.spec,
        text=words.text,
        people=_but(builder.staff(all_of_queue=not assigned), person),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        flags=arrival.flags_of(
            builder,
            stimulus,
            *reception.flags,
            *filter(None, (critical, assigned)),
            *beside,
            *_nobody(stimulus),
            *_linked_words(verdict.links, beside),
            *heard,
        ),
        links=(*audience.STAFF_LINKS, *(accepting.LINKS if verdict.ask_accept else ()), *_same(verdict.links)),
        human=stimulus.mail.kind is not Kind.MACHINE,
        facts=opening_facts(builder, event),
    )
    if reception.answer and answerable:
        prepared.by_itself(builder, reception.answer)
    if verdict.other_queues:
        builder.note("queues", list(verdict.other_queues))
        _tell_queues(builder, verdict.other_queues, who=arrival.shown(requestor), text=words.text, received=event.at)
    return event


def _but(people: tuple[Person, ...], requestor: int) -> tuple[Person, ...]:
    """Who hears of a request besides its requestor, who has its acknowledgement: a colleague asks for something himself."""
    return tuple(one for one in people if one.party != requestor) or people


def opening_facts(builder: Builder, event: Event) -> dict[str, Any]:
    due = [
        {"what": clock.name.replace("-", " ").capitalize(), "at": clock.due_at}
        for clock in builder.ticket.clocks
        if clock.running and clock.due_at and clock.name in ("triage", "first-response")
    ]
    return {"received_at": event.at, "due": sorted(due, key=lambda row: row["at"])}


def _nobody(stimulus: Received) -> tuple[str, ...]:
    """What staff must know where a request opens without anybody to answer: what stood in From, and how to add somebody."""
    if stimulus.verdict.requestor:
        return ()
    said = " ".join(" ".join(stimulus.mail.headers.get("from", ())).split())[:FROM_SHOWN] or "nothing"
    return (f"Nobody can be answered: From says {said}. A line AddRequestor: ADDRESS in your answer names somebody.",)


def _linked_words(links: tuple[RequestLink, ...], beside: tuple[str, ...]) -> tuple[str, ...]:
    """Say what the request is linked with; an incident stands in `beside` with its title, where the customer is one whom it affects."""
    said = (f"Linked: {link.kind} #{link.number}" for link in links)
    return tuple(f"{one}." for one in said if not any(flag.startswith(f"{one}, ") for flag in beside))


def _same(links: tuple[RequestLink, ...]) -> tuple[Link, ...]:
    """One click joins words to the request that they only named."""
    words = {link.number: f"same {link.number}" for link in links if link.kind is LinkKind.RELATED}
    return tuple(Link(f"same as #{number}", Action.SAME, subject=said, body=said) for number, said in words.items())


def _link(builder: Builder, link: RequestLink) -> None:
    if link.kind is LinkKind.INCIDENT:
        incidents.attach(builder, link.number)
        return
    builder.links.append((str(link.kind), link.number))
    builder.note(LINKED, link.number)
    builder.add(EventKind.LINKED, facts={"kind": str(link.kind), "number": link.number})


def also_sent(builder: Builder, stimulus: AlsoSent) -> None:
    """A further delivery named queues that had not heard of the mail: their staff are told; nothing else happens twice."""
    told = [builder.ticket.queue, *(builder.ticket.fields.get("queues") or ())]
    builder.note("queues", [*told[1:], *stimulus.queues])
    _tell_queues(builder, stimulus.queues, who=stimulus.who, text=stimulus.text, received=stimulus.at)


def _tell_queues(builder: Builder, queues: tuple[str, ...], *, who: str, text: str, received: datetime) -> None:
    """Staff of other queues that a mail went to as well learn which request it is."""
    directory = builder.house.directory
    mine = {one.key for one in directory.staff_of(builder.ticket.queue)}
    others = {one.key: one for queue in queues for one in directory.staff_of(queue) if one.key not in mine}
    event = builder.add(EventKind.TOLD, facts={"notice": "also-sent", "queues": list(queues)})
    audience.to_staff(
        builder,
        event,
        "opened",
        who=who,
        author=who,
        text=text,
        people=tuple(others.values()),
        flags=(f"Also sent to {', '.join(queues)}; it is a request in {builder.ticket.queue}.",),
        facts={"received_at": received, "due": []},
    )
