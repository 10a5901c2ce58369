"""What a judged mail says about itself, in the forms that events and staff copies need: words, people, flags."""

from __future__ import annotations

from rtmail.desk.commanded import accepting
from rtmail.desk.decision import Builder, Words
from rtmail.desk.judging.sender import Sender
from rtmail.desk.people import Person, listed
from rtmail.desk.received import oversize, private
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Role
from rtmail.mail import address
from rtmail.mail.model import Address
from rtmail.mail.reading.outline import tags
from rtmail.mail.writing.compose import NO_SUBJECT, bare_subject


def words_of(stimulus: Received) -> Words:
    mail = stimulus.mail
    return Words(
        subject=mail.subject,
        text=mail.text,
        reply_text=mail.reply_text,
        raw_id=stimulus.raw_id,
        spool_id=stimulus.spool_id,
        person=party_of(stimulus, stimulus.verdict.sender),
    )


def party_of(stimulus: Received, sender: Sender) -> int:
    return sender.party or stimulus.parties.get(address.key(sender.address.spec), 0)


def staff_author(builder: Builder, stimulus: Received) -> Person:
    return builder.house.directory.people[stimulus.verdict.sender.staff]


def author_name(sender: Sender) -> str:
    return sender.address.name or sender.address.spec


def shown(one: Address) -> str:
    return one.shown or "somebody unnamed"


def who(stimulus: Received) -> str:
    return shown(stimulus.verdict.sender.address)


def title_of(builder: Builder, subject: str) -> str:
    """Return the subject that its writer gave an answer, "" where it is the request's or ours: it may say what no word below does."""
    site = builder.house.site
    given, known = (bare_subject(one, site) for one in (subject, builder.ticket.subject))
    # What stands before it is mostly a mail system's ("[EXTERNAL]"); a client may have cut its end.
    same = given.casefold().endswith(known.casefold()) or known.casefold().startswith(given.casefold())
    return "" if same or given in (NO_SUBJECT, private.NO_SUBJECT) or tags(subject, site) else given


def reached_by(stimulus: Received) -> frozenset[str]:
    """Addresses that the author's own mail went to, and the others of the same people."""
    return stimulus.reached | frozenset(address.key(one.spec) for one in (*stimulus.mail.to, *stimulus.mail.cc))


def flags_of(builder: Builder, stimulus: Received, *first: str) -> tuple[str, ...]:
    verdict, mail = stimulus.verdict, stimulus.mail
    notes = list(first)
    if verdict.sender.by_reply_to and not listed(mail.sender.spec, builder.house.site.forms):
        notes.append(f"Written by {mail.sender.shown}, who asks for answers to this address.")
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
    if stimulus.leak:
        notes.append(f"Not passed on to the other participants: it holds something internal ({stimulus.leak}).")
    if verdict.other_queues:
        notes.append("Also sent to: " + ", ".join(verdict.other_queues))
    notes += oversize.flags(stimulus.cut)
    if mail.defects:
        notes.append("Could not be read whole: " + "; ".join(mail.defects[:3]))
    notes += private.flags(stimulus.private)
    return tuple(notes)


def facts_of(stimulus: Received) -> dict[str, object]:
    facts: dict[str, object] = {"rule": stimulus.verdict.rule, "spool": stimulus.spool_id, "kind": str(stimulus.mail.kind)}
    if stimulus.flagged:
        facts["flagged"] = True
    return facts


def asks(builder: Builder, stimulus: Received) -> None:
    """Note who stood in Cc and joins by a word of staff only."""
    accepting.ask(builder, (stimulus.parties.get(address.key(one.spec), 0) for one in stimulus.verdict.ask_accept))


def joins(builder: Builder, stimulus: Received) -> None:
    for one in stimulus.verdict.joins:
        person = stimulus.parties.get(address.key(one.spec), 0)
        requestor = builder.ticket.requestor
        if person and not (requestor and requestor.person == person):
            builder.join(person, Role.CC, one.spec, one.name, reason=stimulus.verdict.rule)
    asks(builder, stimulus)
