"""Two hundred clients with the largest mail that is allowed, at once: the service stays below the memory that its unit grants."""

from __future__ import annotations

import base64
import os
import platform
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rtmail import allocator
from tests.fakes.daemon import ROOT, Running, wait_for
from tests.fakes.looking import rows

MIB = 1024 * 1024
UNIT = (ROOT / "rtmail.service").read_text()
GRANTED = int(re.findall(r"(?m)^MemoryMax=(\d+)M$", UNIT)[0]) * MIB
ALLOCATOR = dict(re.findall(r"(MALLOC_\w+)=(\w+)", UNIT))
CLIENTS = 200
WORKED = 12
"""So many of the mails are waited for until they are requests; the others cost no more."""


def anonymous(pid: int) -> int:
    """Bytes of memory that a process and all its children hold and that no file backs: what a limit cannot take back.

    A page that they share since a fork counts once, as it does for the limit.
    """
    total = 0
    for child in [pid, *children(pid)]:
        with suppress(OSError):
            found = re.search(r"Pss_Anon:\s+(\d+) kB", Path(f"/proc/{child}/smaps_rollup").read_text())
            total += int(found[1]) * 1024 if found else 0
    return total


def children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += [int(child), *children(int(child))]
    return found


class Scales(threading.Thread):
    """Weighs a process and its children twenty times a second, until it is told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            self.most = max(self.most, anonymous(self.pid))


class Client:
    """One that speaks SMTP without waiting, driven by a selector: it sends a mail and remembers the last reply."""

    def __init__(self, port: int, number: int, body: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setblocking(False)
        head = (f"From: Client <client{number}@crowd{number}.example>\r\nTo: support@example.com\r\nSubject: Large {number}\r\n"
                f"Message-ID: <{number}@crowd.example>\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=big.bin\r\n"
                "Content-Disposition: attachment; filename=big.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n").encode()
        self.steps = [b"EHLO x\r\n", f"MAIL FROM:<client{number}@crowd{number}.example>\r\n".encode(),
                      b"RCPT TO:<support@example.com>\r\n", b"DATA\r\n", head, b"QUIT\r\n"]
        self.body, self.waits, self.replies = body, b"", [""]
        self.out: list[memoryview] = []

    def readable(self) -> bool:
        """Take what was said and go on; False at the end."""
        try:
            data = self.sock.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self.waits += data
        while b"\n" in self.waits:
            line, self.waits = self.waits.split(b"\n", 1)
            if line[3:4] == b"-":
                continue
            self.replies.append(line.decode().strip())
            if line.startswith(b"354"):
                self.out = [memoryview(self.steps.pop(0)), memoryview(self.body)]
            elif line.startswith(b"2") and self.steps:
                if len(self.steps) > 2 or self.replies[-1].startswith("250 2.0.0 kept"):
                    self.out.append(memoryview(self.steps.pop(0)))
            else:
                self.out.append(memoryview(b"QUIT\r\n"))
        return True

    def writable(self) -> None:
        with suppress(BlockingIOError):
            while self.out:
                sent = self.sock.send(self.out[0][: 256 * 1024])
                self.out[0] = self.out[0][sent:]
                if not self.out[0]:
                    self.out.pop(0)


def crowd(port: int, body: bytes, seconds: float) -> list[str]:
    """Let all clients send at once; return the last word that each heard about its mail."""
    watch = selectors.DefaultSelector()
    clients = [Client(port, number, body) for number in range(CLIENTS)]
    for one in clients:
        watch.register(one.sock, selectors.EVENT_READ, one)
    live, until = set(clients), time.monotonic() + seconds
    while live:
        assert time.monotonic() < until, f"{len(live)} clients are still there"
        for key, events in watch.select(1):
            one: Client = key.data
            if events & selectors.EVENT_READ and not one.readable():
                watch.unregister(one.sock)
                one.sock.close()
                live.discard(one)
                continue
            if events & selectors.EVENT_WRITE:
                with suppress(OSError):
                    one.writable()
            watch.modify(one.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if one.out else 0), one)
    return [next((said for said in reversed(one.replies) if not said.startswith("221")), "") for one in clients]


PROBE = """
import os, resource, sys
from rtmail import allocator
heard = allocator.give_back(os.environ)
kept = [bytearray(300_000) for _ in range(200)]
small = [bytes(5000) for _ in range(20_000)]
fence = bytes(5000)
del kept, small
pages = int(open("/proc/self/statm").read().split()[1])
print(heard, pages * resource.getpagesize() // 2**20)
"""


def left_over(**environ: str) -> tuple[str, int]:
    """Whether the allocator heard, and MiB of a process that let 160 go."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    ran = subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, env={**clean, **environ}, capture_output=True, text=True, check=True,
                         timeout=60)
    heard, left = ran.stdout.split()
    return heard, int(left)


def test_what_processes_share_counts_once() -> None:
    code = "import os, sys; held = b'1' * (64 << 20); os.fork(); os.write(1, b'ready\\n'); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert [parent.stdout.readline(), parent.stdout.readline()] == [b"ready\n"] * 2
        assert len(children(parent.pid)) == 1
        assert 64 * MIB < anonymous(parent.pid) < 100 * MIB
        parent.stdin.close()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_a_large_mail_needed_goes_back_at_once() -> None:
    heard, left = left_over()
    assert heard == "True"
    kept = left_over(MALLOC_MMAP_THRESHOLD_=str(1 << 25), MALLOC_TRIM_THRESHOLD_=str(1 << 30))
    assert kept[0] == "True", "what the environment says stays"
    assert left + 40 < kept[1]
    assert left_over(GLIBC_TUNABLES=f"glibc.malloc.mmap_threshold={1 << 25}:glibc.malloc.trim_threshold={1 << 30}")[1] > left + 40


def test_a_c_library_without_such_options_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert allocator.give_back({}) is False
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert allocator.give_back({}) is False


@pytest.mark.long
def test_two_hundred_clients_with_25_mb_each_fit_into_the_services_memory(tmp_path: Path) -> None:
    lines = base64.encodebytes(os.urandom(57 * 4096)).replace(b"\n", b"\r\n")
    body = lines * (25 * MIB // len(lines) - 1) + b".\r\n"
    with Running(tmp_path, environ=ALLOCATOR) as daemon:
        assert daemon.process is not None
        scales = Scales(daemon.process.pid)
        scales.start()
        said = crowd(daemon.port, body, 600)
        kept = sum(one.startswith("250 2.0.0 kept") for one in said)
        # Kept, or "not now": nobody is lost, and nobody hears anything that is final.
        assert [one for one in said if not one.startswith(("250 2.0.0 kept", "4"))] == []
        assert kept >= 20
        done = "SELECT count(*) FROM spool WHERE outcome = 'event'"
        wait_for(lambda: rows(daemon.state, done)[0][0] >= WORKED, 300, "mails wait")
        scales.ended.set()
        print(f"{kept} of {CLIENTS} kept at once, {scales.most // MIB} MiB at most of {GRANTED // MIB}")
        assert scales.most < GRANTED
        assert rows(daemon.state, "SELECT count(*) FROM spool") == [(kept,)]


def test_a_database_that_is_a_file_brings_no_driver_of_a_server_into_memory() -> None:
    """peewee and its migrations take it along where it is installed: 9 MB and a tenth of the time of a start."""
    code = "import sys, rtmail.daemon; print([name for name in sys.modules if name.partition('.')[0].startswith('psycopg')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"
