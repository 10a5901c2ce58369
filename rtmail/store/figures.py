"""What a monitoring asks every few seconds, answered from indexes: promises that fall due, requests that time should have woken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtmail.store.database import Database, reads, writes
from rtmail.store.values import dump, instant, instant_or_none, load, micros

_CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Due:
    """Promises and requests at an instant.

    soon, over  kind of promise -> how many fall due within the time asked for, and how many are past their instant
    wakes, since  requests on which time has something to do now, and since when the first of them waits
    """

    soon: Mapping[str, int]
    over: Mapping[str, int]
    wakes: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Flight:
    """The last canary mail: its row in the outbox, when it was made, when it was back and worked off, whether it was missed."""

    outbox: int
    at: datetime
    back_at: datetime | None = None
    missed: bool = False


class Figures(Database):
    """The figures' part of the store."""

    @reads
    def due(self, now: datetime, within: timedelta) -> Due:
        """Return what is due at `now`, and what falls due `within` a length of time."""
        at = micros(now)
        count = "SELECT kind, count(*) FROM clock WHERE state = 'running' AND due_at > ? AND due_at <= ? GROUP BY kind"
        soon, over = dict(self._rows(count, (at, micros(now + within)))), dict(self._rows(count, (0, at)))
        ((wakes, since),) = self._rows("SELECT count(*), min(wake_at) FROM ticket WHERE wake_at IS NOT NULL AND wake_at <= ?", (at,))
        return Due(soon, over, wakes, instant_or_none(since))

    @writes
    def note_flight(self, flight: Flight) -> None:
        """Remember how the last canary mail fares."""
        fact = {"outbox": flight.outbox, "at": micros(flight.at), "back": micros(flight.back_at) if flight.back_at else None,
                "missed": flight.missed}
        self._do(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (_CANARY, dump(fact)))

    @writes
    def forget_flight(self) -> None:
        """Let it be as if the last canary mail had never flown."""
        self._do("DELETE FROM meta WHERE key = ?", (_CANARY,))

    @reads
    def flight(self) -> Flight | None:
        """Return the last canary mail, None when there never was one."""
        row = self._row("SELECT value FROM meta WHERE key = ?", (_CANARY,))
        if row is None:
            return None
        fact = load(row[0])
        return Flight(fact["outbox"], instant(fact["at"]), instant_or_none(fact["back"]), fact["missed"])
