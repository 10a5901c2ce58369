"""Moving out: requests as an mbox file that every mail client threads, as JSON lines for programs, or as a CSV table.

Customers' mails are as they came, where their bytes are kept. What staff wrote is as it went out, under the Message-ID that it went out
with: their own mails hold signed addresses and quoted notices that are nobody else's. What was erased, and what waits since it seems
to hold private data, is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rtmail.desk.fields import filled
from rtmail.desk.people import Directory
from rtmail.desk.ticket import Event, EventKind, Participant, Role, Status, Ticket
from rtmail.mail.model import Address
from rtmail.mail.reading.message import payload
from rtmail.mail.site import Site
from rtmail.mail.writing.draft import Visibility
from rtmail.mail.writing.mbox import Letter, mbox
from rtmail.mail.writing.table_csv import Cell
from rtmail.mail.writing.wire import File, file_name, media_type
from rtmail.store import Content, NotThere, Party, Store

_BY_STAFF = frozenset({EventKind.COMMENT})
_NOTED = frozenset({EventKind.FIELD, EventKind.SUBJECT})
"""Events whose words are no letter: what was filled in, and a subject that was changed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which requests: by number, of a queue, those with something since an instant; nothing named is all."""

    numbers: tuple[int, ...] = ()
    queue: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class House:
    """What an export looks at besides the store."""

    site: Site
    directory: Directory


def tickets(store: Store, chosen: Chosen) -> Iterator[Ticket]:
    """Yield the chosen requests by number. Raises LookupError for a number that is none."""
    if chosen.numbers:
        for number in chosen.numbers:
            one = store.by_number(number)
            if one is None:
                raise LookupError(f"there is no request #{number}")
            yield one
        return
    for summary in store.list_tickets(queue=chosen.queue, statuses=None):
        ticket = store.ticket(summary.id)
        if chosen.since is None or any(event.at >= chosen.since for event, _ in store.events(ticket.id)):
            yield ticket


def as_mbox(store: Store, house: House, ticket: Ticket) -> bytes:
    """Return the conversation of a request, and what we sent its customers by ourselves, in the order of time."""
    log = store.events(ticket.id)
    letters = [*_spoken(store, house, ticket, log), *_automatic(store, house, ticket, log)]
    return mbox(letter for _, letter in sorted(letters, key=lambda one: one[0]))


Log = Sequence[tuple[Event, Content | None]]
"""A request's events with their words, in their order."""
Placed = tuple[tuple[datetime, int], Letter]
"""A letter and its place among the others."""


def _spoken(store: Store, house: House, ticket: Ticket, log: Log) -> Iterator[Placed]:
    parties, taken = _parties(store, ticket, log), set[int]()
    thread: list[str] = []
    for event, content in log:
        if event.kind in _NOTED or content is None or content.erased or not (content.text.strip() or content.raw_id or content.attachments):
            continue
        internal = event.visibility is not Visibility.PUBLIC
        # What was moved in is as it was sent then, to customers directly.
        written = (event.kind in _BY_STAFF or bool(event.facts.get("by_staff"))) and not event.facts.get("moved_in")
        raw = b""
        if not written:
            if content.raw_id in taken:
                continue
            taken.add(content.raw_id)
            raw = _raw(store, content.raw_id)
        elif event.facts.get("direct") and content.raw_id in taken:
            # The mail with which an engineer opened the request for a customer: it is in the file already.
            continue
        author = parties.get(content.party or event.actor)
        letter = Letter(
            at=event.at,
            sender=Address(author.address, author.name) if author else Address("", ""),
            subject=_subject(house, ticket, content, first=event.seq == 1),
            text=content.text,
            message_id=event.message_id,
            references=tuple(thread),
            raw=raw,
            internal=internal,
        )
        queue = house.directory.queues[ticket.queue]
        if written and not internal:
            requestor = ticket.people(Role.REQUESTOR)
            letter = replace(letter, to=_addresses(requestor), cc=_addresses(ticket.people(Role.CC)))
        elif not raw:
            letter = replace(letter, to=(Address(queue.comment_address if internal else queue.address),))
        if not raw and content.attachments:
            letter = replace(letter, files=tuple(_files(store, content)))
        yield (event.at, event.seq), letter
        if event.message_id and not internal:
            thread = [*thread[:1], *thread[1:][-8:], event.message_id] if event.message_id not in thread else thread


def _automatic(store: Store, house: House, ticket: Ticket, log: Log) -> Iterator[Placed]:
    """Mails of our own to customers, one copy of each: acknowledgements, closings, holding updates."""
    spoken = {event.seq for event, content in log if content is not None}
    sent = set[str]()
    for row in store.outbox_of(ticket.id):
        if row.event in spoken or row.message_id in sent or not row.settled_at:
            continue
        if any(party.staff for party in store.parties([row.person]).values()):
            continue
        try:
            raw = store.outbox_mail(row.id)
        except NotThere:
            continue
        sent.add(row.message_id)
        queue = house.directory.queues[ticket.queue]
        yield (row.created_at, row.event), Letter(row.created_at, Address(queue.address, house.site.name), "", "", raw=raw)


def _subject(house: House, ticket: Ticket, content: Content, *, first: bool) -> str:
    subject = content.subject or ticket.subject
    if first:
        return subject
    return f"Re: [{house.site.tag} #{ticket.number}] {ticket.subject}"


def _files(store: Store, content: Content) -> Iterator[File]:
    raw = _raw(store, content.raw_id)
    for one in content.attachments:
        try:
            yield File(file_name(one.name), media_type(one.type), payload(raw, one.part))
        except KeyError:
            continue


def _raw(store: Store, raw_id: int) -> bytes:
    try:
        return store.raw(raw_id) if raw_id else b""
    except NotThere:
        return b""


def _parties(store: Store, ticket: Ticket, log: Log) -> dict[int, Party]:
    ids = {event.actor for event, _ in log} | {content.party for _, content in log if content} | {p.person for p in ticket.participants}
    return store.parties((ids | {ticket.owner}) - {0})


def _addresses(people: Sequence[Participant]) -> tuple[Address, ...]:
    return tuple(Address(one.address, one.name) for one in people if one.address)


# -- JSON lines --


def as_lines(store: Store, ticket: Ticket, told: set[int]) -> Iterator[dict[str, Any]]:
    """Yield a request as plain values: people whom no line of the file told of yet (`told`, party ids), the request, its events."""
    log = store.events(ticket.id)
    parties = _parties(store, ticket, log)
    for id_, party in sorted(parties.items()):
        if id_ not in told:
            told.add(id_)
            yield {"type": "person", "id": id_, "name": party.name, "address": party.address, "addresses": list(party.addresses),
                   "organisation": party.organisation, "language": party.language, "staff": party.staff}
    yield {
        "type": "request",
        "number": ticket.number,
        "queue": ticket.queue,
        "subject": ticket.subject,
        "status": str(ticket.status),
        "priority": ticket.priority,
        "owner": ticket.owner,
        "opened_at": _utc(ticket.opened_at),
        "status_at": _utc(ticket.status_at),
        "merged_into": ticket.merged_into if ticket.status is Status.MERGED else 0,
        "participants": [{"person": one.person, "role": str(one.role)} for one in ticket.participants],
        "links": [{"kind": str(link.kind), "number": store.ticket(link.other).number} for link in store.links(ticket.id)
                  if link.ticket == ticket.id],
        "refs": [{"system": system, "ref": ref} for system, ref in store.outside_refs(ticket.id)],
        "fields": dict(ticket.fields),
        "filled": filled.plain(ticket.filled),
    }  # fmt: skip
    for event, content in log:
        yield _event_line(ticket, event, content)


def _event_line(ticket: Ticket, event: Event, content: Content | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "type": "event",
        "number": ticket.number,
        "seq": event.seq,
        "at": _utc(event.at),
        "kind": str(event.kind),
        "visibility": str(event.visibility),
        "actor": event.actor,
        "message_id": event.message_id,
        "facts": dict(event.facts),
    }
    if content is not None:
        line["erased"] = content.erased
        line["author"] = content.party
        line["subject"], line["text"] = (None, None) if content.erased else (content.subject, content.text)
        line["attachments"] = [
            {"name": one.name, "type": one.type, "bytes": one.bytes, "sha256": one.sha256} for one in content.attachments
        ]
    return line


# -- CSV --

COLUMNS = ("number", "queue", "subject", "status", "priority", "owner", "requestors", "cc", "opened_at", "status_at", "words")


def as_row(store: Store, ticket: Ticket) -> tuple[Cell, ...]:
    """Return a request as one line below `COLUMNS`; `words` is how many mails and remarks it has."""
    owner = store.parties([ticket.owner]).get(ticket.owner) if ticket.owner else None
    people = [" ".join(one.address for one in ticket.people(role)) for role in (Role.REQUESTOR, Role.CC)]
    words = sum(content is not None for _, content in store.events(ticket.id))
    return (ticket.number, ticket.queue, ticket.subject, str(ticket.status), ticket.priority, owner.address if owner else "", *people,
            _utc(ticket.opened_at), _utc(ticket.status_at), words)


def _utc(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
