"""rtmail under a systemd that lives, installed from its wheel as docs/systemd.md says, in a container of the test's."""

from __future__ import annotations

import errno
import json
import re
import smtplib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.daemon import CONFIG, parsed, wait_for
from tests.fakes.machine import Machine, brought, wheel_of_rtmail
from tests.test_systemd import HANGS

pytestmark = [pytest.mark.long, pytest.mark.servers]

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "systemd"
PAGE = (ROOT / "docs" / "systemd.md").read_text("utf-8")
TOML = "/etc/rtmail/rtmail.toml"
GOOD = CONFIG.format(
    name="Example", domain="example.com", site='state = "/var/lib/rtmail"', store="sqlite:///rtmail.db", port=2525,
    smtp="", ingress="", relay="maildir:sent", relay_keys="", caps="", policy="default",
)  # fmt: skip
MAIL = "From: bob{0}@acme.example\r\nTo: support@example.com\r\nSubject: Printer\r\nMessage-ID: <{0}@acme.example>\r\n\r\nIt burns.\r\n"
"""Each from somebody else: nobody is acknowledged to more than ten times a day."""
DROP_IN = "/etc/systemd/system/rtmail.service.d/test.conf"


def blocks(heading: str) -> list[str]:
    """Return the commands below a heading of the page."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section
    return re.findall(r"^```sh\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which the page's installation was pasted; nothing of rtmail is started."""
    folder = tmp_path_factory.mktemp("machine")
    wheel = wheel_of_rtmail(folder)
    with Machine(folder) as machine:
        brought(machine, wheel)
        machine.run(blocks("Install")[0], seconds=300)
        configure(machine, GOOD)
        yield machine


@pytest.fixture
def serving(machine: Machine) -> Iterator[Machine]:
    """The machine with socket and service running as shipped; what a test added is taken away again."""
    machine.run("systemctl start rtmail-smtp.socket rtmail.service")
    yield machine
    machine.run(f"rm -f {DROP_IN}; systemctl daemon-reload; systemctl stop rtmail-smtp.socket rtmail.service")
    configure(machine, GOOD)
    machine.run("systemctl reset-failed rtmail.service rtmail-smtp.socket", check=False)


def configure(machine: Machine, text: str) -> None:
    machine.path(TOML).write_text(text)


def drop_in(machine: Machine, text: str) -> None:
    path = machine.path(DROP_IN)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[Service]\n{text}\n")
    machine.run("systemctl daemon-reload")


def send(machine: Machine, number: int) -> None:
    """Hand a mail to port 25 of the machine."""

    def over() -> None:
        with smtplib.SMTP("127.0.0.1", 25, timeout=60) as client:
            client.sendmail(f"bob{number}@acme.example", ["support@example.com"], MAIL.format(number))

    machine.online(over)


def acknowledged(machine: Machine, number: int) -> bool:
    """Did Bob get the acknowledgement of his mail?"""
    mails = (path.read_bytes() for path in machine.path("/var/lib/rtmail/sent/new").glob("*"))
    mine = [parsed(raw) for raw in mails if b"bob%d@acme.example" % number in raw]
    return any(f"bob{number}@" in mail["To"] and f"<{number}@acme.example>" in str(mail["In-Reply-To"]) for mail in mine)


def rtmail(machine: Machine, words: str) -> str:
    return machine.run(f"runuser -u rtmail -- /opt/rtmail/bin/rtmail {words}")


def active(machine: Machine, unit: str = "rtmail.service") -> str:
    return machine.shown(unit, "ActiveState")


def process(machine: Machine) -> str:
    return machine.shown("rtmail", "MainPID")


# -- the road --------------------------------------------------------------------------------------------------------


def test_a_mail_at_port_25_starts_the_daemon_and_is_acknowledged(machine: Machine) -> None:
    assert rtmail(machine, "check").strip()
    machine.run("systemctl enable --now rtmail-smtp.socket")
    assert active(machine) == "inactive"
    send(machine, 1)
    assert active(machine) == "active"
    assert machine.shown("rtmail", "StatusText") == "takes mail at [::]:25"
    wait_for(partial(acknowledged, machine, 1), 60, "no acknowledgement")
    assert "request #1" in rtmail(machine, "ticket list").lower() or "#1" in rtmail(machine, "ticket list")
    machine.run(blocks("Install")[1])
    assert machine.run("systemctl is-enabled rtmail.service rtmail-smtp.socket").split() == ["enabled", "enabled"]


def test_the_units_on_the_machine_are_as_tight_as_the_page_says(serving: Machine) -> None:
    ran = serving.run("systemd-analyze security rtmail.service", check=False)
    level = re.search(r"Overall exposure level for rtmail.service: (\d\.\d)", ran)
    assert level, ran
    assert level[1] == re.search(r"^\| rtmail.service \| (.*) \|$", PAGE, re.MULTILINE)[1]  # type: ignore[index]
    assert serving.run("systemd-analyze verify rtmail.service rtmail-smtp.socket") == ""


def test_the_sandbox_holds(serving: Machine) -> None:
    pid = process(serving)
    status = dict(line.split(":\t", 1) for line in serving.run(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split()[0] == serving.run("id -u rtmail").strip()
    seen = f"nsenter --target {pid} --mount"
    for path in ("/etc/rtmail/x", "/srv/x", "/var/x"):
        assert "Read-only file system" in serving.run(f"{seen} touch {path}", check=False)
    # What may be executed is not read-only for root (systemd 252), but the daemon is not root.
    for path in ("/opt/rtmail/x", "/usr/x", "/usr/lib/x", "/usr/bin/x"):
        assert "Permission denied" in serving.run(f"{seen} runuser -u rtmail -- touch {path}", check=False)
    for place in ("/var/lib/rtmail", "/run/rtmail", "/tmp", "/var/tmp", "/dev/shm"):
        tried = f"umask 022; cp /bin/true {place}/x; {place}/x; echo ended with $?; rm {place}/x"
        assert "ended with 126" in serving.run(f"{seen} runuser -u rtmail -- sh -c '{tried}'"), f"{place} lets what was written be run"
    assert serving.run(f"{seen} ls /home /root", check=False).count("x") == 0
    assert serving.run("stat -c '%a %U' /var/lib/rtmail").split() == ["700", "rtmail"]
    # Its readers, the part that meets strangers' bytes, live in the same sandbox.
    send(serving, 10)
    wait_for(partial(acknowledged, serving, 10), 60)


# -- reload, credentials, journal ------------------------------------------------------------------------------------


def test_a_reload_takes_a_good_config_and_refuses_a_bad_one(serving: Machine) -> None:
    pid = process(serving)
    sales = '[queues.sales]\naddress = "sales@example.com"\ncomment_address = "sales-comment@example.com"\npolicy = "default"\n'
    configure(serving, f"{GOOD}\n{sales}")
    serving.run("systemctl reload rtmail")
    wait_for(lambda: "event=reloaded" in serving.journal("--lines 5"))
    configure(serving, GOOD.replace("[relay]", "[realy]"))
    serving.run("systemctl reload rtmail")
    wait_for(lambda: "the config before goes on" in serving.shown("rtmail", "StatusText"))
    assert re.search(r"rtmail\.toml:\d+: ", serving.shown("rtmail", "StatusText"))
    assert (process(serving), active(serving)) == (pid, "active")

    def ask() -> int:
        with smtplib.SMTP("127.0.0.1", 25, timeout=60) as client:
            client.ehlo("client.example")
            client.mail("bob@acme.example")
            return client.rcpt("sales@example.com")[0]

    assert serving.online(ask) == 250
    configure(serving, GOOD)
    serving.run("systemctl reload rtmail")
    wait_for(lambda: serving.shown("rtmail", "StatusText") == "takes mail at [::]:25")
    assert serving.online(ask) == 550


def test_passwords_come_from_credentials(serving: Machine) -> None:
    """A relay that wants a login: without the credential the config has a mistake, with the page's drop-in it works."""
    configure(serving, GOOD.replace('url = "maildir:sent"', 'url = "smtp://127.0.0.1:2626"\nuser = "rtmail"'))
    assert "has no password" in serving.run("systemctl restart rtmail || journalctl -u rtmail -o cat -n 20")
    serving.path("/root/credentials.conf").write_text((EXAMPLES / "credentials.conf").read_text())
    serving.run("systemctl reset-failed rtmail; systemctl start rtmail-smtp.socket")
    serving.run(blocks("Passwords")[0], stdin="hunter2\n")
    try:
        assert active(serving) == "active"
        assert "Permission denied" in serving.run("runuser -u rtmail -- cat /etc/rtmail/credentials/RELAY_PASSWORD", check=False)
        serving.path("/usr/local/sbin/rtmail").write_text((EXAMPLES / "rtmail").read_text())
        serving.path("/usr/local/sbin/rtmail").chmod(0o755)
        assert "has no password" in serving.run("runuser -u rtmail -- /opt/rtmail/bin/rtmail ticket list", check=False)
        assert "has no password" not in serving.run("rtmail ticket list")
        assert "hunter2" not in serving.journal()
        assert "hunter2" not in serving.run("systemctl show rtmail; systemctl status rtmail", check=False)
    finally:
        serving.run("rm -r /etc/systemd/system/rtmail.service.d /etc/rtmail/credentials; systemctl daemon-reload")


def test_the_journal_has_every_line_with_its_priority(serving: Machine) -> None:
    send(serving, 20)
    wait_for(partial(acknowledged, serving, 20), 60)
    configure(serving, GOOD.replace("[relay]", "[realy]"))
    serving.run("systemctl reload rtmail")
    wait_for(lambda: "event=broken_config" in serving.journal("--lines 5"))
    entries = [json.loads(line) for line in serving.run("journalctl -u rtmail -o json --no-pager -b").splitlines()]
    # Of the daemon and of its engine, since they started together.
    this = serving.shown("rtmail", "InvocationID")
    ours = [entry for entry in entries if entry.get("_SYSTEMD_INVOCATION_ID") == this and " event=" in str(entry["MESSAGE"])]
    by_level = {re.search(r"level=(\w+)", entry["MESSAGE"])[1]: entry["PRIORITY"] for entry in ours}  # type: ignore[index]
    assert by_level == {"info": "6", "error": "3"}
    assert all(entry["MESSAGE"].startswith("at=") for entry in ours)
    assert any(re.search(r"event=matched .*ticket=\d+", entry["MESSAGE"]) for entry in ours)
    worst = serving.run("journalctl -u rtmail -p err -o cat -b")
    assert "event=broken_config" in worst
    assert "level=info" not in worst


# -- ends and beginnings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", HANGS, ids=lambda part: part or "the event loop")
def test_the_watchdog_starts_again_what_hangs(serving: Machine, part: str) -> None:
    """R28. The drop-in is taken away while the daemon hangs: the next start is a sound one, and works off what waits."""
    drop_in(serving, f"Environment=RTMAIL_FAILPOINT={HANGS[part]}\nWatchdogSec=12")
    serving.run("systemctl restart rtmail")
    pid, before = process(serving), len(serving.journal())
    number = 100 + list(HANGS).index(part)
    late: threading.Thread | None = None
    if part == "the spool's writer":
        late = threading.Thread(target=_try_to_send, args=(serving, number))
        late.start()
    serving.run(f"rm {DROP_IN}; systemctl daemon-reload")
    begun = time.monotonic()
    wait_for(lambda: process(serving) not in (pid, "0") and active(serving) == "active", 90, "it was not started again")
    took = time.monotonic() - begun
    if late:
        late.join()
    # The journal takes what the dying process said from another socket than systemd's own words, and may be behind with it.
    stands = re.compile(r"failpoint\.py.*, line \d+ in _pass")
    wait_for(lambda: stands.search(serving.journal()[before:]), 30, "the log does not tell where it hung")
    told = serving.journal()[before:]
    if part:
        assert f'event=alarm what="stands still: {part}"' in told
    assert "rtmail.service: Failed with result 'watchdog'." in told
    assert took < 60
    send(serving, number)
    wait_for(partial(acknowledged, serving, number), 60, "it does not work after the restart")


def _try_to_send(machine: Machine, number: int) -> None:
    """What meets the hang is cut off, and so not answered; its sender comes again."""
    try:
        send(machine, number)
    except (smtplib.SMTPException, OSError):
        return
    raise AssertionError("answered by a daemon that hangs")


def test_a_stop_lets_a_mail_in_progress_end_and_the_port_stays_open(serving: Machine) -> None:
    def talk() -> tuple[int, float]:
        with closing(smtplib.SMTP("127.0.0.1", 25, timeout=60)) as client:
            client.ehlo("client.example")
            client.mail("bob200@acme.example")
            client.rcpt("support@example.com")
            client.putcmd("data")
            assert client.getreply()[0] == 354
            client.send(b"Subject: half\r\n")
            begun = time.monotonic()
            serving.run("systemctl stop --no-block rtmail.service")
            wait_for(lambda: active(serving) == "deactivating")
            client.send(b"Message-ID: <200@acme.example>\r\nFrom: bob200@acme.example\r\n\r\nother half\r\n.\r\n")
            code = client.getreply()[0]
            wait_for(lambda: active(serving) in ("inactive", "activating", "active"), 15)
            return code, time.monotonic() - begun

    code, took = serving.online(talk)
    assert code == 250
    assert took < 12
    assert serving.shown("rtmail", "Result") == "success"
    # Whoever comes now is let in by the socket, and wakes the daemon.
    send(serving, 201)
    for number in (200, 201):
        wait_for(partial(acknowledged, serving, number), 60)


def test_restarts_under_load_refuse_nobody_and_lose_nothing(serving: Machine) -> None:
    """R25 in short: ten restarts while three senders send. A new connection finds a daemon or waits for one; an old one hears 421."""
    accepted: list[int] = []
    trouble: list[Exception] = []
    ended = threading.Event()

    def pour(first: int) -> None:
        number = first
        while not ended.is_set():
            try:
                with closing(smtplib.SMTP("127.0.0.1", 25, timeout=60)) as client:
                    client.sendmail(f"bob{number}@acme.example", ["support@example.com"], MAIL.format(number))
                    accepted.append(number)
                    number += 10
            except smtplib.SMTPServerDisconnected:
                continue
            except (smtplib.SMTPException, OSError) as error:
                if "4.3.2 service is going down" not in str(error):
                    trouble.append(error)

    senders = [threading.Thread(target=serving.online, args=(partial(pour, 1000 + first),)) for first in range(3)]
    for sender in senders:
        sender.start()
    times = []
    try:
        for _ in range(10):
            before = len(accepted)
            wait_for(lambda n=before: len(accepted) > n + 3, 60)  # type: ignore[misc]
            begun = time.monotonic()
            # So many in a row would count as starts that fail.
            serving.run("systemctl reset-failed rtmail; systemctl restart rtmail")
            times.append(time.monotonic() - begun)
    finally:
        ended.set()
        for sender in senders:
            sender.join()
    assert not trouble
    assert max(times) < 20
    assert len(accepted) == len(set(accepted)) > 30
    wait_for(lambda: _sums(serving)["waiting"] == 0, 120)
    assert _sums(serving)["closes"]
    assert not set(accepted) - _known(serving), "mail that was answered 250 is not there"


def _sums(machine: Machine) -> dict[str, Any]:
    sums: dict[str, Any] = json.loads(rtmail(machine, "audit --json"))
    return sums


def _known(machine: Machine) -> set[int]:
    """Return the numbers of the mails that the store has seen."""
    with closing(sqlite3.connect(machine.path("/var/lib/rtmail/rtmail.db"))) as store:
        ids = [str(row[0]) for row in store.execute("SELECT message_id FROM seen")]
    return {int(found[1]) for found in (re.fullmatch(r"<(\d+)@acme\.example>", message_id) for message_id in ids) if found}


def test_a_broken_config_is_not_tried_again_until_it_is_mended(serving: Machine) -> None:
    """Nor does it come back for each sender who knocks: in the end the port is closed, which tells them to keep their mail."""
    configure(serving, GOOD.replace("[relay]", "[realy]"))
    serving.run("systemctl restart rtmail.service", check=False)
    wait_for(lambda: active(serving) == "failed")
    assert (serving.shown("rtmail", "ExecMainStatus"), serving.shown("rtmail", "NRestarts")) == ("78", "0")
    assert 'did you mean "relay"?' in serving.journal("--lines 10")

    def knock() -> bool:
        with socket.socket() as sender:
            sender.settimeout(2)
            return sender.connect_ex(("127.0.0.1", 25)) == errno.ECONNREFUSED

    wait_for(lambda: serving.online(knock), 60, "it is started for ever")
    assert active(serving, "rtmail-smtp.socket") == "failed"
    configure(serving, GOOD)
    serving.run(blocks("Reload and restart")[0])
    send(serving, 300)
    wait_for(partial(acknowledged, serving, 300), 60)


def test_lmtp_on_a_unix_socket_for_one_group(serving: Machine) -> None:
    serving.run("groupadd --system postfix")
    configure(serving, GOOD + '\n[ingress.lmtp]\nlisten = "127.0.0.1:2424"\n')
    serving.path("/etc/systemd/system/rtmail-lmtp.socket").write_text((EXAMPLES / "rtmail-lmtp.socket").read_text())
    try:
        serving.run("systemctl daemon-reload; systemctl stop rtmail; systemctl start rtmail-lmtp.socket rtmail.service")
        assert serving.shown("rtmail", "StatusText") == "takes mail at [::]:25, unix:/run/rtmail-lmtp.sock"
        assert serving.run("stat -c '%a %G' /run/rtmail-lmtp.sock").split() == ["660", "postfix"]
        talk = "LHLO x\r\nMAIL FROM:<bob400@acme.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n"
        script = (
            "import socket\n"
            "s = socket.socket(socket.AF_UNIX); s.connect('/run/rtmail-lmtp.sock'); f = s.makefile('rb')\n"
            f"s.sendall({talk!r}.encode())\n"
            "while not f.readline().startswith(b'354'): pass\n"
            f"s.sendall({MAIL.format(400) + chr(46) + chr(13) + chr(10)!r}.encode())\n"
            "print(f.readline().decode())\n"
        )
        assert serving.run("/opt/rtmail/bin/python -", stdin=script).startswith("250 ")
        wait_for(partial(acknowledged, serving, 400), 60)
    finally:
        serving.run("systemctl stop rtmail-lmtp.socket rtmail.service; rm /etc/systemd/system/rtmail-lmtp.socket; systemctl daemon-reload")


def test_nothing_else_listens(serving: Machine) -> None:
    """The sandboxed daemon opens no port of its own when systemd hands it one."""

    def knock() -> int:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", 2525))

    assert serving.online(knock) != 0
