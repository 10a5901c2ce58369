"""Where the processor's time of a mail goes, step by step: no waiting is counted, so other work on the machine changes little."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from benchmarks.mails import mails
from benchmarks.started import configured
from rtmail import config
from rtmail.engine import keeping
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.engine.reader import Job, ReaderPool, ReadFailed
from rtmail.engine.reading import pickled
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.reading.message import read
from rtmail.mail.site import Site
from rtmail.ops import building, opening
from rtmail.store.outbox import Sent

T = TypeVar("T")
AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
COMMIT = 20


class _Read(ReaderPool):
    """Hands out what was read before, so that reading is measured apart."""

    processes = (1,)

    def __init__(self, found: Sequence[Mail]) -> None:
        super().__init__()
        self._found = iter(found)

    def read_many(self, jobs: Sequence[Job], site: Site) -> list[Mail | ReadFailed]:
        return [next(self._found) for _ in jobs]


def steps(folder: Path, settings: str, count: int = 480) -> None:
    """Print the milliseconds of each step for a mail that opens a request, its acknowledgement and two notices included."""
    found = config.load(configured(folder, settings))
    store = opening.open_store(found)
    office = Office(building.blueprint(found), store, AT)
    jobs = [(raw, Envelope(sender=sender, recipients=("support@example.com",), ingress="smtp", arrived_at=AT))
            for _, sender, raw in islice(mails(3), count)]  # fmt: skip
    read(*jobs[0], office.site)  # libraries are imported on demand
    spent = {"kept: hashed, compressed, committed, 20 in a commit": 0.0}

    def timed(name: str, job: Callable[[], T]) -> T:
        begun = time.thread_time()
        done = job()
        spent[name] = spent.get(name, 0.0) + time.thread_time() - begun
        return done

    def keep() -> None:
        for begin in range(0, count, COMMIT):
            store.put_many(jobs[begin : begin + COMMIT])

    timed("kept: hashed, compressed, committed, 20 in a commit", keep)
    mails_read = timed("read, in a child", lambda: [read(raw, envelope, office.site) for raw, envelope in jobs])
    sent_over = timed("handed over by the child", lambda: [pickled(mail) for mail in mails_read])
    mails_read = timed("taken from the child", lambda: [pickle.loads(data) for data in sent_over])
    engine = Engine(store, _Read(mails_read), office, "bench")
    real = keeping.compose

    def composed(*words: object) -> object:
        return timed("of that: three mails composed and read back", lambda: real(*words))  # type: ignore[arg-type]

    def work() -> None:
        while engine.work(AT):
            pass

    keeping.compose = composed  # type: ignore[assignment]
    try:
        timed("judged, decided, composed, committed by the engine", work)
    finally:
        keeping.compose = real
        engine.close()

    def fates() -> None:
        while items := store.lease_outbox("bench", AT + timedelta(minutes=2), COMMIT, 60):
            store.settle_outbox_many([(item, Sent("250 ok")) for item in items], AT)

    timed("three mails leased and settled", fates)
    store.close()
    print(f"{'processor, ms a mail':<58}")
    for name, seconds in spent.items():
        print(f"  {name:<56}{seconds * 1000 / count:>8.2f}")
    print()
