"""`rtmail import` and `rtmail export` as somebody at a shell meets them; the mailbox on a real Dovecot."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rtmail.cli import rtmail
from tests.fakes.archives import generated
from tests.fakes.dovecot import Dovecot
from tests.fakes.house import ROOT

CONFIG = """
[site]
name = "Example"
domain = "example.com"
admin = "ops@example.org"
old_tags = ["Old"]
state = "state"
[store]
url = "sqlite:///rtmail.db"
[relay]
url = "maildir:sent"
[queues.support]
address = "support@example.com"
comment_address = "support-comment@example.com"
[people.jane]
name = "Jane Doe"
email = "jane@example.net"
[people.carl]
name = "Carl Boss"
email = "carl@example.net"
rights = ["engineer", "manager"]
[roles.support-manager]
person = "carl"
[roles.director]
person = "carl"
"""
BOX, PASSWORD = "old@example.com", "0ld-secret"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config" / "rtmail.toml"
    file.parent.mkdir()
    file.write_text(CONFIG)
    return file


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder, old = tmp_path / "old mail", generated(100)
    folder.mkdir()
    for name, sent in (("support.mbox", False), ("Sent.mbox", True)):
        (folder / name).write_bytes(old.mbox(sent=sent))
    return folder


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(rtmail, [*words, "-c", str(config)])


def test_an_archive_in_and_out_and_in_again(config: Path, archive: Path, tmp_path: Path) -> None:
    first = run(config, "import", "mbox", str(archive), "--json")
    assert first.exit_code == 0, first.output
    said = json.loads(first.stdout)
    assert said["mails"] == said["opened"] + said["added"] + said["noted"] + said["left"]
    again = run(config, "import", "mbox", str(archive))
    assert f"{said['opened'] + said['added'] + said['noted']} were here already" in again.stdout
    assert all(len(line) <= 80 or str(tmp_path) in line for line in again.stdout.splitlines())
    listed = run(config, "ticket", "list", "--all", "--json").stdout.splitlines()
    assert len(listed) == said["opened"]
    audit = run(config, "audit")
    assert audit.exit_code == 0, audit.output
    out = run(config, "export", "mbox", str(tmp_path / "all.mbox"))
    assert f"{said['opened']} requests" in out.stdout
    assert (tmp_path / "all.mbox").stat().st_mode & 0o777 == 0o600
    assert run(config, "export", "mbox", str(tmp_path / "all.mbox")).exit_code == 1
    lines = [json.loads(line) for line in run(config, "export", "json", "-").stdout.splitlines()]
    assert sum(line["type"] == "request" for line in lines) == said["opened"]
    table = list(csv.DictReader(run(config, "export", "csv", "-").stdout.splitlines()))
    assert [int(row["number"]) for row in table] == sorted(json.loads(line)["number"] for line in listed)
    assert {row["requestors"].partition("@")[0].rstrip("0123456789") for row in table} == {"person"}
    one = json.loads(listed[0])["number"]
    alone = [json.loads(line) for line in run(config, "export", "json", "-", "--number", str(one)).stdout.splitlines()]
    assert [line["number"] for line in alone if line["type"] == "request"] == [one]
    back = run(config, "import", "mbox", str(tmp_path / "all.mbox"), "--json")
    counts = json.loads(back.stdout)
    assert counts["here"] == counts["mails"], "our own file brings nothing new"


def test_the_list_of_what_was_not_clear_is_a_file(config: Path, archive: Path, tmp_path: Path) -> None:
    run(config, "import", "mbox", str(archive), "--report", str(tmp_path / "look.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "look.jsonl").read_text().splitlines()]
    assert lines
    for line in lines:
        assert line.keys() >= {"place", "message_id", "sender", "at", "became", "number", "why"}
        assert line["why"]
    assert (tmp_path / "look.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("words", "says"), [
    (("import", "mbox"), "name at least one PATH"),
    (("import", "mbox", "{here}/config/rtmail.toml"), "is no mbox file"),
    (("import", "maildir", "{here}/config"), "is no Maildir"),
    (("import", "mbox", "{here}/config/rtmail.toml", "--queue", "sales"), "there is no queue 'sales'; the config has support"),
    (("import", "imap", "nowhere"), "there is no [ingress.imap.nowhere]"),
    (("import", "imap", "imaps://me:secret@host"), "without a password"),
    (("import", "imap", "imaps://me@127.0.0.1:1"), "there is no password of me: put it into RTMAIL_IMPORT_PASSWORD"),
    (("store", "copy", "sqlite:///nowhere.db", "sqlite:///out"), "there is no database"),
    (("export", "mbox", "{here}/out", "--number", "7"), "there is no request #7"),
    (("export", "csv", "-", "--number", "7"), "there is no request #7"),
    (("export", "json", "{here}/out", "--since", "yesterday"), "write a day or an instant, like 2026-01-31"),
    (("export", "json", "{here}/out", "--queue", "sales"), "there is no queue 'sales'"),
])  # fmt: skip
def test_mistakes_are_one_line_with_the_cure(config: Path, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    ran = run(config, *(word.format(here=tmp_path) for word in words))
    assert ran.exit_code in (1, 2)
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert not ran.stdout
    assert not (tmp_path / "out").exists()


def test_progress_is_for_a_terminal(config: Path, archive: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.environ |= {"TERM": "xterm", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        os.execv(sys.executable, [sys.executable, "-m", "rtmail", "import", "mbox", str(archive), "-c", str(config)])
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert b"taking in" in seen
    piped = run(config, "import", "mbox", str(archive))
    assert "taking in" not in piped.output
    assert "\x1b" not in piped.output


def test_killed_between_two_commits_it_is_started_again(tmp_path: Path) -> None:
    """The same requests as without it, and nothing waits that a daemon would answer."""
    points = ("history-before-commit:2", "history-after-commit:1")
    old = generated(250, seed=2)
    folder = tmp_path / "old mail"
    folder.mkdir()
    for name, sent in (("support.mbox", False), ("Sent.mbox", True)):
        (folder / name).write_bytes(old.mbox(sent=sent))
    lists = []
    for house, kills in (("killed", points), ("whole", ())):
        config = tmp_path / house / "config" / "rtmail.toml"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG)
        assert run(config, "ticket", "list").exit_code == 0
        for point in kills:
            environ = {**os.environ, "PYTHONPATH": str(ROOT), "RTMAIL_FAILPOINT": f"{point}:kill"}
            words = [sys.executable, "-m", "rtmail", "import", "mbox", str(folder), "-c", str(config)]
            ran = subprocess.run(words, env=environ, capture_output=True, timeout=120, check=False)
            assert ran.returncode == -signal.SIGKILL, ran.stderr
        assert run(config, "import", "mbox", str(folder)).exit_code == 0
        lines = [json.loads(line) for line in run(config, "export", "json", "-").stdout.splitlines()]
        told = {line["id"]: line["address"] for line in lines if line["type"] == "person"}
        lists.append([
            (line["number"], line.get("status"), line.get("subject"), line.get("at"), line.get("text"), told.get(line.get("author")))
            for line in lines if line["type"] != "person"
        ])
        assert run(config, "audit").exit_code == 0
    assert lists[0] == lists[1]


def test_it_leaves_room_for_the_mail_of_today(config: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def little(path: Any) -> Any:
        found = real(path)
        return os.statvfs_result((found[0], found[1], found[2], found[3], (60 << 20) // found.f_frsize, *found[5:10]))

    monkeypatch.setattr(os, "statvfs", little)
    ran = run(config, "import", "mbox", str(archive))
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (75, 1)
    assert "make room, and start it again" in ran.stderr
    assert not json.loads(run(config, "audit", "--json").stdout)["accepted"]
    monkeypatch.undo()
    assert run(config, "import", "mbox", str(archive)).exit_code == 0


@pytest.mark.servers
def test_a_mailbox_is_looked_at_and_not_changed(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = generated(80)
    with Dovecot({BOX: PASSWORD}) as dovecot:
        moved_at = datetime(2026, 1, 1, tzinfo=UTC)
        dovecot.append(BOX, [one.raw for one in old.mails if not one.sent], at=moved_at)
        with dovecot.client(BOX) as client:
            for folder in ("Sent", "Trash"):
                assert client.create(folder)[0] == "OK"
        dovecot.append(BOX, [one.raw for one in old.mails if one.sent], "Sent", at=moved_at)
        dovecot.append(BOX, [old.mails[0].raw.replace(b"Message-ID: <", b"Message-ID: <x")], "Trash")
        monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca_file))
        monkeypatch.setenv("RTMAIL_IMPORT_PASSWORD", PASSWORD)
        user = BOX.replace("@", "%40")
        ran = run(config, "import", "imap", f"imaps://{user}@127.0.0.1:{dovecot.tls_port}", "--json")
        assert ran.exit_code == 0, ran.output
        said = json.loads(ran.stdout)
        assert said["mails"] == len(old.mails)
        assert said["opened"] == len({one.thread for one in old.mails} - {-1})
        assert dovecot.seen(BOX) == 0
        with config.open("a") as file:
            table = f'host = "127.0.0.1"\nport = {dovecot.tls_port}\nca_file = "{dovecot.ca_file}"\nuser = "{BOX}"\n'
            file.write(f"[ingress.imap.old]\n{table}")
        monkeypatch.setenv("RTMAIL_IMAP_OLD_PASSWORD", PASSWORD)
        again = json.loads(run(config, "import", "imap", "old", "--folder", "INBOX", "--folder", "Sent", "--json").stdout)
        assert again["here"] + again["left"] == len(old.mails)
        wrong = run(config, "import", "imap", "old", "--folder", "Archive")
        assert "has no folder Archive; it has INBOX" in wrong.stderr
        first = json.loads(run(config, "ticket", "list", "--all", "--json").stdout.splitlines()[0])
        assert datetime.fromisoformat(first["created_at"]) < moved_at
