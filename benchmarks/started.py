"""What the measurements start and look at: servers and loads as processes of their own, a daemon with its sink, what they use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rtmail import log
from tests.fakes.daemon import free_port
from tests.fakes.family import family

ROOT = Path(__file__).resolve().parent.parent

CONFIG = """
[site]
name = "Example"
domain = "example.com"
admin = "ops@example.net"
[store]
url = "sqlite:///rtmail.db"
[ingress.smtp]
listen = "127.0.0.1:{port}"
[relay]
url = "smtp://127.0.0.1:{sink}"
[caps]
overall = 10000000
[queues.support]
address = "support@example.com"
comment_address = "support-comment@example.com"
[people.jane]
name = "Jane Doe"
email = "jane@example.net"
[people.carl]
name = "Carl Boss"
email = "carl@example.net"
rights = ["engineer", "manager"]
[roles.support-manager]
person = "carl"
[roles.director]
person = "carl"
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the daemon and its readers together, in bytes; PSS counts what they share once."""

    rss: int
    pss: int
    processes: int


def wait_for(what: Callable[[], bool], seconds: float, told: str) -> None:
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            raise SystemExit(f"benchmark: {told} within {seconds:.0f} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def server(words: list[str], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in `folder` until the block ends."""
    with (folder / f"log-{port}").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, 60, f"{words} did not listen")
        if process.poll() is not None:
            raise SystemExit(f"benchmark: {words} ended:\n{(folder / f'log-{port}').read_text()[-2000:]}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def logging_into(file: Path) -> Iterator[None]:
    """Let what this process and its children log go into `file` until the block ends; where the block fails, the end of it is shown.

    The lines are still made and written, as they are part of what a mail costs.
    """
    before = os.dup(2)
    try:
        with file.open("wb") as there:
            os.dup2(there.fileno(), 2)
        yield
    except Exception:
        log.flush()
        os.write(before, file.read_bytes()[-2000:])
        raise
    finally:
        log.flush()
        os.dup2(before, 2)
        os.close(before)


def load(
    port: int, folder: Path, *, connections: int, seed: int, count: int = 1 << 40, seconds: float = 1e9, rate: float = 0
) -> subprocess.Popen[str]:
    """Start the load on `port`; `ended` waits for it."""
    words = ["--port", port, "--connections", connections, "--seed", seed, "--count", count, "--seconds", seconds, "--rate", rate]
    out = ["--out", folder / f"accepted-{seed}"]
    return subprocess.Popen([sys.executable, "-m", "benchmarks.load", *map(str, words + out)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[float, int, float]:
    """Wait for a load; return (begun, accepted mails, seconds)."""
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit("benchmark: the load failed")
    begun, accepted, seconds = said.split()
    return float(begun), int(accepted), float(seconds)


def configured(folder: Path, settings: str) -> Path:
    """Write a config of these settings into the new folder `folder`; return its file."""
    file = folder / "config" / "rtmail.toml"
    file.parent.mkdir(parents=True)
    file.write_text(settings)
    return file


def serving(file: Path) -> list[str]:
    """Return the command of a daemon with this config."""
    return [sys.executable, "-m", "rtmail", "serve", "-c", str(file)]


@contextmanager
def rtmail(folder: Path, profile: str = "") -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a daemon with an empty store and a sink of its own; yields its port and process. The sink's notes are `sunk`."""
    port, sink = free_port(), free_port()
    daemon = serving(configured(folder, CONFIG.format(port=port, sink=sink)))
    if profile:
        daemon = [sys.executable, "-m", "benchmarks.profiled", profile, *daemon[3:]]
    with (
        server([sys.executable, "-m", "benchmarks.sink", "--port", str(sink), "--out", str(folder / "sunk")], sink, folder),
        server(daemon, port, folder) as process,
    ):
        yield port, process


def memory(process: int) -> Memory:
    """Return what `process` and all below it use."""
    found = family(process)
    lines = [line.split() for one in found for line in read(Path(f"/proc/{one}/smaps_rollup")).splitlines()]
    return Memory(
        rss=sum(int(line[1]) for line in lines if line[0] == "Rss:") * 1024,
        pss=sum(int(line[1]) for line in lines if line[0] == "Pss:") * 1024,
        processes=len(found),
    )


def read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def acknowledged(folder: Path) -> dict[str, float]:
    """Return Message-ID of a customer's mail -> instant at which its acknowledgement reached the sink."""
    found = {}
    for line in (folder / "sunk").read_text().splitlines():
        at, recipient, answered = line.split()
        if recipient.startswith("someone."):
            found[answered] = float(at)
    return found


def cpu_seconds(process: int) -> float:
    """Return what all threads of `process` used of the processor since it began."""
    fields = read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
