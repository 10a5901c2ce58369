"""Promises 1, 2 and 5 under kill -9 at random moments: what was answered 250 is kept, opens one request and is acknowledged once.

The control says 250 before the commit; the same siege must see it lose mail, else it proves nothing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.daemon import wait_for
from tests.fakes.looking import rests, rows
from tests.fakes.nursery import Nursed, Nursery
from tests.fakes.senders import Ledger, Senders
from tests.fakes.sink import Sink

KILLS = int(os.environ.get("RTMAIL_KILLS", "200"))
"""A second each, most of it waiting; the variable is for those who want thousands."""
CONTROL_KILLS = 60
"""Tries that the control gets until it must have lost something; it usually takes one or two."""
BACKLOG = 100
"""Mails that wait for their acknowledgement while more are sent; else a slow machine would work off the load for minutes at the end."""
UNDER_WAY = 8
"""Outgoing mails at once, by the config's default: so many may have had their final dot and not yet their settlement."""
ENDED = (70, 75)
"""How a daemon ends by itself whose engine was killed: it says so, or, where it had not begun to listen, that it cannot start."""
KEPT = "SELECT r.sha256 FROM spool s JOIN raw r ON r.id = s.raw_id WHERE r.packed NOTNULL"
CAPS = "per_address = 1000000\noverall = 1000000"


class Siege:
    """A daemon under load that is killed again and again, and the ledger of what its customers were told."""

    def __init__(self, nursery: Nursery, folder: Path, sink: Sink, *, hasty: bool = False) -> None:
        self.folder, self.sink, self._hasty = folder, sink, hasty
        self.daemon = Nursed(nursery, folder / "house", hasty=hasty, relay=f"smtp://127.0.0.1:{sink.port}", caps=CAPS)
        self.ledger = Ledger()
        self.senders = Senders(self.daemon.port, self.ledger, self._wanted)
        self.random = random.Random(2026)
        self.kills = self.engines = 0

    def _wanted(self) -> bool:
        return self._hasty or len(self.ledger.acknowledged) - len(self.sink.mails) / 3 < BACKLOG

    def kill(self) -> None:
        """Start, kill at a random moment of the start or of full work, and look at what is on the disk."""
        self.daemon.spawn()
        if self.random.random() < 0.75:
            came = len(self.sink.mails)
            with suppress(AssertionError):  # nothing may be left to send
                self.sink.wait(came + 1, 3)
        threading.Event().wait(self.random.uniform(0.01, 0.4))
        told = self.ledger.snapshot()
        # In turn the daemon itself, of which its engine dies too, and the engine alone, of which the daemon ends by itself.
        engine = self.daemon.engine() if self.kills % 3 == 2 and not self._hasty else 0
        if engine:
            os.kill(engine, signal.SIGKILL)
            assert self.daemon.wait() in ENDED, self.daemon.told()[-3000:]
            self.engines += 1
        else:
            self.daemon.kill()
            assert self.daemon.wait() == -9, self.daemon.told()[-3000:]
        self.kills += 1
        self.lost = {posted.message_id for posted in told} - self._kept()

    def _kept(self) -> set[str]:
        """Message-IDs whose bytes are in the spool: read from a copy, so that the daemon itself meets the files as the kill left them."""
        source, copy = self.daemon.state / "rtmail.db", self.folder / "copy.db"
        if not source.exists():
            return set()
        for end in ("", "-wal"):
            (self.folder / f"copy.db{end}").unlink(missing_ok=True)
            if Path(f"{source}{end}").exists():
                shutil.copy(f"{source}{end}", f"{copy}{end}")
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'spool'").fetchall():
                return set()
            digests = {digest for (digest,) in database.execute(KEPT)}
        return {posted.message_id for posted in self.ledger.snapshot() if posted.digest in digests}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.daemon.state, query)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


def test_kill_9_loses_and_doubles_nothing(tmp_path: Path, nursery: Nursery) -> None:
    with Sink() as sink:
        siege = Siege(nursery, tmp_path, sink)
        siege.senders.start()
        try:
            for _ in range(KILLS):
                siege.kill()
                assert not siege.lost, f"after kill {siege.kills}: answered 250 and not on the disk"
            siege.daemon.start()
            siege.senders.finish()
            wait_for(lambda: rests(siege.daemon.state), 120, "mail waits for ever")
        finally:
            siege.senders.give_up()
            siege.daemon.kill()
        ledger = siege.ledger
        retried = sum(tries > 1 for tries in ledger.tries.values())
        assert len(ledger.acknowledged) > KILLS, "there was no load"
        assert KILLS < 50 or retried > 0, "no kill hit a mail on its way in"
        assert KILLS < 50 or siege.engines > 0, "no kill hit the engine alone"

        blamed = siege.rows("SELECT id FROM spool WHERE outcome = 'quarantined'")
        assert len(blamed) <= KILLS // 50, "a kill is no mail's fault; five at the same mail look like it, and nothing is lost by that"
        opened = Counter(message_id for (message_id,) in siege.rows("SELECT message_id FROM event WHERE kind = 'opened'"))
        assert opened == Counter(ledger.acknowledged.keys()), "lost or doubled"
        assert siege.rows("SELECT count(*) FROM ticket") == [(len(ledger.acknowledged),)]

        ids, bytes_of = defaultdict(set), defaultdict(set)
        for came in sink.mails:
            (recipient,) = came.recipients
            message_id = came.raw.split(b"Message-ID: ", 1)[1].split(b"\r\n", 1)[0]
            number = message_id.split(b"-")[1]
            ids[recipient, number].add(message_id)
            bytes_of[recipient, number].add(came.raw)
        assert all(len(one) == 1 for one in ids.values()), "a mail was sent again under another Message-ID"
        assert all(len(one) == 1 for one in bytes_of.values()), "a mail was sent again with other bytes"
        customers = Counter(recipient for recipient, _ in ids)
        assert customers == Counter({posted.sender: 1 for posted in ledger.acknowledged.values()} | dict.fromkeys(
            ("jane@staff.example", "kim@staff.example"), len(ledger.acknowledged)))
        repeated = len(sink.mails) - len(ids)
        assert repeated <= UNDER_WAY * KILLS, "only what was under way when a kill came may go out again"
        print(f"{siege.kills} kills, {len(ledger.acknowledged)} mails, {retried} of them tried again, {repeated} outgoing mails repeated")


def test_the_siege_sees_a_daemon_that_says_250_before_the_commit(tmp_path: Path, nursery: Nursery) -> None:
    with Sink() as sink:
        siege = Siege(nursery, tmp_path, sink, hasty=True)
        siege.senders.start()
        try:
            while siege.kills < CONTROL_KILLS:
                siege.kill()
                if siege.lost:
                    break
        finally:
            siege.senders.give_up()
            siege.daemon.kill()
        assert siege.lost, f"{siege.kills} kills did not show that mail is lost"
        print(f"the control lost {len(siege.lost)} mails by kill {siege.kills}")
