"""A manager acts by answering what he was told, or by its links: ack, take, snooze, or words that become a comment; nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.people import ManagementRole
from rtmail.desk.ticket import EventKind, Status
from rtmail.policy.clocks import Clock, ClockKind
from rtmail.store.outbox import Failed
from tests.fakes.house import House, Sent, blueprint
from tests.fakes.staff import BOB, CARL, JANE, KIM, MAX, answered, clicked, opened, request, sent_to


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
    assert "Acknowledged: Max Boss (technical-support-manager), until 23 Nov 13:00 UTC" in " ".join(second.text.split())


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
