"""A conversation as an mbox file (mboxrd, RFC 4155), to be opened in a mail client."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from rtmail.mail.address import normalise
from rtmail.mail.model import Address
from rtmail.mail.writing.wire import (
    File,
    address_header,
    file_part,
    ids_header,
    message,
    multipart,
    one_line,
    text_header,
    text_part,
    valid_message_id,
)

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
INTERNAL_HEADER = "X-RTMail-Internal"
"""By it a mail is known for what it is when the file is attached to an answer."""
_NOBODY = "unknown@invalid"


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail of it: `raw` as it came, or "" with what it said. `internal`: no participant may have it; a header says so.

    to, cc, files  of one that is written here
    """

    at: datetime
    sender: Address
    subject: str
    text: str
    message_id: str = ""
    references: tuple[str, ...] = ()
    raw: bytes = b""
    internal: bool = False
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    files: tuple[File, ...] = ()


def mbox(letters: Iterable[Letter]) -> bytes:
    """Return the letters as one file, in their order."""
    parts = []
    for letter in letters:
        spec = normalise(letter.sender.spec) or _NOBODY
        raw = (letter.raw or _written(letter, spec)).replace(b"\r\n", b"\n")
        head = f"From {spec if spec.isascii() and ' ' not in spec else _NOBODY} {letter.at.astimezone(UTC):%a %b %e %H:%M:%S %Y}\n"
        head += f"{INTERNAL_HEADER}: yes\n" if letter.internal else ""
        parts.append(head.encode() + _FROM.sub(rb">\1", raw.rstrip(b"\n")) + b"\n\n")
    return b"".join(parts)


def _written(letter: Letter, spec: str) -> bytes:
    headers = [
        address_header("From", (Address(spec, one_line(letter.sender.name)),)),
        *(address_header(name, people) for name, people in (("To", _written_to(letter.to)), ("Cc", _written_to(letter.cc))) if people),
        text_header("Subject", one_line(letter.subject)),
        f"Date: {format_datetime(letter.at)}",
    ]
    if valid_message_id(letter.message_id):
        headers.append(f"Message-ID: {letter.message_id}")
    if known := [one for one in letter.references if valid_message_id(one)]:
        headers += [ids_header("In-Reply-To", known[-1:]), ids_header("References", known)]
    words = text_part(letter.text, "plain")
    return message(headers, multipart("mixed", [words, *map(file_part, letter.files)]) if letter.files else words)


def _written_to(people: tuple[Address, ...]) -> tuple[Address, ...]:
    return tuple(Address(spec, one_line(one.name)) for one in people if (spec := normalise(one.spec)) and spec.isascii())
