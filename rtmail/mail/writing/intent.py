"""The bytes that we are about to send, read back and compared with what was meant.

`compose` calls `verify` on every mail before it is fixed. Who reads is not the writer in `wire`: `readback`, which takes
only what leaves no choice, and for all else the standard library. A header, a recipient or a part that crept in through a
subject, a name or a file name shows up as a difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_string
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses

from rtmail.errors import RtmailError
from rtmail.mail.address import key, normalise, valid_spec
from rtmail.mail.model import Address
from rtmail.mail.writing import readback
from rtmail.mail.writing.wire import LINE_OCTETS, lines_fit

_STRUCTURE = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding")
LARGE_BYTES = 64 * 1024
_FOLD = re.compile(r"\r\n[ \t]")
_BASE64_RUN = re.compile(rb"(?<=\n)(?:[A-Za-z0-9+/]{76}\r\n){16,}")


class IntentError(RtmailError):
    """A rendered mail does not say what was meant; it must not be sent."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A leaf of the MIME tree: its type, its file name and Content-ID ("" where it has none)."""

    type: str
    name: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a mail is meant to be.

    headers            every header but MIME's own, in order; text decoded, ids as they are, addresses as Address tuples
    parts              leaves in order
    envelope_sender    "" for the null sender
    """

    headers: Sequence[tuple[str, str | tuple[Address, ...]]]
    parts: Sequence[Enclosed]
    envelope_sender: str
    recipient: str


def verify(raw: bytes, intent: Intent) -> None:
    """Return when `raw` says what `intent` says; raises IntentError naming the first difference."""
    _check_octets(raw, intent)
    _check_envelope(intent)
    if not plainly(raw, intent):
        compare(raw, intent)


def plainly(raw: bytes, intent: Intent) -> bool:
    """Tell whether `raw`, which is UTF-8 with CRLF, says what `intent` says in forms that nobody can read otherwise.

    False says nothing about the mail: then `compare` has to look.
    """
    said = readback.read(raw)
    if said is None or len(said.fields) != len(intent.headers):
        return False
    for (name, value), (meant_name, meant) in zip(said.fields, intent.headers, strict=True):
        if name != meant_name or (_text(value) if isinstance(meant, str) else _plain_addresses(value)) != meant:
            return False
    return [Enclosed(leaf.type, leaf.name, leaf.content_id) for leaf in said.leaves] == list(intent.parts)


def compare(raw: bytes, intent: Intent) -> None:
    """Return when the standard library reads in `raw` what `intent` says; raises IntentError naming the first difference."""
    # Lines of 76 base64 characters are no header, no boundary and no empty line: long runs of them decide nothing.
    message = message_from_string((_BASE64_RUN.sub(b"", raw) if len(raw) > LARGE_BYTES else raw).decode())
    seen = [(name, value) for name, value in message.items() if name not in _STRUCTURE]
    if [name for name, _ in seen] != [name for name, _ in intent.headers]:
        raise IntentError(f"headers are {[name for name, _ in seen]}, meant were {[name for name, _ in intent.headers]}")
    for (name, value), (_, meant) in zip(seen, intent.headers, strict=True):
        found = _text(value) if isinstance(meant, str) else _addresses(value)
        if found != meant:
            raise IntentError(f"{name} reads {found!r}, meant was {meant!r}")
    for name in _STRUCTURE:
        if len(message.get_all(name, [])) > 1:
            raise IntentError(f"{name} stands more than once")
    leaves = [_enclosed(part) for part in message.walk() if not part.is_multipart()]
    if leaves != list(intent.parts):
        raise IntentError(f"parts are {leaves}, meant were {list(intent.parts)}")
    if any(part.defects for part in message.walk()):
        raise IntentError(f"defects: {[defect for part in message.walk() for defect in part.defects]}")


def _check_octets(raw: bytes, intent: Intent) -> None:
    if not (raw.isascii() or _needs_more(raw, intent)) or b"\0" in raw:
        raise IntentError("an octet is not 7-bit text")
    if not raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r"):
        raise IntentError("a bare CR or LF")
    if not lines_fit(raw):
        raise IntentError(f"a line of more than {LINE_OCTETS} octets")


def _needs_more(raw: bytes, intent: Intent) -> bool:
    """Tell whether what is beyond ASCII stands in the header of a mail to somebody whose address is as well."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if intent.recipient.isascii() or not body.isascii():
        return False
    try:
        head.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_envelope(intent: Intent) -> None:
    if normalise(intent.recipient) != intent.recipient:
        raise IntentError(f"recipient {intent.recipient!r} is no address")
    if intent.envelope_sender and not valid_spec(intent.envelope_sender):
        raise IntentError(f"envelope sender {intent.envelope_sender!r} is no address")
    shown = [address for name, value in intent.headers if name in ("To", "Cc") and not isinstance(value, str) for address in value]
    if key(intent.recipient) not in {key(address.spec) for address in shown}:
        raise IntentError(f"recipient {intent.recipient} is not shown in To or Cc")


def _text(value: str) -> str:
    unfolded = _FOLD.sub(" ", value)
    if "=?" not in unfolded:
        return unfolded
    # Folds are white space between encoded-words, which decoding drops; a missing charset means plain text.
    return "".join(
        piece if isinstance(piece, str) else piece.decode(charset or "ascii", "backslashreplace")
        for piece, charset in decode_header(unfolded)
    )


def _plain_addresses(value: str) -> tuple[Address, ...] | None:
    mailboxes = readback.mailboxes(value)
    return None if mailboxes is None else tuple(Address(spec, _text(name)) for name, spec in mailboxes)


def _addresses(value: str) -> tuple[Address, ...]:
    unfolded = _FOLD.sub(" ", value)
    return tuple(Address(spec, _text(name)) for name, spec in getaddresses([unfolded]))


def _enclosed(part: Message) -> Enclosed:
    return Enclosed(part.get_content_type(), part.get_filename("") or "", str(part.get("Content-ID", "")).strip("<>"))
