"""Designated contacts, by real mail: who has commitments, severity agreed before work, clocks that stand still while we ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.engine.office import Office
from rtmail.policy.clocks import State
from tests.fakes.entitled import ANN, BOB, OLD, WORKDAY, clock, due, entitled, request
from tests.fakes.house import House
from tests.fakes.staff import EVE, JANE, KIM, answered, opened, receivers, sent_to, told_us


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "verato", roles=("support-manager",))
    yield one
    one.close()


def test_a_designated_contact_has_a_number_and_a_first_contact_in_time(house: House) -> None:
    sent = opened(house, text="Matching is down.")
    assert "#1" in sent_to(sent, BOB, "acknowledgement").text
    assert "Acme Ltd, plan Basic, until 31 Mar 2027." in sent_to(sent, JANE, "opened").text
    assert due(house, "first-response") == WORKDAY + timedelta(hours=2)


def test_a_representative_is_assigned_whatever_the_severity(house: House) -> None:
    """Severities 1 to 3 always have one: a queue whose rule gives each request to somebody has nobody's ever."""
    directory = house.plan.directory
    queues = {name: replace(queue, assign="round-robin") for name, queue in directory.queues.items()}
    house.plan = replace(house.plan, directory=replace(directory, queues=queues))
    house.engine.use(Office(house.plan, house.store, house.now))
    for number, severity in enumerate(("1 critical", "2 high", "3 medium"), 1):
        sent = opened(house, text=f"It is so.\n\nSeverity: {severity}")
        owner = house.engine.office.directory.by_party(request(house, number).owner)
        assert owner is not None
        assert f"{owner.name} answers for it: in turn." in " ".join(sent_to(sent, owner.email, "opened").text.split())
    listed = " ".join(sent_to(told_us(house, JANE, "list nobody"), JANE).text.split())
    assert "None." in listed


def test_others_of_the_organisation_may_write_without_commitments_and_for_low_impact_only(house: House) -> None:
    sent = opened(house, who=ANN, text="Priority: S1\n\nHow do I export?")
    assert receivers(sent, "acknowledgement") == {ANN}
    notice = sent_to(sent, JANE, "opened").text
    assert "Of Acme Ltd, but not one of its contacts for support." in notice
    assert "Served without promises: no clock runs." in " ".join(notice.split())
    assert "which the policy lets no customer choose" in " ".join(notice.split())
    assert request(house).clocks == ()
    answered(house, sent_to(sent, JANE, "opened"), "Priority: S4\n\nBy the menu.")
    assert request(house).priority == "S4"
    assert request(house).clocks == ()


def test_staff_give_a_stranger_commitments_by_a_word(house: House) -> None:
    sent = opened(house, who=EVE)
    assert not [one for one in sent if one.item.recipient == EVE], "held: nothing goes out"
    assert "Held: nothing went out" in " ".join(sent_to(sent, JANE, "opened").text.split())
    house.forward(hours=1)
    sent = answered(house, sent_to(sent, JANE, "opened"), "serve")
    assert receivers(sent, "acknowledgement") == {EVE}
    assert due(house, "first-response") == house.now + timedelta(hours=2)
    assert due(house, "triage") == house.now + timedelta(hours=1)


def test_an_ended_plan_is_answered_and_closed(house: House) -> None:
    sent = opened(house, who=OLD)
    answer = sent_to(sent, OLD, "prepared")
    assert "account manager" in answer.text
    assert answer["Auto-Submitted"] == "auto-replied"
    assert "which ended on 30 Jun 2026" in " ".join(sent_to(sent, JANE, "opened").text.split())
    assert request(house).status == "closed"
    assert request(house).clocks == ()


def test_severity_is_agreed_before_work(house: House) -> None:
    sent = opened(house, text="Priority: S1\n\nMatching is slow.")
    notice = sent_to(sent, JANE, "opened")
    assert "Asks for the priority S1" in notice.text
    assert request(house).priority == ""
    told = sent_to(answered(house, notice, "Priority: S2"), BOB, "priority-told")
    assert "Significant and persistent" in told.text
    assert request(house).priority_state == "proposed"
    answered(house, told, "agree", who=BOB, proven=False)
    assert request(house).priority_state == "agreed"


def test_the_form_asks_for_what_the_mail_does_not_say(house: House) -> None:
    sent = opened(house, text="Matching is slow.\n\nProduct: Match 7\nEnvironments: production, staging\nSeverity: high")
    ack = sent_to(sent, BOB, "acknowledgement")
    for label in ("Component:", "Steps to reproduce:", "Impact on operations:", "No health or personal data is included (yes or no):"):
        assert label in ack.text
    notice = " ".join(sent_to(sent, JANE, "opened").text.split())
    assert "Environments: Production, Staging" in notice
    assert "Asks for the priority S2" in notice
    assert "Missing in the form: Component, Steps to reproduce, Impact on operations, No health or personal data is included." in notice
    form = ack.text.replace("\r", "").partition("===")[2].rpartition("===")[0]
    for label in ("Component", "Steps to reproduce", "Impact on operations", "included (yes or no)"):
        form = form.replace(f"{label}:", f"{label}: yes")
    sent = answered(house, ack, f"==={form}===", who=BOB, proven=False)
    assert {key: entry["value"] for key, entry in request(house).filled.items()} == {
        "product": "Match 7", "environments": ["Production", "Staging"], "seen-severity": "2 high", "component": "yes", "steps": "yes",
        "effect": "yes", "no-private-data": "yes",
    }  # fmt: skip
    assert not receivers(sent, "form")
    told = sent_to(answered(house, sent_to(sent, JANE, "notice"), "Priority: S2"), BOB, "priority-told")
    assert request(house).priority_state == "agreed", "it is the severity that he filled in"
    assert "that you asked for" in told.text


def test_it_is_resolved_by_a_stated_mode(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    refused = sent_to(answered(house, notice, "Priority: S3\nresolve\n\nPlease restart it."), JANE, "receipt").text
    assert "Mode of resolution" in refused
    assert request(house).status == "open"
    sent = answered(house, notice, "Mode of resolution: workaround\nresolve\n\nPlease restart it.")
    assert "Mode of resolution: workaround" in sent_to(sent, BOB, "closing").text


def test_while_the_customer_is_asked_the_clocks_stand_still(house: House) -> None:
    sent = opened(house)
    answered(house, sent_to(sent, JANE, "opened"), "Priority: S2\nwait")
    first = clock(house, "first-response")
    assert first is not None
    assert first.state is State.PAUSED
    house.forward(days=1)
    answered(house, sent_to(sent, BOB, "acknowledgement"), "Steps: press the button.", who=BOB, proven=False)
    first = clock(house, "first-response")
    assert first is not None
    assert first.running
    assert due(house, "first-response") == WORKDAY + timedelta(days=1, hours=4)


def test_nobody_told_of_health_data_twice(house: House) -> None:
    """The answer of the policy for data that has no place in a mail, by a word of staff; the request waits."""
    sent = answered(house, sent_to(opened(house), KIM, "opened"), "redirect share-safely")
    assert "secure channel" in sent_to(sent, BOB, "words").text
    assert request(house).status == "waiting"


def test_while_it_waits_the_customer_is_reminded_and_then_it_is_closed(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    told = sent_to(answered(house, notice, "Priority: S3\nask: log of the gateway\n\nWe cannot see it here."), BOB, "asking")
    assert "1. log of the gateway" in told.text
    came: list[tuple[str, str]] = []
    for _ in range(24):
        house.forward(days=1)
        house.sweep()
        came += [(f"{house.now:%a %d}", one.item.template) for one in house.sent() if one.item.recipient == BOB]
    # Two business days each; Thursday 26 November is a holiday, so is no other of these days.
    assert came == [
        ("Fri 27", "reminder"), ("Tue 01", "reminder"), ("Thu 03", "reminder"), ("Thu 10", "unanswered"),
    ]  # fmt: skip
    assert request(house).status == "closed"
