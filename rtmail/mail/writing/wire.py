"""Header lines and MIME parts as bytes: the last step before a mail is fixed; `compose` calls it.

Everything is written from validated values: one place cleans text, RFC 2047 is used only where ASCII does not do, ids are
never encoded, and what comes out is 7-bit, CRLF only, with no line over 998 octets (RFC 5322 2.1.1). Only an
address with a local part beyond ASCII stands in the header as the UTF-8 that it is, since nothing else would be it (RFC 6532).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from rtmail.mail.model import Address

LINE_OCTETS = 998
TEXT_LIMIT = 250
"""Characters of a header's text; longer is cut with an ellipsis."""
FILE_NAME_BYTES = 200

_FOLD = 76
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Controls, bidirectional overrides, invisible format characters, lone surrogates; joiners (U+200C, U+200D) carry meaning and stay."""
_BODY_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NEWLINES = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""What the Q encoding may leave as it is even inside a display name (RFC 2047 5)."""
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,490}>")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}")
_SEPARATORS = re.compile(r'[/\\:*?"<>|]')
_UNWRAPPABLE = ("message/", "multipart/")


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return `text` as one line of visible characters, white space collapsed, cut to `limit` characters."""
    if text.isprintable() and "  " not in text and text == text.strip():
        cleaned = text
    else:
        cleaned = " ".join(_UNSEEN.sub("", " ".join(text.split())).split())
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1].rstrip() + "…"


def many_lines(text: str) -> str:
    r"""Return `text` with "\n" as its only line break and no other control character than the tab."""
    return _BODY_UNSEEN.sub("", _NEWLINES.sub("\n", text))


def lines_fit(data: bytes) -> bool:
    """Tell whether no line of `data`, which ends lines with CRLF, has more than LINE_OCTETS; looks at a few places of each 1,000."""
    at = 0
    while len(data) - at > LINE_OCTETS + 2:
        end = data.rfind(b"\n", at, at + LINE_OCTETS + 2)
        if end < 0:
            return False
        at = end + 1
    return max(map(len, data[at:].split(b"\r\n"))) <= LINE_OCTETS


def valid_message_id(message_id: str) -> bool:
    """Tell whether `message_id` may stand in a header: angle brackets around up to 490 visible ASCII characters."""
    return _MESSAGE_ID.fullmatch(message_id) is not None


def file_name(name: str) -> str:
    """Return an attachment's name fit for any file system: no path, no controls, at most FILE_NAME_BYTES of UTF-8."""
    cleaned = _SEPARATORS.sub("_", one_line(name, 1000)).strip(". ") or "attachment"
    stem, dot, ending = cleaned.rpartition(".")
    if not dot or len(ending) > 16:
        stem, ending = cleaned, ""
    room = FILE_NAME_BYTES - len((dot + ending).encode()) if ending else FILE_NAME_BYTES
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return f"{stem}.{ending}" if ending else stem


def media_type(declared: str) -> str:
    """Return `declared` in lower case where it may label base64, else application/octet-stream (RFC 2046 5.2.1)."""
    lowered = declared.lower()
    return lowered if _TYPE.fullmatch(lowered) and not lowered.startswith(_UNWRAPPABLE) else "application/octet-stream"


# Headers


def text_header(name: str, text: str) -> str:
    """Return an unstructured header; leading ASCII words stay readable, RFC 2047 begins at the first that needs it."""
    words = text.split(" ")
    plain = next((at for at, word in enumerate(words) if not word.isascii() or "=?" in word), len(words))
    tokens = words[:plain]
    if plain < len(words):
        tokens += _encoded_words(" ".join(words[plain:]))
    return _folded(name, tokens)


def address_header(name: str, addresses: Sequence[Address]) -> str:
    """Return a From, To, Cc or Reply-To header of addresses that are valid already."""
    tokens: list[str] = []
    for address in addresses:
        mailbox = [*_phrase(address.name), f"<{address.spec}>"] if address.name else [address.spec]
        tokens += [*mailbox[:-1], mailbox[-1] + ","]
    tokens[-1] = tokens[-1][:-1]
    return _folded(name, tokens)


def ids_header(name: str, ids: Sequence[str]) -> str:
    """Return In-Reply-To, References or Message-ID: ids as they are, one a line where they do not fit (P6)."""
    return _folded(name, ids)


def _folded(name: str, tokens: Sequence[str]) -> str:
    lines, line = [], f"{name}:"
    for token in tokens:
        if len(line) + 1 + len(token) > _FOLD and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += " " + token
    return "\r\n".join([*lines, line])


def _phrase(name: str) -> list[str]:
    if not name.isascii() or "=?" in name:
        return _encoded_words(name)
    if _ATOMS.fullmatch(name):
        return name.split(" ")
    return ['"' + name.replace("\\", r"\\").replace('"', r"\"") + '"']


def _encoded_words(text: str) -> list[str]:
    """Return `text` as RFC 2047 words of at most 75 characters, none of which splits a character."""
    octets = text.encode()
    quoted = sum(1 if octet in _Q_SAFE or octet == 0x20 else 3 for octet in octets)
    if quoted <= len(octets) * 4 / 3:
        return [f"=?utf-8?q?{chunk}?=" for chunk in _chunks([_q(character) for character in text], 63)]
    return [f"=?utf-8?b?{base64.b64encode(chunk.encode()).decode()}?=" for chunk in _chunks(list(text), 45, in_octets=True)]


def _q(character: str) -> str:
    if character == " ":
        return "_"
    return "".join(chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in character.encode())


def _chunks(pieces: list[str], room: int, *, in_octets: bool = False) -> list[str]:
    chunks: list[str] = []
    chunk: list[str] = []
    filled = 0
    for piece in pieces:
        size = len(piece.encode()) if in_octets else len(piece)
        if filled + size > room:
            chunks.append("".join(chunk))
            chunk, filled = [], 0
        chunk.append(piece)
        filled += size
    return [*chunks, "".join(chunk)]


def _parameter(name: str, value: str) -> str:
    if value.isascii() and "=?" not in value:
        escaped = value.replace("\\", r"\\").replace('"', r"\"")
        return f';\r\n {name}="{escaped}"'
    return f";\r\n {name}*=utf-8''{quote(value, safe='')}"


# Parts


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME part: its header lines without the last CRLF, and its body with it."""

    head: str
    body: bytes


@dataclass(frozen=True, slots=True)
class File:
    """A file to enclose; with a `content_id` (no angle brackets) it is shown inside the HTML."""

    name: str
    type: str
    content: bytes
    content_id: str = ""


def text_part(text: str, subtype: str, more: str = "") -> Part:
    """Return text/`subtype` in the lightest encoding that carries it: 7bit, quoted-printable, else base64.

    A line that begins with "From " is encoded too, since mbox writers and old relays change it. `more` follows the charset as it is.
    """
    data = (text.rstrip("\n") + "\n").replace("\n", "\r\n").encode()
    charset = "utf-8"
    if data.isascii() and b"\r\nFrom " not in b"\r\n" + data and lines_fit(data):
        encoding, body = "7bit", data
    else:
        body = binascii.b2a_qp(data)
        body = (b"\r\n" + body).replace(b"\r\nFrom ", b"\r\n=46rom ")[2:]
        encoding = "quoted-printable"
        if len(body) > len(data) * 1.4:
            encoding, body = "base64", _base64(data)
    return Part(f'Content-Type: text/{subtype}; charset="{charset}"{more}\r\nContent-Transfer-Encoding: {encoding}', body)


def file_part(file: File) -> Part:
    """Return a base64 part with its name in RFC 2231 form where needed."""
    head = f"Content-Type: {file.type}{_parameter('name', file.name)}\r\nContent-Transfer-Encoding: base64\r\n"
    disposition = "inline" if file.content_id else "attachment"
    head += f"Content-Disposition: {disposition}{_parameter('filename', file.name)}"
    if file.content_id:
        head += f"\r\nContent-ID: <{file.content_id}>"
    return Part(head, _base64(file.content))


def multipart(subtype: str, parts: Sequence[Part]) -> Part:
    """Return multipart/`subtype`.

    The boundary is the same in all mails, which spares the reader (`intent`) a pattern a mail. "=_" cannot stand in
    quoted-printable or base64; where a 7bit part holds it, another boundary follows from it.
    """
    boundary = f"=_rtmail_{subtype}"
    while any(boundary.encode() in part.body for part in parts):
        boundary = "=_" + hashlib.sha256(boundary.encode()).hexdigest()[:32]
    delimiter = f"--{boundary}\r\n".encode()
    pieces = [piece for part in parts for piece in (delimiter, part.head.encode(), b"\r\n\r\n", part.body, b"\r\n")]
    extra = '; type="text/html"' if subtype == "related" else ""
    return Part(f'Content-Type: multipart/{subtype}{extra};\r\n boundary="{boundary}"', b"".join([*pieces, f"--{boundary}--\r\n".encode()]))


def message(headers: Sequence[str], root: Part) -> bytes:
    """Return the whole mail."""
    return "\r\n".join([*headers, "MIME-Version: 1.0", root.head, "", ""]).encode() + root.body


def _base64(data: bytes) -> bytes:
    written = base64.b64encode(data)
    return b"".join([written[at : at + 76] + b"\r\n" for at in range(0, len(written), 76)]) or b"\r\n"
