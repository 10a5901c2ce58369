"""Who is who: staff with their rights and queues, roles and deputies, customers' organisations.

Built from the config; a `Directory` answers look-ups and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff. `party` is the id of his row in the store; rights: engineer | manager | privacy | admin."""

    key: str
    name: str
    email: str
    aliases: tuple[str, ...] = ()
    rights: frozenset[str] = frozenset({"engineer"})
    queues: tuple[str, ...] = ()
    page: str = ""
    language: str = ""
    party: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.email, *self.aliases)


@dataclass(frozen=True, slots=True)
class Queue:
    """A stream of requests: its addresses and the name of its policy."""

    name: str
    address: str
    comment_address: str
    policy: str


@dataclass(frozen=True, slots=True)
class ManagementRole:
    """Whom a policy's `tell` reaches: a person and a deputy, by key."""

    key: str
    person: str
    deputy: str = ""


@dataclass(frozen=True, slots=True)
class Organisation:
    """A customer: its mail domains and its registered contacts (addr-specs)."""

    key: str
    name: str
    domains: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """All of them, with the look-ups that desk needs."""

    people: Mapping[str, Person] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    roles: Mapping[str, ManagementRole] = field(default_factory=dict)
    organisations: Mapping[str, Organisation] = field(default_factory=dict)
