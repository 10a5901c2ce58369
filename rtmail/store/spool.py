"""Mail taken in: raw bytes and envelopes, claimed by lease, settled with exactly one outcome (promises 1, 2 and 3).

Ingress puts, engine leases, reads and settles. The attempt is counted and committed before anything looks into the
mail, so that a mail which kills its reader is known by its count at the next start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rtmail.failpoint import failpoint
from rtmail.mail.model import Cut, Envelope
from rtmail.store.database import Database, chunks, places, reads, writes
from rtmail.store.faults import LeaseLost, NotThere
from rtmail.store.values import clean, dump, instant, instant_or_none, length, load, micros, pack, unpack


class Outcome(StrEnum):
    """What became of an accepted mail; each has exactly one (promise 3)."""

    EVENT = "event"
    BOUNCE = "bounce"
    JUNK = "junk"
    HELD = "held"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class SpoolItem:
    """A claimed mail. `attempts` counts this one; `fence` proves the claim when it is settled.

    stub_ticket  row id of the ticket that was opened from what could be read of it, before it went to quarantine; 0 for none
    """

    id: int
    raw_id: int
    envelope: Envelope
    attempts: int
    fence: int
    arrived_at: datetime
    stub_ticket: int = 0


@dataclass(frozen=True, slots=True)
class SpoolRow:
    """A spooled mail as people look at it; `outcome` is "" while it waits."""

    id: int
    raw_id: int
    envelope: Envelope
    arrived_at: datetime
    attempts: int
    outcome: str
    reason: str
    ticket: int
    event: int
    settled_at: datetime | None
    trace: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one claimed mail ended: `ticket` is the ticket's row id, `trace` the verdict that `why` prints."""

    item: SpoolItem
    outcome: Outcome
    reason: str
    ticket: int = 0
    event: int = 0
    trace: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class First:
    """Never seen before."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same mail as the spooled one; `ticket` is the row id of the ticket that it reached, 0 for none or not yet."""

    spool_id: int
    ticket: int


@dataclass(frozen=True, slots=True)
class SameIdOtherPrint:
    """The Message-ID is known from another mail: to be flagged, and judged as if it had none."""

    spool_id: int
    ticket: int


Remembered = First | Duplicate | SameIdOtherPrint


@dataclass(frozen=True, slots=True)
class Audit:
    """The conservation sum: what was accepted, what waits, what each outcome holds, and rows that do not add up."""

    accepted: int
    waiting: int
    outcomes: Mapping[str, int]
    culprits: tuple[tuple[int, str], ...]

    @property
    def closes(self) -> bool:
        return not self.culprits and self.accepted == self.waiting + sum(self.outcomes.values())


UNDATED_SAME_WITHIN = timedelta(hours=1)
"""Mails with neither Message-ID nor Date are the same only within this time (promise 2)."""

_ROW = ("s.id, s.raw_id, s.envelope, s.arrived_at, s.attempts, s.outcome, s.reason, s.ticket_id, s.event, s.settled_at, t.verdict "
        "FROM spool s LEFT JOIN trace t ON t.spool_id = s.id")


class Spool(Database):
    """The spool's part of the store."""

    def put_many(self, mails: Sequence[tuple[bytes, Envelope]], more: Callable[[], Iterable[tuple[bytes, Envelope]]] = tuple) -> list[int]:
        """Keep `mails` in one commit and return their spool ids, in order; when it returns they are on the disk.

        more  asked when it is our turn to write, for what came while we waited for it and shall share the commit; each mail once
        """
        kept = [_packed(raw, envelope) for raw, envelope in mails]

        def put() -> list[int]:
            kept.extend(_packed(raw, envelope) for raw, envelope in more())
            return self._put(kept)

        return self.run(put)

    def _put(self, mails: Sequence[_Packed]) -> list[int]:
        raw_ids = self._keep_raw({one.digest: (one.size, one.data) for one in mails})
        ids = self._engine.reserve("spool", len(mails))
        self._many("INSERT INTO spool (id, raw_id, envelope, arrived_at) VALUES (?, ?, ?, ?)",
                   [(id_, raw_ids[one.digest], one.envelope, one.at) for id_, one in zip(ids, mails, strict=True)])
        failpoint("spool-before-commit")
        return ids

    def _keep_raw(self, by_digest: Mapping[str, tuple[int, bytes]]) -> dict[str, int]:
        """Keep each mail once; return row ids by digest. In order of digest, so that two daemons never wait for each other."""
        digests = sorted(by_digest)
        ids = dict(zip(digests, self._engine.reserve("raw", len(digests)), strict=True))
        # A mail whose bytes were erased and which comes again is kept again: whether it is wanted is decided later.
        changed = self._many("INSERT INTO raw (id, sha256, size_bytes, packed) VALUES (?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
                             [(ids[digest], digest, *by_digest[digest]) for digest in digests])
        if changed < len(digests):
            for some in chunks(digests):
                # Kept until our commit: else whoever drops their last mail meanwhile (`drop_spool`) would not know of ours, nor we of that.
                ids.update((digest, id_) for id_, digest in self._rows(
                    f"SELECT id, sha256 FROM raw WHERE sha256 IN {places(len(some))} ORDER BY sha256{self._engine.for_update}", some))
            self._many("UPDATE raw SET packed = ? WHERE sha256 = ? AND packed IS NULL",
                       [(by_digest[digest][1], digest) for digest in digests])
        return ids

    @reads
    def raw(self, raw_id: int) -> bytes:
        """Return the bytes of a kept mail; raises NotThere when it never was, or was erased."""
        row = self._row("SELECT packed FROM raw WHERE id = ?", (raw_id,))
        if row is None or row[0] is None:
            raise NotThere(f"raw mail {raw_id}")
        return unpack(bytes(row[0]))

    def lease_spool(self, owner: str, now: datetime, limit: int, seconds: float) -> list[SpoolItem]:
        """Claim up to `limit` waiting mails for `seconds`, oldest first; the attempts are committed on return."""
        at, name = micros(now), clean(owner)

        def take(begin: int, until: int) -> list[SpoolItem]:
            rows = self._rows(
                "WITH due AS MATERIALIZED (SELECT id FROM spool WHERE outcome = '' AND due_at <= ? AND lease_until <= ? ORDER BY id LIMIT ?"
                f"{self._engine.skip_locked}) UPDATE spool SET owner = ?, lease_until = ?, attempts = attempts + 1, fence = fence + 1 "
                "WHERE id IN (SELECT id FROM due) RETURNING id, raw_id, envelope, attempts, fence, arrived_at, "
                "CASE WHEN event = 0 THEN ticket_id ELSE 0 END", (at, begin, limit, name, until))
            failpoint("spool-leased-before-commit")
            return [SpoolItem(id_, raw_id, _envelope(text), attempts, fence, instant(arrived), stub_ticket)
                    for id_, raw_id, text, attempts, fence, arrived, stub_ticket in sorted(rows)]

        return self._claim(f"spool {name}", at, length(timedelta(seconds=seconds)), take, lambda ends: self._do(
            "UPDATE spool SET lease_until = 0, attempts = attempts - 1 WHERE outcome = '' AND owner = ? "
            f"AND lease_until IN {places(len(ends))}", (name, *ends)))

    @writes
    def note_checked(self, item: SpoolItem, proof: str, why: str) -> None:
        """Keep with a mail what our own checks proved about its sender: its keys may be gone when it is read again."""
        checked = envelope_text(replace(item.envelope, checked=(proof, clean(why))))
        self._do("UPDATE spool SET envelope = ? WHERE id = ?", (checked, item.id))

    def settle_spool(self, item: SpoolItem, outcome: Outcome, reason: str, ticket_id: int = 0, event: int = 0,
                     trace: Mapping[str, Any] | None = None, *, now: datetime) -> None:
        """Give a claimed mail its outcome; raises LeaseLost when the claim is no longer ours."""
        self.settle_many([Settlement(item, outcome, reason, ticket_id, event, trace)], now)

    @writes
    def settle_many(self, settlements: Sequence[Settlement], now: datetime) -> None:
        """Give claimed mails their outcomes, all or none; raises LeaseLost when one claim is no longer ours."""
        at = micros(now)
        changed = self._many(
            "UPDATE spool SET outcome = ?, reason = ?, ticket_id = ?, event = ?, settled_at = ?, lease_until = 0 "
            "WHERE id = ? AND fence = ? AND outcome = ''",
            [(str(s.outcome), clean(s.reason), s.ticket, s.event, at, s.item.id, s.item.fence) for s in settlements])
        if changed != len(settlements):
            raise LeaseLost(f"spool {', '.join(str(s.item.id) for s in settlements)}")
        self._trace(((s.item.id, s.trace) for s in settlements if s.trace is not None), at)

    def _trace(self, verdicts: Iterable[tuple[int, Mapping[str, Any]]], at: int) -> None:
        self._many("INSERT INTO trace (spool_id, at, verdict) VALUES (?, ?, ?) "
                   "ON CONFLICT (spool_id) DO UPDATE SET at = excluded.at, verdict = excluded.verdict",
                   [(spool_id, at, dump(verdict)) for spool_id, verdict in verdicts])

    def ticket_of_same(self, item: SpoolItem) -> int:
        """Return the ticket that another arrival of exactly these bytes opened or joined, if only by its stub; 0 when none did."""
        found = self._row(
            "SELECT other.ticket_id FROM spool it JOIN spool other ON other.raw_id = it.raw_id AND other.id <> it.id "
            "WHERE it.id = ? AND other.outcome IN ('event', 'quarantined') AND other.ticket_id <> 0 ORDER BY other.id LIMIT 1", (item.id,))
        return int(found[0]) if found else 0

    @writes
    def retry_spool(self, item: SpoolItem, at: datetime) -> None:
        """Put a claimed mail back until `at`; raises LeaseLost when the claim is no longer ours."""
        if not self._do("UPDATE spool SET due_at = ?, lease_until = 0 WHERE id = ? AND fence = ? AND outcome = ''",
                        (micros(at), item.id, item.fence)):
            raise LeaseLost(f"spool {item.id}")

    @writes
    def release_spool(self, items: Sequence[SpoolItem]) -> None:
        """Put back claimed mails that nobody looked into: the attempt does not count. Claims already lost are passed over."""
        self._many("UPDATE spool SET lease_until = 0, attempts = attempts - 1 WHERE id = ? AND fence = ? AND outcome = ''",
                   [(item.id, item.fence) for item in items])

    @reads
    def spool_depth(self) -> int:
        """Return how many mails wait or are in work."""
        row = self._row("SELECT count(*) FROM spool WHERE outcome = ''")
        return int(row[0]) if row else 0

    @reads
    def newest_spooled(self) -> int:
        """Return the spool id of the mail that was kept last, 0 for none."""
        row = self._row("SELECT max(id) FROM spool")
        return int((row and row[0]) or 0)

    @reads
    def spool_oldest(self) -> datetime | None:
        """Return when the mail arrived that waits longest, None when none waits."""
        row = self._row("SELECT arrived_at FROM spool WHERE outcome = '' ORDER BY id LIMIT 1")
        return instant(row[0]) if row else None

    def list_spool(self, outcome: str, *, dropped: bool = False, settled: bool = True) -> Iterator[SpoolRow]:
        """Yield the mails with this outcome ("" for waiting ones), oldest first.

        dropped  those that were taken off their list too; settled: held ones too that wait for nobody's word any more
        """
        last = 0
        while rows := self._spool_page(outcome, last, dropped, settled):
            yield from rows
            last = rows[-1].id

    @reads
    def _spool_page(self, outcome: str, after: int, dropped: bool, settled: bool) -> list[SpoolRow]:
        waits = "" if settled else "AND EXISTS (SELECT 1 FROM hold h WHERE h.spool_id = s.id AND h.state = 'waiting') "
        # The outcome stands in the text, so that the partial indexes apply.
        rows = self._rows(f"SELECT {_ROW} WHERE s.outcome = '{Outcome(outcome) if outcome else ''}' AND s.id > ? "
                          f"AND s.dropped <= ? {waits}ORDER BY s.id LIMIT 200", (after, int(dropped)))
        return [_spool_row(row) for row in rows]

    @reads
    def spool_row(self, spool_id: int) -> SpoolRow:
        """Return one spooled mail with its trace; raises NotThere."""
        row = self._row(f"SELECT {_ROW} WHERE s.id = ?", (spool_id,))
        if row is None:
            raise NotThere(f"spool {spool_id}")
        return _spool_row(row)

    @reads
    def spool_of(self, ticket_id: int) -> list[SpoolRow]:
        """Return the mails that ended on a ticket, oldest first."""
        return [_spool_row(row) for row in self._rows(
            f"SELECT {_ROW} WHERE s.ticket_id = ? AND s.ticket_id <> 0 ORDER BY s.id", (ticket_id,))]

    @reads
    def spool_by_message_id(self, message_id: str) -> list[SpoolRow]:
        """Return the spooled mails that came with this Message-ID, oldest first."""
        return [_spool_row(row) for row in self._rows(
            f"SELECT {_ROW} WHERE s.id IN (SELECT spool_id FROM seen WHERE message_id = ?) ORDER BY s.id",
            (message_id_key(message_id),))]

    @writes
    def requeue_spool(self, spool_id: int, now: datetime, *, confirmed: bool = False) -> bool:
        """Let a quarantined, held or junk mail go through once more, with its attempts forgotten; False when it is none, or was erased.

        confirmed  its author answered what he meant: so does one that is an event already, part of which waited for that
        """
        return bool(self._do(
            "UPDATE spool SET outcome = '', reason = '', attempts = 0, due_at = ?, lease_until = 0, settled_at = NULL, dropped = 0 "
            "WHERE id = ? AND (outcome IN ('quarantined', 'held', 'junk') OR (outcome = 'event' AND ? = 1)) "
            "AND EXISTS (SELECT 1 FROM raw r WHERE r.id = spool.raw_id AND r.packed IS NOT NULL)",
            (micros(now), spool_id, int(confirmed))))

    @writes
    def drop_spool(self, spool_id: int, by: str, now: datetime) -> bool:
        """Take a quarantined, held or junk mail off its list and erase its bytes; it keeps its outcome. False when it is none."""
        dropped = self._do("UPDATE spool SET dropped = 1, reason = ?, settled_at = ? WHERE id = ? AND dropped = 0 "
                           "AND outcome IN ('quarantined', 'held', 'junk')", (clean(f"dropped by {by}"), micros(now), spool_id))
        if dropped:
            self._rows(f"SELECT id FROM raw WHERE id = (SELECT raw_id FROM spool WHERE id = ?){self._engine.for_update}", (spool_id,))
            self._do("UPDATE raw SET packed = NULL WHERE id = (SELECT raw_id FROM spool WHERE id = ?) AND NOT EXISTS "
                     "(SELECT 1 FROM spool o WHERE o.raw_id = raw.id AND o.dropped = 0)", (spool_id,))
        return bool(dropped)

    @reads
    def audit_counts(self) -> Audit:
        """Return the conservation sum; its culprits are mails whose outcome has nothing to show for it (100 at most)."""
        counts = dict(self._rows("SELECT outcome, count(*) FROM spool GROUP BY outcome"))
        waiting = counts.pop("", 0)
        row = self._row("SELECT count(*) FROM spool")
        strays: list[tuple[int, str]] = []
        for why, text in _STRAYS:
            strays += [(spool_id, why) for (spool_id,) in self._rows(f"{text} ORDER BY s.id LIMIT 100")]
        return Audit(int(row[0]) if row else 0, waiting, counts, tuple(strays[:100]))

    @writes
    def remember(self, message_id: str, fingerprint: str, spool_id: int, at: datetime, has_date: bool) -> Remembered:
        """Note a mail as seen and say whether it is known (promise 2); `message_id` is "" for none.

        The spooled mail itself is never its own duplicate: a second attempt at it is no second mail.
        """
        key = message_id_key(message_id)
        # Without an id and without a date only a near one is the same: an older one is replaced.
        apart = 0 if key or has_date else length(UNDATED_SAME_WITHIN)
        noted = self._rows(
            "INSERT INTO seen (message_id, fingerprint, spool_id, at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (message_id, fingerprint) DO UPDATE SET spool_id = excluded.spool_id, at = excluded.at "
            "WHERE seen.spool_id = excluded.spool_id OR (? > 0 AND abs(excluded.at - seen.at) >= ?) RETURNING spool_id",
            (key, fingerprint, spool_id, micros(at), apart, apart))
        if not noted:
            known = self._row("SELECT n.spool_id, coalesce(s.ticket_id, 0) FROM seen n LEFT JOIN spool s ON s.id = n.spool_id "
                              "WHERE n.message_id = ? AND n.fingerprint = ?", (key, fingerprint))
            return Duplicate(*known) if known else First()
        if not key:
            return First()
        other = self._row("SELECT n.spool_id, coalesce(s.ticket_id, 0) FROM seen n LEFT JOIN spool s ON s.id = n.spool_id "
                          "WHERE n.message_id = ? AND n.fingerprint <> ? AND n.spool_id <> ? ORDER BY n.spool_id LIMIT 1",
                          (key, fingerprint, spool_id))
        return SameIdOtherPrint(*other) if other else First()


_STRAYS = (
    ("settled as event, but its ticket has no such event",
     "SELECT s.id FROM spool s LEFT JOIN event e ON e.ticket_id = s.ticket_id AND e.seq = s.event "
     "WHERE s.outcome = 'event' AND e.seq IS NULL"),
    ("settled as held, but nothing holds it",
     "SELECT s.id FROM spool s LEFT JOIN hold h ON h.spool_id = s.id WHERE s.outcome = 'held' AND h.id IS NULL"),
    ("ignored without a reason", "SELECT s.id FROM spool s WHERE s.outcome IN ('ignored', 'quarantined') AND s.reason = ''"),
    ("its raw mail is not there", "SELECT s.id FROM spool s LEFT JOIN raw r ON r.id = s.raw_id WHERE r.id IS NULL"),
)


def message_id_key(message_id: str) -> str:
    """Return what a Message-ID is looked up by: without white space, which folding inserts; case is kept (RFC 5322 3.6.4)."""
    return clean("".join(message_id.split()))


def envelope_text(envelope: Envelope) -> str:
    """Return an envelope as it is kept."""
    return dump({"sender": envelope.sender, "recipients": list(envelope.recipients), "ingress": envelope.ingress,
                 "arrived_at": micros(envelope.arrived_at), "peer": envelope.peer, "helo": envelope.helo,
                 "auth_user": envelope.auth_user, "queue": envelope.queue, "checked": envelope.checked,
                 **({"cut": astuple(envelope.cut)} if envelope.cut else {}), **({"begun": envelope.begun} if envelope.begun else {})})


def _envelope(text: str) -> Envelope:
    row = load(text)
    checked = tuple(row["checked"]) if row.get("checked") else None
    cut = Cut(*row["cut"]) if row.get("cut") else None
    return Envelope(**{**row, "recipients": tuple(row["recipients"]), "arrived_at": instant(row["arrived_at"]), "checked": checked,
                       "cut": cut})


def _spool_row(row: Sequence[Any]) -> SpoolRow:
    id_, raw_id, envelope, arrived, attempts, outcome, reason, ticket, event, settled, verdict = row
    return SpoolRow(id_, raw_id, _envelope(envelope), instant(arrived), attempts, outcome, reason, ticket, event,
                    instant_or_none(settled), load(verdict) if verdict else {})


@dataclass(frozen=True, slots=True)
class _Packed:
    """A mail as it is kept: the digest and size of its bytes, these compressed, its envelope, and when it arrived (microseconds)."""

    digest: str
    size: int
    data: bytes
    envelope: str
    at: int


def _packed(raw: bytes, envelope: Envelope) -> _Packed:
    return _Packed(hashlib.sha256(raw).hexdigest(), len(raw), pack(raw), envelope_text(envelope), micros(envelope.arrived_at))
