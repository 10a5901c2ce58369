"""Ages and erasure: what is old goes, who asks is forgotten everywhere, and what was erased is not taken in again; replay stays true."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtmail.cli import rtmail
from rtmail.engine.intake import Intake
from rtmail.engine.office import Ages, Retention
from rtmail.mail.model import Mail
from rtmail.ops import privacy
from rtmail.store import LeaseLost, NotThere, Outcome, Settlement, SpoolItem
from rtmail.store.outbox import Sent as Taken
from tests.fakes.daemon import reply
from tests.fakes.house import KEYRING, House, blueprint, mail
from tests.fakes.staff import answered, flat, opened, receivers, request, sent_to, swept
from tests.fakes.stores import url
from tests.test_private_data import everything, of
from tests.test_simulate import toml

BOB, ANN, JANE = "bob@acme.example", "ann@acme.example", "jane@staff.example"


@pytest.fixture
def house(tmp_path: Path, url: str) -> Iterator[House]:
    kept = Retention({"support": Ages(timedelta(days=10), timedelta(days=20), timedelta(days=5))}, timedelta(days=3))
    one = House(tmp_path, replace(blueprint(), retention=kept), url=url)
    yield one
    one.close()


def has_raw(house: House, spool_id: int) -> bool:
    try:
        return bool(house.store.raw(house.store.spool_row(spool_id).raw_id))
    except NotThere:
        return False


def retain(house: House, **length: float) -> None:
    house.forward(**length)
    house.engine.digest(house.now)
    house.settle()


def test_each_thing_goes_at_its_age(house: House) -> None:
    first = house.receive(mail(text="Raw words."))
    other = house.receive(mail(to="sales@example.com", message_id="<s@acme.example>", text="Sold."), to="sales@example.com")
    spam = house.receive(b"X-Spam-Flag: YES\r\n" + mail(sender="W <w@casino.example>", message_id="<w@x>"), peer="127.0.0.1")
    retain(house, days=2, hours=23)
    assert has_raw(house, spam), "nothing is deleted before"
    retain(house, hours=2)
    assert not has_raw(house, spam)
    assert house.store.spool_row(spam).outcome == Outcome.JUNK
    assert has_raw(house, first)
    retain(house, days=7, hours=1)
    assert not has_raw(house, first)
    assert has_raw(house, other), "its queue keeps them"
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert [hit.text for hit in house.store.search("raw")] == ["Raw words."], "only the bytes were old"
    house.engine.command(1, "close", "root", house.now)
    retain(house, days=19)
    assert house.store.search("raw")
    retain(house, days=2)
    assert not house.store.search("raw")
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.subject == "[erased]"
    assert house.store.replayed(ticket.id) == ticket
    assert house.store.audit_counts().closes


def test_quarantine_goes_at_its_age_and_what_quotes_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bytes goes the reason why it failed, which may hold words of it; the request that its stub opened stays."""

    def fails(intake: Intake, item: SpoolItem, found: Mail, now: datetime) -> Settlement:
        if found.proof_reason != "not read":
            raise ValueError(f"cannot make head or tail of {found.text!r}")
        return take(intake, item, found, now)

    take = Intake.take
    monkeypatch.setattr(Intake, "take", fails)
    spool_id = house.receive(mail(text="A rare aardvark."))
    for _ in range(3):
        house.forward(hours=1)
        house.settle()
    assert house.store.spool_row(spool_id).outcome == Outcome.QUARANTINED
    assert "aardvark" in house.store.spool_row(spool_id).reason
    retain(house, days=4, hours=20)
    assert has_raw(house, spool_id)
    retain(house, hours=2)
    assert not has_raw(house, spool_id)
    assert house.store.spool_row(spool_id).outcome == Outcome.QUARANTINED
    assert list(house.store.list_spool(Outcome.QUARANTINED)) == []
    assert house.store.spool_row(spool_id).reason == "dropped by its age"
    assert house.store.search("aardvark"), "its request has an age of its own"
    assert house.store.audit_counts().closes


def test_content_that_nobody_lets_go_is_erased_at_its_age(house: House) -> None:
    queues = {name: replace(queue, private="hold") for name, queue in house.plan.directory.queues.items()}
    house.engine.office.directory = replace(house.engine.office.directory, queues=queues)
    spool_id = house.receive(mail(text="My card is 4111 1111 1111 1111."))
    retain(house, days=4, hours=23)
    assert has_raw(house, spool_id)
    retain(house, hours=2)
    house.sent()
    assert b"4111 1111" not in everything(house)
    assert house.store.holds_waiting() == []
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert house.store.replayed(ticket.id) == ticket
    retain(house, hours=2)
    assert house.store.by_number(1) == ticket, "once"
    assert house.store.audit_counts().closes


def conversation(house: House) -> bytes:
    raw = mail(subject="Zebra crossing", text="My aardvark is ill.", headers=f"Cc: {ANN}")
    house.receive(raw)
    sent = house.sent()
    notice = of(sent, "opened", JANE)
    house.receive(reply(notice.item.raw, "Give it quinine.", sender=f"Jane <{JANE}>", message_id="<j@staff.example>"),
                  to=notice["Reply-To"].rpartition("<")[2].rstrip(">"), sender=JANE)
    house.receive(mail(sender=f"Ann <{ANN}>", text="Ann's own ocelot.", subject="Other", message_id="<a@acme.example>"), sender=ANN)
    house.sent()
    return raw


def test_a_person_is_erased_everywhere_and_what_happened_stays_true(house: House) -> None:
    raw = conversation(house)
    lines = [json.loads(json.dumps(line)) for line in privacy.export(house.store, BOB, raw=True)]
    assert [line["kind"] for line in lines] == ["person", "request", "words", "mail"]
    assert lines[2]["text"].strip() == "My aardvark is ill."
    before = privacy.count(house.store, BOB)
    assert (before.requests, before.words, before.received) == (1, 1, 1)
    assert b"aardvark" in everything(house), "counting erases nothing"
    assert privacy.erase(house.store, KEYRING, BOB, house.now) == before
    left = everything(house)
    for canary in (b"aardvark", b"Zebra", b"bob@acme", b"Bob Roe"):
        assert canary not in left, canary
    assert b"ocelot" in left, "others' words are theirs"
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert house.store.replayed(ticket.id) == ticket
    assert house.store.audit_counts().closes
    assert list(privacy.export(house.store, BOB)) == []
    again = house.receive(raw)
    assert (house.store.spool_row(again).outcome, house.store.spool_row(again).reason) == ("ignored", "erased mail")
    assert b"aardvark" not in everything(house)
    assert house.store.by_number(3) is None
    house.forward(days=1)
    house.sweep()
    house.sent()


def test_a_mail_to_an_erased_person_that_is_just_being_sent_is_erased_too(house: House) -> None:
    house.receive(mail(subject="Zebra crossing", text="My aardvark is ill."))
    item = next(one for one in house.store.lease_outbox("relay", house.now, 50, 600) if one.recipient == BOB)
    privacy.erase(house.store, KEYRING, BOB, house.now)
    row = house.store.by_id(item.id)
    assert row is not None
    assert row.recipient == row.said == ""
    with pytest.raises(NotThere):
        house.store.outbox_mail(item.id)
    with pytest.raises(LeaseLost):
        house.store.settle_outbox(item, Taken("250 ok"), house.now)


def test_a_new_mail_of_an_erased_person_is_a_new_request(house: House) -> None:
    conversation(house)
    privacy.erase(house.store, KEYRING, BOB, house.now)
    spool_id = house.receive(mail(subject="Hello again", text="A new thing.", message_id="<n@acme.example>"))
    assert house.store.spool_row(spool_id).outcome == Outcome.EVENT
    assert house.store.by_number(3) is not None


def test_staff_go_on_with_a_request_whose_requestor_is_erased(house: House) -> None:
    notice = sent_to(opened(house, cc=f"Ann Poe <{ANN}>"), JANE, "opened")
    answered(house, notice, "take")
    privacy.erase(house.store, KEYRING, BOB, house.now)
    sent = answered(house, notice, "Priority: normal\n\nWho else knows of it?")
    assert {one.item.recipient for one in sent if one.item.template in ("words", "priority-told")} == {ANN}
    assert f"were sent to Ann Poe <{ANN}>" in flat(sent_to(sent, JANE, "receipt"))
    house.forward(hours=5)
    assert receivers(swept(house), "undelivered") == set(), "what reached her is the answer"
    assert "request #1 is resolved" in flat(sent_to(answered(house, notice, "resolve"), JANE, "receipt"))
    house.forward(days=10)
    swept(house)
    assert str(request(house).status) == "closed"


def test_staff_are_not_erased(house: House) -> None:
    with pytest.raises(PermissionError, match="of the staff"):
        privacy.erase(house.store, KEYRING, JANE, house.now)


def test_the_commands(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    house = House(tmp_path / "var", url="sqlite:///rtmail.db")
    house.receive(mail())
    house.close()
    config = tmp_path / "config" / "rtmail.toml"
    config.parent.mkdir()
    config.write_text(toml("default"))

    def ran(*words: str) -> Result:
        return CliRunner().invoke(rtmail, ["privacy", *words, "-c", str(config)], catch_exceptions=False)

    lines = [json.loads(line) for line in ran("export", BOB).stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["person", "request", "words", "mail"]
    assert ran("erase", BOB, "--dry-run").stdout.startswith("bob@acme.example, would be erased: texts 1, mails of his 1,")
    assert ran("export", BOB).exit_code == 0
    erased = ran("erase", BOB).stdout
    assert erased.startswith("bob@acme.example, erased: texts 1,")
    assert "he alone asked for, whose promises run on: #1\n" in erased
    closed = CliRunner().invoke(rtmail, ["ticket", "do", "1", "Status: closed", "-c", str(config)], catch_exceptions=False)
    assert closed.exit_code == 0, "as the cure says"
    gone = ran("export", BOB)
    assert (gone.exit_code, gone.stderr) == (1, "rtmail: nothing is kept of bob@acme.example\n")
    refused = ran("erase", JANE)
    assert refused.exit_code == 1
    assert "of the staff" in refused.stderr
