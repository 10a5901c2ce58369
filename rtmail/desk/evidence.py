"""What a mail proves about itself: the evidence of one mail, and the keys under which the store knows more.

First half of matching. The engine calls `gather`, asks the store for what `keys` and `numbers` name, fills `Lookups`, and
hands both to `match.judge`. Nothing here decides what a mail does; a clue says only which request it names and how well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from rtmail.desk.ticket import Participant, Status
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.site import OwnAddress
from rtmail.mail.token import Detail

REOPEN_WITHIN = timedelta(days=30)
"""How long after its closing a request still takes customers' words, where no policy says otherwise (DESIGN 5)."""


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
    revoked        party id of a staff member -> last day of expiry of his revoked details; details that end later are good
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
