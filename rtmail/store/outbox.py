"""Mail to go out: fixed bytes and a fixed Message-ID from their commit on, claimed by lease, settled once (promise 5).

The engine adds rows in the transaction that decided them; the courier leases, sends and settles; the engine then reads
the fates that the tickets must hear of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import Any

from rtmail.failpoint import failpoint
from rtmail.store.database import Database, chunks, claims, patiently, places, reads, writes
from rtmail.store.faults import LeaseLost, NotThere
from rtmail.store.spool import message_id_key
from rtmail.store.values import clean, instant, instant_or_none, length, micros, micros_or_none, pack, unpack, unpacked_size


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One copy of one mail to one recipient; `ticket` is the row id, 0 for mail about no request.

    urgency     0 urgent, 1 ordinary, 2 bulk
    expires_at  after it no more is tried; None for never
    report      which of its fates come back to the ticket, a `Report`
    attempts    counts the present one once leased; `fence` proves the claim
    joins       until `not_before` it may become a line of a mail that joins several to the same recipient
    failed      a try of it failed, and that was recorded
    """

    id: int
    ticket: int
    event: int
    person: int
    recipient: str
    envelope_sender: str
    raw: bytes
    message_id: str
    template: str
    urgency: int
    not_before: datetime
    expires_at: datetime | None
    report: int
    attempts: int = 0
    fence: int = 0
    joins: bool = False
    failed: bool = False


class Fate(StrEnum):
    """Where an outgoing mail stands. BOUNCED: accepted by the relay, and come home later. CARRIED: it is a line of another mail
    now, which is on its way; then it has that one's fate. ASIDE: it waited in a backup that was put back, and may have gone out since."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    CARRIED = "carried"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class Sent:
    """The relay took it; `remote_id` is the id that its answer named, "" for none."""

    text: str
    remote_id: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now, again at `at`. `blocks` False when the answer was about this mail alone: later ones to the
    same recipient need not wait behind it."""

    text: str
    at: datetime
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """Refused for good, with the enhanced status ("5.1.1") or ""."""

    text: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class Expired:
    """Tried for too long."""

    text: str = ""


Settled = Sent | Deferred | Failed | Expired


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An outgoing mail without its bytes, as tickets and people hear of it.

    said      the relay's last answer; `status` its enhanced status; `remote_id` the id under which it was taken
    settled_at  None while it waits
    """

    id: int
    ticket: int
    event: int
    person: int
    recipient: str
    envelope_sender: str
    message_id: str
    template: str
    urgency: int
    fate: Fate
    attempts: int
    said: str
    status: str
    remote_id: str
    created_at: datetime
    due_at: datetime
    expires_at: datetime | None
    settled_at: datetime | None


CLAIM_BYTES = 16 << 20
"""Of the mails of one claim together; a single one may be larger. They are in memory until they are sent."""
_FOREVER = 2**63 - 1
ADMIN_TEMPLATE = "admin-notice"
"""Goes out even while the outbox is paused: the admin must hear that it is."""
OUTBOX_ROW = ("id, ticket_id, event, person, recipient, envelope_sender, message_id, template, urgency, state, attempts, said, status, "
              "remote_id, created_at, due_at, expires_at, settled_at")
_SETTLE = ("UPDATE outbox SET state = ?, said = ?, status = ?, remote_id = ?, due_at = ?, blocks = ?, settled_at = ?, lease_until = 0, "
           "unreported = CASE WHEN (report = 1 AND (? <> 'waiting' OR attempts = 1)) OR (report = 2 AND ? IN ('failed', 'expired')) "
           "THEN 1 ELSE unreported END "
           "WHERE id = ? AND fence = ? AND state = 'waiting'")


class Outbox(Database):
    """The outbox's part of the store."""

    @writes
    def reserve(self, n: int) -> list[int]:
        """Return `n` outbox ids that nobody had: the envelope sender of a mail names its own row (VERP)."""
        return self._engine.reserve("outbox", n) if n else []

    @writes
    def add_bytes(self, outbox_id: int, raw: bytes) -> None:
        """Keep the bytes of a mail that is about to be added, under its reserved id."""
        self._do("INSERT INTO outbox_mail (id, packed) VALUES (?, ?)", (outbox_id, pack(raw)))

    @writes
    def add_many(self, items: Sequence[OutboxItem], now: datetime) -> None:
        """Add rendered mails under their reserved ids; one without bytes has them there already (`add_bytes`)."""
        if not items:
            return
        at = micros(now)
        self._many("INSERT INTO outbox (id, ticket_id, event, person, recipient, envelope_sender, message_id, template, urgency, "
                   "not_before, expires_at, report, created_at, due_at, bundle) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   [(i.id, i.ticket, i.event, i.person, clean(i.recipient), clean(i.envelope_sender), message_id_key(i.message_id),
                     i.template, i.urgency, micros(i.not_before), micros_or_none(i.expires_at), int(i.report), at,
                     micros(i.not_before), int(i.joins)) for i in items])
        self._many("INSERT INTO outbox_mail (id, packed) VALUES (?, ?)", [(i.id, pack(i.raw)) for i in items if i.raw])
        failpoint("outbox-added-before-commit")

    def lease_outbox(self, owner: str, now: datetime, limit: int, seconds: float) -> list[OutboxItem]:
        """Claim up to `limit` due mails for `seconds`, urgent ones first, then by due time; fewer when they are large.

        Mails of one ticket to one recipient go out in their order: a later one waits for an earlier one of the same or
        a higher urgency that still waits, unless that one was put off for a reason of its own.
        """
        at, name = micros(now), clean(owner)

        def take(begin: int, until: int) -> list[OutboxItem]:
            rows = self._rows(
                "WITH due AS MATERIALIZED (SELECT o.id FROM outbox o WHERE o.state = 'waiting' AND o.due_at <= ? AND o.lease_until <= ? "
                f"AND (o.template = '{ADMIN_TEMPLATE}' OR NOT EXISTS (SELECT 1 FROM meta WHERE key = 'pause:outbox')) "
                "AND (o.ticket_id = 0 OR NOT EXISTS (SELECT 1 FROM outbox e WHERE e.state = 'waiting' AND e.ticket_id = o.ticket_id "
                "AND e.recipient = o.recipient AND e.id < o.id AND e.urgency <= o.urgency AND e.blocks = 1)) "
                f"ORDER BY o.urgency, o.due_at, o.id LIMIT ?{self._engine.skip_locked}) UPDATE outbox SET owner = ?, lease_until = ?, "
                "attempts = attempts + 1, fence = fence + 1 WHERE id IN (SELECT id FROM due) "
                "RETURNING urgency, due_at, id, ticket_id, event, person, recipient, envelope_sender, message_id, template, not_before, "
                "expires_at, report, attempts, fence, said <> ''", (at, begin, limit, name, until))
            rows.sort(key=lambda row: row[:3])
            packed = self._first_bytes([row[2] for row in rows])
            rows, rest = rows[:len(packed)], rows[len(packed):]
            for some in chunks([row[2] for row in rest]):
                self._do(f"UPDATE outbox SET lease_until = 0, attempts = attempts - 1 WHERE id IN {places(len(some))}", some)
            failpoint("outbox-leased-before-commit")
            return [OutboxItem(id_, ticket, event, person, recipient, sender, unpack(packed[id_]), message_id, template, urgency,
                               instant(not_before), instant_or_none(expires), report, attempts, fence, failed=bool(failed))
                    for (urgency, _, id_, ticket, event, person, recipient, sender, message_id, template, not_before, expires, report,
                         attempts, fence, failed) in rows]

        return self._claim(f"outbox {name}", at, length(timedelta(seconds=seconds)), take, lambda ends: self._do(
            "UPDATE outbox SET lease_until = 0, attempts = attempts - 1 WHERE state = 'waiting' AND owner = ? "
            f"AND lease_until IN {places(len(ends))}", (name, *ends)))

    def _first_bytes(self, ids: Sequence[int]) -> dict[int, bytes]:
        """Return the bytes of the first of these mails, as many as are claimed together."""
        sizes = dict[int, int]()
        for some in chunks(ids):
            sizes.update(self._rows(f"SELECT id, length(packed) FROM outbox_mail WHERE id IN {places(len(some))}", some))
        packed = self._packed(_together(ids, sizes))
        return {id_: packed[id_] for id_ in _together(ids[:len(packed)], {id_: unpacked_size(one) for id_, one in packed.items()})}

    def _packed(self, ids: Sequence[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for some in chunks(ids):
            found.update((id_, bytes(packed)) for id_, packed in self._rows(
                f"SELECT id, packed FROM outbox_mail WHERE id IN {places(len(some))}", some))
        return found

    @claims
    def renew_outbox(self, item: OutboxItem, now: datetime, seconds: float) -> None:
        """Keep a claim for `seconds` from now on, as is due right before sending; raises LeaseLost when it is no longer ours."""
        # Odd, so that it ends with no claim of which nobody knows whether it was made: what is put back must not be on its way.
        if not self._do("UPDATE outbox SET lease_until = ? WHERE id = ? AND fence = ? AND state = 'waiting'",
                        (self._led(micros(now)) + length(timedelta(seconds=seconds)) | 1, item.id, item.fence)):
            raise LeaseLost(f"outbox {item.id}")

    def settle_outbox(self, item: OutboxItem, settled: Settled, now: datetime) -> None:
        """Record what became of a claimed mail; raises LeaseLost when the claim is no longer ours."""
        self.settle_outbox_many([(item, settled)], now)

    @patiently
    def settle_outbox_many(self, settled: Sequence[tuple[OutboxItem, Settled]], now: datetime) -> None:
        """Record what became of claimed mails, all or none; raises LeaseLost when one claim is no longer ours."""
        with self.transaction():
            if self._many(_SETTLE, [_settling(item, outcome, micros(now)) for item, outcome in settled]) != len(settled):
                raise LeaseLost(f"outbox {', '.join(str(item.id) for item, _ in settled)}")
            failpoint("outbox-settled-before-commit")

    @claims
    def release_outbox(self, items: Sequence[OutboxItem]) -> None:
        """Put back claimed mails that were not tried: the attempt does not count. Claims already lost are passed over."""
        self._many("UPDATE outbox SET lease_until = 0, attempts = attempts - 1 WHERE id = ? AND fence = ? AND state = 'waiting'",
                   [(item.id, item.fence) for item in items])

    @reads
    def unreported(self, limit: int) -> list[OutboxRow]:
        """Return mails whose fate their ticket has not heard of, oldest first: each end, and the first deferral (WAITING)."""
        return [outbox_row(row) for row in self._rows(
            f"SELECT {OUTBOX_ROW} FROM outbox WHERE unreported = 1 ORDER BY id LIMIT ?", (limit,))]

    @writes
    def mark_reported(self, rows: Sequence[OutboxRow]) -> set[int]:
        """Note that the tickets hear of these fates; return the ids for which nobody else did so at the same moment.

        A mail whose fate changed since it was read stays unreported.
        """
        return {row.id for row in rows if self._do(
            "UPDATE outbox SET unreported = 0 WHERE id = ? AND unreported = 1 AND state = ? AND attempts = ?",
            (row.id, str(row.fate), row.attempts))}

    @reads
    def by_id(self, outbox_id: int) -> OutboxRow | None:
        """Return an outgoing mail, as a bounce to our VERP address names it; None when there is none."""
        row = self._row(f"SELECT {OUTBOX_ROW} FROM outbox WHERE id = ?", (outbox_id,))
        return outbox_row(row) if row else None

    @reads
    def by_message_id(self, message_id: str) -> list[OutboxRow]:
        """Return the copies that went out under this Message-ID, in order of id."""
        return [outbox_row(row) for row in self._rows(
            f"SELECT {OUTBOX_ROW} FROM outbox WHERE message_id = ? ORDER BY id", (message_id_key(message_id),))]

    @reads
    def outbox_of(self, ticket_id: int, event: int | None = None) -> list[OutboxRow]:
        """Return the mails of a ticket, or of one of its events, in order of id."""
        if event is None:
            rows = self._rows(f"SELECT {OUTBOX_ROW} FROM outbox WHERE ticket_id = ? ORDER BY id", (ticket_id,))
        else:
            rows = self._rows(f"SELECT {OUTBOX_ROW} FROM outbox WHERE ticket_id = ? AND event = ? ORDER BY id", (ticket_id, event))
        return [outbox_row(row) for row in rows]

    @writes
    def mark_bounced(self, outbox_id: int, status: str, text: str, now: datetime) -> bool:
        """Note that a mail came home; True the first time. One that still waits for another try is not tried again."""
        return bool(self._do("UPDATE outbox SET state = 'bounced', status = ?, said = ?, settled_at = ?, lease_until = 0 "
                             "WHERE id = ? AND state IN ('sent', 'waiting')", (clean(status), clean(text), micros(now), outbox_id)))

    @reads
    def outbox_mail(self, outbox_id: int) -> bytes:
        """Return the bytes of an outgoing mail; raises NotThere when there is none, or they were erased."""
        packed = self._packed([outbox_id])
        if outbox_id not in packed:
            raise NotThere(f"outbox {outbox_id}")
        return unpack(packed[outbox_id])

    def list_outbox(self, *fates: Fate) -> Iterator[OutboxRow]:
        """Yield the mails of these fates (waiting ones when none is named), oldest first."""
        last = 0
        while rows := self._outbox_page(fates or (Fate.WAITING,), last):
            yield from rows
            last = rows[-1].id

    @reads
    def _outbox_page(self, fates: Sequence[Fate], after: int) -> list[OutboxRow]:
        # Written out, so that the partial indexes apply.
        states = ", ".join(repr(str(Fate(fate))) for fate in fates)
        return [outbox_row(row) for row in self._rows(
            f"SELECT {OUTBOX_ROW} FROM outbox WHERE state IN ({states}) AND id > ? ORDER BY id LIMIT 200", (after,))]

    @writes
    def retry_outbox(self, outbox_id: int, now: datetime, expires_at: datetime | None = None) -> bool:
        """Let a mail be tried at once, also one that failed, bounced or expired; False for one sent, dropped or erased, or in work."""
        return bool(self._do(
            "UPDATE outbox SET state = 'waiting', due_at = ?, settled_at = NULL, blocks = 0, attempts = 0, unreported = 0, "
            "expires_at = CASE WHEN state = 'waiting' THEN expires_at ELSE CAST(? AS bigint) END "
            "WHERE id = ? AND lease_until <= ? AND state IN ('waiting', 'failed', 'expired', 'bounced', 'aside') "
            "AND EXISTS (SELECT 1 FROM outbox_mail m WHERE m.id = outbox.id)",
            (micros(now), micros_or_none(expires_at), outbox_id, self._led(micros(now)))))

    @writes
    def drop_outbox(self, outbox_id: int, by: str, now: datetime, *, claimed: bool = False) -> bool:
        """Give up a mail that was not sent; False when it was, or is in work. `claimed`: that too; who sends it finds his claim lost."""
        until = _FOREVER if claimed else self._led(micros(now))
        return bool(self._do(
            "UPDATE outbox SET state = 'dropped', said = ?, settled_at = ?, unreported = CASE WHEN report = 1 THEN 1 ELSE 0 END "
            "WHERE id = ? AND lease_until <= ? "
            "AND state IN ('waiting', 'failed', 'expired', 'bounced', 'aside')",
            (clean(f"dropped by {by}"), micros(now), outbox_id, until)))

    @reads
    def outbox_depth(self) -> int:
        """Return how many mails wait to go out."""
        row = self._row("SELECT count(*) FROM outbox WHERE state = 'waiting'")
        return int(row[0]) if row else 0

    @reads
    def outbox_oldest(self) -> datetime | None:
        """Return since when the mail is due that waits longest, None when none waits."""
        row = self._row("SELECT min(not_before) FROM outbox WHERE state = 'waiting'")
        return instant_or_none(row[0]) if row else None

    @reads
    def next_outbox_at(self) -> datetime | None:
        """Return when a waiting mail is due next or its claim ends, None when none waits."""
        row = self._row("SELECT min(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) FROM outbox WHERE state = 'waiting'")
        return instant_or_none(row[0]) if row else None

    @writes
    def erase_outbox_mail(self, outbox_id: int) -> None:
        """Forget the bytes and the recipient of a mail that waits no more."""
        if self._do("UPDATE outbox SET recipient = '', envelope_sender = '', said = '' WHERE id = ? AND state <> 'waiting'", (outbox_id,)):
            self._do("DELETE FROM outbox_mail WHERE id = ?", (outbox_id,))


def _together(ids: Sequence[int], sizes: Mapping[int, int]) -> list[int]:
    """Return the first of `ids` that have CLAIM_BYTES together at most, and the first in any case."""
    sums = accumulate(sizes[id_] for id_ in ids)
    return [id_ for place, (id_, sum_) in enumerate(zip(ids, sums, strict=True)) if not place or sum_ <= CLAIM_BYTES]


def _settling(item: OutboxItem, settled: Settled, now: int) -> tuple[Any, ...]:
    due, blocks, status, remote_id, at = now, 1, "", "", now
    match settled:
        case Sent(text, remote_id):
            fate = Fate.SENT
        case Deferred(text, later, holds):
            fate, due, blocks = Fate.WAITING, micros(later), int(holds)
        case Failed(text, status):
            fate = Fate.FAILED
        case Expired(text):
            fate = Fate.EXPIRED
    settled_at = None if fate is Fate.WAITING else at
    return (str(fate), clean(text), clean(status), clean(remote_id), due, blocks, settled_at, str(fate), str(fate), item.id, item.fence)


def outbox_row(row: Sequence[Any]) -> OutboxRow:
    (id_, ticket, event, person, recipient, sender, message_id, template, urgency, state, attempts, said, status, remote_id, created,
     due, expires, settled) = row
    return OutboxRow(id_, ticket, event, person, recipient, sender, message_id, template, urgency, Fate(state), attempts, said, status,
                     remote_id, instant(created), instant(due), instant_or_none(expires), instant_or_none(settled))
