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


def arm(setting: str) -> None:
    """Arm points from `name:n:what`, several separated by commas; an empty setting disarms all."""
    with _lock:
        _armed.clear()
        _passes.clear()
        for part in filter(None, setting.split(",")):
            name, nth, what = part.split(":", 2)
            _armed[name] = (int(nth), what)


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
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "hang":
        threading.Event().wait()
    elif what.startswith("delay="):
        time.sleep(float(what.removeprefix("delay=")))
    elif what == "error":
        raise OSError(5, f"failpoint {name}")
    else:
        raise ValueError(f"failpoint {name}: unknown effect {what!r}")


arm(os.environ.get("RTMAIL_FAILPOINT", ""))
