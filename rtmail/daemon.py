"""The daemon: builds everything from the config, starts it, keeps it ticking, reloads and drains it.

One event loop holds the listeners and the courier; the engine works in a process of its own (`partner`; in rehearsals in a thread
of this one), woken by each commit of the spool and by a scheduler; readers are child processes of it. Only here and in the command
line is the clock read.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rtmail import __version__, allocator, config, log, systemd
from rtmail.clockwork import Clock, system
from rtmail.config import Config, Listen
from rtmail.egress.courier import Courier
from rtmail.errors import ConfigError, Deferred, Problem, RtmailError
from rtmail.failpoint import failpoint
from rtmail.ingress.limits import Limits, Shares
from rtmail.ingress.mailbox import Mailbox
from rtmail.ingress.smtp import Listener, Where
from rtmail.ingress.smtp import Settings as ListenerSettings
from rtmail.ops import building, opening
from rtmail.ops.eyes import Eyes, Live
from rtmail.ops.front import DaemonFront
from rtmail.ops.mailboxes import Mailboxes
from rtmail.ops.tenure import Tenure
from rtmail.partner import Partner
from rtmail.store import Pausable, SpoolWriter, StoreFailed, WriteBack
from rtmail.workroom import CHANGED, Here, Working, Workroom

DRAIN_SECONDS = 8.0
"""For what is under way when we are told to stop; with the closing of store and readers it stays below ten."""
SWITCH_SECONDS = 0.0005
"""How soon a thread that has something to do gets its turn while another one computes. With Python's 5 ms each line that is
answered to a client costs that much as soon as the engine works; mostly it is a few instructions."""
COLLECTIONS = (20_000, 20, 20)
"""Objects made before the garbage collector looks for cycles among them; Python's 700 are a tenth of a mail."""
STANDS_SECONDS = 300.0
"""An engine without a beat for so long, a batch of large mails included, is told of as standing still."""
LOOKS = 6
"""At what works in here, in one interval of systemd's watchdog. What stood still for all but one of them hangs."""


RELOADS = 3
"""Times that a config is read which changes while we read it."""


class EngineEnded(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """The engine's process ended by itself."""

    exit_code = 70
    """EX_SOFTWARE: whoever watches over us starts us again."""


class Daemon:
    """Everything that runs, for one config at a time; with `apart` the engine in a process of its own."""

    def __init__(self, found: Config, clock: Clock = system, rate: float = 1.0, *, apart: bool = False) -> None:
        self.config, self._begun_with, self._clock = found, found, clock
        self._manager = systemd.Manager(os.environ, os.getpid())
        self._handed = systemd.handed_over(os.environ, os.getpid())
        _check_handed(found, self._handed)
        building.check_certificate(found)
        blueprint = building.blueprint(found)
        found.make_state()
        self._tenure = Tenure(found.state)
        owner = self._tenure.name
        self.store = opening.open_store(found)
        # What we were at when we were killed goes on at once.
        alone_to = self.store.take_back(owner)
        failpoint("claims-taken-back")

        def workroom(posted: Callable[[], None]) -> Workroom:
            return Workroom(found, blueprint, self.store, clock, rate, owner=owner, alone_to=alone_to, posted=posted)

        self.engine: Working
        if apart:
            self.engine = Partner(
                workroom, self.store, posted=self._posted, changed=self._look_at_engine, ended=self._engine_ended, leave=self._leave
            )
        else:
            self.engine = Here(workroom(self._posted))
        self._writer = SpoolWriter(self.store, lambda _: self.engine.wake())
        self._write_back = WriteBack(self.store)
        self.front = DaemonFront(
            found, self.store, self._writer, lambda: self.store.failed, lambda: Pausable.INGRESS in self.engine.state.still
        )
        self.mailboxes = Mailboxes(
            lambda settings: Mailbox(settings, self.store, self._writer.submit, self.front.room, owner, clock, random.random)
        )
        self.courier = Courier(self.store, building.make_relay(found), building.courier(found, owner), clock=clock, random=random.random)
        self.listeners: list[Listener] = []
        self._eyes = Eyes(found, self.store, clock, self._live)
        self._unread_config = ""
        self._restart_for: Sequence[str] = ()
        self._stop = asyncio.Event()
        self._engine_code: int | None = None
        self._hangs = False
        self._reloading: asyncio.Task[None] | None = None
        self._again = False

    def _posted(self) -> None:
        self.courier.wake()

    def _leave(self) -> None:
        """In the engine's process: give up what is this one's alone."""
        for socks in self._handed.values():
            for sock in socks:
                sock.close()

    def _look_at_engine(self) -> None:
        if failed := self.engine.state.failed:
            self.store.distrust(failed)

    def _engine_ended(self, code: int) -> None:
        self._engine_code = code
        if not self.store.failed:
            log.alarm(what=f"the engine's process ended by itself ({code})", help="journalctl -u rtmail")
        if not self._hangs:
            self._stop.set()

    def _given_up(self) -> None:
        """The database cannot be trusted any more (a failed fsync): only a new start can (R5)."""
        self.engine.kill()
        log.alarm(what=f"the database failed: {self.store.failed}", help="rtmail doctor")
        self._stop.set()

    async def run(self, ready: Callable[[Daemon], None] = lambda _: None) -> None:
        """Start everything, call `ready`, and work until told to stop; then drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

        def given_up() -> None:
            loop.call_soon_threadsafe(self._given_up)

        self.store.gave_up = given_up
        self.listeners = self._make_listeners()
        started: list[Listener] = []
        watching: asyncio.Task[None] | None = None
        couriers: asyncio.Task[None] | None = None
        try:
            for listener in self.listeners:
                await listener.start()
                started.append(listener)
            failpoint("daemon-listening")
            await self._eyes.start()
            self.engine.start()
            couriers = asyncio.create_task(self.courier.run())
            self.mailboxes.use(building.mailboxes(self.config))
            log.started(
                version=__version__,
                config=str(self.config.file),
                store=self.config.store_name.partition(":")[0],
                listening=self._places(),
            )
            watching = asyncio.create_task(self._watch())
            self._manager.ready(self._state())
            ready(self)
            await self._stop.wait()
        finally:
            begun = time.monotonic()
            log.draining(why="told to stop")
            failpoint("drain-begun")
            self._manager.stopping("draining")
            if watching is not None:
                watching.cancel()
            await self._eyes.stop()
            self.mailboxes.stop()
            # A relay that looks into mails takes its seconds for the answer to each: one that is not heard is a mail sent twice.
            await asyncio.gather(
                asyncio.to_thread(self.mailboxes.join, DRAIN_SECONDS / 2),
                *(listener.drain(DRAIN_SECONDS / 2) for listener in started),
                self.courier.drain(DRAIN_SECONDS * 3 / 4),
            )
            await asyncio.to_thread(self._writer.close)
            failpoint("drain-written")
            if couriers is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await couriers
                await self.engine.stop(DRAIN_SECONDS / 4)
                with contextlib.suppress(Exception):  # it is noticed all the same, two minutes later
                    await asyncio.to_thread(self.store.fall_silent, self._tenure.name)
            self.engine.close()
            await asyncio.to_thread(self._write_back.close)
            self.store.close()
            self._tenure.close()
            log.stopped(seconds=time.monotonic() - begun)
        if self.store.failed:
            # That we were to stop was our own word (R5): whoever watches over us shall start us again.
            raise StoreFailed(self.store.failed)
        if self._engine_code is not None:
            raise EngineEnded(f"the engine's process ended by itself ({self._engine_code})")

    def stop(self) -> None:
        """Begin to drain; from the loop's thread."""
        self._stop.set()

    def reload(self) -> None:
        """Take a changed config, or keep the old one and say why. Listeners, store and relay stay as they are until a restart."""
        self._again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload_all())

    async def _reload_all(self) -> None:
        """Reload, and once more for whoever asked meanwhile."""
        self._manager.reloading()
        while self._again:
            self._again = False
            for _ in range(RELOADS):
                self._unread_config = await self._reload()
                if self._unread_config != CHANGED:
                    break
        self._manager.ready(self._state())

    async def _reload(self) -> str:
        """Return why the changed config could not be taken, "" when it was."""
        try:
            found = config.load(self.config.file)
            building.check_certificate(found)
            blueprint = building.blueprint(found)
        except ConfigError as error:
            log.broken_config(problems=error.problems, keeps=True)
            first = error.problems[0]
            return f"{first.file}:{first.line}: {first.what}"
        except Exception as error:
            log.failed(stage="reload", error=error)
            return str(error) or type(error).__name__
        failpoint("reload-read")
        # Both or neither: the engine says first whether it can.
        if problems := await self.engine.use(found):
            log.failed(stage="reload", error=Deferred(problems))
            return problems
        self.config = found
        self.front.use(found)
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.reload()
        self.mailboxes.use(building.mailboxes(found))
        failpoint("reload-used")
        self._restart_for = building.needs_restart(self._begun_with, found)
        if self._restart_for:
            log.restart_needed(tables=self._restart_for)
        log.reloaded(config=str(found.file), policies=len(blueprint.policies))
        return ""

    async def _watch(self) -> None:
        """Tell systemd's watchdog that we are alive, as long as every part of us gets on (R28); this task is the loop's part."""
        pause = self._manager.watchdog_seconds / LOOKS
        if not pause:
            return
        answers = 0
        watch = systemd.Watch(
            {
                "the engine": lambda: (self.engine.beat, self.engine.progress),
                "the spool's writer": lambda: self._writer.progress,
                "the courier": lambda: self.courier.rounds,
                "the database": lambda: answers,
            },
            patience=LOOKS - 1,
        )
        asked: asyncio.Task[None] | None = None
        while True:
            if asked is None or asked.done():
                answers += 1
                asked = asyncio.create_task(asyncio.to_thread(self._ask_store))
            if hanging := watch.look():
                log.alarm(what=f"stands still: {', '.join(hanging)}", help="journalctl -u rtmail")
                self._hangs = True
                if "the engine" in hanging:
                    self.engine.abort()
                await asyncio.to_thread(log.flush)
                self._manager.hung(f"stands still: {', '.join(hanging)}")
                return
            self._manager.alive(self._state())
            await asyncio.sleep(pause)

    def _ask_store(self) -> None:
        """Return when the database answered; that it is busy or away is an answer, and no reason to start us again."""
        with contextlib.suppress(Exception):
            self.store.ping()

    def _live(self) -> Live:
        """Return how we are, for whoever watches us."""
        state = self.engine.state
        stands = time.monotonic() - self.engine.beat > STANDS_SECONDS
        return Live(
            failed=self.store.failed or ("the engine stands still" if stands else "") or ("is ending" if self._stop.is_set() else ""),
            troubles=(*self._troubles(), *self.mailboxes.troubles()),
            relay_up=not self.courier.trouble,
            mailboxes=self.mailboxes.states(),
            canary=state.heard,
            canary_missed=state.missed,
            dropped=log.dropped() + state.dropped,
        )

    def _state(self) -> str:
        """Return in one line how we are, for `systemctl status`."""
        places = f"takes mail at {', '.join(self._places()) or 'the pipe only'}"
        return "; ".join([places, *self._troubles(), *self.mailboxes.told(self._clock())])

    def _troubles(self) -> list[str]:
        troubles = []
        if self._unread_config:
            troubles.append(f"the config before goes on: {self._unread_config}")
        if still := self.engine.state.still:
            troubles.append(f"paused: {', '.join(sorted(still))}")
        if self._restart_for:
            troubles.append(f"a restart is needed for the changed {', '.join(self._restart_for)}")
        if self.courier.trouble:
            troubles.append(f"the relay does not take mail: {self.courier.trouble}")
        if self.engine.state.missed:
            troubles.append("the canary mail did not come back")
        return troubles

    def _places(self) -> list[str]:
        ingress = self.config.ingress
        places: list[str] = []
        for name, table in (("smtp", ingress.smtp), ("lmtp", ingress.lmtp)):
            if table is not None:
                places += [_name_of(sock) for sock in self._handed.get(name, ())] or [str(table.listen)]
        return places

    def _make_listeners(self) -> list[Listener]:
        found, ingress = self.config, self.config.ingress
        smtp = ingress.smtp
        exempt = (*Limits().exempt, *ingress.trusted_hops)
        limits = (
            Limits(exempt=exempt)
            if smtp is None
            else Limits(
                message_bytes=smtp.max_message,
                recipients=smtp.max_recipients,
                connections=smtp.max_connections,
                per_address=smtp.max_connections_per_ip,
                per_network=smtp.max_connections_per_network,
                flight_bytes=smtp.max_bytes_in_flight,
                exempt=exempt,
            )
        )
        shares = Shares(limits)
        spill = found.state / "spill"
        spill.mkdir(mode=0o700, exist_ok=True)
        listeners: list[Listener] = []
        if smtp is not None:
            settings = ListenerSettings(
                hostname=found.smtp_hostname,
                domain=found.settings.domain,
                spill=spill,
                certificate=_text(found.path(smtp.tls_certificate)),
                key=_text(found.path(smtp.tls_key)),
                tls_required=smtp.require_tls,
                auth=smtp.auth,
                proxy=tuple(smtp.proxy),
            )
            for where in _wheres(smtp.listen, self._handed.get("smtp", ())):
                listeners.append(Listener("smtp", self.front, settings, shares, self._clock, where))
        if ingress.lmtp is not None:
            settings = ListenerSettings(hostname=found.smtp_hostname, domain=found.settings.domain, spill=spill)
            lmtp = ingress.lmtp
            for where in _wheres(lmtp.listen, self._handed.get("lmtp", ()), mode=lmtp.mode, group=lmtp.group):
                listeners.append(Listener("lmtp", self.front, settings, shares, self._clock, where))
        return listeners


def _text(path: Path | None) -> str:
    return str(path) if path else ""


def _wheres(listen: Listen, handed: Sequence[socket.socket], *, mode: int = 0o660, group: str = "") -> list[Where]:
    """Return the sockets that systemd opened for a listener; when there are none, the place that the config names."""
    if handed:
        return [Where(sock=sock) for sock in handed]
    if listen.path:
        return [Where(path=str(listen.path), mode=mode, group=group)]
    return [Where(host=listen.host, port=listen.port)]


def _check_handed(found: Config, handed: Mapping[str, Sequence[socket.socket]]) -> None:
    """Raise ConfigError for a socket of systemd's that nobody would serve: who connects to it would wait for ever."""
    served = {"smtp": found.ingress.smtp, "lmtp": found.ingress.lmtp}
    problems = []
    for name in handed:
        if name not in served:
            cure = "write FileDescriptorName=smtp or FileDescriptorName=lmtp into its socket unit"
            problems.append(Problem("systemd", 1, f"a socket named {name!r} is handed over", cure))
        elif served[name] is None:
            cure = f"add the table [ingress.{name}], or systemctl disable --now the socket unit"
            what = f"systemd hands over a socket named {name}, and there is no [ingress.{name}]"
            problems.append(Problem(str(found.file), 1, what, cure))
    if problems:
        raise ConfigError(problems)


def _name_of(sock: socket.socket) -> str:
    """Return where a socket listens, as a config would write it."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
    return f"unix:{name if isinstance(name, str) else name.decode()}"


def serve(found: Config, clock: Clock = system, rate: float = 1.0, ready: Callable[[Daemon], None] = lambda _: None) -> None:
    """Run the daemon until it is told to stop."""
    # When it is killed for hanging (SIGABRT of systemd's watchdog), the log tells where each thread stood.
    faulthandler.enable()
    allocator.give_back(os.environ)
    sys.setswitchinterval(SWITCH_SECONDS)
    log.set_up(found.log.format, found.log.level)
    daemon = Daemon(found, clock, rate, apart=True)
    # What is there now stays: the collector need not look at it again and again, nor so often at what a mail leaves behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    asyncio.run(daemon.run(ready))
