"""Cases about processes that end, hang and stand still: one house after the other, and what it bears in its lives."""

from __future__ import annotations

import signal
import smtplib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from tests.fakes.daemon import wait_for
from tests.fakes.family import descriptors, family, resident_bytes, tell
from tests.fakes.postgres import Cluster
from tests.fakes.senders import Ledger, Senders
from tests.test_message import BOMBS
from torture import books, faults
from torture.books import Sums
from torture.relay import Relay
from torture.siege import CAPS, STAFF, Fault, Siege
from torture.told import Bench, Told, together


def siege_of_one(bench: Bench) -> Told:
    """A house with SQLite on a small disk: fourteen lives, up to three faults at a time in each."""
    with Siege(bench.nursery, bench.folder, bench.dice) as siege:
        return _besieged(siege, (*faults.ANYWHERE, *faults.ON_A_DISK), 14)


def siege_of_two(bench: Bench) -> Told:
    """Two daemons on one PostgreSQL, which is killed as well."""
    with _postgres() as cluster, Siege(bench.nursery, bench.folder, bench.dice, cluster=cluster) as siege:
        return _besieged(siege, (*faults.ANYWHERE, *faults.ON_POSTGRES * 4), 9)


def one_stands_still(bench: Bench) -> Told:
    """Two daemons whose clock runs sixty times as fast: one stands still beyond all its leases, and wakes when its work was taken over."""
    clock = ("--clock-rate", "60", "--clock-from", datetime.now(UTC).isoformat(), "--clock-zero", str(time.time()))
    still = 0
    with _postgres() as cluster, Siege(bench.nursery, bench.folder, bench.dice, cluster=cluster, arguments=clock) as siege:
        for daemon in siege.daemons:
            siege.spawn(daemon)
        for _ in range(4):
            siege.works(20)
            threading.Event().wait(bench.dice.uniform(0, 0.5))
            there = family(bench.dice.choice(siege.daemons)._pid)
            tell(there, signal.SIGSTOP)
            # Leases last five minutes at most.
            threading.Event().wait(bench.dice.uniform(1.5, 7))
            tell(there, signal.SIGCONT)
            still += 1
        return Told(Counter(R22=still), siege.home(), log=siege.log)


def _besieged(siege: Siege, kinds: tuple[type[Fault], ...], lives: int) -> Told:
    rows: Counter[str] = Counter(R1=lives)
    dice = siege.dice
    deck: list[type[Fault]] = []
    for _ in range(lives):
        chosen: list[Fault] = []
        for _ in range(dice.randint(1, 3)):
            if not deck:
                deck = list(kinds)
                dice.shuffle(deck)
            chosen.append(deck.pop()(dice))
        siege.live(chosen)
        for fault in chosen:
            rows.update(dict.fromkeys(fault.rows, fault.count))
    return Told(+rows, siege.home(), log=siege.log)


@contextmanager
def _postgres() -> Iterator[Cluster]:
    cluster = Cluster("fsync = on")
    try:
        yield cluster
    finally:
        cluster.close()


def bombs_away(bench: Bench) -> Told:
    """Mails that cost all memory or time that a reader may have, between others; helpers are killed too."""
    with Siege(bench.nursery, bench.folder, bench.dice, disk=False) as siege:
        siege.spawn(siege.daemon)
        siege.works(30)
        count = 0
        for name in bench.dice.sample(sorted(BOMBS), 6):
            with suppress(OSError, smtplib.SMTPException):
                siege.daemon.send(BOMBS[name](), sender="bomb@evil.example")
                count += 1
            siege.works(10)
        fault = faults.ReaderKilled(bench.dice)
        fault.act(siege)
        return Told(Counter(R24=count + fault.count, R17=count), siege.home(), log=siege.log)


HANGS = ("engine-beat:3", "spool-after-commit:2", "outbox-leased-before-commit:2", "outbox-leased:2", "engine-read:1",
         "decision-kept-before-commit:1", "ingress-kept:2", "spool-before-commit:2")


def parts_hang(bench: Bench) -> Told:
    """A part of the daemon hangs for ever: whoever watches over it hears so or nothing, ends it, and the next one goes on."""
    sums, rows = Sums(), Counter[str]()
    with Siege(bench.nursery, bench.folder, bench.dice, disk=False) as siege:
        for point in bench.dice.sample(HANGS, 3):
            ear, path = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), bench.folder / "notify"
            path.unlink(missing_ok=True)
            ear.bind(str(path))
            ear.settimeout(12)
            siege.spawn(siege.daemon, RTMAIL_FAILPOINT=f"{point}:hang", NOTIFY_SOCKET=str(path), WATCHDOG_USEC="6000000")
            siege.post(1)
            until = time.monotonic() + 60
            with suppress(TimeoutError):
                while time.monotonic() < until and b"WATCHDOG=trigger" not in ear.recv(65536):
                    pass
            if time.monotonic() >= until:
                sums.wrong.append(f"{point} hangs, and the watchdog hears that all is well")
            siege.say(f"{point} hung")
            siege.end(siege.daemon)
            siege.check_kept()
            ear.close()
            rows["R28"] += 1
        return Told(rows, together(siege.home(), sums), log=siege.log)


SOAK_SECONDS = 60


def soak(bench: Bench) -> Told:
    """One daemon that is never ended bears fault after fault; it may not grow."""
    sums, rows = Sums(), Counter[str]()
    with Siege(bench.nursery, bench.folder, bench.dice) as siege:
        siege.spawn(siege.daemon)
        wait_for(siege.daemon._listens, 60)
        until, sizes = time.monotonic() + SOAK_SECONDS, list[tuple[int, int]]()
        while time.monotonic() < until:
            fault = bench.dice.choice(faults.BORNE)(bench.dice)
            fault.act(siege)
            siege.heal()
            siege.works(20)
            siege.check_kept()
            pid = siege.daemon._pid
            if not siege.alive(siege.daemon):
                sums.wrong.append(f"the daemon ended under {type(fault).__name__}")
                break
            rows["R29"] += 1
            rows.update(dict.fromkeys(fault.rows, fault.count))
            sizes.append((resident_bytes([pid]), descriptors(pid)))
        half = len(sizes) // 2
        before, after = (sorted(part)[len(part) // 2] for part in (sizes[:half], sizes[half:]))
        note = f"first process {before[0] >> 20} to {after[0] >> 20} MB, {before[1]} to {after[1]} descriptors"
        if after[0] > before[0] * 1.25 + (8 << 20) or after[1] > before[1] + 30:
            sums.wrong.append(f"it grows: {note}")
        return Told(rows, together(siege.home(), sums), note, siege.log)


def restarts(bench: Bench) -> Told:
    """Restarts on a socket that outlives the daemon: nobody is refused a connection, and each stop is short."""
    from tests.test_systemd import Handed

    sums, rows = Sums(), Counter[str]()
    with Relay() as relay, socket.create_server(("127.0.0.1", 0), backlog=128) as door:
        ledger, refused = Ledger(), 0
        daemon = Handed(bench.folder, [("smtp", door)], relay=f"smtp://127.0.0.1:{relay.port}", caps=CAPS)
        url = f"sqlite:///{daemon.state / 'rtmail.db'}"
        senders = Senders(door.getsockname()[1], ledger, lambda: len(ledger.acknowledged) - len(relay.came) / 3 < 60)
        daemon.spawn()
        senders.start()
        try:
            for _ in range(6):
                relay.wait(len(relay.came) + 5, 30)
                if bench.dice.random() < 0.5:
                    begun = time.monotonic()
                    assert daemon.process is not None
                    daemon.process.send_signal(signal.SIGTERM)
                    code = daemon.process.wait(60)
                    if code not in (0, -signal.SIGTERM) or time.monotonic() - begun > 30:
                        sums.wrong.append(f"a stop took {time.monotonic() - begun:.1f} s and ended with {code}")
                else:
                    daemon.kill()
                with suppress(TimeoutError):
                    try:
                        socket.create_connection(("127.0.0.1", door.getsockname()[1]), 5).close()
                    except ConnectionRefusedError:
                        refused += 1
                daemon.spawn()
                rows["R25"] += 1
            senders.finish(240)
            wait_for(lambda: books.rests(url), 240, "mail waits for ever")
        finally:
            senders.give_up()
            daemon.kill()
        sums = together(sums, books.compare(url, ledger.snapshot(), list(relay.came), relay.refused, STAFF))
        sums.wrong += [f"{refused} connections were refused"] if refused else []
        return Told(rows, sums)


def control_hasty(bench: Bench) -> Told:
    """The kill test on a daemon that says 250 before the commit."""
    with Siege(bench.nursery, bench.folder, bench.dice, disk=False, hasty=True) as siege:
        for _ in range(40):
            siege.spawn(siege.daemon)
            siege.works(4)
            threading.Event().wait(bench.dice.uniform(0.01, 0.3))
            siege.end(siege.daemon)
            siege.check_kept()
            siege.lives += 1
            if siege.acked_lost:
                break
        sums = Sums(lost=siege.acked_lost, mails=len(siege.ledger.acknowledged))
        return Told(Counter({"control: 250 before the commit": siege.lives}), sums)
