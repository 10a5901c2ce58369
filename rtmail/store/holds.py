"""Mail that waits for a person's word: staff claims, private data, unclear forwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.store.caps import Caps
from rtmail.store.database import reads, writes
from rtmail.store.faults import NotThere
from rtmail.store.values import clean, dump, instant, instant_or_none, load, micros

NOTICE_EVERY = timedelta(hours=1)
"""A held mail's owner gets at most one notice in this time."""


class Held(StrEnum):
    WAITING = "waiting"
    RELEASED = "released"
    COMMENTED = "commented"
    """Released as a comment: its author said that it stays among staff."""
    WRITTEN = "written"
    """Released to the customer with the lines that looked like commands in it."""
    REDACTED = "redacted"
    """Released without what seemed private in it."""
    DISCARDED = "discarded"
    ANSWERED = "answered"
    """It waited for nothing: its writer asked something of us and has his answer."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One held mail. `person` is whose word is awaited (party id), `details` what the notice tells."""

    id: int
    kind: str
    spool_id: int
    person: int
    reason: str
    details: Mapping[str, Any]
    held_at: datetime
    state: Held
    settled_by: int
    settled_at: datetime | None


ROW = "SELECT id, kind, spool_id, person, reason, details, held_at, state, settled_by, settled_at FROM hold"


class Holds(Caps):
    """The holds' part of the store."""

    @writes
    def hold(self, kind: str, spool_id: int, person: int, reason: str, details: Mapping[str, Any], now: datetime) -> int:
        """Hold a mail; return the id that its confirm and discard links are signed for."""
        (new,) = self._engine.reserve("hold", 1)
        self._do("INSERT INTO hold (id, kind, spool_id, person, reason, details, held_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                 (new, clean(kind), spool_id, person, clean(reason), dump(details), micros(now)))
        return new

    @reads
    def held(self, hold_id: int) -> Hold:
        """Return one hold; raises NotThere."""
        row = self._row(f"{ROW} WHERE id = ?", (hold_id,))
        if row is None:
            raise NotThere(f"hold {hold_id}")
        return hold_of(row)

    @reads
    def holds_waiting(self, *, person: int | None = None, kind: str | None = None, held_before: datetime | None = None,
                      unshown: bool = False, latest: bool = False, limit: int = -1) -> list[Hold]:
        """Return what still waits, oldest first.

        unshown  only what `once` does not know as shown ("held-shown:ID"); latest: of more than `limit`, the last ones
        """
        where, values = ["state = 'waiting'"], []
        for term, value in (("person = ?", person), ("kind = ?", kind),
                            ("held_at <= ?", None if held_before is None else micros(held_before))):
            if value is not None:
                where.append(term)
                values.append(value)
        if unshown:
            where.append("NOT EXISTS (SELECT 1 FROM once WHERE once.key = 'held-shown:' || CAST(hold.id AS text))")
        text = f"{ROW} WHERE {' AND '.join(where)} ORDER BY id{' DESC' if latest else ''}{f' LIMIT {int(limit)}' if limit >= 0 else ''}"
        return sorted((hold_of(row) for row in self._rows(text, values)), key=lambda hold: hold.id)

    @reads
    def waiting_by_person(self, kind: str) -> list[tuple[int, int, int]]:
        """Return (party id, how many, id of the latest) of the holds of this kind that wait."""
        return [(int(person), int(count), int(last)) for person, count, last in self._rows(
            "SELECT person, count(*), max(id) FROM hold WHERE state = 'waiting' AND kind = ? GROUP BY person ORDER BY person", (kind,))]

    @reads
    def holds_of(self, spool_id: int) -> list[Hold]:
        """Return the holds of a spooled mail, oldest first."""
        return [hold_of(row) for row in self._rows(f"{ROW} WHERE spool_id = ? ORDER BY id", (spool_id,))]

    @writes
    def settle_hold(self, hold_id: int, state: Held, by: int, now: datetime) -> bool:
        """End a hold; True for the one who did it first, False for everyone after him."""
        return bool(self._do("UPDATE hold SET state = ?, settled_by = ?, settled_at = ? WHERE id = ? AND state = 'waiting'",
                             (str(Held(state)), by, micros(now), hold_id)))

    def hold_notice_due(self, address: str, now: datetime) -> bool:
        """Tell whether a notice may go to `address` now, and count it as gone: at most one an hour."""
        return self.once(f"hold-notice:{address.lower()}", now, now + NOTICE_EVERY)


def hold_of(row: Sequence[Any]) -> Hold:
    id_, kind, spool_id, person, reason, details, held_at, state, settled_by, settled_at = row
    return Hold(id_, kind, spool_id, person, reason, load(details), instant(held_at), Held(state), settled_by or 0,
                instant_or_none(settled_at))
