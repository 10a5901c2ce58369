"""Who takes part in a request and how: people without an address, Cc's that nobody vouched for, strangers, other addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind, Role, Ticket
from rtmail.store import Outcome
from tests.fakes.daemon import reply
from tests.fakes.house import House, Sent, blueprint, mail

BOB, ANN, ZOE, EVE = "bob@acme.example", "ann@acme.example", "zoe@far.example", "eve@elsewhere.example"
JANE, KIM = "jane@staff.example", "kim@staff.example"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def address_of(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


def link(sent: Sent, label: str) -> str:
    _, found, rest = sent.text.partition(label)
    assert found, sent.text
    return rest.partition("<mailto:")[2].partition("?")[0]


def to(sent: list[Sent], recipient: str, template: str = "") -> Sent:
    found = [one for one in sent if one.item.recipient == recipient and template in ("", one.item.template)]
    assert len(found) == 1, f"{len(found)} mails of {template or 'any kind'} to {recipient} in {sent}"
    return found[0]


def request(house: House, number: int = 1) -> Ticket:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return ticket


def cc(house: House, number: int = 1) -> list[str]:
    return [one.address for one in request(house, number).people(Role.CC)]


def opened(house: House, **more: str) -> Sent:
    house.receive(mail(**more))
    return to(house.sent(), JANE, "opened")


def answer(house: House, notice: Sent, text: str, message_id: str = "<j1@staff.example>") -> list[Sent]:
    raw = reply(notice.item.raw, text, sender=f"Jane Doe <{JANE}>", message_id=message_id)
    house.receive(raw, to=address_of(notice["Reply-To"]), sender=JANE)
    return house.sent()


def words_to_bob(house: House, **more: str) -> Sent:
    """Request 1 of Bob, answered; returns his copy."""
    return to(answer(house, opened(house, **more), "Which printer?"), BOB, "words")


def writes(house: House, words: Sent, text: str, *, sender: str = f"Bob Roe <{BOB}>", copied: str = "",
           message_id: str = "<b2@acme.example>", envelope: str | None = BOB) -> list[Sent]:
    raw = reply(words.item.raw, text, sender=sender, message_id=message_id)
    if copied:
        raw = raw.replace(b"\r\nMessage-ID", f"\r\nCc: {copied}\r\nMessage-ID".encode(), 1)
    house.receive(raw, to=address_of(words["Reply-To"]), sender=envelope)  # type: ignore[arg-type]
    return house.sent()


def used(house: House, sender: str, action: str, message_id: str) -> list[Sent]:
    """Somebody clicks a link of ours."""
    house.receive(mail(sender=sender, to=action, subject="yes", text="", message_id=message_id), to=action, sender=address_of(sender))
    return house.sent()


# -- people without an address ----------------------------------------------------------------------------------------

NOBODY = [
    pytest.param('"odd local" <"a b"@acme.example>', '"a b"@acme.example', id="quoted local part"),
    pytest.param("Root <root@[192.0.2.1]>", "root@[192.0.2.1]", id="domain literal"),
    pytest.param("undisclosed-recipients:;", None, id="group"),
    pytest.param("<>", None, id="empty"),
    pytest.param("support@example.com", "x@elsewhere.example", id="our own address"),
    pytest.param("support+x@example.com", "x@elsewhere.example", id="our own address with a detail"),
    pytest.param("$(id) <$(id)@acme.example>", "$(id)@acme.example", id="shell"),
]


@pytest.mark.parametrize(("sender", "envelope"), NOBODY)
def test_nobody_is_made_up_where_from_names_nobody(house: House, sender: str, envelope: str | None) -> None:
    house.receive(mail(sender=sender), sender=envelope)  # type: ignore[arg-type]
    sent = house.sent()
    assert {one.item.template for one in sent} == {"opened"}
    notice = to(sent, JANE, "opened")
    assert "Nobody can be answered: From says" in " ".join(notice.text.split())
    assert not request(house).people(Role.REQUESTOR, Role.CC)


@pytest.mark.parametrize(("sender", "envelope"), NOBODY[:1])
def test_an_answer_to_nobody_waits_until_somebody_is_named(house: House, sender: str, envelope: str) -> None:
    house.receive(mail(sender=sender), sender=envelope)
    notice = to(house.sent(), JANE, "opened")
    sent = answer(house, notice, "Have you tried the other cable?")
    asked = to(sent, JANE, "asked")
    assert "nobody who could be written to" in " ".join(asked.text.split())
    assert len(sent) == 1
    clocks = {clock.name: str(clock.state) for clock in request(house).clocks}
    assert clocks["first-response"] == "running", "what nobody heard is no answer"
    sent = answer(house, notice, f"AddRequestor: {ZOE}", "<j2@staff.example>")
    assert "takes part now" in to(sent, JANE, "receipt").text
    words = to(used(house, f"Jane Doe <{JANE}>", link(asked, "Send to the customer"), "<j3@staff.example>"), ZOE, "words")
    assert "other cable" in words.text
    assert {clock.name: str(clock.state) for clock in request(house).clocks}["first-response"] == "met"


def test_an_answer_with_the_line_that_names_somebody_goes_at_once(house: House) -> None:
    house.receive(mail(sender="undisclosed-recipients:;"), sender=None)  # type: ignore[arg-type]
    sent = answer(house, to(house.sent(), JANE, "opened"), f"AddRequestor: {ZOE}\n\nHave you tried the other cable?")
    assert "other cable" in to(sent, ZOE, "words").text


@pytest.mark.parametrize("sender", ["", "undisclosed-recipients:;", '"a b"@far.example'])
def test_words_from_outside_without_an_address_hold_nothing_up(house: House, sender: str) -> None:
    words = words_to_bob(house)
    sent = writes(house, words, "Who am I?", sender=sender, message_id="<n@far.example>", envelope=None)
    assert "From outside" in to(sent, JANE, "notice").text
    assert house.engine.command(1, "accept", "root", house.now)[0]["done"] is False
    house.forward(days=3)
    house.sweep()
    assert to(house.sent(), JANE, "opened")
    assert not request(house, 2).people(Role.REQUESTOR)
    assert not request(house).fields["outside"]


def test_a_request_that_time_cannot_act_on_is_told_to_the_admin_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(house)

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr("rtmail.desk.decide.customers.split_overdue", broken)
        for _ in range(4):
            house.forward(hours=2)
            house.sweep()
    (notice,) = house.sent()
    assert notice.item.recipient == "ops@admin.example"
    assert "request #1 are stuck" in notice["Subject"]
    assert "a mistake of ours" in notice.text
    house.forward(hours=2)
    house.sweep()
    assert [one for one in house.sent() if one.item.template in ("missed", "escalation")], "it goes on by itself"


def test_a_queue_may_keep_customers_words_from_the_others(tmp_path: Path) -> None:
    plan = blueprint()
    queues = {name: replace(queue, pass_on=False) for name, queue in plan.directory.queues.items()}
    quiet = House(tmp_path / "quiet", replace(plan, directory=replace(plan.directory, queues=queues)))
    words = words_to_bob(quiet, headers=f"Cc: {ANN}")
    sent = writes(quiet, words, "The red one.")
    assert {one.item.template for one in sent} == {"notice"}
    quiet.close()


# -- Cc's that nobody vouched for -------------------------------------------------------------------------------------


def test_a_later_cc_of_another_house_waits_for_accept(house: House) -> None:
    words = words_to_bob(house)
    sent = writes(house, words, "Zoe knows more.", copied=f"{ZOE}, {ANN}")
    notice = to(sent, JANE, "notice")
    assert f"Not in Cc without your word: {ZOE}" in " ".join(notice.text.split())
    assert cc(house) == [ANN], "who shares the sender's house joins"
    sent = used(house, f"Jane Doe <{JANE}>", link(notice, "Accept"), "<j2@staff.example>")
    assert f"{ZOE} is in Cc of this request" in to(sent, JANE, "receipt").text
    assert cc(house) == [ANN, ZOE]
    sent = answer(house, notice, "Thank you.", "<j3@staff.example>")
    assert {one.item.recipient for one in sent if one.item.template == "words"} == {BOB, ANN, ZOE}


def test_twenty_join_and_the_others_wait(house: House) -> None:
    opened(house, headers="Cc: " + ", ".join(f"u{number}@acme.example" for number in range(23)))
    assert len(cc(house)) == 20
    assert house.engine.command(1, "accept u21@acme.example", "root", house.now)[0]["done"]
    assert cc(house)[-1] == "u21@acme.example"
    assert house.engine.command(1, "accept", "root", house.now)[0]["done"]
    assert len(cc(house)) == 23
    assert not house.engine.command(1, "accept", "root", house.now)[0]["done"]


def test_one_removed_by_staff_comes_back_by_accept_only(house: House) -> None:
    words = words_to_bob(house, headers=f"Cc: {ANN}")
    assert house.engine.command(1, f"DelCc: {ANN}", "root", house.now)[0]["done"]
    house.sent()
    sent = writes(house, words, "Ann again.", copied=ANN)
    assert cc(house) == []
    assert f"Not in Cc without your word: {ANN}" in " ".join(to(sent, JANE, "notice").text.split())
    sent = writes(house, words, "It is me.", sender=f"Ann <{ANN}>", message_id="<a1@acme.example>", envelope=ANN)
    assert "From outside" in to(sent, JANE, "notice").text, "she counts as a stranger"
    assert house.engine.command(1, f"accept {ANN}", "root", house.now)[0]["done"]
    assert cc(house) == [ANN]
    assert not request(house).fields["outside"]
    sent = writes(house, words, "Thank you for having me.", sender=f"Ann <{ANN}>", message_id="<a2@acme.example>", envelope=ANN)
    assert to(sent, BOB, "relayed")


def test_an_unverified_participant_adds_nobody_until_accept(house: House) -> None:
    opened(house)
    house.receive(mail(subject="Re: [Example #1] Printer down", text="Still.", headers=f"Cc: {ANN}", message_id="<b9@acme.example>"))
    notice = to(house.sent(), JANE, "notice")
    assert cc(house) == []
    assert ANN in notice.text
    assert house.engine.command(1, "accept", "root", house.now)[0]["done"]
    assert cc(house) == [ANN]


# -- a participant's other address ------------------------------------------------------------------------------------


def test_another_address_counts_only_after_the_known_one_confirmed(house: House) -> None:
    home = "bob.roe@home.example"
    words = words_to_bob(house)
    sent = writes(house, words, "From home.", sender=f"Bob Roe <{home}>", message_id="<h1@home.example>", envelope=home)
    notice = to(sent, JANE, "notice")
    sent = answer(house, notice, f"accept as {BOB}", "<j2@staff.example>")
    assert f"{BOB} is asked whether {home}" in " ".join(to(sent, JANE, "receipt").text.split())
    asked = to(sent, BOB, "alias")
    assert home in asked.text
    confirm = link(asked, "this address is mine")
    assert not [one for one in used(house, f"Bob Roe <{home}>", confirm, "<h2@home.example>") if one.item.template == "state"]
    assert house.store.party_by_address(home) != house.store.party_by_address(BOB), "he cannot confirm himself"
    told = to(used(house, f"Bob Roe <{BOB}>", confirm, "<b3@acme.example>"), JANE, "state")
    assert f"Also writes from: {home}" in told.text
    assert house.store.party_by_address(home) == house.store.party_by_address(BOB)
    assert not used(house, f"Bob Roe <{BOB}>", confirm, "<b4@acme.example>"), "once"
    sent = writes(house, words, "From home again.", sender=f"Bob Roe <{home}>", message_id="<h3@home.example>", envelope=home)
    assert "From outside" not in to(sent, JANE, "notice").text
    events = [event for event, _ in house.store.events(request(house).id)]
    assert events[-1].kind is EventKind.CORRESPONDENCE
    ticket = request(house)
    assert house.store.replayed(ticket.id).participants == ticket.participants
    assert house.store.audit_counts().closes
    assert Outcome.EVENT in {house.store.spool_row(spool).outcome for spool in range(1, 6)}
