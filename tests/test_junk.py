"""Junk: by the word of trusted filters and of staff; without number, answer or clock; told daily, and let out with its own time."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.mail.model import Envelope
from rtmail.mail.reading.junk import verdict
from rtmail.mail.site import JunkRules
from rtmail.store import Outcome
from tests.fakes.house import NOW, House, Sent, blueprint, mail
from tests.fakes.stores import url

JANE, KIM, BOB, WIN = "jane@staff.example", "kim@staff.example", "bob@acme.example", "win@casino.example"
SITE = replace(blueprint().site, junk=JunkRules(("@casino.example",), {"x-our-filter": "^spam"}))


def proven(raw: bytes) -> bytes:
    return b"Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example\r\n" + raw


def of(sent: list[Sent], template: str, recipient: str) -> Sent:
    return next(one for one in sent if (one.item.template, one.item.recipient) == (template, recipient))


@pytest.fixture
def house(tmp_path: Path, url: str) -> Iterator[House]:
    one = House(tmp_path, url=url)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("name", "value", "junk"),
    [
        ("X-Spam-Flag", "YES", True),
        ("X-Spam-Flag", "NO", False),
        ("X-Spam-Status", "Yes, score=12.1 required=5.0 tests=BAYES_99", True),
        ("X-Spam-Status", "No, score=-1.0 required=5.0", False),
        ("X-Spamd-Result", "default: True [18.20 / 15.00]; R_BAD(1.0)[]", True),
        ("X-Spamd-Result", "default: False [0.10 / 15.00]", False),
        ("X-Rspamd-Action", "add header", True),
        ("X-Rspamd-Action", "no action", False),
        ("X-MS-Exchange-Organization-SCL", "5", True),
        ("X-MS-Exchange-Organization-SCL", "4", False),
        ("X-MS-Exchange-Organization-SCL", "-1", False),
        ("X-MS-Exchange-Organization-SCL", "99999999999999", False),
        ("X-Our-Filter", "Spam, surely", True),
        ("X-Our-Filter", "no spam", False),
    ],
)
def test_what_filters_say(name: str, value: str, junk: bool) -> None:
    inside = Envelope("a@x", (), ingress="smtp", arrived_at=NOW, peer="127.0.0.1")
    outside = replace(inside, peer="198.51.100.7")
    assert bool(verdict([(name, value)], "zoe@new.example", SITE, inside)) is junk
    assert not verdict([(name, value)], "zoe@new.example", SITE, outside), "handed in by nobody of ours"
    hop = ("Received", "from mx.far.example (mx.far.example [198.51.100.7]) by mx.example.com; Mon, 23 Nov 2026 10:00:00 +0100")
    assert bool(verdict([(name, value), hop], "zoe@new.example", SITE, inside)) is junk
    assert not verdict([hop, (name, value)], "zoe@new.example", SITE, inside), "it came in with that"


def test_listed_senders_are_junk_whoever_hands_it_in() -> None:
    outside = Envelope("a@x", (), ingress="smtp", arrived_at=NOW, peer="198.51.100.7")
    assert verdict([], WIN, SITE, outside)
    assert not verdict([], "win@a.casino.example", SITE, outside)


def spam(number: int = 1, sender: str = WIN, **more: str) -> bytes:
    raw = mail(sender=f"Win <{sender}>", subject=f"Win {number}", message_id=f"<{number}@casino.example>", **more)
    return b"X-Spam-Flag: YES\r\n" + raw


def test_junk_waits_without_number_answer_or_clock_and_opens_by_one_click(house: House) -> None:
    came = house.now
    spool_id = house.receive(spam(), sender=WIN, peer="127.0.0.1")
    away = mail(sender=f"Eve <{WIN}>", subject="Out of office: x", headers="Auto-Submitted: auto-replied", message_id="<a@x>")
    house.receive(away, sender="")
    assert not house.sent()
    assert house.store.by_number(1) is None
    assert house.store.spool_row(spool_id).outcome == Outcome.JUNK
    house.now = datetime(2026, 11, 24, 7, 59, tzinfo=UTC)
    house.engine.digest(house.now)
    assert [one for one in house.sent() if one.item.template == "junk"] == []
    house.forward(minutes=2)
    house.engine.digest(house.now)
    sent = [one for one in house.sent() if one.item.template == "junk"]
    assert sorted(one.item.recipient for one in sent) == [JANE, KIM]
    told = of(sent, "junk", JANE)
    assert "Win 1" in told.text
    assert "x-spam-flag: YES" in told.text
    house.engine.digest(house.now)
    assert [one for one in house.sent() if one.item.template == "junk"] == [], "once a day"
    link = re.search(r"mailto:(\S+?)\?subject=not", told.text)
    assert link
    for number in (1, 2):
        raw = mail(sender=f"Jane <{JANE}>", to=link[1], subject="not junk", text="", message_id=f"<n{number}@staff.example>")
        house.receive(proven(raw), to=link[1], sender=JANE, peer="127.0.0.1")
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.opened_at == came, "with its original time"
    assert house.store.by_number(2) is None
    assert {"acknowledgement", "opened"} <= {one.item.template for one in house.sent()}
    assert house.store.audit_counts().closes


def test_junk_whose_bytes_are_gone_opens_nothing(house: House) -> None:
    """It was too old before somebody answered the list that names it."""
    spool_id = house.receive(spam(), sender=WIN, peer="127.0.0.1")
    house.now = datetime(2026, 11, 24, 8, 1, tzinfo=UTC)
    house.engine.digest(house.now)
    link = re.search(r"mailto:(\S+?)\?subject=not", of(house.sent(), "junk", JANE).text)
    assert link
    house.store.drop_spool(spool_id, "retention", house.now)
    house.store.forget_holds(spool_id)
    raw = mail(sender=f"Jane <{JANE}>", to=link[1], subject="not junk", text="", message_id="<n1@staff.example>")
    house.receive(proven(raw), to=link[1], sender=JANE, peer="127.0.0.1")
    for _ in range(4):
        house.forward(minutes=1)
        house.settle()
    assert house.store.spool_row(spool_id).outcome == Outcome.JUNK
    (told,) = house.sent()
    assert (told.item.template, told.item.recipient) == ("receipt", JANE)
    assert "does not wait any more" in told.text
    assert house.store.by_number(1) is None
    assert not house.store.requeue_spool(spool_id, house.now)


def test_known_contacts_and_participants_are_never_set_aside(house: House) -> None:
    house.receive(spam(1, "boss@acme.example"), sender="boss@acme.example", peer="127.0.0.1")
    sent = house.sent()
    ack = of(sent, "acknowledgement", "boss@acme.example")
    address = ack["Reply-To"].rpartition("<")[2].rstrip(">")
    raw = mail(sender="Boss <boss@acme.example>", to=address, subject=ack["Subject"], message_id="<2@acme.example>",
               headers=f"In-Reply-To: {ack['Message-ID']}")
    house.receive(b"X-Spam-Flag: YES\r\n" + raw, to=address, sender="boss@acme.example", peer="127.0.0.1")
    assert {one.item.template for one in house.sent()} == {"notice"}


def word(house: House, text: str, number: int, message_id: str) -> str:
    raw = mail(sender=f"Kim <{KIM}>", to="support-comment@example.com", subject=f"[Example #{number}] x", text=text, message_id=message_id)
    house.receive(proven(raw), to="support-comment@example.com", sender=KIM, peer="127.0.0.1")
    return " ".join(of(house.sent(), "receipt", KIM).text.split())


def test_the_word_spam_closes_silently_and_learns_the_sender(house: House) -> None:
    house.receive(mail(sender=f"Win <{WIN}>", message_id="<1@casino.example>"), sender=WIN)
    house.sent()
    assert f"mail of {WIN} is junk from now on" in word(house, "spam", 1, "<k1@staff.example>")
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.status == "rejected"
    assert all(clock.state.value == "void" for clock in ticket.clocks if clock.settled_at is None or clock.state.value == "void")
    spool_id = house.receive(mail(sender=f"Win <{WIN}>", subject="Again", message_id="<2@casino.example>"), sender=WIN)
    assert house.store.spool_row(spool_id).outcome == Outcome.JUNK
    assert not house.sent()
    word(house, "undo", 1, "<k2@staff.example>")
    spool_id = house.receive(mail(sender=f"Win <{WIN}>", subject="Third", text="New.", message_id="<3@casino.example>"), sender=WIN)
    assert house.store.spool_row(spool_id).outcome == Outcome.EVENT, "taken back"


def test_spam_of_a_known_house_closes_and_learns_nothing(house: House) -> None:
    house.receive(mail())
    house.sent()
    assert "is known here" in word(house, "spam", 1, "<k1@staff.example>")
    assert house.store.spool_row(house.receive(mail(subject="Next", message_id="<2@acme.example>"))).outcome == Outcome.EVENT
