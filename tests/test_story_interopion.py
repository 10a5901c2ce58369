"""The customer names the priority, by real mail: the provider may change it and must tell why, the customer may appeal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from rtmail.policy.clocks import State
from tests.fakes.entitled import ANN, BOB, OLD, WORKDAY, clock, due, entitled, request
from tests.fakes.house import House, Sent
from tests.fakes.staff import EVE, JANE, MAX, answered, flat, opened, receivers, sent_to, told_us


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "interopion", roles=("support-management",), holidays="CA", timezone="America/Toronto")
    yield one
    one.close()


def test_only_registered_contacts_are_served_and_only_within_the_term(house: House) -> None:
    for number, who in enumerate((ANN, EVE), 1):
        sent = opened(house, who=who)
        assert not [one for one in sent if one.item.recipient == who]
        assert "Held: nothing went out" in flat(sent_to(sent, JANE, "opened"))
        assert request(house, number).clocks == ()
    assert "term of an agreement" in flat(sent_to(opened(house, who=OLD), OLD, "prepared"))


@pytest.mark.parametrize(("priority", "after"), [("P1", timedelta(hours=2)), ("P2", timedelta(hours=4)), ("P3", timedelta(days=1))])
def test_the_customer_designates_the_priority(house: House, priority: str, after: timedelta) -> None:
    sent = opened(house, text=f"Priority: {priority}\n\nIt fails.")
    assert request(house).priority == priority
    assert receivers(sent, "acknowledgement") == {BOB}
    first = clock(house, "first-response")
    assert first is not None
    assert first.due_at is not None
    assert first.due_at == WORKDAY + after
    acknowledged, update = sent_to(sent, BOB, "acknowledgement").text, clock(house, "update")
    promised = {"P1": first.due_at, "P2": update.due_at if update else None, "P3": None}[priority]
    assert (promised is None) is ("as soon as possible" in acknowledged), "what no clock holds is not promised"
    if promised is not None:
        assert f"by {promised.astimezone(ZoneInfo('America/New_York')):%a %d %b %Y, %H:%M} " in acknowledged
    assert (first.state is State.MET) is (priority != "P1"), "an acknowledgement is the response, but to an emergency"
    assert ("escalation", MAX) in [(one.item.template, one.item.recipient) for one in sent] or priority != "P1"


def test_a_changed_priority_is_told_with_its_reason_and_the_way_to_appeal(house: House) -> None:
    notice = sent_to(opened(house, text="Priority: P1\n\nThe colours are wrong."), JANE, "opened")
    refused = flat(sent_to(answered(house, notice, "Priority: P3"), JANE, "receipt"))
    assert "the customer chose P1; say why it is changed, he is told" in refused
    assert request(house).priority == "P1"
    told = sent_to(answered(house, notice, "Reclassify: P3, it is usable, in other colours"), BOB, "priority-told")
    assert "Why: it is usable, in other colours" in flat(told)
    assert "you can appeal" in flat(told)
    assert request(house).priority == "P3"


def appealed(house: House) -> tuple[Sent, list[Sent]]:
    notice = sent_to(opened(house, text="Priority: P1\n\nIt is wrong."), JANE, "opened")
    told = sent_to(answered(house, notice, "Reclassify: P3, it is usable"), BOB, "priority-told")
    return notice, answered(house, told, "appeal\n\nNobody can work.", who=BOB, proven=False)


def test_an_appeal_reaches_management_at_once_and_has_its_own_clock(house: House) -> None:
    _, sent = appealed(house)
    to_max = sent_to(sent, MAX, "notice")
    assert "Appeals against the priority P3. You decide" in flat(to_max)
    assert "Nobody can work." in to_max.text
    assert "is with our support management" in flat(sent_to(sent, BOB, "appealed"))
    assert request(house).priority_state == "disputed"
    assert due(house, "appeal") == WORKDAY + timedelta(days=1)
    house.forward(days=1, minutes=1)
    house.sweep()
    assert MAX in receivers(house.sent(), "missed")


def test_staff_note_an_appeal_that_came_by_another_way_than_mail(house: House) -> None:
    notice = sent_to(opened(house, text="It is wrong."), JANE, "opened")
    assert "no priority yet" in flat(sent_to(answered(house, notice, "appeal: he rang up"), JANE, "receipt"))
    answered(house, notice, "Priority: P3")
    house.forward(days=1)
    sent = answered(house, notice, "appeal: he rang up, nobody can work")
    assert "Max Boss decides" in flat(sent_to(sent, JANE, "receipt"))
    to_max = sent_to(sent, MAX, "notice")
    assert "Appeals against the priority P3. You decide" in flat(to_max)
    assert "he rang up, nobody can work" in to_max.text
    told = sent_to(sent, BOB, "appealed")
    assert "is with our support management" in flat(told)
    assert "rang" not in told.text, "what staff noted is for staff"
    assert due(house, "appeal") == WORKDAY + timedelta(days=2)
    again = flat(sent_to(answered(house, notice, "appeal: he rang up again"), JANE, "receipt"))
    assert "an appeal waits for a decision already" in again
    told = sent_to(answered(house, to_max, "Reclassify: P1, you are right"), BOB, "priority-told")
    assert "the decision of our support management" in flat(told)
    assert not [one for one in answered(house, to_max, "He will never pay.") if one.item.recipient == BOB], "an answer stays among staff"


def test_where_nobody_decides_appeals_none_can_be_noted(tmp_path: Path) -> None:
    house = entitled(tmp_path, "portacare")
    try:
        notice = sent_to(opened(house), JANE, "opened")
        answered(house, notice, "Priority: P3")
        assert "nobody decides appeals here" in flat(sent_to(answered(house, notice, "appeal: he rang up"), JANE, "receipt"))
    finally:
        house.close()


def test_a_lone_appeal_of_staff_is_asked_about_and_reaches_nobody(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "appeal\n\nHe rang up.")
    assert "appeal: he says" in flat(sent_to(sent, JANE, "asked"))
    assert len(sent) == 1


def test_only_management_decides_an_appeal_and_the_customer_hears_of_it(house: House) -> None:
    notice, sent = appealed(house)
    answered(house, notice, "Priority: P3")
    appeal = clock(house, "appeal")
    assert appeal is not None
    assert appeal.running, "an engineer decides nothing"
    told = sent_to(answered(house, sent_to(sent, MAX, "notice"), "Reclassify: P1, you are right"), BOB, "priority-told")
    assert "the decision of our support management" in flat(told)
    assert "you can appeal" not in flat(told)
    appeal = clock(house, "appeal")
    assert appeal is not None
    assert (appeal.state, appeal.settled_by) == (State.MET, "management")
    assert request(house).priority == "P1"


def test_management_may_keep_the_priority_and_the_customer_hears_that_too(house: House) -> None:
    _, sent = appealed(house)
    told = sent_to(answered(house, sent_to(sent, MAX, "notice"), "Priority: P3"), BOB, "priority-told")
    assert "the decision of our support management" in flat(told)
    appeal = clock(house, "appeal")
    assert appeal is not None
    assert appeal.state is State.MET


def test_a_feature_request_is_logged_told_and_closed(house: House) -> None:
    sent = answered(house, sent_to(opened(house), JANE, "opened"), "redirect feature")
    assert "logged for consideration as #1" in flat(sent_to(sent, BOB, "words"))
    assert (request(house).status, request(house).fields["mark"]) == ("closed", "feature")


def test_feature_requests_are_listed_open_and_closed_ones(house: House) -> None:
    answered(house, sent_to(opened(house, subject="A dark mode"), JANE, "opened"), "redirect feature")
    second = sent_to(opened(house, subject="A light mode"), JANE, "opened")
    answered(house, second, "redirect feature")
    answered(house, second, "reopen")
    opened(house, subject="No feature")
    listed = flat(sent_to(told_us(house, JANE, "list Feature"), JANE))
    assert listed.index("#2 A light mode open") < listed.index("#1 A dark mode closed")
    assert "No feature" not in listed


def test_hours_of_operation_leave_out_the_holidays_of_the_customers_region(house: House) -> None:
    """Canada Day 2026 is a Wednesday: updates of P2 stand still that day, first responses, on business hours, do not."""
    house.now = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)             # Tuesday 21:00 in Denver
    sent = opened(house, text="Priority: P2\n\nIt fails.")
    answered(house, sent_to(sent, JANE, "opened"), "We look at it.")
    # Three hours are left of Tuesday, the other three come after the holiday.
    assert due(house, "update") == datetime(2026, 7, 2, 9, 0, tzinfo=UTC)
    assert due(house, "first-response") == datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
