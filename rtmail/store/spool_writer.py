"""The thread that keeps mails for many connections at once; whoever takes mail in hands it over here and waits for the future."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice

from rtmail.errors import Deferred, DiskFull
from rtmail.failpoint import failpoint
from rtmail.mail.model import Envelope
from rtmail.store.spool import Spool


@dataclass(slots=True)
class _Submitted:
    raw: bytes
    envelope: Envelope
    kept: Future[int]


class SpoolWriter:
    """A thread that keeps mails for many connections at once: whatever waits when it is its turn to write shares one commit.

    on_kept      called after each commit with the number of mails kept, from the writer's thread
    limit_mails, limit_bytes   what may wait; beyond it `submit` answers "not now" at once instead of growing
    """

    BATCH_MAILS = 200
    BATCH_BYTES = 4 << 20
    """Together; a single one may be larger. They are compressed while others wait for their turn to write, some 2 ms for 1 MB."""

    def __init__(self, store: Spool, on_kept: Callable[[int], None] | None = None, *,
                 limit_mails: int = 1000, limit_bytes: int = 128 << 20) -> None:
        self._store, self._on_kept = store, on_kept
        self._limit_mails, self._limit_bytes = limit_mails, limit_bytes
        self._waiting: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._mails = self._bytes = self._tries = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="spool-writer", daemon=True)
        self._thread.start()

    def submit(self, raw: bytes, envelope: Envelope) -> Future[int]:
        """Return a future of the spool id, done only once the mail is on the disk; its errors are Deferred or DiskFull."""
        kept: Future[int] = Future()
        with self._lock:
            if self._closed or self._mails >= self._limit_mails or (self._mails and self._bytes + len(raw) > self._limit_bytes):
                kept.set_exception(Deferred())
                return kept
            self._mails += 1
            self._bytes += len(raw)
            self._waiting.put(_Submitted(raw, envelope, kept))
        return kept

    @property
    def progress(self) -> int | None:
        """A number that grows with each try to keep mails; None while none waits."""
        return self._tries if self._mails else None

    def close(self) -> None:
        """Keep what was submitted, then stop; later submissions are answered "not now"."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while batch := self._batch():
            self._keep(batch)
            with self._lock:
                self._mails -= len(batch)
                self._bytes -= sum(len(one.raw) for one in batch)

    def _batch(self) -> list[_Submitted]:
        """Wait for a mail; an empty list when closed."""
        first = self._waiting.get()
        return [] if first is None else [first]

    def _more(self, batch: list[_Submitted]) -> Iterator[tuple[bytes, Envelope]]:
        """Put into the batch, and yield, what else waits by now."""
        size = sum(len(one.raw) for one in batch)
        while len(batch) < self.BATCH_MAILS and size < self.BATCH_BYTES:
            try:
                one = self._waiting.get_nowait()
            except queue.Empty:
                break
            if one is None:
                self._waiting.put(None)
                break
            batch.append(one)
            size += len(one.raw)
            yield one.raw, one.envelope

    def _keep(self, batch: list[_Submitted], *, alone: bool = False) -> None:
        self._tries += 1
        waiting = 0 if alone else self._waiting.qsize()
        try:
            ids = self._store.put_many([(one.raw, one.envelope) for one in batch], tuple if alone else partial(self._more, batch))
            failpoint("spool-after-commit")
        except Exception as error:
            if len(batch) > 1 and (isinstance(error, DiskFull) or not isinstance(error, Deferred)):
                # One mail that the database cannot take must not turn the others away, nor all of them the one for which there is room.
                for one in batch:
                    self._keep([one], alone=True)
                return
            if isinstance(error, Deferred) and not isinstance(error, DiskFull):
                # Perhaps it was never our turn. Who waited through all of it is answered, too: else each would wait for a try of his own.
                for _ in islice(self._more(batch), max(waiting + 1 - len(batch), 0)):
                    pass
            for one in batch:
                one.kept.set_exception(error if isinstance(error, Deferred) else _not_now(error))
            return
        for one, spool_id in zip(batch, ids, strict=True):
            one.kept.set_result(spool_id)
        if self._on_kept:
            self._on_kept(len(batch))


def _not_now(error: Exception) -> Deferred:
    """Return the answer to the peer for a fault of ours; the fault itself is its cause."""
    deferred = Deferred()
    deferred.__cause__ = error
    return deferred
