"""Customers whose addresses the old rules cannot write: letters of any script (SMTPUTF8), dots where none may stand, other domains."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind, Role
from rtmail.store.outbox import Failed
from tests.fakes.daemon import next_date, reply
from tests.fakes.house import House, Sent, mail
from tests.fakes.staff import JANE, KIM, address_of, answered, fresh_id, receivers, request, sent_to, trusted

WIDE = "jürgen@bücher.example"
WIDE_SPEC = "jürgen@xn--bcher-kva.example"
DOTS = '"a..b"@docomo.ne.jp'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def opened(house: House, who: str, **fields: str) -> list[Sent]:
    house.receive(mail(sender=f"Jürgen B. <{who}>", message_id=fresh_id("a@acme.example"), **fields), sender=who)  # type: ignore[arg-type]
    return house.sent()


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        (WIDE, WIDE_SPEC),
        ("jane@bücher.example", "jane@xn--bcher-kva.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("a..b@docomo.ne.jp", DOTS),
        (DOTS, DOTS),
        ("a.@docomo.ne.jp", '"a."@docomo.ne.jp'),
    ],
)
def test_such_a_customer_is_acknowledged_answered_and_heard(house: House, written: str, spec: str) -> None:
    sent = opened(house, written)
    assert sent_to(sent, spec, "acknowledgement")
    words = sent_to(answered(house, sent_to(sent, JANE), "We are on it."), spec, "words")
    shown = message_from_bytes(words.item.raw, policy=default.clone(utf8=True))
    raw = words.item.raw.decode()
    assert f"<{spec}>" in raw.partition("\r\n\r\n")[0]
    assert words.item.raw.isascii() is spec.isascii()
    assert "We are on it." in shown.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    # He answers, and is who he was: a participant of his own request.
    back = reply(words.item.raw, "Thank you, it still smokes.", sender="x@y.z", message_id=fresh_id("a@acme.example"))
    back = back.replace(b"From: x@y.z", f"From: Bob <{written}>".encode())
    house.receive(back, to=address_of(words["Reply-To"]), sender=written)
    assert "still smokes" in sent_to(house.sent(), JANE, "notice").text
    ticket = request(house)
    assert [one.address for one in ticket.people(Role.REQUESTOR)] == [spec]
    assert not ticket.people(Role.CC)
    kinds = [event.kind for event, content in house.store.events(ticket.id) if content and "smokes" in content.text]
    assert kinds == [EventKind.CORRESPONDENCE]


def test_who_has_an_old_address_is_not_shown_one_that_his_servers_may_not_know(house: House) -> None:
    sent = opened(house, WIDE, headers="Cc: ann@acme.example, nørd@acme.example")
    went = answered(house, sent_to(sent, JANE), "We are on it.")
    ann = sent_to(went, "ann@acme.example", "words")
    assert ann.item.raw.isascii()
    assert "ann@acme.example" in ann["To"] + ann["Cc"]
    both = sent_to(went, WIDE_SPEC, "words").item.raw.decode().partition("\r\n\r\n")[0]
    assert WIDE_SPEC in both
    assert "ann@acme.example" in both


@pytest.mark.parametrize("spec", ["\u212aim@staff.example", "ｋim@staff.example", "jané@staff.example", '"jane"@staff.example'])
def test_nobody_becomes_staff_by_another_spelling(house: House, spec: str) -> None:
    raw = mail(sender=f"Kim Lee <{spec}>", text="list", message_id=fresh_id(KIM), date=next_date())
    proven = b"Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example\r\n" + raw
    if spec.startswith('"'):
        # The same mailbox to every reader, and Jane's: what trusted servers prove of it counts.
        house.receive(raw, sender="x@evil.example", peer="127.0.0.1")
        assert [one.item.template for one in house.sent()] == ["held"]
        return
    house.receive(proven, sender="x@evil.example", peer="127.0.0.1")
    assert not [one for one in house.sent() if one.item.template == "receipt"]


def test_a_relay_that_cannot_is_told_of(house: House) -> None:
    """5.6.7: the request says so, the author of the words hears of it, and of the acknowledgement its staff."""
    house.receive(mail(sender=f"Jürgen <{WIDE}>", message_id=fresh_id("a@acme.example")), sender=WIDE)
    first = refused(house)
    assert first
    fates = answered_by_relay(house)
    told = sent_to(fates, JANE, "undeliverable")
    assert "5.6.7" in told.text
    assert "SMTPUTF8" in " ".join(told.text.split())
    assert receivers(fates, "undeliverable") == {JANE, KIM}, "nobody owns it yet"
    facts = [event.facts for event, _ in house.store.events(1) if event.kind is EventKind.DELIVERY]
    assert [(one["outcome"], one["status"], one["template"]) for one in facts] == [("failed", "5.6.7", "acknowledgement")]
    # The engineer's words: he alone hears of them, and once.
    house.forward(minutes=5)
    notice = sent_to(house.sent(), JANE, "opened")
    raw = trusted(reply(notice.item.raw, "We are on it.", sender=f"Jane Doe <{JANE}>", message_id=fresh_id(JANE)), JANE)
    house.receive(raw, to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    assert refused(house) == [WIDE_SPEC]
    fates = answered_by_relay(house)
    assert receivers(fates, "undeliverable") == {JANE}
    assert "5.6.7" in sent_to(fates, JANE, "undeliverable").text


def refused(house: House) -> list[str]:
    """The relay offers no SMTPUTF8: what needs it fails; returns to whom."""
    found = []
    for item in house.store.lease_outbox("relay", house.now, 50, 60):
        if not item.recipient.isascii():
            house.store.settle_outbox(item, Failed("the relay does not know SMTPUTF8, which this address needs", "5.6.7"), house.now)
            found.append(item.recipient)
    return found


def answered_by_relay(house: House) -> list[Sent]:
    while house.engine.report(house.now):
        pass
    return house.sent()
