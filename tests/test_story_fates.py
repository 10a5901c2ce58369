"""Fates of what goes out, and other roads in, on the real daemon: refused answers, a dead relay, SMTP AUTH, PostgreSQL."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from rtmail.config import passwords
from tests.fakes.daemon import Running, free_port, parsed, plain, reply, wait_for
from tests.fakes.house import mail
from tests.fakes.sink import Sink, Taken
from tests.fakes.stores import cluster

BOB, JANE, KIM = "bob@acme.example", "jane@staff.example", "kim@staff.example"


def by(mails: list[Taken], recipient: str) -> list[Taken]:
    return [one for one in mails if one.recipients == (recipient,)]


def reply_address(raw: bytes) -> str:
    return str(parsed(raw)["Reply-To"].addresses[0].addr_spec)


def test_an_answer_that_the_relay_refuses_comes_back_to_its_author(tmp_path: Path) -> None:
    refused = {BOB: "550 5.1.1 no such user here"}
    with Sink(refuse=refused) as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        daemon.send(mail())
        notice = by(sink.wait(2), JANE)[0]
        daemon.send(
            reply(notice.raw, "Try again.", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>"),
            to=reply_address(notice.raw),
            sender=JANE,
        )
        # The refused acknowledgement comes back to the queue as well: this is about her words.
        (told,) = wait_for(
            lambda: [one for one in by(sink.mails, JANE)
                     if "Not delivered" in str(parsed(one.raw)["Subject"]) and "Try again." in plain(one.raw)],
            told="the author was not told",
        )
        assert BOB in plain(told.raw)
        assert "no such user here" in plain(told.raw)
        clocks = {(c["name"], c["generation"]): c["state"] for c in daemon.ticket(1)["clocks"]}
        assert clocks["first-response", 1] == "returned"
        assert clocks["first-response", 2] == "running"


def test_a_dead_relay_stops_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    with Running(tmp_path, relay=f"smtp://127.0.0.1:{port}") as daemon:
        for number in range(3):
            daemon.send(mail(message_id=f"<{number}@acme.example>", subject=f"Case {number}", text=f"Number {number} is down."))
        wait_for(lambda: len(daemon.tickets()) == 3, told="requests did not open while the relay was dead")
        assert len(daemon.cli("outbox", "list", "--json").splitlines()) == 9
        with Sink(port=port) as sink:
            sink.wait(9, 60)
            wait_for(lambda: daemon.cli("outbox", "list").strip() == "none")
            assert len(sink.mails) == 9


def test_a_colleague_who_logs_in_is_proven(tmp_path: Path) -> None:
    environ = {"RTMAIL_AUTH_JANE": passwords.make("correct horse")}
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", smtp="auth = true", environ=environ) as daemon:
        daemon.send(mail())
        notice = by(sink.wait(3), JANE)[0]
        answer = mail(
            sender=f"Jane Doe <{JANE}>",
            subject="Re: [Example #1] Printer down",
            text="Try again.",
            message_id="<j1@staff.example>",
            headers=f"In-Reply-To: {parsed(notice.raw)['Message-ID']}",
        )
        with smtplib.SMTP("127.0.0.1", daemon.port, timeout=30) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("jane", "wrong")
        with smtplib.SMTP("127.0.0.1", daemon.port, timeout=30) as client:
            client.login("jane", "correct horse")
            client.sendmail(JANE, ["support@example.com"], answer)
        wait_for(lambda: any("Try again." in plain(one.raw) for one in by(sink.mails, BOB)), told="the answer did not reach the customer")


@pytest.mark.servers
def test_the_main_road_on_postgresql(tmp_path: Path) -> None:
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", store=cluster().database()) as daemon:
        daemon.send(mail())
        notice = by(sink.wait(3), JANE)[0]
        daemon.send(
            reply(notice.raw, "Try again.", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>"),
            to=reply_address(notice.raw),
            sender=JANE,
        )
        answer = by(sink.wait(5), BOB)[1]
        assert "Try again." in plain(answer.raw)
        daemon.send(
            reply(answer.raw, "It works.", sender=f"Bob Roe <{BOB}>", message_id="<b2@acme.example>"), to=reply_address(answer.raw)
        )
        assert "It works." in plain(by(sink.wait(7), JANE)[1].raw)
        daemon.kill()
        daemon.start()
        assert daemon.ticket(1)["status"] == "open"
        assert "the sum closes" in daemon.cli("audit")
