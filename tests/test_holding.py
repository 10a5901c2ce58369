"""Mails that claim to be a colleague's: he is asked, and whoever forges a thousand of them causes no thousand mails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail.store import Outcome
from tests.fakes.house import House, mail

JANE, KIM = "jane@staff.example", "kim@staff.example"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def forged(house: House, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        house.receive(mail(sender=f"Jane Doe <{JANE}>", subject=f"Forged {number}", text=f"Words {number}.",
                           message_id=f"<f{number}@evil.example>"), sender="x@evil.example")


def test_a_flood_of_claims_is_one_mail_an_hour(house: House) -> None:
    forged(house, 30)
    (asked,) = house.sent()
    assert "Forged 0" in asked.text, "the first one is asked about at once"
    assert "no trusted server vouches for the sender" in " ".join(asked.text.split())
    house.forward(hours=1)
    house.settle()
    (asked,) = house.sent()
    assert "Forged 29" in asked.text
    assert "Forged 9\n" not in asked.text
    assert "10 earlier ones wait as well" in asked.text
    house.forward(hours=1)
    house.settle()
    assert not house.sent(), "nothing new, nothing told"
    house.forward(hours=3)
    house.settle()
    (shown,) = house.sent()
    assert (shown.item.template, shown.item.recipient) == ("held-expired", KIM)
    assert "30 mails that nobody confirmed" in shown["Subject"]
    assert "And 10 more" in shown.text
    forged(house, 1, 30)
    house.forward(hours=5)
    house.settle()
    late = [one for one in house.sent() if one.item.template == "held-expired"]
    assert len(late) == 1
    assert "Forged 30" in late[0]["Subject"]
    assert "Words 29." not in late[0].text, "shown once"
    assert len(list(house.store.list_spool(Outcome.HELD, settled=False))) == 31


def test_a_failed_dmarc_is_named(house: House) -> None:
    house.receive(b"Authentication-Results: mx.example.com; dmarc=fail header.from=staff.example\r\n"
                  + mail(sender=f"Jane Doe <{JANE}>", message_id="<f@evil.example>"), sender="x@evil.example", peer="127.0.0.1")
    (asked,) = house.sent()
    assert "DMARC failed" in asked.text
