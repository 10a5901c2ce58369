"""Cases about what lies outside: clocks, deadlines, names."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fakes.daemon import wait_for
from tests.fakes.dnszone import NameServer, Zone
from tests.fakes.nursery import Nursery
from torture import books
from torture.books import Sums
from torture.siege import Siege
from torture.told import Bench, Told


def clock_steps(bench: Bench) -> Told:
    """A daemon on a clock that is set to and fro under load; at last it goes forward past everything."""
    file = bench.folder / "clock"
    bench.folder.mkdir(exist_ok=True)
    file.write_text("+0")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    environ = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
    steps = ["+1h", "-1h", "+1d", "-40m", "+3d", "+0", "-2d"]
    bench.dice.shuffle(steps)
    with Nursery(environ) as nursery, Siege(nursery, bench.folder, bench.dice, disk=False) as siege:
        siege.spawn(siege.daemon)
        wait_for(siege.daemon._listens, 60)
        for number, step in enumerate(steps):
            siege.works(10)
            siege.post(1)
            _write(file, step)
            siege.say(f"clock {step}")
            threading.Event().wait(bench.dice.uniform(0.5, 2.5))
            if number % 3 == 2:
                siege.end(siege.daemon)
                siege.spawn(siege.daemon)
                wait_for(siege.daemon._listens, 60)
        _write(file, "+4d")
        sums = siege.home()
        _each_rung_once(siege.url, sums)
        return Told(Counter(R18=len(steps)), sums, log=siege.log)


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def _each_rung_once(url: str, sums: Sums) -> None:
    told = books.rows(url, "SELECT ticket_id, event, recipient FROM outbox WHERE template IN ('escalation', 'missed') "
                           "GROUP BY 1, 2, 3 HAVING count(*) > 1")
    sums.doubled += [f"a manager was told twice: {row}" for row in told]
    levels = books.rows(url, "SELECT ticket_id, recipient, count(*) FROM outbox WHERE template = 'escalation' GROUP BY 1, 2 "
                             "HAVING count(*) > (SELECT count(*) FROM rung r WHERE r.ticket_id = outbox.ticket_id)")
    sums.doubled += [f"more mails than rungs: {row}" for row in levels]


def down_over_deadlines(bench: Bench) -> Told:
    """Requests fall due while the daemon is down: each manager hears once of each, however many rungs were passed."""
    started = datetime.now(UTC)
    with Siege(bench.nursery, bench.folder, bench.dice, disk=False) as siege:
        wanted = bench.dice.randint(20, 60)
        siege.daemon.arguments = ("--clock-rate", "1.001", "--clock-from", started.isoformat(), "--clock-zero", str(time.time()))
        siege.spawn(siege.daemon)
        wait_for(lambda: len(siege.ledger.acknowledged) >= wanted, 90)
        siege.end(siege.daemon)
        later = started + timedelta(hours=bench.dice.choice((5, 30, 100)))
        before = len(siege.relay.came)
        siege.daemon.arguments = ("--clock-rate", "1.001", "--clock-from", later.isoformat(), "--clock-zero", str(time.time()))
        siege.spawn(siege.daemon)
        due = (f"SELECT count(*) FROM ticket WHERE opened_at < {int(started.timestamp() * 1e6) + 60_000_000} "
               f"AND wake_at <= {int(later.timestamp() * 1e6)}")
        wait_for(lambda: books.rows(siege.url, due) == [(0,)], 90, "what fell due was not done")
        sums = siege.home()
        _each_rung_once(siege.url, sums)
        managers = Counter(mail.recipient for mail in siege.relay.came[before:] if mail.recipient == "max@staff.example")
        opened = len(siege.ledger.acknowledged)
        if managers["max@staff.example"] > opened:
            sums.doubled.append(f"{managers['max@staff.example']} mails to a manager about {opened} requests")
        return Told(Counter(R19=opened), sums, f"{opened} requests, {managers['max@staff.example']} mails to the manager", siege.log)


def names_away(bench: Bench) -> Told:
    """A DNS that is silent or broken while senders are checked, and a relay whose name is not found: nothing bounces, nothing is lost."""
    silent = bench.dice.choice(((), ("*",)))
    with NameServer(Zone(away={"*"}), silent=silent) as server, Siege(bench.nursery, bench.folder, bench.dice, disk=False) as siege:
        config = siege.daemon.config
        good = config.read_text().replace("[auth]\n", f'[auth]\nown_checks = true\nnameservers = ["127.0.0.1:{server.port}"]\n')
        config.write_text(good.replace(f"smtp://127.0.0.1:{siege.relay.port}", "smtp://relay.nowhere.invalid:25"))
        siege.spawn(siege.daemon)
        wait_for(lambda: len(siege.ledger.acknowledged) >= 10, 90, "mail is not taken in while DNS is away")
        worked_off = "SELECT count(*) FROM spool WHERE outcome = ''"
        wait_for(lambda: books.rows(siege.url, worked_off) == [(0,)] or len(siege.ledger.acknowledged) > 30, 90)
        gone = books.rows(siege.url, "SELECT count(*) FROM outbox WHERE state NOT IN ('waiting', 'sent')")
        siege.end(siege.daemon)
        config.write_text(good)
        sums = siege.home()
        if gone != [(0,)]:
            sums.lost.append(f"{gone} mails were given up because a name was not found")
        return Told(Counter(R20=len(siege.ledger.acknowledged)), sums, log=siege.log)
