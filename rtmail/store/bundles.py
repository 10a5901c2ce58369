"""Outgoing mails to one reader that become lines of a single one, whose fate they then share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rtmail.store.database import Database, chunks, places, reads, writes
from rtmail.store.faults import Conflict
from rtmail.store.outbox import OUTBOX_ROW, OutboxRow, outbox_row
from rtmail.store.values import clean, micros, micros_or_none


class Bundles(Database):
    """The bundles' part of the store."""

    @reads
    def to_be_joined(self, now: datetime) -> list[OutboxRow]:
        """Return the mails that may be joined with others and are not on their way yet, by recipient, oldest first."""
        return [outbox_row(row) for row in self._rows(
            f"SELECT {OUTBOX_ROW} FROM outbox WHERE bundle = 1 AND state = 'waiting' AND lease_until <= ? ORDER BY recipient, id",
            (self._led(micros(now)),))]

    @writes
    def carry(self, ids: Sequence[int], carrier: int, now: datetime) -> None:
        """Let the mail `carrier` stand for these. Raises Conflict when one of them went its way meanwhile."""
        at = micros(now)
        led = self._led(at)
        for some in chunks(ids):
            changed = self._do(
                f"UPDATE outbox SET state = 'carried', carrier = ?, bundle = 0, settled_at = ?, said = ? WHERE id IN {places(len(some))} "
                "AND bundle = 1 AND state = 'waiting' AND lease_until <= ?",
                (carrier, at, f"a line of mail {carrier}", *some, led))
            if changed != len(some):
                raise Conflict(f"outbox: {len(some) - changed} of {len(some)} mails went their way before they were joined")

    @writes
    def send_alone(self, ids: Sequence[int], now: datetime) -> None:
        """Let mails that might have been joined go out by themselves, at once."""
        for some in chunks(ids):
            self._do(f"UPDATE outbox SET bundle = 0, due_at = ? WHERE id IN {places(len(some))} AND bundle = 1 AND state = 'waiting'",
                     (micros(now), *some))

    @writes
    def share_fate(self, carrier: OutboxRow) -> int:
        """Give the fate of a settled mail to those it stood for, so that their tickets hear of it; return how many changed."""
        return self._do(
            "UPDATE outbox SET state = ?, said = ?, status = ?, remote_id = ?, attempts = ?, settled_at = ?, unreported = report "
            "WHERE carrier = ? AND state <> ?",
            (str(carrier.fate), clean(carrier.said), clean(carrier.status), clean(carrier.remote_id), carrier.attempts,
             micros_or_none(carrier.settled_at), carrier.id, str(carrier.fate)))
