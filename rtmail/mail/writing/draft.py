"""A mail not yet rendered: what kind, to whom, about which event, with which facts.

desk decides drafts; `compose.compose` turns each into bytes. One draft is one copy for one person: all copies of one
event share Message-ID and Date, and differ in envelope, Reply-To, links and the circle they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum, StrEnum

from rtmail.mail.model import Address
from rtmail.mail.token import Action
from rtmail.mail.writing.calendar import Entry


class Visibility(StrEnum):
    """Correspondence goes to requestor and Cc; internal stays among staff."""

    PUBLIC = "public"
    INTERNAL = "internal"


class Auto(StrEnum):
    """The Auto-Submitted value (RFC 3834 5); NO writes no header: a human wrote it."""

    NO = ""
    REPLIED = "auto-replied"
    GENERATED = "auto-generated"


class Suppress(StrEnum):
    """The X-Auto-Response-Suppress value. ABSENCES lets an out-of-office come back, since it must be seen."""

    NONE = ""
    ALL = "DR, RN, NRN, OOF, AutoReply"
    ABSENCES = "DR, RN, NRN"


class ReplyTo(StrEnum):
    """Where an answer to this copy goes."""

    CUSTOMER = "customer"
    """Signed correspondence detail of a participant."""
    CORRESPONDENCE = "correspondence"
    """Staff copy about a customer's words: the signed correspondence address; the comment address is a link."""
    COMMENT = "comment"
    """All other staff mail: From and Reply-To are the signed comment address; correspondence is a link."""
    PLAIN = "plain"
    """The queue's bare address (mail to people we do not know, to the admin)."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom one copy is for. `person` is the party id, 0 where we keep none."""

    person: int
    address: str
    name: str
    staff: bool
    language: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A `mailto:` link: its label, the action its address is signed for, and the words it fills in.

    request   what the action is about: a request's number or a hold's id; 0 for the draft's own request
    """

    name: str
    action: Action
    subject: str = ""
    body: str = ""
    request: int = 0


@dataclass(frozen=True, slots=True)
class AttachmentRef:
    """An attachment to pass on: the stored raw mail and the part in it."""

    raw_id: int
    part: str
    name: str
    type: str
    bytes: int
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """One copy of one mail, to be rendered from `template`.

    event        sequence number of the event in the ticket; with the ticket number it makes the Message-ID
    number       request number, 0 for mail about no request (admin notices, receipts)
    author       name of the person whose words these are ("Jane Doe via Example"), "" for the site itself
    circle       addresses shown in To/Cc besides the recipient (participants' copies only, never staff)
    facts        variables of the template; plain values only
    in_reply_to  Message-ID answered, "" for none; references: the thread before it, root first
    urgency      0 urgent, 1 ordinary, 2 bulk; the outbox sends lower ones first
    expires      how long it is retried; None: the site's default
    report       its fate comes back to the ticket as a stimulus; a failure does from every mail to a customer about a request
    calendar     an entry for its reader's calendar
    joins        it may become a line of one mail that joins several for the same reader
    """

    template: str
    to: Recipient
    visibility: Visibility
    subject: str
    queue: str
    number: int = 0
    event: int = 0
    author: str = ""
    circle_to: tuple[Address, ...] = ()
    circle_cc: tuple[Address, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    attachments: tuple[AttachmentRef, ...] = ()
    auto: Auto = Auto.GENERATED
    suppress: Suppress = Suppress.ALL
    reply_to: ReplyTo = ReplyTo.PLAIN
    null_sender: bool = False
    detail_days: int = 30
    """How long the signed addresses of a staff copy live; one day more on a day on which older ones were revoked."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """X-RTMail-* facts of staff mail."""
    urgency: int = 1
    expires: timedelta | None = None
    report: bool = False
    joins: bool = False
    calendar: Entry | None = None


class Report(IntEnum):
    """Which fates of a mail come back to its ticket: none, all, or those alone that say that it did not arrive."""

    NO = 0
    FATE = 1
    FAILURE = 2


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A rendered mail: fixed bytes, fixed Message-ID, one envelope."""

    raw: bytes
    message_id: str
    envelope_sender: str
    recipient: str
    person: int
    template: str
    urgency: int
    expires: timedelta | None
    report: int
