"""The mails by which everybody affected hears of an incident or a maintenance, a slice of them at a time; and who wants none.

Every contact has his own mail in his own language, which shows him alone; all mails of one incident are one conversation for him.
The place in the list moves with the mails in one transaction, so nobody is told twice, whatever stops us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rtmail.desk.decision import Builder
from rtmail.desk.outages import about, affected
from rtmail.desk.outages.about import MUTES, TELLINGS, About, Kind, Telling, What
from rtmail.desk.stimulus import Over, Slice
from rtmail.desk.ticket import EventKind
from rtmail.mail.token import Action
from rtmail.mail.writing.calendar import Entry, Method
from rtmail.mail.writing.draft import AttachmentRef, Auto, Draft, Link, Recipient, ReplyTo, Visibility
from rtmail.policy import signals
from rtmail.policy.rows import ClockKind

INCIDENT, MAINTENANCE, OVER = "incident", "maintenance", "incident-over"
"""Templates: to contacts, of an incident or of planned work; to the requestor of a linked request when it is over."""
UNREACHED = "unreached"
"""The field that holds the events of which somebody's mail came back; staff heard of the first of each."""
_INVITES = frozenset({What.PLANNED, What.CHANGED, What.CANCELLED, What.UPDATED, What.OVERRUN, What.REMINDER})


def tell(builder: Builder, stimulus: Slice) -> None:
    """Write to the next contacts in line, and move on."""
    found = about.about(builder.ticket.fields)
    waiting = about.tellings(builder.ticket.fields)
    if found is None or not waiting:
        return
    telling, rest = waiting[0], waiting[1:]
    muted = set(builder.ticket.fields.get(MUTES) or ())
    count = telling.count
    for reader in stimulus.readers:
        if reader.person in muted or builder.house.directory.by_party(reader.person):
            continue
        builder.drafts.append(_draft(builder, found, telling, reader, stimulus.text, stimulus.attachments, first=count == 0))
        count += 1
    if not stimulus.last:
        _left(builder, (replace(telling, after=stimulus.after, count=count), *rest))
        return
    if count == 0 and telling.what is not What.LINKED:
        # There is no mail whose delivery could be waited for.
        builder.signal(signals.Delivered(at=builder.now, event=telling.event))
    builder.add(EventKind.TOLD, facts={"notice": f"{telling.what}: {count} told", "of": telling.event, "count": count})
    _left(builder, rest)


def _left(builder: Builder, waiting: tuple[Telling, ...]) -> None:
    builder.note(TELLINGS, [one.to_row() for one in waiting] or None)


def _draft(builder: Builder, found: About, telling: Telling, reader: Recipient, text: str, attachments: tuple[AttachmentRef, ...], *,
           first: bool) -> Draft:  # fmt: skip
    ticket, house = builder.ticket, builder.house
    root = house.message_id(ticket.number, found.root) if found.root and found.root != telling.event else ""
    return Draft(
        template=INCIDENT if found.kind is Kind.INCIDENT else MAINTENANCE,
        to=reader,
        visibility=Visibility.PUBLIC,
        subject=ticket.subject,
        queue=ticket.queue,
        number=ticket.number,
        event=telling.event,
        facts=_facts(builder, found, telling.what, text),
        in_reply_to=root,
        references=(root,) if root else (),
        links=(Link("mute", Action.MUTE),),
        attachments=attachments,
        auto=Auto.GENERATED,
        reply_to=ReplyTo.CUSTOMER,
        urgency=1,
        report=first,
        calendar=_entry(builder, found, telling.what),
    )


def _facts(builder: Builder, found: About, what: What, text: str) -> Mapping[str, Any]:
    common = {"what": str(what), "services": ", ".join(affected.services(found.affects)), "text": text}
    if found.kind is Kind.MAINTENANCE:
        return {**common, "starts_at": found.starts_at, "ends_at": found.ends_at, "emergency": found.emergency}
    target = builder.policy.priorities.get(builder.ticket.priority)
    update = next((one for one in builder.ticket.clocks if one.kind is ClockKind.UPDATE and one.running), None)
    next_at = update.due_at if update and what is not What.CLOSED else None
    return {**common, "meaning": target.meaning if target else "", "since": builder.ticket.opened_at, "next_at": next_at}


def _entry(builder: Builder, found: About, what: What) -> Entry | None:
    """The calendar entry of a maintenance, with all that changes it."""
    if found.kind is not Kind.MAINTENANCE or what not in _INVITES or found.starts_at is None or found.ends_at is None:
        return None
    # A client that has the newest already takes no harm from it; one that lost it gets it back.
    return Entry(
        method=Method.CANCEL if what is What.CANCELLED else Method.REQUEST,
        uid=f"maintenance-{builder.ticket.number}@{builder.house.site.domain}",
        sequence=found.sequence,
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        title=builder.ticket.subject,
    )


def over(builder: Builder, stimulus: Over) -> None:
    """Tell the requestor of a linked request, on that, that the incident is over; whoever was told as a contact knows it."""
    requestor = builder.ticket.addressee
    knows = requestor is None or requestor.person in stimulus.told
    builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": f"incident #{stimulus.number} is over", "sent": not knows})
    if knows or requestor is None:
        return
    event = builder.entries[-1].event
    builder.drafts.append(
        Draft(
            template=OVER,
            to=Recipient(requestor.person, requestor.address, requestor.name, staff=False, language=requestor.language),
            visibility=Visibility.PUBLIC,
            subject=builder.ticket.subject,
            queue=builder.ticket.queue,
            number=builder.ticket.number,
            event=event.seq,
            facts={"title": stimulus.title, "text": stimulus.text},
            references=builder.ticket.thread,
            in_reply_to=builder.ticket.thread[-1] if builder.ticket.thread else "",
            auto=Auto.GENERATED,
            reply_to=ReplyTo.CUSTOMER,
        )
    )


def mute(builder: Builder, person: int, *, muted: bool) -> None:
    """A contact wants no more mail about this incident, or wants it again; nobody is told of that."""
    known = list(builder.ticket.fields.get(MUTES) or ())
    if (person in known) is muted:
        return
    builder.add(EventKind.MUTED, actor=person, facts={"person": person, "muted": muted})
    builder.note(MUTES, [*known, person] if muted else [one for one in known if one != person])


def undelivered(builder: Builder, event: int) -> bool:
    """Note that somebody was not reached by a telling; tell whether that is news: a list with dead addresses is one thing to say."""
    known = list(builder.ticket.fields.get(UNREACHED) or ())
    if event in known:
        return False
    builder.note(UNREACHED, [*known, event])
    return True
