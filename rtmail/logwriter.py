"""Where the lines of the log go: stderr, or the journal's own socket; and how they look. Used by `log` alone.

A reader that stands still must not stop mail (R27): lines go to a queue of limited length, one thread writes them, and what finds
no room is counted and told later.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

QUEUE_LINES = 10_000
GATHER_SECONDS = 0.02
"""So long the thread that writes lets lines gather: were it woken for each, it would stop those who write them as often."""
LINE_CHARACTERS = 2000
VALUE_CHARACTERS = 500
"""Of one field, where a line that is cut could not be read any more."""
JOURNAL = "/run/systemd/journal/socket"
LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""Level -> its number in syslog(3)."""


def now() -> str:
    """Return the present instant as lines show it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_journal() -> bool:
    """Tell whether what we write to stderr goes to systemd's journal: then a line may begin with its priority (sd-daemon(3))."""
    try:
        err = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{err.st_dev}:{err.st_ino}"


def as_json(logger: Any, method: str, fields: MutableMapping[str, Any]) -> str:
    """Return a line as one JSON object."""
    return json.dumps({key: cut(value) for key, value in fields.items()}, ensure_ascii=False)


def as_journal(logfmt: Callable[[Mapping[str, Any]], str]) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    """Return what makes a datagram of a line: `MESSAGE=` as in a text log, and each field as RTMAIL_NAME (systemd.journal-fields(7))."""

    def rendered(logger: Any, method: str, fields: MutableMapping[str, Any]) -> str:
        said = {key: value for key, value in fields.items() if key not in ("at", "level")}
        own = [f"RTMAIL_{key.upper()}={cut(value)}" for key, value in said.items()]
        return "\n".join([f"MESSAGE={logfmt(said)}", f"PRIORITY={LEVELS[method]}", "SYSLOG_IDENTIFIER=rtmail", *own])

    return rendered


def cut(value: Any) -> Any:
    """Return a value that is not too long; it has no line ends, `log` sees to that."""
    return value[:VALUE_CHARACTERS] if isinstance(value, str) else value


class Writer:
    """A queue of lines and the thread that writes them to stderr.

    `lost` makes the line that says how many found no room; structlog calls the method of a line's level.
    """

    def __init__(self, lost: Callable[[int], str]) -> None:
        self._lost = lost
        self._lines: deque[bytes] = deque()
        self._changed, self._some = threading.Condition(), threading.Event()
        self._hurried = False
        self._thread: threading.Thread | None = None
        self._writing = False
        self._untold = 0
        self.dropped = 0

    def msg(self, line: str) -> None:
        """Queue one line, or count it as dropped. Never waits for the reader."""
        with self._changed:
            if len(self._lines) >= QUEUE_LINES:
                self.dropped += 1
                self._untold += 1
                return
            self._lines.append(self._framed(line))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        self._some.set()

    debug = info = warning = error = msg

    def flush(self, seconds: float) -> bool:
        """Wait until everything queued is written, at most `seconds`; False when it is not."""
        with self._changed:
            self._hurried = True
            self._some.set()
            return self._changed.wait_for(lambda: not self._lines and not self._writing, seconds)

    def _run(self) -> None:
        while True:
            self._some.wait()
            if not self._hurried:
                threading.Event().wait(GATHER_SECONDS)  # not sleep: a clock set back ends it with an error
            with self._changed:
                self._some.clear()
                self._hurried = False
                lines = list(self._lines)
                self._lines.clear()
                self._writing = True
                untold, self._untold = self._untold, 0
            if untold:
                lines.append(self._framed(self._lost(untold)))
            self._write(lines)
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _framed(self, line: str) -> bytes:
        return line.encode("utf-8", "replace") + b"\n"

    def _write(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        try:
            while data:
                data = data[os.write(2, data) :]
        except OSError:
            # Nobody reads us any more; there is no place left to say so.
            self._unread(data.count(b"\n"))

    def _unread(self, lines: int) -> None:
        with self._changed:
            self.dropped += lines


class JournalWriter(Writer):
    """Writes to the journal's socket, a datagram a line. Raises OSError when there is no journal."""

    def __init__(self, lost: Callable[[int], str], path: str) -> None:
        super().__init__(lost)
        self._path = path
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            fresh.connect(self._path)
        except OSError:
            fresh.close()
            raise
        return fresh

    def _write(self, lines: list[bytes]) -> None:
        for line in lines:
            try:
                try:
                    self._socket.send(line)
                except ConnectionError:
                    # The journal was started again, and its socket is another one.
                    self._socket.close()
                    self._socket = self._connected()
                    self._socket.send(line)
            except OSError:
                self._unread(1)
