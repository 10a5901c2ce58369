"""systemd over the daemon, as far as it can be shown without one: the units, readiness, signs of life, sockets handed over, stopping.

What a systemd that lives makes of it is in test_systemd_live.py.
"""

from __future__ import annotations

import os
import re
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import trustme

from rtmail import systemd
from rtmail.errors import EX_CONFIG
from tests.fakes.daemon import Running, free_port, wait_for
from tests.fakes.imap import ImapServer
from tests.fakes.needed import program

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "systemd"
SERVICE = ROOT / "rtmail.service"
SOCKETS = (ROOT / "rtmail-smtp.socket", EXAMPLES / "rtmail-lmtp.socket")
DROP_INS = sorted(EXAMPLES.glob("*.conf"))
MAIL = b"From: bob@acme.example\r\nTo: support@example.com\r\nSubject: Printer\r\nMessage-ID: <%d@acme.example>\r\n\r\nIt is on fire.\r\n"
INTERVAL = 20.0
"""Of the watchdog in these tests, seconds."""


# -- the units -------------------------------------------------------------------------------------------------------


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = program("systemd-analyze", "systemd")
    return subprocess.run([command, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def with_drop_in(folder: Path, *drop_ins: Path) -> Path:
    """Return rtmail.service with drop-ins appended, and an interpreter that is on this machine."""
    unit = folder / "rtmail.service"
    assert SERVICE.read_text().count("/opt/rtmail/bin/python") == 1
    text = SERVICE.read_text().replace("/opt/rtmail/bin/python", sys.executable)
    unit.write_text("\n".join([text, *(drop_in.read_text() for drop_in in drop_ins)]))
    return unit


@pytest.mark.parametrize("drop_in", [None, *DROP_INS], ids=lambda path: path.name if path else "as shipped")
def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path, drop_in: Path | None) -> None:
    units = [with_drop_in(tmp_path, *([drop_in] if drop_in else []))]
    for path in SOCKETS:
        units.append(tmp_path / path.name)
        units[-1].write_text(path.read_text())
    ran = analyze("verify", *units)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_misspelt_line_would_be_found(tmp_path: Path) -> None:
    unit = with_drop_in(tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in analyze("verify", unit).stderr


def exposure(unit: Path, threshold: int = 15) -> tuple[float, int]:
    ran = analyze("security", "--offline=true", f"--threshold={threshold}", unit)
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", ran.stdout)
    assert found, ran.stdout + ran.stderr
    return float(found[1]), ran.returncode


def test_the_sandbox_is_as_tight_as_the_page_says(tmp_path: Path) -> None:
    assert exposure(SERVICE) == (1.2, 0)
    assert exposure(with_drop_in(tmp_path, EXAMPLES / "credentials.conf")) == (1.2, 0)
    assert exposure(with_drop_in(tmp_path, EXAMPLES / "tight.conf")) == (1.0, 0)


@pytest.mark.parametrize("line", ["CapabilityBoundingSet=", "SystemCallFilter=", "RestrictNamespaces="])
def test_the_gate_fails_without_a_line_of_the_sandbox(tmp_path: Path, line: str) -> None:
    unit = with_drop_in(tmp_path)
    left = [one for one in unit.read_text().splitlines() if not one.startswith(line)]
    unit.write_text("\n".join(left))
    level, code = exposure(unit)
    assert level > 1.5
    assert code != 0


def test_the_units_fit_together() -> None:
    for path, name in zip(SOCKETS, ("smtp", "lmtp"), strict=True):
        text = path.read_text()
        assert f"FileDescriptorName={name}\n" in text
        assert "Service=rtmail.service\n" in text
        assert "Backlog=128\n" in text
    wheel = (ROOT / "pyproject.toml").read_text()
    for name in ("rtmail.service", "rtmail-smtp.socket"):
        assert f'"{name}" = "rtmail/_shipped/{name}"' in wheel


# -- judging progress ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "hangs"), [
    ([1, 2, 3, 4, 5, 6, 7], False),
    ([1, 1, 1, 1, 1, 1], True),
    ([1, 1, 1, 1, 1], False),
    ([1, 1, 1, 1, 1, 2], False),
    ([None] * 9, False),
    ([4, 4, 4, None, 4, 4, 4], False),
    ([None, 4, 4, 4, 4, 4, 4], True),
    ([(1.0, 1), (1.0, 2), (1.0, 3), (1.0, 4), (1.0, 5), (1.0, 6)], False),
])
def test_what_stands_still_hangs_and_what_is_idle_does_not(values: list[object], hangs: bool) -> None:
    coming = iter(values)
    watch = systemd.Watch({"part": lambda: next(coming), "other": time.monotonic}, patience=5)
    found = [watch.look() for _ in values]
    assert found[-1] == (["part"] if hangs else [])


# -- what is said ----------------------------------------------------------------------------------------------------


class Listening:
    """The manager's end of NOTIFY_SOCKET: what was said to it, as dicts, with the time of each."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.told: list[tuple[float, dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self._socket.settimeout(0.1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                text = self._socket.recv(65536).decode()
                self.told.append((time.monotonic(), dict(line.split("=", 1) for line in text.splitlines())))

    def last(self, name: str) -> str:
        """Return the newest value of a variable, "" when it was never said."""
        return next((said[name] for _, said in reversed(self.told) if name in said), "")

    def count(self, name: str, value: str) -> int:
        return sum(said.get(name) == value for _, said in self.told)

    def is_silent(self) -> bool:
        """Was nothing said for as long as the watchdog waits?"""
        return time.monotonic() - self.told[-1][0] > INTERVAL

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()


@contextmanager
def watched(folder: Path, *, place: str = "", failpoint: str = "") -> Iterator[tuple[Running, Listening]]:
    """A daemon with a manager's ear; it is killed at the end if it still runs."""
    folder.mkdir(exist_ok=True)
    with Listening(place or str(folder / "notify")) as manager:
        environ = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": str(int(INTERVAL * 1e6)), "RTMAIL_FAILPOINT": failpoint}
        daemon = Running(folder, environ=environ)
        daemon.spawn()
        try:
            wait_for(lambda: manager.count("READY", "1") or daemon._ended(), 30, "the daemon was not ready")
            assert not daemon._ended(), daemon.told()
            yield daemon, manager
        finally:
            if not daemon._ended():
                daemon.kill()


def test_ready_alive_and_stopping_are_told(tmp_path: Path) -> None:
    with watched(tmp_path, place=f"@rtmail-test-{os.getpid()}-{free_port()}") as (daemon, manager):
        (_, first), *_ = [one for one in manager.told if "READY" in one[1]]
        assert first["STATUS"] == f"takes mail at 127.0.0.1:{daemon.port}"
        daemon.send(MAIL % 1)
        wait_for(lambda: manager.count("WATCHDOG", "1") > 2)
        assert daemon.stop() == 0
        wait_for(lambda: manager.count("STOPPING", "1") == 1)
        assert manager.last("STATUS") == "draining"
        assert manager.count("READY", "1") == 1


def test_nobody_is_told_anything_where_nobody_listens(tmp_path: Path) -> None:
    """NOTIFY_SOCKET of an older start, or of a kind that is not ours to reach, must not hurt."""
    for place in (str(tmp_path / "gone"), "vsock:2:1234", ""):
        manager = systemd.Manager({"NOTIFY_SOCKET": place}, os.getpid())
        manager.ready("works")
        assert manager.watchdog_seconds == 0
    for environ, seconds in (({"WATCHDOG_USEC": "30000000"}, 30.0), ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0), ({}, 0.0)):
        assert systemd.Manager({"NOTIFY_SOCKET": "/run/x", **environ}, 4711).watchdog_seconds == seconds
    assert systemd.Manager({"WATCHDOG_USEC": "30000000"}, 4711).watchdog_seconds == 0


def test_a_status_is_one_line(tmp_path: Path) -> None:
    """Words of a relay's or of a config's must not add variables of their own."""
    with Listening(str(tmp_path / "notify")) as manager:
        systemd.Manager({"NOTIFY_SOCKET": manager.path}, 1).alive("the relay: 451\nMAINPID=1\r\nno")
        wait_for(lambda: manager.told)
        assert manager.told[0][1] == {"WATCHDOG": "1", "STATUS": "the relay: 451 MAINPID=1 no"}


BROKEN_TEMPLATES = {
    "the file is not UTF-8": "Your request\nMit freundlichen Grüßen".encode("latin-1"),
    "Unexpected end of template": b"Your request\n{% if number %}",
    "no fact is called 'nmuber'": b"Your request\nis #{{ nmuber }}",
}


def test_a_changed_config_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    with watched(tmp_path) as (daemon, manager):
        good = daemon.config.read_text()

        def reload(text: str, times: int) -> dict[str, str]:
            daemon.config.write_text(text, "utf-8")
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: manager.count("READY", "1") == times, told="the reload did not end")
            before, after = [said for _, said in manager.told if "RELOADING" in said or "READY" in said][-2:]
            assert before["RELOADING"] == "1"
            assert int(before["MONOTONIC_USEC"]) > 0
            return after

        broken = reload(good.replace('policy = "default"', 'policy = "defualt"'), 2)
        assert "the config before goes on" in broken["STATUS"]
        line = next(n for n, text in enumerate(good.splitlines(), 1) if text.startswith("policy"))
        assert f"rtmail.toml:{line}:" in broken["STATUS"]
        wait_for(lambda: "event=broken_config" in daemon.told())
        assert "old_config=kept" in daemon.told()
        daemon.send(MAIL % 1)
        extra = '[queues.sales]\naddress = "sales@example.com"\ncomment_address = "sales-comment@example.com"\npolicy = "default"\n'
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            daemon.send(MAIL % 2, to="sales@example.com")
        mended = reload(f"{good}\n{extra}", 3)
        assert mended["STATUS"] == f"takes mail at 127.0.0.1:{daemon.port}"
        daemon.send(MAIL % 2, to="sales@example.com")
        template = daemon.config.parent / "templates" / "acknowledgement.txt.j2"
        template.parent.mkdir()
        for times, (said, bad) in enumerate(BROKEN_TEMPLATES.items(), 4):
            template.write_bytes(bad)
            status = reload(f"{good}\n{extra}", times)["STATUS"]
            assert f"the config before goes on: {template}:2: {said}" in status
        template.unlink()
        (template.parent / f".#{template.name}").symlink_to("jane@desk.4711")
        assert "the config before" not in reload(f"{good}\n{extra}", 3 + len(BROKEN_TEMPLATES) + 1)["STATUS"], "an editor's lock is none"
        assert daemon.stop() == 0
        template.write_bytes(BROKEN_TEMPLATES["the file is not UTF-8"])
        daemon.spawn()
        assert daemon.process is not None
        assert daemon.process.wait(60) == EX_CONFIG


def test_a_certificate_that_cannot_be_shown_is_no_reload(tmp_path: Path) -> None:
    """Half written, or without its key: it was taken without a word, and the next start failed."""
    pem, other = tmp_path / "chain.pem", trustme.CA().issue_cert("mx.example.com").cert_chain_pems[0]
    good = trustme.CA().issue_cert("mx.example.com").private_key_and_cert_chain_pem.bytes()
    pem.write_bytes(good)
    running = Running(tmp_path / "house", smtp=f'tls_certificate = "{pem}"\ntls_key = "{tmp_path / "key.pem"}"')
    (tmp_path / "key.pem").write_bytes(good)
    with running:
        assert running.process is not None
        for times, bad in enumerate((good[: len(good) // 2], b"", other.bytes()), 1):
            pem.write_bytes(bad)
            running.process.send_signal(signal.SIGHUP)
            wait_for(lambda n=times: running.told().count("certificate and key cannot be used") == n, told="the reload said nothing")
        assert "event=reloaded" not in running.told()
        assert f"{pem}:1: certificate and key cannot be used" in failed(running, "check")
        pem.write_bytes(good)
        running.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "event=reloaded" in running.told(), told="the good one is not taken")


def test_a_place_for_figures_that_is_taken_ends_the_start_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = Running(tmp_path, ingress=f'[web]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
        said = failed(running, "serve")
    assert "rtmail: cannot start: " in said
    assert "address already in use" in said
    assert "Traceback" not in said


def failed(running: Running, *words: str) -> str:
    """Return what a command that must fail says."""
    command = [sys.executable, "-m", "rtmail", *words, "-c", str(running.config)]
    ran = subprocess.run(command, env=running.environ, cwd=running.folder, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode
    return ran.stderr


def test_a_reload_takes_other_mailboxes_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    with ImapServer() as server, watched(tmp_path) as (daemon, manager):
        good = daemon.config.read_text()

        def reload(text: str, told: str) -> None:
            daemon.config.write_text(text)
            assert daemon.process is not None
            ready = manager.count("READY", "1")
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: manager.count("READY", "1") > ready, told="the reload did not end")
            try:
                wait_for(lambda: told in manager.last("STATUS"))
            except AssertionError:
                raise AssertionError(f"not told: {told}; but: {manager.last('STATUS')}") from None

        mailbox = f'[ingress.imap.office]\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\nuser = "{server.user}"\n'
        daemon.config.with_name(".env").write_text("RTMAIL_IMAP_OFFICE_PASSWORD=wrong\n")
        daemon.config.with_name(".env").chmod(0o600)
        reload(good + mailbox, "mailbox office: no success yet, the server refused the login of box")
        # A password that is put right counts from the reload on, however long the pause after the wrong one.
        daemon.config.with_name(".env").write_text(f"RTMAIL_IMAP_OFFICE_PASSWORD={server.password}\n")
        reload(good + mailbox, "mailbox office: last success ")
        server.append(MAIL % 1)
        wait_for(lambda: daemon.tickets(), told="the mail in the new mailbox was not taken in")
        reload(good + mailbox + 'poll = "30s"\n', "mailbox office: last success ")
        daemon.config.with_name(".env").unlink()
        reload(good.replace('min_pause = "1s"', 'min_pause = "2s"').replace('"sqlite:///rtmail.db"', '"sqlite:///other.db"'),
               "a restart is needed for the changed [store], [relay]")
        wait_for(lambda: 'event=restart_needed changed="[store], [relay]"' in daemon.told(), told="the log does not say so")
        reload(good, f"takes mail at 127.0.0.1:{daemon.port}")
        wait_for(lambda: manager.last("STATUS") == f"takes mail at 127.0.0.1:{daemon.port}")
        assert daemon.stop() == 0


# -- the watchdog ----------------------------------------------------------------------------------------------------

HANGS = {
    "the engine": "engine-beat:3:hang",
    "the spool's writer": "spool-after-commit:1:hang",
    "the courier": "outbox-leased-before-commit:2:hang",
    "the database": "store-asked:2:hang",
    "": "outbox-leased:2:hang",
}
"""What hangs -> where; "" is the event loop, which cannot say so itself."""


def test_the_watchdog_is_fed_only_while_everything_gets_on(tmp_path: Path) -> None:
    """R28: whatever hangs, systemd hears no more of us within its interval. One more, whose database is locked, is alive (R8)."""
    with ExitStack() as stack:
        daemons = {}
        for number, (part, failpoint) in enumerate(HANGS.items()):
            daemons[part] = stack.enter_context(watched(tmp_path / str(number), failpoint=failpoint))
        busy, ear = stack.enter_context(watched(tmp_path / "busy"))
        lock = stack.enter_context(_locked(busy.state / "rtmail.db"))
        assert lock
        fed = ear.count("WATCHDOG", "1")
        with suppress(smtplib.SMTPException):
            daemons["the spool's writer"][0].send(MAIL % 1)
        for part, (daemon, manager) in daemons.items():
            if part:
                wait_for(partial(manager.count, "WATCHDOG", "trigger"), 3 * INTERVAL, f"{part} hangs unnoticed")
                assert manager.last("STATUS") == f"stands still: {part}", daemon.told()[-2000:]
                assert f'level=error event=alarm what="stands still: {part}"' in daemon.told()
            else:
                wait_for(manager.is_silent, 3 * INTERVAL, "the loop hangs, and yet it says that it is alive")
        said = {part: len(manager.told) for part, (_, manager) in daemons.items()}
        # Each look at a database that is locked takes as long as one waits for a lock, beside the pause between two looks.
        wait_for(lambda: ear.count("WATCHDOG", "1") > fed + 4, 8 * INTERVAL, "a locked database was taken for a hang")
        assert ear.count("WATCHDOG", "trigger") == 0
        assert said == {part: len(manager.told) for part, (_, manager) in daemons.items()}, "fed again after it was found hanging"
        # What systemd does next; the log then tells where each thread stood.
        hanging = daemons["the engine"][0]
        assert hanging.process is not None
        hanging.process.send_signal(signal.SIGABRT)
        assert hanging.process.wait(10) < 0
        assert re.search(r'failpoint\.py", line \d+ in _pass\n.*\n.*ticking\.py", line \d+ in _round\n', hanging.told())


@contextmanager
def _locked(database: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield connection
    finally:
        connection.rollback()
        connection.close()


# -- sockets ---------------------------------------------------------------------------------------------------------

LAUNCHER = """
import os, sys
count = int(sys.argv[1])
handed = [os.dup(int(n)) for n in sys.argv[2].split(",")]
for place, one in enumerate(handed):
    os.dup2(one, 3 + place)
    os.set_inheritable(3 + place, True)
os.closerange(3 + count, 3 + count + 64)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=sys.argv[3])
os.execv(sys.executable, [sys.executable, "-m", "rtmail", "serve", "-c", sys.argv[4]])
"""


class Handed(Running):
    """The daemon, started as systemd would with sockets that outlive it."""

    def __init__(self, folder: Path, sockets: list[tuple[str, socket.socket]], **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.sockets = sockets

    def spawn(self, **environ: str) -> None:
        numbers = [sock.fileno() for _, sock in self.sockets]
        names = ":".join(name for name, _ in self.sockets)
        command = [sys.executable, "-c", LAUNCHER, str(len(numbers)), ",".join(map(str, numbers)), names, str(self.config)]
        ours = {**self.environ, **environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=ours, cwd=self.folder, pass_fds=numbers)

    def start(self, **environ: str) -> None:
        seen = self.told().count("event=started")
        self.spawn(**environ)
        wait_for(lambda: self.told().count("event=started") > seen, 20, f"the daemon did not start:\n{self.told()[-3000:]}")


@pytest.fixture
def smtp_socket() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::1", 0))
        sock.listen(128)
        yield sock


LMTP = '[ingress.lmtp]\nlisten = "127.0.0.1:2424"'


def lmtp_socket(folder: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(folder / "lmtp"))
    sock.listen(128)
    return sock


def test_sockets_handed_over_are_served_in_place_of_the_configs(tmp_path: Path, smtp_socket: socket.socket) -> None:
    with lmtp_socket(tmp_path) as lmtp, Handed(tmp_path, [("smtp", smtp_socket), ("lmtp", lmtp)], ingress=LMTP) as daemon:
        assert f"listening=[::1]:{smtp_socket.getsockname()[1]},unix:{tmp_path}/lmtp" in daemon.told()
        assert not daemon._listens()
        with smtplib.SMTP("::1", smtp_socket.getsockname()[1], timeout=20) as client:
            client.sendmail("bob@acme.example", ["support@example.com"], MAIL % 1)
        with smtplib.LMTP(str(tmp_path / "lmtp")) as client:
            client.sendmail("bob@acme.example", ["support@example.com"], MAIL % 2)
        wait_for(lambda: len(daemon.tickets()) == 2)
        assert daemon.stop() == 0
    assert (tmp_path / "lmtp").exists(), "the socket is systemd's, and waits for the next start"


def test_a_restart_refuses_no_connection(tmp_path: Path, smtp_socket: socket.socket) -> None:
    """R25: who comes while nobody serves waits in the socket's queue; what was answered 250 is kept."""
    accepted: list[int] = []
    trouble: list[BaseException] = []
    ended = threading.Event()

    def send(first: int) -> None:
        number = first
        while not ended.is_set():
            try:
                with smtplib.SMTP("::1", smtp_socket.getsockname()[1], timeout=30) as client:
                    client.sendmail("bob@acme.example", ["support@example.com"], MAIL % number)
                accepted.append(number)
                number += 10
            except (smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException) as told:
                if isinstance(told, smtplib.SMTPResponseException) and told.smtp_code != 421:
                    trouble.append(told)
            except OSError as error:
                if isinstance(error, ConnectionRefusedError):
                    trouble.append(error)

    daemon = Handed(tmp_path, [("smtp", smtp_socket)])
    senders = [threading.Thread(target=send, args=(first,)) for first in range(3)]
    with daemon:
        for sender in senders:
            sender.start()
        try:
            for _ in range(3):
                before = len(accepted)
                wait_for(partial(_longer, accepted, before + 5))
                begun = time.monotonic()
                assert daemon.stop() == 0
                assert time.monotonic() - begun < 10
                daemon.start()
        finally:
            ended.set()
            for sender in senders:
                sender.join()
        assert not trouble
        assert len(accepted) == len(set(accepted)) > 15
        wait_for(lambda: _unseen(daemon, accepted) == set(), 30, "mail that was answered 250 is not there")


def _longer(some: list[int], than: int) -> bool:
    return len(some) > than


def _unseen(daemon: Running, accepted: list[int]) -> set[str]:
    with sqlite3.connect(daemon.state / "rtmail.db") as store:
        return {f"<{number}@acme.example>" for number in accepted} - {row[0] for row in store.execute("SELECT message_id FROM seen")}


@pytest.mark.parametrize(("name", "told"), [
    ("smtps", "a socket named 'smtps' is handed over"),
    ("", "a socket named '' is handed over"),
    ("lmtp", "there is no [ingress.lmtp]"),
])
def test_a_socket_that_nobody_would_serve_stops_the_start(tmp_path: Path, smtp_socket: socket.socket, name: str, told: str) -> None:
    daemon = Handed(tmp_path, [(name, smtp_socket)])
    daemon.spawn()
    assert daemon.process is not None
    assert daemon.process.wait(20) == 78
    assert told in daemon.told()
    assert "cure:" in daemon.told()


def test_lmtp_is_not_served_to_others_on_a_socket_handed_over(tmp_path: Path) -> None:
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen(1)
        daemon = Handed(tmp_path, [("lmtp", everywhere)], ingress=LMTP)
        daemon.spawn()
        assert daemon.process is not None
        assert daemon.process.wait(20) == 1
        assert "LMTP listens on loopback or a unix socket only, not on 0.0.0.0" in daemon.told()


def test_sockets_of_another_process_are_not_ours() -> None:
    assert systemd.handed_over({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, os.getpid()) == {}
    assert systemd.handed_over({}, os.getpid()) == {}


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_stop_under_load_is_short_and_loses_nothing(tmp_path: Path) -> None:
    with watched(tmp_path) as (daemon, _):
        accepted: list[int] = []

        def send(first: int) -> None:
            number = first
            with suppress(OSError), smtplib.SMTP("127.0.0.1", daemon.port, timeout=30) as client:
                while True:
                    client.sendmail("bob@acme.example", ["support@example.com"], MAIL % number)
                    accepted.append(number)
                    number += 10

        senders = [threading.Thread(target=send, args=(first,)) for first in range(4)]
        for sender in senders:
            sender.start()
        with closing(smtplib.SMTP("127.0.0.1", daemon.port, timeout=30)) as slow:
            slow.ehlo("client.example")
            slow.mail("bob@acme.example")
            slow.rcpt("support@example.com")
            slow.putcmd("data")
            assert slow.getreply()[0] == 354
            slow.send(b"Subject: half\r\n")
            wait_for(lambda: len(accepted) > 40)
            assert daemon.process is not None
            begun = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "event=draining" in daemon.told())
            slow.send(b"Message-ID: <999@acme.example>\r\n\r\nand the other half\r\n.\r\n")
            assert slow.getreply()[0] == 250
            accepted.append(999)
        assert daemon.process.wait(15) == 0
        assert time.monotonic() - begun < 10
        for sender in senders:
            sender.join()
        daemon.start()
        wait_for(lambda: _unseen(daemon, accepted) == set(), 60, "mail that was answered 250 is not there")
        assert daemon.stop() == 0


def test_a_broken_config_ends_with_78(tmp_path: Path) -> None:
    daemon = Running(tmp_path)
    daemon.config.write_text(daemon.config.read_text().replace("[relay]", "[realy]"))
    daemon.spawn()
    assert daemon.process is not None
    assert daemon.process.wait(20) == 78
    assert 'did you mean "relay"?' in daemon.told()


DISTRUST = """
import sys
from rtmail.__main__ import main
from rtmail.store import Store, StoreFailed

def failing(self, *words):
    self.failed = "SQLITE_IOERR_FSYNC"
    raise StoreFailed(self.failed)

Store.unreported = failing
sys.argv[1:] = ["serve", "-c", sys.argv[1]]
main()
"""


def test_a_database_that_cannot_be_trusted_ends_in_a_new_start(tmp_path: Path) -> None:
    """R5: the daemon stops by its own word then, and Restart=on-failure must see a failure."""
    assert "Restart=on-failure\n" in SERVICE.read_text()
    config = Running(tmp_path).config
    command = [sys.executable, "-c", DISTRUST, str(config)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert ran.returncode == 75
    assert 'event=alarm what="the database failed: SQLITE_IOERR_FSYNC"' in ran.stderr
    assert "event=stopped" in ran.stderr
    assert "rtmail: ended, for the database cannot be trusted: 451" in ran.stderr


# -- the journal -----------------------------------------------------------------------------------------------------

SPEAK = """
from rtmail import log
log.relay_up()
log.put_off(ingress="smtp", peer="", reply="451 4.3.0 later", why="x")
log.alarm(what="x", help="y")
log.flush(10)
"""


def test_lines_in_the_journal_begin_with_their_priority(tmp_path: Path) -> None:
    def speak(of: Callable[[os.stat_result], str]) -> list[str]:
        with (tmp_path / "stderr").open("w+b") as err:
            environ = {**os.environ, "JOURNAL_STREAM": of(os.fstat(err.fileno()))}
            subprocess.run([sys.executable, "-c", SPEAK], stderr=err, env=environ, check=True, timeout=30)
        return (tmp_path / "stderr").read_text().splitlines()

    lines = speak(lambda own: f"{own.st_dev}:{own.st_ino}")
    assert [line[:6] for line in lines] == ["<6>at=", "<4>at=", "<3>at="]
    assert [re.search(r"level=(\w+)", line)[1] for line in lines] == ["info", "warning", "error"]  # type: ignore[index]
    # Somebody redirected stderr: the variable speaks of another file.
    assert {line[:3] for line in speak(lambda own: f"{own.st_dev}:{own.st_ino + 1}")} == {"at="}
