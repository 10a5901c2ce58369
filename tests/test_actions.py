"""Addresses that act, as a house lives them: each link clicked by its reader, by others, late, twice, damaged and taken back; with signed
addresses and with subject words where a provider has no plus addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest

from rtmail.desk.ticket import EventKind, Role, Status
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.mail.token import LENGTH
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.staff import (
    ANN,
    BOB,
    EVE,
    JANE,
    KIM,
    NAMES,
    answered,
    clicked,
    fresh_id,
    opened,
    receivers,
    request,
    sent_to,
    told_us,
    trusted,
)


@pytest.fixture(params=["+", "off"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    one = House(tmp_path, blueprint(policy="portacare", detail=request.param))
    yield one
    one.close()


def link(on: Sent, label: str) -> tuple[str, str]:
    """Address and subject of the `mailto:` link with this label."""
    text = " ".join(on.text.split())
    start = text.lower().index(f"{label.lower()}: <mailto:") + len(f"{label}: <mailto:")
    to, _, query = text[start:].partition(">")[0].partition("?")
    return unquote(to), parse_qs(query)["subject"][0]


def sends(house: House, who: str, to: str, subject: str, text: str = "", *, proven: bool = False, **changes: str) -> list[Sent]:
    raw = mail(sender=f"{NAMES[who]} <{who}>", to=to, subject=subject, text=text, message_id=fresh_id(who), **changes)
    house.receive(trusted(raw, who) if proven else raw, to=to, sender=who, peer="127.0.0.1")
    return house.sent()


def spoiled(house: House, to: str, subject: str) -> tuple[str, str]:
    """The link with one character of its detail changed."""
    def turned(text: str) -> str:
        at = text.index("ae") + LENGTH // 2 if house.plan.site.detail == "off" else text.index(house.plan.site.detail + "ae") + LENGTH // 2
        return text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]

    if house.plan.site.detail == "off":
        head, _, detail = subject.rpartition(" ")
        return to, f"{head} {turned(detail)}"
    return turned(to), subject


def owner(house: House) -> str:
    person = house.engine.office.directory.by_party(request(house).owner)
    return person.email if person else ""


STAFF: list[tuple[str, str, str, Callable[[House], bool]]] = [
    ("take", "opened", "take", lambda h: owner(h) == JANE),
    ("resolve", "waited", "resolve", lambda h: request(h).status is Status.RESOLVED),
    ("wait", "waited", "wait", lambda h: request(h).status is Status.WAITING),
    ("reopen", "thanked", "reopen", lambda h: request(h).status is Status.OPEN),
    ("accept", "outside", "accept", lambda h: [p.address for p in request(h).people(Role.CC)] == [EVE]),
    ("split", "outside", "split", lambda h: h.store.by_number(2) is not None),
    ("undo", "done", "undo", lambda h: request(h).priority == "P3"),
    ("same", "two", "same as #1", lambda h: request(h, 2).status is Status.MERGED),
]


def offered(house: House, before: str) -> Sent:
    """A mail of ours to Jane that offers something."""
    sent = opened(house)
    notice = sent_to(sent, JANE, "opened")
    words = sent_to(sent, BOB, "acknowledgement")
    match before:
        case "waited":
            answered(house, notice, "Priority: P4\ntake\nwait until tomorrow\n\nPlease look.")
            house.now += timedelta(days=2)
            house.sweep()
            return sent_to(house.sent(), JANE, "wait-over")
        case "thanked":
            asked = sent_to(answered(house, notice, "take\nresolve\n\nIt works."), BOB)
            return sent_to(answered(house, asked, "Thank you!", proven=False), JANE, "notice")
        case "outside":
            return sent_to(answered(house, words, "Mine too.", who=EVE, proven=False), JANE, "notice")
        case "two":
            fresh = opened(house, who=EVE, subject="Re: [Example #1] Printer down", text="Mine is down too.")
            return sent_to(fresh, JANE, "opened")
        case "done":
            return sent_to(answered(house, notice, "Priority: P3\nPriority: P2"), JANE, "receipt")
    return notice


@pytest.mark.parametrize(("name", "before", "label", "holds"), STAFF, ids=[row[0] for row in STAFF])
def test_a_link_acts_for_its_reader_and_a_second_click_does_no_harm(
    house: House, name: str, before: str, label: str, holds: Callable[[House], bool]
) -> None:
    to, subject = link(offered(house, before), label)
    assert not holds(house)
    sent = sends(house, JANE, to, subject, "same 1" if name == "same" else "")
    assert holds(house)
    said = sent_to(sent, JANE, "receipt").text
    assert "done:" in said
    assert "NOT DONE" not in said
    assert not receivers(sent, "words")
    count = len(list(house.store.list_tickets(statuses=None)))
    if name != "undo":
        sent = sends(house, JANE, to, subject, "same 1" if name == "same" else "")
        assert holds(house) or name == "accept"
    assert len(list(house.store.list_tickets(statuses=None))) == count
    assert house.store.audit_counts().closes


@pytest.mark.parametrize("who", [BOB, EVE, ANN, KIM])
@pytest.mark.parametrize("label", ["take", "undo"])
def test_a_link_of_somebody_else_does_nothing(house: House, who: str, label: str) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    on = notice if label == "take" else sent_to(answered(house, notice, "Status: waiting"), JANE, "receipt")
    before = request(house)
    to, subject = link(on, label)
    sent = sends(house, who, to, subject, proven=who == KIM)
    after = request(house)
    assert (after.status, after.owner) in ((before.status, 0), (Status.OPEN, 0)), "at most a customer's own words have reopened it"
    assert not receivers(sent, "receipt")
    assert owner(house) == ""
    if who == KIM:
        assert receivers(sent, "asked") == {KIM}, "a colleague is asked"
        return
    if who == EVE:
        assert len(request(house).participants) == len(before.participants), "a stranger joins nothing"
    assert all("support-comment" not in one.item.raw.decode() for one in sent if one.item.recipient == who)
    # It was shown outside: from now on it proves nobody, not even its reader.
    assert receivers(sends(house, JANE, to, subject), "held") == {JANE}
    assert owner(house) == ""


@pytest.mark.parametrize("spoil", ["damaged", "expired", "left the staff", "lost the queue"])
def test_a_link_that_is_no_longer_good_degrades_to_the_bare_address(house: House, spoil: str) -> None:
    to, subject = link(sent_to(opened(house), JANE, "opened"), "take")
    match spoil:
        case "damaged":
            to, subject = spoiled(house, to, subject)
        case "expired":
            house.forward(days=31)
        case _:
            everyone = dict(house.plan.directory.people)
            jane = everyone.pop("jane")
            if spoil == "lost the queue":
                everyone["jane"] = replace(jane, queues=("sales",))
            house.plan = replace(house.plan, directory=replace(house.plan.directory, people=everyone))
            house.engine = Engine(house.store, house.pool, Office(house.plan, house.store, house.now), "later")
    sent = sends(house, JANE, to, subject, "I take it.")
    assert owner(house) == ""
    assert not receivers(sent, "words"), "what staff say goes to nobody by a link"
    assert not [one for one in sent if one.item.recipient == BOB]
    spools = house.store.spool_row(2)
    assert spools.outcome, "the mail ended somewhere"
    # With a proof of its own the same mail is known as hers, and asked about at most.
    if spoil in ("damaged", "expired"):
        assert receivers(sent, "held") == {JANE}
        assert receivers(sends(house, JANE, to, subject, "I take it.", proven=True), "asked") == {JANE}


def test_the_same_click_again_is_one_click(house: House) -> None:
    to, subject = link(sent_to(opened(house), JANE, "opened"), "take")
    raw = mail(sender=f"Jane Doe <{JANE}>", to=to, subject=subject, text="", message_id=fresh_id(JANE))
    for _ in range(20):
        house.receive(raw, to=to, sender=JANE)
    assert receivers(house.sent(), "receipt") == {JANE}
    assert len([e for e, _ in house.store.events(request(house).id) if e.kind is EventKind.OWNER]) == 1


def test_words_beside_a_link_stay_among_staff(house: House) -> None:
    to, subject = link(sent_to(opened(house), JANE, "opened"), "take")
    sent = sends(house, JANE, to, subject, "Priority: P3\n\nI look at it tonight; he is angry.\n\n-- \nJane")
    assert owner(house) == JANE
    assert request(house).priority == "P3"
    assert "The other words of your mail stay among staff." in sent_to(sent, JANE, "receipt").text
    said = [(event.kind, content.text) for event, content in house.store.events(request(house).id) if content]
    assert (EventKind.COMMENT, "I look at it tonight; he is angry.") in said
    assert not any("angry" in one.item.raw.decode() for one in sent if one.item.recipient == BOB)


def test_a_customer_clicks(house: House) -> None:
    notice = sent_to(opened(house, cc="Ann Poe <ann@acme.example>"), JANE, "opened")
    told = sent_to(answered(house, notice, "Priority: P2"), BOB, "priority-told")
    to, subject = link(told, "i agree")
    for who in (ANN, EVE):
        sends(house, who, to, subject)
        assert request(house).priority_state == "proposed", "only the requestor agrees"
    sends(house, BOB, to, subject)
    assert request(house).priority_state == "agreed"
    asked = sent_to(answered(house, notice, "resolve\n\nIt works."), BOB)
    for who in (ANN, EVE):
        sends(house, who, *link(asked, "Yes, it is solved"))
        assert request(house).status is Status.RESOLVED, "only the requestor approves, and a click of somebody else reopens nothing"
    sends(house, BOB, *link(asked, "Yes, it is solved"))
    assert request(house).status is Status.CLOSED


def test_no_signed_detail_stays_in_a_subject(house: House) -> None:
    """Where subjects carry details they are for their sender alone: nobody reads them in what others get."""
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "It works.", subject=link(notice, "take")[1].replace("take ", "Re: ") + " Printer")
    for one in (*sent, *told_us(house, BOB, "show 1")):
        if one.item.recipient == BOB:
            assert "ae" + "d" not in one["Subject"]
    contents = [content.subject for _, content in house.store.events(request(house).id) if content]
    assert not any(len(word) == LENGTH for subject in contents for word in subject.split())


# Old addresses for ever


def test_every_old_address_and_id_of_a_merged_request_reaches_the_survivor(house: House) -> None:
    first = sent_to(opened(house), JANE, "opened")
    sent = opened(house, who=ANN, subject="Printer broken")
    old = {who: sent_to(sent, who) for who in (ANN, JANE)}
    words = sent_to(answered(house, old[JANE], "We look."), ANN, "words")
    answered(house, old[JANE], "merge 1")
    third = sent_to(opened(house, who=ANN, subject="And another"), JANE, "opened")
    answered(house, first, "merge 3")
    assert request(house, 2).merged_into == 1
    assert request(house, 1).merged_into == 3

    def arrives(why: str, act: Callable[[], object]) -> None:
        before = {number: request(house, number).events for number in (1, 2, 3)}
        act()
        house.sent()
        after = {number: request(house, number).events for number in (1, 2, 3)}
        assert after[3] > before[3], why
        assert (after[1], after[2]) == (before[1], before[2]), why
        assert house.store.by_number(4) is None, why

    house.forward(days=400)
    arrives("the reply address of a mail from before", lambda: answered(house, words, "Still broken.", proven=False))
    arrives("the acknowledgement", lambda: answered(house, old[ANN], "Still broken, sorry.", proven=False))
    arrives("the number alone", lambda: sends(house, ANN, "support@example.com", "Re: [Example #2] Printer broken", "Hello?", proven=True))
    arrives("our Message-ID alone", lambda: sends(house, ANN, "support@example.com", "Re: broken", "Hello again?", proven=True,
                                                  headers=f"In-Reply-To: {words['Message-ID']}"))
    arrives("her own first mail", lambda: sends(house, ANN, "support@example.com", "Re: broken", "And again?", proven=True,
                                               headers=f"In-Reply-To: {old[ANN]['In-Reply-To']}"))
    arrives("staff, by an old notice", lambda: answered(house, old[JANE], "Coming."))
    arrives("staff, by a command", lambda: answered(house, third, "Priority: P1"))


def test_a_merge_of_a_merge_comes_apart_again(house: House) -> None:
    first = sent_to(opened(house), JANE, "opened")
    second = sent_to(opened(house, who=ANN, subject="Printer broken"), JANE, "opened")
    receipt = sent_to(answered(house, second, "merge 1"), JANE, "receipt")
    assert [p.address for p in request(house, 1).people(Role.CC)] == [ANN]
    back = clicked(house, receipt, "undo")
    assert "#2 stands on its own again" in sent_to(back, JANE, "receipt").text
    assert [p.address for p in request(house, 1).people(Role.CC)] == []
    assert receivers(answered(house, second, "Only to you, Ann."), "words") == {ANN}
    assert receivers(answered(house, first, "Only to you, Bob."), "words") == {BOB}
    for number in (1, 2):
        assert house.store.replayed(request(house, number).id) == request(house, number)


def test_all_addresses_of_a_moved_request_go_on_working(house: House) -> None:
    sent = opened(house)
    old = {who: sent_to(sent, who) for who in (BOB, KIM)}
    words = sent_to(answered(house, old[KIM], "We look."), BOB, "words")
    answered(house, old[KIM], "Queue: sales")
    house.forward(days=20)
    for on in (old[BOB], words):
        before = request(house).events
        told = answered(house, on, "Any news?", proven=False)
        assert request(house).events > before
        assert receivers(told, "notice") == {KIM}
        assert sent_to(told, KIM, "notice")["From"].endswith("sales@example.com>")
    assert receivers(answered(house, old[KIM], "Soon."), "words") == {BOB}
    copy = sent_to(answered(house, old[KIM], "Very soon."), BOB, "words")
    assert "sales" in copy["Reply-To"]
    assert house.store.by_number(2) is None


def test_splitting_and_putting_it_together_again(house: House) -> None:
    sent = opened(house)
    notice = sent_to(sent, JANE, "opened")
    outside = sent_to(answered(house, sent_to(sent, BOB, "acknowledgement"), "Mine too.", who=EVE, proven=False), JANE, "notice")
    told = answered(house, outside, "split")
    assert receivers(told, "acknowledgement") == {EVE}
    assert request(house, 2).requestor is not None
    split = sent_to(told, JANE, "opened")
    # Her answers go to her own request, by whatever she answers.
    assert receivers(answered(house, split, "Hello Eve."), "words") == {EVE}
    assert receivers(answered(house, notice, "Hello Bob."), "words") == {BOB}
    assert "have nothing in common" in " ".join(sent_to(answered(house, split, "merge 1"), JANE, "receipt").text.split())
    joined = answered(house, split, "same 1")
    assert "part of #1 now" in " ".join(sent_to(joined, JANE, "receipt").text.split())
    back = clicked(house, sent_to(joined, JANE, "receipt"), "undo")
    assert "stands on its own again" in " ".join(sent_to(back, JANE, "receipt").text.split())
    assert request(house, 2).merged_into == 0
