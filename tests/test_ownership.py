"""Who has a request, who hears of it, and two engineers who answer at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from rtmail.desk.duty import Roster, read_days, read_shift
from tests.fakes.house import House, Sent, blueprint
from tests.fakes.staff import ANN, BOB, EVE, JANE, KIM, answered, clicked, flat, opened, receivers, request, sent_to, told_us


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


def test_who_gives_it_to_somebody_who_is_away_hears_that(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    told_us(house, KIM, "away until 2 Dec")
    assert "Kim Lee owns it now, and is told, but is away" in flat(sent_to(answered(house, notice, "Owner: kim"), JANE, "receipt"))


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


# -- who gets a new request ------------------------------------------------------------------------------------------


def arranged(tmp_path: Path, *, dates: Mapping[str, str] | None = None, policy: str = "default", **keys: str) -> House:
    """A house whose support queue has these keys; a roster "support" is there where `keys` name it."""
    plan = blueprint(policy=policy)
    queues = {**plan.directory.queues, "support": replace(plan.directory.queues["support"], **keys)}
    days = tuple(read_days(key, (people,)) for key, people in (dates or {}).items())
    roster = Roster("support", ZoneInfo("Europe/Berlin"), (read_shift("mon-fri 09:00-18:00", ("jane", "kim")),), days)
    return House(tmp_path, replace(plan, directory=replace(plan.directory, queues=queues, rosters={"support": roster})))


def owners(house: House) -> list[str]:
    people = house.engine.office.directory
    numbers = range(1, 1 + max((one.number for one in house.store.tickets(range(1, 100)).values()), default=0))
    return [person.key if (person := people.by_party(request(house, number).owner)) else "" for number in numbers]


def test_new_requests_go_round_the_queue(tmp_path: Path) -> None:
    house = arranged(tmp_path, assign="round-robin")
    for number in range(4):
        sent = opened(house, subject=f"Case {number}")
        assert receivers(sent, "opened") == {[JANE, KIM][number % 2]}, "who has it hears of it, and nobody else"
        assert "answers for it: in turn" in next(one for one in sent if one.item.template == "opened").text
    assert owners(house) == ["jane", "kim", "jane", "kim"]
    opened(house, queue="sales", subject="Another queue")
    assert owners(house)[-1] == "", "which has no such rule"
    assert not {clock.name: clock for clock in request(house).clocks}["first-response"].settled_at, "given is not taken"
    house.close()


def test_whoever_is_away_is_passed_over(tmp_path: Path) -> None:
    house = arranged(tmp_path, assign="round-robin")
    told_us(house, JANE, "away until 2 Dec")
    opened(house, subject="One")
    opened(house, subject="Two")
    assert owners(house) == ["kim", "kim"]
    told_us(house, KIM, "away until 2 Dec")
    assert receivers(opened(house, subject="Three"), "opened") == {JANE, KIM}, "nobody is there: everybody hears"
    assert owners(house)[-1] == ""
    house.close()


def test_new_requests_go_to_who_is_on_duty(tmp_path: Path) -> None:
    house = arranged(tmp_path, assign="duty", duty="support", dates={"2026-11-24": "max"})
    opened(house, subject="On Monday")
    house.forward(days=1)
    opened(house, subject="On a date of its own")
    house.forward(days=6)
    opened(house, subject="A week later")
    house.forward(hours=12)
    assert receivers(opened(house, subject="At night"), "opened") == {JANE, KIM}
    assert owners(house) == ["jane", "max", "kim", ""]
    house.close()


def test_what_nobody_owns_nudges_who_is_on_duty_alone(tmp_path: Path) -> None:
    house = arranged(tmp_path, duty="support")
    assert receivers(opened(house), "opened") == {JANE, KIM}
    house.forward(minutes=100)
    house.sweep()
    assert receivers(house.sent(), "nudge") == {JANE}
    house.close()


def test_a_colleague_may_split_off_a_request_that_goes_round_too(tmp_path: Path) -> None:
    house = arranged(tmp_path, assign="round-robin")
    notice = sent_to(opened(house), JANE, "opened")
    words = sent_to(answered(house, notice, "Which one?"), BOB, "words")
    answered(house, words, "Let me in.", who=EVE)
    assert house.engine.command(1, "split", "root", house.now)[0]["done"]
    assert owners(house) == ["jane", "kim"]
    house.close()


# -- what nobody has -------------------------------------------------------------------------------------------------


def shouts(house: House, **lengths: float) -> set[str]:
    house.forward(**lengths)
    house.sweep()
    return receivers(house.sent(), "unowned")


def urgent(house: House) -> Sent:
    """Request 1, urgent and nobody's; returns Jane's notice of it."""
    notice = sent_to(opened(house), JANE, "opened")
    house.engine.command(1, "Priority: urgent", "root", house.now)
    house.sent()
    return notice


def test_an_urgent_request_that_nobody_has_shouts_until_somebody_takes_it(house: House) -> None:
    notice = urgent(house)
    assert shouts(house, minutes=14) == set()
    assert shouts(house, minutes=1) == {JANE, KIM}
    assert shouts(house, minutes=14) == set()
    assert shouts(house, minutes=1) == {JANE, KIM}
    assert shouts(house, hours=3) == {JANE, KIM}, "after an outage once"
    assert shouts(house, minutes=15) == {JANE, KIM}
    answered(house, notice, "take")
    assert all(shouts(house, minutes=15) == set() for _ in range(4))
    answered(house, notice, "untake")
    assert shouts(house, minutes=15) == {JANE, KIM}
    assert house.store.replayed(request(house).id).fields == request(house).fields


def test_one_click_takes_what_shouts(house: House) -> None:
    urgent(house)
    house.forward(minutes=15)
    house.sweep()
    told = sent_to(house.sent(), KIM, "unowned")
    assert told["Subject"] == "[Example #1] Nobody has it, urgent: Printer down"
    assert "Bob Roe <bob@acme.example>" in told.text
    clicked(house, told, "take")
    assert request(house).owner == party(house, "kim")
    assert "It is on its way." in sent_to(answered(house, told, "It is on its way."), BOB, "words").text, "an answer goes to the customer"


def test_only_what_waits_for_us_and_is_urgent_shouts(house: House) -> None:
    urgent(house)
    house.engine.command(1, "wait", "root", house.now)
    assert shouts(house, hours=1) == set()
    house.engine.command(1, "reopen", "root", house.now)
    house.engine.command(1, "Priority: normal", "root", house.now)
    assert shouts(house, hours=1) == set()
    house.engine.command(1, "Priority: urgent", "root", house.now)
    house.engine.command(1, "resolve", "root", house.now)
    assert shouts(house, hours=1) == set()


def test_duty_hears_what_it_muted(tmp_path: Path) -> None:
    house = arranged(tmp_path, duty="support")
    notice = urgent(house)
    answered(house, notice, "mute")
    assert shouts(house, minutes=15) == {JANE}
    house.close()


# -- two at once, where the queue wants to be asked -------------------------------------------------------------------


def test_an_answer_that_crossed_waits_for_its_authors_word(tmp_path: Path) -> None:
    house = arranged(tmp_path, crossed="ask")
    notices = opened(house)
    house.forward(minutes=4)
    answered(house, sent_to(notices, JANE, "opened"), "Please switch it off and on.")
    sent = answered(house, sent_to(notices, KIM, "opened"), "Status: waiting\n\nPlease send a picture.")
    assert receivers(sent, "words") == set()
    asked = sent_to(sent, KIM, "asked")
    assert "crossed with Jane Doe, 09:04" in " ".join(asked.text.split())
    assert request(house).status == "open", "nothing is done before he says what he meant"
    sent = clicked(house, asked, "send to the customer")
    assert "send a picture" in sent_to(sent, BOB, "words").text
    assert "Crossed with Jane Doe" in sent_to(sent, JANE, "notice").text
    assert request(house).status == "waiting"
    house.close()
