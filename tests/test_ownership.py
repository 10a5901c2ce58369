"""Who has a request, who hears of it, and two engineers who answer at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.house import House
from tests.fakes.staff import ANN, BOB, JANE, KIM, answered, clicked, opened, receivers, request, sent_to


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def party(house: House, key: str) -> int:
    return house.engine.office.directory.people[key].party


def test_a_take_tells_the_others_and_nobody_outside(house: House) -> None:
    notice = sent_to(opened(house, cc=ANN), JANE, "opened")
    sent = answered(house, notice, "take")
    assert request(house).owner == party(house, "jane")
    assert receivers(sent, "state") == {KIM}, "whose queue it was"
    assert {one.item.recipient for one in sent} == {KIM, JANE}, "and the receipt of her who took it"
    told = sent_to(sent, KIM, "state")
    assert "changed by Jane Doe" in told.text
    assert "Owner: Jane Doe" in told.text
    assert not receivers(answered(house, notice, "take"), "state"), "it was hers already"


def test_taking_what_is_anothers_tells_him(house: House) -> None:
    notices = opened(house)
    answered(house, sent_to(notices, JANE, "opened"), "take")
    sent = clicked(house, sent_to(notices, KIM, "opened"), "take")
    assert receivers(sent, "state") == {JANE}
    assert "Jane Doe -> Kim Lee" in sent_to(sent, JANE, "state").text
    assert "it was Jane Doe" in sent_to(sent, KIM, "receipt").text


@pytest.mark.parametrize("line", ["Owner: kim", "owner: kim@staff.example", "Owner: k.lee@staff.example", "OWNER: Kim Lee"])
def test_who_is_given_it_hears_so(house: House, line: str) -> None:
    sent = answered(house, sent_to(opened(house), JANE, "opened"), line)
    assert request(house).owner == party(house, "kim")
    assert "Kim Lee answers for it now" in sent_to(sent, KIM, "state").text
    assert not any(one.item.recipient == BOB for one in sent)


def test_given_back_the_queue_hears(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "take")
    sent = answered(house, notice, "untake")
    assert request(house).owner == 0
    assert "whoever can, takes it" in sent_to(sent, KIM, "state").text
    assert "nobody owned it already" in sent_to(answered(house, notice, "Owner: nobody"), JANE, "receipt").text


@pytest.mark.parametrize(("line", "why"), [("Owner: joe", "there is no colleague"), ("Owner: jane", "does not work in the queue sales")])
def test_who_cannot_have_it_is_refused(house: House, line: str, why: str) -> None:
    sent = answered(house, sent_to(opened(house, queue="sales"), KIM, "opened"), line)
    assert why in sent_to(sent, KIM, "receipt").text
    assert request(house).owner == 0
    assert not receivers(sent, "state")


def test_two_answers_at_once_are_both_sent_and_both_authors_hear(house: House) -> None:
    notices = opened(house)
    house.forward(minutes=4)
    answered(house, sent_to(notices, JANE, "opened"), "Please switch it off and on.")
    house.forward(minutes=2)
    sent = answered(house, sent_to(notices, KIM, "opened"), "Please send a picture.")
    assert "send a picture" in sent_to(sent, BOB, "words").text
    assert "Crossed with" not in sent_to(sent, BOB, "words").text
    assert "Crossed with Jane Doe, 09:04" in sent_to(sent, JANE, "notice").text
    assert "Crossed with Jane Doe, 09:04" in sent_to(sent, KIM, "receipt").text


def test_an_answer_to_what_was_seen_crosses_nothing(house: House) -> None:
    notices = opened(house)
    seen = answered(house, sent_to(notices, JANE, "opened"), "Please switch it off and on.")
    sent = answered(house, sent_to(seen, KIM, "notice"), "Crossing my fingers.\nKim", subject="Re: [Example #1] Printer down")
    assert not any("Crossed" in one.text for one in sent)
    again = answered(house, sent_to(notices, JANE, "opened"), "And tell me the version.")
    assert not any("Crossed" in one.text for one in again), "her own words cross nothing"


def test_a_crossing_reaches_even_a_colleague_who_gets_no_copies(house: House) -> None:
    notices = opened(house)
    answered(house, sent_to(notices, JANE, "opened"), "mute\n\nPlease switch it off and on.")
    answered(house, sent_to(notices, KIM, "opened"), "take")
    sent = answered(house, sent_to(notices, KIM, "opened"), "Please send a picture.")
    assert "Crossed with Jane Doe" in sent_to(sent, JANE, "notice").text
