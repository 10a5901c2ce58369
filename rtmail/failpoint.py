"""Named points at which a test kills, stops, delays or fails the process; free when off.

`RTMAIL_FAILPOINT=name:n:what` arms one: at the n-th pass through `name` the process is killed (`kill`), stopped
(`stop`), hangs (`hang`), is held for so many seconds (`delay=0.5`) or gets an OSError (`error`). Every point stands
in the code as `failpoint("literal-name")`, so that the list can be read from the source.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_lock = threading.Lock()
_armed: dict[str, tuple[int, str]] = {}
_passes: dict[str, int] = {}
_with: list[int] = []
"""Processes that are killed or stopped together with this one, before it."""


def arm(setting: str) -> None:
    """Arm points from `name:n:what`, several separated by commas; an empty setting disarms all."""
    with _lock:
        _armed.clear()
        _passes.clear()
        for part in filter(None, setting.split(",")):
            name, nth, what = part.split(":", 2)
            _armed[name] = (int(nth), what)


def together(process: int) -> None:
    """Let a point that kills or stops this process do the same to another one that belongs to it."""
    _with.append(process)


def failpoint(name: str) -> None:
    """Pass the point `name`; does nothing unless it is armed."""
    if _armed:
        _pass(name)


def _pass(name: str) -> None:
    with _lock:
        if name not in _armed:
            return
        nth, what = _armed[name]
        _passes[name] = _passes.get(name, 0) + 1
        if _passes[name] != nth:
            return
    if what in ("kill", "stop"):
        for process in (*_with, os.getpid()):
            os.kill(process, signal.SIGKILL if what == "kill" else signal.SIGSTOP)
    elif what == "hang":
        threading.Event().wait()
    elif what.startswith("delay="):
        time.sleep(float(what.removeprefix("delay=")))
    elif what == "error":
        raise OSError(5, f"failpoint {name}")
    else:
        raise ValueError(f"failpoint {name}: unknown effect {what!r}")


arm(os.environ.get("RTMAIL_FAILPOINT", ""))
