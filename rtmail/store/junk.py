"""Senders whose mail is junk by a word of staff, and what the daily list of junk tells."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rtmail.store.database import Database, places, reads, writes
from rtmail.store.holds import ROW, Hold, hold_of
from rtmail.store.parties import address_key
from rtmail.store.values import micros

JUNK = "junk"
"""The kind of hold that a mail in the junk box has."""


class Junk(Database):
    """The junk part of the store."""

    @writes
    def learn_junk(self, addresses: Iterable[str], now: datetime) -> None:
        """Let mail of these senders be junk."""
        self._many("INSERT INTO junk_sender (address, at) VALUES (?, ?) ON CONFLICT (address) DO NOTHING",
                   [(address_key(one), micros(now)) for one in addresses])

    @writes
    def unlearn_junk(self, addresses: Iterable[str]) -> None:
        """Let mail of these senders be mail again."""
        self._many("DELETE FROM junk_sender WHERE address = ?", [(address_key(one),) for one in addresses])

    @reads
    def sends_junk(self, *addresses: str) -> bool:
        """Tell whether one of these was called a sender of junk."""
        keys = sorted({address_key(one) for one in addresses if one})
        return bool(keys) and self._row(f"SELECT 1 FROM junk_sender WHERE address IN {places(len(keys))}", keys) is not None

    @reads
    def junk_of(self, queue: str, since: datetime, limit: int) -> tuple[list[Hold], int]:
        """Return what waits in a queue's junk box, or was ignored without a request, since an instant: the latest ones, and how many."""
        where = f"kind IN ('{JUNK}', 'unasked') AND held_at > ? AND state IN ('waiting', 'answered')"
        found = [hold_of(row) for row in self._rows(f"{ROW} WHERE {where} ORDER BY id", (micros(since),))]
        mine = [one for one in found if one.details.get("queue") == queue]
        return mine[-limit:], len(mine)
