"""What systemd and the daemon say to each other: readiness, signs of life, and sockets that were opened for us. Used by the daemon.

The protocols are those of sd_notify(3) and sd_listen_fds(3), a datagram and three variables: spoken here directly, so that a
daemon of Type=notify becomes ready with nothing but rtmail installed. Where systemd is not, nothing is said.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

FIRST_HANDED = 3
"""SD_LISTEN_FDS_START: descriptors handed over begin here."""


class Manager:
    """Who started us: systemd, or nobody who listens. Never waits for it, and what it does not take is not said twice.

    watchdog_seconds  after so long without `alive` we are killed and started again; 0: nobody watches
    """

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._place = _place(environ.get("NOTIFY_SOCKET", ""))
        watched = self._place and environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        self.watchdog_seconds = int(environ.get("WATCHDOG_USEC") or 0) / 1e6 if watched else 0.0

    def ready(self, status: str) -> None:
        """We work, after a start or a reload."""
        self._say("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """We bring to its end what is under way."""
        self._say("STOPPING=1", _status(status))

    def alive(self, status: str) -> None:
        """Everything in here got on."""
        self._say("WATCHDOG=1", _status(status))

    def hung(self, status: str) -> None:
        """Something in here hangs for good: kill us now and start us again."""
        self._say("WATCHDOG=trigger", _status(status))

    def _say(self, *lines: str) -> None:
        if not self._place:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            way.setblocking(False)
            way.sendto("\n".join(lines).encode(), self._place)


def handed_over(environ: Mapping[str, str], pid: int) -> dict[str, list[socket.socket]]:
    """Return the listening sockets that systemd opened for the process `pid`, by FileDescriptorName; they are ours to close.

    To be called once: a second call would give the same descriptors to other objects.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return {}
    count = int(environ.get("LISTEN_FDS") or 0)
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    sockets: dict[str, list[socket.socket]] = {}
    for place in range(count):
        handed = socket.socket(fileno=FIRST_HANDED + place)
        handed.set_inheritable(False)
        sockets.setdefault(names[place] if place < len(names) else "", []).append(handed)
    return sockets


class Watch:
    """Looks whether all that works in here gets on.

    marks     for each part a function whose value changes while the part gets on, and is None while it has nothing to do
    patience  so many looks in a row may find the same value

    Looks are counted, not seconds: a machine that slept wakes up with as much patience as it had.
    """

    def __init__(self, marks: Mapping[str, Callable[[], object]], patience: int) -> None:
        self._marks, self._patience = marks, patience
        self._seen: dict[str, tuple[object, int]] = {}

    def look(self) -> list[str]:
        """Return the parts that hang."""
        for name, mark in self._marks.items():
            value = mark()
            before, times = self._seen.get(name, (None, 0))
            self._seen[name] = (value, times + 1 if value is not None and value == before else 0)
        return [name for name, (_, times) in self._seen.items() if times >= self._patience]


def _place(text: str) -> str:
    """Return the address of the notification socket; "" when there is none of a kind that we can reach."""
    return "\0" + text[1:] if text.startswith("@") else text if text.startswith("/") else ""


def _status(text: str) -> str:
    """What `systemctl status` shows: one line."""
    return "STATUS=" + " ".join(text.split())
