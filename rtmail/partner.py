"""The engine in a process of its own, so that reading, judging and composing do not hold up who takes mail in and who sends it.

Forked by the daemon before it has a thread, a connection or a listener; so both share the memory of all that was imported. Spool and
outbox in the store are all they share besides, and a turn to write. They live and die together: if the daemon ends, however, the
kernel kills the engine; if the engine ends, the daemon hears of it at once, finishes what is under way and ends as failed, for whoever
watches over it to start both again.

They wake each other by bytes in pipes that are never waited for, and talk by a few messages of pickle: both ends are our own code.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from rtmail import failpoint, log
from rtmail.config import Config
from rtmail.store import Store
from rtmail.store.turns import Between
from rtmail.workroom import State, Workroom

DAEMON, ENGINE = 0, 1
"""The two sides of the turn to write."""
LOOK_SECONDS = 1.0
"""So often the engine's process notes how its thread gets on."""
WATCHED_SECONDS = 0.25
"""Where figures are made of what it logs (`/metrics`), these go over so often."""
LINES, LINES_AT_ONCE, VALUE_CHARACTERS = 10_000, 100, 100
ANSWER_SECONDS = 60.0
"""For the engine to take another config."""
MESSAGE_BYTES = 1 << 18
NAME = "rtmail-engine"
NICE = 5
"""How much less of a busy processor the engine and its readers get than the daemon: a third, nice(2)."""
_BEAT = struct.Struct("dQ")


class _Bell:
    """A pipe for the fact that something is there to be looked for; may be rung before the fork and from any thread."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        os.set_blocking(self.reads, False)
        os.set_blocking(self.writes, False)

    def ring(self) -> None:
        with suppress(BlockingIOError, BrokenPipeError):  # it rings already, or nobody is there any more
            os.write(self.writes, b"\0")

    def heard(self) -> None:
        with suppress(BlockingIOError):
            while len(os.read(self.reads, 4096)) == 4096:
                pass


class Partner:
    """The engine's process as the daemon sees it; forks in `__init__`, where the child stays.

    posted   is called in the event loop when mails were put into the outbox
    changed  likewise when `state` is another
    ended    likewise when the process ended without having been told to, with how it ended (negative: the signal)
    """

    def __init__(
        self,
        make: Callable[[Callable[[], None]], Workroom],
        store: Store,
        *,
        posted: Callable[[], None],
        changed: Callable[[], None],
        ended: Callable[[int], None],
        leave: Callable[[], None],
    ) -> None:
        """Fork. `make` builds the workroom, given what to call for mails in the outbox; `leave` closes what is the daemon's alone."""
        self._posted, self._changed, self._ended = posted, changed, ended
        self._woken, self._post, self._line = _Bell(), _Bell(), os.pipe()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        _BEAT.pack_into(self._page, 0, time.monotonic(), 0)
        self._between = Between()
        room = make(self._post.ring)
        store.share(self._between)
        log.flush()
        # What is there now stays, and is looked at by no collector, which would make each page of it two.
        gc.collect()
        gc.freeze()
        self.pid = os.fork()
        if not self.pid:
            self._between.side = ENGINE
            self._ours.close()
            os.close(self._line[1])
            _Inside(room, store, theirs, self._woken, self._line[0], self._page).work(leave)
        theirs.close()
        os.close(self._line[0])
        self.state = State()
        self._used: asyncio.Future[str] | None = None
        self._stopping = False

    @property
    def beat(self) -> float:
        return float(_BEAT.unpack_from(self._page)[0])

    @property
    def progress(self) -> object:
        return _BEAT.unpack_from(self._page)[1]

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._ours, self._said)
        loop.add_reader(self._post.reads, self._mails)
        self._say("start")

    def wake(self) -> None:
        self._woken.ring()

    async def use(self, found: Config) -> str:
        self._used = asyncio.get_running_loop().create_future()
        self._say("use", found.digest())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._used
        except TimeoutError:
            return "the engine does not answer"
        finally:
            self._used = None

    async def stop(self, seconds: float) -> None:
        """Let it finish the batch under way, and end; it is killed when that takes longer, which undoes the batch."""
        if self._stopping:
            return
        self._stopping = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._ours)
        loop.remove_reader(self._post.reads)
        self._say("stop")
        await asyncio.to_thread(self._outlive, seconds)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def abort(self) -> None:
        """faulthandler writes where each of its threads stands."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGABRT)

    def close(self) -> None:
        """End it, if it never started to work."""
        if not self._stopping:
            self._stopping = True
            self.kill()
            self._reap()

    def _outlive(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with suppress(OSError):
            while (left := until - time.monotonic()) > 0:
                self._ours.settimeout(left)
                if not self._ours.recv(MESSAGE_BYTES):
                    break
            else:
                self.kill()
        if time.monotonic() >= until:
            self.kill()
        self._reap()

    def _reap(self) -> int:
        with suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return 0

    def _say(self, *words: str) -> None:
        with suppress(OSError):  # it has ended: `_said` hears of it
            self._ours.send(pickle.dumps(words))

    def _said(self) -> None:
        """A message is there, or the end."""
        try:
            data = self._ours.recv(MESSAGE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._gone()
            return
        told = pickle.loads(data)
        if isinstance(told, State):
            self.state = told
            self._changed()
        elif isinstance(told, list):
            for name, fields in told:
                log.pass_on(name, fields)
        elif self._used is not None and not self._used.done():
            self._used.set_result(told)

    def _mails(self) -> None:
        self._post.heard()
        self._posted()

    def _gone(self) -> None:
        self._stopping = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._ours)
        loop.remove_reader(self._post.reads)
        # Wherever it stood: what is under way here goes on without it.
        self._between.alone()
        code = self._reap()
        if self._used is not None and not self._used.done():
            self._used.set_result("the engine has ended")
        self._ended(code)


class _Inside:
    """What the engine's process does besides its work: it listens to the daemon and tells how it gets on."""

    def __init__(self, room: Workroom, store: Store, ours: socket.socket, woken: _Bell, line: int, page: mmap.mmap) -> None:
        self._room, self._store, self._ours, self._woken, self._line, self._page = room, store, ours, woken, line, page
        self._told = State()
        self._lines: deque[tuple[str, dict[str, Any]]] = deque(maxlen=LINES)
        self._watched = room.config.web.listen is not None

    def work(self, leave: Callable[[], None]) -> NoReturn:
        """Run until told to stop, then end the process."""
        code = 1
        try:
            _hang_on(self._line)
            leave()
            self._listen()
            self._store.close()
            code = 0
        except BaseException as error:
            log.failed(stage="engine", error=error if isinstance(error, Exception) else RuntimeError(type(error).__name__))
        finally:
            log.flush()
            os._exit(code)

    def _listen(self) -> None:
        """Do what the daemon says, until it says stop."""
        ticker = self._room.ticker
        ticker.changed = self._store.gave_up = self._woken.ring
        poll = select.poll()
        poll.register(self._ours, select.POLLIN)
        poll.register(self._woken.reads, select.POLLIN)
        if self._watched:
            log.watch(lambda name, fields: self._lines.append((name, _plain(fields))))
        while True:
            ready = {number for number, _ in poll.poll(1000 * (WATCHED_SECONDS if self._watched else LOOK_SECONDS))}
            if self._woken.reads in ready:
                self._woken.heard()
                ticker.wake()
            if self._ours.fileno() in ready:
                data = self._ours.recv(MESSAGE_BYTES)
                match pickle.loads(data) if data else ("end",):
                    case ("start",):
                        self._room.start()
                    case ("use", digest):
                        self._say(self._room.use(digest))
                    case ("stop",):
                        break
                    case _:
                        os.kill(os.getpid(), signal.SIGKILL)
            self._report()
        # The daemon's patience is what limits this.
        self._room.stop(60)
        self._room.close()

    def _report(self) -> None:
        _BEAT.pack_into(self._page, 0, self._room.ticker.beat, self._room.pool.progress)
        while self._lines:
            self._say([self._lines.popleft() for _ in range(min(len(self._lines), LINES_AT_ONCE))])
        state = replace(self._room.state, dropped=log.dropped())
        if state != self._told:
            self._told = state
            self._say(state)

    def _say(self, told: Any) -> None:
        with suppress(OSError):
            self._ours.send(pickle.dumps(told))


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a line as values that anybody knows, and short: figures are made of them."""
    return {name: value if isinstance(value, int | float) else str(value)[:VALUE_CHARACTERS] for name, value in fields.items()}


def _hang_on(line: int) -> None:
    """Tie this process to the daemon, and leave to the daemon what is said to it.

    line  the end of a pipe whose other end the daemon alone holds: when that is closed, however, the kernel kills us. The parent-death
          signal (prctl) would come when the thread that forked ends, not the process.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A handler, not SIG_IGN, which readers would inherit.
        signal.signal(number, lambda *_: None)
    fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([line], [], [], 0)[0]:
        # It was closed before we listened: nobody would tell us any more, and no other daemon could start beside us.
        os.kill(os.getpid(), signal.SIGKILL)
    # A test that kills the daemon at a point means all of it.
    failpoint.together(os.getppid())
    with suppress(OSError):
        Path("/proc/self/comm").write_text(NAME)
    # Who hands us a mail, and the relay, wait for the daemon; nobody waits for the engine and its readers at that moment.
    with suppress(OSError):
        os.nice(NICE)
