"""How fast mail goes out: an outbox full of notices, handed to a local relay by the courier as the daemon runs it."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.started import configured
from rtmail import config
from rtmail.egress.courier import Courier, Settings
from rtmail.ops import building, opening
from rtmail.store import OutboxItem, Store

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TEXT = b"The printer on the second floor answers nothing since this morning.\r\n" * 60


def outbound(folder: Path, settings: str, count: int) -> tuple[float, float]:
    """Return mails per second and this process's CPU ms per mail; `settings` is a rtmail.toml whose relay is a sink that listens."""
    found = config.load(configured(folder, settings))
    store = opening.open_store(found)
    try:
        for begin in range(0, count, 500):
            ids = store.reserve(min(500, count - begin))
            store.add_many([_notice(outbox_id) for outbox_id in ids], AT)
        return asyncio.run(_sent(store, found, count))
    finally:
        store.close()


async def _sent(store: Store, found: config.Config, count: int) -> tuple[float, float]:
    courier = Courier(store, building.make_relay(found), Settings(owner="bench", concurrency=found.relay.connections),
                      clock=lambda: AT, random=random.random)
    begun, used = time.monotonic(), time.process_time()
    working = asyncio.create_task(courier.run())
    while await asyncio.to_thread(store.outbox_depth):  # noqa: ASYNC110 -- the store tells nobody
        await asyncio.sleep(0.05)
    took, used = time.monotonic() - begun, time.process_time() - used
    await courier.drain(5)
    await working
    return count / took, used * 1000 / count


def _notice(outbox_id: int) -> OutboxItem:
    """Return a mail of 6 KB about a request of its own."""
    sender = f"support+{outbox_id:036}@example.com"
    head = f"From: support@example.com\r\nTo: jane@example.net\r\nSubject: Notice {outbox_id}\r\nMessage-ID: <{outbox_id}@x>\r\n\r\n"
    return OutboxItem(
        id=outbox_id, ticket=outbox_id, event=1, person=1, recipient="jane@example.net", envelope_sender=sender, raw=head.encode() + TEXT,
        message_id=f"<{outbox_id}@x>", template="notice", urgency=1, not_before=AT, expires_at=None, report=False,
    )  # fmt: skip
