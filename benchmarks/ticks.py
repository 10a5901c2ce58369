"""What a tick costs: with 1,000, 100,000 and 1,000,000 open requests, nothing due, and 100 due at once; and 1,000 due in one second.

Work must grow with what is due and never with what is open. The requests are copies of one that came in by mail.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.crowd import multiply
from rtmail import config
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.engine.reader import ReaderPool
from rtmail.mail.model import Envelope
from rtmail.ops import building

OPEN = (1_000, 100_000, 1_000_000)
DUE = 100
AT_ONCE = 1_000
BEGUN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MAIL = (
    b"From: Someone <someone.1@customer.example>\r\nTo: support@example.com\r\nSubject: Printer down\r\n"
    b"Message-ID: <1@customer.example>\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nIt is down.\r\n"
)


def ticks(scratch: Path, settings: str) -> None:
    """Print the table; `settings` is the text of a rtmail.toml."""
    print(f"{'a tick, ms':<44}{'idle':>9}{f'{DUE} due':>12}{'a due one':>12}{'store, MB':>12}")
    for count in OPEN:
        with _crowd(scratch / f"ticks{count}", settings, count, DUE) as (engine, now, file):
            idle = statistics.median(_timed(lambda: engine.sweep(now - timedelta(seconds=1))) for _ in range(50))
            took = list(_sweeps(engine, now))
            print(f"  {f'{count:,} open requests':<42}{idle * 1000:>9.2f}{sum(took) * 1000:>12.0f}{sum(took) / DUE * 1000:>12.1f}"
                  f"{file.stat().st_size / 1e6:>12.0f}", flush=True)
    with _crowd(scratch / "ticks-at-once", settings, AT_ONCE, AT_ONCE) as (engine, now, _):
        took = list(_sweeps(engine, now))
        late = [sum(took[: at + 1]) for at in range(len(took))]
        told = f"{AT_ONCE:,} due in one second: mails committed"
        print(f"  {told:<42}{late[len(late) // 2]:>9.1f} s later at the median, {late[-1]:.1f} s the last\n")


@contextmanager
def _crowd(folder: Path, settings: str, count: int, due: int) -> Iterator[tuple[Engine, datetime, Path]]:
    """Yield an engine over `count` open requests, the instant at which `due` of them are due, and the store's file."""
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "rtmail.toml").write_text(settings)
    found = config.load(folder / "config" / "rtmail.toml")
    store, pool = building.open_store(found), ReaderPool(workers=1)
    try:
        engine = Engine(store, pool, Office(building.blueprint(found), store, BEGUN), "bench")
        envelope = Envelope(sender="someone.1@customer.example", recipients=("support@example.com",), ingress="smtp", arrived_at=BEGUN)
        store.put_many([(MAIL, envelope)])
        while engine.work(BEGUN):
            pass
        one = store.by_number(found.settings.first_number)
        wake = store.next_wake_at()
        assert one is not None
        assert wake is not None
        file = found.state / "rtmail.db"
        multiply(file, one.id, count, due=due, later=BEGUN + timedelta(days=3650), log=False)
        # The original is done with, so that only copies are due.
        engine.command(one.number, "Status: closed", "bench", BEGUN)
        yield engine, wake, file
    finally:
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
