"""What Outlook's winmail.dat holds: a text and the real attachments.

`message` lists them in place of the container. tnefparse raises what it likes on hostile input and copies the rest of
the data for each object, so size and number of objects are looked at first.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from rtmail.mail import charset

SIGNATURE = b"\x78\x9f\x3e\x22"
TNEF_BYTES = 25 * 1024 * 1024
OBJECTS = 2000
TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The text bodies ("" where there is none) and the files as (name, data)."""

    text: str
    html: str
    files: tuple[tuple[str, bytes], ...]


def unpack(data: bytes) -> Unpacked | None:
    """Return what `data` holds, None when it is no readable TNEF; never raises."""
    if not data.startswith(SIGNATURE) or len(data) > TNEF_BYTES or _objects(data) > OBJECTS:
        return None
    from tnefparse.tnef import TNEF

    logging.getLogger("tnef-decode").setLevel(logging.CRITICAL)
    try:
        tnef: Any = TNEF(data, False)  # type: ignore[no-untyped-call]
        files = tuple((_name(attachment), bytes(attachment.data or b"")) for attachment in tnef.attachments)
        return Unpacked(_text(tnef.body, tnef.codepage), _text(tnef.htmlbody, tnef.codepage), files)
    except Exception:  # whatever a parser of binary junk raises: the part stays an ordinary attachment
        return None


def _objects(data: bytes) -> int:
    """Return how many objects the length fields announce: level, id, length, data, checksum (MS-OXTNEF 2.1.3)."""
    at, count = 6, 0
    while at + 12 < len(data) and count <= OBJECTS:
        at += 11 + int.from_bytes(data[at + 5 : at + 9], "little")
        count += 1
    return count


def _name(attachment: Any) -> str:
    try:
        name = attachment.long_filename() or attachment.name
    except Exception:  # a name in a charset that is none
        name = ""
    return name.decode("latin-1") if isinstance(name, bytes) else str(name or "")


def _text(body: object, codepage: object) -> str:
    if isinstance(body, list | tuple):
        body = body[0] if body else ""
    if isinstance(body, bytes):
        body = charset.decode(body, str(codepage or ""))[0]
    return str(body or "").rstrip("\x00")
