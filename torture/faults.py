"""Faults of a house itself: its processes, its disk, its database; and which faults go with which house."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from contextlib import closing, suppress

import psycopg

from tests.fakes.family import family, tell
from tests.test_failpoints import points
from torture.ground import Blocked
from torture.outside import (
    AnswersEaten,
    CustomersCut,
    HalfMails,
    MailboxDrops,
    MailboxForgets,
    MailboxRefuses,
    MailboxRenumbers,
    MailboxSilent,
    Poison,
    RelayAway,
    RelayHangs,
    RelayMoody,
)
from torture.siege import Fault, Siege


class Killed(Fault):
    """kill -9 at any moment is how most lives end; this one ends at once and once more during the start."""

    rows = ("R1",)

    def act(self, siege: Siege) -> None:
        daemon = self.dice.choice(siege.daemons)
        siege.end(daemon)
        siege.spawn(daemon)
        self.pause(0.0, 0.8)
        siege.end(daemon)


class AtPoint(Fault):
    """Killed, held, or failed with an error at a named point, on any of the first passes."""

    rows = ("R2",)
    names = sorted(points())

    def environ(self, siege: Siege) -> dict[str, str]:
        effect = self.dice.choice(("kill", "kill", "error", f"delay={self.dice.uniform(0.05, 2):.2f}"))
        armed = ",".join(f"{name}:{self.dice.choice((1, 1, 2, 3, 5, 8, 13))}:{effect}" for name in self.dice.sample(self.names, 3))
        siege.say(armed)
        return {"RTMAIL_FAILPOINT": armed}

    def act(self, siege: Siege) -> None:
        siege.works(2)


class StoppedAtPoint(AtPoint):
    """Stopped at a named point, as a machine that is put to sleep there, and woken later."""

    rows = ("R2",)

    def environ(self, siege: Siege) -> dict[str, str]:
        armed = f"{self.dice.choice(self.names)}:{self.dice.choice((1, 2, 5))}:stop"
        siege.say(armed)
        return {"RTMAIL_FAILPOINT": armed}

    def act(self, siege: Siege) -> None:
        self.pause()
        for daemon in siege.daemons:
            if siege.alive(daemon):
                tell(family(daemon._pid), signal.SIGCONT)
        self.pause(0, 0.5)


class DiskFull(Fault):
    """No byte is left, or less than what is kept free, or hardly one, while mail comes in."""

    rows = ("R6",)

    def act(self, siege: Siege) -> None:
        if siege.disk.trouble or siege.cluster is not None:
            self.count = 0
            return
        spare = self.dice.choice((0, 4096, 40_000, 500_000, 30 << 20))
        siege.say(f"disk full but for {spare}")
        siege.disk.full(spare)
        self.pause(0.5, 2)
        siege.disk.room()
        # It goes on by itself.
        self.pause(0.1, 1)


class NoInodes(Fault):
    """No new file can be made."""

    rows = ("R7",)

    def act(self, siege: Siege) -> None:
        if siege.disk.trouble or siege.cluster is not None:
            self.count = 0
            return
        siege.say("no inodes")
        siege.disk.no_inodes()
        self.pause(0.3, 1.5)
        siege.disk.room()


class NoDescriptors(Fault):
    """The process may open hardly a file or connection more than it has."""

    rows = ("R7",)

    def act(self, siege: Siege) -> None:
        daemon = self.dice.choice(siege.daemons)
        with suppress(OSError):
            pids = family(daemon._pid)
            pid = self.dice.choice(pids[:2])
            there = len(os.listdir(f"/proc/{pid}/fd"))
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (there + self.dice.randint(0, 3), hard))
            siege.say(f"{there} descriptors and hardly more")
            self.pause(0.3, 1.5)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(4096, hard), hard))


class Locked(Fault):
    """Another program holds the database."""

    rows = ("R8",)

    def act(self, siege: Siege) -> None:
        seconds = self.dice.choice((0.3, 1, 3, 7))
        siege.say(f"database held for {seconds} s")
        with suppress(sqlite3.Error, psycopg.Error, OSError):
            if siege.cluster is None:
                with closing(sqlite3.connect(siege.url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)) as other:
                    other.execute("BEGIN EXCLUSIVE")
                    self.pause(seconds, seconds)
                    other.execute("ROLLBACK")
            else:
                table = self.dice.choice(("spool", "outbox", "ticket", "cap"))
                with psycopg.connect(siege.url) as session:
                    session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                    self.pause(seconds, seconds)
                    session.rollback()


class ReaderKilled(Fault):
    """The kernel is out of memory and ends those who read mail; the daemon and its engine live on. (An end of either is a kill.)"""

    rows = ("R24",)

    def act(self, siege: Siege) -> None:
        self.count = 0
        for _ in range(4):
            daemon = self.dice.choice(siege.daemons)
            engine = daemon.engine() if siege.alive(daemon) else 0
            readers = family(engine)[1:] if engine else []
            if readers:
                tell([self.dice.choice(readers)], signal.SIGKILL)
                self.count += 1
            self.pause(0.1, 0.4)
        siege.say(f"{self.count} readers of a daemon killed")


class Reloaded(Fault):
    """SIGHUP under load."""

    rows = ("R25",)

    def act(self, siege: Siege) -> None:
        siege.say("reloads")
        for _ in range(3):
            for daemon in siege.daemons:
                if siege.alive(daemon) and daemon._listens():
                    daemon.signal(signal.SIGHUP)
            self.pause(0.05, 0.3)


class Restarted(Fault):
    """Told to stop and started again under load."""

    rows = ("R25",)

    def act(self, siege: Siege) -> None:
        daemon = self.dice.choice(siege.daemons)
        siege.say(f"told to stop: exit {siege.end(daemon, gently=True)}")
        siege.spawn(daemon)
        siege.works(3)


class LogBlocked(Fault):
    """Nobody reads the log any more, and its pipe is full."""

    rows = ("R27",)

    def environ(self, siege: Siege) -> dict[str, str]:
        self._pipes = []
        self._logs = [daemon.log for daemon in siege.daemons]
        for daemon in siege.daemons:
            if not siege.alive(daemon):
                pipe = siege.folder / f"pipe-{len(self._pipes)}"
                self._pipes.append(Blocked(pipe))
                daemon.log = pipe
        siege.say("log blocked")
        return {}

    def act(self, siege: Siege) -> None:
        siege.works(3)

    def heal(self, siege: Siege) -> None:
        for daemon, log in zip(siege.daemons, self._logs, strict=True):
            if daemon.log != log:
                siege.end(daemon)
                daemon.log = log
        for pipe in self._pipes:
            pipe.close()


class Paused(Fault):
    """The whole machine stands still for a moment."""

    rows = ("R28",)

    def act(self, siege: Siege) -> None:
        daemon = self.dice.choice(siege.daemons)
        if siege.alive(daemon):
            there = family(daemon._pid)
            tell(there, signal.SIGSTOP)
            self.pause(0.2, 2)
            tell(there, signal.SIGCONT)
            siege.say("stood still for a moment")
            siege.works(2)


class ServerKilled(Fault):
    """PostgreSQL dies at once and comes back."""

    rows = ("R21",)

    def act(self, siege: Siege) -> None:
        assert siege.cluster is not None
        siege.cluster.stop(self.dice.choice((signal.SIGQUIT, signal.SIGQUIT, signal.SIGINT)))
        siege.say("PostgreSQL killed")
        self.pause(0.0, 1.5)
        siege.cluster.start()
        siege.works(3)


class SessionsCut(Fault):
    """Every session with the database ends."""

    rows = ("R21",)

    def act(self, siege: Siege) -> None:
        assert siege.cluster is not None
        self.count = 0
        for _ in range(3):
            with suppress(psycopg.Error):
                siege.cluster.cut(siege.url)
                self.count += 1
            siege.works(1)
        siege.say(f"sessions cut {self.count} times")


class OneStandsStill(Fault):
    """One of two daemons stands still while the other works, and wakes again."""

    rows = ("R22",)

    def act(self, siege: Siege) -> None:
        daemon = self.dice.choice(siege.daemons)
        if siege.alive(daemon):
            there = family(daemon._pid)
            tell(there, signal.SIGSTOP)
            siege.say("one stands still")
            self.pause(0.5, 3)
            tell(there, signal.SIGCONT)
            siege.works(1)


class Split(Fault):
    """The line between the daemons and their database is silent."""

    rows = ("R23",)

    def act(self, siege: Siege) -> None:
        assert siege.line is not None
        siege.say("split from the database")
        siege.line.silent = True
        self.pause(0.5, 3)
        siege.line.heal()
        siege.works(2)


ANYWHERE: tuple[type[Fault], ...] = (
    Killed, AtPoint, AtPoint, StoppedAtPoint, AnswersEaten, NoDescriptors, Locked, RelayMoody, RelayHangs, RelayAway, MailboxSilent,
    MailboxDrops, MailboxRenumbers, MailboxForgets, MailboxRefuses, Poison, ReaderKilled, Reloaded, Restarted, LogBlocked, Paused,
    CustomersCut, HalfMails)
ON_A_DISK: tuple[type[Fault], ...] = (DiskFull, DiskFull, NoInodes)
ON_POSTGRES: tuple[type[Fault], ...] = (ServerKilled, SessionsCut, OneStandsStill, Split)
BORNE: tuple[type[Fault], ...] = (
    RelayMoody, RelayHangs, RelayAway, MailboxSilent, MailboxDrops, MailboxRefuses, Locked, AnswersEaten, CustomersCut, HalfMails, Reloaded,
    Poison, ReaderKilled, DiskFull)
"""What no daemon may end of."""
