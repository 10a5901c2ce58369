"""After hours only what is critical is worked on, by real mail: who is called, what the customer hears, an ETA, the next business day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.desk.machines.systems import Tracker
from rtmail.desk.people import Plan
from rtmail.engine.office import Office
from tests.fakes.entitled import ANN, BOB, NIGHT, WORKDAY, due, entitled, request
from tests.fakes.house import House, mail
from tests.fakes.staff import JANE, MAX, answered, flat, opened, receivers, sent_to

MONDAY = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
"""09:00 in New York."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "opscom", now=NIGHT, extra=("critical", "escalation"), roles=("on-call", "escalation-manager"),
                   plan=Plan("premium", "Premium", telephone="+1 613 555 0100"))
    yield one
    one.close()


@pytest.mark.parametrize(("mail", "why"), [
    ({"queue": "critical"}, "it came to critical@example.com"),
    ({"text": "Priority: critical\n\nNobody can park."}, "its sender says so"),
    ({"subject": "OUTAGE at all gates"}, "its subject says `outage`"),
])
def test_a_critical_request_calls_who_is_on_call_at_once(house: House, mail: dict[str, str], why: str) -> None:
    sent = opened(house, **mail)  # type: ignore[arg-type]
    assert request(house).priority == "critical"
    assert {"escalation", "page"} <= {one.item.template for one in sent if one.item.recipient in (MAX, "4915550100@sms.example")}
    assert f"Critical after hours: {why}" in " ".join(flat(one) for one in sent if one.item.template == "opened")
    assert due(house, "triage") == NIGHT + timedelta(minutes=15)
    assert due(house, "first-response") == NIGHT + timedelta(hours=1)
    assert "opens next" not in flat(sent_to(sent, BOB, "acknowledgement"))


@pytest.mark.parametrize("mail", [
    {"subject": "Outages in general"}, {"who": ANN, "text": "Priority: critical\n\nPlease."}, {},
])
def test_anything_else_hears_when_the_office_opens_and_the_word_that_makes_it_critical(house: House, mail: dict[str, str]) -> None:
    sent = opened(house, **mail)  # type: ignore[arg-type]
    assert request(house).priority == ""
    assert receivers(sent, "escalation") == set()
    said = flat(sent_to(sent, mail.get("who", BOB), "acknowledgement"))
    assert "Our office opens next on Mon 30 Nov 2026, 09:00 EST" in said
    assert '"outage" in the subject' in said
    assert due(house, "triage") == MONDAY + timedelta(hours=2)


def test_the_status_mail_carries_an_eta(house: House) -> None:
    notice = sent_to(opened(house, subject="Outage"), JANE, "opened")
    sent = answered(house, notice, "We see it.")
    assert "say by when it will be solved" in flat(sent_to(sent, JANE, "asked"))
    assert not [one for one in sent if one.item.recipient == BOB]
    for line in ("eta 2026-01-01 06:00", "Status: open"):
        sent = answered(house, notice, f"{line}\n\nWe see it.")
        assert "say by when it will be solved" in flat(sent_to(sent, JANE, "asked")), "neither says when"
    sent = answered(house, notice, "eta 06:00\n\nWe see it.")
    assert "06:00" in next(one for one in sent if one.item.recipient == BOB).text
    assert "We see it." in next(one for one in sent if one.item.recipient == BOB).text


def test_what_is_not_critical_is_downgraded_told_and_answered_on_the_next_business_day(house: House) -> None:
    notice = sent_to(opened(house, subject="Outage of my coffee machine"), JANE, "opened")
    house.forward(minutes=10)
    told = sent_to(answered(house, notice, "Reclassify: normal, nothing of ours stands still"), BOB, "priority-told")
    assert "nothing of ours stands still" in flat(told)
    assert due(house, "first-response") == MONDAY + timedelta(hours=1), "premium: one business hour"
    house.forward(hours=12)
    house.sweep()
    assert receivers(house.sent(), "escalation") == set(), "nobody is called any more"


@pytest.mark.parametrize(("plan", "hours"), [("standard", 2), ("standard-plus", 1), ("premium", 1)])
def test_the_plan_says_within_how_many_business_hours(tmp_path: Path, plan: str, hours: int) -> None:
    house = entitled(tmp_path, "opscom", roles=("on-call", "escalation-manager"), plan=Plan(plan, plan.title()))
    try:
        sent = opened(house, subject="Outage")
        assert request(house).priority == "", "in office hours a word calls nobody"
        answered(house, sent_to(sent, JANE, "opened"), "Priority: normal")
        assert due(house, "first-response") == WORKDAY + timedelta(hours=hours)
    finally:
        house.close()


def test_premium_may_call(house: House) -> None:
    assert "+1 613 555 0100" in flat(sent_to(opened(house), BOB, "acknowledgement"))


def test_a_bug_goes_to_the_escalation_tier_with_what_is_needed(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    first = sent_to(answered(house, notice, "We test it."), BOB, "words")
    refused = flat(sent_to(answered(house, notice, "hand over escalation: the gate stays shut"), JANE, "receipt"))
    assert "Version" in refused
    assert "Tested" in refused
    lines = "Version: 7.1\nSteps to reproduce: pay twice\nTested: reproduced\nhand over escalation: the gate stays shut"
    sent = answered(house, notice, lines)
    assert request(house).queue == "escalation"
    assert "the gate stays shut" in flat(sent_to(sent, MAX, "handed-over"))
    assert receivers(sent, "handed-over") >= {MAX}, "the escalation manager"
    assert not [one for one in sent if one.item.recipient == BOB]
    assert first["From"] == "Customer Support via Example <support@example.com>"


def test_the_tracker_is_a_comment_always_and_the_fix_is_told_on_the_original_request(house: House) -> None:
    """A development-side comment never reaches the customer; when development and QA are done, he is told where he asked."""
    house.plan = replace(house.plan, trackers=(Tracker("jira", ("jira@dev.example.net",)),))
    house.engine.use(Office(house.plan, house.store, house.now))
    notice = sent_to(opened(house, queue="critical", subject="Gates stay shut"), JANE, "opened")
    answered(house, notice, "take\nbug PARK-7")
    raw = mail(sender="Jira <jira@dev.example.net>", subject="(PARK-7) Gates: who wrote this mess?", text="Nobody tested it.",
               message_id="<7@dev.example.net>", headers=f"In-Reply-To: {request(house).thread[-1]}")
    house.receive(raw, to="critical@example.com", sender="jira@dev.example.net", peer="127.0.0.1")
    assert {one.item.recipient for one in house.sent()} == {JANE}
    house.forward(days=40)
    sent = answered(house, notice, "fixed PARK-7 in 2026.12 yes")
    told = sent_to(sent, BOB, "fixed")
    assert told["Subject"] == "Re: [Example #1] Gates stay shut"
    assert told["From"].startswith("Customer Support via Example"), "one voice for all staff"
    assert "2026.12" in told.text
    assert "PARK-7" not in told.text
