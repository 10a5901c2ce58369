"""The signed detail: who may do what with which request until when, in 36 characters of an address.

What rtmail writes behind the "+" of its addresses, into its Message-IDs and into its body marks is signed here and
read back here; nobody else looks inside. A detail says nothing about trust: desk decides what a verified one proves.

22 bytes as 36 base32 characters (RFC 4648, lower case, no padding), readable in any case, since relays and people
change it: version (1 byte), key id (2 bits) and action (6 bits), request (4), person (4), last valid day (2, days since
1970-01-01, 0 = for ever), then 10 bytes of HMAC-SHA256 over a prefix of its own and the 12 bytes before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache

VERSION = 1
LENGTH = 36
"""Characters of a detail."""
DETAIL_START = "ae"
"""How a detail of this version begins."""
MARK_PREFIX = "ref:"

_BODY_BYTES, _MAC_BYTES = 12, 10
_EPOCH = date(1970, 1, 1)
_DETAIL = re.compile(r"[a-z2-7]{36}")
_MESSAGE_ID = re.compile(r"rt-(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,9})(?:-([a-z0-9]{1,32}))?-([a-z2-7]{16})")


class Action(IntEnum):
    """What a detail is for. The values stand in addresses that people keep: fixed for ever, never given out twice."""

    REPLY = 1
    COMMENT = 2
    BOUNCE = 3
    MARK = 4
    CONFIRM_HELD = 5
    DISCARD_HELD = 6
    TAKE = 7
    ACK = 8
    SNOOZE = 9
    APPROVE = 10
    REOPEN = 11
    AGREE = 12
    DISAGREE = 13
    ACCEPT = 14
    SPLIT = 15
    SAME = 16
    UNDO = 17
    MUTE = 18
    UNMUTE = 19
    NOT_JUNK = 20
    RESOLVE = 21
    WAIT = 22
    SHOW = 23
    RELEASE = 24
    REDACT = 25
    CONFIRM_FORWARD = 26
    CONFIRM_ALIAS = 27
    SEND_AS_CORRESPONDENCE = 28
    SEND_AS_COMMENT = 29
    SEND_AS_WRITTEN = 30
    ERASE = 31
    APPEAL = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """The signing keys: new details are signed with key `current`, old ones are read with any. Ids are 0..3.

    Raises ValueError for an id out of range, a missing current key, or a key of fewer than 16 bytes.
    """

    current: int
    keys: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"no key with the current id {self.current}")
        if any(not 0 <= key_id <= 3 for key_id in self.keys):
            raise ValueError("key ids are 0..3")
        if any(len(key) < 16 for key in self.keys.values()):
            raise ValueError("a signing key has at least 16 bytes")


@dataclass(frozen=True, slots=True)
class Detail:
    """A detail whose signature holds.

    request   number of the request; the id of the held mail for CONFIRM_HELD and DISCARD_HELD
    person    party id
    expires   last day on which it is valid, None: for ever
    """

    action: Action
    request: int
    person: int
    expires: date | None
    key_id: int

    @property
    def outbox_id(self) -> int:
        """For Action.BOUNCE, which spends request and person on one 64-bit number: the outbox row."""
        return self.request << 32 | self.person


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a detail proves nothing: "damaged", "unknown-version", "unknown-key" or "expired".

    `detail` is what it says, where its signature holds (expired ones only).
    """

    reason: str
    detail: Detail | None = None


def sign(keyring: Keyring, action: Action, request: int, person: int, expires: date | None) -> str:
    """Return the detail: 36 lower-case base32 characters.

    request, person   0 .. 2**32 - 1
    expires           last valid day, 1970-01-02 .. 2149-06-06, None for one that never ends
    Raises ValueError outside these.
    """
    if not (0 <= request < 1 << 32 and 0 <= person < 1 << 32):
        raise ValueError(f"request {request} or person {person} does not fit 32 bits")
    last_day = (expires - _EPOCH).days if expires else 0
    if expires and not 0 < last_day < 1 << 16:
        raise ValueError(f"expiry {expires} does not fit 16 bits")
    numbers = request.to_bytes(4, "big") + person.to_bytes(4, "big") + last_day.to_bytes(2, "big")
    body = bytes((VERSION, keyring.current << 6 | action)) + numbers
    return _base32(body + _detail_mac(keyring.keys[keyring.current], body))


def verify(keyring: Keyring, text: str, today: date) -> Detail | Rejected:
    """Return what the detail `text` says, or why it proves nothing; compares in constant time."""
    lowered = text.lower() if text.isascii() else ""
    if not _DETAIL.fullmatch(lowered):
        return Rejected("damaged")
    raw = base64.b32decode(lowered.upper() + "====")
    if _base32(raw) != lowered:
        # The last character has four bits to spare; a detail is written in one way only.
        return Rejected("damaged")
    body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
    key_id = body[1] >> 6
    if body[0] != VERSION or key_id not in keyring.keys:
        # One bad character in version or key id must read as damage, not as the work of a newer rtmail or another key.
        mended = (bytes((VERSION, known << 6 | body[1] & 0x3F)) + body[2:] for known in keyring.keys)
        if any(hmac.compare_digest(_detail_mac(keyring.keys[guess[1] >> 6], guess), mac) for guess in mended):
            return Rejected("damaged")
        return Rejected("unknown-version" if body[0] != VERSION else "unknown-key")
    if not hmac.compare_digest(_detail_mac(keyring.keys[key_id], body), mac):
        return Rejected("damaged")
    try:
        action = Action(body[1] & 0x3F)
    except ValueError:
        return Rejected("unknown-version")
    last_day = int.from_bytes(body[10:12], "big")
    expires = _EPOCH + timedelta(days=last_day) if last_day else None
    detail = Detail(action, int.from_bytes(body[2:6], "big"), int.from_bytes(body[6:10], "big"), expires, key_id)
    return Rejected("expired", detail) if expires and today > expires else detail


def bounce_detail(keyring: Keyring, outbox_id: int) -> str:
    """Return the detail of the envelope sender (VERP) of outbox row `outbox_id`, 0 .. 2**64 - 1; it never expires."""
    return sign(keyring, Action.BOUNCE, outbox_id >> 32, outbox_id & 0xFFFFFFFF, None)


def make_mark(keyring: Keyring, request: int, person: int) -> str:
    """Return the mark that ends each of our mails: "ref:" and a detail that never expires."""
    return MARK_PREFIX + sign(keyring, Action.MARK, request, person, None)


def make_message_id(keyring: Keyring, number: int, event: int, domain: str, variant: str = "") -> str:
    """Return `<rt-NUMBER-EVENT-MAC@domain>`, or `<rt-NUMBER-EVENT-VARIANT-MAC@domain>`.

    number, event   0 .. 9,999,999,999; the same pair gives the same id for as long as the current key stays
    variant         up to 32 lower-case letters and digits, for a second mail about one event
    Raises ValueError for anything else.
    """
    stem = f"rt-{number}-{event}" + (f"-{variant}" if variant else "")
    made = f"{stem}-{_message_id_mac(keyring.keys[keyring.current], stem, domain.lower())}"
    if not _MESSAGE_ID.fullmatch(made):
        raise ValueError(f"cannot make a Message-ID of {stem!r}")
    return f"<{made}@{domain.lower()}>"


def read_message_id(keyring: Keyring, message_id: str, domain: str) -> tuple[int, int] | None:
    """Return (number, event) of an id that we made, else None; constant-time.

    Takes what clients and relays do to ids: other case, folding white space inside, lost or doubled angle brackets.
    """
    if len(message_id) > 998 or not message_id.isascii():
        return None
    bare = re.sub(r"\s+", "", message_id).strip("<>").lower()
    left, at, right = bare.rpartition("@")
    match = _MESSAGE_ID.fullmatch(left)
    if not at or match is None or right != domain.lower():
        return None
    number, event, _, mac = match.groups()
    stem = left[: -len(mac) - 1]
    for key in keyring.keys.values():
        if hmac.compare_digest(_message_id_mac(key, stem, right), mac):
            return int(number), int(event)
    return None


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _detail_mac(key: bytes, body: bytes) -> bytes:
    return _mac(key, b"rtmail detail\0" + body)


def _message_id_mac(key: bytes, stem: str, domain: str) -> str:
    return _base32(_mac(key, f"rtmail message-id\0{stem}@{domain}".encode("ascii")))


def _mac(key: bytes, said: bytes) -> bytes:
    keyed = _keyed(key).copy()
    keyed.update(said)
    return keyed.digest()[:_MAC_BYTES]


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return the HMAC that has taken in its key and nothing else: a mail is signed in a dozen places, all with one key."""
    return hmac.new(key, digestmod=hashlib.sha256)
