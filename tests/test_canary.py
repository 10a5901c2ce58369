"""The canary flies on time, once for all daemons, and the admin hears once that it is missed and once that it is back."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.engine.canary import TEMPLATE, Heard, Settings
from rtmail.store import Pausable
from tests.fakes.house import House, Sent

EVERY, WITHIN = timedelta(minutes=10), timedelta(minutes=5)
SETTINGS = Settings(EVERY, WITHIN, "support")


def look(house: House, **lengths: float) -> Heard | None:
    house.forward(**lengths)
    return house.engine.canary(SETTINGS, house.now)


def flown(house: House) -> Sent:
    """The one mail that went out, a canary."""
    (one,) = house.sent()
    assert one.item.template == TEMPLATE
    return one


def back(house: House, sent: Sent) -> None:
    house.receive(sent.item.raw, "support@example.com", sent.item.envelope_sender)


def told(house: House) -> list[str]:
    return [sent["Subject"] for sent in house.sent() if sent.item.template == "admin-notice"]


def test_one_that_comes_back_is_measured_and_opens_nothing(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        assert look(house) is None
        sent = flown(house)
        assert (sent.item.recipient, sent["Auto-Submitted"]) == ("support@example.com", "auto-generated")
        assert look(house, seconds=40) is None
        back(house, sent)
        heard = look(house, seconds=2)
        assert heard is not None
        assert heard.round_trip == timedelta(seconds=40)
        assert timedelta(0) <= heard.answer < WITHIN
        assert look(house, seconds=2) is None, "heard once"
        assert house.sent() == []
        assert list(house.store.list_tickets()) == []
        look(house, minutes=10)
        assert flown(house)["Message-ID"] != sent["Message-ID"]


def test_one_that_is_missed_is_told_once_until_one_comes_back(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        look(house)
        flown(house)
        look(house, minutes=5)
        assert told(house) == []
        look(house, seconds=1)
        assert told(house) == ["The canary mail did not come back"]
        for _ in range(3):
            look(house, minutes=5)
            look(house, minutes=5)
            sent = flown(house)
        back(house, sent)
        assert look(house, seconds=2) is not None
        assert told(house) == ["The canary mail comes back again"]
        flight = house.store.flight()
        assert flight is not None
        assert not flight.missed


def test_what_a_person_paused_is_not_missed(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        look(house)
        flown(house)
        house.store.pause(Pausable.INGRESS, "root", house.now)
        look(house, hours=2)
        assert house.sent() == [], "neither a notice nor the next one"


@pytest.mark.parametrize("what", [Pausable.INGRESS, Pausable.OUTBOX])
def test_one_that_a_pause_held_up_is_not_missed_afterwards(tmp_path: Path, what: Pausable) -> None:
    with closing(House(tmp_path)) as house:
        look(house)
        house.store.pause(what, "root", house.now)
        look(house, seconds=2)
        house.forward(minutes=6)
        house.store.resume(what, house.now)
        look(house)
        late = flown(house)
        back(house, late)
        look(house, seconds=2)
        assert house.sent() == []
        look(house, minutes=4)
        back(house, flown(house))
        assert look(house, seconds=2) is not None


def test_two_daemons_send_one(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        look(house)
        house.engine.canary(SETTINGS, house.now)
        flown(house)


def test_none_flies_where_none_is_wanted(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        assert house.engine.canary(Settings(timedelta(0), WITHIN, "support"), house.now) is None
        assert house.sent() == []
