"""Who wrote, and what it does: the sender table of DESIGN 5 as a table of rules.

Second half of matching: `judge` takes the evidence of one mail and what the store knew about it, and returns a Verdict that
names the rule, the request and the sender. It decides nothing about clocks or mails; `decide` does, from the Verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtmail.desk.ticket import Role
from rtmail.mail.model import Address, Proof
from rtmail.mail.site import Door
from rtmail.mail.token import Detail


class Result(StrEnum):
    """What a mail is and does; one for each row of the table and for each kind of mail that never reaches the table."""

    NEW_REQUEST = "new-request"
    NEW_LINKED = "new-linked"
    """A new request linked to the one it names: evidence too weak, or fresh words to a kept reply address."""
    CONTINUES = "continues"
    """A new request linked "continues #N": the one it names is closed for longer than `reopen_within`."""
    CORRESPONDENCE = "correspondence"
    UNVERIFIED = "unverified"
    COLLEAGUE_JOINS = "colleague-joins"
    OUTSIDE = "outside"
    STAFF_CORRESPONDENCE = "staff-correspondence"
    STAFF_COMMENT = "staff-comment"
    STAFF_BOTH_ADDRESSES = "staff-both-addresses"
    """A comment; the author is asked."""
    STAFF_ASK_FIRST = "staff-ask-first"
    """Nothing goes out and nothing is recorded as correspondence until the author says what he meant (`ask` says why)."""
    STAFF_NO_RIGHT = "staff-no-right"
    """Authenticated, but without the right to act in this queue: kept as a comment, the author is told."""
    STAFF_TO_US = "staff-to-us"
    """To us alone, about no request: commands and queries run; other words open a request on which he is a customer."""
    STAFF_FORWARD_NEW = "staff-forward-new"
    STAFF_FORWARD_ON_REQUEST = "staff-forward-on-request"
    STAFF_ON_BEHALF = "staff-on-behalf"
    HOLD_STAFF_CLAIM = "hold-staff-claim"
    ACTION = "action"
    """A signed action address used by the person it was made for."""
    ACTION_NEEDS_PROOF = "action-needs-proof"
    """A destructive action by its person, but without DMARC pass or SMTP AUTH: not done, the person is told."""
    BOUNCE = "bounce"
    AUTO_REPLY = "auto-reply"
    REPORT = "report"
    LOOP = "loop"
    ADMIN = "admin"
    """To postmaster@ or abuse@ only: passed to the admin once."""
    ADMIN_LOOP = "admin-loop"
    """Our own mail or a bounce coming back to postmaster@: quarantine and log, never mail."""
    JUNK = "junk"


class StaffProof(StrEnum):
    """What proved that a member of staff wrote; the strongest that there is."""

    DMARC = "dmarc"
    AUTH = "auth"
    DKIM = "dkim"
    DETAIL = "detail"
    CONFIRMED = "confirmed"
    """The real address confirmed the held mail by its link."""
    NONE = "none"

    @property
    def strong(self) -> bool:
        """Enough for destructive words: merge, erase, release of held data."""
        return self in (StaffProof.DMARC, StaffProof.AUTH)


class LinkKind(StrEnum):
    CONTINUES = "continues"
    RELATED = "related"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that a new request gets."""

    kind: LinkKind
    number: int


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote.

    address        whom the words belong to: From, or Reply-To where it may stand for it; the spec may be "" (no From at all)
    party          party id, 0 for a person not known yet
    staff          key of the staff member that From claims to be, "" for none; believe it only when `authenticated`
    authenticated  staff: one of the proofs of DESIGN 5; others: From has DMARC pass
    proof          what a trusted server said about From
    role           his role on the request, None for none
    by_reply_to    the address stood in Reply-To; such an identity is never verified
    """

    address: Address
    party: int = 0
    staff: str = ""
    authenticated: bool = False
    proof: Proof = Proof.NONE
    staff_proof: StaffProof = StaffProof.NONE
    role: Role | None = None
    by_reply_to: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a mail does, by which rule, on what evidence.

    number        the request it belongs to (after merges), None where a new one opens or none is meant
    queue         the request's queue, or the one in which a new request opens; "" for ADMIN results
    other_queues  names of further queues it was sent to; their staff are told
    links         links of the new request
    door          correspondence or comment, as it counts for this sender
    requestor     of a request that opens: the sender, the forwarded From, or the customer written to; None where none opens
    joins         addresses that become Cc; ask_accept: those that need a word of staff
    answerable    an automatic answer may go to the sender
    reopens       these words may reopen a resolved or closed request
    stops_closing automatic closing stops until staff looked
    passed_on     the words may go to the other participants
    commands      commands of staff in it may run
    ask           why the author is asked, "" when he is not
    revoke        a signed staff address was shown to outsiders: this person's details for the request end now
    detail        the signed detail that an ACTION (or a bounce) came in by
    outbox_id     the outgoing mail that a bounce or auto-reply came back for, 0 for none
    admin         postmaster@ or abuse@ was addressed too
    rule          name of the row that decided; reason: it in words; evidence: lines for `rtmail why`
    """

    result: Result
    rule: str
    reason: str
    sender: Sender
    number: int | None = None
    queue: str = ""
    other_queues: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    door: Door = Door.CORRESPONDENCE
    requestor: Address | None = None
    joins: tuple[Address, ...] = ()
    ask_accept: tuple[Address, ...] = ()
    answerable: bool = False
    reopens: bool = False
    stops_closing: bool = False
    passed_on: bool = False
    commands: bool = False
    ask: str = ""
    revoke: bool = False
    detail: Detail | None = None
    outbox_id: int = 0
    admin: bool = False
    evidence: tuple[str, ...] = ()
