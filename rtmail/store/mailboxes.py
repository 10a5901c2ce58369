"""Polled mailboxes: which daemon reads each one, how it fares, and what became of every mail in it.

A mail of a mailbox is known by UIDVALIDITY and UID alone (RFC 9051 2.3.1.1); nothing that stands in it is looked at here.
Ingress writes what it did, the engine reads how the mailboxes fare and tells the admin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.store.database import Database, places, reads, writes
from rtmail.store.faults import NotThere
from rtmail.store.values import clean, instant, instant_or_none, length, micros


class MailState(StrEnum):
    """How far we are with one mail of a mailbox."""

    OLD = "old"
    """It was there and read by people before we first looked: left alone."""
    KEPT = "kept"
    """In the spool; its flag, move or deletion is still to be done."""
    COPIED = "copied"
    """Copied to its folder on a server that cannot move; the original is still to be deleted."""
    DONE = "done"
    ASIDE = "aside"
    """Not taken in, or its start alone, because it is too large or cannot be fetched; still to be flagged for people."""
    LEFT = "left"
    """The same, and flagged for people."""


UNFINISHED = frozenset({MailState.KEPT, MailState.COPIED, MailState.ASIDE})


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """How a mailbox fares.

    first_at    when its first look began, None before
    begun_at    when the daemon that reads it now began to
    worked_at   the last look at which nothing was wrong, None for none yet
    trouble     what is wrong since `trouble_at`, "" for nothing
    alarmed_at  when the admin was told of an outage that is not over yet
    """

    name: str
    place: str
    uidvalidity: int
    first_at: datetime | None
    begun_at: datetime
    worked_at: datetime | None
    trouble: str
    trouble_at: datetime | None
    alarmed_at: datetime | None

    def silent_for(self, now: datetime) -> timedelta:
        """Return for how long nothing has worked, counted from the start of whoever reads it at the earliest."""
        return now - max(self.begun_at, self.worked_at or self.begun_at)


@dataclass(frozen=True, slots=True)
class AsideRow:
    """A mail that was not taken in."""

    mailbox: str
    uidvalidity: int
    uid: int
    size_bytes: int
    why: str


FORGET_AFTER = timedelta(days=30)
"""Mails that are no longer in the mailbox, and UIDs under a former UIDVALIDITY, are kept so long."""
_ROW = "SELECT name, place, uidvalidity, first_at, begun_at, worked_at, trouble, trouble_at, alarmed_at FROM mailbox"


class Mailboxes(Database):
    """The mailboxes' part of the store."""

    # -- who reads it ---------------------------------------------------------------------------------------------

    @writes
    def lease_mailbox(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        """Claim a mailbox for `seconds`, or claim it on; False while another owner has it."""
        at, begin = micros(now), self._led(micros(now))
        return bool(self._rows(
            "INSERT INTO mailbox (name, owner, lease_until, begun_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "begun_at = CASE WHEN mailbox.owner = excluded.owner THEN mailbox.begun_at ELSE excluded.begun_at END, "
            "owner = excluded.owner, lease_until = excluded.lease_until "
            "WHERE mailbox.owner = excluded.owner OR mailbox.lease_until <= ? RETURNING name",
            (clean(name), clean(owner), begin + length(timedelta(seconds=seconds)), at, begin)))

    @writes
    def release_mailbox(self, name: str, owner: str) -> None:
        """Let another daemon have it at once; nothing when it is not ours."""
        self._do("UPDATE mailbox SET lease_until = 0 WHERE name = ? AND owner = ?", (clean(name), clean(owner)))

    @writes
    def release_mailboxes(self) -> None:
        """End everybody's claims, as nobody works on this store any more."""
        self._do("UPDATE mailbox SET lease_until = 0 WHERE lease_until > 0")

    @writes
    def begin_mailbox(self, name: str, place: str, now: datetime) -> None:
        """Note that the daemon which claimed it begins to read; mails set aside are judged anew, as limits and servers change.

        Those whose start was taken in stay noted: `begun_mails` tells of them.

        place   server, user and folder: under the same name another place is another mailbox, with a ledger of its own
        """
        name, place, at = clean(name), clean(place), micros(now)
        if self._do("UPDATE mailbox SET place = ?, uidvalidity = 0, first_at = NULL, worked_at = NULL WHERE name = ? AND place <> ?",
                    (place, name, place)):
            self._do("DELETE FROM mailbox_mail WHERE mailbox = ?", (name,))
        self._do("UPDATE mailbox SET begun_at = ? WHERE name = ?", (at, name))
        self._do("DELETE FROM mailbox_mail WHERE mailbox = ? AND state IN ('aside', 'left') AND spool_id = 0", (name,))

    # -- how it fares ---------------------------------------------------------------------------------------------

    @writes
    def mailbox_worked(self, name: str, now: datetime) -> None:
        """Note a look at which nothing was wrong."""
        self._do("UPDATE mailbox SET worked_at = ?, trouble = '', trouble_at = NULL WHERE name = ?", (micros(now), clean(name)))

    @writes
    def mailbox_failed(self, name: str, trouble: str, now: datetime) -> None:
        """Note what is wrong; the instant stays that of the first trouble since it worked."""
        self._do("UPDATE mailbox SET trouble = ?, trouble_at = coalesce(trouble_at, ?) WHERE name = ?",
                 (clean(trouble), micros(now), clean(name)))

    @reads
    def mailbox(self, name: str) -> MailboxRow:
        """Return how one mailbox fares; raises NotThere before it was begun."""
        row = self._row(f"{_ROW} WHERE name = ?", (clean(name),))
        if row is None:
            raise NotThere(f"mailbox {name}")
        return _mailbox(row)

    @reads
    def mailboxes(self) -> list[MailboxRow]:
        """Return how all of them fare, those no longer configured included, by name."""
        return [_mailbox(row) for row in self._rows(f"{_ROW} ORDER BY name")]

    @writes
    def alarm_mailbox(self, name: str, now: datetime) -> bool:
        """Note that the admin is told of an outage; False when he was."""
        return bool(self._do("UPDATE mailbox SET alarmed_at = ? WHERE name = ? AND alarmed_at IS NULL", (micros(now), clean(name))))

    @writes
    def calm_mailbox(self, name: str) -> bool:
        """Note that the admin is told of its end; False when he was, or when it did not work since."""
        return bool(self._do("UPDATE mailbox SET alarmed_at = NULL WHERE name = ? AND worked_at > alarmed_at", (clean(name),)))

    # -- its mails ------------------------------------------------------------------------------------------------

    @reads
    def mailbox_mails(self, name: str, uidvalidity: int) -> dict[int, MailState]:
        """Return what is known of the mails under this UIDVALIDITY, by UID."""
        return {uid: MailState(state) for uid, state in self._rows(
            "SELECT uid, state FROM mailbox_mail WHERE mailbox = ? AND uidvalidity = ?", (clean(name), uidvalidity))}

    @writes
    def take_census(self, name: str, uidvalidity: int, old: Iterable[int], now: datetime) -> None:
        """Begin the ledger of a UIDVALIDITY, with the mails that are left alone; forgets former ones that are long over."""
        name, at = clean(name), micros(now)
        self._do("UPDATE mailbox SET uidvalidity = ?, first_at = coalesce(first_at, ?) WHERE name = ?", (uidvalidity, at, name))
        self._do("DELETE FROM mailbox_mail WHERE mailbox = ? AND uidvalidity <> ? AND at < ?",
                 (name, uidvalidity, at - length(FORGET_AFTER)))
        self._note((name, uidvalidity, uid, str(MailState.OLD), 0, 0, "", at, 1) for uid in old)

    @reads
    def begun_mails(self, name: str, uidvalidity: int) -> dict[int, tuple[int, int]]:
        """Return the mails of which the start alone was taken in: UID -> the spool id of that start, and the bytes of the mail."""
        return {uid: (spool_id, size) for uid, spool_id, size in self._rows(
            "SELECT uid, spool_id, size_bytes FROM mailbox_mail WHERE mailbox = ? AND uidvalidity = ? AND spool_id > 0 "
            "AND state IN ('aside', 'left')", (clean(name), uidvalidity))}

    @writes
    def note_kept(self, name: str, uidvalidity: int, spooled: Mapping[int, int], now: datetime) -> None:
        """Note mails that are in the spool: UID -> spool id."""
        at = micros(now)
        self._note((clean(name), uidvalidity, uid, str(MailState.KEPT), spool_id, 0, "", at, 1) for uid, spool_id in spooled.items())

    @writes
    def note_aside(self, name: str, uidvalidity: int, uid: int, size_bytes: int, why: str, now: datetime, *, begun: int = 0) -> None:
        """Note a mail that is not taken in. `begun`: spool id of its start where that was taken in, of which nobody need be told."""
        self._note([(clean(name), uidvalidity, uid, str(MailState.ASIDE), begun, size_bytes, clean(why), micros(now), int(begun > 0))])

    def _note(self, rows: Iterable[Sequence[Any]]) -> None:
        # Of a mail that is set aside all of it may be taken in later.
        self._many("INSERT INTO mailbox_mail (mailbox, uidvalidity, uid, state, spool_id, size_bytes, why, at, told) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (mailbox, uidvalidity, uid) DO UPDATE SET state = excluded.state, "
                   "spool_id = excluded.spool_id, at = excluded.at WHERE mailbox_mail.state IN ('aside', 'left') "
                   "AND excluded.state = 'kept'", list(rows))

    @writes
    def move_on(self, name: str, uidvalidity: int, uids: Iterable[int], state: MailState, now: datetime) -> None:
        """Note how far we are with mails that were noted before."""
        self._many("UPDATE mailbox_mail SET state = ?, at = ? WHERE mailbox = ? AND uidvalidity = ? AND uid = ?",
                   [(str(state), micros(now), clean(name), uidvalidity, uid) for uid in uids])

    @writes
    def forget_gone(self, name: str, uidvalidity: int, uids: Iterable[int], now: datetime) -> None:
        """Forget those of `uids`, which are no longer in the mailbox, that were done with long ago: no UID is ever given twice."""
        self._many("DELETE FROM mailbox_mail WHERE mailbox = ? AND uidvalidity = ? AND uid = ? AND at < ? "
                   "AND state IN ('old', 'done', 'left')",
                   [(clean(name), uidvalidity, uid, micros(now) - length(FORGET_AFTER)) for uid in uids])

    @writes
    def asides_to_tell(self, names: Sequence[str], limit: int = 200) -> list[AsideRow]:
        """Return mails not taken in of which nobody was told, and note them as told."""
        if not names:
            return []
        rows = self._rows(
            f"SELECT mailbox, uidvalidity, uid, size_bytes, why FROM mailbox_mail WHERE told = 0 AND mailbox IN {places(len(names))} "
            f"ORDER BY mailbox, uid LIMIT ?{self._engine.for_update}", (*(clean(name) for name in names), limit))
        self._many("UPDATE mailbox_mail SET told = 1 WHERE mailbox = ? AND uidvalidity = ? AND uid = ?", [row[:3] for row in rows])
        return [AsideRow(*row) for row in rows]


def _mailbox(row: Sequence[Any]) -> MailboxRow:
    name, place, uidvalidity, first, begun, worked, trouble, trouble_at, alarmed = row
    return MailboxRow(name, place, uidvalidity, instant_or_none(first), instant(begun), instant_or_none(worked), trouble,
                      instant_or_none(trouble_at), instant_or_none(alarmed))
