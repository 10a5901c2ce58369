"""The name under which a daemon claims mail, and the proof that it is the only one with that name. Taken by the daemon at its start.

The name lives in the state folder and outlasts the process. While the file is locked nobody else can have it, and the
kernel unlocks it however a process ends; so whatever is claimed under it at a start was left behind by a daemon that is
dead, and need not wait until its claim runs out. Daemons that share a database have state folders of their own.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from rtmail.errors import RtmailError
from rtmail.store import Serving

FILE = "daemon.name"
ENDS_SECONDS = 2.0
SILENT = timedelta(minutes=2)
"""A daemon that has not spoken for so long is held to be gone."""


class Occupied(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """Another daemon works in this state folder."""


class Tenure:
    """Held from `__init__` to `close`, or to the end of the process. `name` is what claims are made under.

    Raises Occupied when another daemon has it, OSError when the folder cannot be written.
    """

    def __init__(self, state: Path) -> None:
        # Not inherited by readers: a file description that lives on would keep the lock.
        self._file = os.open(state / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self.name = self._known() or self._make()
        except BlockingIOError as error:
            os.close(self._file)
            raise Occupied(f"another rtmail serve works in {state}") from error
        except OSError:
            os.close(self._file)
            raise

    def _lock(self) -> None:
        """Lock the file; who holds it may be a killed daemon whose engine is just ending."""
        until = time.monotonic() + ENDS_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
            threading.Event().wait(0.02)

    def close(self) -> None:
        """Let the next daemon have it."""
        os.close(self._file)

    def _known(self) -> str:
        name, end, _ = os.pread(self._file, 512, 0).decode("ascii", "replace").partition("\n")
        return name if end else ""

    def _make(self) -> str:
        name = f"{socket.gethostname()}:{secrets.token_hex(8)}"
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{name}\n".encode("ascii", "replace"), 0)
        os.fsync(self._file)
        return name


def at_work(state: Path, serving: Iterable[Serving], now: datetime) -> str:
    """Return who works on a store, "" for nobody: of a daemon of this state folder the lock tells, of another when it last spoke."""
    alive = [one.owner for one in serving if now - one.at < SILENT]
    if not alive or not (state / FILE).exists():
        return ", ".join(alive)
    try:
        own = Tenure(state)
    except Occupied:
        return ", ".join(alive)
    own.close()
    return ", ".join(name for name in alive if name != own.name)
