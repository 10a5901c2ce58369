"""A mail without what is private in it: every part that is text, and every header, with each finding replaced by what it was.

The tree of parts stays as it was, so that attachments are found where they were. What is left is looked at once more; where
something is still found, or the mail cannot be taken apart, only its headers and its redacted words are kept.
"""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message

from rtmail.mail import charset
from rtmail.mail.privacy import private
from rtmail.mail.reading import html

_PLAIN_HEADERS = ("From", "To", "Cc", "Date", "Message-ID", "In-Reply-To", "References", "Return-Path")
_PARTS = 500
"""A mail of more parts keeps its words alone."""
_SIGNED = ("DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results")


def rewritten(raw: bytes, subject: str, text: str) -> bytes:
    """Return a mail without what is private in it.

    subject, text  of it as we read them, for the case that only these can be kept
    """
    try:
        message = message_from_bytes(raw, policy=policy.compat32)
        parts = [part for _, part in zip(range(_PARTS + 1), message.walk(), strict=False)]
        if len(parts) <= _PARTS:
            for part in parts:
                _clean_headers(part)
                if not part.is_multipart():
                    _clean(part)
            for name in _SIGNED:
                del message[name]
            done = message.as_bytes()
            if not found_in(done):
                return done
    except Exception:  # whatever the standard library makes of hostile bytes: the words are kept
        message = Message()
    return _words(message, subject, text)


def found_in(raw: bytes) -> tuple[str, ...]:
    """Return what the headers and decoded parts of a mail seem to hold."""
    message = message_from_bytes(raw, policy=policy.compat32)
    texts = []
    for part in message.walk():
        texts += [_decoded(value) for value in part.values()]
        if not part.is_multipart():
            texts += _texts(part)
    return private.sorts(texts)


def _clean_headers(part: Message) -> None:
    for at, (name, value) in enumerate(list(part._headers)):  # type: ignore[attr-defined]
        shown = _decoded(value)
        if private.find(shown):
            clean = private.redacted(shown).replace("\n", " ").replace("\r", " ")
            part._headers[at] = (name, clean.encode("ascii", "replace").decode())  # type: ignore[attr-defined]


def _decoded(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value))))
    except Exception:  # a header that cannot be decoded is looked at as it stands
        return str(value)


def _clean(part: Message) -> None:
    texts = _texts(part)
    if not private.sorts(texts):
        return
    if part.get_content_maintype() != "text":
        _put(part, "text/plain", "[removed: it held private data]")
    elif part.get_content_subtype() == "html":
        _put(part, "text/plain", private.redacted(texts[-1]))
    else:
        _put(part, part.get_content_type(), private.redacted(texts[0]))


def _texts(part: Message) -> list[str]:
    """Return what can be read of a part; of HTML its source and what it shows."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    if part.get_content_maintype() != "text":
        return [data.decode("utf-8", "replace")]
    text = charset.decode(data, str(part.get_content_charset() or ""))[0]
    return [text, html.html_to_text(text)] if part.get_content_subtype() == "html" else [text]


def _put(part: Message, type_: str, text: str) -> None:
    name = part.get_filename()
    for header in ("Content-Type", "Content-Transfer-Encoding"):
        del part[header]
    part["Content-Type"] = f"{type_}; charset=utf-8"
    part["Content-Transfer-Encoding"] = "base64"
    if name and not part["Content-Disposition"]:
        part["Content-Disposition"] = "attachment"
    part.set_payload(base64.encodebytes(text.encode("utf-8", "replace")).decode())


def _words(message: Message, subject: str, text: str) -> bytes:
    kept = Message()
    for name in _PLAIN_HEADERS:
        value = _decoded(message.get(name, ""))
        if value:
            kept[name] = " ".join(private.redacted(value).encode("ascii", "replace").decode().split())
    kept["Subject"] = " ".join(private.redacted(subject).encode("ascii", "replace").decode().split())
    kept["MIME-Version"] = "1.0"
    _put(kept, "text/plain", private.redacted(text))
    return kept.as_bytes()
