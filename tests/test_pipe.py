"""`receive` as an MTA sees it: its exit code, and the line that it prints first."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from rtmail.errors import ConfigError, Deferred, DiskFull, UnknownRecipient
from rtmail.ingress.pipe import receive, told, without_mbox_line
from rtmail.mail.model import Envelope

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MAIL = b"From: ann@customer.test\nSubject: hi\n\nwords\n"


@dataclass
class FakeSpool:
    fault: Exception | None = None
    full: Exception | None = None
    kept: list[tuple[bytes, Envelope]] = field(default_factory=list)

    def recipient(self, address: str) -> None:
        if address not in ("support@example.com", "sales@example.com"):
            raise UnknownRecipient(address)

    def room(self) -> None:
        if self.full:
            raise self.full

    def keep(self, raw: bytes, envelope: Envelope) -> int:
        if self.fault:
            raise self.fault
        self.kept.append((raw, envelope))
        return 71


def run(raw: bytes, *recipients: str, spool: FakeSpool | None = None, sender: str | None = None) -> tuple[int, str, FakeSpool]:
    spool = spool or FakeSpool()
    outcome = receive(io.BytesIO(raw), recipients, spool, limit_bytes=1000, max_hops=50, now=NOW, sender=sender)
    return outcome.exit_code, outcome.line, spool


def test_kept() -> None:
    code, line, spool = run(MAIL, "support@example.com", "sales@example.com", "support@example.com", sender="<ann@customer.test>")
    assert (code, line) == (0, "2.0.0 kept as 71")
    assert spool.kept == [(MAIL, Envelope("ann@customer.test", ("support@example.com", "sales@example.com"), "pipe", NOW))]


@pytest.mark.parametrize(("raw", "recipients", "spool", "code", "line"), [
    (MAIL, ("nobody@example.com",), FakeSpool(), 67, "5.1.1 <nobody@example.com>"),
    (MAIL, ("support@example.com", "nobody@example.com"), FakeSpool(), 67, "5.1.1 <nobody@example.com>"),
    (b"x" * 1001, ("support@example.com",), FakeSpool(), 65, "5.3.4 "),
    (b"Received: by a\n" * 51 + b"\n", ("support@example.com",), FakeSpool(), 65, "5.4.6 "),
    (MAIL, ("support@example.com",), FakeSpool(full=DiskFull()), 75, "4.3.1 "),
    (MAIL, ("support@example.com",), FakeSpool(fault=DiskFull()), 75, "4.3.1 "),
    (MAIL, ("support@example.com",), FakeSpool(fault=Deferred()), 75, "4.3.0 "),
    (MAIL, ("support@example.com",), FakeSpool(fault=OSError(5, "EIO")), 75, "4.3.0 temporary trouble"),
    (MAIL, ("support@example.com",), FakeSpool(fault=RecursionError("deep")), 75, "4.3.0 temporary trouble"),
    (MAIL, ("support@example.com",), FakeSpool(fault=ConfigError([])), 75, "4.3.0 temporary trouble"),
])
def test_exit_codes(raw: bytes, recipients: tuple[str, ...], spool: FakeSpool, code: int, line: str) -> None:
    got, said, spool = run(raw, *recipients, spool=spool)
    assert got == code
    assert said.startswith(line)
    assert spool.kept == []


def test_the_size_limit_is_exact_and_stdin_is_read_to_its_end() -> None:
    assert run(b"x" * 1000, "support@example.com")[0] == 0
    stdin = io.BytesIO(b"x" * 5_000_000)
    assert receive(stdin, ["support@example.com"], FakeSpool(), limit_bytes=1000, max_hops=50, now=NOW).exit_code == 65
    assert stdin.read() == b""


def test_stdin_that_fails_is_not_now() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "EIO")
    assert receive(Broken(), ["support@example.com"], FakeSpool(), limit_bytes=1000, max_hops=50, now=NOW).exit_code == 75  # type: ignore[arg-type]


@pytest.mark.parametrize(("raw", "sender"), [
    (MAIL, None),
    (b"From ann@customer.test  Mon Mar  2 09:00:00 2026\n" + MAIL, "ann@customer.test"),
    (b"From MAILER-DAEMON Mon Mar  2 09:00:00 2026\n" + MAIL, ""),
    (b"From ann@customer.test  Mon Mar  2 09:00:00 2026\nReturn-Path: <bounce@customer.test>\n" + MAIL, "bounce@customer.test"),
    (b"Return-Path: <>\r\n" + MAIL, ""),
    (b"return-path: <a@b.test>\n" + MAIL, "a@b.test"),
    (b"Return-Path: <MAILER-DAEMON>\n" + MAIL, ""),
    # Further down it is the sender's own, and says nothing.
    (b"Subject: x\nReturn-Path: <>\n\n", None),
])
def test_the_sender_that_the_mta_put_on_top(raw: bytes, sender: str | None) -> None:
    rest, found = without_mbox_line(raw)
    assert found == sender
    assert not rest.startswith(b"From ")
    assert raw.endswith(rest)
    assert run(raw, "support@example.com")[2].kept[0][1].sender == sender


@pytest.mark.parametrize(("given", "sender"), [
    ("ann@customer.test", "ann@customer.test"), ("<ann@customer.test>", "ann@customer.test"), ("", ""), ("<>", ""), ("MAILER-DAEMON", ""),
    ("mailer-daemon@customer.test", "mailer-daemon@customer.test"),
])
def test_the_sender_that_the_mta_gives(given: str, sender: str) -> None:
    assert run(MAIL, "support@example.com", sender=given)[2].kept[0][1].sender == sender


@pytest.mark.parametrize(("error", "code"), [
    (UnknownRecipient("x@y"), 67), (Deferred(), 75), (ConfigError([]), 75), (ImportError("peewee"), 75), (KeyboardInterrupt(), 75),
])
def test_what_an_mta_is_told_of_any_error(error: Exception, code: int) -> None:
    assert told(error).exit_code == code
