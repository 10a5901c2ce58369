"""The engine's process and the daemon: each ends with the other, the next start goes on at once, and a reload reaches both."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

from tests.fakes.daemon import Running, wait_for
from tests.fakes.looking import rests, rows
from tests.fakes.sink import Sink


def mail(number: int, queue: str = "support") -> bytes:
    """What a customer of his own writes."""
    head = f"From: bob{number}@acme.example\r\nTo: {queue}@example.com\r\nSubject: Line {number}\r\nMessage-ID: <{number}@acme.example>"
    return f"{head}\r\n\r\nLine {number} is down.\r\n".encode()


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_each_ends_with_the_other_and_the_next_start_goes_on(tmp_path: Path) -> None:
    with Sink() as sink:
        daemon = Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}")
        daemon.start()
        for number in (1, 2):
            engine = wait_for(daemon.engine)
            daemon.send(mail(number))
            if number == 1:
                os.kill(engine, signal.SIGKILL)
                assert daemon.process is not None
                assert daemon.process.wait(20) == 70
                assert "the engine's process ended by itself" in daemon.told()
            else:
                daemon.kill()
                wait_for(lambda: _gone(engine), 5, "the engine outlives its daemon")  # noqa: B023 -- at once
            daemon.start()
        wait_for(lambda: rests(daemon.state), 60, "mail waits for ever")
        assert rows(daemon.state, "SELECT count(*) FROM ticket") == [(2,)]
        assert rows(daemon.state, "SELECT outcome, count(*) FROM spool GROUP BY outcome") == [("event", 2)]
        assert daemon.stop() == 0
        assert {recipient for came in sink.mails for recipient in came.recipients} >= {"bob1@acme.example", "bob2@acme.example"}


def test_an_engine_whose_daemon_died_at_its_birth_does_not_outlive_it() -> None:
    """It kept the lock of the state folder, and no daemon could start any more."""
    born_late = "import os; from rtmail import partner; line, daemon = os.pipe(); os.close(daemon); partner._hang_on(line); print('lives')"
    ran = subprocess.run([sys.executable, "-c", born_late], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (-signal.SIGKILL, ""), ran.stderr


def test_an_engine_that_stands_still_is_killed_by_the_drain(tmp_path: Path) -> None:
    """What it had to do is done after the next start; where it was stopped with the turn to write, mail is put off until then."""
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        engine = wait_for(daemon.engine)
        os.kill(engine, signal.SIGSTOP)
        taken = True
        try:
            daemon.send(mail(1))
        except smtplib.SMTPDataError:
            taken = False
        assert daemon.stop(60) == 0
        assert _gone(engine)
        daemon.start()
        if not taken:
            daemon.send(mail(1))
        wait_for(lambda: rests(daemon.state) and len(sink.mails) >= 3, 60, "mail waits for ever")


def test_a_reload_reaches_both(tmp_path: Path) -> None:
    """The daemon takes mail for a new queue, and its engine knows it; a config that one of them cannot take changes neither."""
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        whole = daemon.config.read_text()
        queue = '\n[queues.sales]\naddress = "sales@example.com"\ncomment_address = "sales-comment@example.com"\npolicy = "default"\n'
        daemon.config.write_text(whole.replace("[people.jane]", f"{queue}\n[people.jane]"))
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "event=reloaded" in daemon.told(), 30, "no reload")
        daemon.send(mail(1, "sales"), to="sales@example.com")
        wait_for(lambda: rows(daemon.state, "SELECT queue FROM ticket") == [("sales",)], 30, "the engine knows no such queue")
