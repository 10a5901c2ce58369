"""The time of an event: when our house took the mail in, never what its sender claims and never the future; and held words count from
their confirmation. Instants are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.mail.model import Envelope
from rtmail.mail.reading.transit import taken_at
from rtmail.mail.site import Site
from rtmail.policy.clocks import ClockKind, State
from tests.fakes.daemon import reply
from tests.fakes.entitled import NIGHT, entitled
from tests.fakes.house import House, blueprint, mail
from tests.fakes.staff import JANE, address_of, answered, clicked, opened, request, sent_to, told_us, trusted

COMMIT = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
SITE = Site("Example", "Example", "example.com", "ops@admin.example", trusted_hops=("10.0.0.0/8", "127.0.0.1/32"))
BY_US = "from out.acme.example (out.acme.example [192.0.2.7]) by mx.example.com (Postfix) with ESMTPS id 4F; "


@pytest.mark.parametrize(("ingress", "peer", "received", "minutes"), [
    ("smtp", "10.1.2.3", [BY_US + "Mon, 23 Nov 2026 10:20:00 +0000"], -40),
    ("smtp", "10.1.2.3", [BY_US + "Mon, 23 Nov 2026 11:20:00 +0100 (CET)"], -40),
    ("smtp", "10.1.2.3", [BY_US + "23 Nov 2026 10:20:00 -0000"], -40),
    ("smtp", "10.1.2.3", [BY_US + "Mon, 23 Nov 2026 10:50:00 +0000", BY_US + "Mon, 23 Nov 2026 10:20:00 +0000"], -10),   # the topmost
    ("lmtp", "", [BY_US + "Mon, 23 Nov 2026 10:20:00 +0000"], -40),
    ("pipe", "", [BY_US + "Mon, 23 Nov 2026 10:20:00 +0000"], -40),
    ("smtp", "192.0.2.7", [BY_US + "Mon, 23 Nov 2026 10:20:00 +0000"], 0),          # the sender's own words
    ("imap:box", "", [BY_US + "Mon, 23 Nov 2026 10:20:00 +0000"], 0),               # its INTERNALDATE is the commit here
    ("smtp", "10.1.2.3", [BY_US + "Mon, 23 Nov 2026 11:00:01 +0000"], 0),           # the future
    ("smtp", "10.1.2.3", [BY_US + "Wed, 18 Nov 2026 11:00:00 +0000"], -5 * 1440),
    ("smtp", "10.1.2.3", [BY_US + "Wed, 18 Nov 2026 10:59:59 +0000"], 0),           # no server keeps a mail so long
    ("smtp", "10.1.2.3", [BY_US + "yesterday"], 0),
    ("smtp", "10.1.2.3", ["from x by y"], 0),
    ("smtp", "10.1.2.3", [BY_US + "Mon, 31 Feb 2026 10:20:00 +0000"], 0),
    ("smtp", "10.1.2.3", [BY_US + "Mon, 01 Jan 0001 00:00:00 +2359"], 0),
    ("smtp", "10.1.2.3", [], 0),
])
def test_only_a_trusted_hops_line_says_when_it_was_taken_in(ingress: str, peer: str, received: list[str], minutes: int) -> None:
    envelope = Envelope("bob@acme.example", ("support@example.com",), ingress, COMMIT, peer=peer)
    assert taken_at(received, envelope, SITE) == COMMIT + timedelta(minutes=minutes)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, blueprint(policy="portacare"))
    yield made
    made.close()


def first(house: House) -> tuple[State, datetime | None, datetime | None]:
    row = next(clock for clock in request(house).clocks if clock.kind is ClockKind.FIRST_RESPONSE)
    return row.state, row.due_at, row.settled_at


def test_a_request_counts_from_our_servers_hour_and_an_answer_too(house: House) -> None:
    """rtmail was down from 09:00 to 10:20; the customer's mail reached our server at 09:00, the engineer's answer is late by its own."""
    begun = house.now
    house.forward(minutes=80)
    house.receive(mail(headers=f"Received: {BY_US}Mon, 23 Nov 2026 09:00:00 +0000"), peer="127.0.0.1")
    assert request(house).opened_at == begun
    assert first(house)[1] == begun + timedelta(hours=1)
    answered(house, sent_to(house.sent(), JANE, "opened"), "We look.")
    assert first(house)[::2] == (State.MISSED, begun + timedelta(minutes=80))


@pytest.mark.parametrize(("minutes", "promised"), [(20, "09:30 UTC"), (40, "10:00 UTC"), (80, "")])
def test_an_acknowledgement_that_is_late_promises_nothing_that_has_passed(house: House, minutes: int, promised: str) -> None:
    """Triage is due at 09:30, the first response at 10:00."""
    house.forward(minutes=minutes)
    house.receive(mail(headers=f"Received: {BY_US}Mon, 23 Nov 2026 09:00:00 +0000"), peer="127.0.0.1")
    text = next(one for one in house.sent() if one.item.template == "acknowledgement").text
    assert ("A person will have looked" in text) is bool(promised)
    assert promised in text


def test_an_answer_that_waited_in_our_servers_queue_is_in_time(house: House) -> None:
    begun = house.now
    notice = sent_to(opened(house), JANE, "opened")
    house.forward(minutes=90)                                   # nothing ran meanwhile
    raw = reply(notice.item.raw, "We look.", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>")
    trace = f"Received: {BY_US}Mon, 23 Nov 2026 09:50:00 +0000\r\n".encode()
    house.receive(trace + trusted(raw, JANE), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    assert first(house)[::2] == (State.MET, begun + timedelta(minutes=50))


def test_the_senders_date_counts_for_nothing(house: House) -> None:
    house.receive(mail(date="Mon, 23 Nov 2026 03:00:00 +0000"))
    house.receive(mail(date="Mon, 23 Nov 2037 03:00:00 +0000", message_id="<2@acme.example>"))
    assert [request(house, number).opened_at for number in (1, 2)] == [house.now, house.now]


def test_staff_words_that_were_held_count_from_their_confirmation(house: House) -> None:
    """Written at 09:30, confirmed at 10:30: the first response, due at 10:00, is missed, since the customer heard nothing till then."""
    begun = house.now
    opened(house)
    house.forward(minutes=30)
    (held,) = told_us(house, JANE, "We look.", subject="Re: [Example #1] Printer down", proven=False)
    assert held.item.template == "held"
    house.forward(minutes=60)
    clicked(house, held, "let it go", who=JANE)
    house.settle()
    assert first(house)[::2] == (State.MISSED, begun + timedelta(minutes=90))


def test_a_priority_counts_from_its_mail_and_who_is_told_is_told_now(house: House) -> None:
    """Set at 09:20, read at 10:10: triage, due at 09:30, was in time, and the hours of the priority run from 09:20."""
    begun = house.now
    notice = sent_to(opened(house), JANE, "opened")
    house.forward(minutes=70)                                   # nothing ran meanwhile
    raw = reply(notice.item.raw, "take\nPriority: P1", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>")
    trace = f"Received: {BY_US}Mon, 23 Nov 2026 09:20:00 +0000\r\n".encode()
    house.receive(trace + trusted(raw, JANE), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    rows = {clock.kind: clock for clock in request(house).clocks}
    assert (rows[ClockKind.TRIAGE].state, rows[ClockKind.TRIAGE].settled_at) == (State.MET, begun + timedelta(minutes=20))
    steps = rows[ClockKind.LADDER].steps
    assert [step.due_at for step in steps] == [begun + timedelta(minutes=minutes) for minutes in (20, 80, 260)]
    assert steps[0].done_at == house.now, "the technical support manager hears of it now, and how late that is"


def test_a_request_that_is_critical_by_night_counts_from_its_arrival(tmp_path: Path) -> None:
    house = entitled(tmp_path, "opscom", now=NIGHT, extra=("critical", "escalation"), roles=("on-call", "escalation-manager"))
    try:
        house.forward(minutes=40)
        house.receive(mail(subject="Outage", headers=f"Received: {BY_US}Sat, 28 Nov 2026 08:00:00 +0000"), peer="127.0.0.1")
        assert request(house).priority == "critical"
        assert first(house)[1] == NIGHT + timedelta(hours=1)
    finally:
        house.close()
