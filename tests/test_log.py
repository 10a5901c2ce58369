"""The log: one line of key=value, no signed details or words, and a reader that stands still stops nobody."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail import log
from rtmail.errors import Problem, Refused

DETAIL = "aebagbafaydqqcikbmga2dqpcairesnhhcjt"


@pytest.fixture(autouse=True)
def _nothing_of_before(capfd: pytest.CaptureFixture[str]) -> None:
    """What was logged before this test is written, and looked at by nobody."""
    assert log.flush(10)
    capfd.readouterr()


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    assert log.flush(10)
    return capfd.readouterr().err.splitlines()


def test_a_line_names_the_mail(capfd: pytest.CaptureFixture[str]) -> None:
    log.accepted(spool=71, ingress="smtp", peer="192.0.2.1", sender="a@x.com", recipients=("support@example.com",), size=2048)
    (line,) = lines(capfd)
    assert re.fullmatch(
        r"at=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info event=accepted spool=71 from=<a@x\.com> to=<support@example\.com>"
        r" ingress=smtp peer=192\.0\.2\.1 bytes=2048",
        line,
    )


def test_details_never_reach_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    log.accepted(spool=1, ingress="smtp", peer="", sender="", recipients=(f"support+{DETAIL}@example.com", "jane+tag@x.com"), size=1)
    log.sent(outbox=2, ticket=3, recipient=f"support-{DETAIL.upper()}@example.com", text=f"250 ok <s+{DETAIL}@x>")
    log.refused(ingress="smtp", peer="", sender="", recipient=f"ref:{DETAIL}", reply=f"550 {DETAIL}")
    log.failed(stage="x", error=Refused(550, "5.0.0", DETAIL))
    text = "\n".join(lines(capfd))
    assert DETAIL not in text.lower()
    assert "+tag" not in text
    assert "to=<support+…@example.com>,<jane+…@x.com>" in text
    assert "from=<>" in text


def test_a_line_stays_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    log.put_off(ingress="smtp", peer="", reply='451 4.3.0 "a"', why="a\r\nevent=accepted spool=9\x1b[2J\u2028\ud800")
    (line,) = lines(capfd)
    assert r'reply="451 4.3.0 \"a\""' in line
    assert line.index("event=put_off") < line.index("event=accepted")
    assert "\x1b" not in line


def test_a_failure_is_told_by_place_not_by_words(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("the customer's secret words")
    except ValueError as error:
        log.failed(stage="reader", error=error, spool=7)
    try:
        Path("/nowhere/at/all").read_text()
    except OSError as error:
        log.failed(stage="spool", error=error)
    first, second = lines(capfd)
    assert "secret" not in first
    assert "error=ValueError" in first
    assert "code_at=test_log.py:" in first
    assert 'text="No such file or directory"' in second


def test_every_function_writes_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    values = {
        "int": 5, "int | None": 5, "str": "word", "str | None": "word",
        "Sequence[str]": ("a@b.c",), "datetime": datetime(2026, 11, 22, tzinfo=UTC), "float": 0.5,
        "BaseException": ValueError("x"), "Sequence[Problem]": (Problem("f.toml", 3, "wrong", "mend"),), "bool": True,
    }  # fmt: skip
    called = 0
    log.set_up("text", "debug")
    for name, function in vars(log).items():
        if inspect.isfunction(function) and function.__module__ == "rtmail.log" and not name.startswith("_"):
            parameters = inspect.signature(function).parameters.values()
            if name not in ("dropped", "flush", "pass_on", "without_details", "set_up", "watch", "unwatch"):
                assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters), name
                function(**{parameter.name: values[parameter.annotation] for parameter in parameters})
                called += 1
                assert len(lines(capfd)) == 1, name
    log.set_up("text", "info")
    assert called > 25


BLOCKED = """
import sys
from rtmail import log
for number in range(30_000):
    log.accepted(spool=number, ingress="smtp", peer="", sender="a@b.c", recipients=("d@e.f",), size=1)
print("dropped" if log.dropped() else "nothing dropped", flush=True)
sys.stdin.readline()
log.relay_up()
log.flush(20)
"""


def test_a_blocked_reader_stops_nobody_and_lost_lines_are_counted() -> None:
    """R27: the reader of a full pipe stands still; the callers go on, and the loss is told when it reads again."""
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", BLOCKED], stderr=write, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    os.close(write)
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline().split() == ["dropped"]
    seen = bytearray()

    def drain() -> None:
        while b"event=log_lines_dropped" not in seen:
            chunk = os.read(read, 65536)
            assert chunk, "the process ended without telling its loss"
            seen.extend(chunk)

    drain()
    process.stdin.write("\n")
    process.stdin.close()
    while chunk := os.read(read, 65536):
        seen.extend(chunk)
    assert process.wait(20) == 0
    told = sum(int(count) for count in re.findall(rb"event=log_lines_dropped lines=(\d+)", seen))
    assert told + seen.count(b"event=accepted") == 30_000
    assert b"event=relay_up" in seen
    os.close(read)
    process.stdout.close()


def test_the_end_of_a_process_is_not_held_up_by_a_blocked_reader() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    code = "from rtmail import log; log.relay_up()"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=write)
    os.close(write)
    assert process.wait(20) == 0
    os.close(read)


def test_a_forked_child_logs_too(capfd: pytest.CaptureFixture[str]) -> None:
    log.relay_up()
    assert log.flush(10)
    child = os.fork()
    if child == 0:
        log.relay_down(text="451 4.3.0 in the child")
        log.flush(10)
        os._exit(0)
    deadline = time.monotonic() + 10
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [line.partition("event=")[2].split()[0] for line in lines(capfd)] == ["relay_up", "relay_down"]
