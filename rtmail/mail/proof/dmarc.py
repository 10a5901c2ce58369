"""What a domain asks of mail in its name (RFC 7489): the record, and whether a domain that is proven is aligned with From.

`own_checks` judges by it where no trusted server has; the records themselves are asked for by the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rtmail.mail.address import organisational_domain

_TAG = re.compile(r"\s*([A-Za-z]+)\s*=\s*([^;]*)")


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC record; `policy` is "none", "quarantine" or "reject", and the modes say whether subdomains are aligned."""

    policy: str
    strict_dkim: bool = False
    strict_spf: bool = False


def names(domain: str) -> tuple[str, ...]:
    """Return where the record for mail from `domain` is looked for, in order (RFC 7489 6.6.3)."""
    return tuple(dict.fromkeys((f"_dmarc.{domain}", f"_dmarc.{organisational_domain(domain)}")))


def parse(texts: Iterable[str], *, subdomain: bool = False) -> Record | None:
    """Return the one record among the TXT strings at a name; None for none, for more than one, and for one without a policy.

    subdomain  the record stands at the organisational domain of a subdomain: its sp= counts, where it has one
    """
    found = [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    if len(found) != 1:
        return None
    tags: dict[str, str] = {}
    for part in found[0].split(";"):
        if match := _TAG.fullmatch(part):
            tags.setdefault(match[1].lower(), match[2].strip().lower())
    policy = (tags.get("sp") if subdomain else None) or tags.get("p", "")
    if policy not in ("none", "quarantine", "reject"):
        # A domain that asks for reports alone is watched, not protected (6.6.3, step 6).
        policy = "none" if "rua" in tags else ""
    return Record(policy, tags.get("adkim") == "s", tags.get("aspf") == "s") if policy else None


def aligned(domain: str, from_domain: str, *, strict: bool = False) -> bool:
    """Tell whether a proven `domain` speaks for `from_domain` (3.1)."""
    one, other = domain.lower().rstrip("."), from_domain.lower()
    return bool(one) and (one == other if strict else organisational_domain(one) == organisational_domain(other))
