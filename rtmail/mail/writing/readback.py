"""The bytes that we are about to send, read by one who accepts only what leaves no choice; `intent` asks it first.

The standard library's parser reads anything, and takes its time for it. Ours reads the few forms that `wire` writes, and
answers None for every other: then `intent` lets the library judge. So nothing passes here that the library would read
differently (the tests compare the two on many mails, broken ones among them), and nothing is refused here.

It shares no code with the writer, except the table of what a mailbox looks like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*): ([!-~][ -~]*)")
_WIDE_FIELD = re.compile(r"(To|Cc): ([!-~\u00a1-\U000e00ff][ -~\u00a1-\U000e00ff]*)")
"""Where alone an address beyond ASCII may stand."""
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = r"[\u00a1-\U000e00ffA-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
_SPEC = rf"(?:{_LOCAL}|\"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]+\")@[A-Za-z0-9.-]+"
_MAILBOX = re.compile(rf'(?:(?:"([^"\\=\u0080-\U0010ffff]+)"|({_ATOM}(?: {_ATOM})*)) <({_SPEC})>|({_SPEC}))(?:, (?=[^ ])|\Z)')
_MULTIPART = re.compile(r'multipart/(?:mixed|alternative|related)(?:; type="text/html")?; boundary="([A-Za-z0-9_=]{1,70})"')
_TEXT = re.compile(r'(?:(text/(?:plain|html)); charset="utf-8"|(text/calendar); charset="utf-8"; method=[A-Z]+)')
_NAMED = r"(?:=\"([^\"\\ ](?:[^\"\\]*[^\"\\ ])?)\"|\*=utf-8''([A-Za-z0-9%_.~-]+))"
_FILE = re.compile(rf"([a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+); name{_NAMED}")
_DISPOSITION = re.compile(rf"(?:inline|attachment); filename{_NAMED}")
_CONTENT_ID = re.compile(r"<([!-;=?-~]+)>")
_STRUCTURE = ["MIME-Version", "Content-Type"]
_OF_FILES = ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"]
_ENCODINGS = frozenset({"7bit", "quoted-printable", "base64"})
_COMPOSITE = ("multipart/", "message/")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no other parts."""

    type: str
    name: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mail says: its header fields but MIME's, unfolded and not decoded, and its leaves, both in order."""

    fields: list[tuple[str, str]]
    leaves: list[Leaf]


def read(raw: bytes) -> Reading | None:
    """Return what `raw` says, None for whatever could be read in two ways; `raw` is UTF-8, its only line end is CRLF."""
    head, end, body = raw.partition(b"\r\n\r\n")
    fields = _fields(head)
    if not end or fields is None:
        return None
    own = [field for field in fields if field[0] not in _STRUCTURE and field[0] != "Content-Transfer-Encoding"]
    structure = fields[len(own) :]
    if structure[:1] != [("MIME-Version", "1.0")]:
        return None
    leaves = _leaves(structure[1:], body, _DEEPEST)
    return None if leaves is None else Reading(own, leaves)


def mailboxes(value: str) -> list[tuple[str, str]] | None:
    """Return (name, address) of each mailbox of an unfolded address header; names are not decoded."""
    found, at = [], 0
    while at < len(value):
        mailbox = _MAILBOX.match(value, at)
        if mailbox is None:
            return None
        found.append((mailbox[1] or mailbox[2] or "", mailbox[3] or mailbox[4]))
        at = mailbox.end()
    return found


def _fields(head: bytes) -> list[tuple[str, str]] | None:
    fields: list[tuple[str, str]] = []
    for line in head.decode().split("\r\n"):
        if line.startswith(" "):
            if not fields or not line.strip():
                return None
            name, value = fields[-1]
            if not line.isascii() and not _WIDE_FIELD.fullmatch(f"{name}: {line[1:]}"):
                return None
            fields[-1] = (name, value + line)
        else:
            field = _FIELD.fullmatch(line) or _WIDE_FIELD.fullmatch(line)
            if field is None:
                return None
            fields.append((field[1], field[2]))
    return fields


def _leaves(fields: list[tuple[str, str]], body: bytes, depth: int) -> list[Leaf] | None:
    """Return the leaves of a part: of one that is a leaf, itself."""
    names, values = [name for name, _ in fields], [value for _, value in fields]
    if names == ["Content-Type"]:
        boundary = _MULTIPART.fullmatch(values[0])
        return _below(body, boundary[1].encode(), depth - 1) if boundary and depth else None
    if names[:2] != _OF_FILES[:2] or values[1] not in _ENCODINGS:
        return None
    if names == _OF_FILES[:2]:
        text = _TEXT.fullmatch(values[0])
        return [Leaf(text[1] or text[2])] if text else None
    file = _file(names, values)
    return [file] if file else None


def _file(names: list[str], values: list[str]) -> Leaf | None:
    known, said = _FILE.fullmatch(values[0]), _DISPOSITION.fullmatch(values[2]) if len(values) > 2 else None
    if not known or not said or known[1].startswith(_COMPOSITE):
        return None
    name = said[1] or unquote(said[2], errors="strict")
    if names == _OF_FILES:
        return Leaf(known[1], name)
    content_id = _CONTENT_ID.fullmatch(values[3]) if names == [*_OF_FILES, "Content-ID"] else None
    return Leaf(known[1], name, content_id[1]) if content_id else None


def _below(body: bytes, boundary: bytes, depth: int) -> list[Leaf] | None:
    """Return the leaves of a multipart's parts. Nothing stands before the first delimiter, nothing behind the last."""
    before, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if before or not parts or parts.pop() != b"--\r\n":
        return None
    found: list[Leaf] = []
    for part in parts:
        head, end, inner = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = _fields(head) if end and part.startswith(b"\r\n") else None
        leaves = None if fields is None else _leaves(fields, inner, depth)
        if leaves is None:
            return None
        found += leaves
    return found
