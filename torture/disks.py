"""Cases about disks: power cuts, syncs that fail, damaged files, backups, first starts."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from rtmail.errors import Deferred, RtmailError
from rtmail.store import Store
from tests.fakes.daemon import Running, wait_for
from tests.fakes.family import family, tell
from tests.fakes.nursery import Nursed
from tests.fakes.senders import Ledger, Senders
from torture import books, powercut
from torture.books import Sums
from torture.relay import Relay
from torture.siege import CAPS, Siege
from torture.told import Bench, Told, together


def power_cuts(bench: Bench) -> Told:
    """A daemon under strace; disks are made of what it wrote, and read."""
    kept, found, count = _cuts(bench, unsynced=False, count=150)
    return Told(Counter(R4=count), Sums(lost=found, mails=kept))


def _cuts(bench: Bench, *, unsynced: bool, count: int) -> tuple[int, list[str], int]:
    daemon = powercut.Recorded(bench.folder, unsynced=unsynced, caps=CAPS)
    ledger = Ledger()
    daemon.start()
    senders = Senders(daemon.port, ledger, lambda: ledger.begun < 80, connections=bench.dice.choice((1, 4, 8)))
    senders.start()
    try:
        wait_for(lambda: len(ledger.acknowledged) >= 60, 120, "mails were not taken")
    finally:
        senders.give_up()
        daemon.kill()
    disks, found, played = bench.folder / "disk", [], 0
    disks.mkdir()
    for image in powercut.images(powercut.read(daemon.record, daemon.state), bench.dice, count):
        played += 1
        found += [f"cut at step {image.at} ({image.how}): {one}" for one in powercut.missing(image, disks)]
    return len(ledger.acknowledged), found, played


class _Traced(Running):
    """The daemon under strace, its syncs failing from the nth of a thread on."""

    nth = 1

    def spawn(self, **environ: str) -> None:
        words = ["strace", "-f", "-o", "/dev/null", "--signal=none", "-e", "trace=fsync,fdatasync", "-e",
                 f"inject=fsync,fdatasync:error=EIO:when={self.nth}+", sys.executable, "-m", "rtmail", "serve", "-c", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env={**self.environ, **environ}, cwd=self.folder)


def syncs_fail(bench: Bench) -> Told:
    """Every sync fails from the nth on: the daemon ends by itself, and what it had answered is there when the disk works again."""
    rows: Counter[str] = Counter()
    sums = Sums()
    with Siege(bench.nursery, bench.folder, bench.dice, disk=False) as siege:
        siege.spawn(siege.daemon)
        wait_for(siege.daemon._listens, 60)
        siege.works(10)
        siege.end(siege.daemon)
        for _ in range(4):
            traced = _Traced.__new__(_Traced)
            traced.__dict__.update(siege.daemon.__dict__)
            traced.nth = bench.dice.choice((1, 2, 3, 5, 8, 13, 21, 34))
            siege.post(1)
            traced.spawn(**siege.environ)
            process = traced.process
            assert process is not None
            try:
                process.wait(60)
                if not process.returncode:
                    sums.wrong.append(f"a daemon that cannot sync (from the {traced.nth}. on) ended with 0")
            except subprocess.TimeoutExpired:
                sums.wrong.append(f"a daemon that cannot sync (from the {traced.nth}. on) goes on")
                tell(family(process.pid), signal.SIGKILL)
                process.wait(10)
            siege.check_kept()
            rows["R5"] += 1
        return Told(rows, together(siege.home(), sums), log=siege.log)


def flipped_bytes(bench: Bench) -> Told:
    """A house's database with bytes flipped: refused, reported, or right all the same."""
    with Siege(bench.nursery, bench.folder, bench.dice, disk=False) as siege:
        siege.spawn(siege.daemon)
        wait_for(lambda: len(siege.ledger.acknowledged) > 40, 60)
        sums = siege.home()
        good = Path(siege.url.removeprefix("sqlite:///"))
        right = _answers(good)
        assert isinstance(right, list)
        assert right
        data, refused, count = good.read_bytes(), 0, 60
        for n in range(count):
            copy = bench.folder / "copy" / "rtmail.db"
            shutil.rmtree(copy.parent, ignore_errors=True)
            copy.parent.mkdir()
            at, length = bench.dice.randrange(len(data)), bench.dice.choice((1, 64, 4096))
            copy.write_bytes(data[:at] + bytes(255 - byte for byte in data[at:at + length]) + data[at + length:])
            answers = _answers(copy)
            if isinstance(answers, str):
                refused += 1
            elif answers != right:
                sums.lost.append(f"copy {n}: {length} bytes flipped at {at}, and other answers without a word")
        return Told(Counter(R9=count), sums, f"{refused} refused, {count - refused} not hurt", siege.log)


def _answers(file: Path) -> list[object] | str:
    """What the product reads from a database; the reason when it refuses."""
    store = Store(f"sqlite:///{file}")
    try:
        with closing(store):
            store.open()
            return [[(row.id, row.outcome, row.envelope) for outcome in ("event", "ignored") for row in store.list_spool(outcome)],
                    [(ticket.number, ticket.subject, ticket.status) for ticket in store.list_tickets(statuses=None)]]
    except (RtmailError, Deferred, sqlite3.Error) as error:
        return str(error)


def backed_up(bench: Bench) -> Told:
    """Backups of a house under load, each restored elsewhere: what was taken in before is there, and nothing goes out again."""
    rows: Counter[str] = Counter()
    found = Sums()
    with Siege(bench.nursery, bench.folder / "old", bench.dice, disk=False) as siege, Relay() as later:
        siege.spawn(siege.daemon)
        files: list[tuple[Path, set[str]]] = []
        for n in range(3):
            siege.works(20)
            wait_for(lambda n=n: len(siege.ledger.acknowledged) > 15 * (n + 1), 60)  # type: ignore[misc]
            before = {posted.message_id for posted in siege.ledger.snapshot()}
            files.append((bench.folder / f"{n}.rtmail", before))
            siege.daemon.cli("backup", str(files[-1][0]))
        sums = siege.home()
        sent = {mail.raw for mail in siege.relay.came}
        for n, (file, before) in enumerate(files):
            new = Nursed(bench.nursery, bench.folder / f"new{n}", relay=f"smtp://127.0.0.1:{later.port}", caps=CAPS)
            new.cli("restore", str(file))
            new.start()
            url = f"sqlite:///{new.state / 'rtmail.db'}"
            wait_for(lambda url=url: books.rests(url), 120, "the restored house does not come to rest")  # type: ignore[misc]
            opened = Counter(str(one) for (one,) in books.rows(url, "SELECT message_id FROM event WHERE kind = 'opened'"))
            found.lost += [f"{one} is not in the backup" for one in before if not opened[one]]
            found.doubled += [f"{one} opened {count} requests" for one, count in opened.items() if count > 1]
            new.stop(30)
            found.wrong += books.audited(new.cli("audit", "--json", check=False))
            rows["R10"] += 1
        found.doubled += ["a mail that was sent went out again after a restore" for mail in later.came if mail.raw in sent]
        return Told(rows, together(sums, found), log=siege.log)


def first_starts(bench: Bench) -> Told:
    """The first start is killed before and after each migration, and goes on from there."""
    count = len(list((Path(books.__file__).parent.parent / "rtmail/store/migrations").glob("0*.py")))
    sums, rows = Sums(), Counter[str]()
    for n in bench.dice.sample(range(1, count + 1), 3):
        with Siege(bench.nursery, bench.folder / str(n), bench.dice, disk=False) as siege:
            for point in ("migration-before-commit", "migration-after-commit"):
                siege.spawn(siege.daemon, RTMAIL_FAILPOINT=f"{point}:{n}:kill")
                siege.daemon.wait(60)
                rows["R26"] += 1
                n = 1  # it goes on behind what is there already
            siege.spawn(siege.daemon)
            siege.works(30)
            sums = together(sums, siege.home())
    return Told(rows, sums)


def control_unsynced(bench: Bench) -> Told:
    """Power cuts on a database that does not sync each commit."""
    kept, found, count = _cuts(bench, unsynced=True, count=40)
    return Told(Counter({"control: commits not synced": count}), Sums(lost=found, mails=kept))
