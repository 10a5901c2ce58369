"""Plain text parts undone: format=flowed joined, uuencoded files taken out, PGP armour removed.

`message` calls these between decoding a text part and looking for quotes in it. All are linear and total.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

FILES = 50
"""Uuencoded files taken from one text."""

_BEGIN = re.compile(r"^begin(?:-base64)? [0-7]{3,4} (\S[^\n]{0,254})$", re.MULTILINE)
_UU_LINE = re.compile(r"[ -`]{1,90}\r?")
_PGP_BEGIN = re.compile(r"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:[A-Za-z-]+:[^\n]*\n)*[ \t]*\n?", re.MULTILINE)
_PGP_SIGNATURE = re.compile(r"(?ms)^-----BEGIN PGP SIGNATURE-----[ \t]*\n.*?(?:^-----END PGP SIGNATURE-----[ \t]*\n?|\Z)")
_DASHED = re.compile(r"^- (?=-)", re.MULTILINE)


class Uuencoded(NamedTuple):
    """A file found in a text."""

    name: str
    data: bytes


def unflow(text: str, delsp: bool = False) -> str:
    """Return format=flowed `text` with its paragraphs joined (RFC 3676 4); quote depth is kept as ">" and a blank.

    delsp   the blank before a soft line end was added by the sender and goes
    """
    out: list[str] = []
    paragraph, depth, soft = "", 0, False
    for line in text.split("\n"):
        bare = line.lstrip(">")
        quoted = len(line) - len(bare)
        bare = bare.removeprefix(" ")
        if soft and quoted != depth:
            # A soft end at a change of depth is a mistake of the sender; the line ends there.
            out.append(_quoted(depth, paragraph))
            paragraph, soft = "", False
        paragraph = paragraph + bare if soft else bare
        depth = quoted
        # The separator of a signature ends in a blank and is no flowed line.
        soft = bare.endswith(" ") and bare != "-- "
        if soft and delsp:
            paragraph = paragraph[:-1]
        if not soft:
            out.append(_quoted(depth, paragraph))
    if soft:
        out.append(_quoted(depth, paragraph))
    return "\n".join(out)


def _quoted(depth: int, text: str) -> str:
    return f"{'>' * depth} {text}" if depth else text


def uudecode(text: str) -> tuple[str, tuple[Uuencoded, ...]]:
    """Return `text` without its uuencoded files, and those files; a begin line without a decodable body stays text."""
    if "begin" not in text:
        return text, ()
    kept: list[str] = []
    files: list[Uuencoded] = []
    at = 0
    for match in _BEGIN.finditer(text):
        if match.start() < at or len(files) == FILES:
            continue
        data, end = _uu_body(text, match.end() + 1, base64="-base64" in match[0][:13])
        if data is None:
            continue
        kept.append(text[at : match.start()])
        files.append(Uuencoded(match[1].strip(), data))
        at = end
    return "".join([*kept, text[at:]]), tuple(files)


def _uu_body(text: str, at: int, base64: bool) -> tuple[bytes | None, int]:
    data = bytearray()
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop].rstrip("\r")
        at = stop + 1
        if line == "end" or (base64 and line == "===="):
            return bytes(data), at
        decoded = _uu_line(line, base64)
        if decoded is None:
            return None, at
        data += decoded
    return None, at


def _uu_line(line: str, base64: bool) -> bytes | None:
    try:
        if base64:
            return binascii.a2b_base64(line)
        if not line.strip("` "):
            return b""
        if not _UU_LINE.fullmatch(line):
            return None
        # Relays cut trailing blanks, and some senders write one character more; the length stands in the first.
        length = (ord(line[0]) - 32) & 63
        return binascii.a2b_uu(line[: 1 + (length + 2) // 3 * 4].rstrip())
    except (binascii.Error, ValueError):
        return None


def without_pgp_armour(text: str) -> str:
    """Return what a clear-signed text says (RFC 4880 7); other text as it is."""
    if "-----BEGIN PGP SIGNED MESSAGE-----" not in text:
        return text
    return _DASHED.sub("", _PGP_SIGNATURE.sub("", _PGP_BEGIN.sub("", text)))
