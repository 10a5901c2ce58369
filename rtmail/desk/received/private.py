"""Private data in what people send: the content waits, everything else goes on; and what the people with that right make of it.

A withheld mail is an event as ever, with number, acknowledgement and clocks; its subject and words are blank until somebody with the
right "privacy" releases, redacts or erases them. The engine reads the mail again then and hands in its words as `LetGo`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rtmail.desk import audience
from rtmail.desk.decision import Ask, Builder, Deed
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import PRIVACY, Person, serves
from rtmail.desk.stimulus import LetGo, Private, Received
from rtmail.desk.ticket import EventKind
from rtmail.mail.model import Kind, Mail
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, ReplyTo, Suppress, Visibility

HOLD = "private"
"""The kind of hold that keeps the content of such a mail."""
WITHHELD = "withheld"
"""The field that names events whose content waits: event -> spool id of the mail."""
NO_SUBJECT = "(content withheld)"
"""Stands for the subject of a mail whose content waits, or was not kept."""
LINKS = (Link("redact", Action.REDACT), Link("release", Action.RELEASE), Link("erase", Action.ERASE))


def blanked(mail: Mail) -> Mail:
    """Return a mail without anything that somebody wrote in it."""
    forwarded = mail.forwarded and replace(mail.forwarded, subject=NO_SUBJECT, text="")
    return replace(mail, subject=NO_SUBJECT, text="", reply_text="", other_text="", attachments=(), enclosed="", written="", marks=(),
                   defects=(), headers={}, forwarded=forwarded)


def flags(private: Private | None) -> tuple[str, ...]:
    """Return what staff must know of the words of such a mail."""
    if private is None:
        return ()
    what = listed(private.sorts)
    if private.mode == "hold":
        return (f"It seems to hold {what}: subject and words wait for somebody with the right to see them.",)
    if private.mode == "discard":
        return (f"It seemed to hold {what}, so subject and words were not kept. The sender is told how to send them without.",)
    return (f"It seems to hold {what}. Do not pass it on; `redact` removes it (who has the right privacy).",)


def listed(sorts: tuple[str, ...]) -> str:
    """Return the sorts as they stand in a sentence: "a card number and a password"."""
    named = [f"a {sort}" for sort in sorts]
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def follow(builder: Builder, stimulus: Received) -> None:
    """What follows besides the event itself: the content waits, whoever may decide is asked, and the sender is told."""
    private = stimulus.private
    said = next((entry.event for entry in builder.entries if entry.words and entry.words.spool_id == stimulus.spool_id), None)
    if private is None or not private.withholds or said is None:
        return
    event = builder.add(EventKind.HELD, facts={"of": said.seq, "reason": listed(private.sorts), "mode": private.mode})
    if private.mode == "hold":
        builder.note(WITHHELD, {**waiting(builder), str(said.seq): stimulus.spool_id})
        builder.asks.append(
            Ask(
                kind=HOLD,
                person=0,
                reason=listed(private.sorts),
                spool_id=stimulus.spool_id,
                facts={
                    "number": builder.ticket.number,
                    "event": event.seq,
                    "of": said.seq,
                    "queue": builder.ticket.queue,
                    "passed_on": stimulus.verdict.passed_on,
                    "forwarded": stimulus.mail.forwarded is not None and bool(stimulus.verdict.sender.staff),
                },
            )
        )
        for person in privileged(builder):
            builder.drafts.append(_notice(builder, event.seq, person, stimulus, private))
    if may_tell(stimulus):
        facts = {"sorts": list(private.sorts), "kept": private.mode == "hold"}
        audience.to_writer(builder, stimulus, event.seq, "private-told", facts)


def waiting(builder: Builder) -> dict[str, int]:
    """Return the events whose content waits, with the spool ids of their mails."""
    return dict(builder.ticket.fields.get(WITHHELD) or {})


def privileged(builder: Builder) -> tuple[Person, ...]:
    """Return who may see what is withheld in the request's queue."""
    people = builder.house.directory.people.values()
    return tuple(one for one in people if PRIVACY in one.rights and serves(one, builder.ticket.queue))


def may_tell(stimulus: Received) -> bool:
    """Tell whether the sender may get an automatic answer: a person, whom no check disowned and no cap stops."""
    mail, sender = stimulus.mail, stimulus.verdict.sender
    taking_part = sender.role is not None or stimulus.answerable
    return (mail.kind is Kind.REQUEST_OR_REPLY and mail.answerable and taking_part and not sender.staff and not stimulus.withheld
            and not stimulus.verdict.stops_closing and bool(sender.address.spec))


def _notice(builder: Builder, event: int, person: Person, stimulus: Received, private: Private) -> Draft:
    sender = stimulus.verdict.sender.address
    return Draft(
        template="private",
        to=audience.staff_recipient(person),
        visibility=Visibility.INTERNAL,
        subject=builder.ticket.subject,
        queue=builder.ticket.queue,
        number=builder.ticket.number,
        event=event,
        facts={"who": sender.shown, "at": stimulus.at, "what": listed(private.sorts),
               "title": private.subject, "text": private.text},
        links=LINKS,
        auto=Auto.GENERATED,
        suppress=Suppress.ABSENCES,
        reply_to=ReplyTo.COMMENT,
        headers=audience.staff_headers(builder),
        urgency=0,
    )


def settle(builder: Builder, word: str, value: str, person: Person) -> str:
    """Note what shall become of private content; the engine carries it out. `value` names an event, "" for all. Raises CannotDo."""
    held = waiting(builder)
    seq = int(value.strip().lstrip("#")) if value else 0
    if seq > builder.ticket.events:
        raise CannotDo(f"this request has no event {seq}", "history")
    chosen = {key: spool_id for key, spool_id in held.items() if not seq or int(key) == seq}
    if word == "release" and not chosen:
        raise CannotDo("no content waits on this request" + (f" at event {seq}" if seq else ""))
    if word == "erase" and not chosen and not seq:
        raise CannotDo("no content waits on this request; to erase words that were let through, name their event", "erase 1")
    if chosen:
        builder.note(WITHHELD, {key: spool_id for key, spool_id in held.items() if key not in chosen})
        builder.deeds += [Deed(word, int(key), spool_id, person.party) for key, spool_id in chosen.items()]
        if word == "redact" and not seq:
            # Who quoted it since, or sent it once more, has it in his mail.
            builder.deeds.append(Deed(word, 0, 0, person.party))
    else:
        builder.deeds.append(Deed(word, seq, 0, person.party))
    for key in chosen or {str(seq): 0}:
        builder.add(EventKind.RELEASED, actor=person.party, facts={"of": int(key), "how": word, "reason": _SAID[word]})
    return _SAID[word] + ("" if chosen or seq else ", in all its mails")


_SAID: Mapping[str, str] = {
    "release": "the content is let through", "redact": "what seemed private is taken out", "erase": "the content is erased",
}


def let_go(builder: Builder, stimulus: LetGo, noted: tuple[str, ...] = (), title: str = "") -> None:
    """Words that waited are there: their request gets its subject, staff and the other participants get the words.

    noted  what they filled in on the request
    title  the subject that an answer has of its own, its words where it has no others
    """
    words = stimulus.words
    said = _SAID[stimulus.word]
    event = builder.add(EventKind.RELEASED, actor=stimulus.by, facts={"of": stimulus.of, "how": stimulus.word, "reason": said})
    if builder.ticket.subject == NO_SUBJECT and words.subject:
        builder.rename(words.subject)
        title = ""
    attachments = audience.refs(stimulus.attachments, words.raw_id)
    text = words.reply_text if words.reply_text.strip() else title
    directory = builder.house.directory
    by = directory.by_party(stimulus.by)
    if (text.strip() or attachments) and stimulus.passed_on and builder.house.queue(builder.ticket.queue).pass_on:
        audience.to_customers(
            builder, event, audience.RELAYED, author=stimulus.author, text=text,
            people=tuple(one for one in builder.customers() if one.person != words.person), attachments=attachments,
            reached=stimulus.reached,
        )  # fmt: skip
    audience.to_staff(
        builder, event, "notice", who=stimulus.who, author=stimulus.author, text=words.reply_text,
        people=builder.staff(), attachments=attachments,
        flags=(f"{said.capitalize()} by {by.name if by else 'the admin'}; it came in before.", *noted), facts={"title": title},
    )  # fmt: skip
