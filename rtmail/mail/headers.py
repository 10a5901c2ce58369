"""Header bytes to fields, and fields to text that is safe to show, store and compare.

`structure` splits header blocks with `scan`, `message` decodes what it shows with `text_of`. A field is kept as it came
(folding included) until someone asks for its text; whatever is displayed passes `clean`.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from rtmail.mail import charset

HEADER_FIELDS = 1000
HEADER_BYTES = 100_000
ENCODED_WORDS = 500
"""Encoded-words decoded in one field; what follows stays as it is (16,000 took 3.4 s)."""

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_ENCODED = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(r"[ \t\r\n]*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
_BODY_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
_SPACES = re.compile(" {2,}")
_BASE64_JUNK = re.compile(r"[^A-Za-z0-9+/]+")
_Q_BYTE = re.compile(rb"=([0-9A-Fa-f]{2})")


class Field(NamedTuple):
    """One header field: its name as written and its value as bytes, folding kept, without the last line end."""

    name: str
    value: bytes


class Block(NamedTuple):
    """A header block as read: its fields, the offset of the body behind it, and what was wrong with it."""

    fields: list[Field]
    body_at: int
    defects: list[str]


def scan(raw: bytes, start: int, end: int, max_bytes: int = HEADER_BYTES) -> Block:
    """Return the header block that begins at `start` (RFC 5322 2.2); reads at most `HEADER_FIELDS` and `max_bytes`.

    The block ends at an empty line, at a line that is no field, or at `end`. An mbox "From " line before the first field
    is skipped. Over a limit the fields so far are returned, and the body is what follows the next empty line.
    """
    fields: list[Field] = []
    defects: list[str] = []
    limit = min(end, start + max_bytes)
    at = start
    while at < end:
        stop = _line_end(raw, at, end)
        if stop - at <= 1 and raw[at:stop] in (b"", b"\r"):
            return Block(fields, min(stop + 1, end), defects)
        if match := _FIELD.match(raw, at, stop):
            stop = _folded_end(raw, stop, end)
            if stop >= limit or len(fields) == HEADER_FIELDS:
                defects.append(f"more than {HEADER_FIELDS} header fields" if stop < limit else f"header larger than {max_bytes} bytes")
                if stop >= limit and match.end() < limit:
                    fields.append(Field(match[1].decode("ascii"), raw[match.end() : limit].strip()))
                blank = _BLANK_LINE.search(raw, at, end)
                return Block(fields, blank.end() if blank else end, defects)
            fields.append(Field(match[1].decode("ascii"), raw[match.end() : stop].strip()))
        elif fields or not raw.startswith((b"From ", b">From "), at):
            if fields or raw[at : at + 1] in b" \t":
                defects.append("header ends without an empty line")
            return Block(fields, at, defects)
        at = stop + 1
    return Block(fields, end, defects)


def _line_end(raw: bytes, at: int, end: int) -> int:
    """Return the offset of the line feed that ends the line at `at`, or `end`."""
    stop = raw.find(b"\n", at, end)
    return end if stop < 0 else stop


def _folded_end(raw: bytes, stop: int, end: int) -> int:
    """Return where the last continuation line of the field ends whose first line ends at `stop`."""
    while stop + 1 < end and raw[stop + 1] in b" \t":
        stop = _line_end(raw, stop + 1, end)
    return stop


def unfolded(value: bytes, hint: str | None = None) -> str:
    """Return a field value on one line, as text: UTF-8 where it is that, else in the charset `hint`, else guessed."""
    try:
        text = value.decode("utf-8")
    except UnicodeError:
        text = charset.decode(value, hint)[0]
    return _FOLD.sub("", text).strip()


def text_of(value: str) -> str:
    """Return an unfolded field value for display: encoded-words decoded (RFC 2047), cleaned."""
    return clean(decode_words(value))


def decode_words(value: str) -> str:
    """Return `value` with its encoded-words decoded, leniently: inside quotes and without separating blanks too.

    Neighbours of one charset are joined before decoding, since senders cut multi-byte characters in two.
    """
    if "=?" not in value:
        return value
    out: list[str] = []
    pending, pending_charset, at = b"", "", 0
    for count, match in enumerate(_ENCODED.finditer(value)):
        if count == ENCODED_WORDS:
            break
        between = value[at : match.start()]
        data, name = _word(match[1].lower(), match[2].lower(), match[3])
        adjacent = at > 0 and _BETWEEN.fullmatch(between) is not None
        if pending and not (adjacent and name == pending_charset):
            out.append(charset.decode(pending, pending_charset)[0])
            pending = b""
        if not adjacent:
            out.append(between)
        pending, pending_charset, at = pending + data, name, match.end()
    if pending:
        out.append(charset.decode(pending, pending_charset)[0])
    out.append(value[at:])
    return "".join(out)


def _word(name: str, encoding: str, body: str) -> tuple[bytes, str]:
    """Return the bytes of an encoded-word and the charset that they are in."""
    if encoding == "q":
        data = body.replace("_", " ")
        if data.isascii():
            return _Q_BYTE.sub(lambda match: binascii.unhexlify(match[1]), data.encode("ascii")), name
        # Raw 8-bit letters inside: they have been read already, what is escaped is still in the charset.
        text = re.sub(r"(?:=[0-9A-Fa-f]{2})+", lambda match: charset.decode(binascii.unhexlify(match[0].replace("=", "")), name)[0], data)
        return text.encode("utf-8", "replace"), "utf-8"
    coded = _BASE64_JUNK.sub("", body)
    return binascii.a2b_base64(coded[: len(coded) - (len(coded) % 4 == 1)] + "==="), name


def clean(text: str) -> str:
    """Return `text` on one line, without C0 and C1 controls, line ends, NUL, surrogates and direction overrides."""
    if text.isascii() and text.isprintable():
        return _SPACES.sub(" ", text).strip() if "  " in text else text.strip()
    return _SPACES.sub(" ", _INVISIBLE.sub("", _CONTROL.sub(" ", text))).strip()


def clean_body(text: str) -> str:
    """Return body text with LF line ends, without NUL, other controls (tab stays), surrogates, overrides and BOMs."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\f", "\n").replace("\v", "\n").replace("\x85", "\n")
    return _BODY_CONTROL.sub("", text)
