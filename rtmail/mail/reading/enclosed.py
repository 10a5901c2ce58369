"""Attachments of a mail -> what internal thing they hold, if any (promise 7), and what their texts say: saved mails, notes, archives.

Called by `message.read` in the limited child, since it opens what strangers pack; an engineer's answer whose attachments tell
of anything is not sent. Every depth, count and size is bounded: what lies beyond is not looked at.
"""

from __future__ import annotations

import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from rtmail.mail import address
from rtmail.mail.headers import scan, text_of, unfolded
from rtmail.mail.reading import body
from rtmail.mail.reading.structure import survey
from rtmail.mail.site import Door, Site
from rtmail.mail.tripwire import leaks

MOST_BYTES = 32 << 20
"""Looked at altogether, unpacked."""
MOST_PIECES = 300
"""Mails of mailboxes, files of archives and parts of mails, altogether."""
DEPTH = 4
TEXT_BYTES = 200_000
"""A longer text is only searched as bytes."""
SAID_CHARACTERS = 40_000
"""Of all texts together that are handed on."""
_PAGE = re.compile(r"\ufeff?\s*<[!?A-Za-z]")
_LINE_TAG = re.compile(r"</?(?:p|div|br|li|tr|h[1-6]|w:p|text:p)\b[^>]{0,2000}>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,2000}>")
_OPAQUE = ("image/", "audio/", "video/", "font/")
_MAIL = re.compile(rb"(?:From [^\n]*\n|>?[A-Za-z][A-Za-z0-9-]{1,60}:[ \t\r\n])")
_IN_MAIL = re.compile(rb"(?im)^(?:from|received|message-id|mime-version|return-path):")
_NEXT_IN_MBOX = re.compile(rb"\n\r?\n(?=From [^\n]{1,300}\n)")
_STAFF_HEADER = re.compile(r"x-rtmail-(?!loop$)")
_KEPT = b"abcdefghijklmnopqrstuvwxyz0123456789[]:@"
_DROPPED = bytes(byte for byte in range(256) if byte not in _KEPT)
_STAFF_WORDS = re.compile(rb"\[internal:staffonly|internal:staffonly\]|xrtmail(?:request|status|priority|due|internal):")


def internal(files: Iterable[tuple[str, bytes]], site: Site) -> tuple[str, str]:
    """Return what internal thing the files hold, "" for nothing, and what their texts say. `files`: type and bytes of each."""
    search = _Search(site)
    found = next((found for type_, data in files if not type_.startswith(_OPAQUE) if (found := search.look(data, 0))), "")
    return found, "\n".join(search.said)


@dataclass(slots=True)
class _Search:
    """One search over all attachments of a mail, with what it may still spend."""

    site: Site
    bytes_left: int = MOST_BYTES
    pieces_left: int = MOST_PIECES
    said: list[str] = field(default_factory=list)
    said_left: int = SAID_CHARACTERS

    def look(self, data: bytes, depth: int) -> str:
        """Return what `data` holds, in whatever it is packed."""
        data = data[: self.bytes_left]
        self.bytes_left -= len(data)
        self.pieces_left -= 1
        if not data or self.pieces_left < 0:
            return ""
        if found := self._as_bytes(data):
            return found
        if depth >= DEPTH:
            return ""
        if data.startswith(b"PK\x03\x04"):
            return self._zipped(data, depth)
        if data.startswith(b"\x1f\x8b"):
            return self.look(_gunzipped(data, self.bytes_left), depth + 1)
        if _MAIL.match(data) and _IN_MAIL.search(data[:50_000]):
            letters = _NEXT_IN_MBOX.split(data) if data.startswith(b"From ") else [data]
            return next((found for letter in letters if (found := self._mail(letter, depth))), "")
        text = _text(data[:TEXT_BYTES])
        self._keep(text)
        return leaks(text, self.site) if len(data) <= TEXT_BYTES else ""

    def _keep(self, text: str) -> None:
        text = text[: self.said_left]
        self.said_left -= len(text)
        self.said += [text] if text.strip() else []

    def _as_bytes(self, data: bytes) -> str:
        """Search what no packing hides; dropping all but letters undoes line ends, quotation signs and UTF-16."""
        bare = data.lower().translate(None, _DROPPED)
        if _STAFF_WORDS.search(bare):
            return "staff mark"
        for own in self.site.addresses.values():
            local, _, domain = own.spec.lower().encode().partition(b"@")
            if own.door is not Door.COMMENT or (local := local.translate(None, _DROPPED)) not in bare:
                continue
            if re.search(re.escape(local) + rb"[a-z2-7]{0,36}@" + re.escape(domain.translate(None, _DROPPED)), bare):
                return "comment address"
        return ""

    def _mail(self, raw: bytes, depth: int) -> str:
        if raw.startswith(b"From "):
            raw = raw.partition(b"\n")[2]
        self.pieces_left -= 1
        if self.pieces_left < 0:
            return ""
        tree = survey(raw)
        for entry in scan(raw, 0, min(len(raw), 100_000)).fields:
            name = entry.name.lower()
            if _STAFF_HEADER.match(name):
                return "mail to staff"
            if name in ("from", "to", "cc", "reply-to") and self._is_comment_address(text_of(unfolded(entry.value))):
                return "comment address"
        said = body.gather(raw, tree)
        texts = "\n\n".join(text for text, _ in said.pieces)[:TEXT_BYTES]
        if found := leaks(texts, self.site):
            return found
        self._keep(texts)
        inner = (one for one in said.found if not one.attachment.type.startswith(_OPAQUE))
        return next((found for one in inner if (found := self.look(one.load(), depth + 1))), "")

    def _is_comment_address(self, value: str) -> bool:
        owns = (address.split_detail(one.spec, self.site)[0] for one in address.parse_list([value]))
        return any(own is not None and own.door is Door.COMMENT for own in owns)

    def _zipped(self, data: bytes, depth: int) -> str:
        """A zip archive, or a document that is one (docx, xlsx, odt)."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.infolist()[: max(self.pieces_left, 0)]:
                    if member.flag_bits & 1 or member.is_dir():
                        continue
                    with archive.open(member) as file:
                        if found := self.look(file.read(self.bytes_left), depth + 1):
                            return found
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, ValueError, RuntimeError):
            return ""
        return ""


def _text(data: bytes) -> str:
    """Return what a file says where it is a text, without the tags of a page or of a document's parts; "" for anything else."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:1000]:
        return ""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        # Cut within a letter, or of an older time.
        text = data.decode("utf-8", "replace") if len(data) == TEXT_BYTES else data.decode("cp1252", "replace")
    if _PAGE.match(text):
        text = html.unescape(_TAG.sub("", _LINE_TAG.sub("\n", text)))
    return text


def _gunzipped(data: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, max(limit, 1))
    except zlib.error:
        return b""
