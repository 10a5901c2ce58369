"""Who writes next, where one may write at a time: threads of one process, and two processes that belong together, in turn.

SQLite's own waiting is by polling, and unfair: whoever has just written mostly gets to write again. `engines` takes a turn before
each transaction that writes. Other programs that write into the file (`rtmail receive`, a backup) are waited for as SQLite does it.
"""

from __future__ import annotations

import mmap
import os
import select
import threading
import time
from collections import deque

TAKEN, WAITS = 0, 1
"""Places on the page that two processes share: whether the turn is taken, and from WAITS on whether each side waits for it."""
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

    def take(self, seconds: float) -> bool:
        """Wait for the turn; False when that takes more than `seconds`."""
        until = time.monotonic() + seconds
        if self._alone or not self._key.take(seconds):
            return self._alone
        mine = WAITS + self.side
        free = not self._page[TAKEN]
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

    @property
    def wanted(self) -> bool:
        """Whether the other side waits."""
        return not self._alone and bool(self._page[WAITS + 1 - self.side])

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

    between  the other process that it is shared with, None for none
    """

    def __init__(self) -> None:
        self.between: Between | None = None
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, seconds: float) -> bool:
        """Wait for it; False when that takes more than `seconds`."""
        until = time.monotonic() + seconds
        if not self._take_here(seconds):
            return False
        if self.between is None or self.between.take(until - time.monotonic()):
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
        return bool(self._waiting) or (self.between is not None and self.between.wanted)

    def _take_here(self, seconds: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=seconds):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # it was handed to us at this very moment

    def _give_here(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
