"""The time of an event: when our house took the mail in, never what its sender claims and never the future; and held words count from
their confirmation. Instants are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.mail.model import Envelope
from rtmail.mail.reading.transit import taken_at
from rtmail.mail.site import Site
from rtmail.policy.clocks import Clock, ClockKind, State
from rtmail.policy.schema import parse
from tests.fakes.daemon import reply
from tests.fakes.entitled import NIGHT, entitled
from tests.fakes.house import ROOT, House, Sent, blueprint, mail
from tests.fakes.staff import JANE, MAX, NAMES, address_of, answered, clicked, fresh_id, opened, request, sent_to, told_us, trusted

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


def late(house: House, to: Sent, text: str, at: str, who: str = JANE) -> list[Sent]:
    """An answer that our server took in at this hour and that is read now; returns what goes out, sweep and all."""
    raw = reply(to.item.raw, text, sender=f"{NAMES[who]} <{who}>", message_id=fresh_id(who))
    trace = f"Received: {BY_US}Mon, 23 Nov 2026 {at}:00 +0000\r\n".encode()
    house.receive(trace + trusted(raw, who), to=address_of(to["Reply-To"]), sender=who, peer="127.0.0.1")
    sent = house.sent()
    house.sweep()
    return [*sent, *house.sent()]


def clock(house: House, kind: ClockKind) -> Clock:
    return [row for row in request(house).clocks if row.kind is kind][-1]


@pytest.mark.parametrize("swept", [False, True], ids=["nothing ran", "told meanwhile"])
def test_a_status_counts_from_its_mail(house: House, swept: bool) -> None:
    """P1 at 09:10, resolved at 09:50, read at 10:20: who was due at 10:10 is not told of what was solved by then."""
    begun = house.now
    notice = sent_to(opened(house), JANE, "opened")
    house.forward(minutes=10)
    answered(house, notice, "take\nPriority: P1\n\nWe are on it.")
    house.forward(minutes=70)
    if swept:
        house.sweep()
        assert "escalation" in [one.item.template for one in house.sent()]
    sent = late(house, notice, "resolve", "09:50")
    assert "escalation" not in [one.item.template for one in sent]
    ladder, ended = clock(house, ClockKind.LADDER), begun + timedelta(minutes=50)
    assert (ladder.state, ladder.settled_at) == (State.MET, ended)
    assert (request(house).status, request(house).status_at) == ("resolved", ended)
    assert clock(house, ClockKind.UPDATE).paused_at == (begun + timedelta(minutes=80) if swept else ended)
    sent = late(house, sent_to(sent, JANE, "receipt"), "reopen", "10:15")
    assert request(house).status_at == begun + timedelta(minutes=75)
    assert clock(house, ClockKind.LADDER).pauses == ((ended, begun + timedelta(minutes=75)),)


def test_what_was_said_before_what_was_read_already_does_not_go_back_in_time(house: House) -> None:
    begun = house.now
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "take\nPriority: P2\n\nWe are on it.")
    house.forward(minutes=60)
    answered(house, notice, "resolve")
    for word, status in (("wait", "waiting"), ("reopen", "open"), ("close", "closed")):
        late(house, notice, word, "09:30")
        assert (request(house).status, request(house).status_at) == (status, begun + timedelta(minutes=60))
    assert all(begun <= since <= until for row in request(house).clocks for since, until in row.pauses)


def test_an_acknowledgement_counts_from_its_mail(tmp_path: Path) -> None:
    plan = blueprint(policy="portacare")
    text = (ROOT / "config" / "policies" / "portacare.toml").read_text().replace("ack_holds = false", "ack_holds = true")
    house = House(tmp_path, replace(plan, policies=dict.fromkeys(plan.directory.queues, parse(text, "portacare.toml"))))
    try:
        notice = sent_to(opened(house), JANE, "opened")
        told = sent_to(answered(house, notice, "take\nPriority: P1\n\nWe are on it."), MAX, "escalation")
        begun = house.now
        house.forward(minutes=75)
        sent = late(house, told, "ack 2h", "09:50", MAX)
        assert "escalation" not in [one.item.template for one in sent]
        (ack,) = clock(house, ClockKind.LADDER).acks
        assert (ack.at, ack.until) == (begun + timedelta(minutes=50), begun + timedelta(minutes=170))
    finally:
        house.close()


def test_a_request_that_is_critical_by_night_counts_from_its_arrival(tmp_path: Path) -> None:
    house = entitled(tmp_path, "opscom", now=NIGHT, extra=("critical", "escalation"), roles=("on-call", "escalation-manager"))
    try:
        house.forward(minutes=40)
        house.receive(mail(subject="Outage", headers=f"Received: {BY_US}Sat, 28 Nov 2026 08:00:00 +0000"), peer="127.0.0.1")
        assert request(house).priority == "critical"
        assert first(house)[1] == NIGHT + timedelta(hours=1)
    finally:
        house.close()
