"""Who writes next, where one may write at a time: threads of one process, and two processes that belong together, in turn.

SQLite's own waiting is by polling, and unfair: whoever has just written mostly gets to write again. `engines` takes a turn before
each transaction that writes. Other programs that write into the file (`rtmail receive`, a backup) are waited for as SQLite does it.
"""

from __future__ import annotations

import bisect
import mmap
import os
import select
import struct
import threading
import time

TAKEN, WAITS, BY = 0, 1, 8
"""Places on the page that two processes share: whether the turn is taken; from WAITS on whether each side waits for it, and from BY on
until when whoever writes may go on although that side waits, by the machine's monotonic clock."""
_BY = struct.Struct("d")
STEP_SECONDS = 60.0
"""For the few instructions that the other side needs with the page; one that was stopped just there is waited for no longer."""


class Between:
    """A turn that two processes hand to each other. Made before the fork; then each names its `side`, 0 or 1.

    One thread of each side may be in here at a time.
    """

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._key, self._given = _Signal(), (_Signal(), _Signal())
        self._key.give()
        self.side = 0
        self._alone = False

    def take(self, seconds: float, by: float) -> bool:
        """Wait for the turn, which need not be given before the instant `by`; False when that takes more than `seconds`."""
        until = time.monotonic() + seconds
        if self._alone or not self._key.take(seconds):
            return self._alone
        mine = WAITS + self.side
        free = not self._page[TAKEN]
        _BY.pack_into(self._page, BY + self.side * _BY.size, by)
        self._page[TAKEN if free else mine] = 1
        self._key.give()
        if free or self._given[self.side].take(until - time.monotonic()):
            return True
        if self._alone or not self._key.take(STEP_SECONDS):
            return self._alone
        waits, self._page[mine] = self._page[mine], 0
        self._key.give()
        # No longer noted as waiting: it was handed over at this very moment.
        return not waits and self._given[self.side].take(STEP_SECONDS)

    def give(self) -> None:
        """Hand the turn to the other side, where it waits."""
        if self._alone or not self._key.take(STEP_SECONDS):
            return
        theirs = WAITS + 1 - self.side
        waits, self._page[theirs] = self._page[theirs], 0
        if waits:
            self._given[1 - self.side].give()
        else:
            self._page[TAKEN] = 0
        self._key.give()

    def hurry(self, by: float) -> None:
        """While one thread of ours waits: let it be `by` then, since another one behind it cannot wait so long."""
        mine = BY + self.side * _BY.size
        if self._page[WAITS + self.side] and by < _BY.unpack_from(self._page, mine)[0]:
            _BY.pack_into(self._page, mine, by)

    def wanted(self, now: float) -> bool:
        """Whether the other side waits, and will not do so any longer."""
        other = 1 - self.side
        return not self._alone and bool(self._page[WAITS + other]) and bool(_BY.unpack_from(self._page, BY + other * _BY.size)[0] <= now)

    def alone(self) -> None:
        """The other side has ended, wherever it stood: from now on there is nobody to wait for."""
        self._alone = True
        self._key.give()
        self._given[self.side].give()


class _Signal:
    """A byte that one process puts down and another one picks up."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        self._poll = select.poll()
        self._poll.register(self._reads, select.POLLIN)

    def take(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            try:
                os.read(self._reads, 1)
            except BlockingIOError:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._poll.poll(left * 1000)
            else:
                return True

    def give(self) -> None:
        os.write(self._writes, b"\0")


class Turn:
    """A lock that is handed on in the order in which threads asked for it: whoever gives it up cannot take it again before them.

    Who asks may have patience: then whoever has the turn need not give it up so soon, and others may go before.

    between  the other process that it is shared with, None for none
    """

    def __init__(self) -> None:
        self.between: Between | None = None
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: list[tuple[float, threading.Lock]] = []
        """By when each wants it, and what it waits at; the first comes next."""

    def take(self, seconds: float, patience: float = 0.0) -> bool:
        """Wait for it; False when that takes more than `seconds`. For `patience` seconds nobody is asked to give it up."""
        now = time.monotonic()
        until, by = now + seconds, now + patience
        if not self._take_here(seconds, by):
            return False
        if self.between is None or self.between.take(until - time.monotonic(), by):
            return True
        self._give_here()
        return False

    def give(self) -> None:
        """Hand it on: to the other process if that waits, then to our threads, of which the first waits for it to come back."""
        if self.between is not None:
            self.between.give()
        self._give_here()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits whose patience is at its end."""
        if not self._waiting and self.between is None:
            return False
        now = time.monotonic()
        with self._lock:
            here = bool(self._waiting) and self._waiting[0][0] <= now
        return here or (self.between is not None and self.between.wanted(now))

    def _take_here(self, seconds: float, by: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            lock = threading.Lock()
            lock.acquire()
            mine = (by, lock)
            bisect.insort(self._waiting, mine, key=_by)
            if self.between is not None:
                self.between.hurry(self._waiting[0][0])
        if lock.acquire(timeout=seconds):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # it was handed to us at this very moment

    def _give_here(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.pop(0)[1].release()
            else:
                self._taken = False


def _by(waiting: tuple[float, threading.Lock]) -> float:
    return waiting[0]
