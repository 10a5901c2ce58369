"""What is asked of the customer: the list, what ticks it, reminders on their own cadence, closing with a word, and what ends the wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.fields.filled import asked, still_asked
from rtmail.desk.promised.awaiting import answered as answers
from rtmail.errors import PolicyError
from rtmail.policy.clocks import ClockKind, State
from rtmail.policy.schema import parse
from tests.fakes.house import ROOT, House, Sent, blueprint, mail
from tests.fakes.staff import BOB, JANE, KIM, NAMES, answered, clicked, fresh_id, opened, out_of_office, receivers, request, sent_to

ASKING = """
[asking]
remind_every = "2h"
remind_times = 2
close_after = "3h"
"""


def house_of(folder: Path, asking: str = ASKING) -> House:
    base = blueprint()
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    return House(folder, replace(base, policies=dict.fromkeys(base.directory.queues, parse(f"{text}\n{asking}", "default.toml"))))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = house_of(tmp_path)
    yield one
    one.close()


def asked_for(house: House, *lines: str, words: str = "We need to see more.") -> tuple[Sent, Sent]:
    """Staff ask; return the mail to the customer and the notice that they answered."""
    notice = sent_to(opened(house), JANE, "opened")
    said = "\n".join(f"ask: {line}" for line in lines or ("log of the gateway", "the version"))
    sent = answered(house, notice, f"{said}\n\n{words}" if words else said)
    return sent_to(sent, BOB, "asking"), notice


def later(house: House, hours: float) -> list[Sent]:
    house.forward(hours=hours)
    house.sweep()
    return house.sent()


def to_bob(sent: list[Sent]) -> list[Sent]:
    return [one for one in sent if one.item.recipient == BOB]


def left(house: House) -> list[str]:
    return [one["text"] for one in still_asked(request(house))]


def test_the_list_goes_out_with_the_words_and_the_clocks_stand(house: House) -> None:
    told, _ = asked_for(house)
    flat = " ".join(told.text.split())
    assert "We need to see more." in flat
    assert "1. log of the gateway" in flat
    assert "2. the version" in flat
    assert told["From"].startswith("Jane Doe via Example"), "a person wrote it"
    assert request(house).status == "waiting"
    assert {c.state for c in request(house).clocks if c.kind is ClockKind.UPDATE} == {State.PAUSED}
    first = next(c for c in request(house).clocks if c.kind is ClockKind.FIRST_RESPONSE)
    assert first.state is State.MET, "asking is an answer"


def test_without_words_the_list_goes_alone(house: House) -> None:
    told, _ = asked_for(house, "a picture", words="")
    assert told["Auto-Submitted"] == "auto-generated"
    assert "1. a picture" in told.text


def test_the_customers_answer_ends_the_wait_and_ticks_what_it_answers(house: House) -> None:
    told, _ = asked_for(house)
    sent = answered(house, told, "2. It is 4.2, the log follows.", who=BOB, proven=False)
    assert request(house).status == "open"
    notice = " ".join(sent_to(sent, JANE, "notice").text.split())
    assert "Answers 2 of what was asked for. - Still asked for: 1. log of the gateway. `got 1` ticks it." in notice
    assert left(house) == ["log of the gateway"]
    answered(house, sent_to(sent, JANE, "notice"), "got 1")
    assert left(house) == []


TICKS = {
    "numbers": ("1: attached\n2) it is 4.2", [1, 2]),
    "between the lines": ("> 1. log of the gateway\nhere it is\n>\n> 2. the version\n", [1]),
    "below both": ("> 1. log of the gateway\n>\n> 2. the version\n\n4.2\n", [2]),
    "behind a quoted line": ("> 2. the version: 4.2", [2]),
    "nothing of the kind": ("I will look for it in 2 days.", []),
    "a number that was not asked": ("7. lucky", []),
    "the list copied": ("1. log of the gateway\n2. the version", []),
}


@pytest.mark.parametrize("case", TICKS, ids=str)
def test_what_an_answer_ticks(case: str) -> None:
    text, wanted = TICKS[case]
    rows = [{"number": 1, "text": "log of the gateway", "got": False}, {"number": 2, "text": "the version", "got": False}]
    assert answers(text, text, rows) == wanted


@pytest.mark.parametrize(("rule", "ticked"), [("answer", 2), ("staff", 0), ("numbers", 1)])
def test_the_policy_says_what_ticks(tmp_path: Path, rule: str, ticked: int) -> None:
    house = house_of(tmp_path, f'{ASKING}ticked_by = "{rule}"\n')
    told, _ = asked_for(house)
    answered(house, told, "1. attached", who=BOB, proven=False)
    assert sum(one["got"] for one in asked(request(house))) == ticked
    house.close()


def test_he_is_reminded_on_the_policys_cadence_and_then_it_is_closed_with_a_word(house: House) -> None:
    asked_for(house)
    assert to_bob(later(house, 1.9)) == []
    first = sent_to(later(house, 0.2), BOB)
    assert first.item.template == "reminder"
    assert "1. log of the gateway" in first.text
    assert "We need to see more." in first.text, "what we wrote last"
    assert "closed" not in first.text
    second = sent_to(later(house, 2), BOB)
    assert "Without an answer it is closed Mon 23 Nov 2026, 16:06 UTC." in " ".join(second.text.split())
    assert to_bob(later(house, 2.9)) == []
    sent = later(house, 0.1)
    last = sent_to(sent, BOB, "unanswered")
    assert "2. the version" in last.text
    assert receivers(sent, "state") == {JANE, KIM}
    assert request(house).status == "closed"
    assert to_bob(later(house, 100)) == [], "and that is all"
    clicked(house, last, "open it again")
    assert request(house).status == "open"


def test_after_an_outage_there_is_one_reminder(house: House) -> None:
    asked_for(house)
    assert [one.item.template for one in to_bob(later(house, 50))] == ["reminder"]
    assert request(house).status == "waiting"


def test_an_answer_begins_anew(house: House) -> None:
    told, notice = asked_for(house)
    later(house, 2.1)
    later(house, 2.1)
    answered(house, told, "I am looking for it.", who=BOB, proven=False)
    assert [one for one in later(house, 50) if one.item.recipient == BOB and one.item.template == "reminder"] == []
    answered(house, notice, "wait")
    assert receivers(later(house, 2), "reminder") == {BOB}, "a wait of its own"
    assert request(house).status == "waiting"


def test_an_automatic_reply_ends_nothing(house: House) -> None:
    told, _ = asked_for(house)
    out_of_office(house, told)
    assert request(house).status == "waiting"
    assert receivers(later(house, 2.1), "reminder") == {BOB}


def test_without_a_list_he_is_reminded_as_well(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "wait\n\nWhich printer is it?")
    reminder = sent_to(later(house, 2), BOB)
    assert "Which printer is it?" in reminder.text
    assert "Still missing" not in reminder.text


def test_who_waits_until_a_day_reminds_nobody(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "wait until Fri 9:00")
    assert not receivers(later(house, 30), "reminder")


def test_what_nobody_vouches_for_stops_closing_until_staff_looked(house: House) -> None:
    _, notice = asked_for(house)
    raw = mail(sender=f"{NAMES[BOB]} <{BOB}>", subject=notice["Subject"], text="Here it is.", message_id=fresh_id(BOB),
               headers="Authentication-Results: mx.example.com; dmarc=fail header.from=acme.example")
    house.receive(raw, sender=BOB, peer="127.0.0.1")
    house.sent()
    assert request(house).status == "waiting"
    assert not receivers(later(house, 20), "reminder")
    answered(house, notice, "comment\n\nI saw it.")
    assert receivers(later(house, 2), "reminder") == {BOB}


def test_a_short_policy_reminds_nobody(tmp_path: Path) -> None:
    house = house_of(tmp_path, "")
    asked_for(house)
    assert not receivers(later(house, 500), "reminder")
    assert request(house).status == "waiting"
    house.close()


def test_twice_the_same_is_asked_once_and_undo_unticks(house: House) -> None:
    _, notice = asked_for(house)
    sent = answered(house, notice, "ask: The Version")
    assert "it is asked for already" in sent_to(sent, JANE, "receipt").text
    assert not receivers(sent, "asking")
    refused = " ".join(sent_to(answered(house, notice, "got 9"), JANE, "receipt").text.split())
    assert "9 is not asked for; 1, 2 is" in refused
    answered(house, notice, "got all")
    assert left(house) == []
    answered(house, notice, "undo")
    assert left(house) == ["log of the gateway", "the version"]


def test_replay_gives_the_request_again(house: House) -> None:
    told, _ = asked_for(house)
    later(house, 2.1)
    answered(house, told, "1. attached", who=BOB, proven=False)
    found = request(house)
    assert house.store.replayed(found.id) == found


def test_it_is_erased_with_its_words(house: House) -> None:
    asked_for(house, "the SECRET log")
    found = request(house)
    for event, content in house.store.events(found.id):
        if content and event.facts.get("name") == "ask:1":
            house.store.erase_content(content.id)
    assert left(house) == ["[erased]"]
    assert house.store.replayed(found.id) == request(house)


def test_got_it_is_no_command(house: House) -> None:
    _, notice = asked_for(house)
    sent = answered(house, notice, "Got it, thanks.")
    assert "Got it, thanks." in sent_to(sent, BOB, "words").text


BAD = {
    "remind_times = 2": "asking.remind_times says not when",
    'remind_every = "0"': "asking.remind_every leaves no time to answer",
    'close_after = "0"': "asking.close_after leaves no time to answer",
    'ticked_by = "magic"': "asking.ticked_by is 'magic'",
}


@pytest.mark.parametrize("text", BAD, ids=BAD.get)
def test_mistakes_are_told(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f'name = "X"\n[asking]\n{text}\n[priorities.P1]\ncode = 1\n', "x.toml")
    assert BAD[text] in [problem.what for problem in caught.value.problems]


