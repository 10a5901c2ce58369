"""Mails read in limited child processes: started on demand, at most two, gone again when idle.

The engine hands raw mails to a `ReaderPool` and gets values back. A mail that exhausts, kills or hangs its reader costs
that reader alone: the caller learns which mail it was (`ReadFailed`), and the mails behind it are read by the next one.
Nothing of a parser is imported here; the daemon stays small and no parser's bug is in the process that holds the store.

A reader is the same interpreter, started with one socket as its standard input. It gets a length and a pickle of envelopes
and sizes, then the mails as they are; it answers with a length and a pickled Mail each. That is unpickled with the few
names that a Mail is made of and no others, since the far side has just digested a stranger's bytes. A reader leaves when
the socket closes, so none outlives the daemon, however that ended. Limits are set by the reader itself before it takes the
first mail: no code runs between fork and exec, which threads would make unsafe.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rtmail.errors import RtmailError
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.site import Site

WORKERS = 2
MEMORY_BYTES = 128 * 1024 * 1024
CPU_SECONDS = 4
WALL_SECONDS = 15.0
IDLE_SECONDS = 60.0
MAILS_PER_READER = 2000
"""A reader is replaced after so many mails: what a library leaks goes with it."""
BATCH_MAILS = 16
BATCH_BYTES = 256 * 1024
START_SECONDS = 45.0
"""For a new reader to say that it is ready; a loaded machine may need long, and the watchdog has a minute's patience."""
EXIT_SECONDS = 5.0

EXIT_MEMORY = 71
"""EX_OSERR: what a reader exits with that met its memory limit between mails."""
LENGTH = struct.Struct("!I")

_ALLOWED = {
    "rtmail.mail.model": {"Address", "Attachment", "Bounce", "Forwarded", "Kind", "Mail", "Proof"},
    "datetime": {"datetime", "timezone", "timedelta"},
}
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from rtmail.engine.reading import main; main(json.loads(sys.argv[2]))"
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144", "MALLOC_ARENA_MAX": "1"}
"""A large mail's memory goes back at once (mallopt(3)): else the next large one meets the limit for it."""
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
"""Secrets live in the environment: a reader gets none of it but this."""


class ReadFailed(RtmailError):  # noqa: N818  (the sentence that a caller says)
    """A mail could not be read: `reason` is "timeout", "memory" or "crash"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Job = tuple[bytes, Envelope]
"""A mail to read: its bytes and its envelope."""


@dataclass(slots=True)
class _Batch:
    """Jobs of one round trip: their places in the caller's list."""

    places: list[int]
    jobs: list[Job]


@dataclass(slots=True)
class _Errand:
    """One call of `read_many`: what is still to be read, and what came of the rest."""

    site: Site
    waiting: deque[_Batch]
    results: list[Mail | ReadFailed | None]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> _Batch | None:
        with self.lock:
            return self.waiting.popleft() if self.waiting else None

    def put_back(self, batch: _Batch) -> None:
        with self.lock:
            self.waiting.appendleft(batch)


class ReaderPool:
    """Readers on demand; every method may be called from any thread.

    workers        processes at most
    memory_bytes   of private data in each
    cpu_seconds    of each mail, whole seconds; wall_seconds until its answer, whatever the processor does
    idle_seconds   after which an unused reader is stopped
    """

    def __init__(
        self,
        workers: int = WORKERS,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds: int = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        mails_per_reader: int = MAILS_PER_READER,
    ) -> None:
        self._workers, self._wall_seconds, self._idle_seconds = workers, wall_seconds, idle_seconds
        self._mails_per_reader = mails_per_reader
        self._limits = {"memory_bytes": memory_bytes, "cpu_seconds": cpu_seconds}
        self._changed = threading.Condition()
        self._idle: list[tuple[float, _Reader]] = []
        self._busy: set[_Reader] = set()
        self._starting = 0
        self._closed = False
        self._closing = threading.Event()
        self._sweeper: threading.Thread | None = None
        self.progress = 0
        """Grows with each mail that was read, or turned out not to be readable."""

    def read(self, raw: bytes, envelope: Envelope, site: Site) -> Mail:
        """Return the mail in `raw`.

        Raises ReadFailed when its reader died of it, and RuntimeError after `close`.
        """
        result = self.read_many([(raw, envelope)], site)[0]
        if isinstance(result, ReadFailed):
            raise result
        return result

    def read_many(self, jobs: Sequence[Job], site: Site) -> list[Mail | ReadFailed]:
        """Return a Mail or the failure for each job, in order; several readers share the work.

        Raises RuntimeError after `close`.
        """
        errand = _Errand(site, deque(_batches(jobs, self._workers)), [None] * len(jobs))
        helpers = min(self._workers, len(errand.waiting)) - 1
        failures: list[BaseException] = []

        def help_out() -> None:
            try:
                self._run(errand)
            except BaseException as error:  # told by the caller's own thread
                failures.append(error)

        threads = [threading.Thread(target=help_out, name="rtmail-read", daemon=True) for _ in range(helpers)]
        for thread in threads:
            thread.start()
        try:
            self._run(errand)
        finally:
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return [result for result in errand.results if result is not None]

    def warm(self) -> None:
        """Have a reader ready: its start takes longer than most mails do. Raises RuntimeError as `read_many` does."""
        self._release(self._acquire())

    @property
    def processes(self) -> tuple[int, ...]:
        """The process ids of the readers that live now."""
        with self._changed:
            return tuple(reader.pid for reader in [*self._busy, *(reader for _, reader in self._idle)])

    def close(self) -> None:
        """Stop all readers and wait for them; calls in progress fail with RuntimeError."""
        with self._changed:
            self._closed = True
            readers = [*self._busy, *(reader for _, reader in self._idle)]
            self._idle.clear()
            sweeper = self._sweeper
            self._changed.notify_all()
        self._closing.set()
        for reader in readers:
            reader.stop()
        if sweeper is not None and sweeper is not threading.current_thread():
            sweeper.join()

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, errand: _Errand) -> None:
        """Read batches of `errand` until none is left."""
        while (batch := errand.take()) is not None:
            reader = self._acquire()
            try:
                self._read_batch(reader, errand, batch)
            finally:
                self._release(reader)

    def _read_batch(self, reader: _Reader, errand: _Errand, batch: _Batch) -> None:
        reader.send(errand.site, batch.jobs)
        for number, place in enumerate(batch.places):
            try:
                errand.results[place] = reader.receive(self._wall_seconds)
                self.progress += 1
            except ReadFailed as failure:
                # The first mail without an answer is the one that did it; those behind it have not been looked at.
                reader.stop()
                if self._closed:
                    raise RuntimeError("the reader pool is closed") from failure
                errand.results[place] = failure
                self.progress += 1
                if batch.places[number + 1 :]:
                    errand.put_back(_Batch(batch.places[number + 1 :], batch.jobs[number + 1 :]))
                return

    def _acquire(self) -> _Reader:
        """Return a reader of our own: an idle one, a new one, or the first that another call gives back."""
        with self._changed:
            while True:
                if self._closed:
                    raise RuntimeError("the reader pool is closed")
                if self._idle:
                    reader = self._idle.pop()[1]
                    if reader.alive:
                        self._busy.add(reader)
                        return reader
                    reader.stop()
                    continue
                if len(self._busy) + self._starting < self._workers:
                    self._starting += 1
                    break
                self._changed.wait()
        try:
            reader = _Reader(self._limits)
        except BaseException:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
            raise
        with self._changed:
            self._starting -= 1
            self._busy.add(reader)
            closed = self._closed
        if closed:
            self._release(reader)
            raise RuntimeError("the reader pool is closed")
        return reader

    def _release(self, reader: _Reader) -> None:
        if not reader.alive or reader.mails >= self._mails_per_reader:
            # Stopped before its place is free, so that there is never one process too many.
            reader.stop()
        with self._changed:
            self._busy.discard(reader)
            if reader.alive and not self._closed:
                self._idle.append((time.monotonic(), reader))
                if self._sweeper is None:
                    self._sweeper = threading.Thread(target=self._sweep, name="rtmail-readers", daemon=True)
                    self._sweeper.start()
            else:
                reader.stop()
            self._changed.notify()

    def _sweep(self) -> None:
        """Stop readers that have been idle too long; ends when no reader is left to watch."""
        pause = self._idle_seconds
        while not self._closing.wait(pause):
            with self._changed:
                now = time.monotonic()
                gone = [reader for since, reader in self._idle if now - since >= self._idle_seconds]
                self._idle = [(since, reader) for since, reader in self._idle if reader not in gone]
                if not (self._idle or self._busy or self._starting):
                    self._sweeper = None
                oldest = min((since for since, _ in self._idle), default=now)
                last = self._sweeper is None
            for reader in gone:
                reader.stop()
            if last:
                return
            pause = max(0.01, oldest + self._idle_seconds - now)


def _batches(jobs: Sequence[Job], workers: int) -> list[_Batch]:
    """Return the jobs in round trips: small mails together, but enough trips that every reader has some."""
    share = max(1, min(BATCH_MAILS, -(-len(jobs) // workers)))
    batches: list[_Batch] = []
    size = 0
    for place, job in enumerate(jobs):
        if not batches or len(batches[-1].jobs) == share or size + len(job[0]) > BATCH_BYTES:
            batches.append(_Batch([], []))
            size = 0
        batches[-1].places.append(place)
        batches[-1].jobs.append(job)
        size += len(job[0])
    return batches


class _Reader:
    """One child process; used by one thread at a time, except for `stop`."""

    def __init__(self, limits: dict[str, int]) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, json.dumps(sys.path), json.dumps(limits)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_ALLOCATOR | {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._site: Site | None = None
        self._stopping = threading.Lock()
        self._stopped = False
        self.pid = self._process.pid
        self.mails = 0
        try:
            self._frame(START_SECONDS)
        except ReadFailed as failure:
            self.stop()
            raise RuntimeError(f"a mail reader did not start: {failure.reason}") from failure

    @property
    def alive(self) -> bool:
        return not self._stopped and self._process.poll() is None

    def send(self, site: Site, jobs: list[Job]) -> None:
        """Hand over a batch whole, so that neither side ever waits for the other to read; the site only when it changed."""
        changed = site if self._site is None or site != self._site else None
        frame = pickle.dumps((changed, [(len(raw), envelope) for raw, envelope in jobs]), protocol=pickle.HIGHEST_PROTOCOL)
        self._site = site
        self.mails += len(jobs)
        # A reader that cannot take it has died; `receive` finds out of what.
        with contextlib.suppress(OSError):
            self._socket.settimeout(START_SECONDS)
            self._socket.sendall(LENGTH.pack(len(frame)) + frame)
            for raw, _ in jobs:
                self._socket.sendall(raw)

    def receive(self, seconds: float) -> Mail:
        """Return the next mail of the batch; raises ReadFailed, after which the reader is of no use."""
        try:
            answer = _Unpickler(io.BytesIO(self._frame(seconds))).load()
        except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError) as error:
            raise ReadFailed("crash") from error
        if isinstance(answer, Mail):
            return answer
        raise ReadFailed("memory" if answer == "memory" else "crash")

    def stop(self) -> None:
        """Kill the process and wait for it; more than once does no harm."""
        with self._stopping:
            if self._stopped:
                return
            self._stopped = True
            self._process.kill()
            # Whoever waits for an answer is woken by this.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._process.wait()
            self._socket.close()

    def _frame(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size, deadline))
        return self._exactly(length, deadline)

    def _exactly(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = self._socket.recv(min(count - len(data), 1 << 20))
            except TimeoutError:
                raise ReadFailed("timeout") from None
            except OSError:
                chunk = b""
            if not chunk:
                raise ReadFailed(self._cause())
            data += chunk
        return bytes(data)

    def _cause(self) -> str:
        """Why the process ended: the processor limit's signal, the kernel's out-of-memory kill, or a crash."""
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "crash"
        if code == -signal.SIGXCPU:
            return "timeout"
        return "memory" if code in (-signal.SIGKILL, EXIT_MEMORY) else "crash"


class _Unpickler(pickle.Unpickler):
    """Reads only what a Mail is made of."""

    def find_class(self, module: str, name: str) -> Any:
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a mail")
