"""Delivery reports -> whom they name, for good or for now, and which of our mails they are about.

Second look of `message.read` at a mail that shows a report's structure or a daemon's sender; `robots.classify` is given
the result. RFC 3464, RFC 3461 and RFC 6533 reports are read from their fields by own code; what mail systems write in
prose is left to flufl.bounce, which is handed a capped copy of such mail only and may raise what it likes (its heuristics
are for text that daemons write, and would find "bounces" in what people say about mail).
Whose bounce it is, and whether it is believed, is decided elsewhere by our VERP address and Message-ID.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Sequence
from email.message import Message
from typing import Any

from rtmail.mail.headers import text_of
from rtmail.mail.model import Bounce
from rtmail.mail.reading.subject_words import returned

MAX_PARTS = 40
MAX_BLOCKS = 400
MAX_LINES = 1000
MAX_CHARS = 60_000
MAX_HEADERS = 100
MAX_DEPTH = 4

_DAEMON = re.compile(r"^(mailer-?daemon|mdaemon|mail\.delivery\.system)$", re.IGNORECASE)
# Local parts and names that people use too: they count only where no envelope says that a person sent the mail.
_OFFICE = re.compile(r"^(postmaster|ndr|mail(er)?-?(adm|admin|daemon).*|.*smtp.*)$", re.IGNORECASE)
_DAEMON_NAME = re.compile(
    r"mail\W*delivery|delivery\W*(sub)?system|mail\W*administrator|system\W*administrator|postmaster|mailer-daemon", re.IGNORECASE
)
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINALS = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*(.*)$")
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>,;:()\[\]\"]+@[^\s\x00-\x1f\x7f<>,;:()\[\]\"]+")
_MESSAGE_ID = re.compile(r"^[ \t>|]{0,8}message-id:\s{0,4}(<[^<>\s]{3,300}>)", re.IGNORECASE | re.MULTILINE)
_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
MAX_SAID = 500
_FAILED = ("fail", "error")
_DELAYED = ("delayed",)


def read_report(message: Message, envelope_sender: str | None) -> Bounce | None:
    """Return what `message` reports as undelivered, or None when it reports nothing of the kind.

    message          the mail's MIME tree (compat32 policy)
    envelope_sender  MAIL FROM; "" is the null sender, None where there was no envelope
    A report of deliveries or relaying alone gives None. `temporary` says that delivery is still being tried
    (RFC 3464 2.3.3 "delayed"); a failed delivery is final even with a 4.x.x status, which stays readable in `status`.
    Never raises.
    """
    parts = list(_own_parts(message))
    daemon = _from_daemon(message, envelope_sender) or _says_so_itself(message)
    structured = _content_type(message) == "multipart/report"
    if not (daemon or structured):
        return None
    blocks = [block for part in parts if _content_type(part) in _REPORTS for block in _blocks(part)]
    if blocks:
        found = _standard(blocks)
        if found is not None:
            recipients, status, temporary, said = found
            return Bounce(recipients, status, temporary, _original_id(parts), said)
        if any(_is_settled(block) for block in blocks):
            return None
    return _prose(message, parts)


def _standard(blocks: Sequence[dict[str, str]]) -> tuple[tuple[str, ...], str, bool, str] | None:
    """Return recipients, worst status, whether all is temporary, and what the server said, from per-recipient blocks (RFC 3464 2.3)."""
    failed: dict[str, str] = {}
    delayed: dict[str, str] = {}
    said: dict[bool, str] = {}
    told = False
    for block in blocks:
        action = block.get("action", "").lower()
        status = _status(block.get("status", "")) or _status(block.get("diagnostic-code", ""))
        if not action and "final-recipient" in block and status:
            action = "failed" if status.startswith("5") else "delayed" if status.startswith("4") else ""
        into = failed if action.startswith(_FAILED) else delayed if action.startswith(_DELAYED) else None
        if into is None:
            continue
        told = True
        recipient = _recipient(block)
        key = next((known for known in into if known.lower() == recipient.lower()), recipient)
        into[key] = max(into.get(key, ""), status, key=_weight)
        said[into is failed] = said.get(into is failed) or _diagnostic(block)
    if not told:
        return None
    chosen = failed or delayed
    return tuple(spec for spec in chosen if spec), max(chosen.values(), key=_weight, default=""), not failed, said[bool(failed)]


def _diagnostic(block: dict[str, str]) -> str:
    """Return what the other side said, "550 5.1.1 User unknown", without the name of its protocol (RFC 3464 2.3.6); "" for nothing."""
    kind, semicolon, text = block.get("diagnostic-code", "").partition(";")
    return " ".join((text if semicolon and kind.strip().replace("-", "").isalnum() else f"{kind}{semicolon}{text}").split())[:MAX_SAID]


def _is_settled(block: dict[str, str]) -> bool:
    """Return whether a block tells of a success: delivered, relayed, expanded (RFC 3464 2.3.3)."""
    return block.get("action", "").lower().startswith(("delivered", "relayed", "expanded"))


def _recipient(block: dict[str, str]) -> str:
    """Return the address that we wrote to: the original recipient before what it was rewritten to (RFC 3464 2.3.1, 2.3.2)."""
    for name in ("original-recipient", "x-actual-recipient", "final-recipient"):
        kind, semicolon, value = block.get(name, "").partition(";")
        if not semicolon:
            kind, value = "rfc822", kind
        if kind.strip().lower() not in ("rfc822", "utf-8"):
            continue
        value = _XTEXT.sub(_character, value)
        found = _ADDRESS.search(value)
        if found:
            return found.group().strip(".'")
    return ""


def _character(match: re.Match[str]) -> str:
    """Return the character of a `\\x{HEX}` (RFC 6533 3), or the text itself where it names none."""
    code = int(match.group(1), 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else match.group()


def _status(text: str) -> str:
    """Return the enhanced status code in `text` (RFC 3463), or ""."""
    found = _STATUS.search(text)
    return found.group() if found else ""


def _weight(status: str) -> tuple[int, ...]:
    """Return what statuses are ordered by: the class first, then the numbers."""
    return tuple(int(number) for number in status.split(".")) if status else ()


def _blocks(part: Message) -> Iterator[dict[str, str]]:
    """Yield the field groups of a delivery-status part by lower-case name; the first value of a name counts.

    Python parses message/delivery-status into a list of messages, its RFC 6533 sister into one, whatever their encoding.
    """
    groups = [group.split("\n") for group in re.split(r"\n[ \t]*\n", _status_text(part))[:MAX_BLOCKS]]
    for lines in groups:
        fields: dict[str, str] = {}
        name = ""
        for line in "\n".join(lines).replace("\r", "").split("\n")[:MAX_HEADERS]:
            found = _FIELD.match(line)
            if found:
                name = found.group(1).lower()
                if name in fields:
                    name = ""
                else:
                    fields[name] = found.group(2).strip()[:2000]
            elif name and line[:1] in " \t":
                fields[name] = f"{fields[name]} {line.strip()}"[:2000]
        if fields:
            yield fields


def _status_text(part: Message) -> str:
    """Return the text of a delivery-status part as it stood in the mail, its transfer encoding undone."""
    payload = _payload(part)
    if not isinstance(payload, list):
        return _decoded(part)
    groups: list[str] = []
    for block in payload[:MAX_BLOCKS]:
        if isinstance(block, Message):
            fields = "\n".join(f"{name}: {value}" for name, value in block.items()[:MAX_HEADERS])
            body = _payload(block)
            groups += [fields, body if isinstance(body, str) else ""]
    text = "\n\n".join(group for group in groups if group.strip())[: 4 * MAX_CHARS]
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if encoding not in ("base64", "quoted-printable"):
        return text.replace("\r\n", "\n")
    data = text.encode("utf-8", "replace")
    try:
        plain = binascii.a2b_base64(data) if encoding == "base64" else quopri.decodestring(data)
    except binascii.Error:
        return text
    return plain.decode("utf-8", "replace").replace("\r\n", "\n")


def _original_id(parts: Sequence[Message]) -> str:
    """Return the Message-ID of the mail that came back, from what the report carries of it, or ""."""
    for part in parts:
        if _content_type(part) not in _ORIGINALS:
            continue
        payload = _payload(part)
        if isinstance(payload, list) and payload and isinstance(payload[0], Message):
            text = "\n".join(f"{name}: {value}" for name, value in payload[0].items()[:MAX_HEADERS])
            if not text:
                text = _decoded(payload[0])
        else:
            text = _decoded(part)
        found = _MESSAGE_ID.search(text)
        if found:
            return found.group(1)
    return ""


def _prose(message: Message, parts: Sequence[Message]) -> Bounce | None:
    """Return what flufl.bounce reads in a daemon's words, or None."""
    try:
        import flufl.bounce  # where mail is read, and nowhere else

        temporary, permanent = flufl.bounce.all_failures(_capped(message))
    except Exception:  # it raises whatever odd input makes it raise; see the module's first lines
        return None
    recipients = tuple(sorted(_ADDRESS.findall(b" ".join(permanent or temporary).decode("ascii", "replace"))))
    if not recipients:
        return None
    text = "\n".join(_decoded(part) for part in parts if _content_type(part).startswith("text/"))[:MAX_CHARS]
    wanted = ("4",) if not permanent else ("5", "4")
    codes = [found.group() for found in _STATUS.finditer(text) if found.group().startswith(wanted)]
    found = _MESSAGE_ID.search(text)
    return Bounce(recipients, codes[0] if codes else "", not permanent, _original_id(parts) or (found.group(1) if found else ""))


def _capped(message: Message, depth: int = 0) -> Message:
    """Return a copy of `message` small enough for a parser that is slow on long text, headers as plain strings."""
    copy = Message()
    for name, value in message.items()[:MAX_HEADERS]:
        copy.add_header(name, re.sub(r"[\r\n]+(?=[ \t])|[\r\n]+", " ", str(value))[:4000])
    payload = _payload(message)
    if isinstance(payload, list):
        below = payload[:MAX_PARTS] if depth < MAX_DEPTH else []
        copy.set_payload([_capped(part, depth + 1) for part in below if isinstance(part, Message)])
    elif isinstance(payload, str) and (_content_type(message).startswith(("text/", "message/")) or not depth):
        copy.set_payload(_cut(payload))
    else:
        copy.set_payload("")
    return copy


def _cut(text: str) -> str:
    """Return the beginning of `text`: at most MAX_LINES lines and MAX_CHARS characters, blank runs shortened to one."""
    lines = text[:MAX_CHARS].splitlines()
    kept = [line for number, line in enumerate(lines) if line.strip() or not number or lines[number - 1].strip()]
    return "\n".join(kept[:MAX_LINES]) + "\n"


def _own_parts(message: Message) -> Iterator[Message]:
    """Yield `message` and its parts without looking into mails that it carries, at most MAX_PARTS."""
    waiting = [message]
    seen = 0
    while waiting and seen < MAX_PARTS:
        part = waiting.pop(0)
        seen += 1
        yield part
        payload = _payload(part)
        if isinstance(payload, list) and _content_type(part).startswith("multipart/"):
            waiting.extend(child for child in payload[:MAX_PARTS] if isinstance(child, Message))


def _payload(part: Message) -> Any:
    """Return the part's payload; where its charset is no name of any (a NUL in it raises), its bytes as Latin-1."""
    try:
        return part.get_payload()
    except ValueError:
        return bytes(part.get_payload(decode=True) or b"").decode("latin-1")


def _content_type(part: Message) -> str:
    """Return the part's type in lower case; "text/plain" where its header can't be read."""
    try:
        return part.get_content_type().lower()
    except Exception:  # compat32 trips over some raw 8-bit and malformed values
        return "text/plain"


def _decoded(part: Message) -> str:
    """Return the part's text, its transfer encoding undone, at most MAX_CHARS; bytes that are no UTF-8 as Latin-1."""
    try:
        payload = part.get_payload(decode=True)
    except Exception:
        payload = None
    if isinstance(payload, bytes):
        data = payload[: MAX_CHARS * 2]
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    elif isinstance(_payload(part), list):
        inner = (sub for sub in _payload(part) if isinstance(sub, Message))
        text = "\n\n".join("\n".join(f"{name}: {value}" for name, value in sub.items()) for sub in inner)
    else:
        text = str(_payload(part) or "")
    return text.replace("\r\n", "\n").replace("\r", "\n")[:MAX_CHARS]


def _from_daemon(message: Message, envelope_sender: str | None) -> bool:
    """Return whether the mail shows a mail system's sender: the null one, or a daemon's name in From."""
    if envelope_sender is None:
        envelope_sender = _return_path(message)
    if envelope_sender == "":
        return True
    raw = str(message.get("from", ""))[:1000]
    found = _ADDRESS.search(raw)
    local = (found.group() if found else raw.strip("<> ")).rpartition("@")[0] if "@" in raw else raw.strip("<> ")
    local = re.sub(r"^[\\\"']+|[\\\"']+$", "", local)
    if _DAEMON.match(local):
        return True
    person = envelope_sender is not None and not _OFFICE.match(envelope_sender.partition("@")[0])
    return not person and bool(_OFFICE.match(local) or _DAEMON_NAME.search(raw.partition("<")[0] or raw) or _DAEMON_NAME.search(raw))


def _says_so_itself(message: Message) -> bool:
    """Return whether a program's mail has a delivery report's subject: some report in the name of the administrator, whose words the
    same subject from a person would be."""
    automatic = str(message.get("auto-submitted", "no")).strip().lower().startswith("auto-")
    bulk = str(message.get("precedence", "")).strip().lower() in ("bulk", "junk")
    return (automatic or bulk) and returned(text_of(str(message.get("subject", ""))[:1000]))


def _return_path(message: Message) -> str | None:
    """Return "" when the delivery agent noted the null sender in Return-Path (RFC 5321 4.4), else None: it may be older than our hop."""
    value = str(message.get("return-path", "-")).strip()
    return "" if value in ("<>", "") or re.fullmatch(r"<?mailer-daemon(@\S*)?>?", value, re.IGNORECASE) else None
