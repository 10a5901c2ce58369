"""LMTP: one answer for each recipient, whatever happens, on loopback or a unix socket only."""

from __future__ import annotations

import grp
import os
import smtplib
import socket
import stat
from pathlib import Path

import pytest

from rtmail.errors import Deferred, Refused
from rtmail.ingress.smtp import Limits, Where
from tests.fakes.listening import House

MAIL = b"From: ann@customer.test\r\nSubject: hi\r\n\r\nwords\r\n"
BOTH = ("support@example.com", "sales@example.com")


@pytest.mark.parametrize(("fault", "content", "answers"), [
    (None, MAIL, [f"250 2.1.5 <{recipient}> kept as 1" for recipient in BOTH]),
    (ValueError("ours"), MAIL, ["451 4.3.0 temporary trouble, try again later"] * 2),
    (Deferred("busy", 452, "4.3.1"), MAIL, ["452 4.3.1 busy"] * 2),
    (Refused(554, "5.7.1", "no"), MAIL, ["554 5.7.1 no"] * 2),
    (None, b"words words\r\n" * 1000, ["552 5.3.4 message larger than 10000 bytes; send its files in several mails or as a link"] * 2),
    (None, b"x" * 5000 + b"\r\n", ["554 5.6.0 a line is longer than 1000 bytes"] * 2),
    (None, b"Received: by a\r\n" * 51 + b"\r\n", ["554 5.4.6 too many hops, this looks like a mail loop"] * 2),
])
def test_each_recipient_gets_an_answer(tmp_path: Path, fault: Exception | None, content: bytes, answers: list[str]) -> None:
    with House(tmp_path, kind="lmtp", limits=Limits(message_bytes=10_000, line_bytes=1000)) as house:
        house.acceptor.keeping = fault
        client = house.client()
        client.begin(*BOTH, verb="LHLO")
        client.send(content + b".\r\n")
        assert [client.reply() for _ in BOTH] == answers
        assert client.say("NOOP").startswith("250")


def test_only_accepted_recipients_are_answered(tmp_path: Path) -> None:
    with House(tmp_path, kind="lmtp") as house:
        client = house.client()
        client.hello("LHLO")
        client.say("MAIL FROM:<ann@customer.test>")
        assert client.say("RCPT TO:<nobody@example.com>").startswith("550 5.1.1")
        # The same one twice is asked twice, so it is answered twice; the envelope holds it once.
        for _ in range(2):
            assert client.say("RCPT TO:<support@example.com>").startswith("250")
        assert client.say("DATA").startswith("354")
        client.send(MAIL + b".\r\nNOOP\r\n")
        assert [client.reply()[:9] for _ in range(3)] == ["250 2.1.5", "250 2.1.5", "250 2.0.0"]
        (_, envelope), = house.acceptor.kept
        assert (envelope.recipients, envelope.ingress) == (("support@example.com",), "lmtp")


@pytest.mark.parametrize("greeting", ["EHLO client.test", "HELO client.test"])
def test_smtp_greetings_are_refused(tmp_path: Path, greeting: str) -> None:
    with House(tmp_path, kind="lmtp") as house:
        client = house.client()
        assert client.reply() == "220 mx.example.com LMTP"
        assert client.say(greeting).startswith("500 5.5.1")
        assert client.say("MAIL FROM:<a@b.test>").startswith("503 5.5.1")
        offer = client.say("LHLO client.test")
        assert "PIPELINING" in offer
        assert "ENHANCEDSTATUSCODES" in offer


def test_a_unix_socket_with_mode_and_group(tmp_path: Path) -> None:
    path, group = tmp_path / "lmtp.sock", grp.getgrgid(os.getgid()).gr_name
    with House(tmp_path, kind="lmtp", where=Where(path=str(path), mode=0o620, group=group)) as house:
        kind = path.stat()
        assert stat.S_ISSOCK(kind.st_mode)
        assert (stat.S_IMODE(kind.st_mode), kind.st_gid) == (0o620, os.getgid())
        with smtplib.LMTP(str(path)) as client:
            assert client.sendmail("ann@customer.test", BOTH[:1], MAIL) == {}
        (_, envelope), = house.acceptor.kept
        assert envelope.peer == ""
    assert not path.exists()


def test_a_dead_socket_is_cleared_away_a_live_one_is_not(tmp_path: Path) -> None:
    where = Where(path=str(tmp_path / "lmtp.sock"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(where.path)
    with House(tmp_path, kind="lmtp", where=where) as house:
        with pytest.raises(OSError, match="listens there already"), House(tmp_path, kind="lmtp", where=where):
            pass
        assert house.client().reply().startswith("220")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_not_for_the_world(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="loopback"), House(tmp_path, kind="lmtp", where=Where(host=host)):
        pass
