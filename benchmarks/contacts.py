"""What a list of customers costs each mail: the engine's processor, with nobody on the list and with 10,000 contacts of 2,000 houses.

Half of the mails come from a contact on the list, so that terms and plans are looked up, and half from strangers.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from benchmarks.mails import mails
from benchmarks.started import configured
from rtmail import config
from rtmail.desk.people import Organisation
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.engine.reader import ReaderPool
from rtmail.mail.model import Envelope
from rtmail.ops import building, opening
from rtmail.store import Store

HOUSES, CONTACTS = 2_000, 5
MAILS, ROUNDS = 120, 5
BEGUN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def contacts(scratch: Path, settings: str) -> None:
    """Print the table; `settings` is the text of a rtmail.toml. The two are measured by turns, so that a busy moment hits both."""
    pool = ReaderPool(workers=1)
    engines = [_engine(scratch / f"contacts{houses}", settings, houses, pool) for houses in (0, HOUSES)]
    took: list[list[float]] = [[], []]
    for seed in range(ROUNDS):
        for at, engine in enumerate(engines):
            took[at].append(_per_mail(engine, seed))
    loaded = time.perf_counter()
    engines[1].store.customers()
    loaded = time.perf_counter() - loaded
    without, with_ = (statistics.median(one) * 1000 for one in took)
    for engine in engines:
        engine.close()
        engine.store.close()
    pool.close()
    print(f"a mail, the engine's processor: {without:.1f} ms without customers, {with_:.1f} ms with {HOUSES * CONTACTS:,} contacts of "
          f"{HOUSES:,} ({with_ / without:.2f}); the list is read in {loaded * 1000:.0f} ms, once for each import\n")


def _engine(folder: Path, settings: str, houses: int, pool: ReaderPool) -> Engine:
    found = config.load(configured(folder, settings))
    store: Store = opening.open_store(found)
    if houses:
        store.put_customers({f"house{n}": _house(n) for n in range(houses)}, BEGUN)
    return Engine(store, pool, Office(building.blueprint(found), store, BEGUN), "bench")


def _house(number: int) -> Organisation:
    domain = f"house{number}.example"
    return Organisation(f"house{number}", f"House {number}", (domain,), tuple(f"contact{n}@{domain}" for n in range(CONTACTS)))


def _per_mail(engine: Engine, seed: int) -> float:
    """Return the seconds of processor that the engine's thread takes for a mail."""
    batch = []
    for number, (_, sender, raw) in enumerate(islice(mails(seed), MAILS)):
        known = f"contact{number % CONTACTS}@house{(seed * MAILS + number) % HOUSES}.example"
        if number % 2:
            raw, sender = raw.replace(sender.encode(), known.encode()), known
        batch.append((raw, Envelope(sender=sender, recipients=("support@example.com",), ingress="smtp", arrived_at=BEGUN)))
    engine.store.put_many(batch)
    engine.pool.warm()
    begun = time.thread_time()
    while engine.work(BEGUN):
        pass
    return (time.thread_time() - begun) / MAILS
