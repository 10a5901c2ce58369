"""What staff note of a request beside the words: its queue, when it is due, the time it took, whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.grammar import arguments
from rtmail.desk.notes import DUE, WORKED, shown, spent
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.received import standing
from rtmail.desk.ticket import EventKind, Role, Status
from rtmail.mail import address
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link
from rtmail.policy import signals
from rtmail.policy.terms import TERMS, Terms

_LIVE = (Status.NEW, Status.OPEN, Status.WAITING)


def move(builder: Builder, value: str, person: Person) -> str:
    """Move the request to another queue; its policy and its promises stay, old addresses go on working."""
    directory, ticket = builder.house.directory, builder.ticket
    wanted = value.strip().lower()
    queue = next((name for name in directory.queues if name.lower() == wanted), None)
    if queue is None:
        known = ", ".join(directory.queues)
        raise CannotDo(f"there is no queue {value.strip()}; there are {known}", f"Queue: {next(iter(directory.queues))}")
    if queue == ticket.queue:
        return "it was there already"
    heard = {one.key: one for one in builder.staff()}
    event = builder.add(EventKind.MOVED, actor=person.party, facts={"old": ticket.queue, "new": queue})
    owner = directory.by_party(ticket.owner)
    left = owner is not None and not directory.may_answer(owner, queue)
    if left:
        builder.own(None, actor=person.party)
    heard |= {one.key: one for one in directory.staff_of(queue)}
    audience.to_staff(
        builder,
        event,
        "state",
        who=person.name,
        author="",
        text="",
        people=tuple(heard.values()),
        human=False,
        about_customer=False,
        but=(person.party,),
        links=(*audience.STAFF_LINKS, Link("show", Action.SHOW)),
        facts={
            "reason": f"{owner.name} does not work there, so nobody has it now." if left and owner else "",
            "changes": [{"what": "Queue", "old": ticket.queue, "new": queue}],
        },
    )
    return f"it is in {queue} now, whose staff are told"


def due(builder: Builder, value: str, person: Person, zone: ZoneInfo) -> str:
    """Set when the request is due: its resolution is promised for that instant, whatever the priority says."""
    if builder.ticket.status not in _LIVE:
        raise CannotDo(f"the request is {builder.ticket.status}", "reopen")
    at = arguments.instant(value, builder.now, zone)
    builder.add(EventKind.FIELD, actor=person.party, facts={"name": DUE, "value": at.isoformat()})
    builder.signal(signals.DueSet(at=builder.now, due_at=at, event=builder.ticket.events))
    return f"it is due {shown(at, zone)}"


def time(builder: Builder, value: str, person: Person) -> str:
    """Note time worked."""
    worked = arguments.worked(value)
    minutes = int(worked.length.total_seconds()) // 60
    if not 0 < minutes <= 7 * 24 * 60:
        raise CannotDo(f"{value.strip()!r} is no time that somebody worked in one go", "time 30m billable")
    billable = _by_plan(builder) if worked.billable is None else worked.billable
    total = dict(builder.ticket.fields.get(WORKED) or {"minutes": 0, "billable": 0})
    total["minutes"] += minutes
    total["billable"] += minutes if billable else 0
    facts = {"name": WORKED, "value": total, "minutes": minutes, "billable": billable}
    builder.add(EventKind.FIELD, actor=person.party, facts=facts)
    return f"noted; {spent(builder.ticket.fields)} in all"


def _by_plan(builder: Builder) -> bool | None:
    """Tell whether time worked is billable where nobody says it: as the plan of the request has it, None where it has none."""
    terms = Terms.from_row(builder.ticket.fields.get(TERMS))
    plan = builder.house.directory.plans.get(terms.plan) if terms else None
    return plan.billable if plan else None


def for_customer(builder: Builder, value: str, person: Person, parties: Mapping[str, int]) -> str:
    """Make somebody else the requestor. The old one stays: a colleague as watcher, a customer as Cc. The new one is told the number."""
    (one, *others) = arguments.addresses(value)
    if others:
        raise CannotDo("one person is the requestor; add the others as Cc", f"for {one.spec}")
    directory, site = builder.house.directory, builder.house.site
    if address.split_detail(one.spec, site)[0]:
        raise CannotDo(f"{one.spec} is an address of ours")
    party = parties.get(address.key(one.spec), 0)
    if not party:
        raise CannotDo(f"{one.spec} cannot be written to")
    old = builder.ticket.requestor
    if old and old.person == party:
        return "it was his already"
    if old:
        builder.leave(old.person, Role.REQUESTOR, actor=person.party)
        staff = directory.by_party(old.person)
        builder.join(
            old.person, Role.WATCHER if staff else Role.CC, old.address, old.name, actor=person.party, reason="was the requestor"
        )
    if any(p.person == party and p.role is Role.CC for p in builder.ticket.participants):
        builder.leave(party, Role.CC, actor=person.party)
    builder.join(party, Role.REQUESTOR, one.spec, one.name, actor=person.party, reason="by staff")
    standing.adopt(builder, one.spec)
    opens = any(entry.event.kind is EventKind.OPENED for entry in builder.entries)
    if not opens:  # an opening acknowledges by itself, to whoever is the requestor then
        audience.acknowledge(builder)
    return f"it is a request of {one.spec} now, who is told its number"

