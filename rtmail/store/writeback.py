"""A thread that brings what was committed from SQLite's log to its place in the file, so that no commit has to wait for it.

Made and ended by the daemon. A short process needs none: the last one that closes the file does it.
"""

from __future__ import annotations

import threading

from rtmail.errors import RtmailError
from rtmail.store.database import Database

EVERY_SECONDS = 2.0


class WriteBack:
    """The thread; it looks every two seconds whether something was committed."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="write-back", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, before the store is closed."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            try:
                self._store.write_back()
            except RtmailError:
                # A database that failed is given up by whoever writes next (`Database.failed`); one that is busy gets the next turn.
                continue
