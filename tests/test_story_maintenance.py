"""Planned work by real mail: the notice that it needs, invitations that change and go away, reminders, done, and too long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from rtmail.desk.outages.about import About, Kind, about
from rtmail.desk.outages.maintenance import judge
from rtmail.policy.schema import parse
from tests.fakes.entitled import BOB, OLD, WORKDAY, entitled, request
from tests.fakes.house import ROOT, House, Sent, mail
from tests.fakes.staff import JANE, KIM, MAX, answered, clicked, flat, opened, receivers, sent_to, swept, told_us

PLAN = """Maintenance: New router
Starts: 2026-12-05 12:00
Ends: 2026-12-05 14:00
Affects: all

Mail may be slow meanwhile."""
BEGINS = datetime(2026, 12, 5, 17, 0, tzinfo=UTC)
"""12:00 in New York, the site's zone; 10:00 in Denver, outside of the recurring window."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "interopion", roles=("support-management",))
    yield one
    one.close()


def planned(house: House, text: str = PLAN) -> list[Sent]:
    return told_us(house, JANE, text) + swept(house)


def entry(sent: Sent) -> tuple[str, Calendar]:
    """The calendar part of a mail: its method and its event."""
    part = next(part for part in sent.mail.walk() if part.get_content_type() == "text/calendar")
    calendar = Calendar.from_ical(part.get_payload(decode=True))
    assert part.get_param("method") == calendar["METHOD"]
    (event,) = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), event


def test_a_maintenance_is_announced_with_an_invitation(house: House) -> None:
    sent = planned(house)
    assert receivers(sent, "maintenance") == {BOB, OLD}
    told = sent_to(sent, BOB, "maintenance")
    assert "we plan a maintenance" in flat(told)
    assert "Mail may be slow meanwhile." in flat(told)
    method, event = entry(told)
    assert method == "REQUEST"
    assert (event["SUMMARY"], event["SEQUENCE"], event["STATUS"]) == ("New router", 0, "CONFIRMED")
    assert event.decoded("DTSTART") == BEGINS
    assert event.decoded("DTEND") == BEGINS + timedelta(hours=2)
    assert str(event["ATTENDEE"]) == f"mailto:{BOB}"
    assert OLD not in told.item.raw.decode()
    assert "A maintenance from Sat 05 Dec 2026 12:00 EST" in flat(sent_to(sent, KIM, "opened"))


@pytest.mark.parametrize("line", ["Ends: 15:00", "Ends: Sat 15:00", "Ends: 5 Dec 15:00", "Ends: 2026-12-05 15:00"])
def test_another_end_is_named_as_the_first_one_was(house: House, line: str) -> None:
    """From the start on: eleven days before it, 15:00 is no hour of today."""
    sent = planned(house)
    answered(house, sent_to(sent, KIM, "opened"), line)
    found = about(request(house).fields)
    assert found is not None
    assert found.ends_at == BEGINS + timedelta(hours=3)


@pytest.mark.parametrize(
    ("starts", "ends", "emergency", "quiet", "refused"),
    [
        ("2026-11-30T22:00Z", "2026-11-30T23:00Z", False, False, "told 7d before"),     # 15:00 in Denver, a week is not over
        ("2026-12-01T14:59Z", "2026-12-01T16:00Z", False, False, "Tue 01 Dec 2026 08:00 MST at the earliest"),
        ("2026-12-01T15:00Z", "2026-12-01T16:00Z", False, False, ""),                   # to the minute
        ("2026-12-01T14:00Z", "2026-12-01T16:00Z", True, False, ""),
        ("2026-11-25T02:00Z", "2026-11-25T11:00Z", False, True, ""),                    # 19:00 to 04:00 in Denver, this very night
        ("2026-11-25T02:00Z", "2026-11-25T11:01Z", False, False, "outside of the recurring window"),
        ("2026-11-25T01:59Z", "2026-11-25T03:00Z", False, False, "outside of the recurring window"),
        ("2026-12-05T10:00Z", "2026-12-05T10:00Z", True, False, "would end before it begins"),
        ("2026-11-24T10:00Z", "2026-11-24T11:00Z", True, False, "would be over already"),
    ],
)  # fmt: skip
def test_the_notice_that_work_needs(starts: str, ends: str, emergency: bool, quiet: bool, refused: str) -> None:
    policy = parse((ROOT / "config" / "policies" / "interopion.toml").read_text(), "interopion.toml")
    at = [datetime.fromisoformat(text) for text in (starts, ends)]
    found = judge(policy, at[0], at[1], WORKDAY, ZoneInfo("America/Denver"), emergency=emergency)
    assert (refused in found.refused) if refused else not found.refused
    assert found.quiet is quiet


def test_too_short_a_notice_is_refused_with_the_earliest_instant_or_the_word(house: House) -> None:
    sent = planned(house, PLAN.replace("2026-12-05", "2026-11-26"))
    refused = flat(sent_to(sent, JANE, "receipt"))
    assert "Tue 01 Dec 2026 10:00 EST at the earliest" in refused
    assert "Emergency: New router" in refused
    assert house.store.by_number(1) is None
    sent = planned(house, PLAN.replace("2026-12-05", "2026-11-26").replace("Maintenance:", "Emergency:"))
    assert receivers(sent, "maintenance") == {BOB, OLD}
    assert "work that cannot wait" in flat(sent_to(sent, BOB, "maintenance"))


def test_nobody_is_told_of_work_inside_the_recurring_window(house: House) -> None:
    sent = planned(house, PLAN.replace("2026-12-05 12:00", "2026-11-24 22:00").replace("2026-12-05 14:00", "2026-11-25 03:00"))
    assert not receivers(sent, "maintenance")
    assert "Inside the recurring window, so nobody is told." in flat(sent_to(sent, KIM, "opened"))
    house.forward(hours=14)
    assert request(house).fields["incident"]["quiet"]
    done = told_us(house, JANE, "Maintenance: done", subject="Re: [Example #1] New router", to="support-comment@example.com")
    assert "nobody was told of it" in flat(sent_to(done, JANE, "receipt"))
    assert not receivers(swept(house), "maintenance")


def test_a_change_raises_the_sequence_and_a_cancellation_takes_it_back(house: House) -> None:
    notice = sent_to(planned(house), KIM, "opened")
    words = "Starts: 2026-12-06 12:00\n\nOne day later."
    sent = clicked(house, notice, "answer the customer", who=KIM, body=words) + swept(house)
    moved = sent_to(sent, BOB, "maintenance")
    assert "has another time" in flat(moved)
    assert "One day later." in flat(moved)
    method, event = entry(moved)
    assert (method, event["SEQUENCE"]) == ("REQUEST", 1)
    assert event.decoded("DTSTART") == BEGINS + timedelta(days=1)
    assert event.decoded("DTEND") == BEGINS + timedelta(days=1, hours=2)
    sent = answered(house, notice, "Starts: 2026-11-26 12:00") + swept(house)
    assert "at the earliest" in flat(sent_to(sent, KIM, "receipt"))
    assert not receivers(sent, "maintenance")
    sent = answered(house, notice, "Emergency: yes\nStarts: 2026-11-26 12:00") + swept(house)
    assert entry(sent_to(sent, BOB, "maintenance"))[1]["SEQUENCE"] == 2
    gone = sent_to(answered(house, notice, "Maintenance: cancel") + swept(house), BOB, "maintenance")
    method, event = entry(gone)
    assert (method, event["SEQUENCE"], event["STATUS"]) == ("CANCEL", 3, "CANCELLED")
    assert "does not take place" in flat(gone)
    house.forward(days=20)
    assert not receivers(swept(house), "maintenance")


def test_those_affected_are_reminded_once_and_hear_that_it_is_done(house: House) -> None:
    first = planned(house)
    house.now = BEGINS - timedelta(days=1)
    reminder = sent_to(swept(house), BOB, "maintenance")
    assert "soon begins" in flat(reminder)
    assert reminder["In-Reply-To"] == sent_to(first, BOB, "maintenance")["Message-ID"]
    house.forward(hours=12)
    assert not receivers(swept(house), "maintenance")
    house.now = BEGINS + timedelta(minutes=1)
    assert not receivers(swept(house), "maintenance")
    assert request(house).fields["incident"]["stage"] == "under-way"
    assert "New router" in flat(sent_to(opened(house, who=BOB, subject="Slow"), BOB, "acknowledgement"))
    house.forward(hours=1)
    done = sent_to(answered(house, sent_to(first, KIM, "opened"), "Maintenance: done") + swept(house), BOB, "maintenance")
    assert "is done" in flat(done)
    assert request(house).status == "closed"
    house.forward(days=2)
    assert not receivers(swept(house), "maintenance")


def test_work_that_takes_too_long_is_told_to_contacts_and_up_the_ladder(house: House) -> None:
    planned(house)
    house.now = BEGINS
    swept(house)
    house.forward(hours=2, seconds=1)
    sent = swept(house)
    assert receivers(sent, "maintenance") == {BOB, OLD}
    assert "takes longer than planned" in flat(sent_to(sent, BOB, "maintenance"))
    assert MAX in receivers(sent, "escalation") | receivers(sent, "missed")
    assert len([one for one in sent if one.item.recipient == MAX and one.item.template in ("escalation", "missed")]) == 1
    house.forward(hours=1)
    assert not receivers(swept(house), "maintenance")


def test_after_an_outage_of_ours_one_mail_says_how_it_stands(house: House) -> None:
    planned(house)
    house.now = BEGINS + timedelta(days=1)
    sent = swept(house)
    assert [one.item.recipient for one in sent if one.item.template == "maintenance"].count(BOB) == 1
    assert "takes longer than planned" in flat(sent_to(sent, BOB, "maintenance"))


def test_a_contact_who_muted_it_hears_no_more(house: House) -> None:
    told = sent_to(planned(house), BOB, "maintenance")
    clicked(house, told, "No more mail about this", who=BOB)
    house.now = BEGINS - timedelta(days=1)
    assert receivers(swept(house), "maintenance") == {OLD}


def test_what_is_kept_of_it_is_read_back() -> None:
    found = About(Kind.MAINTENANCE, ("all",), "", BEGINS, BEGINS + timedelta(hours=1), sequence=3, reminded=("1d",))
    assert about({"incident": found.to_row()}) == found


def test_a_roll_out_is_announced(tmp_path: Path) -> None:
    """OPS-COM: two business days before, counted on the office's hours."""
    house = entitled(tmp_path, "opscom", extra=("critical",), roles=("on-call", "escalation-manager"))
    try:
        text = PLAN.replace("New router", "Release 4.2").replace("2026-12-05", "2026-11-27")
        early = planned(house, text.replace("12:00", "09:00").replace("14:00", "09:30"))
        assert "Fri 27 Nov 2026 10:00 EST at the earliest" in flat(sent_to(early, JANE, "receipt")), "Thanksgiving lies between"
        told = sent_to(planned(house, text), BOB, "maintenance")
        assert "Release 4.2" in told["Subject"]
    finally:
        house.close()


def test_a_calendars_yes_opens_nothing(house: House) -> None:
    told = sent_to(planned(house), BOB, "maintenance")
    ics = f"BEGIN:VCALENDAR\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:{entry(told)[1]['UID']}\nEND:VEVENT\nEND:VCALENDAR"
    raw = mail(sender=f"Bob Roe <{BOB}>", subject="Accepted: New router", text=ics, message_id="<yes@acme.example>")
    house.receive(raw.replace(b"text/plain;", b"text/calendar; method=REPLY;"), to="support@example.com", sender=BOB)
    assert not house.sent()
    assert house.store.by_number(2) is None
