"""A manager acts by answering what he was told, or by its links: ack, take, snooze, or words that become a comment; nobody else does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail import log
from rtmail.desk.people import ManagementRole
from rtmail.desk.ticket import EventKind, Status
from rtmail.policy.clocks import Clock, ClockKind
from rtmail.policy.schema import parse
from rtmail.store.outbox import Failed
from rtmail.store.outbox import Sent as Taken
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.staff import BOB, CARL, JANE, KIM, MAX, answered, clicked, opened, request, sent_to, told_us


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Max is the support manager, Kim his deputy, and CTO as well; Carl is the customer relations manager."""
    plan = blueprint(policy="portacare")
    people = {**plan.directory.people, "carl": replace(plan.directory.people["max"], key="carl", name="Carl Roe", email=CARL)}
    roles = {**plan.directory.roles, "customer-relations-manager": ManagementRole("customer-relations-manager", "carl", "")}
    made = House(tmp_path, replace(plan, directory=replace(plan.directory, people=people, roles=roles)))
    yield made
    made.close()


@pytest.fixture
def told(house: House) -> Sent:
    """Max's mail of a priority 1 request."""
    opened(house)
    house.engine.command(1, "Priority: P1", "test", house.now)
    return sent_to(house.sent(), MAX, "escalation")


def ladder(house: House) -> Clock:
    return [clock for clock in request(house).clocks if clock.kind is ClockKind.LADDER][-1]


def receipt(sent: list[Sent], who: str = MAX) -> str:
    return " ".join(sent_to(sent, who, "receipt").text.split())


@pytest.mark.parametrize(("line", "length"), [
    ("ack", timedelta(hours=1)), ("ack 2h", timedelta(hours=2)), ("Ack: 90m", timedelta(minutes=90)),
    ("ack until Mon 15:00", timedelta(hours=6)),
])
def test_ack_by_an_answer(house: House, told: Sent, line: str, length: timedelta) -> None:
    sent = answered(house, told, line)
    assert "acknowledged" in receipt(sent)
    (ack,) = ladder(house).acks
    assert (ack.role, ack.until - ack.at) == ("technical-support-manager", length)
    assert not [one for one in sent if one.item.recipient == BOB]


def test_ack_by_its_link_once_and_for_the_reader_alone(house: House, told: Sent) -> None:
    assert "acknowledged" in receipt(clicked(house, told, "acknowledge"))
    assert len(ladder(house).acks) == 1
    before = ladder(house)
    clicked(house, told, "acknowledge", who=JANE)
    assert ladder(house) == before, "a link in other hands"


def test_words_become_a_comment_and_never_reach_the_customer(house: House, told: Sent) -> None:
    sent = answered(house, told, "ack 2h\n\nCall them, they pay for this.")
    assert len(ladder(house).acks) == 1
    comments = [event for event, _ in house.store.events(request(house).id) if event.kind is EventKind.COMMENT]
    assert len(comments) == 1
    assert sent_to(sent, JANE, "comment")
    assert not [one for one in sent if one.item.recipient == BOB]
    assert "Call them" not in "".join(one.text for one in house.sent() if one.item.recipient == BOB)


def test_take_by_its_link_tells_the_others(house: House, told: Sent) -> None:
    person = house.plan.directory.people["max"]
    sent = clicked(house, told, "take")
    assert request(house).owner == next(one.party for one in house.engine.office.directory.people.values() if one.key == person.key)
    assert receipt(sent)


@pytest.mark.parametrize("line", ["ack", "snooze 2h"])
def test_who_was_not_told_cannot_acknowledge_and_silences_nobody(house: House, told: Sent, line: str) -> None:
    """Carl's rung is due in an hour: what he says now, in an answer to a comment, keeps nothing from reaching him."""
    house.engine.command(1, "AddAdminCc: carl", "test", house.now)
    comment = answered(house, told, "Carl, do you see this?")
    seen = sent_to(comment, CARL, "comment")
    said = receipt(answered(house, seen, line), CARL)
    if line == "ack":
        assert "only who was told up the ladder acknowledges" in said
    assert ladder(house).acks == ()
    house.forward(hours=1)
    house.sweep()
    assert sent_to(house.sent(), CARL, "escalation")


def test_whom_the_policy_tells_by_name_acknowledges_and_snoozes_as_well(tmp_path: Path) -> None:
    plan = blueprint(policy="portacare")
    text = next(iter(plan.policies.values())).text.replace('tell = "technical-support-manager"', 'tell = "max"')
    house = House(tmp_path, replace(plan, policies=dict.fromkeys(plan.policies, parse(text, "p.toml"))))
    try:
        opened(house)
        house.engine.command(1, "Priority: P1", "test", house.now)
        mine = sent_to(house.sent(), MAX, "escalation")
        assert "acknowledged" in receipt(answered(house, mine, "ack 2h"))
        assert [ack.role for ack in ladder(house).acks] == ["max"]
        answered(house, mine, "snooze 3h")
        assert {who for clock in request(house).clocks for who, _ in clock.snoozed} == {"max"}
    finally:
        house.close()


def test_a_deputy_acknowledges_for_whom_he_stands_in(house: House) -> None:
    opened(house)
    house.engine.command(1, "Priority: P1", "test", house.now)
    (escalation,) = [one for one in house.store.lease_outbox("relay", house.now, 50, 60) if one.template == "escalation"]
    house.store.settle_outbox(escalation, Failed("550 5.1.1 no such user", "5.1.1"), house.now)
    while house.engine.report(house.now):
        pass
    house.forward(minutes=2)                                  # what else was leased goes out again
    told = sent_to([one for one in house.sent() if one.item.template == "escalation"], KIM)
    assert "acknowledged" in receipt(answered(house, told, "ack 2h"), KIM)
    assert [ack.role for ack in ladder(house).acks] == ["technical-support-manager"]


def test_an_acknowledgement_stops_reminders_and_is_quoted_while_the_rung_fires(house: House, told: Sent) -> None:
    answered(house, told, "ack 4h")
    house.forward(hours=1)
    house.sweep()
    second = sent_to(house.sent(), CARL, "escalation")
    assert "Acknowledged: Max Boss (technical-support-manager), until Mon 23 Nov 13:00 UTC" in " ".join(second.text.split())


def test_the_escalation_stands_alone(house: House, told: Sent) -> None:
    """Who, what, since when, promised and missed, the last words of each side, who was told before, links to act."""
    answered(house, sent_to(opened(house, subject="Second"), JANE, "opened"), "Priority: P2\ntake\n\nWe look at the cable.")
    house.forward(hours=1)
    house.sweep()
    house.sent()
    house.forward(hours=3)
    house.sweep()
    mine = next(one for one in house.sent() if one.item.recipient == CARL and "Second" in one["Subject"])
    said = " ".join(mine.text.split())
    for part in ("rung 2", "#2 Second", "Bob Roe <bob@acme.example> (Acme Ltd)", "Opened: Mon 23 Nov 2026, 09:00 UTC",
                 "P2: Network degraded", "Owner: Jane Doe", "first response, due Mon 23 Nov 2026, 10:00 UTC: kept",
                 "update, due Mon 23 Nov 2026, 11:00 UTC: missed",
                 "> It is down.", "Last words of ours, Jane Doe", "> We look at the cable.", "Max Boss (technical-support-manager), Mon 23",
                 "Acknowledge:", "Take:", "Snooze:"):
        assert part in said, part


def test_a_reminder_says_when_the_customer_last_heard_from_a_person(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    house.forward(minutes=23)
    house.sweep()
    before = next(one for one in house.sent() if one.item.template == "nudge")
    assert "Last heard from us" not in before.text, "nobody of us wrote, whatever the customer did"
    answered(house, notice, "Priority: P1\ntake\n\nWe look.")
    house.forward(minutes=46)
    house.sweep()
    (after,) = [one for one in house.sent() if one.item.template == "nudge" and one.item.recipient == JANE]
    assert "Last heard from us: Mon 23 Nov 2026, 09:23 UTC" in after.text


def test_the_owner_snoozes_his_reminder_and_a_manager_who_owns_it_both(house: House, told: Sent) -> None:
    answered(house, told, "take\nsnooze 3h")
    ticket = request(house)
    assert ticket.status is not Status.WAITING
    assert {who for clock in ticket.clocks for who, _ in clock.snoozed} == {"owner", "technical-support-manager"}


def test_nobody_there_is_an_alarm_to_the_admin_and_in_the_log(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """Carl is away and has no deputy: his rung goes to the admin at once, and says what is wrong."""
    told_us(house, CARL, "away until 2 Dec")
    opened(house)
    house.engine.command(1, "Priority: P1", "test", house.now)
    house.sent()
    house.forward(hours=1)
    house.sweep()
    alarm = sent_to(house.sent(), "ops@admin.example", "escalation")
    said = " ".join(alarm.text.split())
    assert "ALARM: nobody was reached. Neither who holds the role customer-relations-manager nor his deputy got this" in said
    assert "This mail is" not in said, "it is not late"
    assert log.flush(10)
    assert 'event=alarm what="nobody was reached on request #1: rung 2: customer-relations-manager not reached' in capfd.readouterr().err


def test_a_rung_that_comes_back_says_why_it_is_late(house: House, told: Sent) -> None:
    house.forward(minutes=30)
    assert house.store.by_message_id(told["Message-ID"])
    report = mail(sender="mailer-daemon@mx.example", to=told.item.envelope_sender, subject="Undelivered", headers=(
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"'), message_id="<dsn@mx.example>")
    head = report.partition(b"\r\n\r\n")[0].replace(b"Content-Type: text/plain; charset=utf-8\r\n", b"")
    body = (b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nno such user\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            b"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; max@staff.example\r\n"
            b"Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n")
    house.receive(head + body, to=told.item.envelope_sender, sender="")
    deputy = sent_to([one for one in house.sent() if one.item.template == "escalation"], KIM)
    said = " ".join(deputy.text.split())
    assert "This mail is 30 minutes late: whoever was told first could not be reached." in said


def test_the_pages_of_chosen_priorities_are_one_short_line(tmp_path: Path) -> None:
    plan = blueprint(policy="portacare")
    people = {**plan.directory.people, "max": replace(plan.directory.people["max"], page="max@sms.example")}
    house = House(tmp_path, replace(plan, directory=replace(plan.directory, people=people)))
    seen: list[Sent] = []
    try:
        for number, priority in enumerate(("P1", "P2"), 1):
            seen += opened(house, subject="Nobody can work in Hamburg " * 9)
            house.engine.command(number, f"Priority: {priority}", "test", house.now)
        house.forward(hours=1)
        house.sweep()
        pages = [one for one in (*seen, *house.sent()) if one.item.template == "page"]
    finally:
        house.close()
    assert {one.item.recipient for one in pages} == {"max@sms.example"}
    assert [re.findall(r"#\d", one.text)[0] for one in pages] == ["#1", "#1"], "priority 1 pages, priority 2 does not"
    for one in pages:
        assert len(one.text.strip()) <= 140
        assert len(one.text.strip().splitlines()) == 1
        assert one.mail.get_content_type() == "text/plain"


def test_a_missed_promise_that_comes_back_goes_to_the_deputy_and_then_to_the_admin(house: House) -> None:
    """The first response of a priority 2 request is missed at 11:00; Max was told at 10:00 as first rung, and this mail comes back."""
    opened(house)
    house.engine.command(1, "Priority: P2", "test", house.now)
    for _ in range(2):
        house.sent()
        house.forward(hours=1)
        house.sweep()
    told = []
    while items := house.store.lease_outbox("relay", house.now, 50, 60):
        for item in items:
            missed = item.template == "missed"
            told += [(item.recipient, "could not be reached" in Sent(item).text)] if missed else []
            fate = Failed("550 5.1.1 no such user", "5.1.1") if missed else Taken("250 2.0.0 ok")
            house.store.settle_outbox(item, fate, house.now)
        while house.engine.report(house.now):
            pass
    assert told == [(MAX, False), (KIM, True), ("ops@admin.example", True)], "and after the admin there is nobody"
