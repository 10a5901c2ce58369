"""Letting people take part by a word of staff: a writer from outside, Cc's that nobody vouched for, a participant's other address.

What waits stands in three fields of the request: `outside` (event -> when it splits off by itself) with `outside_people`
(event -> party id of its writer), `asked_cc` (party ids), and `alias` (party id of the person asked -> party id of the address
that he may confirm as his).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.known import ASKED_CC, OUTSIDE, WRITERS, waiting
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.ticket import EventKind, Participant, Role
from rtmail.mail import address
from rtmail.mail.model import Address
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, ReplyTo, Visibility

ALIAS = "alias"
LINKS = (Link("accept", Action.ACCEPT),)
_MOST_WAITING = 200
"""So many Cc's of one request wait for a word at most; whoever stands in a longer list has to be named by staff."""


def ask(builder: Builder, people: Iterable[int]) -> None:
    """Note Cc's (party ids) that join by a word of staff only."""
    known = tuple(builder.ticket.fields.get(ASKED_CC) or ())
    taking_part = {one.person for one in builder.ticket.people(Role.REQUESTOR, Role.CC)}
    asked = tuple(dict.fromkeys((*known, *(party for party in people if party and party not in taking_part))))[:_MOST_WAITING]
    if asked != known:
        builder.note(ASKED_CC, list(asked))


def accept(builder: Builder, value: str, by: Person, parties: Mapping[str, int], people: Mapping[int, Address]) -> str:
    """Carry out `accept`, `accept zoe@far.example` or `accept as bob@acme.example`; return what happened, in words.

    parties  address key -> party id of the addresses that the command names
    people   who waits, by party id
    Raises CannotDo.
    """
    named = value.removeprefix("as ").strip()
    if named != value.strip():
        return _ask_for_alias(builder, parties.get(address.key(named), 0), named, people)
    ticket = builder.ticket
    seq = max(ticket.fields.get(OUTSIDE) or {}, key=int, default="")
    writer = int((ticket.fields.get(WRITERS) or {}).get(seq, 0))
    if named:
        chosen = [parties.get(address.key(named), 0)]
        if chosen[0] not in waiting(ticket):
            raise CannotDo(f"{named} does not wait for a word on this request", f"AddCc: {named}")
    elif seq and not writer:
        raise CannotDo("who wrote from outside gave no address that could be written to", "split")
    else:
        chosen = [writer] if seq else [party for party in waiting(ticket) if party in people]
    if not chosen:
        raise CannotDo("nobody waits for a word on this request")
    for party in chosen:
        one = people.get(party) or Address("", "")
        builder.join(party, Role.CC, one.spec, one.name, actor=by.party, reason="accepted by staff")
    _decided(builder, chosen)
    shown = ", ".join(people[party].spec for party in chosen if party in people) or "the writer"
    return f"{shown} {'is' if len(chosen) == 1 else 'are'} in Cc of this request from now on"


def confirm_alias(builder: Builder, person: int) -> int:
    """A participant confirmed by his link that the address which he was asked about is his; return its party id, 0 for none asked."""
    asked = dict(builder.ticket.fields.get(ALIAS) or {})
    other = int(asked.pop(str(person), 0))
    if not other:
        return 0
    builder.note(ALIAS, asked)
    builder.adoptions.append((person, other))
    _decided(builder, [other])
    return other


def _ask_for_alias(builder: Builder, person: int, named: str, people: Mapping[int, Address]) -> str:
    """The latest writer from outside may be a participant under another address: only that participant can say so."""
    ticket = builder.ticket
    known = next((one for one in ticket.people(Role.REQUESTOR, Role.CC) if person and one.person == person and one.address), None)
    if known is None:
        raise CannotDo(f"{named} takes no part in this request, so nobody there can be asked", "accept")
    writers = ticket.fields.get(WRITERS) or {}
    other = next((int(writers.get(seq, 0)) for seq in sorted(ticket.fields.get(OUTSIDE) or {}, key=int, reverse=True)), 0)
    if other not in people:
        raise CannotDo("nobody with an address wrote from outside")
    builder.note(ALIAS, {**(ticket.fields.get(ALIAS) or {}), str(person): other})
    _draft(builder, known, people[other].spec)
    return f"{known.address} is asked whether {people[other].spec} is another address of his"


def _draft(builder: Builder, known: Participant, spec: str) -> None:
    event = builder.add(EventKind.ASKED, actor=known.person, facts={"reason": "alias"})
    ticket = builder.ticket
    builder.drafts.append(
        Draft(
            template="alias",
            to=audience.participant_recipient(known),
            visibility=Visibility.PUBLIC,
            subject=ticket.subject,
            queue=ticket.queue,
            number=ticket.number,
            event=event.seq,
            links=(Link("confirm", Action.CONFIRM_ALIAS),),
            auto=Auto.GENERATED,
            reply_to=ReplyTo.CUSTOMER,
            in_reply_to=ticket.thread[-1] if ticket.thread else "",
            references=ticket.thread,
            facts={"asked_about": spec},
        )
    )


def _decided(builder: Builder, people: Iterable[int]) -> None:
    """Take people off the lists of those who wait."""
    gone, fields = set(people), builder.ticket.fields
    asked = [party for party in fields.get(ASKED_CC) or () if party not in gone]
    if len(asked) != len(fields.get(ASKED_CC) or ()):
        builder.note(ASKED_CC, asked)
    writers = fields.get(WRITERS) or {}
    outside = {seq: at for seq, at in (fields.get(OUTSIDE) or {}).items() if int(writers.get(seq, 0)) not in gone}
    if len(outside) != len(fields.get(OUTSIDE) or {}):
        builder.note(OUTSIDE, outside)
