"""A workshop with the shipped templates, and readers of what it composes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.token import Keyring
from rtmail.mail.writing.compose import Workshop, compose
from rtmail.mail.writing.draft import Draft, Outgoing
from rtmail.mail.writing.samples import SENT_AT, sample_draft
from rtmail.mail.writing.templates import Templates

FOLDER = Path(__file__).resolve().parents[2] / "templates"
TEXTS = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in sorted(FOLDER.rglob("*.j2"))}
ADDRESS, COMMENT = "support@example.com", "support-comment@example.com"
SITE = Site(
    name="Example",
    tag="Example",
    domain="example.com",
    admin="ops@example.net",
    timezone="Europe/Berlin",
    old_tags=("Exsample",),
    addresses={
        ADDRESS: OwnAddress(ADDRESS, "support", Door.CORRESPONDENCE),
        COMMENT: OwnAddress(COMMENT, "support", Door.COMMENT),
    },
)
KEYRING = Keyring(0, {0: bytes(range(32))})
TEMPLATES = Templates(TEXTS, SITE.timezone)
WORKSHOP = Workshop(SITE, {"support": (ADDRESS, COMMENT)}, KEYRING, TEMPLATES, frozenset({1, 2}))
OUTBOX_ID = 77


def no_files(raw_id: int, part: str) -> bytes:
    raise AssertionError("no attachment was asked for")


def composed(
    draft: Draft, *, at: datetime = SENT_AT, outbox_id: int = OUTBOX_ID, workshop: Workshop = WORKSHOP, load: Any = no_files
) -> Outgoing:
    return compose(draft, at, outbox_id, workshop, load)


def kind(name: str, **changes: Any) -> Draft:
    """Return the sample draft `name` with `changes`."""
    return replace(sample_draft(name), **changes)


def with_site(**changes: Any) -> Workshop:
    return replace(WORKSHOP, site=replace(SITE, **changes))


def parsed(outgoing: Outgoing) -> Message:
    return message_from_bytes(outgoing.raw)


def part(outgoing: Outgoing, type_: str) -> str:
    """Return the decoded text of the first part of `type_`."""
    for one in parsed(outgoing).walk():
        if one.get_content_type() == type_:
            payload = one.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode().replace("\r\n", "\n")
    raise AssertionError(f"no {type_}")
