"""Handing a request over to another tier: what has to be there first, who gets it, and that the customer notices nothing of it.

Its clocks go on. The customer goes on reading one sender: mails to him come from the queue to which he wrote.
"""

from __future__ import annotations

from rtmail.desk import audience
from rtmail.desk.decision import Builder, Words
from rtmail.desk.fields import filled
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.ticket import VOICE, EventKind, Role, Status
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility
from rtmail.policy.terms import HandOver

TEMPLATE = "handed-over"
_LINKS = (*audience.STAFF_LINKS, Link("show", Action.SHOW))


def hand_over(builder: Builder, value: str, person: Person) -> str:
    """Hand the request over to the tier that `value` names; what stands behind its name is what was found. Raises CannotDo."""
    directory, ticket = builder.house.directory, builder.ticket
    name, _, found = value.strip().partition(" ")
    name, found = name.rstrip(":,;-"), found.strip(" :,;-")
    tier = _named(builder, name)
    if ticket.status not in (Status.NEW, Status.OPEN, Status.WAITING):
        raise CannotDo(f"the request is {ticket.status}", "reopen")
    queue = tier.queue or ticket.queue
    new = directory.reached(tier.role, builder.house.away(builder.now)) if tier.role else None
    if queue == ticket.queue and (new is None or ticket.owner == new.party):
        raise CannotDo("it is there already")
    lacks = filled.lacking(builder.policy, ticket, tier.needs)
    missing = [filled.asks_for(lacks)] if lacks else []
    if len(found.split()) < tier.words:
        missing.append(f"what you found, in {tier.words} words or more behind `hand over {tier.name}`")
    if missing:
        instead = filled.example(lacks[0]) if lacks else f"hand over {tier.name}: it happens with every file above 2 GB"
        raise CannotDo(f"{tier.name} needs to know first: {'; '.join(missing)}", instead)
    return _handed(builder, tier, queue, new, found, person)


def _named(builder: Builder, name: str) -> HandOver:
    tiers = builder.policy.hand_over
    wanted = name.lower()
    chosen = [one for one in tiers.values() if one.name.lower() == wanted] or [
        one for one in tiers.values() if wanted and wanted in (one.queue.lower(), one.role.lower())
    ]
    if not chosen:
        known = ", ".join(tiers) or "none"
        instead = f"hand over {next(iter(tiers), 'tier2')}: what you found"
        raise CannotDo(f"there is nobody {name} to hand over to; there are {known}", instead)
    return chosen[0]


def _handed(builder: Builder, tier: HandOver, queue: str, new: Person | None, found: str, person: Person) -> str:
    directory, ticket = builder.house.directory, builder.ticket
    heard = {one.key: one for one in builder.staff()}
    if queue != ticket.queue:
        if not ticket.fields.get(VOICE):
            builder.note(VOICE, ticket.queue)
        builder.add(EventKind.MOVED, actor=person.party, facts={"old": ticket.queue, "new": queue, "reason": f"handed over to {tier.name}"})
    owner = directory.by_party(ticket.owner)
    builder.own(new, actor=person.party)
    for one in (owner, person):
        # The front line goes on reading what becomes of it.
        if one and one.party and one is not new:
            builder.join(one.party, Role.WATCHER, one.email, one.name, actor=person.party, reason="handed it over")
    words = Words(ticket.subject, found, found, 0, 0, person.party)
    event = builder.say(
        EventKind.COMMENT, actor=person.party, words=words, visibility=Visibility.INTERNAL, facts={"hand_over": tier.name},
    )  # fmt: skip
    readers = {one.key: one for one in ((new,) if new else directory.staff_of(queue))}
    audience.to_staff(
        builder, event, TEMPLATE, who=person.name, author=person.name, text=found, people=tuple({**heard, **readers}.values()),
        links=_LINKS, about_customer=False, but=(person.party,),
        facts={
            "tier": tier.name,
            "owner": new.name if new else "",
            "rows": filled.noted(builder.policy, builder.ticket),
        },
    )  # fmt: skip
    if new:
        return f"handed over to {tier.name}, and {new.name} has it; the customer notices nothing"
    return f"handed over to {tier.name}, whose staff are told; the customer notices nothing"
