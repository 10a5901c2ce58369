"""The breaker that asks for no header: by sender, by request and overall, notices folded, the admin told once; and who is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.engine.breaker import SAID_AGAIN
from rtmail.engine.office import Caps
from rtmail.mail.tripwire import LeakError
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.staff import BOB, JANE, answered, receivers, sent_to
from tests.fakes.staff import opened as opened_by_customer

STAFF = ("jane@staff.example", "kim@staff.example")


def opened(folder: Path, caps: Caps) -> House:
    return House(folder, blueprint(caps=caps))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = opened(tmp_path, Caps(per_sender=5, per_request=6, per_address=1000))
    yield house
    house.close()


def robot(number: int, sender: str = "robot@acme.example", **given: str) -> bytes:
    return mail(
        sender=sender, subject=f"Case {number}", text=f"We have taken note {number} of it.", message_id=f"<v{number}@acme.example>", **given
    )


def by_template(sent: list[Sent]) -> Counter[tuple[str, str]]:
    return Counter((one.item.template, one.item.recipient) for one in sent)


def storm(house: House, first: int, count: int) -> None:
    for number in range(first, first + count):
        house.receive(robot(number), sender="robot@acme.example")


def test_a_sender_beyond_his_cap_is_taken_in_and_staff_are_told_in_one(house: House) -> None:
    storm(house, 1, 20)
    sent = by_template(house.sent())
    assert sent["acknowledgement", "robot@acme.example"] == 5
    assert sent["admin-notice", "ops@admin.example"] == 1
    # Five before the cap, and the first beyond it, which says why no answer went out.
    assert all(sent["opened", one] == 6 for one in STAFF)
    assert house.store.by_number(20) is not None, "every mail is a request all the same"
    assert house.store.audit_counts().closes

    house.forward(minutes=9)
    house.settle()
    assert house.sent() == []
    house.forward(minutes=2)
    house.settle()
    (folded,) = [one for one in house.sent() if one.item.recipient == "jane@staff.example"]
    assert folded.item.template == "folded"
    assert "14 mails without a notice of their own" in folded["Subject"]
    assert all(f"#{number} " in folded.text for number in range(7, 21))

    storm(house, 21, 30)
    assert house.sent() == []
    house.forward(minutes=11)
    house.settle()
    again = by_template(house.sent())
    assert again == {("folded", one): 1 for one in STAFF}, "one in ten minutes, and the admin heard of it before"


def test_others_are_answered_meanwhile(house: House) -> None:
    storm(house, 1, 10)
    house.sent()
    house.receive(mail(), sender="bob@acme.example")
    sent = by_template(house.sent())
    assert sent["acknowledgement", "bob@acme.example"] == 1
    assert sent["opened", "jane@staff.example"] == 1


def test_after_the_burst_all_is_as_before(house: House) -> None:
    storm(house, 1, 10)
    house.sent()
    house.forward(hours=1)
    house.settle()
    house.sent()
    house.receive(robot(99), sender="robot@acme.example")
    sent = by_template(house.sent())
    assert sent["acknowledgement", "robot@acme.example"] == 1
    assert sent["opened", "jane@staff.example"] == 1


def test_a_folded_notice_survives_a_restart(tmp_path: Path) -> None:
    house = opened(tmp_path, Caps(per_sender=2))
    storm(house, 1, 6)
    house.close()
    house = House(tmp_path, house.plan, now=house.now + timedelta(minutes=11))
    try:
        house.store.forget_expired(house.now)
        house.settle()
        assert ("folded", "jane@staff.example") in by_template(house.sent())
    finally:
        house.close()


def test_two_programs_on_one_request_fall_silent(house: House) -> None:
    """Requestor and Cc answer every mail that is passed on to them, without any sign; nothing of it is an automatic answer of ours."""
    house.receive(mail(to="support@example.com, carla@acme.example", headers="Cc: dora@acme.example"), sender="bob@acme.example")
    went: Counter[str] = Counter()
    written = 0
    for _ in range(60):
        passed = [one for one in house.sent() if one.item.template == "relayed"]
        went.update(one.item.recipient for one in passed)
        if written and not passed:
            break
        for one in passed or [None]:
            sender = one.item.recipient if one else "carla@acme.example"
            written += 1
            answered = f"In-Reply-To: {one['Message-ID']}" if one else "In-Reply-To: <1@acme.example>"
            proof = results("dmarc=pass header.from=acme.example").encode()
            house.receive(
                proof + b"\r\n" + mail(sender=sender, to=one["Reply-To"] if one else "support@example.com", subject="Re: Printer down",
                     text=f"Seen, number {written}.", message_id=f"<p{written}@acme.example>", headers=answered),
                to=one["Reply-To"] if one else "support@example.com", sender=sender, peer="127.0.0.1")
        house.forward(seconds=5)
    else:
        raise AssertionError(f"it never ends: {went}")
    assert 0 < sum(went.values()) < 40, went
    assert house.store.by_number(2) is None
    house.forward(minutes=11)
    house.settle()
    assert {one.item.template for one in house.sent()} == {"folded"}


def test_the_same_words_again_get_no_answer(house: House) -> None:
    """A vacation message without any sign, not even in its subject: each a fresh mail with the same words."""
    for number in range(4):
        house.receive(mail(sender="away@acme.example", subject=f"Hello {number}", text="I am not there. Call Bob.",
                           message_id=f"<a{number}@acme.example>"), sender="away@acme.example")
    sent = by_template(house.sent())
    assert sent["acknowledgement", "away@acme.example"] == 1
    assert sent["opened", "jane@staff.example"] == 4, "staff hear of each"
    assert house.store.by_number(4) is not None


def test_the_same_words_about_another_thing_are_answered(house: House) -> None:
    """The customer who writes "It is down." of his printer, and a minute later of his scanner."""
    for number, thing in enumerate(("Printer", "Scanner", "Copier")):
        house.receive(mail(subject=f"{thing} down", message_id=f"<t{number}@acme.example>"))
    assert by_template(house.sent())["acknowledgement", "bob@acme.example"] == 3


def test_a_mail_that_is_decided_twice_counts_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when its first rendering would have shown something internal."""
    storm(house, 1, 5)
    house.sent()
    keeper = house.engine._intake.keeper
    keep, tries = keeper.keep, [0]

    def leaking(*given: object, **named: object) -> object:
        tries[0] += 1
        if tries[0] % 2:
            raise LeakError("a staff mark")
        return keep(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(keeper, "keep", leaking)
    storm(house, 6, 3)
    assert by_template(house.sent())["opened", "jane@staff.example"] == 1, "the first beyond the cap"
    house.forward(minutes=11)
    house.settle()
    (folded,) = [one for one in house.sent() if one.item.recipient == "jane@staff.example"]
    assert "2 mails without a notice of their own" in folded["Subject"]


# Who is answered


def results(said: str) -> str:
    return f"Authentication-Results: mx.example.com; {said}"


@pytest.mark.parametrize(
    ("said", "anyone", "proven"),
    [
        ("dmarc=pass header.from=acme.example", True, True),
        ("dkim=pass header.d=acme.example", True, True),
        ("none", True, False),
        ("dmarc=temperror header.from=acme.example", True, False),
        ("dmarc=fail header.from=acme.example", False, False),
        ("spf=fail smtp.mailfrom=bob@acme.example", False, False),
    ],
)
@pytest.mark.parametrize("only_proven", [False, True])
def test_who_is_answered(tmp_path: Path, said: str, anyone: bool, proven: bool, only_proven: bool) -> None:
    house = opened(tmp_path, Caps(only_proven=only_proven))
    try:
        raw = results(said).encode() + b"\r\n" + mail()
        house.receive(raw, peer="127.0.0.1")
        sent = by_template(house.sent())
        assert bool(sent["acknowledgement", "bob@acme.example"]) is (proven if only_proven else anyone)
        assert sent["opened", "jane@staff.example"] == 1
    finally:
        house.close()


def test_two_vacation_programs_of_staff_fall_silent(tmp_path: Path) -> None:
    """Both without a sign of a program, and each answers every mail that tells it of the other's comment."""
    house = House(tmp_path)
    sent = opened_by_customer(house, who=BOB)
    sent = answered(house, sent_to(sent, JANE, "opened"), "comment\n\nKim, what do you say?")
    total = 0
    for _ in range(40):
        mine = [one for one in sent if one.item.template == "comment"]
        total += len(mine)
        sent = [each for one in mine for each in answered(house, one, f"I am away until 3 December, call 030 {total}.")]
        house.forward(seconds=10)
        if not mine:
            break
    assert 4 < total <= 2 * (SAID_AGAIN + 2)
    house.close()


def test_colleagues_who_talk_are_not_stopped(tmp_path: Path) -> None:
    house = House(tmp_path)
    notice = sent_to(opened_by_customer(house, who=BOB), JANE, "opened")
    for number in range(20):
        sent = answered(house, notice, f"comment\n\nStep {number}, {'x' * number}.")
        assert receivers(sent, "comment") == {"kim@staff.example"}
    house.close()
