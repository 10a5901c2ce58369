"""A captured command mail, sent again under another Message-ID: what it tells us to do is done once (promise 2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind, Status
from rtmail.store import Outcome
from tests.fakes.daemon import next_date, reply
from tests.fakes.house import House, Sent, mail
from tests.fakes.staff import BOB, JANE, KIM, address_of, answered, clicked, fresh_id, opened, request, sent_to, told_us, trusted

SAID = "this mail came before"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def again(house: House, raw: bytes, to: str, *, n: int = 0) -> int:
    """Somebody who has a copy sends it under a Message-ID of his; what was proven of it still is."""
    old = next(line for line in raw.split(b"\r\n") if line.lower().startswith(b"message-id:"))
    changed = raw.replace(old, f"Message-ID: <again{n}@evil.example>".encode())
    return house.receive(changed, to=to, sender="x@evil.example", peer="127.0.0.1")


def written(house: House, on: Sent, text: str) -> tuple[bytes, str]:
    """Jane's answer to a mail of ours, taken in: the bytes and where they went."""
    raw = trusted(reply(on.item.raw, text, sender=f"Jane Doe <{JANE}>", message_id=fresh_id(JANE)), JANE)
    to = address_of(on["Reply-To"])
    house.receive(raw, to=to, sender=JANE, peer="127.0.0.1")
    return raw, to


def jane(house: House) -> int:
    party = house.store.party_by_address(JANE)
    assert party is not None
    return party.id


def states(house: House) -> list[str]:
    return [str(event.facts.get("to")) for event, _ in house.store.events(1) if event.kind is EventKind.STATUS]


def test_a_hundred_replays_have_no_effect_and_the_author_hears_once_an_hour(house: House) -> None:
    notice = sent_to(opened(house), JANE)
    raw, to = written(house, notice, "Status: resolved\nPriority: P1")
    house.sent()
    assert request(house).status is Status.RESOLVED
    told_us(house, KIM, "reopen", subject="Re: [Example #1] Printer down", to="support-comment@example.com")
    house.sent()
    assert request(house).status is Status.OPEN
    went = states(house)
    spools = [again(house, raw, to, n=n) for n in range(100)]
    assert request(house).status is Status.OPEN
    assert states(house) == went
    (receipt,) = house.sent()
    assert receipt.item.recipient == JANE
    text = " ".join(receipt.text.split())
    assert text.count(SAID) == 2, "each of its lines"
    assert "its commands ran then. To run them again write a new mail" in text
    assert all(house.store.spool_row(spool).outcome == Outcome.IGNORED for spool in spools)
    house.forward(hours=1)
    again(house, raw, to, n=100)
    assert len(house.sent()) == 1
    assert house.store.audit_counts().closes


def test_the_same_words_in_a_new_mail_run_again(house: House) -> None:
    notice = sent_to(opened(house), JANE)
    answered(house, notice, "take")
    answered(house, notice, "untake")
    sent = answered(house, notice, "take")
    assert SAID not in sent_to(sent, JANE, "receipt").text
    assert request(house).owner == jane(house)


def test_the_words_beside_the_commands_go_out_once(house: House) -> None:
    notice = sent_to(opened(house), JANE)
    raw, to = written(house, notice, "take\n\nThe new toner is on its way.")
    assert sent_to(house.sent(), BOB, "words")
    again(house, raw, to)
    assert [one.item.recipient for one in house.sent()] == [JANE]


@pytest.mark.parametrize("text", ["list", "away until 2 Dec 2027"])
def test_commands_about_no_request_run_once_too(house: House, text: str) -> None:
    raw = trusted(mail(sender=f"Jane Doe <{JANE}>", subject="", text=text, message_id=fresh_id(JANE), date=next_date()), JANE)
    house.receive(raw, sender=JANE, peer="127.0.0.1")
    assert SAID not in house.sent()[0].text
    spool = again(house, raw, "support@example.com")
    (receipt,) = house.sent()
    assert SAID in " ".join(receipt.text.split())
    assert house.store.spool_row(spool).outcome == Outcome.IGNORED


def test_an_action_s_link_that_was_sent_is_spent_with_its_mail(house: House) -> None:
    notice = sent_to(opened(house), JANE)
    text = " ".join(notice.text.split())
    to = text.lower().partition("take: <mailto:")[2].partition("?")[0]
    raw = mail(sender=f"Jane Doe <{JANE}>", to=to, subject="take #1", text="", message_id=fresh_id(JANE), date=next_date())
    house.receive(raw, to=to, sender=JANE, peer="127.0.0.1")
    house.sent()
    answered(house, notice, "untake")
    again(house, raw, to)
    (receipt,) = house.sent()
    assert SAID in " ".join(receipt.text.split())
    assert not request(house).owner


def test_a_mail_whose_author_was_asked_runs_when_he_has_answered(house: House) -> None:
    notice = sent_to(opened(house), JANE)
    raw, to = written(house, notice, "take\nstauts: resolved\n\nWords.")
    question = sent_to(house.sent(), JANE, "asked")
    assert not request(house).owner, "it waits as a whole"
    assert SAID not in "".join(" ".join(one.text.split()) for one in clicked(house, question, "Send with the lines above in it"))
    assert request(house).owner == jane(house)
    again(house, raw, to)
    assert [one.item.template for one in house.sent()] == ["receipt"]


def test_an_unproven_copy_spoils_nothing(house: House) -> None:
    """Who only claims to be staff is held; the mail itself, when it comes, runs."""
    notice = sent_to(opened(house), JANE)
    raw = reply(notice.item.raw, "take", sender=f"Jane Doe <{JANE}>", message_id=fresh_id(JANE))
    house.receive(raw, to="support@example.com", sender="x@evil.example", peer="127.0.0.1")
    house.sent()
    again(house, trusted(raw, JANE), "support@example.com")
    assert request(house).owner == jane(house)


def test_a_mail_without_a_date_is_the_same_for_an_hour(house: House) -> None:
    notice = sent_to(opened(house), JANE)
    raw = reply(notice.item.raw, "take", sender=f"Jane Doe <{JANE}>", message_id=fresh_id(JANE))
    lines = raw.split(b"\r\n")
    raw = trusted(b"\r\n".join(line for line in lines if not line.startswith(b"Date:")), JANE)
    to = address_of(notice["Reply-To"])
    house.receive(raw, to=to, sender=JANE, peer="127.0.0.1")
    house.sent()
    for wait, said in ((timedelta(minutes=59), True), (timedelta(minutes=2), False)):
        house.now += wait
        again(house, raw, to, n=int(said))
        assert (SAID in " ".join(house.sent()[0].text.split())) is said
