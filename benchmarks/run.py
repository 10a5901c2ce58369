"""Runs the floors and rtmail by turns on this machine and prints what each did, and the ratios.

python -m benchmarks.run [--seconds 10] [--scratch FOLDER] [--only PART] [--profile]

Nothing is asserted: the figures are for people. Compare ratios of one run, never figures of two machines.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus
from benchmarks.accepting import FLOOR, accept_table, floor
from benchmarks.contacts import contacts
from benchmarks.fresh import fresh
from benchmarks.moving import moving
from benchmarks.nodes import nodes
from benchmarks.outbound import outbound
from benchmarks.started import (
    CONFIG,
    ROOT,
    Memory,
    acknowledged,
    cpu_seconds,
    ended,
    load,
    logging_into,
    memory,
    read,
    rtmail,
    server,
    serving,
    wait_for,
)
from benchmarks.steps import steps
from benchmarks.ticks import ticks
from tests.fakes.daemon import free_port
from tests.fakes.family import family

FLOOR_SECONDS = 3.0
"""Before and after what is measured once: how fast the machine is just then."""
PARTS = ("accept", "steps", "road", "outbound", "import", "idle", "ticks", "nodes", "contacts", "corpus", "fresh")


def sent(folder: Path, seed: int) -> dict[str, float]:
    lines = (line.split() for line in (folder / f"accepted-{seed}").read_text().splitlines())
    return {message_id: float(at) for at, message_id in lines}


@dataclass(frozen=True, slots=True)
class Sustained:
    """Mails/s acknowledged and mails/s out; memory idle and at its height; the processor's time of each mail, in ms, by process."""

    acknowledged: float
    out: float
    idle: Memory
    height: Memory
    spent: dict[str, float]


def sustained(folder: Path, count: int, profile: str) -> Sustained:
    """Send `count` mails at once and wait for the acknowledgement of each."""
    with rtmail(folder, profile) as (port, process):
        ended(load(port, folder, connections=1, count=1, seed=9))  # readers are started on demand: not what is measured
        wait_for(lambda: len(acknowledged(folder)) >= 1, 120, "no acknowledgement")
        idle = height = memory(process.pid)
        spent = {one: cpu_seconds(one) for one in family(process.pid)}
        sending = load(port, folder, connections=10, count=count, seed=1)
        until = time.monotonic() + 600
        while len(acknowledged(folder)) <= count:
            if time.monotonic() > until:
                raise SystemExit("benchmark: not all mails were acknowledged within 600 s")
            height = max(height, memory(process.pid), key=lambda one: one.pss)
            time.sleep(0.2)
        begun, *_ = ended(sending)
        took = max(acknowledged(folder).values()) - begun
        wait_for(lambda: len((folder / "sunk").read_text().splitlines()) >= 3 * count + 3, 120, "not all notices went out")
        whole = [float(line.split()[0]) for line in (folder / "sunk").read_text().splitlines()[3:]]
        by_name: dict[str, float] = {}
        for one in family(process.pid):
            name = {process.pid: "daemon"}.get(one) or ("engine" if "engine" in read(Path(f"/proc/{one}/comm")) else "readers")
            by_name[name] = by_name.get(name, 0.0) + (cpu_seconds(one) - spent.get(one, 0.0)) * 1000 / count
        return Sustained(count / took, len(whole) / (max(whole) - begun), idle, height, by_name)


def latency(folder: Path, rate: float, seconds: float) -> tuple[float, float, float]:
    """Return p50, p99 and the longest of the seconds from 250 to the acknowledgement at the sink, at `rate` mails/s."""
    with rtmail(folder) as (port, _):
        ended(load(port, folder, connections=2, count=5, seed=1))  # readers are started on demand: not what is measured
        wait_for(lambda: len(acknowledged(folder)) >= 5, 120, "no acknowledgement")
        _, count, _ = ended(load(port, folder, connections=10, seconds=seconds, rate=rate, seed=2))
        wait_for(lambda: len(acknowledged(folder)) >= count + 5, 300, "not all mails were acknowledged")
        out = acknowledged(folder)
        lags = sorted(out[message_id] - at for message_id, at in sent(folder, 2).items())
        return lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 99 // 100)], lags[-1]


def sync_seconds(folder: Path) -> float:
    """Return what one synced write of 4 KB takes here, as a median: the floor under every durable commit."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(101):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    return sorted(took)[50]


def machine() -> str:
    processors = read(Path("/proc/cpuinfo")).splitlines()
    model = next((line.partition(":")[2].strip() for line in processors if line.startswith("model name")), "")
    return f"{os.cpu_count()} cores {model or platform.machine()}, Python {platform.python_version()}, Linux {platform.release()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--mails", type=int, default=1500, help="mails of the sustained measurement")
    parser.add_argument("--scratch", type=Path, help="folder on the disk to measure; default: the system's for temporary files")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--profile", default="", metavar="FILE", help="write a profile of the engine during the sustained measurement")
    given = parser.parse_args()
    if given.only in (None, "corpus"):
        others()
    if given.only == "corpus":
        return
    with tempfile.TemporaryDirectory(dir=given.scratch, prefix="rtmail-bench-") as made, logging_into(Path(made) / "log"):
        scratch = Path(made)
        print(f"{machine()}; load at the start {os.getloadavg()[0]:.1f}")
        print(f"a synced write of 4 KB takes {sync_seconds(scratch) * 1000:.2f} ms")
        print("mails: 70 % plain 2 KB, 25 % alternative 10 KB, 5 % with an attachment of 200 KB\n")
        if given.only in (None, "accept"):
            accept_table(scratch, given.seconds)
        if given.only in (None, "steps"):
            steps(scratch / "steps", CONFIG.format(port=free_port(), sink=free_port()))
        if given.only in (None, "road"):
            road(scratch, given.mails, given.seconds, given.profile)
        if given.only in (None, "outbound"):
            way_out(scratch / "outbound")
        if given.only in (None, "import"):
            moving(scratch / "moving", CONFIG.format(port=free_port(), sink=free_port()))
        if given.only in (None, "idle"):
            idle(scratch / "idle", given.seconds)
        if given.only == "fresh" or (given.only is None and os.geteuid() == 0):
            fresh(scratch)
        if given.only in (None, "ticks"):
            ticks(scratch, CONFIG.format(port=free_port(), sink=free_port()), starts)
        if given.only in (None, "nodes"):
            nodes(scratch)
        if given.only in (None, "contacts"):
            contacts(scratch, CONFIG.format(port=free_port(), sink=free_port()))


def others() -> None:
    """Print how other projects' mails are read, where a folder of them is named."""
    found = corpus.folder()
    if found is None:
        print(f"corpus: {corpus.VARIABLE} names no folder of other projects' mails\n")
    else:
        corpus.report(found)
        print()


def way_out(folder: Path, count: int = 3000) -> None:
    folder.mkdir()
    port = free_port()
    with server([sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--out", str(folder / "sunk")], port, folder):
        rate, cost = outbound(folder, CONFIG.format(port=free_port(), sink=port), count)
    print(f"outbound, {count} mails of 4 KB over reused connections: {rate:.0f} mails/s, {cost:.2f} ms of our processor a mail\n")


def idle(folder: Path, seconds: float) -> None:
    with rtmail(folder) as (_, process):
        time.sleep(2)
        whole = family(process.pid)
        before, begun, used = sum(map(cpu_seconds, whole)), time.monotonic(), memory(process.pid)
        time.sleep(max(seconds, 10.0))
        share = (sum(map(cpu_seconds, whole)) - before) / (time.monotonic() - begun)
    print(f"idle: {used.pss / 1e6:.0f} MB PSS in {used.processes} processes, {share * 100:.2f} % of a core\n")


def starts(folder: Path) -> float:
    """Return how long a daemon over the store in `folder` takes from its start until it is ready, as it tells systemd."""
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"{place}/notify")
        told.settimeout(120)
        begun = time.monotonic()
        with (folder / "log-start").open("wb") as log:
            process = subprocess.Popen(
                serving(folder / "config" / "rtmail.toml"),
                cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": f"{place}/notify"}, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            while b"READY=1" not in told.recv(4096):
                pass
            return time.monotonic() - begun
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def road(scratch: Path, count: int, seconds: float, profile: str) -> None:
    floors = [floor(FLOOR, scratch / "floor-before", 10, FLOOR_SECONDS)]
    found = sustained(scratch / "sustained", count, profile)
    floors.append(floor(FLOOR, scratch / "floor-after", 10, FLOOR_SECONDS))
    acks = found.acknowledged
    p50, p99, longest = latency(scratch / "latency", acks / 2, max(seconds, 10.0))
    print(f"mail in to its acknowledgement at the sink, {count} mails, two members of staff told of each")
    before, after = (one.rate for one in floors)
    print(f"  sustained: {acks:.1f} mails/s, {found.out:.1f} mails out/s; {acks * 2 / (before + after):.3f} of floor A around it", end="")
    print(f" ({before:.0f} and {after:.0f} mails/s accepted at 10 connections)")
    spent = ", ".join(f"{name} {cost:.1f}" for name, cost in found.spent.items())
    print(f"  processor, ms a mail: {spent}; together {sum(found.spent.values()):.1f}")
    lags = f"{p50 * 1000:.0f} ms p50, {p99 * 1000:.0f} ms p99, {longest * 1000:.0f} ms longest"
    print(f"  from 250 to the sink at {acks / 2:.0f} mails/s: {lags}\n")
    print(f"{'memory of daemon and readers, MB':<36}{'RSS':>9}{'PSS':>9}{'processes':>11}")
    for name, one in (("idle, with a reader", found.idle), ("under that load, at its height", found.height)):
        print(f"  {name:<34}{one.rss / 1e6:>9.0f}{one.pss / 1e6:>9.0f}{one.processes:>11}")


if __name__ == "__main__":
    main()
