"""Mailboxes on a real Dovecot: the road by IDLE, and no mail lost or doubled through kills, restarts, renumbering and cut lines."""

from __future__ import annotations

import itertools
import random
import signal
from collections import Counter
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.fakes.daemon import Running, parsed, plain, wait_for
from tests.fakes.dovecot import Dovecot
from tests.fakes.house import mail
from tests.fakes.proxy import Line
from tests.fakes.sink import Sink

pytestmark = pytest.mark.servers

BOX = "support@example.com"
PASSWORD = "b0x-secret"
ENVIRON = {"RTMAIL_IMAP_OFFICE_PASSWORD": PASSWORD}


def table(dovecot: Dovecot, *, port: int = 0, tls: str = "implicit", after: str = "flag", poll: str = "60s") -> str:
    return (f'[ingress.imap.office]\nhost = "127.0.0.1"\nport = {port or (dovecot.tls_port if tls == "implicit" else dovecot.port)}\n'
            f'tls = "{tls}"\nca_file = "{dovecot.ca_file}"\nuser = "{BOX}"\nafter = "{after}"\npoll = "{poll}"\n')


@pytest.mark.parametrize(("tls", "after"), [("implicit", "flag"), ("starttls", "move:Gelöst"), ("none", "delete")])
def test_a_mail_in_the_mailbox_becomes_a_request_and_is_acknowledged(tmp_path: Path, tls: str, after: str) -> None:
    # Ten minutes between two polls: what arrives is told by IDLE.
    with Dovecot({BOX: PASSWORD}) as dovecot, Sink() as sink:
        dovecot.append(BOX, [mail(subject="Waiting since before", message_id="<0@acme.example>")])
        with Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", ingress=table(dovecot, tls=tls, after=after, poll="10m"),
                     environ=ENVIRON) as daemon:
            came = sink.wait(3, 20)
            wait_for(lambda: "mailbox_connected" in daemon.told())
            dovecot.append(BOX, [mail()])
            came = sink.wait(6, 20)
            answers = [one for one in came if one.recipients == ("bob@acme.example",)]
            assert [str(parsed(one.raw)["Subject"]) for one in answers] == [
                "Re: [Example #1] Waiting since before", "Re: [Example #2] Printer down"]
            assert any("It is down." in plain(one.raw) for one in came if one.recipients == ("jane@staff.example",))
            if after == "flag":
                wait_for(lambda: dovecot.seen(BOX) == 2)
            else:
                wait_for(lambda: not dovecot.mails(BOX))
            if after.startswith("move"):
                assert len(dovecot.mails(BOX, "Gel&APY-st")) == 2
            assert "the sum closes" in daemon.cli("audit")
            assert daemon.stop() == 0
        assert len(sink.mails) == 6, "an unexpected mail was sent"


# endurance

SOON = 600.0
"""Seconds; after a renumbering a thousand mails are read again, and each is known again."""

POINTS = ("imap-fetched", "spool-after-commit", "imap-kept", "imap-noted", "imap-changed", "engine-leased", "engine-committed")


def customers_mail(n: int) -> bytes:
    """Return mail `n`; every seventh has no Message-ID."""
    return mail(sender=f"Customer {n} <c{n}@house{n}.example>", subject=f"Case {n}", text=f"It is number {n}.",
                message_id="" if n % 7 == 0 else f"<{n}@house{n}.example>")


def accepted(daemon: Running) -> int:
    return daemon.told().count("event=accepted ")


def visits(daemon: Running) -> int:
    return daemon.told().count("event=mailbox_connected ")


def endure(folder: Path, after: str, mails: int, kills: int, *, cut: bool) -> None:
    """Let a daemon take in `mails` from a mailbox while it is killed `kills` times and the server misbehaves in between.

    cut   also cut the line without a FIN
    """
    dice = random.Random(mails + kills)
    with Dovecot({BOX: PASSWORD}) as dovecot, Line(dovecot.tls_port) as line, ExitStack() as last:
        daemon = Running(folder, ingress=table(dovecot, port=line.port, after=after, poll="1s"), environ=ENVIRON, policy="default")
        last.push(daemon)
        numbers = iter(range(1, mails + 1))
        portion = -(-mails // (kills + 1))

        def feed() -> None:
            dovecot.append(BOX, [customers_mail(n) for n in itertools.islice(numbers, portion)])

        feed()
        points = itertools.cycle(POINTS)
        for kill in range(1, kills + 1):
            if kill % 2:
                # Killed by its own hand at a named step of the mails that are there.
                daemon.spawn(RTMAIL_FAILPOINT=f"{next(points)}:1:kill")
                feed()
                process = daemon.process
                assert process is not None
                wait_for(lambda process=process: process.poll() is not None, SOON, "it was not killed")  # type: ignore[misc]
                assert process.returncode == -signal.SIGKILL, daemon.told()[-3000:]
            else:
                # Killed from outside, somewhere in the middle of its work.
                daemon.spawn()
                feed()
                before, goal = accepted(daemon), dice.randint(0, portion)
                wait_for(lambda: accepted(daemon) > before + goal or _idle(dovecot, after), SOON)  # noqa: B023
                daemon.kill()
            if kill % 9 == 4:
                dovecot.stop()
                dovecot.renumber(BOX)
                dovecot.start()
            elif kill % 5 == 2:
                dovecot.stop()
                dovecot.start()
        connected = visits(daemon)
        daemon.spawn()
        wait_for(lambda: visits(daemon) > connected and _idle(dovecot, after), SOON, "the mailbox was not finished")
        if cut:
            # The line dies without a word; what arrives then is found by the poll, on a new line.
            connected = visits(daemon)
            assert line.freeze()
            feed()
            wait_for(lambda: visits(daemon) > connected, SOON, "the dead line was not noticed")
        dovecot.append(BOX, [customers_mail(n) for n in numbers])
        # Dovecot restarted under a daemon that lives.
        dovecot.stop()
        dovecot.start()
        wait_for(lambda: _idle(dovecot, after), SOON, "the mailbox was not finished")
        wait_for(lambda: "waiting   0" in daemon.cli("audit"), SOON, "the spool did not empty")

        subjects = Counter(str(ticket["subject"]) for ticket in daemon.tickets())
        assert subjects == Counter(f"Case {n}" for n in range(1, mails + 1)), "lost or doubled"
        if after == "flag":
            assert dovecot.seen(BOX) == mails
        else:
            assert dovecot.mails(BOX) == []
            moved = Counter(raw.split(b"Subject: ")[1].split(b"\n")[0] for raw in dovecot.mails(BOX, "Processed"))
            assert len(moved) == mails
            assert sum(moved.values()) == mails
        assert "the sum closes" in daemon.cli("audit")
        # Three kills may have met the same mail: nobody knows then that it was not the mail's fault.
        aside = [line for line in daemon.cli("quarantine", "list").splitlines() if "died while this mail was worked on" not in line]
        assert aside in (["none"], ["mail  arrived            from  why"]), aside
        assert daemon.stop() == 0


def _idle(dovecot: Dovecot, after: str) -> bool:
    """Tell whether every mail in the mailbox is dealt with."""
    return len(dovecot.mails(BOX)) == (dovecot.seen(BOX) if after == "flag" else 0)


@pytest.mark.parametrize(("after", "cut"), [("flag", False), ("move:Processed", True)])
def test_sixty_mails_and_six_kills(tmp_path: Path, after: str, cut: bool) -> None:
    endure(tmp_path, after, 60, 6, cut=cut)


@pytest.mark.long
@pytest.mark.parametrize("after", ["flag", "move:Processed"])
def test_a_thousand_mails_and_fifty_kills(tmp_path: Path, after: str) -> None:
    endure(tmp_path, after, 1000, 50, cut=True)


def test_of_a_mail_too_large_the_start_opens_one_request_over_kills_and_restarts(tmp_path: Path) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"], letter["Message-ID"] = "bob@acme.example", BOX, "Crash dump", "<1@acme.example>"
    letter.set_content("It crashed again.")
    letter.add_attachment(bytes(range(256)) * 4000, "application", "octet-stream", filename="dump.bin")
    with Dovecot({BOX: PASSWORD}) as dovecot, Sink() as sink:
        dovecot.append(BOX, [letter.as_bytes(), mail(message_id="<2@acme.example>")])
        relay = f"smtp://127.0.0.1:{sink.port}"
        daemon = Running(tmp_path, relay=relay, smtp='max_message = "300KB"', ingress=table(dovecot, poll="1s"), environ=ENVIRON)
        for point in ("imap-fetched:2:kill", "spool-after-commit:1:kill", "imap-kept:1:kill", "imap-changed:1:kill"):
            daemon.spawn(RTMAIL_FAILPOINT=point)
            process = daemon.process
            assert process is not None
            wait_for(lambda process=process: process.poll() is not None, 60, "it was not killed")  # type: ignore[misc]
        daemon.spawn()
        wait_for(lambda: dovecot.flagged(BOX) == 1 and dovecot.seen(BOX) == 1, 30)
        came = sink.wait(7, 30)
        assert sorted(str(ticket["subject"]) for ticket in daemon.tickets()) == ["Crash dump", "Printer down"]
        told = [plain(one.raw) for one in came if one.recipients == ("bob@acme.example",)]
        assert sum("we can take in 300 kB at most" in " ".join(text.split()) for text in told) == 1
        assert any("It crashed again." in plain(one.raw) for one in came if one.recipients == ("jane@staff.example",))
        assert letter.as_bytes() in [one.replace(b"\r\n", b"\n") for one in dovecot.mails(BOX)], "the mail stays as it is"
        assert "the sum closes" in daemon.cli("audit")
        assert daemon.stop() == 0
        assert len(sink.mails) == 7, "an unexpected mail was sent"
