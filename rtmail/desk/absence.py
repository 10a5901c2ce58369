"""Who is away, and what that changes: a deputy stands in for whom it was said by himself, or hears too where only a machine said so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rtmail.desk.people import Directory, Person

SEEN_FOR = timedelta(days=7)
"""How long an out-of-office counts that was seen: vacation programs answer the same sender about once a week (RFC 3834 2)."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Away until an instant. `declared`: by his own command; else only his out-of-office was seen."""

    until: datetime
    declared: bool


@dataclass(frozen=True, slots=True)
class AbsenceChange:
    """What is to be noted of a person (party id): away until an instant, or back (None)."""

    person: int
    absence: Absence | None


def stand_ins(directory: Directory, person: Person) -> str:
    """Return in words who is told in the roles of `person` while he is away, "" where he holds none."""
    named = []
    for role in directory.roles.values():
        if role.person == person.key:
            deputy = directory.people.get(role.deputy)
            named.append(f"{deputy.name} as {role.key}" if deputy else f"the admin as {role.key}, which has no deputy")
    return ", ".join(named)
