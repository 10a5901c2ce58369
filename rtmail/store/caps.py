"""Counters that survive a restart: how often something happened in a window, and what may happen only once."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from rtmail.store.database import Database, reads, writes
from rtmail.store.spool import UNDATED_SAME_WITHIN
from rtmail.store.values import clean, length, micros

FOR_EVER = (1 << 63) - 1
LANES = 64
"""In so many rows is counted what all daemons count with every mail. On PostgreSQL whoever changes a row keeps all others from it until he
commits: with one row the daemons would work one after the other, and all stand still where one of them does."""


class Caps(Database):
    """The counters' part of the store."""

    @functools.cached_property
    def _lane(self) -> int:
        return random.randrange(LANES)

    @writes
    def count(self, key: str, now: datetime, window: timedelta) -> int:
        """Count one use of `key` and return how many there are in the present window (they begin at multiples of `window`)."""
        span = length(window)
        start = micros(now) // span * span
        ((uses,),) = self._rows(
            "INSERT INTO cap (key, window_length, window_start, uses) VALUES (?, ?, ?, 1) "
            "ON CONFLICT (key, window_length, window_start) DO UPDATE SET uses = cap.uses + 1 RETURNING uses", (clean(key), span, start))
        # Windows that have passed go with `forget_expired`: a mail counts several times, and most keys are new.
        return int(uses)

    @reads
    def peek(self, key: str, now: datetime, window: timedelta) -> int:
        """Return how many uses of `key` there are in the present window."""
        span = length(window)
        row = self._row("SELECT uses FROM cap WHERE key = ? AND window_length = ? AND window_start = ?",
                        (clean(key), span, micros(now) // span * span))
        return int(row[0]) if row else 0

    @writes
    def tally(self, key: str, now: datetime, window: timedelta) -> None:
        """Count one use of a `key` that all daemons use all the time, for `tallied`; none waits for another."""
        self.count(f"{key}#{self._lane}", now, window)

    @reads
    def tallied(self, key: str, now: datetime, window: timedelta) -> int:
        """Return how many uses `tally` counted in the present window, by all daemons, but for what they have not committed yet."""
        span = length(window)
        row = self._row("SELECT coalesce(sum(uses), 0) FROM cap WHERE key >= ? AND key < ? AND window_length = ? AND window_start = ?",
                        (*_begin_with(f"{clean(key)}#"), span, micros(now) // span * span))
        return int(row[0]) if row else 0

    @writes
    def add_up(self, key: str) -> None:
        """Count one use of `key` for `counted`, whatever the time between two uses."""
        self._do("INSERT INTO cap (key, window_length, window_start, uses) VALUES (?, 0, ?, 1) "
                 "ON CONFLICT (key, window_length, window_start) DO UPDATE SET uses = cap.uses + 1", (clean(key), FOR_EVER))

    @reads
    def counted(self, prefix: str) -> dict[str, int]:
        """Return what `add_up` counted of keys that begin with `prefix`, without the prefix."""
        rows = self._rows("SELECT key, uses FROM cap WHERE key >= ? AND key < ? AND window_start = ?", (*_begin_with(prefix), FOR_EVER))
        return {str(key)[len(prefix):]: int(uses) for key, uses in rows}

    @writes
    def start_anew(self, keys: Sequence[str]) -> None:
        """Forget what `add_up` counted of these keys."""
        self._many("DELETE FROM cap WHERE key = ? AND window_start = ?", [(clean(key), FOR_EVER) for key in keys])

    @writes
    def once(self, key: str, now: datetime, expires_at: datetime | None) -> bool:
        """Return True for the first call with `key`, and again only after `expires_at` has passed (None: never again)."""
        at = micros(now)
        return bool(self._rows(
            "INSERT INTO once (key, expires_at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at "
            "WHERE once.expires_at <= ? RETURNING key", (clean(key), FOR_EVER if expires_at is None else micros(expires_at), at)))

    @reads
    def known(self, key: str, now: datetime) -> bool:
        """Tell whether `once` was called with `key` and has not expired."""
        return self._row("SELECT 1 FROM once WHERE key = ? AND expires_at > ?", (clean(key), micros(now))) is not None

    @writes
    def commands_ran(self, fingerprint: str, spool_id: int, at: datetime, has_date: bool) -> int:
        """Note that the commands of a spooled mail run now; return the spool id of the same mail if they ran before, 0 if never.

        Mails without a date are the same within UNDATED_SAME_WITHIN only: "take" written a second time looks like the first.
        """
        apart = FOR_EVER if has_date else length(UNDATED_SAME_WITHIN)
        if self._rows(
            "INSERT INTO commands_ran (fingerprint, spool_id, at) VALUES (?, ?, ?) ON CONFLICT (fingerprint) "
            "DO UPDATE SET spool_id = excluded.spool_id, at = excluded.at "
            "WHERE commands_ran.spool_id = excluded.spool_id OR abs(excluded.at - commands_ran.at) >= ? RETURNING spool_id",
            (fingerprint, spool_id, micros(at), apart)):
            return 0
        ((before,),) = self._rows("SELECT spool_id FROM commands_ran WHERE fingerprint = ?", (fingerprint,))
        return int(before)

    @writes
    def forget_expired(self, now: datetime) -> int:
        """Delete keys of `once` that have expired and counters of windows that have passed; return how many."""
        at = micros(now)
        return (self._do("DELETE FROM once WHERE expires_at <= ?", (at,))
                + self._do("DELETE FROM cap WHERE window_start <= ? - window_length", (at,)))


def _begin_with(prefix: str) -> tuple[str, str]:
    """Return the first name that begins with `prefix`, and the first behind all of those: compared byte by byte."""
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)
