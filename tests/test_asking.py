"""Mails that want nothing but an answer, or are one: where they end, so that the sum of outcomes closes over them too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail.desk.ticket import Event, EventKind
from rtmail.store import Held, Outcome
from tests.fakes.house import House, Sent, mail

BOB, JANE = "bob@acme.example", "jane@staff.example"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    assert one.store.audit_counts().closes
    one.close()


def proven(raw: bytes, domain: str = "staff.example") -> bytes:
    return f"Authentication-Results: mx.example.com; dmarc=pass header.from={domain}\r\n".encode() + raw


def asks(house: House, text: str, message_id: str = "<q1@staff.example>") -> tuple[int, list[Sent]]:
    """Jane writes to us alone."""
    raw = proven(mail(sender=f"Jane Doe <{JANE}>", subject="", text=text, message_id=message_id))
    spool = house.receive(raw, sender=JANE, peer="127.0.0.1")
    return spool, house.sent()


def outcome(house: House, spool: int) -> tuple[str, str]:
    row = house.store.spool_row(spool)
    return row.outcome, row.reason


def last(house: House, number: int) -> Event:
    ticket = house.store.by_number(number)
    assert ticket is not None
    assert house.store.replayed(ticket.id) == ticket
    return house.store.events(ticket.id)[-1][0]


def link(sent: Sent, label: str) -> str:
    _, found, rest = sent.text.partition(label)
    assert found, sent.text
    return rest.partition("<mailto:")[2].partition("?")[0]


def test_a_question_about_a_request_is_an_event_of_it(house: House) -> None:
    house.receive(mail())
    house.sent()
    spool, sent = asks(house, "show 1")
    assert [one.item.template for one in sent] == ["receipt"]
    assert outcome(house, spool) == (Outcome.EVENT, "commands about #1, answered")
    event = last(house, 1)
    assert (event.kind, event.facts["action"], event.message_id) == (EventKind.COMMAND, "show", "<q1@staff.example>")


@pytest.mark.parametrize("text", ["list", "away until 2 Dec", "show 99", "help"])
def test_a_question_about_none_is_answered_and_waits_for_nothing(house: House, text: str) -> None:
    spool, sent = asks(house, text)
    assert len(sent) == 1
    assert outcome(house, spool) == (Outcome.HELD, "commands about no request, answered")
    (hold,) = house.store.holds_of(spool)
    assert (hold.kind, hold.state) == ("errand", Held.ANSWERED)
    assert not list(house.store.list_spool(Outcome.HELD, settled=False)), "`rtmail held list` shows what waits"
    house.forward(hours=5)
    house.settle()
    assert not house.sent(), "nobody is reminded of it"


def test_a_participants_question_is_an_event_of_his_own_request_only(house: House) -> None:
    house.receive(mail())
    house.receive(mail(sender="Zoe <zoe@far.example>", message_id="<z@far.example>"), sender="zoe@far.example")
    house.sent()
    spool = house.receive(mail(subject="show 1", text="", message_id="<q1@acme.example>"))
    assert [one.item.recipient for one in house.sent()] == [BOB]
    assert outcome(house, spool) == (Outcome.EVENT, "questions about #1, answered")
    assert last(house, 1).kind is EventKind.COMMAND
    spool = house.receive(mail(subject="show 2", text="", message_id="<q2@acme.example>"))
    (answer,) = house.sent()
    assert "Zoe" not in answer.text
    assert outcome(house, spool) == (Outcome.HELD, "questions about no request, answered")
    assert last(house, 2).kind is not EventKind.COMMAND


def test_a_yes_to_a_mail_that_waits_is_an_event_of_its_request(house: House) -> None:
    house.receive(mail())
    house.sent()
    house.receive(mail(sender=f"Jane Doe <{JANE}>", subject="Re: [Example #1] Printer down", message_id="<x@evil.example>"),
                  sender="x@evil.example")
    (notice,) = house.sent()
    confirm, discard = link(notice, "I wrote this"), link(notice, "Not from me")
    spool = house.receive(mail(sender=f"Jane Doe <{JANE}>", to=confirm, subject="yes", text="", message_id="<y@staff.example>"),
                          to=confirm, sender=JANE)
    house.sent()
    assert outcome(house, spool)[0] == Outcome.EVENT
    assert "confirm-held" in [event.facts.get("action") for event, _ in house.store.events(1)]
    for again, said in ((confirm, []), (discard, ["that mail was let through before"])):
        spool = house.receive(mail(sender=f"Jane Doe <{JANE}>", to=again, subject="again", text="",
                                   message_id=f"<y{len(again)}{len(said)}@staff.example>"), to=again, sender=JANE)
        told = [" ".join(one.text.split()) for one in house.sent()]
        assert len(told) == len(said)
        assert all(words in text for words, text in zip(said, told, strict=True))
        assert outcome(house, spool)[0] == Outcome.EVENT


def test_a_yes_to_a_mail_about_no_request_is_held_as_answered(house: House) -> None:
    first = house.receive(mail(sender=f"Jane Doe <{JANE}>", subject="My chair", message_id="<x@evil.example>"), sender="x@evil.example")
    (notice,) = house.sent()
    discard = link(notice, "Not from me")
    spool = house.receive(mail(sender=f"Jane Doe <{JANE}>", to=discard, subject="no", text="", message_id="<y@staff.example>"),
                          to=discard, sender=JANE)
    assert not house.sent()
    assert outcome(house, first)[0] == Outcome.HELD
    assert outcome(house, spool) == (Outcome.HELD, f"discarded the held mail {first}")
    assert not list(house.store.list_spool(Outcome.HELD, settled=False))
