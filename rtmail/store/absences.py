"""Absences of staff, one row a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from rtmail.desk.absence import Absence
from rtmail.store.database import Database, reads, writes
from rtmail.store.values import instant, micros


class Absences(Database):
    """The absences' part of the store."""

    @writes
    def set_absence(self, person: int, absence: Absence, now: datetime) -> None:
        """Note that a person (party id) is away; what he said himself is not replaced by what his out-of-office says."""
        self._do("INSERT INTO absence (person, until, since, declared) VALUES (?, ?, ?, ?) "
                 "ON CONFLICT (person) DO UPDATE SET until = excluded.until, since = excluded.since, declared = excluded.declared "
                 "WHERE excluded.declared = 1 OR absence.declared = 0 OR absence.until <= excluded.since",
                 (person, micros(absence.until), micros(now), int(absence.declared)))

    @writes
    def end_absence(self, person: int, *, only_seen: bool = False) -> bool:
        """Forget that a person is away (with `only_seen`: unless he said so himself); False when he was not."""
        return bool(self._do(f"DELETE FROM absence WHERE person = ?{' AND declared = 0' if only_seen else ''}", (person,)))

    @reads
    def absences(self, now: datetime) -> Mapping[int, Absence]:
        """Return who is away at `now`, by party id."""
        return {person: Absence(instant(until), bool(declared)) for person, until, declared in self._rows(
            "SELECT person, until, declared FROM absence WHERE until > ?", (micros(now),))}
