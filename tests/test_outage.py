"""What fell due while the daemon was down, or all at once: one mail a request at most, one a manager, each rung once (promise 10)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.crowd import multiply
from rtmail.desk.ticket import EventKind
from rtmail.engine.keeping import JOIN_WITHIN
from rtmail.store.outbox import Failed
from tests.fakes.house import House, Sent, blueprint, mail

MAX, KIM, OPS = "max@staff.example", "kim@staff.example", "ops@admin.example"
MANAGERS = ("escalation", "missed", "bundle")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, blueprint(policy="portacare"))
    yield made
    made.close()


def opened(house: House, count: int, priority: str = "") -> list[int]:
    """So many requests that came in now, each prioritised if one is named; what went out for that is taken away."""
    first = len(ids(house)) + 1
    house.receive(mail(message_id=f"<{first}@acme.example>"))
    if priority:
        house.engine.command(first, f"Priority: {priority}", "test", house.now)
    house.sent()
    multiply(house.folder / "house.db", ids(house)[first], count - 1)
    return list(range(first, first + count))


def to_managers(mails: list[Sent]) -> list[tuple[str, str]]:
    return [(one.item.template, one.item.recipient) for one in mails if one.item.template in MANAGERS]


def ids(house: House) -> dict[int, int]:
    return {ticket.number: ticket.id for ticket in house.store.list_tickets(statuses=None)}


def rungs(house: House) -> Counter[tuple[int, str, int]]:
    return Counter((number, rung.clock, rung.rung) for number, ticket in ids(house).items() for rung, _, _ in house.store.rungs(ticket))


def test_a_thousand_requests_overdue_after_an_outage(house: House) -> None:
    """All deadlines of 1,000 requests passed: triage and first response missed on each, and one mail a manager tells of them."""
    numbers = opened(house, 1000)
    house.forward(hours=9)
    house.sweep()
    went = house.sent()
    assert to_managers(went) == [("bundle", MAX)]
    (bundle,) = went
    assert all(re.search(rf"#{number}\b", bundle.text) for number in numbers)
    assert "1000 requests need attention" in bundle["Subject"]
    assert bundle.text.count("mailto:") <= 50
    told = rungs(house)
    assert set(told) == {(number, "triage", 1) for number in numbers}
    assert set(told.values()) == {1}
    log = [event for event, _ in house.store.events(ids(house)[500])]
    assert [event.facts["notice"] for event in log if event.kind is EventKind.TOLD] == ["escalation"]
    assert [event.facts["outcome"] for event in log if event.kind is EventKind.DELIVERY] == ["sent"]

    house.forward(hours=-1)
    house.sweep()
    house.forward(hours=1)
    house.sweep()
    assert house.sent() == []
    assert rungs(house) == told


def test_a_rung_reached_by_two_hundred_at_once_is_one_mail_a_manager_and_priority_1_comes_alone(house: House) -> None:
    opened(house, 200, "P2")
    opened(house, 2, "P1")
    house.forward(hours=1)
    house.sweep()
    first = house.store.lease_outbox("relay", house.now, 50, 60)
    urgent = [one for one in first if one.template == "escalation"]
    assert len(urgent) == 2
    assert "bundle" not in {one.template for one in first[:2]}, "what is urgent goes before what is joined"
    house.store.release_outbox(first)
    assert Counter(to_managers(house.sent())) == {("escalation", MAX): 2, ("bundle", MAX): 1}


def test_few_are_not_joined_and_do_not_wait(house: House) -> None:
    opened(house, 4, "P2")
    house.forward(hours=1)
    house.sweep()
    assert to_managers(house.sent()) == [("escalation", MAX)] * 4


def test_each_rung_is_joined_again_for_whom_it_tells(house: House) -> None:
    numbers = opened(house, 6, "P2")
    seen = []
    for hours in (1, 3, 4):
        house.forward(hours=hours)
        house.sweep()
        seen += to_managers(house.sent())
    assert seen == [("bundle", MAX)] * 3 or Counter(seen)["bundle", MAX] == 3
    assert rungs(house) == Counter((number, "ladder", rung) for number in numbers for rung in (1, 2, 3))


def test_a_joined_mail_that_fails_sends_each_request_to_the_next_in_line(house: House) -> None:
    opened(house, 6, "P2")
    house.forward(hours=1)
    house.sweep()
    (bundle,) = [item for item in house.store.lease_outbox("relay", house.now, 50, 60) if item.template == "bundle"]
    house.store.settle_outbox(bundle, Failed("550 5.1.1 no such user", "5.1.1"), house.now)
    while house.engine.report(house.now):
        pass
    house.sweep()
    went = to_managers(house.sent())
    assert ("bundle", KIM) in went, "the deputy hears of all of them in one mail as well"
    for ticket in ids(house).values():
        log = [event for event, _ in house.store.events(ticket)]
        assert [event.facts["outcome"] for event in log if event.kind is EventKind.DELIVERY] == ["failed", "sent"]
    assert set(rungs(house).values()) == {1}


def test_a_joined_mail_that_comes_home_later_is_heard_of_by_each_request(house: House) -> None:
    opened(house, 6, "P2")
    house.forward(hours=1)
    house.sweep()
    (bundle,) = [one for one in house.sent() if one.item.template == "bundle"]
    report = f"""From: MAILER-DAEMON@staff.example
To: {bundle.item.envelope_sender}
Subject: Undelivered Mail Returned to Sender
Message-ID: <dsn@staff.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="cut"

--cut
Content-Type: text/plain

no such user
--cut
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.staff.example

Final-Recipient: rfc822; {MAX}
Action: failed
Status: 5.1.1

--cut--
"""
    house.receive(report.replace("\n", "\r\n"), to=bundle.item.envelope_sender, sender="")
    while house.engine.report(house.now):
        pass
    house.sweep()
    assert ("bundle", KIM) in to_managers(house.sent())


def test_killed_between_the_sweep_and_the_joining_they_are_joined_by_the_next_start(house: House) -> None:
    opened(house, 30, "P2")
    house.forward(hours=1)
    while house.engine.wake(house.now):
        pass
    assert not house.store.lease_outbox("relay", house.now, 50, 60)
    house.sweep()
    assert to_managers(house.sent()) == [("bundle", MAX)]


def test_what_nobody_joins_goes_out_alone_after_a_moment(house: House) -> None:
    opened(house, 6, "P2")
    house.forward(hours=1)
    while house.engine.wake(house.now):
        pass
    house.now += JOIN_WITHIN
    assert to_managers(house.sent()) == [("escalation", MAX)] * 6
    house.sweep()
    assert house.sent() == []


def test_the_work_of_a_sweep_is_what_is_due(house: House) -> None:
    """A sweep that finds nothing due touches no request."""
    opened(house, 30, "P2")
    assert house.engine.sweep(house.now) == 0
    wake = house.store.next_wake_at()
    assert wake is not None
    assert wake > house.now
    house.now = wake - timedelta(microseconds=1)
    assert house.engine.sweep(house.now) == 0
