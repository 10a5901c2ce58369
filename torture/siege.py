"""A house under siege: one store, one or two daemons, customers, a mailbox and a relay; each life of the daemons has faults of its own.

The faults of a life (`Fault`) act at the same time. After each life everything that was answered 250 must be on the disk; at the end
everything is healed, each customer brings his last mail home, and the books are compared with the store.
"""

from __future__ import annotations

import random
import shutil
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.daemon import wait_for
from tests.fakes.family import family, tell
from tests.fakes.imap import ImapServer
from tests.fakes.nursery import Nursed, Nursery
from tests.fakes.postgres import Cluster
from tests.fakes.proxy import Line
from tests.fakes.senders import Ledger, Posted, Senders
from torture import books
from torture.ground import Disk, Door
from torture.relay import Relay

CAPS = "per_address = 1000000\noverall = 1000000\nper_sender = 1000000"
BACKLOG = 60
"""Requests whose three mails are not out yet, while more are sent."""
STAFF = ("jane@staff.example", "kim@staff.example")
MAILBOX = """[ingress.imap.office]
host = "127.0.0.1"
port = {port}
tls = "none"
user = "box"
poll = "1s"
"""
PATIENCE = 240
"""Seconds for what must happen in the end; the machine may be busy with other things."""


class Siege:
    """`with Siege(nursery, folder, dice) as siege:` has everything but a running daemon.

    cluster   a PostgreSQL that two daemons share; without one a single daemon has SQLite on a small disk of its own
    arguments of `rtmail serve`, as for a rehearsal's clock
    """

    def __init__(self, nursery: Nursery, folder: Path, dice: random.Random, *, cluster: Cluster | None = None,
                 arguments: tuple[str, ...] = (), hasty: bool = False, disk: bool = True) -> None:
        self.folder, self.dice, self.cluster = folder, dice, cluster
        self.log: list[str] = []
        self._stack = ExitStack()
        self.disk = Disk(folder / "disk")
        self.relay, self.mailbox = Relay(), ImapServer()
        self._nursery, self._arguments, self._hasty, self._on_disk = nursery, arguments, hasty, disk
        self.ledger, self.acked_lost = Ledger(), list[str]()
        self._by_mailbox: dict[bytes, Posted] = {}
        self.lives = 0
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        if self._on_disk:
            enter(self.disk)
        else:
            self.disk.trouble = "not asked for"
        enter(self.relay)
        enter(self.mailbox)
        self.post_line = enter(Line(self.mailbox.port))
        self.line: Door | None = None
        root = self.folder if self.disk.trouble else self.disk.folder
        if self.cluster is None:
            self.url, store = f"sqlite:///{root / 'a' / 'var' / 'rtmail.db'}", "sqlite:///rtmail.db"
            names = ["a"]
        else:
            self.url = self.cluster.database()
            self.line = enter(Door(self.cluster.port))
            store = self.url.replace(f":{self.cluster.port}/", f":{self.line.port}/")
            names = ["a", "b"]
        self.daemons = [
            Nursed(self._nursery, root / name, relay=f"smtp://127.0.0.1:{self.relay.port}", caps=CAPS, store=store, hasty=self._hasty,
                   ingress=MAILBOX.format(port=self.post_line.port), relay_keys='max_pause = "2s"', arguments=self._arguments,
                   environ={"RTMAIL_IMAP_OFFICE_PASSWORD": self.mailbox.password})
            for name in names]
        self.doors = [enter(Door(daemon.port)) for daemon in self.daemons]
        self.senders = [Senders(door.port, self.ledger, self._wanted, connections=4 // len(names)) for door in self.doors]
        self.environ = {"RTMAIL_IMAP_OFFICE_PASSWORD": self.mailbox.password}
        for senders in self.senders:
            senders.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for senders in self.senders:
            senders.give_up()
        for daemon in self.daemons:
            self.end(daemon)
        if self.cluster is not None:
            with suppress(Exception):
                self.cluster.drop(self.url)
        self._stack.close()

    @property
    def daemon(self) -> Nursed:
        return self.daemons[0]

    def say(self, words: str) -> None:
        """Note what was done, for whoever looks into a failure."""
        self.log.append(f"life {self.lives}: {words}")

    def _wanted(self) -> bool:
        return len(self.ledger.acknowledged) - len(self.relay.came) / 3 < BACKLOG

    def post(self, count: int) -> None:
        """Put so many mails into the mailbox."""
        for _ in range(count):
            posted = self.ledger.next()
            self._by_mailbox[posted.raw] = posted
            self.mailbox.append(posted.raw)

    def _look_into_mailbox(self) -> None:
        """What is flagged there was promised."""
        for message in self.mailbox.inbox():
            if "\\Seen" in message.flags:
                self.ledger.taken(self._by_mailbox[message.raw])

    # the daemons

    def spawn(self, daemon: Nursed, **environ: str) -> None:
        """Start a daemon, unless another fault of this life has just done so."""
        with self._starting:
            if not self.alive(daemon):
                daemon.spawn(**self.environ, **environ)

    def alive(self, daemon: Nursed) -> bool:
        return bool(daemon._pid) and not daemon._ended()

    def end(self, daemon: Nursed, *, gently: bool = False) -> int | None:
        """End a daemon and all its processes; return how its first one ended, None when none ran."""
        if not daemon._pid:
            return None
        if not daemon._ended():
            there = family(daemon._pid)
            if gently:
                tell(there, signal.SIGCONT)
                daemon.signal(signal.SIGTERM)
                with suppress(AssertionError):
                    return daemon.wait(30)
            tell(there, signal.SIGKILL)
        return daemon.wait(30)

    def works(self, seconds: float) -> bool:
        """Wait until the relay got one more mail."""
        return self.relay.wait(len(self.relay.came) + 1, seconds)

    def check_kept(self) -> None:
        """Everything that was answered 250 before now is in the store; looked at in a copy, so that the next start finds what it would."""
        told = self.ledger.snapshot()
        self._look_into_mailbox()
        url = self.url
        if self.cluster is None:
            source, copy = Path(self.url.removeprefix("sqlite:///")), self.folder / "copy.db"
            _copied(source, copy)
            url = f"sqlite:///{copy}"
        # A daemon may end before its first migration is over.
        if not books.begun(url):
            self.acked_lost += [posted.message_id for posted in told]
            return
        gone = books.missing(url, told)
        if gone:
            self.say(f"answered 250 and not there: {gone[:5]}")
        self.acked_lost += gone

    def home(self, *, heal: bool = True) -> books.Sums:
        """Heal everything, let all of it come to rest, and compare; the daemons are ended."""
        if heal:
            self.heal()
        trouble = []
        over = threading.Event()
        supervisor = threading.Thread(target=self._restart, args=(over,))
        self._start_what_ended()
        supervisor.start()
        try:
            for senders in self.senders:
                senders.finish(PATIENCE)
            wait_for(lambda: len(self.mailbox.flagged()) == len(self.mailbox.inbox()), PATIENCE, "mail stays in the mailbox")
            self._look_into_mailbox()
            wait_for(lambda: books.rests(self.url), PATIENCE, "mail waits for ever")
        except AssertionError as error:
            trouble.append(f"{error}: {self._stuck()}")
        finally:
            over.set()
            supervisor.join()
        self._start_what_ended()
        for daemon in self.daemons:
            code = self.end(daemon, gently=True)
            if code:
                trouble.append(f"a daemon that was told to stop ended with {code}: {daemon.told()[-1500:]}")
        sums = books.compare(self.url, self.ledger.snapshot(), list(self.relay.came), self.relay.refused, STAFF)
        sums.lost += [f"{one} was answered 250 and was not on the disk" for one in self.acked_lost]
        sums.wrong += trouble
        sums.wrong += books.audited(self.daemon.cli("audit", "--json", check=False))
        return sums

    def _restart(self, over: threading.Event) -> None:
        """Start what ends, as systemd does: of a daemon whose engine was killed it may be only now."""
        while not over.wait(0.2):
            self._start_what_ended()

    def _start_what_ended(self) -> None:
        """Have every daemon running and past its start; one that cannot start is seen by what it leaves undone."""
        for daemon in self.daemons:
            if not self.alive(daemon):
                self.say("started again at the end")
                told = len(daemon.told())
                self.spawn(daemon, RTMAIL_FAILPOINT="")
                with suppress(AssertionError):
                    wait_for(lambda daemon=daemon, told=told: "event=started " in daemon.told()[told:] or daemon._ended(), 90)  # type: ignore[misc]
            else:
                # One that was to stop at a point may get there only now.
                tell(family(daemon._pid), signal.SIGCONT)

    def _stuck(self) -> str:
        waiting = books.rows(self.url, "SELECT id, template, attempts, said FROM outbox WHERE state = 'waiting' LIMIT 3")
        spooled = books.rows(self.url, "SELECT id, attempts, owner FROM spool WHERE outcome = '' LIMIT 3")
        claimed = books.rows(self.url, "SELECT id, number, wake_at, sweep_owner, sweep_until FROM ticket WHERE sweep_until > 0 LIMIT 3")
        unreported = books.rows(self.url, "SELECT id, state, due_at, settled_at FROM outbox WHERE unreported = 1 LIMIT 3")
        sessions = "" if self.cluster is None else books.rows(
            self.url, "SELECT pid, state, wait_event, pg_blocking_pids(pid), now() - state_change, left(query, 80) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()")
        return (f"outbox {waiting}, spool {spooled}, due {claimed}, unreported {unreported}, "
                f"mailbox {self.mailbox.flagged()} of {len(self.mailbox.inbox())}, sessions {sessions}")

    def heal(self) -> None:
        """Take everything away that was done to them, the daemons' own troubles excepted."""
        self.relay.up()
        self.mailbox.twists.clear()
        for door in self.doors:
            door.heal()
        if self.line is not None:
            self.line.heal()
        if not self.disk.trouble:
            self.disk.room()

    # a life

    def live(self, acting: Sequence[Fault]) -> None:
        """Start, let the faults act, work for a while, end somehow, heal, and look at what is on the disk."""
        self.lives += 1
        environ: dict[str, str] = {}
        for fault in acting:
            environ |= fault.environ(self)
        for daemon in self.daemons:
            if not self.alive(daemon):
                self.spawn(daemon, **environ)
                environ = {}  # a failpoint is for one of them
        self.post(self.dice.randint(0, 3))
        if self.dice.random() < 0.8:
            self.works(4)
        threads = [threading.Thread(target=fault.act, args=(self,)) for fault in acting]
        for thread in threads:
            thread.start()
        threading.Event().wait(self.dice.uniform(0.05, 1.5))
        for thread in threads:
            thread.join()
        self._finish(self.dice.choice(ENDINGS))
        for fault in acting:
            fault.heal(self)
        self.heal()
        self.check_kept()

    def _finish(self, ending: str) -> None:
        daemon = self.dice.choice(self.daemons)
        self.say(f"ended by {ending}")
        if ending == "SIGTERM":
            code = self.end(daemon, gently=True)
            # A daemon that a fault killed or that gave up its database ends otherwise, and rightly so.
            self.say(f"exit {code}")
        elif ending == "kill one":
            there = family(daemon._pid) if self.alive(daemon) else []
            tell([self.dice.choice(there)] if there else [], signal.SIGKILL)
        else:
            self.end(daemon)


ENDINGS = ("kill", "kill", "kill one", "SIGTERM")


class Fault:
    """`environ` before the start, `act` while they work (in a thread of its own), `heal` after the end."""

    rows: tuple[str, ...] = ()
    count = 1
    """How many cases of its row one life is."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = random.Random(dice.random())

    def environ(self, siege: Siege) -> dict[str, str]:
        return {}

    def act(self, siege: Siege) -> None:
        """Do harm; return when it is done or has had its time."""

    def heal(self, siege: Siege) -> None:
        """Undo what outlives the daemon."""

    def pause(self, low: float = 0.1, high: float = 1.5) -> None:
        threading.Event().wait(self.dice.uniform(low, high))


def _copied(source: Path, copy: Path) -> None:
    """Copy a database with its log as they are at one moment. A process that is still ending may bring the log to its place meanwhile:
    the file from before that, and the log from after it, would lack what is there."""
    def stamps() -> list[tuple[int, int]]:
        found = [Path(f"{source}{end}") for end in ("", "-wal")]
        return [(one.stat().st_mtime_ns, one.stat().st_size) for one in found if one.exists()]

    for _ in range(100):
        with suppress(FileNotFoundError):  # the log was brought to its place between two looks
            before = stamps()
            for end in ("", "-wal"):
                Path(f"{copy}{end}").unlink(missing_ok=True)
                if Path(f"{source}{end}").exists():
                    shutil.copy(f"{source}{end}", f"{copy}{end}")
            if stamps() == before:
                return
    raise AssertionError(f"{source} is never still")
