"""Facts about the whole house, one line each: when it was last backed up, what is paused and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rtmail.store.database import Database, reads, writes
from rtmail.store.values import clean, dump, instant, load, micros

_BACKUP = "backup"
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


class Facts(Database):
    """The facts' part of the store."""

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
