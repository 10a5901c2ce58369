"""Facts about the whole house, one line each: when it was last backed up, what is paused and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.store.database import Database, reads, writes
from rtmail.store.values import clean, dump, instant, instant_or_none, load, micros

_BACKUP = "backup"
_DAEMON = "daemon:"
_PAUSE = "pause:"


class Pausable(StrEnum):
    """What can be told to stand still: mail going out; what time alone makes happen; mail coming in."""

    OUTBOX = "outbox"
    ESCALATIONS = "escalations"
    INGRESS = "ingress"


@dataclass(frozen=True, slots=True)
class Pause:
    """Something that stands still since `at`, by the word of `by`."""

    what: Pausable
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Serving:
    """A daemon of this store as it last spoke: its name, when, its version, and the hash of the config that it works by."""

    owner: str
    at: datetime
    version: str
    config: str


@dataclass(frozen=True, slots=True)
class Age:
    """How many rows there are, and since when the oldest waits (None for none)."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Ages:
    """What waits, and what stands still.

    spool, outbox  mail that waits to be worked on, and mail that is due to go out
    stale          claims that ended long ago and that nobody took over
    latest         the latest instant that stands in the store: the clock was there once
    """

    spool: Age
    outbox: Age
    stale: int
    quarantined: int
    held: int
    failed: int
    latest: datetime | None


class Facts(Database):
    """The facts' part of the store."""

    @writes
    def speak(self, serving: Serving) -> None:
        """Note that a daemon lives. Rows of daemons that have been silent for a month go."""
        self._do("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                 (f"{_DAEMON}{clean(serving.owner)}",
                  dump({"at": micros(serving.at), "version": serving.version, "config": serving.config})))
        month_ago = micros(serving.at - timedelta(days=30))
        for owner, fact in self._spoken():
            if fact["at"] < month_ago:
                self._do("DELETE FROM meta WHERE key = ?", (f"{_DAEMON}{owner}",))

    @writes
    def fall_silent(self, owner: str = "") -> None:
        """Note that a daemon ended as it was told to; "": that none works on this store."""
        for one, fact in self._spoken():
            if owner == "" or one == clean(owner):
                self._do("UPDATE meta SET value = ? WHERE key = ?", (dump({**fact, "silent": True}), f"{_DAEMON}{one}"))

    @reads
    def last_spoke(self, owner: str) -> datetime | None:
        """Return when a daemon last noted that it lives, by its clock of then; None when it never did."""
        return next((instant(fact["at"]) for one, fact in self._spoken() if one == clean(owner)), None)

    @reads
    def serving(self) -> list[Serving]:
        """Return the daemons that work on this store, or did when they last spoke."""
        return [Serving(owner, instant(fact["at"]), fact["version"], fact["config"]) for owner, fact in self._spoken()
                if not fact.get("silent")]

    def _spoken(self) -> list[tuple[str, dict[str, Any]]]:
        rows = self._rows("SELECT key, value FROM meta WHERE key LIKE ? ORDER BY key", (f"{_DAEMON}%",))
        return [(key.removeprefix(_DAEMON), load(value)) for key, value in rows]

    @reads
    def ages(self, now: datetime, stale: timedelta, since: datetime) -> Ages:
        """Return what waits at `now`.

        stale  so long after its end a claim that nobody took over is stale
        since  failures of outgoing mail are counted from then on
        """
        at, ended = micros(now), self._led(micros(now - stale))
        ((waiting, oldest),) = self._rows("SELECT count(*), min(arrived_at) FROM spool WHERE outcome = ''")
        ((due, longest),) = self._rows("SELECT count(*), min(not_before) FROM outbox WHERE state = 'waiting' AND not_before <= ?", (at,))
        ((claims,),) = self._rows(
            "SELECT (SELECT count(*) FROM spool WHERE outcome = '' AND lease_until > 0 AND lease_until < ?) + "
            "(SELECT count(*) FROM outbox WHERE state = 'waiting' AND lease_until > 0 AND lease_until < ? AND due_at < ?)",
            (ended, ended, ended))
        ((aside, held),) = self._rows(
            "SELECT (SELECT count(*) FROM spool WHERE outcome = 'quarantined' AND dropped = 0), "
            "(SELECT count(*) FROM hold WHERE state = 'waiting')")
        ((failed,),) = self._rows("SELECT count(*) FROM outbox WHERE state IN ('failed', 'expired', 'bounced') AND settled_at >= ?",
                                  (micros(since),))
        ((latest,),) = self._rows("SELECT max(arrived_at) FROM (SELECT arrived_at FROM spool ORDER BY id DESC LIMIT 100) AS newest")
        return Ages(Age(waiting, instant_or_none(oldest)), Age(due, instant_or_none(longest)), claims, aside, held, failed,
                    instant_or_none(latest))

    @writes
    def pause(self, what: Pausable, by: str, now: datetime) -> bool:
        """Let `what` stand still in every daemon of this store; False when it does already."""
        return bool(self._do("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                             (f"{_PAUSE}{what}", dump({"at": micros(now), "by": clean(by)}))))

    @writes
    def resume(self, what: Pausable, now: datetime) -> bool:
        """Let `what` go on; False when it was not paused. Mail that was kept from going out is tried as much longer as it stood still."""
        found = self._row("DELETE FROM meta WHERE key = ? RETURNING value", (f"{_PAUSE}{what}",))
        if found is None:
            return False
        if what is Pausable.OUTBOX:
            since, until = load(found[0])["at"], micros(now)
            self._do("UPDATE outbox SET expires_at = expires_at + ? - CASE WHEN created_at > ? THEN created_at ELSE ? END "
                     "WHERE state = 'waiting' AND expires_at IS NOT NULL AND created_at < ?", (until, since, since, until))
        return True

    @reads
    def pauses(self) -> list[Pause]:
        """Return what stands still, in the order of `Pausable`."""
        found = {key: load(value) for key, value in self._rows("SELECT key, value FROM meta WHERE key LIKE ?", (f"{_PAUSE}%",))}
        return [Pause(what, instant(found[f"{_PAUSE}{what}"]["at"]), found[f"{_PAUSE}{what}"]["by"])
                for what in Pausable if f"{_PAUSE}{what}" in found]

    @writes
    def note_backup(self, now: datetime) -> None:
        """Remember that a backup was made and verified."""
        self._do("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                 (_BACKUP, dump({"at": micros(now)})))

    @reads
    def last_backup(self) -> datetime | None:
        """Return when the last backup was made, None when there was none."""
        row = self._row("SELECT value FROM meta WHERE key = ?", (_BACKUP,))
        return instant(load(row[0])["at"]) if row else None
