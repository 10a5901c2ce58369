"""What other houses promise, said in the same policy language: business hours of the US, a working week without a break, investigating
instead of answering, a triage clock after hours. Instants were computed by hand, in local wall clock with its offset."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rtmail.policy.clocks import ClockKind, State
from rtmail.policy.model import Policy
from rtmail.policy.schema import parse
from rtmail.policy.signals import AcknowledgementSent, Answered, CustomerWrote, Delivered, Opened, Prioritised, StatusChanged, Taken
from tests.fakes.clockwork import Clockwork, mails

SAAS = """
name = "SaaS"                           # the customer names the priority, the house may change it and tells
untriaged = "P3"
met_by = "acknowledgement"
[suggest]
allow = ["P1", "P2", "P3"]
sets = true
[calendars.business]
timezone = "America/Denver"
mon-fri = "07:00-18:00"
[calendars.operation]                   # Monday 08:00 to Friday 16:00 without a break, holidays excluded
timezone = "America/Denver"
mon = "08:00-24:00"
tue-thu = "00:00-24:00"
fri = "00:00-16:00"
holidays = "US"
[priorities.P1]
code = 30
first_response = "2h"
resolution = "10h"
ladder = [{after = "0", tell = "support-management"}]
[priorities.P2]
code = 20
calendar = "business"
update_calendar = "operation"
first_response = "4h"
update_every = "6h"
met_by = "human"
[priorities.P3]
code = 10
calendar = "business"
first_response = "1bd"
"""
TWO_TIERS = """
name = "Two tiers"                      # after hours only what is critical is worked on, by people on call
triage = "15m"
on_call = "on-call"
untriaged = "critical"
[calendars.office]
timezone = "America/New_York"
mon-fri = "09:00-17:00"
holidays = "US"
[priorities.critical]
code = 90
meaning = "Outage, or work about to stop"
first_response = "1h"                   # a status mail with an ETA
update_every = "1h"
update_mode = "hold"
nudge = "15m"
page = true
bundle = false
ladder = [{after = "0", tell = ["on-call", "escalation-manager"]}, {after = "2h", tell = "director"}]
[priorities.normal]
code = 10
calendar = "office"
first_response = "2h"                   # business hours
"""
CONTACTS = """
name = "Contacts"                       # the severity is agreed before work begins; clocks stand still while the customer is asked
triage = "1h"
triage_calendar = "office"
untriaged = "S2"
waiting_pauses = ["first-response", "update", "resolution", "ladder"]
reply_within = "4h"
[calendars.office]
timezone = "America/Chicago"
mon-fri = "08:00-12:00, 13:00-17:00"
"2026-12-24" = "08:00-12:00"
closed = ["2026-12-25"]
[priorities.S1]
code = 40
first_response = "2h"
[priorities.S2]
code = 30
calendar = "office"
first_response = "4h"
[priorities.S3]
code = 20
calendar = "office"
first_response = "1bd"
[priorities.S4]
code = 10
calendar = "office"
first_response = "3bd"
"""
INVESTIGATE = """
name = "Investigate"                    # the package's time is the time to begin looking into it
untriaged = "standard"
met_by = "taken"
[calendars.office]
timezone = "Europe/London"
mon-fri = "09:00-17:30"
holidays = "GB-ENG"
[priorities.production-critical]
code = 100
first_response = "30m"
ladder = [{after = "30m", tell = "helpdesk-lead"}]
[priorities.standard]
code = 50
calendar = "office"
first_response = "4h"
"""


def policy(text: str) -> Policy:
    return parse(text, "x.toml")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(("text", "opened", "priority", "due"), [
    (SAAS, "2026-11-20T17:30-07:00", "P1", "2026-11-20T19:30-07:00"),
    (SAAS, "2026-11-20T17:30-07:00", "P2", "2026-11-23T10:30-07:00"),           # Friday 17:30: half an hour, then 3.5 on Monday
    (SAAS, "2026-11-20T17:30-07:00", "P3", "2026-11-23T17:30-07:00"),
    (SAAS, "2026-11-25T18:00-07:00", "P3", "2026-11-27T07:00-07:00"),           # business hours know no Thanksgiving
    (SAAS, "2026-03-06T17:00-07:00", "P2", "2026-03-09T10:00-06:00"),           # over the spring change
    (TWO_TIERS, "2026-11-25T16:00-05:00", "normal", "2026-11-27T10:00-05:00"),  # Thanksgiving lies between
    (TWO_TIERS, "2026-11-28T03:00-05:00", "critical", "2026-11-28T04:00-05:00"),
    (TWO_TIERS, "2026-11-28T03:00-05:00", "normal", "2026-11-30T11:00-05:00"),
    (CONTACTS, "2026-12-23T15:00-06:00", "S1", "2026-12-23T17:00-06:00"),
    (CONTACTS, "2026-12-23T15:00-06:00", "S2", "2026-12-24T10:00-06:00"),
    (CONTACTS, "2026-12-23T15:00-06:00", "S3", "2026-12-24T12:00-06:00"),       # closed at 15:00 on the half day: its closing
    (CONTACTS, "2026-12-23T15:00-06:00", "S4", "2026-12-29T15:00-06:00"),       # 24, 28, 29
    (CONTACTS, "2026-12-22T12:30-06:00", "S2", "2026-12-22T17:00-06:00"),       # in the midday break
    (INVESTIGATE, "2026-08-28T17:00+01:00", "standard", "2026-09-01T12:30+01:00"),   # Friday, and the summer bank holiday on Monday
    (INVESTIGATE, "2026-10-23T17:00+01:00", "standard", "2026-10-26T12:30+00:00"),
])
def test_a_first_response_in_each_house(text: str, opened: str, priority: str, due: str) -> None:
    request = Clockwork(policy(text), at(opened))
    request.send(Opened(at(opened), event=1), Prioritised(at(opened), priority, event=2))
    assert request.latest(ClockKind.FIRST_RESPONSE).due_at == at(due)


def test_an_acknowledgement_or_the_taking_counts_where_the_house_says_so() -> None:
    begun = at("2026-11-20T10:00-07:00")
    saas = Clockwork(policy(SAAS), begun)
    saas.send(Opened(begun, event=1), AcknowledgementSent(begun, event=2))
    assert (saas.latest(ClockKind.FIRST_RESPONSE).state, saas.latest(ClockKind.FIRST_RESPONSE).settled_by) == (State.MET, "acknowledgement")
    begun = at("2026-08-28T09:00+01:00")
    helpdesk = Clockwork(policy(INVESTIGATE), begun)
    helpdesk.send(Opened(begun, event=1), AcknowledgementSent(begun, event=2))
    assert helpdesk.latest(ClockKind.FIRST_RESPONSE).running
    helpdesk.send(Taken(begun + timedelta(minutes=20), event=3))
    assert helpdesk.latest(ClockKind.FIRST_RESPONSE).settled_by == "taken"


def test_updates_in_a_working_week_without_a_break() -> None:
    """Friday 12:00: four hours until Friday's end, two more from Monday 08:00."""
    begun = at("2026-11-20T12:00-07:00")
    request = Clockwork(policy(SAAS), begun)
    request.send(Opened(begun, event=1), Prioritised(begun, "P2", event=2), Answered(begun, event=3), Delivered(begun, event=3))
    assert request.latest(ClockKind.UPDATE).due_at == at("2026-11-23T10:00-07:00")


def test_after_hours_those_on_call_are_told_at_once_and_what_is_not_critical_waits_for_the_next_business_day() -> None:
    begun = at("2026-11-28T03:00-05:00")                        # a Saturday night
    request = Clockwork(policy(TWO_TIERS), begun)
    request.send(Opened(begun, event=1))
    request.until(begun + timedelta(minutes=15))
    # The nudge of a quarter hour's triage: at 03:11:15 to who is on call, the first rung at 03:15.
    assert [one for one in mails(request.notices) if one[0] != "acknowledgement"] == [
        ("nudge", "triage", None, ("on-call",)), ("escalation", "triage", 1, ("on-call", "escalation-manager"))]
    request.send(Prioritised(begun + timedelta(minutes=20), "normal", event=2))
    assert request.latest(ClockKind.FIRST_RESPONSE).due_at == at("2026-11-30T11:00-05:00")
    critical = Clockwork(policy(TWO_TIERS), begun)
    critical.send(Opened(begun, event=1), Prioritised(begun, "critical", event=2), Answered(begun, event=3), Delivered(begun, event=3))
    critical.until(begun + timedelta(hours=2))
    held = [(one.at - begun, one.tell) for one in critical.notices if one.kind == "holding-update"]
    assert held == [(timedelta(hours=1), ("requestor",)), (timedelta(hours=2), ("requestor",))]
    assert ("escalation", "ladder", 2, ("director",)) in mails(critical.notices), "two in a row, and the rung that is due"


def test_while_the_customer_is_asked_every_clock_stands_still() -> None:
    begun = at("2026-12-22T09:00-06:00")
    request = Clockwork(policy(CONTACTS), begun)
    request.send(Opened(begun, event=1), Prioritised(begun, "S2", event=2))
    asked, wrote = at("2026-12-22T10:00-06:00"), at("2026-12-23T10:00-06:00")
    request.send(StatusChanged(asked, "waiting"))
    assert request.latest(ClockKind.FIRST_RESPONSE).state is State.PAUSED
    request.send(CustomerWrote(wrote, event=3), StatusChanged(wrote, "open"))
    # 4 hours from 09:00 were 14:00; three of them were left when it was asked.
    assert request.latest(ClockKind.FIRST_RESPONSE).due_at == at("2026-12-23T14:00-06:00")
