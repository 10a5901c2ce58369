"""What people wrote, what proves them, and what opens doors never stands in the log: tried on every road, with all libraries at DEBUG."""

from __future__ import annotations

import re
import smtplib
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from rtmail import log
from rtmail.config import passwords
from tests.fakes.daemon import Running, parsed, reply, wait_for
from tests.fakes.house import House, mail
from tests.fakes.imap import ImapServer
from tests.fakes.sink import Sink

LOUD = "import logging, sys; logging.basicConfig(level=logging.DEBUG); from rtmail.__main__ import main; sys.argv[0] = 'rtmail'; main()"
WORDS = {
    "subject": "Zwetschgenknoedel", "body": "Rindsroulade", "attachment": "Apfelstrudel", "comment": "Germknoedel",
    "relay password": "Powidltascherl", "mailbox password": "Kaiserschmarrn", "password of AUTH": "Salzburgernockerl",
    "wrong password": "Marillenfleck", "command's words": "Buchtelpfanne", "heartbeat": "Topfengolatsche",
}  # fmt: skip
DETAIL = re.compile(r"(?<![a-z0-9])[a-z2-7]{36}(?![a-z0-9])", re.IGNORECASE)
TABLES = """
[ingress.imap.office]
host = "127.0.0.1"
port = {port}
tls = "none"
user = "box"
poll = "1s"

[log]
format = "{form}"
level = "debug"

[web]
listen = "unix:{web}"
"""


def one(number: int, **changed: str) -> bytes:
    return mail(**{"subject": WORDS["subject"], "text": WORDS["body"], "message_id": f"<{number}@acme.example>", **changed})


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_words_no_subjects_no_secrets(tmp_path: Path, form: str) -> None:
    sink = Sink(users={"relay": WORDS["relay password"]}, refuse={"gone@acme.example": "550 5.1.1 who is that"})
    environ = {
        "RTMAIL_RELAY_PASSWORD": WORDS["relay password"], "RTMAIL_IMAP_OFFICE_PASSWORD": WORDS["mailbox password"],
        "RTMAIL_AUTH_JANE": passwords.make(WORDS["password of AUTH"]), "RTMAIL_HEARTBEAT_URL": f"http://127.0.0.1:1/{WORDS['heartbeat']}",
        "PYTHONASYNCIODEBUG": "1",
    }  # fmt: skip
    with sink, ImapServer(password=WORDS["mailbox password"]) as server:
        running = Running(
            tmp_path,
            relay=f"smtp://127.0.0.1:{sink.port}",
            relay_keys='user = "relay"',
            smtp='auth = true\nmax_message = "60KB"',
            ingress=TABLES.format(port=server.port, form=form, web=tmp_path / "web"),
            environ=environ,
        )
        with running.log.open("ab") as log:
            running.process = subprocess.Popen(
                [sys.executable, "-c", LOUD, "serve", "-c", str(running.config)],
                stderr=log,
                stdout=log,
                env=running.environ,
                cwd=running.folder,
            )
        try:
            running.wait_ready()
            roads(running, sink, server)
        finally:
            running.stop(60)
    said = running.told()
    for what in (
        "accepted",
        "refused",
        "matched",
        "held",
        "ignored",
        "bounced",
        "undeliverable",
        "sent",
        "auth_refused",
        "for_admin",
        "heartbeat_failed",
        "mailbox_connected",
    ):
        assert re.search(rf'event(=|": "){what}\b', said), f"the road to {what} was not taken"
    assert "DEBUG" in said, "libraries were not at DEBUG"
    for what, word in WORDS.items():
        assert word.lower() not in said.lower(), f"the {what} stands in the log"
    assert "6b" * 32 not in said
    assert not DETAIL.search(said), DETAIL.search(said)


def roads(running: Running, sink: Sink, server: ImapServer) -> None:
    """Every way that a mail can take, each with the words."""
    running.send(one(1))
    running.send(one(1))
    ours = wait_for(lambda: [taken for taken in sink.mails if taken.recipients == ("jane@staff.example",)])[0]
    to = parsed(ours.raw)["Reply-To"].addresses[0].addr_spec
    running.send(
        reply(ours.raw, WORDS["body"], sender="Jane Doe <jane@staff.example>", message_id="<2@staff.example>"), to, "jane@staff.example"
    )
    command = f"Status: resolved\n\n{WORDS['command' + chr(39) + 's words']}"
    running.send(reply(ours.raw, command, sender="Jane Doe <jane@staff.example>", message_id="<3@staff.example>"), to, "jane@staff.example")
    running.send(one(4, sender="Jane Doe <jane@staff.example>", to="support-comment@example.com"), "support-comment@example.com")
    running.send(one(5, sender="gone@acme.example"), sender="gone@acme.example")
    acknowledged = wait_for(lambda: [taken for taken in sink.mails if taken.recipients == ("bob@acme.example",)])[0]
    report = one(6, sender="MAILER-DAEMON@acme.example", headers="Auto-Submitted: auto-replied")
    running.send(report, acknowledged.sender, "")
    running.send(one(14), sender="")
    running.send(one(7, headers="Auto-Submitted: auto-replied"), sender="bob@acme.example")
    running.send(one(8, to="postmaster@example.com"), "postmaster@example.com")
    file = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\nFrom: bob@acme.example\r\nSubject: {0}\r\n\r\n"
        "--x\r\n\r\n{1}\r\n--x\r\n"
        'Content-Disposition: attachment; filename="{2}.txt"\r\n\r\n{2}\r\n--x--\r\n'
    )
    running.send(file.format(WORDS["subject"], WORDS["body"], WORDS["attachment"]).encode())
    server.append(one(9))
    for raw, recipient in ((one(10), "nobody@example.com"), (one(11) + WORDS["body"].encode() * 9000, "support@example.com")):
        with suppress(smtplib.SMTPException):
            running.send(raw, recipient)
    with smtplib.SMTP("127.0.0.1", running.port, timeout=60) as client:
        with suppress(smtplib.SMTPAuthenticationError):
            client.login("jane", WORDS["wrong password"])
        client.login("jane", WORDS["password of AUTH"])
        client.sendmail(
            "jane@staff.example", ["support-comment@example.com"], one(12, sender="Jane Doe <jane@staff.example>", text=WORDS["comment"])
        )
    running.cli("receive", "--to", "support@example.com", stdin=one(13))
    running.cli("ticket", "do", "1", f"comment\n\n{WORDS['comment']}", check=False)
    wait_for(lambda: running.cli("audit").splitlines()[1].split() == ["waiting", "0"], told="the mails were not worked off")
    wait_for(lambda: "event=undeliverable" in running.told() or '"undeliverable"' in running.told())
    wait_for(lambda: len(server.flagged()) == 1)


def test_what_a_failure_quotes_of_a_mail_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*words: object) -> None:
        raise ValueError(f"cannot make head or tail of {WORDS['body']!r}")

    with closing(House(tmp_path)) as house:
        monkeypatch.setattr("rtmail.engine.intake.Intake.take", fails)
        house.receive(one(1))
        for _ in range(3):
            house.forward(hours=1)
            house.settle()
        assert log.flush(30)
        said = capfd.readouterr().err
        assert "event=quarantined spool=1 why=ValueError" in said
        assert WORDS["body"] not in said
        (row,) = house.store.list_spool("quarantined")
        assert WORDS["body"] in row.reason
