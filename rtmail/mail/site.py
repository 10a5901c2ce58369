"""What our own mail looks like: addresses, tags, domain, and whose word on authentication we trust.

Built once from the config and handed to whatever reads, matches or writes mail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Door(StrEnum):
    """What an address of ours is for."""

    CORRESPONDENCE = "correspondence"
    COMMENT = "comment"
    ADMIN = "admin"
    """postmaster@ and abuse@ of our domain (promise 12)."""


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """One address of ours: the queue it belongs to ("" for ADMIN) and its door."""

    spec: str
    queue: str
    door: Door


@dataclass(frozen=True, slots=True)
class JunkRules:
    """What is junk besides what filters say.

    senders  lower-case addr-specs, or "@domain"; headers: lower-case name -> pattern of its value; scl: Exchange's level from which on
    """

    senders: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    scl: int = 5


@dataclass(frozen=True, slots=True)
class Site:
    """The house as mail knows it.

    tag, old_tags   names in `[Example #1042]`
    detail          "+", "-" or "off": the character before a signed detail
    addresses       lower-case addr-spec without detail -> OwnAddress
    machines, forms lower-case addr-specs (or "@domain") of listed robots and web forms
    authserv_ids    whose Authentication-Results count; trusted_hops are networks (CIDR)
    trusted_headers ingress name -> header names that count there (Microsoft 365 houses)
    arc_sealers     domains whose ARC seal counts like an authserv-id
    """

    name: str
    tag: str
    domain: str
    admin: str
    timezone: str = "UTC"
    language: str = "en"
    old_tags: tuple[str, ...] = ()
    detail: str = "+"
    addresses: Mapping[str, OwnAddress] = field(default_factory=dict)
    machines: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    public_domains: tuple[str, ...] = ()
    authserv_ids: tuple[str, ...] = ()
    trusted_hops: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    trusted_headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arc_sealers: tuple[str, ...] = ()
    verp: bool = True
    precedence: bool = False
    """Automatic mail says "Precedence: bulk" too, for receivers that know no Auto-Submitted."""
    junk: JunkRules = JunkRules()
    status_url: str = ""
    """Where people see how the service is, "" for nowhere; portal_url: a request, "{number}" in it."""
    portal_url: str = ""
