"""The values that a mail is read into; plain, frozen, and able to cross a process border.

`message.read` makes a `Mail`; desk and engine look at nothing else of a mail. Instants are aware UTC, sizes are bytes,
a Message-ID keeps its angle brackets, an address is an addr-spec with its domain in lower case (RFC 5322 3.4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: the addr-spec and the decoded display name, free of control characters."""

    spec: str
    name: str = ""

    @property
    def domain(self) -> str:
        return self.spec.rpartition("@")[2]

    @property
    def shown(self) -> str:
        """Name and address as people read them, or the one of both that there is."""
        return f"{self.name} <{self.spec}>" if self.name and self.spec else self.name or self.spec


@dataclass(frozen=True, slots=True)
class Answers:
    """What DNS says about a sender, for our own checks.

    txt         name -> its TXT records; () is none, and no such name; None says that there was no answer
    spf_result  of RFC 7208, "" where SPF says nothing (the mail did not come from outside); spf_domain is whom it is about
    """

    txt: Mapping[str, tuple[str, ...] | None]
    spf_result: str = ""
    spf_domain: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """Only the start of a mail was fetched: it has `whole_bytes`, at most `limit_bytes` are taken in, all of it stands in `mailbox`."""

    whole_bytes: int
    limit_bytes: int
    mailbox: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a mail reached us.

    sender      MAIL FROM; "" is the null sender, None where no envelope exists (a mailbox)
    recipients  envelope recipients as given (with their +detail); a mailbox gives none
    ingress     "smtp", "lmtp", "pipe" or "imap:NAME"
    arrived_at  IMAP INTERNALDATE, else our commit; never the Date header (`transit` says when it was taken in before)
    peer        IP address of the client, "" where there is none
    helo        its HELO/EHLO/LHLO name
    auth_user   key of the person who proved himself by SMTP AUTH, "" otherwise
    queue       queue to use when no address of ours is in the mail (mailboxes), "" otherwise
    checked     what our own checks proved when it was first read, as (Proof, why): keys are gone when it is read again
    answers     of DNS, on the way to these checks; not kept
    cut         the bytes are a mail's start alone; None for all of it
    begun       spool id of the arrival that was this mail's start, now that all of it could be fetched; 0 for none
    """

    sender: str | None
    recipients: tuple[str, ...]
    ingress: str
    arrived_at: datetime
    peer: str = ""
    helo: str = ""
    auth_user: str = ""
    queue: str = ""
    checked: tuple[str, str] | None = None
    answers: Answers | None = None
    cut: Cut | None = None
    begun: int = 0


class Kind(StrEnum):
    """What sort of sender a mail shows (promise 8)."""

    REQUEST_OR_REPLY = "request-or-reply"
    MACHINE = "machine"
    LIST = "list"
    AUTO_REPLY = "auto-reply"
    BOUNCE = "bounce"
    REPORT = "report"
    LOOP = "loop"
    JUNK = "junk"


class Proof(StrEnum):
    """What trusted results say about the From line (RFC 8601)."""

    DMARC_PASS = "dmarc-pass"
    DKIM_ALIGNED = "dkim-aligned"
    DMARC_FAIL = "dmarc-fail"
    SPF_FAIL = "spf-fail"
    """The sender's own domain disowns the machine, and no signature stands against that: no proof, and no answer."""
    NONE = "none"

    @property
    def proven(self) -> bool:
        """Whether the From line is proven to be of its domain."""
        return self in (Proof.DMARC_PASS, Proof.DKIM_ALIGNED)


_SMIME = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_PGP = "application/pgp-signature"
_ADDED = _SMIME | {_PGP, "application/pgp-keys", "text/vcard", "text/x-vcard"}
"""Signatures, keys and cards."""
_PGP_NAMES = frozenset({"signature.asc", "signature.pgp", "openpgp_signature", "openpgp_signature.asc", "openpgp_digital_signature.asc"})
"""What clients call the signature of a mail; that of a file is called after it."""
ENCRYPTED = "encrypted"
"""The defect of a mail of which some is."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached part. `part` is its path in the MIME tree ("2.1"), by which `message.payload` finds its bytes."""

    name: str
    type: str
    bytes: int
    sha256: str
    part: str
    content_id: str = ""
    inline: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether somebody meant to send it: no picture within a text, nor what clients add to each mail of his."""
        return not self.inline and self.type not in _ADDED

    @property
    def signs_mail(self) -> bool:
        """Whether it is the signature of the mail that it came in: nothing in another one, where it only tells who signed."""
        named = self.name.lower() in _PGP_NAMES or self.name.startswith("part-")
        return self.type in _SMIME or (self.type == _PGP and named)


@dataclass(frozen=True, slots=True)
class Bounce:
    """A delivery report: whom it names, the worst status ("5.1.1" or ""), the id of the mail that it is about, what the server said."""

    recipients: tuple[str, ...]
    status: str
    temporary: bool
    original_message_id: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A mail inside a mail. `how` is "attached" (message/rfc822) or "inline" (quoted under a forward's header block)."""

    how: str
    sender: Address | None
    subject: str
    text: str
    message_id: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as read: total, whatever the input was; what was wrong with it stands in `defects`."""

    message_id: str
    date: datetime | None
    subject: str
    sender: Address
    """The From line for display; `identity` is what may be believed."""
    identity: str
    """Strict identity: the addr-spec of the one From header with one address, "" where parsers could disagree."""
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    text: str
    """The whole readable text, from text/plain or from HTML."""
    reply_text: str
    """The new words: without quoted history and signature; the whole text when unsure."""
    attachments: tuple[Attachment, ...]
    kind: Kind
    answerable: bool
    """May an automatic answer go out, as far as the mail itself tells."""
    reason: str
    """Names the sign that decided `kind` and `answerable`."""
    bounce: Bounce | None
    forwarded: Forwarded | None
    marks: tuple[str, ...]
    """Tokens of our `ref:` marks seen inside the quoted part, nearest first."""
    tags: tuple[int, ...]
    """Numbers of our subject tags, in order."""
    reply_prefix: bool
    """The subject began with Re:, AW:, SV: ..."""
    proof: Proof
    proof_reason: str
    fingerprint: str
    """Hex SHA-256 over From, Date, Subject, decoded body text without list footer, attachment digests (promise 2)."""
    own: bool
    """Carries a header of ours that only our own mail carries (loop sign)."""
    beneath: Kind = Kind.REQUEST_OR_REPLY
    """Of junk: what sort of mail it is where it comes from somebody whose mail no filter sets aside."""
    from_html: bool = False
    """The text was made from HTML; there was no text/plain part."""
    other_text: str = ""
    """How the text of the other version begins, where the mail has text/plain and HTML."""
    history_first: bool = False
    """`reply_text` may be somebody else's: a client's header stands above it, and nothing marks what is quoted."""
    language: str = ""
    enclosed: str = ""
    """What internal thing of ours an attachment holds ("staff mark", "mail to staff" ...), "" for nothing."""
    written: str = ""
    """What the texts say that are attached, packed ones too, as far as they were looked at."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Decoded, unfolded values of every header by lower-case name; our own X-RTMail-* names from outside are removed."""
    defects: tuple[str, ...] = ()
