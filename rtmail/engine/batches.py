"""Which mails the engine works on next: claimed by lease, read by then, given back when nobody gets to them.

While one batch is taken in, the next is read in a thread of its own, its questions to DNS included. A mail at which
something went wrong before goes alone: what happens now, happens to it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtmail.engine.reader import Job, ReaderPool, ReadFailed
from rtmail.engine.sender_checks import SenderChecks
from rtmail.errors import Deferred
from rtmail.failpoint import failpoint
from rtmail.mail.model import Mail
from rtmail.mail.site import Site
from rtmail.store import LeaseLost, NotThere, SpoolItem, Store

DEATHS = 5
"""So often we may die while a mail alone is worked on before it is blamed. More than for failures: most deaths are nobody's fault, and the
mail that is first in line at each start is the one that they meet."""
LEASE_SECONDS = 300.0
BATCH = 24
BATCH_BYTES = 16 << 20
"""Of the mails of one batch together; a single one may be larger. Two batches are in memory at most."""
AGAIN_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Batch:
    """Mails that were claimed, which of them are to be read, and what those say as soon as it is known."""

    items: list[SpoolItem]
    readable: list[bool]
    reading: Future[list[Mail | ReadFailed]]

    def mails(self) -> list[Mail | ReadFailed]:
        """Return what was read, when it is; raises what kept all of it from being read."""
        read = iter(self.reading.result())
        return [next(read) if readable else ReadFailed(_unread(item)) for item, readable in zip(self.items, self.readable, strict=True)]


class Batches:
    """The engine's claims on the spool.

    owner     names them in leases
    alone_to  up to this spool id mails are taken one by one: the daemon died while it worked on some of them
    checks    asks DNS about senders whom no trusted server judged; None where that is not wanted
    """

    def __init__(self, store: Store, pool: ReaderPool, owner: str, alone_to: int, checks: SenderChecks | None) -> None:
        self._store, self._pool, self._owner, self._alone_to, self._checks = store, pool, owner, alone_to, checks
        self._reading = ThreadPoolExecutor(1, "rtmail-reading")
        self._ahead: Batch | None = None
        self._to_release: list[SpoolItem] = []
        self._to_retry: list[tuple[SpoolItem, datetime]] = []

    def next(self, site: Site, now: datetime) -> Batch | None:
        """Return the next batch; None when nothing waits."""
        self._hand_back()
        if not self._pool.processes:
            if not self._store.spool_depth():
                return None
            # Before any claim: that we die while a reader starts is no mail's fault.
            self._pool.warm()
            failpoint("engine-warmed")
        batch, self._ahead = self._ahead or self._begin(site, now), None
        return batch

    def go_ahead(self, batch: Batch, site: Site, now: datetime) -> None:
        """Let the batch behind this one be read, where there may be one."""
        if len(batch.items) == BATCH:
            self._ahead = self._begin(site, now)

    def spoiled(self, items: Sequence[SpoolItem], now: datetime, *, by_store: bool, kept: bool) -> None:
        """Note that all of a batch that was left came to nothing.

        by_store  it is the database's trouble, and no mail's fault
        kept      of that: a row that one of them needs is kept by another, who may stand still; the others need not wait for it
        """
        self._put_back()
        if by_store or len(items) > 1:
            self._to_release += items
        if by_store and not kept:
            return
        # What goes wrong with one mail ends with that mail; this undid them all. It is found when each goes alone.
        if len(items) > 1:
            self._alone_to = items[-1].id
        else:
            self._to_retry += [(item, now + AGAIN_AFTER * item.attempts) for item in items]

    def close(self) -> None:
        """Give back what is claimed; no work follows."""
        self._put_back()
        with suppress(Deferred):
            self._hand_back()
        self._reading.shutdown(wait=False)

    def raw(self, item: SpoolItem) -> bytes | None:
        """Return a mail's bytes, None when they were erased meanwhile."""
        try:
            return self._store.raw(item.raw_id)
        except NotThere:
            return None

    def _begin(self, site: Site, now: datetime) -> Batch | None:
        """Claim the next batch and let it be read."""
        items = self._claim(now)
        if not items:
            return None
        try:
            failpoint("engine-leased")
            raws, size = list[bytes | None](), 0
            for item in items:
                raw = self.raw(item) if item.attempts <= DEATHS else None
                size += len(raw or b"")
                if raws and size > BATCH_BYTES:
                    break
                raws.append(raw)
            if rest := items[len(raws) :]:
                items = items[: len(raws)]
                self._store.release_spool(rest)
            jobs = [(raw, item.envelope) for item, raw in zip(items, raws, strict=True) if raw is not None]
            return Batch(items, [raw is not None for raw in raws], self._reading.submit(self._read, jobs, site))
        except Exception:
            self._to_release += items
            raise

    def _claim(self, now: datetime) -> list[SpoolItem]:
        items = self._store.lease_spool(self._owner, now, 1 if self._alone_to else BATCH, LEASE_SECONDS)
        if self._alone_to and (not items or items[0].id > self._alone_to):
            self._alone_to = 0
        again = next((item for item in items if item.attempts > 1), None)
        if again is None or len(items) == 1:
            return items
        self._to_release += [item for item in items if item is not again]
        self._hand_back()
        return [again]

    def _read(self, jobs: list[Job], site: Site) -> list[Mail | ReadFailed]:
        if self._checks is not None:
            envelopes = self._checks.prepared(jobs, site)
            jobs = [(raw, envelope) for (raw, _), envelope in zip(jobs, envelopes, strict=True)]
        return self._pool.read_many(jobs, site)

    def _put_back(self) -> None:
        if self._ahead is not None:
            self._to_release += self._ahead.items
            self._ahead = None

    def _hand_back(self) -> None:
        """Give up claims on mails that are not being worked on; tried again by the next round when the store cannot."""
        if self._to_release:
            self._store.release_spool(self._to_release)
            self._to_release = []
        while self._to_retry:
            with suppress(LeaseLost):
                self._store.retry_spool(*self._to_retry[0])
            self._to_retry.pop(0)


def _unread(item: SpoolItem) -> str:
    """Why a claimed mail was not even read."""
    return "died while this mail was worked on" if item.attempts > DEATHS else "its bytes are gone"
