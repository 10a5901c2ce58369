"""Two helpdesks behind packages, by real mail: what each package has, lists by urgency, redirects, taking as the first response."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.desk.people import Plan
from rtmail.policy.clocks import State
from tests.fakes.entitled import BOB, NIGHT, OLD, WORKDAY, clock, due, entitled, request
from tests.fakes.house import House, Sent
from tests.fakes.staff import ANN, EVE, JANE, KIM, answered, opened, sent_to, told_us

ENTERPRISE = Plan("enterprise", "Enterprise", queues=("support",), telephone="+44 20 7946 0000")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "verj", roles=("helpdesk-lead",), plan=ENTERPRISE)
    yield one
    one.close()


def flat(sent: Sent) -> str:
    return " ".join(sent.text.split())


def test_the_package_says_how_soon_work_begins_and_whom_to_call(house: House) -> None:
    sent = opened(house)
    assert "+44 20 7946 0000" in sent_to(sent, BOB, "acknowledgement").text
    answered(house, sent_to(sent, JANE, "opened"), "Priority: production-critical")
    assert due(house, "first-response") == WORKDAY + timedelta(minutes=30)
    answered(house, sent_to(sent, JANE, "opened"), "take")
    first = clock(house, "first-response")
    assert first is not None
    assert (first.state, first.settled_by) == (State.MET, "taken")


def test_a_queue_that_the_package_does_not_have_is_answered(house: House) -> None:
    sent = opened(house, queue="sales")
    assert "ordinary helpdesk" in sent_to(sent, BOB, "prepared").text
    assert "does not have this queue" in " ".join(sent_to(sent, KIM, "opened").text.split())
    assert request(house).status == "closed"


@pytest.mark.parametrize("who", [OLD, EVE])
def test_no_package_is_answered(house: House, who: str) -> None:
    assert "Support is part of a package" in " ".join(sent_to(opened(house, who=who), who, "prepared").text.split())
    assert request(house).status == "closed"


@pytest.mark.parametrize(("word", "said"), [
    ("documentation", "documentation"), ("forum", "community forum"), ("third-party", "maker's support"),
    ("account-manager", "account manager"), ("end-of-life", "end of life"), ("training", "training"), ("english", "English only"),
])
def test_what_does_not_belong_here_is_redirected(house: House, word: str, said: str) -> None:
    sent = answered(house, sent_to(opened(house), JANE, "opened"), f"redirect {word}")
    words = sent_to(sent, BOB, "words")
    assert said in " ".join(words.text.split())
    assert words["From"].startswith('"Jane Doe via Example"') or words["From"].startswith("Jane Doe via Example")
    assert request(house).status == "closed"
    assert f"{word} went to Bob Roe" in " ".join(sent_to(sent, JANE, "receipt").text.split())


def test_an_answer_that_there_is_not_names_those_that_are(house: House) -> None:
    said = " ".join(sent_to(answered(house, sent_to(opened(house), JANE, "opened"), "redirect nowhere"), JANE, "receipt").text.split())
    assert "there is no prepared answer nowhere; there are no-package, ordinary-helpdesk" in said


def test_the_open_list_is_sorted_by_package_impact_and_spread(house: House) -> None:
    first = sent_to(opened(house, subject="A question"), JANE, "opened")
    second = sent_to(opened(house, who=ANN, subject="It is wrong"), JANE, "opened")
    answered(house, first, "impact: question\nspread: some-environment")
    said = " ".join(sent_to(answered(house, second, "impact: data loss\nspread: all users"), JANE, "receipt").text.split())
    assert "the urgency is 30" in said, "2 x 5 x 3: Ann is no contact, so no package counts for her"
    assert request(house).fields["urgency"]["value"] == 4
    rows, _ = house.store.find_tickets(queues=["support"])
    assert [row.number for row in rows] == [2, 1]
    listed = sent_to(told_us(house, JANE, "list"), JANE).text
    assert listed.index("It is wrong") < listed.index("A question")


@pytest.mark.parametrize(("plan", "priority", "begun_by"), [
    ("enterprise", "production-critical", datetime(2026, 11, 28, 8, 30, tzinfo=UTC)),   # round the clock, half an hour
    ("standard", "production-critical", datetime(2026, 11, 30, 11, 0, tzinfo=UTC)),     # Monday 09:00 in London and two hours
    ("enterprise", "ordinary", datetime(2026, 11, 30, 13, 0, tzinfo=UTC)),
    ("standard", "ordinary", datetime(2026, 12, 1, 9, 0, tzinfo=UTC)),
])  # fmt: skip
def test_the_package_says_at_which_hours_and_how_soon(tmp_path: Path, plan: str, priority: str, begun_by: datetime) -> None:
    house = entitled(tmp_path, "verj", now=NIGHT, roles=("helpdesk-lead",), plan=Plan(plan, plan.title()))
    try:
        answered(house, sent_to(opened(house), JANE, "opened"), f"Priority: {priority}")
        assert due(house, "first-response") == begun_by
    finally:
        house.close()


REPRODUCED = "Version: 7.1\nEnvironment: cluster of two\nSteps to reproduce: pay twice"


def test_a_bug_is_raised_with_everything_needed_to_reproduce_it(house: House) -> None:
    notice = sent_to(opened(house, subject="It fails"), JANE, "opened")
    refused = flat(sent_to(answered(house, notice, "Version: 7.1\nbug EB-12"), JANE, "receipt"))
    assert "say first, in a line of its own: `Environment: …`; `Steps to reproduce: …`" in refused
    assert not request(house).fields.get("refs")
    sent = answered(house, notice, f"{REPRODUCED}\nbug EB-12")
    assert request(house).fields["refs"] == ["EB-12"]
    assert not [one for one in sent if one.item.recipient == BOB], "what an environment is like is confidential"
    shown = flat(sent_to(told_us(house, JANE, "bugs EB-12"), JANE))
    assert "EB-12 - #1 It fails new Version: 7.1 Environment: cluster of two Steps to reproduce: pay twice" in shown
    assert "pay twice" not in flat(sent_to(told_us(house, JANE, "list bugs"), JANE)), "a list is a list"


def test_several_requests_hang_on_one_bug(house: House) -> None:
    for subject in ("It fails", "It fails too"):
        answered(house, sent_to(opened(house, subject=subject), JANE, "opened"), f"{REPRODUCED}\nbug EB-12")
    assert [request(house, number).fields["refs"] for number in (1, 2)] == [["EB-12"], ["EB-12"]]


def test_the_root_cause_is_recorded_before_it_is_resolved(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    assert "Root cause" in sent_to(answered(house, notice, "resolve"), JANE, "receipt").text
    assert request(house).status == "new"
    sent = answered(house, notice, "Root cause: third party\nresolve")
    assert request(house).status == "resolved"
    assert "third party" not in "".join(one.text for one in sent if one.item.recipient == BOB)
