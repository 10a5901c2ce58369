"""What customers' words do on a request: those of participants, colleagues, people who prove nothing, and strangers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rtmail.desk import audience, notes
from rtmail.desk.commanded import accepting, effects, muting
from rtmail.desk.decision import Builder
from rtmail.desk.fields import filling
from rtmail.desk.grammar.queries import asked_by_participant
from rtmail.desk.judging import thanks
from rtmail.desk.judging.match import Result
from rtmail.desk.promised import awaiting, closing, consent
from rtmail.desk.received import arrival, inquiry
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Event, EventKind, Role, Status
from rtmail.mail.model import Kind
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, Recipient, Visibility
from rtmail.policy import signals
from rtmail.policy.duration import Duration

OUTSIDE_LINKS = (Link("accept", Action.ACCEPT), Link("split", Action.SPLIT))


OUTSIDE_AT_MOST = Duration.parse("1bd")
"""A stranger's words wait so long at most for a word of staff before they become their own request (DESIGN 5)."""


def correspondence(builder: Builder, stimulus: Received) -> None:
    verdict = stimulus.verdict
    words = arrival.words_of(stimulus)
    if verdict.result is Result.CORRESPONDENCE and not verdict.sender.staff and asked_by_participant(stimulus.parsed, stimulus.mail):
        inquiry.ask(builder, stimulus, stimulus.parsed.commands)
        return
    action = None
    if verdict.result is Result.CORRESPONDENCE and not verdict.sender.staff:
        person = words.person
        action = consent.lone_word(builder, stimulus, person) or muting.lone_word(builder, stimulus, person)
        action = action or consent.affirmed(builder, stimulus, person)
    if action is not None:
        consent.act(builder, action, words.person, words, stimulus)
        return
    title = arrival.title_of(builder, stimulus.mail.subject)
    if not words.reply_text.strip():
        words = replace(words, reply_text=title)
    event = builder.add(
        EventKind.CORRESPONDENCE,
        visibility=Visibility.PUBLIC,
        actor=words.person,
        facts={**arrival.facts_of(stimulus), **_manner(builder, stimulus)},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    arrival.joins(builder, stimulus)
    told = _stirred(builder, stimulus, event)
    trusted = verdict.passed_on and verdict.result is Result.CORRESPONDENCE and consent.is_requestor(builder, words.person)
    heard = consent.heard(builder, stimulus, event, trusted=trusted)
    heard = (*heard, *filling.heard(builder, stimulus, event, trusted=_fills_in(stimulus, event)))
    heard = (*heard, *awaiting.heard(builder, stimulus, words.person, trusted=trusted and not event.facts.get("thanks")))
    attachments = audience.refs(stimulus.mail.attachments, stimulus.raw_id)
    says = bool(words.reply_text.strip() or attachments)
    if says and verdict.passed_on and not stimulus.leak and builder.house.queue(builder.ticket.queue).pass_on:
        others = tuple(p for p in builder.customers() if p.person != words.person)
        audience.to_customers(
            builder,
            event,
            "relayed",
            author=arrival.author_name(verdict.sender),
            text=words.reply_text,
            people=others,
            attachments=attachments,
            reached=arrival.reached_by(stimulus),
            answering=stimulus.mail.message_id,
        )
    joined = ("A colleague of the requestor, new on this request.",) if verdict.result is Result.COLLEAGUE_JOINS else ()
    audience.to_staff(
        builder,
        event,
        "notice",
        who=arrival.who(stimulus),
        author=arrival.author_name(verdict.sender),
        text=stimulus.mail.reply_text,
        people=builder.staff(),
        attachments=attachments,
        flags=arrival.flags_of(builder, stimulus, *joined, *told, *heard),
        links=_links(builder, stimulus),
        human=stimulus.mail.kind is not Kind.MACHINE,
        reached=arrival.reached_by(stimulus),
        but=(words.person,),
        facts={"joined": [one.spec for one in verdict.joins], "title": title},
    )
    filling.ask_again(builder, stimulus, event)


def _fills_in(stimulus: Received, event: Event) -> bool:
    """Tell whether what this mail fills in counts: somebody of the customer's side wrote it, himself."""
    return stimulus.mail.kind is Kind.REQUEST_OR_REPLY and not event.facts.get("doubtful") and not stimulus.verdict.sender.staff


def colleague(builder: Builder, stimulus: Received) -> None:
    sender = stimulus.verdict.sender
    builder.join(arrival.party_of(stimulus, sender), Role.CC, sender.address.spec, sender.address.name, reason=stimulus.verdict.rule)
    correspondence(builder, stimulus)


def _manner(builder: Builder, stimulus: Received) -> dict[str, object]:
    """What kind of words of the customer's side these are, for the event's facts: `thanks`, `doubtful`, or neither.

    Doubtful words reopen nothing and move no clock; a short thanks to a request that rests does not either, nor does a bare yes to the
    question whether it is solved, which approves where nothing else was asked (`consent.affirmed`).
    """
    if not stimulus.verdict.reopens:
        return {"doubtful": True}
    names = (*builder.names(), stimulus.verdict.sender.address.name)
    resting = builder.ticket.status in (Status.RESOLVED, Status.CLOSED)
    thanked = resting and thanks.read(stimulus.mail, builder.policy.thanks, names).thanks
    return {"thanks": True} if thanked or (resting and consent.says_yes(builder, stimulus)) else {}


def _stirred(builder: Builder, stimulus: Received, event: Event) -> tuple[str, ...]:
    """A customer's words set a resting request going again, where the sender table lets them; return what staff must know of it."""
    status = builder.ticket.status
    ended = status in (Status.CLOSED, Status.REJECTED)
    if stimulus.verdict.stops_closing:
        closing.hold(builder, stimulus.at, event.seq)
        awaiting.hold(builder)
    if event.facts.get("doubtful"):
        return (closing.HELD,) if stimulus.verdict.stops_closing and status is Status.RESOLVED else ()
    if event.facts.get("thanks"):
        builder.signal(signals.CustomerWrote(at=stimulus.at, thanks=True, event=event.seq))
        at = closing.closes_at(builder)
        closes = f", and closes by itself on {notes.shown_near(at, builder.zone)}" if at else ""
        return (f"A short thanks: the request stays {status}{closes}.",)
    if ended:
        builder.signal(signals.ReopenedAfterClosed(at=stimulus.at, event=event.seq))
    else:
        builder.signal(signals.CustomerWrote(at=stimulus.at, event=event.seq))
    if ended or status in (Status.WAITING, Status.RESOLVED):
        builder.status(Status.OPEN, actor=event.actor, reason="customer wrote")
    return (f"It was {status}; it is open again.",) if ended or status is Status.RESOLVED else ()


def _links(builder: Builder, stimulus: Received) -> tuple[Link, ...]:
    """What staff can do about a customer's words by one click."""
    resting = builder.ticket.status in (Status.RESOLVED, Status.CLOSED)
    asked = accepting.LINKS if stimulus.verdict.ask_accept else ()
    return (*audience.STAFF_LINKS, *asked, *(closing.REOPEN if resting else ()))


def unverified(builder: Builder, stimulus: Received) -> None:
    words = arrival.words_of(stimulus)
    event = builder.add(
        EventKind.UNVERIFIED,
        actor=words.person,
        facts={**arrival.facts_of(stimulus), **_manner(builder, stimulus)},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    arrival.asks(builder, stimulus)
    told = _stirred(builder, stimulus, event)
    heard = (*consent.heard(builder, stimulus, event, trusted=False), *filling.heard(builder, stimulus, event, trusted=False))
    audience.to_staff(
        builder,
        event,
        "notice",
        who=arrival.who(stimulus),
        author=arrival.author_name(stimulus.verdict.sender),
        text=words.reply_text,
        people=builder.staff(),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        reached=arrival.reached_by(stimulus),
        links=_links(builder, stimulus),
        facts={"title": arrival.title_of(builder, stimulus.mail.subject)},
        flags=arrival.flags_of(
            builder,
            stimulus, "Unverified: nothing proves that this person wrote it; it was passed on to nobody.", *told, *heard
        ),
    )


def outside(builder: Builder, stimulus: Received) -> None:
    """A stranger's words on somebody's request: staff decide; unanswered they become their own request."""
    words = arrival.words_of(stimulus)
    event = builder.add(
        EventKind.OUTSIDE,
        actor=words.person,
        facts={**arrival.facts_of(stimulus), **({} if stimulus.answerable else {"answerable": False})},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    waiting = dict(builder.ticket.fields.get("outside") or {})
    waiting[str(event.seq)] = _decided_by(builder).isoformat()
    builder.note("outside", waiting)
    builder.note("outside_people", {**(builder.ticket.fields.get("outside_people") or {}), str(event.seq): words.person})
    audience.to_staff(
        builder,
        event,
        "notice",
        who=arrival.who(stimulus),
        author=arrival.author_name(stimulus.verdict.sender),
        text=words.text,
        people=builder.staff(),
        links=OUTSIDE_LINKS,
        about_customer=False,
        facts={"title": arrival.title_of(builder, stimulus.mail.subject)},
        flags=arrival.flags_of(builder, stimulus, "From outside: no participant of this request; nothing of it was shown to him."),
    )
    if stimulus.answerable:
        sender = stimulus.verdict.sender.address
        builder.drafts.append(
            Draft(
                template="received",
                to=Recipient(0, sender.spec, sender.name, staff=False, language=stimulus.mail.language),
                visibility=Visibility.PUBLIC,
                subject=stimulus.mail.subject,
                queue=builder.ticket.queue,
                number=0,
                event=stimulus.spool_id,
                in_reply_to=stimulus.mail.message_id,
                references=(stimulus.mail.message_id,) if stimulus.mail.message_id else (),
                auto=Auto.REPLIED,
                null_sender=not stimulus.verdict.sender.authenticated,
            )
        )


def confirmed_alias(builder: Builder, stimulus: Received) -> None:
    """A participant says by his link that the address which he was asked about is his own; staff hear of it, once."""
    words = arrival.words_of(stimulus)
    event = builder.add(
        EventKind.COMMAND,
        visibility=Visibility.PUBLIC,
        actor=words.person,
        facts={"action": "confirm-alias"},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    other = accepting.confirm_alias(builder, words.person)
    if other:
        shown = stimulus.known.people.get(other)
        audience.tell_state(builder, event, words.person, "Also writes from", "", shown.spec if shown else "another address")


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
