"""Processes of rtmail that start fast: a parent that has imported everything forks them, so that a hundred restarts are affordable.

What runs in the child is `python -m rtmail WORDS` from its first line of own code on. Run as a script this module is the parent; it takes
orders on stdin and tells of births and deaths on stdout, a JSON line each. It ends its children when its stdin ends.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from tests.fakes.daemon import SECRET, Running
from tests.fakes.family import family, tell

ROOT = Path(__file__).resolve().parent.parent.parent


class Nursery:
    """`with Nursery() as nursery:`; `hasty` children say 250 before the commit (the control of the kill test).

    environ   variables that count from the start of the process on, as LD_PRELOAD does
    """

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self._environ = {**os.environ, **(environ or {})}

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen([sys.executable, "-m", "tests.fakes.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd=ROOT, env=self._environ)
        self._ended: dict[int, int] = {}
        self._buffer = b""
        self._lock = threading.Lock()
        """Whoever listens to the parent: faults act in threads of their own."""
        self._tell(60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(20)
        self._parent.stdout.close()

    def start(self, *words: str, log: Path, environ: dict[str, str], hasty: bool = False) -> int:
        """Run `rtmail WORDS` and return its process id; an empty variable is one that is not there."""
        assert self._parent.stdin is not None
        order = {"words": words, "log": str(log), "environ": environ, "hasty": hasty}
        with self._lock:
            self._parent.stdin.write(json.dumps(order).encode() + b"\n")
            self._parent.stdin.flush()
            while "born" not in (told := self._tell(60)):
                self._ended[told["dead"]] = told["code"]
            # A process id comes again after some tens of thousands: what was told of its former bearer is over.
            self._ended.pop(told["born"], None)
            return int(told["born"])

    def poll(self, pid: int) -> int | None:
        """Return how a child ended (negative: the signal), None while it lives."""
        self._listen(pid, 0)
        return self._ended.get(pid)

    def wait(self, pid: int, seconds: float = 20) -> int:
        """Return how a child ended; fails when it does not in time."""
        until = time.monotonic() + seconds
        while pid not in self._ended:
            assert time.monotonic() < until, f"process {pid} did not end within {seconds} s"
            self._listen(pid, 0.05)  # no longer at once: somebody else may want to start one
        return self._ended[pid]

    def _listen(self, pid: int, seconds: float) -> None:
        with self._lock:
            while pid not in self._ended and (told := self._tell(seconds)):
                self._ended[told["dead"]] = told["code"]

    def kill(self, pid: int) -> None:
        if self.poll(pid) is None:
            with suppress(ProcessLookupError):  # buried, and not yet told
                os.kill(pid, signal.SIGKILL)
            self.wait(pid)

    def _tell(self, seconds: float) -> dict[str, Any]:
        """Return the parent's next line, {} when none comes in time."""
        assert self._parent.stdout is not None
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._parent.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, until - time.monotonic())):
                    return {}
                chunk = os.read(self._parent.stdout.fileno(), 65536)
                assert chunk, "the nursery died"
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told


class Nursed(Running):
    """The daemon of `Running`, started by a nursery."""

    def __init__(self, nursery: Nursery, folder: Path, *, hasty: bool = False, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self._nursery, self._hasty, self._pid = nursery, hasty, 0

    def spawn(self, **environ: str) -> None:
        self._pid = self._nursery.start("serve", "-c", str(self.config), *self.arguments, log=self.log, hasty=self._hasty,
                                        environ={"RTMAIL_SECRET_KEY": SECRET, "RTMAIL_FAILPOINT": "", **environ})

    @property
    def pid(self) -> int:
        return self._pid

    def _ended(self) -> bool:
        return self._nursery.poll(self._pid) is not None

    def signal(self, number: int) -> None:
        os.kill(self._pid, number)

    def wait(self, seconds: float = 20) -> int:
        """Return how the daemon ended (negative: the signal)."""
        return self._nursery.wait(self._pid, seconds)

    def stop(self, seconds: float = 15) -> int:
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """kill -9, with whatever it started."""
        if not self._ended():
            tell(family(self._pid), signal.SIGKILL)
        self._nursery.kill(self._pid)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pid and not self._ended():
            if kind is None:
                self.stop()
            else:
                self.kill()
        if kind is not None:
            print(self.told()[-6000:])


def _parent() -> None:
    """Import what `rtmail serve` imports, then fork to order. No thread is started here: a fork would not take it along."""
    import rtmail.cli.serve  # noqa: F401

    children: set[int] = set()
    reads, writes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _say(ready=True)
    orders = b""
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(reads, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if reads in ready:
                os.read(reads, 4096)
                _bury(children)
            if 0 not in ready:
                continue
            chunk = os.read(0, 65536)
            if not chunk:
                break
            orders += chunk
            while b"\n" in orders:
                line, _, orders = orders.partition(b"\n")
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(reads)
                    os.close(writes)
                    _child(**json.loads(line))
                children.add(pid)
                _say(born=pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)


def _bury(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        children.discard(pid)
        _say(dead=pid, code=os.waitstatus_to_exitcode(status))


def _say(**told: Any) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


def _child(words: list[str], log: str, environ: dict[str, str], hasty: bool) -> NoReturn:
    from rtmail import failpoint

    os.setsid()  # whoever counts or ends its processes finds them together
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for ours, theirs in ((null, 0), (out, 1), (out, 2)):
        os.dup2(ours, theirs)
    os.closerange(3, 64)
    for name, value in environ.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    failpoint.arm(environ.get("RTMAIL_FAILPOINT", ""))
    if hasty:
        from tests.fakes import hasty as control

        control.install()
    sys.argv = ["rtmail", *words]
    from rtmail.__main__ import main

    main()
    sys.exit(0)


if __name__ == "__main__":
    _parent()
