"""What a full store costs: a tick, a mail, a list, a request, a search and a start with 1,000, 100,000 and 1,000,000 open requests.

Work must grow with what is due and never with what is open. The requests are copies of one that came in by mail. A tick is a
sweep with nothing due, and with 100 due at once; at the end 1,000 are due in one second. What a tick committed is brought to
its place in the file by a thread of its own, beside whoever works: in a large file that is a page here and a page there.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from benchmarks.crowd import multiply
from benchmarks.mails import mails
from benchmarks.started import configured
from rtmail import config
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.engine.reader import ReaderPool
from rtmail.mail.model import Envelope
from rtmail.ops import building, opening

OPEN = (1_000, 100_000, 1_000_000)
DUE = 100
AT_ONCE = 1_000
MAILS = 96
BEGUN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MAIL = (
    b"From: Someone <someone.1@customer.example>\r\nTo: support@example.com\r\nSubject: Printer down\r\n"
    b"Message-ID: <1@customer.example>\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nIt is down.\r\n"
)


Starts = Callable[[Path], float]
"""(folder of a daemon) -> seconds until it listens."""


def ticks(scratch: Path, settings: str, starts: Starts) -> None:
    """Print the tables; `settings` is the text of a rtmail.toml."""
    kept = []
    print(f"{'a tick, ms':<30}{'idle':>9}{f'{DUE} due':>12}{'a due one':>12}{'processor':>12}{'written back':>14}{'store, MB':>12}")
    for count in OPEN:
        folder = scratch / f"ticks{count}"
        with _crowd(folder, settings, count, DUE) as crowd:
            idle = statistics.median(_timed(lambda: crowd.engine.sweep(crowd.now - timedelta(seconds=1))) for _ in range(50))
            begun = time.thread_time()
            took = list(_sweeps(crowd.engine, crowd.now))
            computed = time.thread_time() - begun
            back = _timed(crowd.engine.store.write_back)
            print(f"  {f'{count:,} open requests':<28}{idle * 1000:>9.2f}{sum(took) * 1000:>12.0f}{sum(took) / DUE * 1000:>12.1f}"
                  f"{computed / DUE * 1000:>12.1f}{back * 1000:>14.0f}{crowd.file.stat().st_size / 1e6:>12.0f}", flush=True)
            kept.append((count, _asked(crowd), starts(folder)))
    with _crowd(scratch / "ticks-at-once", settings, AT_ONCE, AT_ONCE) as crowd:
        took = list(_sweeps(crowd.engine, crowd.now))
        late = [sum(took[: at + 1]) for at in range(len(took))]
        told = f"{AT_ONCE:,} due in one second: mails committed"
        print(f"  {told:<42}{late[len(late) // 2]:>9.1f} s later at the median, {late[-1]:.1f} s the last\n")
    titles = ("a mail, CPU", "list", "of one owner", "show", "search all", "search one", "ready")
    print(f"{'beside what is stored, ms':<30}{''.join(f'{title:>14}' for title in titles)}")
    for count, asked, ready in kept:
        print(f"  {f'{count:,} open requests':<28}{''.join(f'{one * 1000:>14.1f}' for one in (*asked, ready))}")
    print()


def _asked(crowd: Crowd) -> list[float]:
    """Return the seconds that a mail takes of the engine's processor, and what the questions take that people ask."""
    store, at = crowd.engine.store, crowd.now
    envelope = Envelope(sender="a@b.example", recipients=("support@example.com",), ingress="smtp", arrived_at=at)
    store.put_many([(raw, envelope) for _, _, raw in islice(mails(5), MAILS)])
    crowd.engine.pool.warm()
    begun = time.thread_time()
    while crowd.engine.work(at):
        pass
    mail = (time.thread_time() - begun) / MAILS
    number = crowd.first + crowd.count // 2

    def show() -> None:
        ticket = store.by_number(number)
        assert ticket is not None
        store.events(ticket.id)

    questions: list[Callable[[], object]] = [
        lambda: store.find_tickets(limit=50), lambda: store.find_tickets(owner=crowd.owner, limit=50), show,
        lambda: store.search("printer down"), lambda: store.search(f"copy{crowd.count // 2}"),
    ]  # fmt: skip
    return [mail, *(statistics.median(_timed(question) for _ in range(5)) for question in questions)]


@dataclass(frozen=True, slots=True)
class Crowd:
    """An engine over many open requests.

    now      the instant at which those that are to be due are due
    first    number of the first; `owner` a member of staff who owns none
    """

    engine: Engine
    now: datetime
    file: Path
    count: int
    first: int
    owner: int


@contextmanager
def _crowd(folder: Path, settings: str, count: int, due: int) -> Iterator[Crowd]:
    """Yield an engine over `count` open requests, `due` of which are due at its `now`."""
    found = config.load(configured(folder, settings))
    store, pool = opening.open_store(found), ReaderPool(workers=1)
    engine = Engine(store, pool, Office(building.blueprint(found), store, BEGUN), "bench")
    try:
        envelope = Envelope(sender="someone.1@customer.example", recipients=("support@example.com",), ingress="smtp", arrived_at=BEGUN)
        store.put_many([(MAIL, envelope)])
        while engine.work(BEGUN):
            pass
        one = store.by_number(found.settings.first_number)
        wake = store.next_wake_at()
        assert one is not None
        assert wake is not None
        file = found.state / "rtmail.db"
        multiply(file, one.id, count, due=due, later=BEGUN + timedelta(days=3650), log=False, words=True)
        # The original is done with, so that only copies are due.
        engine.command(one.number, "Status: closed", "bench", BEGUN)
        owner = next(iter(engine.office.directory.people.values())).party
        yield Crowd(engine, wake, file, count, one.number, owner)
    finally:
        engine.close()
        pool.close()
        store.close()
        for left in found.state.glob("rtmail.db*"):
            left.unlink()


def _sweeps(engine: Engine, now: datetime) -> Iterator[float]:
    """Sweep until nothing is due; yield what each batch took, in seconds."""
    while True:
        begun = time.perf_counter()
        if not engine.sweep(now):
            return
        yield time.perf_counter() - begun


def _timed(job: Callable[[], object]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun
