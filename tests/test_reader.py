"""Readers: poison costs one mail, order is kept, nothing is left behind.

The poison is planted in the reader's own process by a pool that starts another main: a mail's subject says what befalls it.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.engine import reader as reader_module
from rtmail.engine import reading
from rtmail.engine.reader import ReaderPool, ReadFailed
from rtmail.mail.model import Envelope, Kind, Mail, Proof
from rtmail.mail.reading import message
from rtmail.mail.site import Site

SITE = Site("Example", "Example", "example.com", "ops@example.net")
ENVELOPE = Envelope("bob@acme.example", ("support@example.com",), "pipe", datetime(2026, 11, 2, tzinfo=UTC))
ROOT = Path(__file__).resolve().parent.parent

POISONED = """
import json, os, resource, signal, sys
sys.path[:] = json.loads(sys.argv[1])
from rtmail.engine import reading
read = reading.read
def poisoned(raw, envelope, site):
    what = raw.partition(b"Subject: ")[2].partition(b"\\r")[0]
    if what == b"kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == b"exit":
        os._exit(3)
    elif what == b"spin":
        while True:
            pass
    elif what == b"hang":
        signal.pause()
    elif what == b"eat":
        return b"x" * 10**9
    elif what == b"lie":
        return os.system
    elif what == b"limits":
        soft = [resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_CORE)]
        return read(raw.replace(b"limits", " ".join(map(str, soft)).encode()), envelope, site)
    elif what == b"environment":
        return read(raw.replace(b"environment", ",".join(sorted(os.environ)).encode()), envelope, site)
    return read(raw, envelope, site)
reading.read = poisoned
reading.main(json.loads(sys.argv[2]))
"""


def mail(subject: str, size: int = 0) -> tuple[bytes, Envelope]:
    return f"From: bob@acme.example\r\nSubject: {subject}\r\n\r\n".encode() + b"line\r\n" * (size // 6), ENVELOPE


def subjects(results: list[Mail | ReadFailed]) -> list[str]:
    return [f"!{result.reason}" if isinstance(result, ReadFailed) else result.subject for result in results]


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.01)


def alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def pool() -> Iterator[ReaderPool]:
    with ReaderPool() as pool:
        yield pool


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReaderPool]:
    monkeypatch.setattr(reader_module, "_START", POISONED)
    with ReaderPool(cpu_seconds=1, wall_seconds=10) as pool:
        yield pool


def test_a_mail_comes_back_as_read_here(pool: ReaderPool) -> None:
    raw, envelope = mail("Printer down", 600)
    assert pool.read(raw, envelope, SITE) == message.read(raw, envelope, SITE)


def test_every_composed_mail_crosses_the_border_unharmed(pool: ReaderPool) -> None:
    raws = [path.read_bytes() for path in sorted((ROOT / "tests" / "mails").glob("*.eml"))]
    results = pool.read_many([(raw, ENVELOPE) for raw in raws], SITE)
    assert results == [message.read(raw, ENVELOPE, SITE) for raw in raws]
    assert len(pool.processes) == 2


def test_no_mails_need_no_reader(pool: ReaderPool) -> None:
    assert pool.read_many([], SITE) == []
    assert pool.processes == ()


def test_a_changed_site_reaches_the_readers(pool: ReaderPool) -> None:
    raw, envelope = mail("[Other #7] hi")
    assert pool.read(raw, envelope, SITE).tags == ()
    assert pool.read(raw, envelope, Site("Other", "Other", "example.com", "ops@example.net")).tags == (7,)
    assert len(pool.processes) == 1


POISONS = {"kill": "crash", "exit": "crash", "spin": "timeout", "eat": "memory", "lie": "crash"}


@pytest.mark.parametrize(("what", "reason"), POISONS.items())
def test_poison_costs_one_mail(poisoned: ReaderPool, what: str, reason: str) -> None:
    order = ["a", "b", what, "c", "d", "e", "f"]
    wanted = [f"!{reason}" if name == what else name for name in order]
    assert subjects(poisoned.read_many([mail(name) for name in order], SITE)) == wanted
    with pytest.raises(ReadFailed, match=reason):
        poisoned.read(*mail(what), SITE)
    assert poisoned.read(*mail("next"), SITE).subject == "next"


def test_a_hanging_reader_is_stopped_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_START", POISONED)
    with ReaderPool(wall_seconds=1) as pool:
        assert subjects(pool.read_many([mail("hang"), mail("next")], SITE)) == ["!timeout", "next"]


def test_the_limits_stand_before_each_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_START", POISONED)
    with ReaderPool(memory_bytes=100_000_000, cpu_seconds=40) as pool:
        processor, data, core = map(int, pool.read(*mail("limits"), SITE).subject.split())
    assert 40 < processor < 80
    assert (data, core) == (100_000_000, 0)


def test_secrets_of_the_environment_stay_outside(poisoned: ReaderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTMAIL_SECRET_KEY", "secret")
    assert "RTMAIL_SECRET_KEY" not in poisoned.read(*mail("environment"), SITE).subject


def test_a_full_size_mail_fits_into_the_limit(pool: ReaderPool) -> None:
    raw, envelope = mail("large", 25 * 1024 * 1024 - 100)
    for _ in range(2):
        assert pool.read(raw, envelope, SITE).subject == "large"


def test_many_threads_share_two_readers(pool: ReaderPool) -> None:
    seen: list[int] = []
    results: dict[int, list[str]] = {}

    def use(number: int) -> None:
        results[number] = subjects(pool.read_many([mail(f"{number}-{index}") for index in range(20)], SITE))
        seen.append(len(pool.processes))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [f"{number}-{index}" for index in range(20)] for number in range(6)}
    assert max(seen) <= 2


def test_readers_are_replaced_after_so_many_mails() -> None:
    with ReaderPool(workers=1, mails_per_reader=3) as pool:
        used = set()
        for index in range(7):
            pool.read(*mail(str(index)), SITE)
            used |= set(pool.processes)
        assert subjects(pool.read_many([mail(str(index)) for index in range(7)], SITE)) == [str(index) for index in range(7)]
        assert not any(alive(pid) for pid in used - set(pool.processes))


def test_idle_readers_leave_and_come_again() -> None:
    with ReaderPool(idle_seconds=0.2) as pool:
        pool.read(*mail("one"), SITE)
        gone = pool.processes
        until(lambda: pool.processes == ())
        until(lambda: not any(alive(pid) for pid in gone))
        assert pool.read(*mail("two"), SITE).subject == "two"


def test_a_reader_that_was_killed_while_idle_is_replaced(pool: ReaderPool) -> None:
    pool.read(*mail("one"), SITE)
    (pid,) = pool.processes
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert pool.read(*mail("two"), SITE).subject == "two"


def test_close_leaves_no_process_thread_or_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    pool = ReaderPool()
    pool.read_many([mail(str(index)) for index in range(40)], SITE)
    pids = pool.processes
    pool.close()
    pool.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    with pytest.raises(RuntimeError, match="closed"):
        pool.read(*mail("late"), SITE)


def test_close_wakes_who_waits(poisoned: ReaderPool) -> None:
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            poisoned.read(*mail("hang"), SITE)
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: bool(poisoned.processes))
    poisoned.close()
    thread.join(30)
    assert len(failures) == 1


def test_readers_end_with_the_daemon_however_it_ends() -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.test_reader import ReaderPool, SITE, mail
pool = ReaderPool()
pool.read(*mail("one"), SITE)
print(*pool.processes, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    (pid,) = map(int, done.stdout.split())
    until(lambda: not alive(pid))


def test_the_daemon_imports_no_parser_with_the_pool() -> None:
    heavy = {"lxml", "mailparser", "inscriptis", "chardet", "flufl.bounce"}
    program = f"import sys, rtmail.engine.reader; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_a_mail_can_come_out_of_a_reader() -> None:
    for hostile in (os.system, subprocess.Popen, Envelope, eval):
        with pytest.raises(pickle.UnpicklingError, match="no part of a mail"):
            reader_module._Unpickler(io.BytesIO(pickle.dumps(hostile))).load()


def test_answers_are_understood_whatever_python_wrote_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's Python 3.11.2 pickles a member of an enum as `getattr(Kind, "name")`, which no answer may call."""
    for kind in (Kind, Proof):
        monkeypatch.setattr(kind, "__reduce_ex__", lambda member, _: (getattr, (type(member), member.name)))
    mail = message.read(b"From: bob@acme.example\r\nSubject: x\r\n\r\nhello\r\n", ENVELOPE, SITE)
    assert reader_module._Unpickler(io.BytesIO(reading.pickled(mail))).load() == mail
    with pytest.raises(pickle.UnpicklingError):
        reader_module._Unpickler(io.BytesIO(pickle.dumps(mail))).load()
