"""Requests leave as an mbox file and as JSON lines; the mbox file makes the same conversations again, and what is erased is in neither."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest

from rtmail.engine.history import Historian, Terms
from rtmail.engine.office import Blueprint, Office
from rtmail.mail.token import Keyring
from rtmail.ops.moving import archive, boxes, leaving
from rtmail.ops.moving.leaving import Chosen
from rtmail.store import Store
from tests.fakes.daemon import reply
from tests.fakes.house import House, blueprint, mail, readers

JANE = "jane@staff.example"
PLAN = b"%PDF-1.4 a plan of the house"


def with_plan(raw: bytes) -> bytes:
    """The mail with a file attached."""
    answer = message_from_bytes(raw, policy=SMTP.clone(max_line_length=998))
    answer.add_attachment(PLAN, maintype="application", subtype="pdf", filename="plan.pdf")
    return answer.as_bytes()


ALL = Chosen()


def bare(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Two requests: one with an answer, a file, a remark and a colleague in Cc, one that nobody has answered."""
    made = House(tmp_path)
    made.receive(mail(headers="Cc: ann@acme.example"))
    notice = next(one for one in made.sent() if one.item.recipient == JANE)
    made.forward(minutes=10)
    raw = reply(notice.item.raw, "From here it works.\n\nWhich one is it?", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>")
    made.receive(with_plan(raw), to=bare(notice["Reply-To"]), sender=JANE)
    answer = next(one for one in made.sent() if one.item.recipient == "bob@acme.example")
    made.forward(minutes=10)
    back = reply(answer.item.raw, "The one upstairs.", sender="Bob Roe <bob@acme.example>", message_id="<2@acme.example>")
    made.receive(back, to=bare(answer["Reply-To"]))
    notice = next(one for one in made.sent() if one.item.recipient == JANE)
    made.forward(minutes=10)
    raw = reply(notice.item.raw, "He never says which.", sender=f"Jane Doe <{JANE}>", message_id="<j2@staff.example>")
    comment = bare(notice["Reply-To"]).replace("support+", "support-comment+")
    made.receive(raw.replace(b"support+", b"support-comment+"), to=comment.replace("support+", "support-comment+"), sender=JANE)
    made.sent()
    made.forward(minutes=10)
    made.receive(mail(subject="Scanner", message_id="<3@acme.example>", sender="Zoe <zoe@far.example>"), sender="zoe@far.example")
    made.sent()
    yield made
    made.close()


def told(store: Store) -> dict[int, list[tuple[str, str, str, str, list[str]]]]:
    """Number -> its words: kind, visibility, author, text, names of files."""
    found = {}
    for summary in store.list_tickets(statuses=None):
        found[summary.number] = [
            (str(event.kind), str(event.visibility), store.party(content.party).address, content.text.strip(),
             [one.name for one in content.attachments])
            for event, content in store.events(summary.id)
            if content
        ]
    return found


def exported(house: House, file: Path, chosen: Chosen = ALL) -> Path:
    office = leaving.House(house.plan.site, house.plan.directory)
    file.write_bytes(b"".join(leaving.as_mbox(house.store, office, one) for one in leaving.tickets(house.store, chosen)))
    return file


def imported(folder: Path, file: Path, plan: Blueprint, now: datetime) -> Store:
    folder.mkdir()
    store = Store("sqlite:///new.db", folder)
    store.open()
    found = boxes.mboxes([file])
    historian = Historian(store, Office(plan, store, now), Terms(), now)
    report = archive.take_in(store, Office(plan, store, now), historian, found, now, lambda *_: None, pool=readers())
    assert not report.unclear
    return store


@pytest.mark.parametrize("same_key", [True, False])
def test_the_mbox_file_makes_the_same_conversations(house: House, tmp_path: Path, same_key: bool) -> None:
    """Also in another house, whose key is another: then the tags of the subject keep the numbers."""
    assert [len(lines) for lines in told(house.store).values()] == [4, 1]
    file = exported(house, tmp_path / "out.mbox")
    plan = blueprint() if same_key else replace(blueprint(), keyring=Keyring(0, {0: b"o" * 32}))
    store = imported(tmp_path / "new", file, plan, house.now + timedelta(hours=1))
    assert told(store) == told(house.store)
    again = exported(House(tmp_path / "new", plan, url="sqlite:///new.db"), tmp_path / "again.mbox")
    assert {one["Message-ID"] for one in mailbox.mbox(again)} == {
        one["Message-ID"] for one in mailbox.mbox(file) if one["Auto-Submitted"] != "auto-replied"}
    store.close()


def test_the_file_is_threaded_and_holds_no_key(house: House, tmp_path: Path) -> None:
    mails = list(mailbox.mbox(exported(house, tmp_path / "out.mbox", Chosen(numbers=(1,)))))
    assert [one["From"] for one in mails] == [
        "Bob Roe <bob@acme.example>", "Example <support@example.com>", f"Jane Doe <{JANE}>", "Bob Roe <bob@acme.example>",
        f"Jane Doe <{JANE}>"]
    ids = [one["Message-ID"] for one in mails]
    for at, one in enumerate(mails[1:], 1):
        assert set(one["References"].split()) & set(ids[:at]), f"mail {at} answers none of those before it"
    assert [one["X-RTMail-Internal"] for one in mails] == [None, None, None, None, "yes"]
    assert mails[2]["Subject"] == "Re: [Example #1] Printer down"
    assert mails[2]["To"] == "Bob Roe <bob@acme.example>"
    assert mails[2].get_payload(1).get_payload(decode=True) == PLAN
    # Jane's own mails came to signed addresses of hers.
    assert b"support-comment+" not in (tmp_path / "out.mbox").read_bytes()


def test_erased_words_are_in_neither_file(house: House, tmp_path: Path) -> None:
    one = house.store.by_number(1)
    assert one is not None
    *_, content = (content for _, content in house.store.events(one.id) if content)
    assert "He never says" in content.text
    house.store.erase_content(content.id)
    house.store.erase_raw(content.raw_id)
    assert b"He never says" not in exported(house, tmp_path / "out.mbox").read_bytes()
    lines = [line for one in leaving.tickets(house.store, Chosen()) for line in leaving.as_lines(house.store, one, set())]
    comment = next(line for line in lines if line["type"] == "event" and line["number"] == 1 and line["kind"] == "comment")
    assert comment["erased"]
    assert comment["text"] is None


def test_what_waits_as_private_is_in_neither_file(tmp_path: Path) -> None:
    plan = blueprint()
    queues = {name: replace(queue, private="hold") for name, queue in plan.directory.queues.items()}
    made = House(tmp_path, replace(plan, directory=replace(plan.directory, queues=queues)))
    made.receive(mail(text="My card: 4111 1111 1111 1111"))
    assert b"4111" not in exported(made, tmp_path / "out.mbox").read_bytes()
    lines = [line for one in leaving.tickets(made.store, Chosen()) for line in leaving.as_lines(made.store, one, set())]
    assert "4111" not in json.dumps(lines, default=str)
    made.close()


def test_which_requests_leave(house: House) -> None:
    def numbers(chosen: Chosen) -> list[int]:
        return [one.number for one in leaving.tickets(house.store, chosen)]

    assert numbers(Chosen()) == [1, 2]
    assert numbers(Chosen(numbers=(2,))) == [2]
    assert numbers(Chosen(queue="sales")) == []
    assert numbers(Chosen(since=house.now - timedelta(minutes=1))) == [2]
    with pytest.raises(LookupError, match="#7"):
        numbers(Chosen(numbers=(7,)))


def test_json_lines_tell_all_of_it_and_each_person_once(house: House) -> None:
    told = set[int]()
    lines = [line for one in leaving.tickets(house.store, Chosen()) for line in leaving.as_lines(house.store, one, told)]
    people = {line["id"]: line for line in lines if line["type"] == "person"}
    assert len(people) == sum(line["type"] == "person" for line in lines)
    for line in lines:
        if line["type"] == "event":
            assert not line["actor"] or line["actor"] in people
    words = [line for line in lines if line["type"] == "event" and line.get("text")]
    assert [line["text"].strip() for line in words if line["number"] == 1] == [
        "It is down.", "From here it works.\n\nWhich one is it?", "The one upstairs.", "He never says which."]
    assert [one["name"] for line in words for one in line["attachments"]] == ["plan.pdf"]
    assert datetime.fromisoformat(lines[-1]["at"]).tzinfo == UTC
