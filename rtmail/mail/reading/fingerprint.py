"""The fingerprint of a mail: what two arrivals of the same one have in common (promise 2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime

from rtmail.mail.headers import clean

_LIST_RULE = re.compile(r"(?m)^(?:[_=*-]{10,}|-- ?)[ \t]*$")
_LIST_WORDS = re.compile(
    r"mailing[ -]list|listinfo|googlegroups\.com|groups\.io|/groups/|unsubscribe|subscribed to|abmelden|désinscri|відписатися|lists?[.@]",
    re.IGNORECASE,
)
_LIST_FOOTER_LINES = 15


def fingerprint_of(sender: str, date: datetime | None, written_date: str, subject: str, text: str, digests: Iterable[str] = ()) -> str:
    """Return the fingerprint of a mail, in hex; white space counts as one blank, since relays change it."""
    at = date.isoformat() if date else clean(written_date)
    parts = [sender.lower(), at, *(" ".join(part.split()) for part in (subject, text)), *digests]
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()


def without_list_footer(text: str) -> str:
    """Return `text` without what a mailing list put below it: the last ruled-off lines when they speak of a list."""
    rules = list(_LIST_RULE.finditer(text))
    # Mailman closes its footer with a rule of its own, Google opens with a signature's dashes: the last two may count.
    for rule in rules[-2:]:
        footer = text[rule.end() :]
        if footer.count("\n") <= _LIST_FOOTER_LINES and _LIST_WORDS.search(footer):
            return text[: rule.start()]
    return text
