"""What a mail says and what is attached to it, gathered from its parts.

`message` hands over the surveyed tree and gets one readable text and the list of attachments. Which part is the text is
decided here: text/plain before HTML, never an attached mail's (P1). Payloads are decoded one at a time and dropped again.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rtmail.mail import charset
from rtmail.mail.headers import clean, clean_body, decode_words, unfolded
from rtmail.mail.model import ENCRYPTED, Attachment
from rtmail.mail.reading import html, invite, smime, tnef
from rtmail.mail.reading.plain import Uuencoded, unflow, uudecode, without_pgp_armour
from rtmail.mail.reading.structure import Node, Survey, survey

TEXT_BYTES = 1_000_000
"""Of one text part; the rest is in the raw mail."""
OTHER_CHARS = 4000
NAME_BYTES = 200
PIECE_BYTES = 1_000_000
ENTITIES = 4
"""Mails within signed containers within one another."""

MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
_EXTENSIONS = {
    "message/rfc822": ".eml", "message/global": ".eml", "text/calendar": ".ics", "text/plain": ".txt", "text/html": ".html",
    "message/delivery-status": ".txt", "text/rfc822-headers": ".txt", "application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg",
    "image/gif": ".gif", "text/csv": ".csv", "text/x-vcard": ".vcf", "text/vcard": ".vcf", "application/pgp-signature": ".asc",
    "application/pkcs7-signature": ".p7s", "application/x-pkcs7-signature": ".p7s", "application/zip": ".zip",
}
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,63}/[a-z0-9!#$&^_.+-]{1,63}")
_META_CHARSET = re.compile(rb"(?i)<meta[^>]{0,200}charset=[\"' ]*([a-z0-9_:.-]{1,40})")
_UU_ENCODINGS = frozenset({"x-uuencode", "uuencode", "uue", "x-uue"})
_BASE64_JUNK = re.compile(rb"[^A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True)
class Found:
    """An attachment, the digest that takes part in the fingerprint, and how to get its bytes."""

    attachment: Attachment
    digest: str
    load: Callable[[], bytes]


@dataclass(slots=True)
class Body:
    """What was gathered: the text pieces in order (text, is HTML), attachments, attached mails, what was wrong."""

    pieces: list[tuple[str, bool]] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    calendars: list[str] = field(default_factory=list)
    attached: list[Found] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    other_text: str = ""
    """How the version of an alternative begins that was not chosen."""
    overlong: list[str] = field(default_factory=list)
    """Digests of texts that were cut: their fingerprint is that of the whole."""

    @property
    def text(self) -> str:
        said = "\n\n".join(text.strip("\n") for text, _ in self.pieces if text.strip())
        return said or "\n\n".join(self.calendars)

    @property
    def from_html(self) -> bool:
        return any(is_html for _, is_html in self.pieces) and not any(text.strip() for text, is_html in self.pieces if not is_html)

    def take(self, other: Body, texts: bool = True) -> None:
        """Add what `other` gathered; without its text pieces when `texts` is False."""
        self.pieces += other.pieces if texts else []
        self.found += other.found
        self.calendars += other.calendars
        self.attached += other.attached
        self.other_text = self.other_text or other.other_text
        self.defects += other.defects
        self.overlong += other.overlong if texts else []


def gather(raw: bytes, tree: Survey, prefix: str = "", level: int = 0) -> Body:
    """Return what the mail in `raw` says and holds.

    prefix, level   where the entity lies when it was taken out of another part ("1.s" for the content of a signed part)
    """
    gatherer = _Gatherer(raw, prefix, level)
    body = gatherer.part(tree.root, attached=False)
    if not any(text.strip() for text, _ in body.pieces) and gatherer.named_text is not None:
        # Some senders give the only text a name; it is what they say all the same.
        body.pieces.append(gatherer.text_piece(gatherer.named_text, body))
    body.defects = list(dict.fromkeys(tree.defects + body.defects))
    return body


def payload(raw: bytes, node: Node) -> bytes:
    """Return the bytes of a part, its Content-Transfer-Encoding undone as far as it can be; never raises."""
    return bytes(_decoded(raw, node))


def _decoded(raw: bytes, node: Node) -> bytes | memoryview:
    """Return what `payload` does, but a view of the mail where nothing had to be undone: 25 MB are not copied to be hashed."""
    coded = memoryview(raw)[node.start : node.end]
    encoding = node.encoding
    if encoding == "base64":
        return _base64(coded)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(coded)
    if encoding in _UU_ENCODINGS:
        _, files = uudecode(str(coded, "latin-1").replace("\r\n", "\n"))
        return files[0].data if files else coded
    return coded


def _base64(coded: memoryview) -> bytes:
    try:
        return binascii.a2b_base64(coded)
    except binascii.Error:
        kept = _BASE64_JUNK.sub(b"", coded)
        return binascii.a2b_base64(kept[: len(kept) - (len(kept) % 4 == 1)] + b"===")


def clean_name(name: str, limit: int = NAME_BYTES) -> str:
    """Return a file name without path, controls and direction marks, at most `limit` bytes with its extension kept."""
    name = re.split(r"[/\\]", clean(name))[-1].strip(" .")
    if len(name.encode()) > limit:
        stem, dot, extension = name.rpartition(".")
        if not dot or len(extension.encode()) > 20:
            stem, dot, extension = name, "", ""
        room = limit - len((dot + extension).encode())
        name = stem.encode()[:room].decode("utf-8", "ignore") + dot + extension
    return name


class _Gatherer:
    def __init__(self, raw: bytes, prefix: str, level: int) -> None:
        self.raw, self.prefix, self.level = raw, prefix, level
        self.named_text: Node | None = None

    def part(self, node: Node, attached: bool) -> Body:
        """Gather `node`; `attached` says that text in it is an attachment, whatever it looks like."""
        if node.children and node.type not in MESSAGE_TYPES:
            return self._container(node, attached or self._disposition(node) == "attachment")
        if node.type.startswith("multipart/") and not node.opaque:
            # Its boundary is missing or wrong; what it holds is most likely to be text.
            body = Body()
            if self.raw[node.start : node.end].strip():
                body.pieces.append(self.text_piece(node, body))
            return body
        if node.type.startswith("text/") and not attached and self._is_body(node):
            body = Body()
            body.pieces.append(self.text_piece(node, body))
            return body
        return self._attached(node)

    def _container(self, node: Node, attached: bool) -> Body:
        kind = node.type.removeprefix("multipart/")
        body = Body()
        if kind == "alternative":
            choices = [self.part(child, attached) for child in node.children if child.type != "text/x-amp-html"]
            best = self._best(choices)
            for choice in choices:
                body.take(choice, texts=choice is best)
                if choice is not best and not body.other_text:
                    body.other_text = choice.text[:OTHER_CHARS]
        elif kind in ("signed", "report", "related", "encrypted"):
            if kind == "encrypted":
                body.defects.append(ENCRYPTED)
            main = self._main_child(node) if kind == "related" else node.children[0]
            for child in node.children:
                body.take(self.part(child, attached or child is not main or kind == "encrypted"))
        else:
            for child in node.children:
                body.take(self.part(child, attached or kind == "appledouble"))
        return body

    @staticmethod
    def _best(choices: list[Body]) -> Body | None:
        """The plain alternative where it says anything, else the last one that does."""
        speaking = [choice for choice in choices if any(text.strip() for text, _ in choice.pieces)]
        plain = [choice for choice in speaking if not choice.from_html]
        return plain[0] if plain else speaking[-1] if speaking else None

    def _main_child(self, node: Node) -> Node:
        start = str(node.message.get_param("start") or "").strip("<> ")
        for child in node.children if start else ():
            if _content_id(child) == start:
                return child
        return node.children[0]

    @staticmethod
    def _disposition(node: Node) -> str:
        return str(node.message.get_content_disposition() or "")

    def _is_body(self, node: Node) -> bool:
        if self._disposition(node) == "attachment":
            return False
        if node.type in ("text/plain", "text/html", "text/enriched", "text/richtext", "text/markdown", "text/x-markdown"):
            if not _file_name(node):
                return True
            if self.named_text is None:
                self.named_text = node
        return False

    def text_piece(self, node: Node, body: Body) -> tuple[str, bool]:
        """Return the text of a text part and whether it came from HTML; files uuencoded in it go to `body`."""
        whole = _decoded(self.raw, node)
        if len(whole) > TEXT_BYTES:
            body.defects.append(f"text longer than {TEXT_BYTES} bytes")
            body.overlong.append(_digest_of_lines(whole))
        data = bytes(whole[:TEXT_BYTES])
        is_html = node.type == "text/html"
        declared = _parameter(node, "charset")
        if is_html and not declared and (match := _META_CHARSET.search(data, 0, 2000)):
            declared = match[1].decode("ascii")
        text, defect = charset.decode(data, declared)
        if defect:
            body.defects.append(defect)
        text = clean_body(text)
        if is_html:
            return html.html_to_text(text), True
        if node.type in ("text/enriched", "text/richtext"):
            return html.strip_tags(text.replace("<<", "&lt;")), False
        if _parameter(node, "format").lower() == "flowed":
            text = unflow(text, _parameter(node, "delsp").lower() == "yes")
        text, files = uudecode(text)
        for number, file in enumerate(files, 1):
            body.found.append(_file(f"{self._path(node)}.u{number}", file))
        if "-----BEGIN PGP MESSAGE-----" in text:
            body.defects.append(ENCRYPTED)
        return without_pgp_armour(text), False

    def _attached(self, node: Node) -> Body:
        """Gather a part that is no text: an attachment, or a container of another sort to look into."""
        body = Body()
        data = _decoded(self.raw, node)
        name = clean_name(_file_name(node))
        if node.type in tnef.TYPES or name.lower() == "winmail.dat":
            unpacked = tnef.unpack(bytes(data))
            if unpacked is not None:
                self._unpack_tnef(node, unpacked, body)
                if body.found:
                    return body
            # Kept as it came, so that what was not found in it is not lost either.
            body.defects += [] if body.pieces else ["unreadable winmail.dat"]
        if node.type in smime.TYPES and self.level < ENTITIES:
            content = smime.signed_content(bytes(data))
            if content is not None:
                body.take(gather(content, survey(content), f"{self._path(node)}.s", self.level + 1))
                return body
            body.defects.append(ENCRYPTED)
        found = self._found(node, data, name)
        body.found.append(found)
        if node.type in MESSAGE_TYPES:
            body.attached.append(found)
        if node.type == "text/calendar":
            text = charset.decode(bytes(data[:TEXT_BYTES]), _parameter(node, "charset") or "utf-8")[0]
            if said := clean_body(invite.summary(text)):
                body.calendars.append(said)
        return body

    def _found(self, node: Node, data: bytes | memoryview, name: str) -> Found:
        kind = node.type if _TYPE.fullmatch(node.type) else "application/octet-stream"
        disposition, content_id = self._disposition(node), _content_id(node)
        if not name:
            name = clean_name(f"part-{self._path(node)}{_EXTENSIONS.get(kind, '')}")
        attachment = Attachment(
            name, kind, len(data), hashlib.sha256(data).hexdigest(), self._path(node), content_id,
            inline=disposition == "inline" or (bool(content_id) and disposition != "attachment"),
        )  # fmt: skip
        # SMTP brings CR LF and a pipe LF: an unencoded part must have one digest by both roads.
        digest = attachment.sha256 if node.encoding == "base64" else _digest_of_lines(data)
        return Found(attachment, digest, lambda: payload(self.raw, node))

    def _unpack_tnef(self, node: Node, unpacked: tnef.Unpacked, body: Body) -> None:
        if unpacked.text.strip():
            body.pieces.append((clean_body(unpacked.text), False))
        elif unpacked.html.strip():
            body.pieces.append((html.html_to_text(clean_body(unpacked.html)), True))
        for number, (name, data) in enumerate(unpacked.files, 1):
            body.found.append(_file(f"{self._path(node)}.t{number}", Uuencoded(name, data)))

    def _path(self, node: Node) -> str:
        return ".".join(filter(None, (self.prefix, node.path))) or "0"


def _file(path: str, file: Uuencoded) -> Found:
    """Return a file that lay in another part's data as an attachment."""
    digest = hashlib.sha256(file.data).hexdigest()
    attachment = Attachment(clean_name(file.name) or f"part-{path}", "application/octet-stream", len(file.data), digest, path)
    return Found(attachment, digest, lambda: file.data)


def _digest_of_lines(data: bytes | memoryview) -> str:
    """Return the SHA-256 of `data` with LF line ends and none at the end, a piece at a time."""
    digest = hashlib.sha256()
    held = b""
    for at in range(0, len(data), PIECE_BYTES):
        piece = held + data[at : at + PIECE_BYTES]
        # Line ends at the end of a piece wait: they may be the last ones, or lack their LF.
        kept = piece.rstrip(b"\r\n")
        held = piece[len(kept) :]
        if kept:
            digest.update(kept.replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _content_id(node: Node) -> str:
    return clean(str(node.message.get("content-id", "")))[:200].strip("<> ")


def _file_name(node: Node) -> str:
    return _parameter(node, "filename", "content-disposition") or _parameter(node, "name")


def _parameter(node: Node, name: str, header: str = "content-type") -> str:
    """Return a parameter of a MIME field as text: RFC 2231 and, since senders use it here too, RFC 2047 decoded."""
    try:
        value = node.message.get_param(name, "", header)
    except Exception:  # the library's RFC 2231 grammar on hostile input
        return ""
    if isinstance(value, tuple):
        declared, _, text = value
        return charset.decode(str(text).encode("latin-1", "replace"), declared or "utf-8")[0]
    return decode_words(unfolded(str(value).encode())) if value else ""
