"""The rest of the sender table and the paragraphs below it, as a house lives them: who reaches which request, and what stays closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind, Role, Status, Ticket
from rtmail.store import Outcome
from tests.fakes.daemon import reply
from tests.fakes.house import House, Sent, blueprint, mail

BOB, ANN, CARL, EVE = "bob@acme.example", "ann@acme.example", "carl@acme.example", "eve@elsewhere.example"
JANE, KIM = "jane@staff.example", "kim@staff.example"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    assert one.store.audit_counts().closes
    one.close()


def verdict(raw: bytes, result: str, domain: str) -> bytes:
    return f"Authentication-Results: mx.example.com; dmarc={result} header.from={domain}\r\n".encode() + raw


def address_of(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


def to(sent: list[Sent], recipient: str, template: str) -> Sent:
    (one,) = [one for one in sent if (one.item.recipient, one.item.template) == (recipient, template)]
    return one


def templates(sent: list[Sent]) -> set[tuple[str, str]]:
    return {(one.item.template, one.item.recipient) for one in sent}


def request(house: House, number: int = 1) -> Ticket:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return ticket


def last(house: House, number: int = 1) -> EventKind:
    return [event.kind for event, content in house.store.events(request(house, number).id) if content][-1]


def answer(house: House, notice: Sent, text: str, message_id: str = "<j1@staff.example>") -> list[Sent]:
    house.receive(reply(notice.item.raw, text, sender=f"Jane Doe <{JANE}>", message_id=message_id),
                  to=address_of(notice["Reply-To"]), sender=JANE)
    return house.sent()


def conversation(house: House, sender: str = f"Bob Roe <{BOB}>", **more: str) -> tuple[Sent, Sent]:
    """Request 1, opened and answered; returns Jane's notice and the requestor's copy of her words."""
    house.receive(mail(sender=sender, **more), sender=address_of(sender))
    notice = to(house.sent(), JANE, "opened")
    return notice, to(answer(house, notice, "Which printer?"), address_of(sender), "words")


def writes(house: House, words: Sent, text: str, sender: str, *, message_id: str = "<w@x.example>", at: str = "", copied: str = "",
           result: str = "") -> list[Sent]:
    raw = reply(words.item.raw, text, sender=sender, message_id=message_id)
    if copied:
        raw = raw.replace(b"\r\nMessage-ID", f"\r\nCc: {copied}\r\nMessage-ID".encode(), 1)
    if result:
        raw = verdict(raw, result, address_of(sender).rpartition("@")[2])
    house.receive(raw, to=at or address_of(words["Reply-To"]), sender=address_of(sender), peer="127.0.0.1")
    return house.sent()


# -- colleagues and strangers -----------------------------------------------------------------------------------------


def test_a_colleague_by_the_domain_alone_joins_with_strong_evidence_only(house: House) -> None:
    _, words = conversation(house, "Zoe <zoe@far.example>")
    sent = writes(house, words, "I sit beside Zoe.", "Yan <yan@far.example>")
    assert "new on this request" in to(sent, JANE, "notice").text
    assert [one.address for one in request(house).people(Role.CC)] == ["yan@far.example"]
    house.receive(mail(sender="Uma <uma@far.example>", subject="Re: [Example #1] Printer down", message_id="<u@far.example>"),
                  sender="uma@far.example")
    assert ("acknowledgement", "uma@far.example") in templates(house.sent())
    assert request(house, 2).requestor is not None


@pytest.mark.parametrize("domain", ["gmail.com", "freemail.example"])
def test_a_public_mail_domain_makes_no_colleagues(tmp_path: Path, domain: str) -> None:
    plan = blueprint()
    house = House(tmp_path / domain, replace(plan, site=replace(plan.site, public_domains=("freemail.example",))))
    _, words = conversation(house, f"Bob <bob@{domain}>")
    sent = writes(house, words, "Me too.", f"Eve <eve@{domain}>")
    assert "From outside" in to(sent, JANE, "notice").text
    sent = writes(house, words, "Kate knows.", f"Bob <bob@{domain}>", message_id="<b3@x.example>", copied=f"kate@{domain}")
    assert f"Not in Cc without your word: kate@{domain}" in " ".join(to(sent, JANE, "notice").text.split())
    assert not request(house).people(Role.CC)
    house.close()


def test_one_word_joins_what_only_named_a_request(house: House) -> None:
    conversation(house)
    house.receive(mail(sender=f"Eve <{EVE}>", subject="Re: [Example #1] Printer down", text="It is the fuser.", message_id="<e@x.example>"),
                  sender=EVE)
    notice = to(house.sent(), JANE, "opened")
    sent = answer(house, notice, "same 1", "<j2@staff.example>")
    assert "done" in to(sent, JANE, "receipt").text.lower()
    assert request(house, 2).status is Status.MERGED
    assert [one.address for one in request(house).people(Role.CC)] == [EVE]


def test_words_that_show_a_staff_mail_are_joined_but_passed_on_to_nobody(house: House) -> None:
    conversation(house, headers=f"Cc: {ANN}")
    house.receive(mail(sender=f"Eve <{EVE}>", subject="Re: [Example #1] Printer down", message_id="<e@x.example>",
                       text="Somebody sent me this:\n\n[internal: staff only]\n\nThe fuser, I guess."), sender=EVE)
    house.sent()
    (result,) = house.engine.command(2, "same 1", "root", house.now)
    assert result["done"]
    assert "passed on to nobody" in str(result["outcome"])
    sent = house.sent()
    assert {one.item.recipient for one in sent if "The fuser" in one.text} <= {JANE, KIM}


def test_a_reply_address_used_for_something_new_opens_a_linked_request(house: House) -> None:
    _, words = conversation(house)
    at = address_of(words["Reply-To"])
    house.receive(mail(to=at, subject="My screen", text="It flickers.", message_id="<n@acme.example>"), to=at)
    assert "Linked: related #1" in " ".join(to(house.sent(), JANE, "opened").text.split())
    assert request(house, 2).subject == "My screen"


def test_a_comment_address_is_the_public_one_for_everybody_else(house: House) -> None:
    _, words = conversation(house)
    sent = writes(house, words, "Still down.", f"Bob Roe <{BOB}>", at="support-comment@example.com")
    assert ("notice", JANE) in templates(sent)
    assert last(house) is EventKind.CORRESPONDENCE


@pytest.mark.parametrize(("sender", "reply_to", "requestor"), [
    ("Bob Roe <bob@acme.example>", "ann@acme.example", ANN),
    ("Bob Roe <bob@acme.example>", EVE, BOB),
    ("form@www.example", EVE, EVE),
    ("Bob <bob@gmail.com>", "eve@gmail.com", "bob@gmail.com"),
])
def test_who_is_the_requestor(tmp_path: Path, sender: str, reply_to: str, requestor: str) -> None:
    plan = blueprint()
    house = House(tmp_path / "forms", replace(plan, site=replace(plan.site, forms=("form@www.example",))))
    house.receive(mail(sender=sender, headers=f"Reply-To: {reply_to}"), sender=address_of(sender))
    notice = to(house.sent(), JANE, "opened")
    one = request(house).requestor
    assert one is not None
    assert one.address == requestor
    assert ("which is not used" in " ".join(notice.text.split())) is (requestor != reply_to)
    house.close()


def test_reply_to_never_proves_staff(house: House) -> None:
    raw = verdict(mail(headers=f"Reply-To: {JANE}", text="Owner: jane\n\nWords."), "pass", "acme.example")
    assert house.store.spool_row(house.receive(raw, peer="127.0.0.1")).outcome == Outcome.EVENT
    assert [one.address for one in request(house).people(Role.REQUESTOR)] == [BOB]
    assert request(house).owner == 0


# -- closed, merged, failed -------------------------------------------------------------------------------------------


def test_words_of_staff_leave_a_long_closed_request_closed(house: House) -> None:
    notice, _ = conversation(house)
    house.engine.command(1, "Status: closed", "root", house.now)
    house.sent()
    house.forward(days=45)
    raw = verdict(reply(notice.item.raw, "By the way, it is fixed.", sender=f"Jane Doe <{JANE}>", message_id="<late@staff.example>"),
                  "pass", "staff.example")
    house.receive(raw, to="support@example.com", sender=JANE, peer="127.0.0.1")
    assert "it is fixed" in to(house.sent(), BOB, "words").text
    assert request(house).status is Status.CLOSED


def test_the_survivor_of_a_merge_takes_everything_in_and_its_people_are_cc_there(house: House) -> None:
    conversation(house)
    house.receive(mail(sender=f"Carl <{CARL}>", subject="Same printer", message_id="<c@acme.example>"), sender=CARL)
    sent = house.sent()
    acknowledged, notice = to(sent, CARL, "acknowledgement"), to(sent, JANE, "opened")
    assert house.engine.command(2, "merge 1", "root", house.now)[0]["done"]
    house.sent()
    sent = writes(house, acknowledged, "More of it.", f"Carl <{CARL}>")
    assert {("relayed", BOB), ("notice", JANE)} <= templates(sent)
    sent = answer(house, notice, "To both of you.", "<j3@staff.example>")
    assert {("words", BOB), ("words", CARL)} <= templates(sent)
    assert [one.address for one in request(house).people(Role.CC)] == [CARL]
    assert last(house) is EventKind.CORRESPONDENCE


def test_failed_dmarc_reopens_nothing_and_holds_the_closing_until_staff_looked(house: House) -> None:
    notice, words = conversation(house, headers=f"Cc: {ANN}")
    house.engine.command(1, "Status: resolved", "root", house.now)
    house.sent()
    sent = writes(house, words, "It is not solved.", f"Bob Roe <{BOB}>", result="fail")
    assert templates(sent) == {("notice", JANE), ("notice", KIM)}
    assert last(house) is EventKind.UNVERIFIED
    house.forward(days=20)
    house.sweep()
    assert request(house).status is Status.RESOLVED
    assert not [one for one in house.sent() if one.item.template == "closed"]
    answer(house, notice, "comment\n\nI looked at it.", "<j2@staff.example>")
    house.forward(days=20)
    house.sweep()
    assert request(house).status is Status.CLOSED


# -- staff ------------------------------------------------------------------------------------------------------------


def test_a_claim_counts_from_its_release(house: House) -> None:
    house.receive(mail())
    notice = to(house.sent(), JANE, "opened")
    house.receive(mail(sender=f"Jane Doe <{JANE}>", subject="Re: [Example #1] Printer down", text="Try now.", message_id="<x@x.example>",
                       headers=f"In-Reply-To: {notice['Message-ID']}"), sender="x@x.example")
    asked = to(house.sent(), JANE, "held")
    confirm = asked.text.partition("I wrote this")[2].partition("<mailto:")[2].partition("?")[0]
    house.forward(hours=7)
    house.sweep()
    house.sent()
    house.receive(mail(sender=f"Jane Doe <{JANE}>", to=confirm, subject="yes", text="", message_id="<y@staff.example>"),
                  to=confirm, sender=JANE)
    assert "Try now." in to(house.sent(), BOB, "words").text
    assert {clock.name: str(clock.state) for clock in request(house).clocks}["first-response"] == "missed"
    (event,) = [event for event, _ in house.store.events(1) if event.kind is EventKind.CORRESPONDENCE]
    assert event.at == house.now


def test_a_staff_address_that_outsiders_saw_proves_once_more_and_then_never(house: House) -> None:
    notice, _ = conversation(house)
    at = address_of(notice["Reply-To"])
    raw = reply(notice.item.raw, "Carl should read this.", sender=f"Jane Doe <{JANE}>", message_id="<j2@staff.example>")
    house.receive(raw.replace(b"\r\nMessage-ID", f"\r\nCc: {CARL}\r\nMessage-ID".encode(), 1), to=at, sender=JANE)
    assert "Carl should read this." in to(house.sent(), BOB, "words").text
    house.forward(days=1)
    sent = answer(house, notice, "And this.", "<j3@staff.example>")
    assert templates(sent) == {("held", JANE)}


def test_somebody_elses_action_address_does_nothing(house: House) -> None:
    notice, words = conversation(house)
    take = notice.text.partition("Take:")[2].partition("<mailto:")[2].partition("?")[0]
    for sender, result in ((f"Bob Roe <{BOB}>", ""), (f"Eve <{EVE}>", ""), (f"Kim Lee <{KIM}>", "pass")):
        raw = mail(sender=sender, to=take, subject="Re: [Example #1] take", text="", message_id=f"<t{len(sender)}@x.example>")
        house.receive(verdict(raw, result, "staff.example") if result else raw, to=take, sender=address_of(sender), peer="127.0.0.1")
        house.sent()
    assert request(house).owner == 0
    assert words


def test_a_subject_full_of_tags_costs_little(house: House) -> None:
    conversation(house)
    tags = "".join(f"[Example #{number}] " for number in range(2, 3000))
    spool = house.receive(mail(subject=f"{tags}[Example #1] Printer down", message_id="<many@acme.example>"))
    row = house.store.spool_row(spool)
    assert row.outcome == Outcome.EVENT
    assert len(row.trace["evidence"]) < 40


def test_mail_to_postmaster_under_a_known_id_is_not_swallowed(house: House) -> None:
    for text in ("Your server is odd.", "And another thing."):
        house.receive(mail(to="postmaster@example.com", text=text, message_id="<same@x.example>"), to="postmaster@example.com")
        assert [one.item.recipient for one in house.sent()] == ["ops@admin.example"]
