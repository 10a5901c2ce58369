"""RT's requests become ours, field by field: 200 that RT's own gateway made, compared with what RT itself says of them."""

from __future__ import annotations

import json
import lzma
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rtmail.cli import rtmail
from rtmail.desk.people import Person
from rtmail.desk.ticket import EventKind, Role, Status
from rtmail.engine.office import Blueprint, Office
from rtmail.mail.reading.message import payload
from rtmail.ops.moving import rt
from rtmail.store import Fate, Store
from rtmail.store.rt import NotRt, RtDatabase
from tests.fakes.house import House, blueprint, mail, readers
from tests.fakes.rt import filled
from tests.fakes.stores import cluster
from tests.test_cli_moving import CONFIG

HERE = Path(__file__).parent / "rt"
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
STATUS = {"new": "new", "open": "open", "stalled": "waiting", "resolved": "resolved", "rejected": "rejected"}


@dataclass(frozen=True)
class Old:
    """RT's database (a file or postgresql://…), what RT says is in it, and a store into which it was taken over."""

    url: str
    says: list[dict[str, Any]]
    moved: Path
    report: rt.Report

    @property
    def file(self) -> Path:
        return Path(self.url)


FRESH = [pytest.param(name, marks=[pytest.mark.long, pytest.mark.servers]) for name in ("sqlite", "postgresql")]


@pytest.fixture(scope="module", params=["kept", *FRESH])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    """As it was made once, or made now by Debian's RT."""
    folder = tmp_path_factory.mktemp("rt")
    if request.param == "postgresql":
        server = cluster()
        database = server.database()
        yield moved_in(folder, database, filled(folder, 200, database))
        server.drop(database)
    elif request.param == "sqlite":
        yield moved_in(folder, str(folder / "rt.sqlite"), filled(folder, 200))
    else:
        yield moved_in(folder, *kept(folder))


def kept(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    file = folder / "rt.sqlite"
    with lzma.open(HERE / "rt.sqlite.xz") as packed, file.open("wb") as out:
        shutil.copyfileobj(packed, out)
    with lzma.open(HERE / "rt.jsonl.xz", "rt") as lines:
        return str(file), [json.loads(line) for line in lines]


def moved_in(folder: Path, url: str, says: list[dict[str, Any]]) -> Old:
    before = Path(url).read_bytes() if Path(url).exists() else b""
    house = House(folder, plan(), now=NOW)
    report = taken(house.store, url)
    house.close()
    if before:
        assert Path(url).read_bytes() == before, "RT's database is only read"
    return Old(url, says, folder / "house.db", report)


def plan() -> Blueprint:
    made = blueprint(policy="portacare")
    people = {
        "jane": Person("jane", "Jane Doe", "jane@example.net", queues=("support",)),
        "carl": Person("carl", "Carl Boss", "carl@example.net", queues=("support",)),
    }
    roles = {name: replace(role, person="carl", deputy="") for name, role in made.directory.roles.items()}
    site = replace(made.site, old_tags=("old.example.com",))
    return replace(made, directory=replace(made.directory, people=people, roles=roles), site=site)


@pytest.fixture
def house(tmp_path: Path, old: Old) -> Iterator[House]:
    """A house into which all of it was taken over."""
    shutil.copy(old.moved, tmp_path / "house.db")
    made = House(tmp_path, plan(), now=NOW)
    yield made
    made.close()


def taken(store: Store, url: str, *, now: datetime = NOW) -> rt.Report:
    office = Office(plan(), store, now)
    source = RtDatabase(url)
    try:
        return rt.take_over(store, office, source, rt.Wish(rt.queues(source, office, {})), now, lambda *_: None, pool=readers())
    finally:
        source.close()


def as_rt_says(store: Store, number: int) -> dict[str, Any]:
    """A request of ours in RT's words."""
    one = store.by_number(number)
    assert one is not None
    if one.merged_into:
        return {"id": number, "merged_into": one.merged_into}
    policy = plan().policies["support"]
    parties = store.parties([p.person for p in one.participants] + [one.owner])
    words = []
    for part in (one, *(store.ticket(link.ticket) for link in store.links(one.id) if link.kind == "merged" and link.other == one.id)):
        for event, content in store.events(part.id):
            if content is None:
                continue
            raw = store.raw(content.raw_id)
            files = [(file.name, file.bytes, file.sha256) for file in content.attachments]
            assert all(len(payload(raw, file.part)) == file.bytes for file in content.attachments)
            author = store.party(content.party).address if content.party else ""
            kind = {EventKind.OPENED: "Create", EventKind.CORRESPONDENCE: "Correspond", EventKind.COMMENT: "Comment"}[event.kind]
            words.append((f"{event.at:%Y-%m-%d %H:%M:%S}", kind, author, content.text.strip(), files))
    return {
        "id": number, "subject": one.subject, "status": str(one.status), "owner": parties[one.owner].address if one.owner else "",
        "priority": policy.priorities[one.priority].code if one.priority else 0, "created": f"{one.opened_at:%Y-%m-%d %H:%M:%S}",
        "requestors": sorted(p.address for p in one.participants if p.role is Role.REQUESTOR),
        "cc": sorted(p.address for p in one.participants if p.role is Role.CC),
        "admin_cc": sorted(p.address for p in one.participants if p.role is Role.WATCHER), "words": sorted(words),
    }  # fmt: skip


def expected(said: dict[str, Any]) -> dict[str, Any]:
    if "merged_into" in said:
        return said
    words = [(one["at"], one["type"], one["by"], (one["text"] or "").strip(), [(f["name"], f["bytes"], f["sha256"]) for f in one["files"]])
             for one in said["words"]]
    return {**said, "status": STATUS[said["status"]], "words": sorted(words)}


def test_every_request_is_as_rt_says(house: House, old: Old) -> None:
    report = old.report
    assert len(old.says) == report.requests == report.became["opened"]
    for said in old.says:
        assert as_rt_says(house.store, said["id"]) == expected(said)
    assert not report.unclear
    assert {said["status"] for said in old.says if "status" in said} == set(STATUS)
    ((links,),) = RtDatabase(old.url)._all("SELECT count(*) FROM Links WHERE Type = 'RefersTo' AND LocalBase > 0")
    related = {(link.ticket, link.other) for one in house.store.list_tickets(statuses=None) for link in house.store.links(one.id)
               if link.kind == "related"}
    assert len(related) == links > 0
    assert sum("merged_into" in said for said in old.says) > 0
    assert {said["priority"] for said in old.says if "status" in said} == {80, 60, 40, 20, 0}
    for one in house.store.list_tickets(statuses=None):
        assert house.store.replayed(one.id) == house.store.ticket(one.id)
    assert house.store.audit_counts().closes
    house.settle()
    house.sweep()
    assert not [row for fate in Fate for row in house.store.list_outbox(fate)]


def test_twice_is_once_and_a_later_run_brings_what_rt_got_since(house: House, old: Old, tmp_path: Path) -> None:
    counted = house.store.audit_counts()
    again = taken(house.store, old.url)
    assert again.became == {"here": len(old.says)}
    assert house.store.audit_counts() == counted
    if not old.file.exists():
        return
    later = tmp_path / "later.sqlite"
    shutil.copy(old.file, later)
    with sqlite3.connect(later) as database:
        open_ = "SELECT id, Creator FROM Tickets WHERE Status = 'open' AND id = EffectiveId LIMIT 1"
        number, asked = database.execute(open_).fetchone()
        for kind, field, new in (("Correspond", None, None), ("Status", "Status", "resolved")):
            database.execute("INSERT INTO Transactions (ObjectType, ObjectId, Type, Field, NewValue, Creator, Created) VALUES "
                             "('RT::Ticket', ?, ?, ?, ?, ?, '2026-11-27 08:00:00')", (number, kind, field, new, asked))
            if kind == "Correspond":
                database.execute(
                    "INSERT INTO Attachments (TransactionId, Parent, ContentType, ContentEncoding, Content, Headers) VALUES "
                    "(last_insert_rowid(), 0, 'text/plain', 'none', 'It works.', 'Message-ID: <late@customer.example>')")
        database.execute("UPDATE Tickets SET Status = 'resolved' WHERE id = ?", (number,))
    report = taken(house.store, str(later))
    assert report.became == {"added": 1, "here": len(old.says) - 1}
    ticket = house.store.by_number(number)
    assert ticket is not None
    assert ticket.status is Status.RESOLVED
    assert house.store.last_words(ticket.id, by_staff=False)[1].text.strip() == "It works."  # type: ignore[index]


def test_old_tags_and_mails_of_rts_own_go_on_matching(house: House, old: Old) -> None:
    said = next(one for one in old.says if one.get("status") == "open" and one["requestors"])
    (sender,) = said["requestors"]
    result = f"Authentication-Results: mx.example.com; dmarc=pass header.from={sender.partition('@')[2]}"
    house.receive(mail(sender=sender, subject=f"Re: [old.example.com #{said['id']}] {said['subject']}", text="Still there.",
                       message_id="<n1@customer.example>", headers=result), sender=sender)
    one = house.store.by_number(said["id"])
    assert one is not None
    assert house.store.last_words(one.id, by_staff=False)[1].text.strip() == "Still there."  # type: ignore[index]
    assert [clock for clock in one.clocks if clock.running]
    assert all(clock.started_at >= NOW for clock in one.clocks)
    assert taken(house.store, old.url, now=NOW + timedelta(hours=1)).became["alive"] == 1


def test_a_queue_without_one_here_is_said_with_the_cure(old: Old, tmp_path: Path) -> None:
    file = tmp_path / "config" / "rtmail.toml"
    file.parent.mkdir()
    file.write_text(CONFIG.replace("[queues.support]", "[queues.help]"))
    words = ["import", "rt", old.url, "-c", str(file)]
    refused = CliRunner().invoke(rtmail, words)
    assert refused.exit_code == 2
    assert "no queue here for RT's 'support': --queue support=NAME, one of help" in refused.stderr
    ran = CliRunner().invoke(rtmail, [*words, "--queue", "support=help", "--json"])
    assert json.loads(ran.stdout)["opened"] == len(old.says)


def test_what_is_no_database_of_rts_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"")
    for url in (str(tmp_path / "none"), str(tmp_path / "x.sqlite"), "postgresql://127.0.0.1:1/rt"):
        with pytest.raises(NotRt, match="cannot be read as a database of RT"):
            RtDatabase(url)
