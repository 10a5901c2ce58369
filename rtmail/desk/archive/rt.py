"""Requests of Best Practical RT 5 as values, and what they become here: each with its history, its words as mails. Pure.

RT keeps a mail cut into parts, decoded; `rebuilt` puts it together again, so that it is read, shown and attached like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any

from rtmail.desk.archive.oldmail import rests
from rtmail.desk.decision import Builder, Words
from rtmail.desk.people import Person
from rtmail.desk.ticket import MOVED_IN, EventKind, Role, Status, Ticket
from rtmail.mail.model import Address, Mail
from rtmail.mail.writing.draft import Visibility
from rtmail.mail.writing.wire import File, Part, address_header, file_part, media_type, message, multipart, one_line, text_header, text_part
from rtmail.policy.model import Policy

SYSTEM = "RT"
"""The system under whose name a request keeps the number that it had in RT."""
LAST = "rt_transaction"
"""The field that holds the last transaction of RT's that was taken over: a later run goes on behind it."""
NOBODY = frozenset({1, 6})
"""RT's own users: the system, and nobody."""
STATUSES: Mapping[str, Status] = {
    "new": Status.NEW, "open": Status.OPEN, "stalled": Status.WAITING, "resolved": Status.RESOLVED, "rejected": Status.REJECTED,
}
"""RT's statuses of its default lifecycle; "deleted" requests stay behind."""
SPOKEN = frozenset({"Create", "Correspond", "Comment"})
_NOT_OURS = re.compile(r"^(?:content-|mime-version|x-rt-|rt-attach)", re.IGNORECASE)
_FIELD = re.compile(r"^([!-9;-~]+):\s*((?:.*)(?:\n[ \t].*)*)$", re.MULTILINE)


class Watching(StrEnum):
    """Roles in RT."""

    REQUESTOR = "Requestor"
    CC = "Cc"
    ADMIN_CC = "AdminCc"


@dataclass(frozen=True, slots=True)
class User:
    """A user of RT; `staff`: a privileged one."""

    id: int
    name: str
    address: str
    staff: bool


@dataclass(frozen=True, slots=True)
class RtPart:
    """A row of RT's Attachments, its content decoded."""

    id: int
    parent: int
    type: str
    file_name: str
    headers: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """A row of RT's Transactions, with the mail that belongs to it."""

    id: int
    kind: str
    field: str
    old: str
    new: str
    by: int
    at: datetime
    parts: tuple[RtPart, ...] = ()


@dataclass(frozen=True, slots=True)
class RtTicket:
    """A request of RT's. `watching`: role and user, in the order in which they were added; merged_into: number of another, 0 for none."""

    number: int
    queue: str
    subject: str
    status: str
    priority: int
    owner: int
    created_at: datetime
    merged_into: int
    transactions: tuple[Transaction, ...]
    watching: tuple[tuple[str, int], ...]
    refers_to: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Who a user of RT's is here: his party's id, his address, and the member of staff that he is, if any."""

    party: int
    address: Address
    person: Person | None = None
    staff: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """A transaction's mail as read here, and where it is kept."""

    mail: Mail
    raw_id: int
    spool_id: int


def rebuilt(one: Transaction, ticket: RtTicket, author: Address) -> bytes:
    """Return the mail of a transaction, with the headers that RT kept; where it came from no mail, with what is known of it."""
    tops = [part for part in one.parts if not any(other.id == part.parent for other in one.parts)]
    head = tops[0].headers if tops else ""
    kept = [f"{name}: {value}" for name, value in _FIELD.findall(head.replace("\r\n", "\n")) if not _NOT_OURS.match(name)]
    names = {line.partition(":")[0].lower() for line in kept}
    if "from" not in names and author.spec:
        kept.append(address_header("From", (Address(author.spec, one_line(author.name)),)))
    if "subject" not in names:
        kept.append(text_header("Subject", one_line(ticket.subject)))
    if "date" not in names:
        kept.append(f"Date: {format_datetime(one.at)}")
    parts = [_part(top, one.parts) for top in tops]
    root = parts[0] if len(parts) == 1 else multipart("mixed", parts) if parts else text_part("", "plain")
    return message([line.replace("\n", "\r\n") for line in kept], root)


def _part(part: RtPart, parts: Sequence[RtPart]) -> Part:
    inner = [_part(other, parts) for other in parts if other.parent == part.id]
    if part.type.startswith("multipart/"):
        return multipart(part.type.partition("/")[2] or "mixed", inner) if inner else text_part("", "plain")
    if part.type in ("text/plain", "text/html") and not part.file_name:
        return text_part(part.content.decode("utf-8", "replace"), part.type.partition("/")[2])
    found = {name.lower(): value for name, value in _FIELD.findall(part.headers)}
    shown = found.get("content-id", "").strip(" <>") if found.get("content-disposition", "").lower().startswith("inline") else ""
    return file_part(File(one_line(part.file_name) or "attachment", media_type(part.type), part.content, shown))


def message_ids(one: Transaction) -> tuple[str, ...]:
    """Return the Message-IDs of what RT sent for a transaction: answers to them belong to its request."""
    found = ({name.lower(): value for name, value in _FIELD.findall(part.headers)} for part in one.parts)
    return tuple(said["message-id"].strip() for said in found if said.get("message-id", "").startswith("<"))


def moved(
    builder: Builder, ticket: RtTicket, people: Mapping[int, Known], spoken: Mapping[int, Spoken], policy: Policy, closed_after: timedelta,
    now: datetime,
) -> Iterator[str]:
    """Add the events that a request of RT's is, as far as they are not here yet; yield what was not clear."""
    done = int(builder.ticket.fields.get(LAST) or 0)
    fresh = [one for one in ticket.transactions if one.id > done]
    if not fresh:
        return
    for one in fresh:
        yield from _transaction(builder, ticket, one, people, spoken.get(one.id))
    yield from _people(builder, ticket, people)
    last = fresh[-1]
    yield from _settled(builder, ticket, people, policy, last.at)
    builder.add(EventKind.FIELD, facts={"name": LAST, "value": last.id}, at=last.at)
    ended = (builder.ticket.status_at or last.at) + closed_after
    if rests(builder.ticket) and builder.ticket.status is Status.RESOLVED and ended <= now:
        _status(builder, Status.CLOSED, ended, f"moved in; resolved for {closed_after.days} days")


def _transaction(builder: Builder, ticket: RtTicket, one: Transaction, people: Mapping[int, Known], said: Spoken | None) -> Iterator[str]:
    match one.kind, one.field:
        case kind, _ if kind in SPOKEN:
            _words(builder, ticket, one, people, said)
        case "Status", _:
            status = STATUSES.get(one.new)
            if status is not None:
                _status(builder, status, one.at, "", people.get(one.by))
            elif one.new != "deleted":
                yield f"RT's status {one.new!r} is none of its usual ones"
        case "Set", "Owner":
            _own(builder, people.get(int(one.new) if one.new.isdigit() else 0), one.at, people.get(one.by))
        case _:
            pass


def _words(builder: Builder, ticket: RtTicket, one: Transaction, people: Mapping[int, Known], said: Spoken | None) -> None:
    author = people.get(one.by)
    party = author.party if author else 0
    asked = any(role == Watching.REQUESTOR and user == one.by for role, user in ticket.watching)
    by_staff = bool(author and author.staff) and not asked
    facts: dict[str, Any] = {"moved_in": True, "rt": one.id, **({"by_staff": True, "proof": "rt"} if by_staff else {})}
    words = Words(said.mail.subject, said.mail.text, said.mail.reply_text, said.raw_id, said.spool_id, party) if said else None
    message_id = said.mail.message_id if said else ""
    if one.kind == "Comment":
        if words:
            builder.add(EventKind.COMMENT, actor=party, facts=facts, words=words, message_id=message_id, at=one.at)
        return
    if one.kind == "Create":
        opening = facts if not by_staff else {**facts, "on_behalf": True}
        public = Visibility.PUBLIC
        builder.add(EventKind.OPENED, visibility=public, actor=party, facts=opening, words=words, message_id=message_id, at=one.at)
        builder.add(EventKind.FIELD, facts={"name": MOVED_IN, "value": "rt"}, at=one.at)
        return
    if words:
        kind = EventKind.CORRESPONDENCE
        builder.add(kind, visibility=Visibility.PUBLIC, actor=party, facts=facts, words=words, message_id=message_id, at=one.at)


def _people(builder: Builder, ticket: RtTicket, people: Mapping[int, Known]) -> Iterator[str]:
    for role, user in ticket.watching:
        known = people.get(user)
        if known is None:
            continue
        if role == Watching.ADMIN_CC:
            if known.person is None:
                yield f"AdminCc {known.address.spec} is nobody in [people], so he gets no copies of comments"
                continue
            builder.join(known.party, Role.WATCHER, known.address.spec, known.address.name, reason="rt")
        else:
            part = Role.REQUESTOR if role == Watching.REQUESTOR else Role.CC
            builder.join(known.party, part, known.address.spec, known.address.name, reason="rt")


def _settled(builder: Builder, ticket: RtTicket, people: Mapping[int, Known], policy: Policy, at: datetime) -> Iterator[str]:
    """Bring status, owner and priority to what RT shows, whatever its log leaves out."""
    status = STATUSES.get(ticket.status)
    if status is not None and not builder.ticket.merged_into:
        _status(builder, status, at, "as RT has it")
    owner = people.get(ticket.owner)
    if owner and owner.person is None:
        yield f"its owner {owner.address.spec} is nobody in [people]"
    _own(builder, owner, at, None)
    chosen = next((key for key, one in policy.priorities.items() if one.code == ticket.priority), "")
    if ticket.priority and not chosen:
        lower = [one for one in policy.priorities.values() if one.code <= ticket.priority]
        chosen = max(lower, key=lambda one: one.code).key if lower else ""
        yield f"priority {ticket.priority} is none of the policy's" + (f": {chosen}" if chosen else "")
    if chosen != builder.ticket.priority:
        builder.add(EventKind.PRIORITY, facts={"old": builder.ticket.priority, "new": chosen, "state": "", "by_staff": True}, at=at)


def _status(builder: Builder, new: Status, at: datetime, reason: str, by: Known | None = None) -> None:
    if builder.ticket.status is not new:
        facts = {"old": builder.ticket.status, "new": new, "reason": reason}
        builder.add(EventKind.STATUS, visibility=Visibility.PUBLIC, actor=by.party if by else 0, facts=facts, at=at)


def _own(builder: Builder, owner: Known | None, at: datetime, by: Known | None) -> None:
    new = owner.party if owner and owner.person else 0
    if builder.ticket.owner != new:
        builder.add(EventKind.OWNER, actor=by.party if by else 0, facts={"old": builder.ticket.owner, "new": new}, at=at)


def merge(builder: Builder, into: Ticket, at: datetime) -> None:
    """Make a request part of another one, as RT did."""
    builder.add(EventKind.MERGED, visibility=Visibility.PUBLIC, facts={"into": into.number}, at=at)
