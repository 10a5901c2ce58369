"""What became of one attempt to hand over one mail: a value that the relay returns and the courier settles.

Sent and Failed are the store's own words for it; PutOff knows more than the store keeps.

Here too is what can be read out of a relay's answer: its enhanced status, and the id under which it sends the mail on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from rtmail.store.outbox import Failed, Sent

_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_NAMED = re.compile(r"<([^<>\s@]+@[^<>\s@]+)>")
_SES_HOST = re.compile(r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com", re.IGNORECASE)
_SES_ID = re.compile(r"\b([0-9a-f]{16,}-[0-9a-f-]{20,})\b")
TEXT_LENGTH = 500


@dataclass(frozen=True, slots=True)
class PutOff:
    """Not now. `stage` is where the dialogue stood; `relay_down`: the relay is out of order, any other mail would fare the same."""

    text: str
    stage: str
    relay_down: bool = False

    @property
    def about_mail(self) -> bool:
        """The mail itself was under way, so that it may be what the relay stumbled over."""
        return self.stage in ("MAIL", "RCPT", "DATA", "dot")

    @property
    def about_content(self) -> bool:
        """Sender and recipient were taken; another mail to the same recipient may pass."""
        return self.stage in ("DATA", "dot")


Fate = Sent | PutOff | Failed


@dataclass(frozen=True, slots=True)
class Examined:
    """How far a relay went along. `stage` is the last one; `certificate_ends` when its certificate ends, None without TLS."""

    taken: bool
    stage: str
    said: str
    certificate_ends: datetime | None = None


def status_of(text: str, code: int) -> str:
    """Return the enhanced status in a reply's text, or a general one of the code's class (RFC 3463)."""
    found = _ENHANCED.search(text)
    return found[1] if found and found[1][0] == str(code)[0] else f"{code // 100}.0.0"


def remote_id(text: str, host: str) -> str:
    """Return the Message-ID under which a relay says it sends the mail on, "" when it names none.

    Exchange names it in angle brackets; Amazon SES gives the left part only, and the region gives the domain.
    """
    named = _NAMED.search(text)
    if named is not None:
        return named[0]
    region, ses = _SES_HOST.fullmatch(host), _SES_ID.search(text)
    if region is None or ses is None:
        return ""
    domain = "email" if region[1] == "us-east-1" else region[1]
    return f"<{ses[1]}@{domain}.amazonses.com>"


def shown(code: int, text: str) -> str:
    """Return a reply as one printable line of bounded length; a code below 1 is aiosmtplib's for "no reply at all"."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return (f"{code} {line}" if code > 0 else line)[:TEXT_LENGTH]
