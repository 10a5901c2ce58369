"""The outline of an old mail: what its header alone says of its place among others. Pure, linear, total.

Whoever takes an archive in looks at all of it before the first mail is read: which came first, which answers which, and what
number its house once gave it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rtmail.mail import address
from rtmail.mail.fields import date_of, ids_in
from rtmail.mail.headers import Field, scan, text_of, unfolded
from rtmail.mail.reading.quoting import has_reply_prefix
from rtmail.mail.site import Site

ON_THE_WAY = timedelta(days=5)
"""So long a mail may be on its way at most: a Received line that is further from its Date was written when it was moved."""
HEAD_BYTES = 100_000
_CITED = 100
_FIRST = datetime(1982, 8, 13, tzinfo=UTC)
"""The day of RFC 822: what claims to be older has a broken clock."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What the header of one mail says.

    cited   Message-IDs that it answers or refers to, nearest first
    sender  what addresses are compared by (`address.key`) of the first address in From, "" for none
    tags    numbers in tags of ours in the subject; reply: the subject begins with Re:, AW: ...
    at      when it was taken in: see `when`
    """

    message_id: str
    cited: tuple[str, ...]
    sender: str
    tags: tuple[int, ...]
    reply: bool
    at: datetime


def outline(raw: bytes, kept_at: datetime | None, site: Site, now: datetime) -> Outline:
    """Return the outline of a mail of which `raw` holds at least the header.

    kept_at  when its box says that it came (the "From " line, INTERNALDATE, a Maildir's file name), None for nothing said
    now      no mail is later
    """
    fields = scan(raw, 0, min(len(raw), HEAD_BYTES)).fields
    subject = text_of(_first(fields, "subject"))
    own = ids_in([_first(fields, "message-id")])
    cited = [*ids_in([_first(fields, "in-reply-to")]), *reversed(ids_in([_first(fields, "references")]))]
    senders = address.parse_list([_first(fields, "from")])
    return Outline(
        message_id=own[0] if own else "",
        cited=tuple(dict.fromkeys(one for one in cited if one not in own[:1]))[:_CITED],
        sender=address.key(senders[0].spec) if senders else "",
        tags=tags(subject, site),
        reply=has_reply_prefix(subject),
        at=when(fields, kept_at, now),
    )


def when(fields: list[Field], kept_at: datetime | None, now: datetime) -> datetime:
    """Return when a mail was taken in, UTC, never later than `now`.

    The topmost Received line that is within five days of the Date header: what lies above it was written by whoever moved the mail
    later. Else the Date header; without one what its box says; else now.
    """
    date = _instant(_first(fields, "date"))
    taken = [at for field in fields if field.name.lower() == "received" if (at := _instant(unfolded(field.value).rpartition(";")[2]))]
    at = next((one for one in taken if date is None or abs(one - date) <= ON_THE_WAY), None) or date or kept_at or now
    return min(at, now)


def tags(subject: str, site: Site) -> tuple[int, ...]:
    """Return the numbers of our tags, those of former names too, in a subject, in order."""
    names = "|".join(re.escape(name) for name in (site.tag, *site.old_tags) if name)
    if not names or "[" not in subject:
        return ()
    return tuple(int(number) for number in re.findall(rf"(?i)\[\s*(?:{names})\s*#\s*([0-9]{{1,9}})\s*\]", subject))


def _first(fields: list[Field], name: str) -> str:
    return next((unfolded(field.value) for field in fields if field.name.lower() == name), "")


def _instant(text: str) -> datetime | None:
    at = date_of(text)
    return at if at and at >= _FIRST else None
