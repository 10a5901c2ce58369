"""What trusted filters, and the house's own rules, say of a mail: junk, or nothing.

A filter's verdict stands in a header that anybody can write, so only those count that stand above the first Received line by which a
trusted machine took the mail from an untrusted one, on a mail that a machine of ours handed in. `message.read` asks; whether it is
believed of this sender is `match`'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rtmail.mail.address import key
from rtmail.mail.model import Envelope
from rtmail.mail.proof.identity import trusted_fields
from rtmail.mail.site import Site

_SAID = {
    "x-spam-flag": re.compile(r"\s*yes\b", re.IGNORECASE),
    "x-spam-status": re.compile(r"\s*yes\b", re.IGNORECASE),
    "x-spamd-result": re.compile(r"\s*\S+:\s*true\b", re.IGNORECASE),
    "x-rspamd-action": re.compile(r"\s*(?:add header|rewrite subject|reject)\b", re.IGNORECASE),
    "x-spam": re.compile(r"\s*yes\b", re.IGNORECASE),
}
"""SpamAssassin (Mail::SpamAssassin::Conf), rspamd (milter_headers), and what many gateways write."""
_SCL = "x-ms-exchange-organization-scl"
"""Exchange's confidence that it is spam, -1 to 9; other servers leave the name of that header alone."""
_VALUE = 2000


def verdict(fields: Sequence[tuple[str, str]], sender: str, site: Site, envelope: Envelope) -> str:
    """Return why a mail is junk, "" where nobody says so.

    fields  every header field as (name, unfolded value), from the top down; sender: the address of its From line
    """
    rules = site.junk
    if (listed := key(sender)) and any(entry in (listed, f"@{listed.rpartition('@')[2]}") for entry in rules.senders):
        return "its sender stands in [junk] senders"
    for name, value in trusted_fields(fields, site, envelope):
        said, value = _SAID.get(name), value[:_VALUE]
        if said is not None and said.match(value):
            return f"{name}: {' '.join(value.split())[:60]}"
        if name == _SCL and _number(value) >= rules.scl:
            return f"{name}: {value.strip()[:10]}"
        pattern = rules.headers.get(name)
        if pattern and re.search(pattern, value, re.IGNORECASE):
            return f"{name}, by [junk.headers]"
    return ""


def _number(value: str) -> int:
    found = re.fullmatch(r"\s*(-?\d{1,2})\s*", value)
    return int(found[1]) if found else -1
