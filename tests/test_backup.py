"""A house is backed up while it works and put back elsewhere: whole, on either engine, and nothing that was sent is sent again."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import gzip
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtmail.cli import rtmail
from rtmail.ops import archive
from rtmail.store import Fate, NotEmpty, Pausable, Store
from rtmail.store.outbox import Sent
from tests.fakes.daemon import Running, wait_for
from tests.fakes.house import mail
from tests.fakes.looking import rests
from tests.fakes.sink import Sink
from tests.fakes.stores import ENVELOPE, NOW, cluster, minutes, store, ticket_of, url
from tests.test_store_outbox import add


def contents(held: Store) -> dict[str, int]:
    """How many rows each table holds, by a look at the tables themselves."""
    engine = held._engine
    return {table: held._look(lambda t=table: held._rows(f"SELECT count(*) FROM {t}")[0][0])  # type: ignore[misc]
            for table in engine.layout() if table not in ("schema_migration", "counter", "words")}


def filled(held: Store) -> None:
    held.put_many([(mail(message_id=f"<{n}@x>", text=f"Words number {n} with a Zürich"), ENVELOPE) for n in range(3)])
    ticket_of(held, words="The printer in Zürich smokes.")
    ticket_of(held)
    add(held, 3)
    held.pause(Pausable.INGRESS, "root", NOW)


def test_a_snapshot_of_either_engine_is_a_file_with_everything(store: Store, tmp_path: Path) -> None:
    filled(store)
    store.snapshot(tmp_path / "copy.db")
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    held = Store(f"sqlite:///{tmp_path / 'copy.db'}")
    held.open()
    with closing(held):
        assert held.sound() == ""
        assert contents(held) == contents(store)
        assert [hit.text for hit in held.search("zurich printer")] == ["The printer in Zürich smokes."]
        assert held.next_number() == store.next_number()
        assert held.reserve(1) == store.reserve(1)


def test_a_house_moves_to_the_other_engine_and_back(store: Store, tmp_path: Path) -> None:
    filled(store)
    if store._engine.name == "sqlite":
        server = cluster()
        database = server.database()
    else:
        server, database = None, f"sqlite:///{tmp_path / 'other.db'}"
    other = Store(database)
    other.open()
    try:
        copied = other.fill_from(store)
        assert (copied["ticket"], copied["outbox"], copied["spool"]) == (2, 3, 3)
        assert contents(other) == contents(store)
        assert [hit.text for hit in other.search("zurich printer")] == ["The printer in Zürich smokes."]
        assert other.next_number() == store.next_number()
        assert other.outbox_mail(next(iter(other.list_outbox())).id) == store.outbox_mail(next(iter(store.list_outbox())).id)
        with pytest.raises(NotEmpty):
            other.fill_from(store)
    finally:
        other.close()
        if server:
            server.drop(database)


def test_what_waited_is_set_aside_and_goes_only_when_told(store: Store) -> None:
    add(store, 2)
    (leased,) = store.lease_outbox("old", NOW, 5, 60)
    store.settle_outbox(leased, Sent("250 ok"), NOW)
    assert store.set_aside_waiting("may have been sent", NOW) == 1
    assert store.lease_outbox("new", NOW + minutes(600), 5, 60) == []
    (aside,) = store.list_outbox(Fate.ASIDE)
    assert not store.retry_outbox(leased.id, NOW), "sent is sent"
    assert store.retry_outbox(aside.id, NOW + minutes(1))
    assert [item.id for item in store.lease_outbox("new", NOW + minutes(2), 5, 60)] == [aside.id]


def test_numbers_that_may_have_been_given_out_are_passed_over(store: Store) -> None:
    last, outgoing = store.next_number(), store.reserve(1)[0]
    store.leave_gap(1000, 1_000_000)
    assert store.next_number() == last + 1001
    assert store.reserve(1) == [outgoing + 1_000_001]


@pytest.mark.long
def test_backups_under_load_come_back_whole_and_send_nothing_again(tmp_path: Path) -> None:
    with Sink() as sink, Sink() as later:
        caps = "per_address = 100000\noverall = 100000"
        with Running(tmp_path / "old", relay=f"smtp://127.0.0.1:{sink.port}", caps=caps) as old:
            made: list[Path] = []
            for n in range(16):
                old.send(mail(message_id=f"<{n}@acme.example>", subject=f"Fault {n}", sender=f"Bob <bob{n}@acme.example>"))
                if n % 8 == 7:
                    made.append(tmp_path / f"{n}.rtmail")
                    said = json.loads(old.cli("backup", str(made[-1]), "--json"))
                    assert said["unsound"] == ""
                    assert said["mails"] == n + 1
            wait_for(lambda: rests(old.state), 60, "the old house does not come to rest")
            last = tmp_path / "last.rtmail"
            old.cli("backup", str(last))
            before = old.tickets()
        sent = {came.raw for came in sink.mails}
        for n, file in enumerate([*made, last]):
            new = Running(tmp_path / f"new{n}", relay=f"smtp://127.0.0.1:{later.port}", caps=caps)
            back = json.loads(new.cli("restore", str(file), "--json"))
            new.start()
            wait_for(lambda: rests(new.state), 60, "the new house does not come to rest")  # noqa: B023
            after = new.tickets()
            new.send(mail(message_id=f"<new{n}@acme.example>", subject="After", sender="Ann <ann@acme.example>"))
            fresh = wait_for(lambda: [one for one in new.tickets() if one["subject"] == "After"], 30, "nothing opens")  # noqa: B023
            # Mails that were in the backup and had not opened their requests yet.
            waited = sum(one["number"] >= back["next_number"] for one in after)
            assert fresh[0]["number"] == back["next_number"] + waited, "numbers that the old house gave out meanwhile are free for nobody"
            assert back["next_number"] > 16 + 900
            assert new.stop() == 0
            assert "the sum closes" in new.cli("audit")
            if file == last:
                assert after == before, "the house is as it was"
        assert not sent & {came.raw for came in later.mails}, "sent again"


def test_what_waits_in_a_backup_is_listed_and_can_go(tmp_path: Path) -> None:
    old = Running(tmp_path / "old", relay="smtp://127.0.0.1:1")
    with old:
        old.send(mail())
        wait_for(lambda: old.cli("outbox", "list", "--json").count("\n") == 3, 30, "nothing waits")
    old.cli("backup", str(tmp_path / "one.rtmail"))
    with Sink() as sink:
        new = Running(tmp_path / "new", relay=f"smtp://127.0.0.1:{sink.port}")
        said = new.cli("restore", str(tmp_path / "one.rtmail"))
        assert "3 mails waited then and may have been sent since: rtmail outbox list --fate aside" in said
        with new:
            assert new.cli("outbox", "list").strip() == "none"
            rows = [json.loads(line) for line in new.cli("outbox", "list", "--fate", "aside", "--json").splitlines()]
            assert len(rows) == 3
            new.cli("outbox", "retry", str(rows[0]["id"]))
            sink.wait(1)
            assert [came.recipients for came in sink.mails] == [[rows[0]["recipient"]]] or \
                [tuple(came.recipients) for came in sink.mails] == [(rows[0]["recipient"],)]
        other = Running(tmp_path / "other", relay=f"smtp://127.0.0.1:{sink.port}")
        other.cli("restore", str(tmp_path / "one.rtmail"), "--send-waiting")
        with other:
            sink.wait(4)


def own(folder: Path) -> Running:
    """A house whose signing key lies in its state folder."""
    house = Running(folder)
    house.environ.pop("RTMAIL_SECRET_KEY")
    return house


def failing(house: Running, *words: str) -> str:
    """What a command that must fail says: one line, no traceback."""
    said = CliRunner().invoke(rtmail, [*words, "-c", str(house.config)], env={"RTMAIL_SECRET_KEY": None, "RTMAIL_CONFIG": None})
    assert said.exit_code not in (0, -9), (words, said.output)
    assert isinstance(said.exception, SystemExit), said.exception
    return str(said.stderr)


def test_the_signing_key_and_the_config_travel_and_passwords_do_not(tmp_path: Path) -> None:
    old = own(tmp_path / "old")
    (old.config.parent / ".env").write_text("RTMAIL_RELAY_PASSWORD='never-in-a-backup'\n")
    (old.config.parent / ".env").chmod(0o600)
    old.cli("receive", "--to", "support@example.com", stdin=mail())
    with old:
        wait_for(lambda: old.tickets(), 30, "nothing opens")
    file = tmp_path / "house.rtmail"
    old.cli("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    whole = gzip.decompress(file.read_bytes())
    assert b"never-in-a-backup" not in whole
    new = own(tmp_path / "new")
    new.cli("restore", str(file))
    assert (new.state / "secret.key").read_text() == (old.state / "secret.key").read_text()
    assert stat.S_IMODE((new.state / "secret.key").stat().st_mode) == 0o600
    new.cli("restore", str(file), "--config-to", str(tmp_path / "conf"))
    assert (tmp_path / "conf" / "config" / "rtmail.toml").read_text() == old.config.read_text()


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")


def rubbish(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1000)


def short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 3)


@pytest.mark.parametrize("harm", [newer, rubbish, short])
def test_a_backup_takes_the_place_of_a_database_that_cannot_be_used(harm: Callable[[Path], object], tmp_path: Path) -> None:
    """As the daemon and the doctor say: it is the cure."""
    old = own(tmp_path / "old")
    old.cli("receive", "--to", "support@example.com", stdin=mail())
    with old:
        wait_for(lambda: old.tickets(), 30, "nothing opens")
    file, database = tmp_path / "house.rtmail", old.state / "rtmail.db"
    old.cli("backup", str(file))
    harm(database)
    (old.state / "secret.key").write_bytes(b"\xff\xfe")
    spoilt = database.read_bytes()
    assert "rtmail restore FILE --replace" in failing(old, "ticket", "list") or harm is newer
    assert "add --replace to move it aside" in failing(old, "restore", str(file))
    assert database.read_bytes() == spoilt
    former = Path(json.loads(old.cli("restore", str(file), "--replace", "--json"))["former"])
    assert former.read_bytes() == spoilt
    assert json.loads(old.cli("audit", "--json"))["accepted"] == 1
    with old:
        assert len(old.tickets()) == 1


def test_refusals_name_the_cure_and_change_nothing(tmp_path: Path) -> None:
    old = own(tmp_path / "old")
    old.cli("receive", "--to", "support@example.com", stdin=mail())
    file = tmp_path / "house.rtmail"
    old.cli("backup", str(file))
    assert "name another file" in failing(old, "backup", str(file))
    assert "add --replace to move it aside" in failing(old, "restore", str(file))
    with old:
        assert "another rtmail serve works in" in failing(old, "restore", str(file), "--replace")
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"not a backup at all" * 100)
    assert "no backup of rtmail" in failing(old, "restore", str(rubbish), "--replace")
    assert "No such file" in failing(old, "restore", str(tmp_path / "nowhere"), "--replace")
    bytes_ = bytearray(file.read_bytes())
    for at in (len(bytes_) // 3, len(bytes_) // 2, len(bytes_) - 20):
        torn = bytearray(bytes_)
        torn[at] ^= 0xFF
        (tmp_path / "torn").write_bytes(torn)
        assert "nothing was restored" in failing(own(tmp_path / f"torn{at}"), "restore", str(tmp_path / "torn"))
    (tmp_path / "short").write_bytes(bytes_[:len(bytes_) * 2 // 3])
    assert "nothing was restored" in failing(own(tmp_path / "short-house"), "restore", str(tmp_path / "short"))
    old.cli("receive", "--to", "support@example.com", stdin=mail(message_id="<2@acme.example>"))
    before = json.loads(old.cli("audit", "--json"))
    assert before["accepted"] == 2
    said = json.loads(old.cli("restore", str(file), "--replace", "--json"))
    assert json.loads(old.cli("audit", "--json"))["accepted"] == 1
    kept = Store(f"sqlite:///{said['former']}")
    kept.open()
    with closing(kept):
        assert kept.audit_counts().accepted == 2, "what was there is kept"


def copied(house: Running, target: Path) -> str:
    """Copy its database; return what stderr says of it."""
    command = [sys.executable, "-m", "rtmail", "store", "copy", "sqlite:///rtmail.db", f"sqlite:///{target}", "-c", str(house.config)]
    return subprocess.run(command, env=house.environ, cwd=house.folder, timeout=60, check=True, capture_output=True, text=True).stderr


def test_a_copy_or_a_backup_of_a_house_at_work_is_not_taken_for_it(tmp_path: Path) -> None:
    house, new = own(tmp_path / "house"), own(tmp_path / "new")
    file = tmp_path / "house.rtmail"
    with house:
        wait_for(lambda: speaking(house.state / "rtmail.db"), 30, "the daemon does not say that it lives")
        assert "stop the daemon (systemctl stop rtmail) and copy again" in copied(house, tmp_path / "trial.db")
        assert not speaking(tmp_path / "trial.db")
        house.cli("backup", str(file))
        house.kill()
        assert speaking(house.state / "rtmail.db"), "it could not say that it ends"
        assert not copied(house, tmp_path / "moved.db")
    new.cli("restore", str(file))
    assert not speaking(new.state / "rtmail.db")


def speaking(file: Path) -> bool:
    held = Store(f"sqlite:///{file}")
    held.open()
    try:
        return bool(held.serving())
    finally:
        held.close()


def test_a_backup_without_a_key_that_signs_says_so(tmp_path: Path) -> None:
    old = own(tmp_path / "old")
    old.cli("receive", "--to", "support@example.com", stdin=mail())
    (old.state / "secret.key").write_bytes(b"\xff\xfe")
    assert "secret.key holds no signing key" in failing(old, "backup", str(tmp_path / "house.rtmail"))
    assert (tmp_path / "house.rtmail").exists(), "the rest is worth having"


def test_an_archive_takes_nothing_from_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    for name in ("../evil", "/tmp/evil"):
        with pytest.raises(archive.BadArchive):
            archive.write(tmp_path / "bad", {}, {name: tmp_path / "x"})
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("point", ["backup-copied", "backup-written", "copy-table", "restore-ready"])
def test_killed_in_the_middle_there_is_no_half_of_it(tmp_path: Path, point: str) -> None:
    old = own(tmp_path / "old")
    old.cli("receive", "--to", "support@example.com", stdin=mail())
    file = tmp_path / "house.rtmail"
    if point.startswith("restore") or point == "copy-table":
        old.cli("backup", str(file))
    if point == "copy-table":
        words = ["store", "copy", "sqlite:///rtmail.db", f"sqlite:///{tmp_path / 'other.db'}"]
    else:
        words = [point.partition("-")[0], str(file), *(["--replace"] if point.startswith("restore") else [])]
    command = [sys.executable, "-m", "rtmail", *words, "-c", str(old.config)]
    killed = subprocess.run(command, env={**old.environ, "RTMAIL_FAILPOINT": f"{point}:1:kill"}, cwd=old.folder, timeout=60, check=False)
    assert killed.returncode == -9
    assert json.loads(old.cli("audit", "--json"))["accepted"] == 1
    if point.startswith("backup"):
        assert not file.exists(), "a backup appears whole or not at all"
    subprocess.run(command, env=old.environ, cwd=old.folder, timeout=60, check=True)
    assert json.loads(old.cli("audit", "--json"))["accepted"] == 1
