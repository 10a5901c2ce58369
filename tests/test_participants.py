"""Who hears of a request: Cc's and watchers, who comes in and who stays out, who wants no copies, and nobody twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail.desk.ticket import Role
from tests.fakes.house import House, Sent, mail
from tests.fakes.staff import (
    ANN,
    BOB,
    BOSS,
    EVE,
    JANE,
    KIM,
    MAX,
    NAMES,
    address_of,
    answered,
    clicked,
    fresh_id,
    opened,
    receivers,
    request,
    sent_to,
    trusted,
)

ALIAS = "bob.roe@home.example"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def once(sent: list[Sent]) -> list[Sent]:
    """What went out, where nobody has two mails about one event."""
    twice = Counter((one.item.recipient, one.item.ticket, one.item.event) for one in sent)
    assert not [who for who, count in twice.items() if count > 1], sent
    return sent


def ccs(house: House) -> set[str]:
    return {one.address for one in request(house).people(Role.CC)}


def writes(house: House, who: str, on: Sent, text: str, *, cc: str = "", to: str = "", proven: bool = True) -> list[Sent]:
    """`who` answers `on` with these people in To and Cc as well."""
    reply_to = address_of(on["Reply-To"])
    lines = [f"In-Reply-To: {on['Message-ID']}", *([f"Cc: {cc}"] if cc else [])]
    raw = mail(sender=f"{NAMES[who]} <{who}>", to=", ".join(filter(None, (reply_to, to))), subject=on["Subject"], text=text,
               message_id=fresh_id(who), headers="\n".join(lines))
    house.receive(trusted(raw, who) if proven else raw, to=reply_to, sender=who, peer="127.0.0.1")
    return once(house.sent())


def asked(house: House, cc: str = ANN) -> tuple[Sent, Sent]:
    """Request 1 that Jane answered: her notice, and Bob's copy of her words."""
    notice = sent_to(opened(house, cc=cc), JANE, "opened")
    return notice, sent_to(once(answered(house, notice, "Which one?")), BOB, "words")


# -- the circle ------------------------------------------------------------------------------------------------------


def test_who_stands_in_cc_stays_in_it_whoever_answers_to_whom(house: House) -> None:
    notice, words = asked(house)
    assert ccs(house) == {ANN}
    assert receivers(writes(house, BOB, words, "The red one."), "relayed") == {ANN}, "left out of his answer, she hears of it all the same"
    assert receivers(writes(house, BOB, words, "On floor 2.", cc=ANN), "relayed") == set(), "in it, she has it already"
    assert ccs(house) == {ANN}
    assert receivers(once(answered(house, notice, "We come.")), "words") == {BOB, ANN}


def test_reply_all_brings_people_in_and_keeps_them(house: House) -> None:
    notice, words = asked(house)
    writes(house, BOB, words, "My boss reads along.", cc=BOSS)
    assert ccs(house) == {ANN, BOSS}
    assert receivers(once(answered(house, notice, "Hello all.")), "words") == {BOB, ANN, BOSS}
    writes(house, BOB, words, "And she from the vendor.", cc=EVE, proven=False)
    assert ccs(house) == {ANN, BOSS}, "an outsider needs a proven word"
    writes(house, BOB, words, "She from the vendor.", cc=EVE)
    assert ccs(house) == {ANN, BOSS, EVE}


def test_whom_staff_removed_stays_out_until_a_word_of_theirs(house: House) -> None:
    notice, words = asked(house)
    answered(house, notice, f"DelCc: {ANN}")
    assert receivers(writes(house, BOB, words, "Ann too!", cc=ANN), "relayed") == set()
    assert ccs(house) == set()
    assert receivers(once(answered(house, notice, "Hm.")), "words") == {BOB}
    answered(house, notice, f"AddCc: {ANN}")
    assert receivers(once(answered(house, notice, "Well then.")), "words") == {BOB, ANN}


def test_a_watcher_gets_copies_until_he_is_taken_out(house: House) -> None:
    notice, words = asked(house)
    answered(house, notice, "take")
    answered(house, notice, "AddAdminCc: max")
    sent = writes(house, BOB, words, "The red one.")
    assert receivers(sent, "notice") == {JANE, MAX}
    answered(house, notice, "DelAdminCc: max")
    assert receivers(writes(house, BOB, words, "On floor 2."), "notice") == {JANE}


# -- what a mail says besides its words --------------------------------------------------------------------------------


def test_a_subject_of_his_own_is_read_by_staff_and_is_his_words_where_there_are_no_others(house: House) -> None:
    _, words = asked(house)
    said = sent_to(answered(house, words, "See above.", subject="New monitor needed"), JANE, "notice")
    assert "Subject: New monitor needed" in " ".join(said.text.split())
    alone = answered(house, words, "", subject="It smokes")
    assert "Subject: It smokes" in " ".join(sent_to(alone, JANE, "notice").text.split())
    assert sent_to(alone, ANN, "relayed").text.startswith("It smokes")
    unproven = writes(house, BOB, words, "Hello?", proven=False)
    assert "Subject:" not in sent_to(unproven, JANE, "notice").text, "ours is none of his"


@pytest.mark.parametrize("subject", ["AW: [EXTERNAL] printer down", "Printer do", "", "Re: [Example #1] Printer down (was: a jam)"])
def test_the_request_s_own_subject_is_no_news(house: House, subject: str) -> None:
    _, words = asked(house)
    assert "Subject:" not in sent_to(answered(house, words, "Any news?", subject=subject), JANE, "notice").text


def test_a_mail_without_anything_to_read_is_passed_on_to_nobody(house: House) -> None:
    _, words = asked(house)
    assert {one.item.template for one in answered(house, words, "")} == {"notice"}


def test_staff_read_who_wrote_what_is_to_be_answered_elsewhere(house: House) -> None:
    raw = mail(sender="Gus Roe <gus@lists.example>", message_id=fresh_id(BOB), headers="Reply-To: users@lists.example")
    house.receive(raw, sender="gus@lists.example")
    assert "Written by Gus Roe <gus@lists.example>, who asks for answers" in " ".join(sent_to(house.sent(), JANE, "opened").text.split())


def test_who_answers_words_from_outside_hears_that_they_stay_inside(house: House) -> None:
    _, words = asked(house)
    raw = mail(sender=f"{NAMES[EVE]} <{EVE}>", subject=words["Subject"], text="I repair printers.", message_id=fresh_id(EVE),
               headers=f"In-Reply-To: {words['Message-ID']}")
    house.receive(trusted(raw, EVE), to=address_of(words["Reply-To"]), sender=EVE)
    notice = sent_to(house.sent(), JANE, "notice")
    told = sent_to(answered(house, notice, "Come at noon, please."), JANE, "receipt")
    assert "who wrote from outside does not have them" in " ".join(told.text.split())


def test_who_answers_a_receipt_hears_that_nobody_has_his_words(house: House) -> None:
    notice, _ = asked(house)
    receipt = sent_to(answered(house, notice, "take"), JANE, "receipt")
    told = sent_to(answered(house, receipt, "We come at noon."), JANE, "receipt")
    assert "nobody else on this request has a copy" in " ".join(told.text.split())
    answered(house, notice, "AddAdminCc: kim")
    heard = answered(house, receipt, "Kim knows the house.")
    assert {one.item.recipient for one in heard} == {KIM}, "a comment that a colleague reads is no news"


# -- nobody twice ----------------------------------------------------------------------------------------------------


def test_a_colleague_who_asks_for_something_is_one_person(house: House) -> None:
    raw = mail(sender=f"Jane Doe <{JANE}>", subject="My chair", text="It squeaks.", message_id=fresh_id(JANE))
    house.receive(trusted(raw, JANE), sender=JANE, peer="127.0.0.1")
    sent = once(house.sent())
    assert sorted((one.item.template, one.item.recipient) for one in sent) == [("acknowledgement", JANE), ("opened", KIM)]
    sent = once(answered(house, sent_to(sent, KIM, "opened"), "Which chair?"))
    assert [one.item.template for one in sent if one.item.recipient == JANE] == ["words"]
    answered(house, sent_to(sent, JANE, "words"), "The blue one.")
    assert once(answered(house, sent_to(sent, JANE, "words"), "With wheels."))


def test_many_roles_and_many_spellings_are_one_person(house: House) -> None:
    notice, _ = asked(house, cc=f"{ANN}, Ann <Ann@ACME.example>, {BOB}")
    answered(house, notice, f"AddRequestor: {ANN}")
    answered(house, notice, "take\nAddAdminCc: jane\nAddAdminCc: kim")
    sent = once(answered(house, notice, "We come."))
    assert Counter(one.item.recipient for one in sent) == Counter([BOB, ANN, KIM])


def test_a_known_person_under_another_address_has_had_the_mail(house: House) -> None:
    notice, _ = asked(house)
    bob = house.store.party_by_address(BOB)
    assert bob is not None
    assert house.store.add_address(bob.id, ALIAS, house.now, verified=True)
    sent = writes(house, JANE, notice, "We come.", to=f"Bob <{ALIAS}>")
    assert receivers(sent, "words") == {ANN}
    assert ccs(house) == {ANN}, "nor does he join a second time"
    sent = writes(house, JANE, notice, "Tomorrow.", cc="K.Lee@staff.example")
    assert not receivers(sent, "notice")


def test_who_reads_two_merged_requests_gets_one_copy(house: House) -> None:
    first = sent_to(opened(house, cc=ANN), JANE, "opened")
    opened(house, who=ANN, subject="Same here", cc=BOB)
    assert house.engine.command(2, "merge 1", "root", house.now)[0]["done"]
    house.sent()
    assert Counter(one.item.recipient for one in once(answered(house, first, "One cause."))) == Counter([BOB, ANN, KIM])


# -- no copies, please -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["mute", "Unsubscribe.", "abmelden", "відписатися"])
def test_a_cc_stops_his_copies_by_a_word_and_has_them_again(house: House, word: str) -> None:
    notice, _ = asked(house)
    answered(house, notice, "take")
    copy = sent_to(answered(house, notice, "Hello."), ANN, "words")
    sent = answered(house, copy, word, who=ANN)
    assert [(one.item.template, one.item.recipient) for one in sent if one.item.recipient == JANE] == [("state", JANE)]
    assert not [one for one in sent if one.item.recipient == BOB], "his word is for us"
    assert receivers(answered(house, notice, "We come."), "words") == {BOB}
    answered(house, copy, "unmute", who=ANN)
    assert receivers(answered(house, notice, "We went."), "words") == {BOB, ANN}


def test_a_cc_stops_his_copies_by_the_link_in_each_of_them(house: House) -> None:
    notice, words = asked(house)
    relayed = sent_to(writes(house, BOB, words, "The red one."), ANN, "relayed")
    assert "No more mail about this request: <mailto:support+" in " ".join(relayed.text.split())
    assert "mailto:" not in words.text, "the requestor has none"
    clicked(house, relayed, "no more mail about this request")
    assert receivers(answered(house, notice, "We come."), "words") == {BOB}


def test_a_sentence_with_the_word_is_words(house: House) -> None:
    notice, _ = asked(house)
    copy = sent_to(answered(house, notice, "Hello."), ANN, "words")
    assert receivers(answered(house, copy, "How do I mute the alarm?", who=ANN), "relayed") == {BOB}


def test_a_requestor_cannot_mute_what_he_asked_for(house: House) -> None:
    """His answers would reach nobody, and count as given."""
    notice, words = asked(house)
    assert "unsubscribe" in sent_to(answered(house, words, "unsubscribe", who=BOB), JANE, "notice").text
    assert receivers(answered(house, notice, "We come."), "words") == {BOB, ANN}


def test_a_watcher_stops_his_copies_by_word_or_link(house: House) -> None:
    notice, words = asked(house)
    answered(house, notice, "take")
    answered(house, notice, "AddAdminCc: max")
    copy = sent_to(writes(house, BOB, words, "The red one."), MAX, "notice")
    assert "Mute: <mailto:" in " ".join(copy.text.split())
    clicked(house, copy, "mute")
    assert receivers(writes(house, BOB, words, "On floor 2."), "notice") == {JANE}
    answered(house, copy, "unmute")
    assert receivers(writes(house, BOB, words, "Near the stairs."), "notice") == {JANE, MAX}


def test_duty_mail_is_not_muted_and_nobody_is_told_that_it_were(house: House) -> None:
    notices = opened(house)
    notice = sent_to(notices, JANE, "opened")
    assert "Mute" not in notice.text
    sent = answered(house, sent_to(notices, KIM, "opened"), "mute")
    assert "once somebody owns it" in sent_to(sent, KIM, "receipt").text
    answered(house, notice, "take")
    assert "you own it" in sent_to(answered(house, notice, "mute"), JANE, "receipt").text
