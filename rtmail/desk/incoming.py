"""What follows from a mail: one function for each result of `match.judge`.

`receive` is the table of them. Each adds events to the builder and drafts the copies that they lead to; the sender table
of DESIGN 5 says who may do what, the functions here say what then happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from rtmail.desk import audience, closing, consent, crossing, delivery, effects, thanks
from rtmail.desk.absence import SEEN_FOR, Absence, AbsenceChange
from rtmail.desk.commands import Parsed
from rtmail.desk.decision import Ask, Builder, Words
from rtmail.desk.match import Link as RequestLink
from rtmail.desk.match import Result
from rtmail.desk.outcome import Result as Line
from rtmail.desk.outcome import refused
from rtmail.desk.people import Person
from rtmail.desk.sender import Sender
from rtmail.desk.stimulus import AlsoSent, Received
from rtmail.desk.ticket import Event, EventKind, Role, Status
from rtmail.desk.wording import public_words
from rtmail.mail import address
from rtmail.mail.draft import Auto, Draft, Link, Recipient, ReplyTo, Suppress, Visibility
from rtmail.mail.model import Address, Kind
from rtmail.mail.token import Action
from rtmail.policy import signals
from rtmail.policy.duration import Duration

LOOKED_BY_STAFF = frozenset(
    {
        Result.ACTION,
        Result.STAFF_BOTH_ADDRESSES,
        Result.STAFF_COMMENT,
        Result.STAFF_CORRESPONDENCE,
        Result.STAFF_FORWARD_ON_REQUEST,
        Result.STAFF_NO_RIGHT,
    }
)
"""By these somebody of the staff shows that he looked at the request."""
OUTSIDE_LINKS = (Link("accept", Action.ACCEPT), Link("split", Action.SPLIT))
ASK_LINKS = (Link("send as correspondence", Action.SEND_AS_CORRESPONDENCE), Link("send as comment", Action.SEND_AS_COMMENT))
OUTSIDE_AT_MOST = Duration.parse("1bd")
"""A stranger's words wait so long at most for a word of staff before they become their own request (DESIGN 5)."""


def receive(builder: Builder, stimulus: Received) -> None:
    """Carry out what the verdict says."""
    HANDLERS[stimulus.verdict.result](builder, stimulus)
    if stimulus.verdict.result in LOOKED_BY_STAFF and stimulus.verdict.sender.staff:
        closing.looked(builder, builder.now)
    if stimulus.verdict.revoke:
        revoked = dict(builder.ticket.fields.get("revoked") or {})
        builder.note("revoked", {**revoked, **{str(party): builder.now.date().isoformat() for party in stimulus.verdict.revoke}})


def words_of(stimulus: Received) -> Words:
    mail = stimulus.mail
    return Words(
        subject=mail.subject,
        text=mail.text,
        reply_text=mail.reply_text,
        raw_id=stimulus.raw_id,
        spool_id=stimulus.spool_id,
        person=_party(stimulus, stimulus.verdict.sender),
    )


def _party(stimulus: Received, sender: Sender) -> int:
    return sender.party or stimulus.parties.get(address.key(sender.address.spec), 0)


def _person(builder: Builder, stimulus: Received) -> Person:
    return builder.house.directory.people[stimulus.verdict.sender.staff]


def _author(sender: Sender) -> str:
    return sender.address.name or sender.address.spec


def _shown(one: Address) -> str:
    return f"{one.name} <{one.spec}>" if one.name else one.spec


def _who(stimulus: Received) -> str:
    return _shown(stimulus.verdict.sender.address)


def _reached(stimulus: Received) -> frozenset[str]:
    """Addresses that the author's own mail went to."""
    return frozenset(address.key(one.spec) for one in (*stimulus.mail.to, *stimulus.mail.cc))


def _notes(stimulus: Received, *first: str) -> tuple[str, ...]:
    verdict, mail = stimulus.verdict, stimulus.mail
    notes = list(first)
    if stimulus.flagged:
        notes.append("Its Message-ID came before, with other words.")
    if verdict.ask_accept:
        notes.append("Not in Cc without your word: " + ", ".join(one.spec for one in verdict.ask_accept))
    ignored = [
        one.spec for one in mail.reply_to if not verdict.sender.by_reply_to and address.key(one.spec) != address.key(mail.sender.spec)
    ]
    if ignored:
        notes.append("Asks for answers to another address, which is not used: " + ", ".join(ignored))
    if stimulus.withheld:
        notes.append("No automatic answer went out: " + stimulus.withheld)
    if verdict.other_queues:
        notes.append("Also sent to: " + ", ".join(verdict.other_queues))
    if mail.defects:
        notes.append("Could not be read whole: " + "; ".join(mail.defects[:3]))
    return tuple(notes)


def _facts(stimulus: Received) -> dict[str, object]:
    facts: dict[str, object] = {"rule": stimulus.verdict.rule, "spool": stimulus.spool_id, "kind": str(stimulus.mail.kind)}
    if stimulus.flagged:
        facts["flagged"] = True
    return facts


# -- a request opens ------------------------------------------------------------------------------------------------


def _open(builder: Builder, stimulus: Received) -> None:
    verdict = stimulus.verdict
    requestor = verdict.requestor or verdict.sender.address
    _opened(builder, stimulus, requestor, words_of(stimulus), stimulus.mail.message_id, stimulus.answerable, by_customer=True)


def _opened(builder: Builder, stimulus: Received, requestor: Address, words: Words, message_id: str, answerable: bool, *,
            by_customer: bool = False) -> Event:
    """Open the request: event, people, links, clocks, acknowledgement, and the word to the queue's staff.

    by_customer  the requestor himself wrote to us: what he says of its priority counts as far as the policy lets it
    """
    verdict = stimulus.verdict
    person = stimulus.parties.get(address.key(requestor.spec), 0)
    event = builder.add(
        EventKind.OPENED,
        visibility=Visibility.PUBLIC,
        actor=words.person,
        facts=_facts(stimulus),
        words=words,
        message_id=message_id,
        at=stimulus.at,
    )
    if person:
        builder.join(person, Role.REQUESTOR, requestor.spec, requestor.name, reason=verdict.rule)
    _joins(builder, stimulus)
    for link in verdict.links:
        _link(builder, link)
    builder.signal(signals.Opened(at=stimulus.at, event=event.seq, acknowledge=answerable))
    trusted = by_customer and stimulus.mail.kind is Kind.REQUEST_OR_REPLY and not verdict.stops_closing
    heard = consent.heard(builder, stimulus, event, trusted=trusted) if by_customer else ()
    audience.to_staff(
        builder,
        event,
        "opened",
        who=_shown(requestor),
        author=requestor.name or requestor.spec,
        text=words.text,
        people=builder.staff(all_of_queue=True),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        flags=_notes(stimulus, *_linked_words(verdict.links), *heard),
        human=stimulus.mail.kind is not Kind.MACHINE,
        facts=_opening(builder, event),
    )
    if verdict.other_queues:
        builder.note("queues", list(verdict.other_queues))
        _tell_queues(builder, verdict.other_queues, who=_shown(requestor), text=words.text, received=event.at)
    return event


def _opening(builder: Builder, event: Event) -> dict[str, Any]:
    due = [
        {"what": clock.name.replace("-", " ").capitalize(), "at": clock.due_at}
        for clock in builder.ticket.clocks
        if clock.running and clock.due_at and clock.name in ("triage", "first-response")
    ]
    return {"received_at": event.at, "due": due}


def _linked_words(links: tuple[RequestLink, ...]) -> tuple[str, ...]:
    return tuple(f"Linked: {link.kind} #{link.number}." for link in links)


def _link(builder: Builder, link: RequestLink) -> None:
    builder.links.append((str(link.kind), link.number))
    builder.add(EventKind.LINKED, facts={"kind": str(link.kind), "number": link.number})


def _joins(builder: Builder, stimulus: Received) -> None:
    for one in stimulus.verdict.joins:
        person = stimulus.parties.get(address.key(one.spec), 0)
        requestor = builder.ticket.requestor
        if person and not (requestor and requestor.person == person):
            builder.join(person, Role.CC, one.spec, one.name, reason=stimulus.verdict.rule)


# -- customers' words -----------------------------------------------------------------------------------------------


def _correspondence(builder: Builder, stimulus: Received) -> None:
    verdict = stimulus.verdict
    words = words_of(stimulus)
    action = consent.lone_word(builder, stimulus, words.person) if verdict.result is Result.CORRESPONDENCE else None
    if action is not None:
        consent.act(builder, action, words.person, words, stimulus)
        return
    event = builder.add(
        EventKind.CORRESPONDENCE,
        visibility=Visibility.PUBLIC,
        actor=words.person,
        facts={**_facts(stimulus), **_manner(builder, stimulus)},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    _joins(builder, stimulus)
    told = _stirred(builder, stimulus, event)
    trusted = verdict.passed_on and verdict.result is Result.CORRESPONDENCE and consent.is_requestor(builder, words.person)
    heard = consent.heard(builder, stimulus, event, trusted=trusted)
    attachments = audience.refs(stimulus.mail.attachments, stimulus.raw_id)
    if verdict.passed_on:
        others = tuple(p for p in builder.customers() if p.person != words.person)
        audience.to_customers(
            builder,
            event,
            "relayed",
            author=_author(verdict.sender),
            text=stimulus.mail.reply_text,
            people=others,
            attachments=attachments,
            reached=_reached(stimulus),
            answering=stimulus.mail.message_id,
        )
    joined = ("A colleague of the requestor, new on this request.",) if verdict.result is Result.COLLEAGUE_JOINS else ()
    audience.to_staff(
        builder,
        event,
        "notice",
        who=_who(stimulus),
        author=_author(verdict.sender),
        text=stimulus.mail.reply_text,
        people=builder.staff(),
        attachments=attachments,
        flags=_notes(stimulus, *joined, *told, *heard),
        links=_links(builder),
        human=stimulus.mail.kind is not Kind.MACHINE,
        reached=_reached(stimulus),
        facts={"joined": [one.spec for one in verdict.joins]},
    )


def _colleague(builder: Builder, stimulus: Received) -> None:
    sender = stimulus.verdict.sender
    builder.join(_party(stimulus, sender), Role.CC, sender.address.spec, sender.address.name, reason=stimulus.verdict.rule)
    _correspondence(builder, stimulus)


def _manner(builder: Builder, stimulus: Received) -> dict[str, object]:
    """What kind of words of the customer's side these are, for the event's facts: `thanks`, `doubtful`, or neither.

    Doubtful words reopen nothing and move no clock; a short thanks to a request that rests does not either.
    """
    if not stimulus.verdict.reopens:
        return {"doubtful": True}
    names = (*builder.names(), stimulus.verdict.sender.address.name)
    resting = builder.ticket.status in (Status.RESOLVED, Status.CLOSED)
    return {"thanks": True} if resting and thanks.read(stimulus.mail, builder.policy.thanks, names).thanks else {}


def _stirred(builder: Builder, stimulus: Received, event: Event) -> tuple[str, ...]:
    """A customer's words set a resting request going again, where the sender table lets them; return what staff must know of it."""
    status = builder.ticket.status
    ended = status in (Status.CLOSED, Status.REJECTED)
    if stimulus.verdict.stops_closing:
        closing.hold(builder, stimulus.at, event.seq)
    if event.facts.get("doubtful"):
        return (closing.HELD,) if stimulus.verdict.stops_closing and status is Status.RESOLVED else ()
    if event.facts.get("thanks"):
        builder.signal(signals.CustomerWrote(at=stimulus.at, thanks=True, event=event.seq))
        at = closing.closes_at(builder)
        return (f"A short thanks: the request stays {status}{f', and closes by itself on {at:%d %b %H:%M} UTC' if at else ''}.",)
    if ended:
        builder.signal(signals.ReopenedAfterClosed(at=stimulus.at, event=event.seq))
    else:
        builder.signal(signals.CustomerWrote(at=stimulus.at, event=event.seq))
    if ended or status in (Status.WAITING, Status.RESOLVED):
        builder.status(Status.OPEN, actor=event.actor, reason="customer wrote")
    return ()


def _links(builder: Builder) -> tuple[Link, ...]:
    """What staff can do about a customer's words by one click."""
    resting = builder.ticket.status in (Status.RESOLVED, Status.CLOSED)
    return (*audience.STAFF_LINKS, *closing.REOPEN) if resting else audience.STAFF_LINKS


def _unverified(builder: Builder, stimulus: Received) -> None:
    words = words_of(stimulus)
    event = builder.add(
        EventKind.UNVERIFIED,
        actor=words.person,
        facts={**_facts(stimulus), **_manner(builder, stimulus)},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    told = _stirred(builder, stimulus, event)
    heard = consent.heard(builder, stimulus, event, trusted=False)
    audience.to_staff(
        builder,
        event,
        "notice",
        who=_who(stimulus),
        author=_author(stimulus.verdict.sender),
        text=words.reply_text,
        people=builder.staff(),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        reached=_reached(stimulus),
        links=_links(builder),
        flags=_notes(stimulus, "Unverified: nothing proves that this person wrote it; it was passed on to nobody.", *told, *heard),
    )


def _outside(builder: Builder, stimulus: Received) -> None:
    """A stranger's words on somebody's request: staff decide; unanswered they become their own request."""
    words = words_of(stimulus)
    event = builder.add(
        EventKind.OUTSIDE, actor=words.person, facts=_facts(stimulus), words=words, message_id=stimulus.mail.message_id, at=stimulus.at
    )
    waiting = dict(builder.ticket.fields.get("outside") or {})
    waiting[str(event.seq)] = _decided_by(builder).isoformat()
    builder.note("outside", waiting)
    builder.note("outside_people", {**(builder.ticket.fields.get("outside_people") or {}), str(event.seq): words.person})
    audience.to_staff(
        builder,
        event,
        "notice",
        who=_who(stimulus),
        author=_author(stimulus.verdict.sender),
        text=words.text,
        people=builder.staff(),
        links=OUTSIDE_LINKS,
        about_customer=False,
        flags=_notes(stimulus, "From outside: no participant of this request; nothing of it was shown to him."),
    )
    if stimulus.answerable:
        sender = stimulus.verdict.sender.address
        builder.drafts.append(
            Draft(
                template="received",
                to=Recipient(0, sender.spec, sender.name, staff=False),
                visibility=Visibility.PUBLIC,
                subject=stimulus.mail.subject,
                queue=builder.ticket.queue,
                number=0,
                event=stimulus.spool_id,
                in_reply_to=stimulus.mail.message_id,
                references=(*stimulus.mail.references, stimulus.mail.message_id),
                auto=Auto.REPLIED,
            )
        )


def _decided_by(builder: Builder) -> datetime:
    """When words from outside become their own request: after one update interval, at most one business day."""
    priority = builder.policy.priority(builder.ticket.priority)
    hours = builder.policy.hours(priority.update_calendar)
    latest = OUTSIDE_AT_MOST.after(builder.now, hours)
    return min(priority.update_every.after(builder.now, hours), latest) if priority.update_every else latest


def split_overdue(builder: Builder) -> None:
    """Words from outside that nobody decided about in time become their own requests."""
    waiting = dict(builder.ticket.fields.get("outside") or {})
    due = [seq for seq, at in waiting.items() if at <= builder.now.isoformat()]
    for seq in due:
        effects.split(builder, int(seq), reason="nobody decided in time")


# -- staff ----------------------------------------------------------------------------------------------------------


def _staff_correspondence(builder: Builder, stimulus: Received) -> None:
    """An engineer's answer: commands run, the words go to requestor and Cc without our quoted notice."""
    person = _person(builder, stimulus)
    first, then = effects.in_turn(stimulus.parsed)
    lines = _run(builder, stimulus, person, first)
    went, met = "", ""
    if any(command.name == "comment" for command in stimulus.parsed.commands):
        _remark(builder, stimulus, person)
        went = "The other words of your mail stay among staff."
    else:
        text = public_words(stimulus.mail, stimulus.parsed, builder.house.site, _staff_parties(builder))
        if text.leak:
            # No yes lets internal words out: he may keep them as a comment, or write again without the quoted part.
            reason = f"they would show the customer something internal ({text.leak}). Write again without it, or keep them as a comment."
            _ask(builder, stimulus, person, reason, links=ASK_LINKS[1:], ran=True)
            went = "The other words of your mail were not sent; see the question about them."
        elif text.words or stimulus.mail.attachments:
            went = f"The other words of your mail were sent to {audience.named(builder.ticket.requestor)}."
            met = _publish(builder, stimulus, person, text.words)
            if met:
                went = f"{went} {met}: that answer went out after the mail that you answered."
    lines += _run(builder, stimulus, person, then)
    _join_staff(builder, stimulus, person)
    _receipt(builder, stimulus, person, effects.as_written(lines, (*first.commands, *then.commands)), went, anyway=bool(met))


def _staff_parties(builder: Builder) -> tuple[int, ...]:
    return tuple(one.party for one in builder.house.directory.people.values())


def _publish(builder: Builder, stimulus: Received, person: Person, text: str, *, reached: frozenset[str] | None = None) -> str:
    """Send an engineer's words to requestor and Cc; return with whose answer they crossed, "" for nobody's."""
    words = replace(words_of(stimulus), reply_text=text)
    met = crossing.crossed(builder, stimulus, person)
    told = crossing.told(*met, builder.house.site.timezone) if met else ""
    event = builder.say(
        EventKind.CORRESPONDENCE,
        actor=person.party,
        words=words,
        at=stimulus.at,
        facts={**_facts(stimulus), "by_staff": True, "after": builder.ticket.last_public_seq},
    )
    attachments = audience.refs(stimulus.mail.attachments, stimulus.raw_id)
    reached = _reached(stimulus) if reached is None else reached
    audience.to_customers(
        builder,
        event,
        "words",
        author=person.name,
        text=text,
        people=builder.customers(),
        attachments=attachments,
        reached=reached,
        report=True,
    )
    direct = not any(draft.event == event.seq and draft.report for draft in builder.drafts)
    builder.signal(signals.Answered(at=stimulus.at, event=event.seq, by=person.party))
    if direct:
        # The author's own mail reached everybody: there is no copy of ours whose fate could still be learnt.
        builder.signal(signals.Delivered(at=stimulus.at, event=event.seq))
    # After the answer, whose time may lie before that of a change decided now: an answer at the due instant is in time.
    if builder.ticket.status is Status.NEW:
        builder.status(Status.OPEN, actor=person.party, reason="answered")
    audience.to_staff(
        builder,
        event,
        "notice",
        who=person.name,
        author=person.name,
        text=text,
        people=tuple({one.key: one for one in (*builder.staff(), *met[:1])}.values()) if met else builder.staff(),
        attachments=attachments,
        flags=("A colleague's words; they went to the customer.", *((f"{told}: its author had not seen that answer.",) if told else ())),
        about_customer=False,
        reached=reached,
        but=(person.party,),
    )
    return told


def _comment(builder: Builder, stimulus: Received) -> None:
    person = _person(builder, stimulus)
    results = _run(builder, stimulus, person)
    if stimulus.parsed.words.strip() or stimulus.mail.attachments:
        _remark(builder, stimulus, person)
    if stimulus.verdict.ask and not stimulus.confirmed:
        _ask(builder, stimulus, person, stimulus.verdict.ask, links=ASK_LINKS[:1], ran=True)
    _join_staff(builder, stimulus, person)
    _receipt(builder, stimulus, person, results)


def _remark(builder: Builder, stimulus: Received, person: Person, *flags: str) -> None:
    words = replace(words_of(stimulus), reply_text=stimulus.parsed.words)
    event = builder.say(
        EventKind.COMMENT, actor=person.party, words=words, visibility=Visibility.INTERNAL, at=stimulus.at, facts=_facts(stimulus)
    )
    audience.to_staff(
        builder,
        event,
        "comment",
        who=person.name,
        author=person.name,
        text=words.reply_text,
        people=builder.staff(),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        flags=flags,
        about_customer=False,
        reached=_reached(stimulus),
        but=(person.party,),
    )


def _ask_first(builder: Builder, stimulus: Received) -> None:
    _ask(builder, stimulus, _person(builder, stimulus), stimulus.verdict.ask or stimulus.verdict.reason)


def _no_right(builder: Builder, stimulus: Received) -> None:
    person = _person(builder, stimulus)
    _remark(builder, stimulus, person, "its author may not answer in this queue; kept as a comment")
    audience.receipt(builder, person, [refused("(your words)", stimulus.verdict.reason)], answering=stimulus.mail.message_id)


def _ask(
    builder: Builder, stimulus: Received, person: Person, reason: str, *, links: tuple[Link, ...] = ASK_LINKS, ran: bool = False
) -> None:
    """Ask the author; `ran` tells that the commands of the mail were carried out already."""
    event = audience.ask_author(
        builder, person, reason=reason, text=stimulus.mail.reply_text, links=links, answering=stimulus.mail.message_id
    )
    builder.asks.append(
        Ask(
            kind="asked",
            person=person.party,
            reason=reason,
            spool_id=stimulus.spool_id,
            facts={"number": builder.ticket.number, "event": event.seq, "ran": ran},
        )
    )


def _run(builder: Builder, stimulus: Received, person: Person, parsed: Parsed | None = None) -> list[Line]:
    """Carry out the commands of the mail, or those of `parsed`. The receipt follows when all else is done: it shows the state after it."""
    if not stimulus.verdict.commands:
        return []
    strong = stimulus.verdict.sender.staff_proof.strong
    return effects.run(builder, person, parsed or stimulus.parsed, strong=strong, parties=stimulus.parties)


def _receipt(
    builder: Builder, stimulus: Received, person: Person, results: list[Line], words_went: str = "", *, anyway: bool = False
) -> None:
    if results or anyway:
        audience.receipt(builder, person, results, answering=stimulus.mail.message_id, words_went=words_went)


def _join_staff(builder: Builder, stimulus: Received, person: Person) -> None:
    if builder.ticket.owner != person.party:
        builder.join(person.party, Role.WATCHER, person.email, person.name, reason="wrote")
    _joins(builder, stimulus)


def _forward_new(builder: Builder, stimulus: Received) -> None:
    """A forwarded mail opens a request of the forwarded From; the engineer's words above it are a comment."""
    person = _person(builder, stimulus)
    forwarded = stimulus.mail.forwarded
    text = forwarded.text if forwarded else stimulus.mail.text
    subject = forwarded.subject if forwarded else stimulus.mail.subject
    requestor = stimulus.verdict.requestor or stimulus.verdict.sender.address
    words = Words(
        subject=subject,
        text=text,
        reply_text=text,
        raw_id=stimulus.raw_id,
        spool_id=stimulus.spool_id,
        person=stimulus.parties.get(address.key(requestor.spec), 0),
    )
    builder.ticket = replace(builder.ticket, subject=subject or builder.ticket.subject)
    ack = builder.policy.forward_ack
    _opened(builder, stimulus, requestor, words, forwarded.message_id if forwarded else "", ack == "yes")
    if stimulus.parsed.words.strip():
        _remark(builder, stimulus, person)
    if ack == "ask":
        audience.ask_author(
            builder,
            person,
            reason=f"shall {requestor.spec} be told of this request and its number?",
            text=text,
            links=(Link("tell the requestor", Action.CONFIRM_FORWARD),),
            answering=stimulus.mail.message_id,
        )
    _join_staff(builder, stimulus, person)


def _forward_on_request(builder: Builder, stimulus: Received) -> None:
    person = _person(builder, stimulus)
    forwarded = stimulus.mail.forwarded
    results = _run(builder, stimulus, person)
    sender = forwarded.sender if forwarded else None
    words = Words(
        subject=forwarded.subject if forwarded else stimulus.mail.subject,
        text=forwarded.text if forwarded else stimulus.mail.text,
        reply_text=forwarded.text if forwarded else stimulus.mail.text,
        raw_id=stimulus.raw_id,
        spool_id=stimulus.spool_id,
        person=stimulus.parties.get(address.key(sender.spec), 0) if sender else 0,
    )
    event = builder.say(
        EventKind.FORWARDED, actor=person.party, words=words, visibility=Visibility.INTERNAL, at=stimulus.at, facts=_facts(stimulus)
    )
    audience.to_staff(
        builder,
        event,
        "comment",
        who=person.name,
        author=person.name,
        text=words.text,
        people=builder.staff(),
        about_customer=False,
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        but=(person.party,),
        flags=(f"A forwarded mail, written by {_shown(sender) if sender else 'somebody unknown'}; nothing proves that.",),
    )
    if stimulus.parsed.words.strip():
        _remark(builder, stimulus, person)
    _join_staff(builder, stimulus, person)
    _receipt(builder, stimulus, person, results)


def _on_behalf(builder: Builder, stimulus: Received) -> None:
    """An engineer wrote to a customer with us in Cc: that mail is the first correspondence; the number goes to all."""
    person = _person(builder, stimulus)
    requestor = stimulus.verdict.requestor or stimulus.verdict.sender.address
    words = words_of(stimulus)
    event = builder.add(
        EventKind.OPENED,
        visibility=Visibility.PUBLIC,
        actor=person.party,
        facts={**_facts(stimulus), "on_behalf": True},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    builder.join(
        stimulus.parties.get(address.key(requestor.spec), 0), Role.REQUESTOR, requestor.spec, requestor.name, reason=stimulus.verdict.rule
    )
    _join_staff(builder, stimulus, person)
    builder.signal(signals.Opened(at=stimulus.at, event=event.seq, acknowledge=False))
    builder.add(
        EventKind.CORRESPONDENCE,
        visibility=Visibility.PUBLIC,
        actor=person.party,
        words=words,
        at=stimulus.at,
        facts={"by_staff": True, "direct": True},
        message_id=stimulus.mail.message_id,
    )
    first = builder.ticket.events
    builder.status(Status.OPEN, actor=person.party, reason="answered")
    builder.signal(signals.Answered(at=stimulus.at, event=first, by=person.party))
    builder.signal(signals.Delivered(at=stimulus.at, event=first))
    numbered = builder.add(EventKind.ACKNOWLEDGED, visibility=Visibility.PUBLIC, facts={"to": "all"})
    for participant in builder.customers():
        builder.drafts.append(
            Draft(
                template="numbered",
                to=audience.participant_recipient(participant),
                visibility=Visibility.PUBLIC,
                subject=builder.ticket.subject,
                queue=builder.ticket.queue,
                number=builder.ticket.number,
                event=numbered.seq,
                facts={"engineer": person.name},
                in_reply_to=stimulus.mail.message_id,
                references=builder.ticket.thread,
                auto=Auto.GENERATED,
                suppress=Suppress.ALL,
                reply_to=ReplyTo.CUSTOMER,
            )
        )
    audience.to_staff(
        builder,
        event,
        "opened",
        who=_shown(requestor),
        author=person.name,
        text=words.text,
        people=builder.staff(all_of_queue=True),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        reached=_reached(stimulus),
        flags=(f"{person.name} wrote to the customer; this is that mail.",),
        about_customer=False,
        facts=_opening(builder, event),
    )


def _staff_to_us(builder: Builder, stimulus: Received) -> None:
    """To us alone about no request: what is left after commands opens a request on which the engineer is a customer."""
    _opened(
        builder,
        stimulus,
        stimulus.verdict.requestor or stimulus.verdict.sender.address,
        words_of(stimulus),
        stimulus.mail.message_id,
        stimulus.answerable,
    )
    person = _person(builder, stimulus)
    _receipt(builder, stimulus, person, _run(builder, stimulus, person))


def _action(builder: Builder, stimulus: Received) -> None:
    """A signed action address used by its person: the action is a command, words beside it are a comment."""
    verdict = stimulus.verdict
    assert verdict.detail is not None
    action = verdict.detail.action
    if not verdict.sender.staff:
        consent.act(builder, action, _party(stimulus, verdict.sender), words_of(stimulus), stimulus)
        return
    person = _person(builder, stimulus)
    results = effects.act(builder, person, action, stimulus.parsed, strong=verdict.sender.staff_proof.strong, parties=stimulus.parties)
    audience.receipt(builder, person, results, answering=stimulus.mail.message_id)


def _action_needs_proof(builder: Builder, stimulus: Received) -> None:
    person = _person(builder, stimulus)
    word = stimulus.verdict.detail.action.name.lower() if stimulus.verdict.detail else ""
    audience.receipt(builder, person, [refused(word, stimulus.verdict.reason)], answering=stimulus.mail.message_id)


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


# -- robots ---------------------------------------------------------------------------------------------------------


def _auto_reply(builder: Builder, stimulus: Received) -> None:
    """Recorded, and nothing else: it opens, reopens, answers, moves nothing (promise 8); an absence of staff adds the deputy."""
    words = words_of(stimulus)
    builder.add(
        EventKind.AUTO_REPLY, actor=words.person, facts=_facts(stimulus), words=words, message_id=stimulus.mail.message_id, at=stimulus.at
    )
    returned = stimulus.came_back
    if returned is None or builder.house.directory.by_party(returned.person) is None:
        return
    builder.absences.append(AbsenceChange(returned.person, Absence(builder.now + SEEN_FOR, declared=False)))
    if returned.template in delivery.LADDER_TEMPLATES:
        delivery.untold(builder, returned.about, returned.person)


def _bounce(builder: Builder, stimulus: Received) -> None:
    bounce = stimulus.mail.bounce
    builder.add(
        EventKind.BOUNCE,
        words=words_of(stimulus),
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
        facts={
            **_facts(stimulus),
            "outbox": stimulus.verdict.outbox_id,
            "status": bounce.status if bounce else "",
            "temporary": bounce.temporary if bounce else False,
        },
    )


HANDLERS: dict[Result, Callable[[Builder, Received], None]] = {
    Result.NEW_REQUEST: _open,
    Result.NEW_LINKED: _open,
    Result.CONTINUES: _open,
    Result.CORRESPONDENCE: _correspondence,
    Result.UNVERIFIED: _unverified,
    Result.COLLEAGUE_JOINS: _colleague,
    Result.OUTSIDE: _outside,
    Result.STAFF_CORRESPONDENCE: _staff_correspondence,
    Result.STAFF_COMMENT: _comment,
    Result.STAFF_BOTH_ADDRESSES: _comment,
    Result.STAFF_ASK_FIRST: _ask_first,
    Result.STAFF_NO_RIGHT: _no_right,
    Result.STAFF_TO_US: _staff_to_us,
    Result.STAFF_FORWARD_NEW: _forward_new,
    Result.STAFF_FORWARD_ON_REQUEST: _forward_on_request,
    Result.STAFF_ON_BEHALF: _on_behalf,
    Result.ACTION: _action,
    Result.ACTION_NEEDS_PROOF: _action_needs_proof,
    Result.AUTO_REPLY: _auto_reply,
    Result.REPORT: _auto_reply,
    Result.BOUNCE: _bounce,
}
"""Results that concern a ticket; the others (held, junk, loop, admin) end in the engine without one."""
