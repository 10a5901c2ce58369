"""One, two and three daemons on one PostgreSQL: what another machine adds. Needs Debian's PostgreSQL, and root to hold daemons back.

A daemon on a machine of its own is played by one that the kernel gives a quarter of a core: so three of them, the database, the load
and the relay find room on two cores, and none takes from another what it would have to itself.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from benchmarks.started import CONFIG, acknowledged, configured, cpu_seconds, ended, load, read, server, serving, wait_for
from tests.fakes.daemon import free_port
from tests.fakes.family import family
from tests.fakes.postgres import Cluster, PostgresMissingError

COUNTS = (1, 2, 3)
WARMING = 2
"""Mails to each daemon before its time is taken: readers are started on demand, which is not what is measured."""
DELAY = 0.05
"""After so many seconds the relay answers to a mail."""
SHARE = 0.25
"""So much of a core a daemon has, its engine and readers included, where it is held back."""
PERIOD = 20_000
"""In microseconds: short, so that a daemon that used up its share stands still for 15 ms and not for 75."""


def nodes(scratch: Path, mails: int = 120) -> None:
    """Measure and print; `mails` is how many each daemon is given, held back, and four times as many where not."""
    try:
        cluster = Cluster("fsync = on", "shared_buffers = 128MB")
    except PostgresMissingError as error:
        print(f"machines: not measured, {error}\n")
        return
    print(f"one PostgreSQL, a relay that answers after {DELAY * 1000:.0f} ms; acknowledged, mails/s")
    print(f"{'daemons':<34}" + "".join(f"{count:>8}" for count in COUNTS) + "   of one")
    try:
        if _controller():
            _row("each a quarter of a core", scratch / "held", [cluster.database() for _ in COUNTS], mails, SHARE)
        else:
            print("  each a quarter of a core          not measured: it takes root and the kernel's cpu controller")
        urls = [cluster.database() for _ in COUNTS]
        before = _spent(cluster.pid)
        _row("sharing this machine's cores", scratch / "sharing", urls, 4 * mails, 0.0)
        kept = [count * (4 * mails + WARMING) for count in COUNTS]
        processor = (_spent(cluster.pid) - before) * 1000 / sum(kept)
        print(f"a mail, its acknowledgement and two notices: {processor:.1f} ms of the database's processor, {_cost(urls[0], kept[0])}\n")
    finally:
        cluster.close()


def _row(title: str, folder: Path, urls: Sequence[str], each: int, share: float) -> None:
    """Measure and print what one, two and three daemons do, each number of them on a database of its own."""
    rates = []
    for count, url in zip(COUNTS, urls, strict=True):
        place = folder / str(count)
        place.mkdir(parents=True)
        rates.append(_rate(place, url, count, each, share))
    row = "".join(f"{rate:>8.1f}" for rate in rates)
    print(f"  {title:<32}{row}   " + ", ".join(f"{rate / rates[0]:.2f}" for rate in rates[1:]), flush=True)


def _rate(folder: Path, url: str, count: int, each: int, share: float) -> float:
    """Return mails acknowledged a second by `count` daemons that get `each` mails apiece, from the first sent to the last answer."""
    sink = free_port()
    relay = [sys.executable, "-m", "benchmarks.sink", "--port", str(sink), "--out", str(folder / "sunk"), "--delay", str(DELAY)]
    key = secrets.token_hex(32)
    with contextlib.ExitStack() as running:
        running.enter_context(server(relay, sink, folder))
        ports = [running.enter_context(_daemon(folder / str(number), url, key, sink, share)) for number in range(count)]
        for number, port in enumerate(ports):
            ended(load(port, folder, connections=1, count=WARMING, seed=100 + number))
        wait_for(lambda: len(acknowledged(folder)) >= WARMING * count, 120, "no acknowledgement")
        begun = time.monotonic()
        loads = [load(port, folder, connections=5, count=each, seed=number) for number, port in enumerate(ports)]
        for one in loads:
            ended(one)
        wait_for(lambda: len(acknowledged(folder)) >= (each + WARMING) * count, 600, "not all mails were acknowledged")
        return each * count / (max(acknowledged(folder).values()) - begun)


def _spent(postmaster: int) -> float:
    """Return the seconds of the processor that a PostgreSQL server used, its sessions that have ended included."""
    ended_too = read(Path(f"/proc/{postmaster}/stat")).rpartition(")")[2].split()[13:15]
    return sum(map(cpu_seconds, family(postmaster))) + sum(map(int, ended_too)) / os.sysconf("SC_CLK_TCK")


def _cost(url: str, mails: int) -> str:
    """Say what each of `mails` left in the database at `url`."""
    with psycopg.connect(url, autocommit=True) as database:
        done = database.execute(
            "SELECT xact_commit, tup_inserted, tup_updated + tup_deleted FROM pg_stat_database "
            "WHERE datname = current_database()").fetchall()
        sizes = database.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "ORDER BY 2 DESC").fetchall()
    commits, added, changed = (count / mails for count in done[0])
    whole = sum(size for _, size in sizes) / mails / 1000
    largest = ", ".join(f"{name} {size / mails / 1000:.0f}" for name, size in sizes[:4])
    return f"{commits:.0f} commits, {added:.0f} rows added, {changed:.0f} changed, {whole:.0f} KB stored ({largest})"


@contextlib.contextmanager
def _daemon(folder: Path, url: str, key: str, sink: int, share: float) -> Iterator[int]:
    """Run a daemon on the store at `url`; yields its port."""
    port = free_port()
    file = configured(folder, CONFIG.format(port=port, sink=sink).replace("sqlite:///rtmail.db", url))
    dotenv = file.with_name(".env")
    dotenv.touch(0o600)
    dotenv.write_text(f"RTMAIL_SECRET_KEY={key}\n")
    with _held(f"rtmail-bench-{port}", share) as joined, server([*joined, *serving(file)], port, folder):
        yield port


@contextlib.contextmanager
def _held(name: str, share: float) -> Iterator[list[str]]:
    """Make a control group with so much of a core; yields the words before a command that put it and all below it there."""
    controller = _controller()
    if not share or controller is None:
        yield []
        return
    group = controller / name
    group.mkdir()
    quota = int(PERIOD * share)
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), 30, f"{name} did not empty")
        group.rmdir()


def _controller() -> Path | None:
    """Return where groups are made that the cpu controller holds back (version 1, or 2 with the controller on); None where we may not."""
    for place in (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")):
        control = place / "cgroup.subtree_control"
        if not os.access(place, os.W_OK) or not (place / "cgroup.procs").exists():
            continue
        if not control.exists() or "cpu" in control.read_text().split():
            return place
    return None
