"""What a mail proves about itself: the evidence of one mail, and the keys under which the store knows more.

First half of matching. The engine calls `gather`, asks the store for what `keys` and `numbers` name, fills `Lookups`, and
hands both to `match.judge`. Nothing here decides what a mail does; a clue says only which request it names and how well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from rtmail.desk.ticket import Participant, Status
from rtmail.mail.address import key, parse_list, split_detail
from rtmail.mail.model import Envelope, Kind, Mail
from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.token import DETAIL_START, LENGTH, MARK_PREFIX, Action, Detail, Keyring, read_message_id, verify

REOPEN_WITHIN = timedelta(days=30)
"""How long after its closing a request still takes customers' words, where no policy says otherwise (DESIGN 5)."""

ABOUT_HOLDS = frozenset({
    Action.CONFIRM_HELD, Action.DISCARD_HELD, Action.NOT_JUNK, Action.SEND_AS_CORRESPONDENCE, Action.SEND_AS_WRITTEN,
    Action.SEND_AS_COMMENT,
})
"""Actions whose detail names a mail that waits, not a request."""

_MOST_IDS = 100
_MOST_MARKS = 20
_MOST_TAGS = 20
_DELIVERY_HEADERS = ("delivered-to", "x-original-to", "envelope-to")
_SUBJECT_DETAIL = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z2-7]{{{LENGTH}}}(?![A-Za-z0-9])")


class Place(StrEnum):
    """Where an address of ours, or a signed detail, stood."""

    TO = "To"
    CC = "Cc"
    ENVELOPE = "envelope"
    DELIVERED_TO = "Delivered-To"
    SUBJECT = "Subject"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class DoorSeen:
    """An address of ours among the recipients."""

    address: OwnAddress
    place: Place


@dataclass(frozen=True, slots=True)
class DetailSeen:
    """A detail at one of our addresses: `detail` when its signature holds and it is in time, else why it proves nothing."""

    address: OwnAddress
    place: Place
    detail: Detail | None
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class OwnId:
    """A Message-ID of ours that the mail answers: verified by its MAC. `number` is 0 for mail about no request."""

    message_id: str
    number: int
    event: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one mail shows, before anybody looked anything up.

    doors        our addresses among the recipients, in the order To, Cc, envelope, Delivered-To, mailbox; each address once
    details      what stood behind the "+" of them, in the same order
    own_ids      our Message-IDs, nearest first (In-Reply-To, then References from the last to the first)
    foreign_ids  other Message-IDs in that order; the ledger may know them
    marks        verified marks of the quoted part, nearest first
    tags         numbers in the subject
    outbox_ids   outbox rows named by a signed envelope sender of ours (VERP) that this mail was sent to
    """

    mail: Mail
    envelope: Envelope
    doors: tuple[DoorSeen, ...] = ()
    details: tuple[DetailSeen, ...] = ()
    own_ids: tuple[OwnId, ...] = ()
    foreign_ids: tuple[str, ...] = ()
    marks: tuple[Detail, ...] = ()
    tags: tuple[int, ...] = ()
    outbox_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    """What the store is asked for: Message-IDs for the ledger, request numbers, addresses of people, outbox rows."""

    message_ids: tuple[str, ...]
    numbers: tuple[int, ...]
    addresses: tuple[str, ...]
    outbox_ids: tuple[int, ...]


class Origin(StrEnum):
    """How the ledger came to know a Message-ID."""

    OURS = "ours"
    """We sent it; the whole id is equal, so it proves what a verified one proves, even after its key is gone."""
    SEEN = "seen"
    """The Message-ID of a mail recorded on the request, or an id that the relay's 250 named."""
    REFERENCED = "referenced"
    """Stood only in someone's References: evidence for people of that request alone."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One request that a Message-ID belongs to. `internal`: our mail with this id was about internal matters (comment, escalation,
    digest, receipt), so that answers to it belong to the comment address."""

    number: int
    origin: Origin
    internal: bool = False


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What judging needs to know of a request.

    participants   everybody in any role, the owner too
    removed        party ids that staff removed
    status_at      since when it has this status
    merged_into    number of the survivor, 0 for none
    organisation   key of the requestor's configured organisation, "" to derive it from his address
    reopen_within  after this long in closed or rejected a customer's words open a new request
    revoked        party id of a staff member -> day (UTC) on which his details were revoked; those that live until then and
                   `sender.STAFF_DETAIL_LIFE` longer are dead, so one signed anew on that day must outlive it by a day
    notice         it is an incident or a maintenance, of which many were told
    """

    number: int
    queue: str
    status: Status
    status_at: datetime
    subject: str = ""
    participants: tuple[Participant, ...] = ()
    removed: frozenset[int] = frozenset()
    merged_into: int = 0
    organisation: str = ""
    reopen_within: timedelta = REOPEN_WITHIN
    revoked: Mapping[int, date] = field(default_factory=dict)
    notice: bool = False


@dataclass(frozen=True, slots=True)
class Lookups:
    """What the store answered.

    ledger    Message-ID as in `Keys.message_ids` -> the requests it belongs to
    requests  number -> facts, survivors of merged ones included
    parties   address (`address.key`) -> party id
    outbox    outbox row -> request number
    """

    ledger: Mapping[str, tuple[LedgerEntry, ...]] = field(default_factory=dict)
    requests: Mapping[int, RequestFacts] = field(default_factory=dict)
    parties: Mapping[str, int] = field(default_factory=dict)
    outbox: Mapping[int, int] = field(default_factory=dict)


def gather(mail: Mail, envelope: Envelope, site: Site, keyring: Keyring, today: date) -> Evidence:
    """Return what `mail` shows: verified where a signature can be, unjudged where the store has to be asked.

    today  day by which details expire, in UTC
    """
    doors: dict[tuple[str, Door], DoorSeen] = {}
    details: dict[str, DetailSeen] = {}
    for place, spec in _recipients(mail, envelope):
        own, text = split_detail(spec, site)
        if own is None:
            continue
        doors.setdefault((own.queue, own.door), DoorSeen(own, place))
        if text:
            details.setdefault(text.lower(), _read_detail(own, place, text, keyring, today))
    for queue, door in list(doors):
        aliased = door is Door.COMMENT and (queue, Door.CORRESPONDENCE) in doors
        if aliased and doors[queue, Door.CORRESPONDENCE].place is Place.DELIVERED_TO:
            # Where the comment address is an alias of the mailbox, the agent that filled it names the mailbox: nobody wrote to that.
            del doors[queue, Door.CORRESPONDENCE]
    if not doors and envelope.queue:
        doors |= {(own.queue, own.door): DoorSeen(own, Place.MAILBOX) for own in site.addresses.values()
                  if own.queue == envelope.queue and own.door is Door.CORRESPONDENCE}
    if site.detail == "off" and doors:
        first = next(iter(doors.values())).address
        for match in _SUBJECT_DETAIL.finditer(mail.subject):
            details.setdefault(match[0].lower(), _read_detail(first, Place.SUBJECT, match[0], keyring, today))

    own_ids: list[OwnId] = []
    foreign_ids: list[str] = []
    for message_id in _answered(mail):
        read = read_message_id(keyring, message_id, site.domain)
        if read is None:
            foreign_ids.append(message_id)
        else:
            own_ids.append(OwnId(message_id, *read))
    marks = (verify(keyring, token.removeprefix(MARK_PREFIX), today) for token in mail.marks[:_MOST_MARKS])
    seen = tuple(details.values())
    return Evidence(
        mail=mail, envelope=envelope, doors=tuple(doors.values()), details=seen, own_ids=tuple(own_ids), foreign_ids=tuple(foreign_ids),
        marks=tuple(dict.fromkeys(mark for mark in marks if isinstance(mark, Detail) and mark.action is Action.MARK)),
        tags=tuple(dict.fromkeys(number for number in mail.tags if number > 0))[:_MOST_TAGS],
        outbox_ids=tuple(one.detail.outbox_id for one in seen if one.detail and one.detail.action is Action.BOUNCE),
    )


def bare_of_details(subject: str, site: Site) -> str:
    """Return a subject without the signed details that stand in it where addresses cannot carry them: they are for its sender alone."""
    if site.detail != "off":
        return subject
    return " ".join(_SUBJECT_DETAIL.sub(lambda found: "" if found[0].lower().startswith(DETAIL_START) else found[0], subject).split())


def keys(evidence: Evidence) -> Keys:
    """Return what the store is asked first. The ledger's and the outbox's answers name more requests: see `numbers`."""
    mail = evidence.mail
    message_ids = [one.message_id for one in evidence.own_ids] + list(evidence.foreign_ids)
    people = [mail.sender, *mail.reply_to, *mail.to, *mail.cc]
    if mail.forwarded:
        message_ids += [mail.forwarded.message_id] if mail.forwarded.message_id else []
        people += [mail.forwarded.sender] if mail.forwarded.sender else []
    specs = [mail.identity, evidence.envelope.sender or "", *(one.spec for one in people)]
    return Keys(
        message_ids=tuple(dict.fromkeys(message_ids)), numbers=numbers(evidence, {}, {}),
        addresses=tuple(dict.fromkeys(key(spec) for spec in specs if spec)), outbox_ids=evidence.outbox_ids,
    )


def numbers(evidence: Evidence, ledger: Mapping[str, tuple[LedgerEntry, ...]], outbox: Mapping[int, int]) -> tuple[int, ...]:
    """Return the numbers of all requests that the mail names, given what ledger and outbox answered.

    The caller loads them and, for each one merged, its survivor (`RequestFacts.merged_into`), until none is missing.
    """
    found = [one.detail.request for one in evidence.details
             if one.detail and one.detail.action is not Action.BOUNCE and one.detail.action not in ABOUT_HOLDS]
    found += [one.number for one in evidence.own_ids]
    found += [mark.request for mark in evidence.marks]
    found += [entry.number for entries in ledger.values() for entry in entries]
    found += [*outbox.values(), *evidence.tags]
    return tuple(number for number in dict.fromkeys(found) if number > 0)


def _recipients(mail: Mail, envelope: Envelope) -> Iterator[tuple[Place, str]]:
    yield from ((Place.TO, one.spec) for one in mail.to)
    yield from ((Place.CC, one.spec) for one in mail.cc)
    yield from ((Place.ENVELOPE, spec) for spec in envelope.recipients)
    if not envelope.recipients:
        # Written by the agent that filled the mailbox; with an envelope in hand it could only be a sender's invention.
        values = [value for name in _DELIVERY_HEADERS for value in mail.headers.get(name, ())]
        yield from ((Place.DELIVERED_TO, one.spec) for one in parse_list(values))


def _read_detail(own: OwnAddress, place: Place, text: str, keyring: Keyring, today: date) -> DetailSeen:
    read = verify(keyring, text, today)
    if not isinstance(read, Detail):
        return DetailSeen(own, place, None, read.reason)
    if read.action is Action.MARK:
        # Marks never expire and travel in quoted text; one pasted behind a "+" must not become a signed address.
        return DetailSeen(own, place, None, "a mark, not an address")
    return DetailSeen(own, place, read)


def _answered(mail: Mail) -> Iterator[str]:
    """Yield the Message-IDs that the mail answers, nearest first, each once; of a long References its end and its root."""
    ids = [*mail.in_reply_to, *reversed(mail.references)]
    if mail.bounce and mail.kind in (Kind.BOUNCE, Kind.REPORT, Kind.AUTO_REPLY):
        ids.insert(0, mail.bounce.original_message_id)
    unique = list(dict.fromkeys(one for one in ids if one))
    yield from unique if len(unique) <= _MOST_IDS else [*unique[: _MOST_IDS - 1], unique[-1]]
