"""The MIME tree of a mail as spans of its bytes, and a light copy of it that any parser can take.

Parsers recurse per level, keep a line list, and decode every attachment while they look for the text: a crafted mail of
100 kB costs them seconds or the stack, an honest one of 25 MB half a gigabyte. So `message` first lets `survey`
find the parts in one pass over the bytes, within limits, and hands mail-parser a `light` copy in which large bodies are
left out and each part carries the number of its node. Bodies are read from the mail itself, by their spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

from rtmail.mail.headers import HEADER_BYTES, Field, scan, unfolded

MAIL_BYTES = 25 * 1024 * 1024
DEPTH = 20
"""Containers inside one another; what lies deeper is one opaque part."""
PARTS = 200
PART_HEADER_BYTES = 20_000
PARAMETERS = 100
"""Parameters of one MIME field; the rest is dropped."""
FIELD_BYTES = 20_000
"""Of one field in the light copy; a longer value is cut there."""
BOUNDARY_BYTES = 2048
LIGHT_TEXT_BYTES = 64_000
"""Bodies of text and message parts are in the light copy up to this size; reports need them."""

NO_END = "last boundary missing"
BLANK_START = "empty lines before the header"
_BLANK_START = re.compile(
    rb"(?:[ \t]{0,998}\r?\n){1,20}"
    rb"(?=(?:from|to|subject|date|received|return-path|delivered-to|message-id|mime-version|content-type|x-[a-z-]+)[ \t]*:)",
    re.IGNORECASE,
)
_MIME_FIELDS = frozenset({"content-type", "content-disposition", "content-transfer-encoding", "content-id"})
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
_PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(slots=True)
class Node:
    """One part: its header fields and the span of its body in the mail.

    path      "1", "2.1" ...; "" is the mail itself
    type      media type in lower case; boundary is set for a multipart
    opaque    a container that was not taken apart because of a limit
    message   its MIME fields as a compat32 message, decoded to text, for the library's parameter grammar
    """

    path: str
    fields: list[Field]
    type: str
    start: int
    end: int
    message: Message
    boundary: bytes = b""
    opaque: bool = False
    children: list[Node] = field(default_factory=list)

    @property
    def encoding(self) -> str:
        """The Content-Transfer-Encoding, lower case, without comments and blanks."""
        return str(self.message.get("content-transfer-encoding", "")).partition(";")[0].partition("(")[0].strip().lower()

    def walk(self) -> Iterator[Node]:
        """Yield this part and all parts below it, in the order of the mail."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class Survey:
    """The tree and what was wrong on the way."""

    root: Node
    nodes: list[Node]
    defects: list[str]


def survey(raw: bytes) -> Survey:
    """Return the parts of `raw`, at most `PARTS` of them and `DEPTH` deep; never raises."""
    surveyor = _Surveyor(raw)
    return Survey(surveyor.root, surveyor.nodes, list(dict.fromkeys(surveyor.defects)))


class _Surveyor:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.nodes, self.defects = raw, list[Node](), list[str]()
        end = len(raw)
        if end > MAIL_BYTES:
            self.defects.append(f"larger than {MAIL_BYTES} bytes")
            end = MAIL_BYTES
        start = 0
        if blank := _BLANK_START.match(raw):
            # Strictly that mail has no header at all; its sender meant one.
            self.defects.append(BLANK_START)
            start = blank.end()
        self.root = self._part("", start, end, HEADER_BYTES, "text/plain")
        self._descend(self.root, 0)

    def _part(self, path: str, start: int, end: int, header_bytes: int, default: str) -> Node:
        block = scan(self.raw, start, end, header_bytes)
        if not path or block.defects != ["header ends without an empty line"]:
            self.defects += block.defects
        message = Message()
        for entry in block.fields:
            if entry.name.lower() in _MIME_FIELDS and entry.name not in message:
                message[entry.name] = unfolded(self._trimmed(entry))
        message.set_default_type(default)
        try:
            kind, boundary = message.get_content_type(), message.get_boundary() or ""
        except Exception:  # the library's parameter parser on hostile input
            kind, boundary = "application/octet-stream", ""
            self.defects.append("unreadable Content-Type")
        encoded = boundary.encode()[:BOUNDARY_BYTES] if kind.startswith("multipart/") else b""
        node = Node(path, block.fields, kind, block.body_at, end, message, encoded)
        self.nodes.append(node)
        return node

    def _trimmed(self, entry: Field) -> bytes:
        value = entry.value
        if value.count(b";") > PARAMETERS:
            self.defects.append(f"more than {PARAMETERS} parameters in {entry.name}")
            value = b";".join(value.split(b";", PARAMETERS + 1)[: PARAMETERS + 1])
        if len(value) > FIELD_BYTES:
            self.defects.append(f"{entry.name} longer than {FIELD_BYTES} bytes")
            value = value[:FIELD_BYTES]
        return value

    def _descend(self, node: Node, depth: int) -> None:
        if node.type.startswith("multipart/"):
            if node.encoding not in _PLAIN_ENCODINGS:
                self.defects.append("encoded multipart")
            if not node.boundary:
                self.defects.append("multipart without boundary")
                return
            spans = self._split(node)
            if not spans:
                self.defects.append("boundary never found")
                return
        elif node.type in _MESSAGE_TYPES and node.encoding in _PLAIN_ENCODINGS:
            spans = [(node.start, node.end)]
        else:
            return
        if depth == DEPTH:
            self.defects.append(f"nested deeper than {DEPTH}")
            node.opaque = True
            return
        inner = node.type in _MESSAGE_TYPES
        default = "message/rfc822" if node.type == "multipart/digest" else "text/plain"
        for index, (start, end) in enumerate(spans, 1):
            if len(self.nodes) > PARTS:
                self.defects.append(f"more than {PARTS} parts")
                node.opaque = not node.children
                return
            path = f"{node.path}.{index}" if node.path else str(index)
            child = self._part(path, start, end, HEADER_BYTES if inner else PART_HEADER_BYTES, default)
            node.children.append(child)
            self._descend(child, depth + 1)

    def _split(self, node: Node) -> list[tuple[int, int]]:
        """Return the spans between the boundary lines of `node` (RFC 2046 5.1.1), one more than may be used at most."""
        # The line end before the dashes is part of the pattern: a literal start is what the regex engine finds fast.
        line = re.compile(rb"\n--" + re.escape(node.boundary) + rb"(--)?[ \t]*\r?(?=\n|\Z)")
        spans: list[tuple[int, int]] = []
        opened = -1
        for match in line.finditer(self.raw, max(node.start - 1, 0), node.end):
            if opened >= 0:
                spans.append((opened, max(opened, self._before_line_end(match.start() + 1))))
            opened = min(match.end() + 1, node.end)
            if match[1] or len(spans) > PARTS:
                return spans
        if opened >= 0:
            self.defects.append(NO_END)
            spans.append((opened, node.end))
        return spans

    def _before_line_end(self, at: int) -> int:
        """The line end before a boundary belongs to the boundary."""
        at -= self.raw[at - 1 : at] == b"\n"
        return at - (self.raw[at - 1 : at] == b"\r")


def light(raw: bytes, tree: Survey) -> bytes:
    """Return the mail with large bodies left out and fields cut to size."""
    out: list[bytes] = []
    _write(raw, tree.root, out)
    return b"".join(out)


def _write(raw: bytes, node: Node, out: list[bytes]) -> None:
    split = bool(node.children)
    for entry in node.fields:
        lowered = entry.name.lower()
        if lowered in _MIME_FIELDS:
            if not split and lowered == "content-type" and (node.type.startswith("multipart/") or node.type in _MESSAGE_TYPES):
                # Not to be taken apart: too deep, or without the boundary that it names.
                out.append(b"Content-Type: application/octet-stream\n")
                continue
            value = str(node.message.get(entry.name, "")).encode()
        else:
            value = entry.value[:FIELD_BYTES].rstrip()
        out.append(entry.name.encode() + b": " + value.replace(b"\r", b"") + b"\n")
    out.append(b"\n")
    if not split:
        readable = node.type.startswith(("text/", "message/"))
        out.append(raw[node.start : min(node.end, node.start + LIGHT_TEXT_BYTES)] if readable else b"")
    elif node.boundary:
        for child in node.children:
            out.append(b"--" + node.boundary + b"\n")
            _write(raw, child, out)
            out.append(b"\n")
        out.append(b"--" + node.boundary + b"--\n")
    else:
        _write(raw, node.children[0], out)
