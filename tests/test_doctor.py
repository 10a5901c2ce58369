"""The doctor names rightly what is broken around a house, and finds nothing where nothing is."""

from __future__ import annotations

import errno
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from rtmail import config
from rtmail.engine.resolver import NoAnswer
from rtmail.mail.model import Envelope
from rtmail.mail.writing.dkim_sign import public_record
from rtmail.ops import opening
from rtmail.ops.doctor import Finding, Verdict, examine, house
from rtmail.store import Outcome, Pausable, Serving, Store
from tests.fakes.badmta import BadMta
from tests.fakes.daemon import Running, free_port, wait_for
from tests.fakes.house import mail
from tests.fakes.imap import ImapServer
from tests.fakes.signer import pem, rsa_key
from tests.fakes.sink import Sink

NOW = datetime.now(UTC)
GOOD_NAMES = {
    ("example.com", "MX"): ((10, "mx.example.com"),),
    ("example.com", "TXT"): ("v=spf1 mx -all", "other"),
    ("_dmarc.example.com", "TXT"): ("v=DMARC1; p=reject",),
}
IMAP = """
[ingress.imap.office]
host = "127.0.0.1"
port = {port}
tls = "{tls}"
user = "box"
after = "flag"
{more}
"""


class Zone:
    """DNS as a table; a name that is None there gives no answer."""

    def __init__(self, changed: Mapping[tuple[str, str], tuple[Any, ...] | None] | None = None) -> None:
        self._records: dict[tuple[str, str], tuple[Any, ...] | None] = {**GOOD_NAMES, **(changed or {})}

    def ask(self, name: str, kind: str, seconds: float) -> tuple[Any, ...]:
        found = self._records.get((name, kind), ())
        if found is None:
            raise NoAnswer(name)
        return found


def look(running: Running, zone: Zone | None = None, now: datetime | None = None, **secrets: str) -> dict[str, Finding]:
    found = config.load(running.config, {"RTMAIL_SECRET_KEY": "6b" * 32, "RTMAIL_IMAP_OFFICE_PASSWORD": "secret", **secrets})
    return {one.part: one for one in examine(found, now or datetime.now(UTC), zone or Zone())}


def store_of(running: Running) -> Store:
    return opening.open_store(config.load(running.config, {"RTMAIL_SECRET_KEY": "6b" * 32, "RTMAIL_IMAP_OFFICE_PASSWORD": "secret"}))


def signing(folder: Path, key: bytes) -> Running:
    """A house that signs its mail as now._domainkey.example.com."""
    running = Running(folder)
    (running.config.parent / "now.pem").write_bytes(key)
    (running.config.parent / "now.pem").chmod(0o600)
    running.config.write_text(running.config.read_text() + '\n[dkim.now]\nkey = "now.pem"\n')
    return running


def settled(running: Running) -> None:
    """A daemon works on it, and it was backed up."""
    digest = config.load(running.config, {"RTMAIL_SECRET_KEY": "6b" * 32, "RTMAIL_IMAP_OFFICE_PASSWORD": "secret"}).digest()
    with closing(store_of(running)) as store:
        store.speak(Serving("here:1", datetime.now(UTC), "0.1.0", digest))
        store.note_backup(datetime.now(UTC))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def test_nothing_is_found_where_nothing_is(tmp_path: Path, sink: Sink) -> None:
    with ImapServer() as server:
        running = Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", ingress=IMAP.format(port=server.port, tls="none", more=""))
        settled(running)
        found = look(running)
    assert {part: (str(one.verdict), one.said) for part, one in found.items() if one.verdict is not Verdict.OK} == {}
    assert {"state folder", "disk", "database", "clock", "mail in", "mail out", "daemon", "config", "pauses", "backup", "relay",
            "mailbox office", "MX of example.com", "SPF of example.com", "DMARC of example.com"} == set(found)
    assert sink.mails == [], "it sends no mail"
    assert all(not command.startswith("UID") for command in server.commands), "it touches no mail"


# -- the house ------------------------------------------------------------------------------------------------------


def full_disk(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def little(path: Any) -> Any:
        found = real(path)
        return type("Little", (), {"f_bavail": 10, "f_frsize": 4096, "f_files": found.f_files, "f_favail": found.f_favail})()

    monkeypatch.setattr(house.os, "statvfs", little)


def no_inodes(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.os, "statvfs", lambda path: type("Few", (), {
        "f_bavail": 10**9, "f_frsize": 4096, "f_files": 1000, "f_favail": 3})())


def open_folder(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.state.chmod(0o755)


def open_key(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    (running.state / "secret.key").write_text("6b" * 32)
    (running.state / "secret.key").chmod(0o644)


def damaged(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    (running.state / "rtmail.db").write_bytes(b"rubbish" * 5000)


def newer(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        store.run(lambda: store._do("INSERT INTO schema_migration (name, applied) SELECT '9999_future', applied FROM schema_migration "
                                    "LIMIT 1"))


def clock_back(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        store.put_many([(mail(), Envelope("b@acme.example", ("support@example.com",), "smtp", datetime.now(UTC) + timedelta(hours=3)))])


def mail_waits(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        store.put_many([(mail(), Envelope("b@acme.example", ("support@example.com",), "smtp", datetime.now(UTC) - timedelta(hours=3)))])


def no_key(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    (running.state / "secret.key").write_bytes(b"\xff\x00")
    (running.state / "secret.key").chmod(0o600)
    monkeypatch.setattr(config.Config, "key_given", property(lambda _: False))


def made_by_root(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def closed(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("rtmail.db"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", closed)


def silent(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        (one,) = store.serving()
        store.speak(Serving(one.owner, one.at - timedelta(hours=2), one.version, one.config))


def drifted(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.config.write_text(running.config.read_text() + "\n# changed\n")


def upgraded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        (one,) = store.serving()
        store.speak(Serving(one.owner, one.at, "0.0.9", one.config))


def paused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        store.pause(Pausable.OUTBOX, "root", datetime.now(UTC) - timedelta(hours=30))


def left_claim(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime.now(UTC) - timedelta(hours=1)
    with closing(store_of(running)) as store:
        store.put_many([(mail(), Envelope("b@acme.example", ("support@example.com",), "smtp", then))])
        assert len(store.lease_spool("dead:1", then, 10, 60.0)) == 1


def quarantined(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    with closing(store_of(running)) as store:
        store.put_many([(mail(), Envelope("b@acme.example", ("support@example.com",), "smtp", now))])
        (item,) = store.lease_spool("here:1", now, 10, 60.0)
        store.settle_spool(item, Outcome.QUARANTINED, "it broke", now=now)


def old_backup(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store_of(running)) as store:
        store.note_backup(datetime.now(UTC) - timedelta(days=9))


@pytest.mark.parametrize(("breaks", "part", "verdict", "said", "cure"), [
    (full_disk, "disk", "fail", "mail is answered 452", "make room"),
    (no_inodes, "disk", "fail", "3 inodes free", "small files"),
    (open_folder, "state folder", "fail", "everybody on this machine can read", "chmod 0700"),
    (no_key, "signing key", "fail", "it holds no signing key", "rtmail restore FILE --replace"),
    (open_key, "state folder", "fail", "others can read the signing key", "chmod 0600"),
    (damaged, "database", "fail", "not a database", "rtmail restore FILE"),
    (newer, "database", "fail", "newer rtmail", "rtmail restore FILE"),
    (made_by_root, "database", "fail", "rtmail.db: Permission denied", "chown -R rtmail:"),
    (clock_back, "clock", "fail", "a mail arrived 2 h 59 min from now", "timedatectl"),
    (mail_waits, "mail in", "warn", "1 wait, the oldest for 3 h 0 min", "see that the daemon runs"),
    (silent, "daemon", "fail", "the last one spoke 2 h 0 min ago", "systemctl start rtmail"),
    (drifted, "config", "warn", "here:1 works by another one", "systemctl reload rtmail"),
    (upgraded, "version", "warn", "this is 0.1.0", "restart"),
    (paused, "pauses", "warn", "outbox for 1 d 6 h, by root", "rtmail resume outbox"),
    (left_claim, "claims", "warn", "1 mail claimed by a daemon that left it", "see that a daemon runs"),
    (quarantined, "set aside", "warn", "1 in quarantine, 0 held", "rtmail quarantine list"),
    (old_backup, "backup", "warn", "9 d 0 h ago", "rtmail backup FILE"),
], ids=lambda value: value.__name__ if callable(value) else "")
def test_trouble_in_the_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Callable[..., None], part: str, verdict: str,
                              said: str, cure: str) -> None:
    running = Running(tmp_path)
    settled(running)
    assert all(one.verdict is Verdict.OK for one in look(running).values())
    breaks(running, monkeypatch)
    found = look(running)
    assert (str(found[part].verdict), said in found[part].said, cure in found[part].cure) == (verdict, True, True), found[part]
    assert [name for name, one in found.items() if one.verdict is Verdict.FAIL and name != part] == [], "nothing else is blamed"


def test_a_database_that_another_program_holds(tmp_path: Path) -> None:
    running = Running(tmp_path)
    settled(running)
    holds = ("import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None); d.execute('BEGIN IMMEDIATE'); "
             "print('held', flush=True); sys.stdin.read()")
    command = [sys.executable, "-c", holds, str(running.state / "rtmail.db")]
    locker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert locker.stdout is not None
    locker.stdout.readline()
    try:
        found = look(running)["database"]
    finally:
        locker.communicate()
    assert found.verdict is Verdict.FAIL
    assert "busy" in found.said


def test_neighbours_are_waited_for_together(tmp_path: Path) -> None:
    """Each of two questions is answered only when the other was asked as well: in a row neither would be."""
    both = threading.Barrier(2)

    class Meeting(Zone):
        def ask(self, name: str, kind: str, seconds: float) -> tuple[Any, ...]:
            if kind == "MX" or "_domainkey" in name:
                both.wait(30)
            return super().ask(name, kind, seconds)

    assert {"MX of example.com", "DKIM of now._domainkey.example.com"} <= set(look(signing(tmp_path, pem(rsa_key(1024))), Meeting()))


# -- the relay ------------------------------------------------------------------------------------------------------


@contextmanager
def bad(stage: str, answer: str | bytes, **more: Any) -> Iterator[str]:
    with BadMta(stage, answer, **more) as mta:
        yield f"smtp://127.0.0.1:{mta.port}"


@pytest.mark.parametrize(("stage", "answer", "said", "cure"), [
    ("banner", "5xx", "connect", "nc -vz"),
    ("EHLO", "5xx", "EHLO: 554", "our name"),
    ("MAIL", "5xx", "MAIL: 554 5.7.1 never", "verp = false"),
    ("RCPT", "5xx", "RCPT: 554 5.7.1 never", "relay for this machine"),
    ("RCPT", "4xx", "RCPT: 451 4.7.1 not now", "relay for this machine"),
])
def test_a_relay_that_refuses(tmp_path: Path, stage: str, answer: str, said: str, cure: str) -> None:
    with bad(stage, answer) as url:
        found = look(Running(tmp_path, relay=url))["relay"]
    assert found.verdict is Verdict.FAIL
    assert said in found.said
    assert cure in found.cure


def test_a_relay_that_is_not_there(tmp_path: Path) -> None:
    found = look(Running(tmp_path, relay=f"smtp://127.0.0.1:{free_port()}"))["relay"]
    assert (found.verdict, "connect" in found.said, "nc -vz" in found.cure) == (Verdict.FAIL, True, True), found


def test_a_relay_that_does_not_take_the_password(tmp_path: Path) -> None:
    with Sink(users={"rtmail": "right"}) as sink:
        running = Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", relay_keys='user = "rtmail"')
        found = look(running, RTMAIL_RELAY_PASSWORD="wrong")["relay"]
        assert (found.verdict, found.said.startswith("AUTH: 535")) == (Verdict.FAIL, True), found
        assert "RTMAIL_RELAY_PASSWORD" in found.cure
        assert "wrong" not in found.said + found.tried
        assert look(running, RTMAIL_RELAY_PASSWORD="right")["relay"].verdict is Verdict.OK


def context(authority: trustme.CA, name: str, ends: datetime | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, not_after=ends).configure_cert(made)
    return made


def test_the_key_that_signs_is_the_one_in_dns(tmp_path: Path) -> None:
    key, name = pem(rsa_key(2048)), "now._domainkey.example.com"
    running = signing(tmp_path, key)
    right = public_record(key)
    spaced = right.replace("v=DKIM1; k=rsa; ", "")[:50] + " " + right.replace("v=DKIM1; k=rsa; ", "")[50:]
    assert [str(look(running, Zone({(name, "TXT"): (text,)}))[f"DKIM of {name}"].verdict) for text in (right, spaced)] == ["ok", "ok"]
    for records, verdict, said in (
        ((), "fail", "none"), ((right, right), "fail", "2 records"), (None, "warn", "no answer"),
        ((public_record(pem(rsa_key(1024))),), "fail", "another key"), ((right.replace("k=rsa", "k=ed25519"),), "fail", "another key"),
        (("v=DKIM1; p=",), "fail", "taken back"), (("v=spf1 -all; " + right[9:],), "fail", "no DKIM record"),
        ((right + "; h=sha1",), "fail", "not for SHA-256"), ((right + "; s=other",), "fail", "not for mail"),
        ((right + "; t=s:y",), "fail", "only tried out"),
    ):
        found = look(running, Zone({(name, "TXT"): records}))[f"DKIM of {name}"]
        assert (str(found.verdict), said in found.said, bool(found.cure)) == (verdict, True, True), found


@pytest.mark.parametrize(("name", "ends", "verdict", "said"), [
    ("localhost", NOW + timedelta(days=300), Verdict.OK, "takes mail for"),
    ("localhost", NOW - timedelta(days=2), Verdict.FAIL, "certificate has expired"),
    ("localhost", NOW + timedelta(days=3), Verdict.WARN, "its certificate ends"),
    ("elsewhere.example", NOW + timedelta(days=300), Verdict.FAIL, "certificate is not valid for 'localhost'"),
])
def test_the_relays_certificate(tmp_path: Path, authority: trustme.CA, name: str, ends: datetime, verdict: Verdict,
                                said: str) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with BadMta("QUIT", "4xx", tls=context(authority, name, ends)) as mta:
        more = f'ca_file = "{tmp_path / "ca.pem"}"'
        running = Running(tmp_path / "house", relay=f"smtp+starttls://localhost:{mta.port}", relay_keys=more)
        found = look(running)["relay"]
    assert (found.verdict, said in found.said) == (verdict, True), found


# -- mailboxes ------------------------------------------------------------------------------------------------------


def test_a_mailbox_that_does_not_let_us_in(tmp_path: Path) -> None:
    with ImapServer(password="other") as server:
        found = look(Running(tmp_path, ingress=IMAP.format(port=server.port, tls="none", more="")))["mailbox office"]
    assert (found.verdict, "RTMAIL_IMAP_OFFICE_PASSWORD" in found.cure) == (Verdict.FAIL, True), found
    assert "secret" not in found.said


def test_a_mailbox_whose_server_is_not_there(tmp_path: Path) -> None:
    found = look(Running(tmp_path, ingress=IMAP.format(port=free_port(), tls="none", more="")))["mailbox office"]
    assert (found.verdict, "refused" in found.said) == (Verdict.FAIL, True), found


def test_a_mailbox_behind_a_certificate_that_ended(tmp_path: Path, authority: trustme.CA) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ImapServer(tls=context(authority, "127.0.0.1", NOW - timedelta(days=2)), implicit=True) as server:
        more = f'ca_file = "{tmp_path / "ca.pem"}"'
        found = look(Running(tmp_path / "house", ingress=IMAP.format(port=server.port, tls="implicit", more=more)))["mailbox office"]
    assert (found.verdict, "expired" in found.said) == (Verdict.FAIL, True), found


# -- names and certificates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changed", "part", "verdict", "said"), [
    ({("example.com", "MX"): ()}, "MX of example.com", Verdict.FAIL, "none, and no address"),
    ({("example.com", "MX"): ((0, ""),)}, "MX of example.com", Verdict.FAIL, "a null MX"),
    ({("example.com", "MX"): (), ("example.com", "A"): ("192.0.2.1",)}, "MX of example.com", Verdict.WARN, "address record"),
    ({("example.com", "TXT"): ()}, "SPF of example.com", Verdict.WARN, "none"),
    ({("example.com", "TXT"): ("v=spf1 a -all", "v=spf1 mx -all")}, "SPF of example.com", Verdict.FAIL, "2 records"),
    ({("example.com", "TXT"): ("v=spf1 +all",)}, "SPF of example.com", Verdict.WARN, "+all"),
    ({("_dmarc.example.com", "TXT"): ()}, "DMARC of example.com", Verdict.WARN, "none"),
    ({("example.com", "MX"): None}, "DNS of example.com", Verdict.WARN, "no answer"),
])
def test_names(tmp_path: Path, changed: dict[tuple[str, str], Any], part: str, verdict: Verdict, said: str) -> None:
    found = look(Running(tmp_path), Zone(changed))[part]
    assert (found.verdict, said in found.said, bool(found.cure)) == (verdict, True, True), found


@pytest.mark.parametrize(("name", "ends", "verdict", "said"), [
    ("example.com", NOW + timedelta(days=90), Verdict.OK, "good until"),
    ("example.com", NOW - timedelta(days=1), Verdict.FAIL, "expired"),
    ("example.com", NOW + timedelta(days=5), Verdict.WARN, "good until"),
    ("other.example", NOW + timedelta(days=90), Verdict.FAIL, "not valid for 'example.com'"),
])
def test_the_listeners_own_certificate(tmp_path: Path, authority: trustme.CA, name: str, ends: datetime, verdict: Verdict,
                                        said: str) -> None:
    authority.issue_cert(name, not_after=ends).private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    found = look(Running(tmp_path / "house", smtp=f'tls_certificate = "{tmp_path / "own.pem"}"'))["certificate"]
    assert (found.verdict, said in found.said) == (verdict, True), found


# -- the command ----------------------------------------------------------------------------------------------------


def test_a_running_house_and_monitoring(tmp_path: Path, sink: Sink) -> None:
    with Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as running:
        wait_for(lambda: store_of(running).serving(), 30, "the daemon does not speak")
        running.cli("backup", str(tmp_path / "one.rtmail"))
        ran = subprocess.run([sys.executable, "-m", "rtmail", "doctor", "--json", "-c", str(running.config)], capture_output=True,
                             env=running.environ, cwd=tmp_path, timeout=60, check=False)
        found = {one["part"]: one for one in map(json.loads, ran.stdout.decode().splitlines())}
        assert {part for part, one in found.items() if one["verdict"] != "ok"} <= {
            part for part in found if "of example.com" in part}, "but for the world's DNS all is well"
        assert ran.returncode in (0, 1, 2)
        assert found["daemon"]["said"].endswith("(rtmail 0.1.0)")
    with closing(store_of(running)) as store:
        assert store.serving() == [], "one that was told to end says so"
