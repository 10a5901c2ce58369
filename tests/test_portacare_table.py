"""The core process cell by cell: first e-mail, three updates and every rung, for openings in and out of hours, before a holiday and
over both DST changes. Every instant was computed by hand from the process's tables, in Berlin wall clock with its offset."""

from __future__ import annotations

from datetime import datetime

import pytest

from rtmail.policy.clocks import ClockKind, NoticeKind
from rtmail.policy.signals import Answered, Delivered, Opened, Prioritised
from tests.fakes.clockwork import Clockwork, shipped

TSM, CRM, CTO = "technical-support-manager", "customer-relations-manager", "cto"
ROLES = {"P1": (TSM, CRM, CTO), "P2": (TSM, CRM, CTO), "P3": (TSM, CRM), "P4": (TSM,)}
PORTACARE = shipped("portacare")

# opened and prioritised at, priority, first e-mail due, the next three updates due, rungs
CELLS = [
    # Tuesday, in hours
    ("2026-06-09T10:00+02:00", "P1", "2026-06-09T11:00+02:00",
     ["2026-06-09T12:00+02:00", "2026-06-09T13:00+02:00", "2026-06-09T14:00+02:00"],
     ["2026-06-09T10:00+02:00", "2026-06-09T11:00+02:00", "2026-06-09T14:00+02:00"]),
    ("2026-06-09T10:00+02:00", "P2", "2026-06-09T12:00+02:00",
     ["2026-06-09T14:00+02:00", "2026-06-09T16:00+02:00", "2026-06-09T18:00+02:00"],
     ["2026-06-09T11:00+02:00", "2026-06-09T14:00+02:00", "2026-06-09T18:00+02:00"]),
    ("2026-06-09T10:00+02:00", "P3", "2026-06-10T10:00+02:00",
     ["2026-06-11T10:00+02:00", "2026-06-12T10:00+02:00", "2026-06-15T10:00+02:00"],
     ["2026-06-11T10:00+02:00", "2026-06-13T10:00+02:00"]),
    ("2026-06-09T10:00+02:00", "P4", "2026-06-11T10:00+02:00",
     ["2026-06-15T10:00+02:00", "2026-06-17T10:00+02:00", "2026-06-19T10:00+02:00"],
     ["2026-06-13T10:00+02:00"]),
    # Wednesday night, out of hours
    ("2026-06-10T22:15+02:00", "P1", "2026-06-10T23:15+02:00",
     ["2026-06-11T00:15+02:00", "2026-06-11T01:15+02:00", "2026-06-11T02:15+02:00"],
     ["2026-06-10T22:15+02:00", "2026-06-10T23:15+02:00", "2026-06-11T02:15+02:00"]),
    ("2026-06-10T22:15+02:00", "P2", "2026-06-11T00:15+02:00",
     ["2026-06-11T02:15+02:00", "2026-06-11T04:15+02:00", "2026-06-11T06:15+02:00"],
     ["2026-06-10T23:15+02:00", "2026-06-11T02:15+02:00", "2026-06-11T06:15+02:00"]),
    ("2026-06-10T22:15+02:00", "P3", "2026-06-12T09:00+02:00",
     ["2026-06-15T09:00+02:00", "2026-06-16T09:00+02:00", "2026-06-17T09:00+02:00"],
     ["2026-06-12T22:15+02:00", "2026-06-14T22:15+02:00"]),
    ("2026-06-10T22:15+02:00", "P4", "2026-06-15T09:00+02:00",
     ["2026-06-17T09:00+02:00", "2026-06-19T09:00+02:00", "2026-06-23T09:00+02:00"],
     ["2026-06-14T22:15+02:00"]),
    # Friday evening
    ("2026-06-12T18:30+02:00", "P1", "2026-06-12T19:30+02:00",
     ["2026-06-12T20:30+02:00", "2026-06-12T21:30+02:00", "2026-06-12T22:30+02:00"],
     ["2026-06-12T18:30+02:00", "2026-06-12T19:30+02:00", "2026-06-12T22:30+02:00"]),
    ("2026-06-12T18:30+02:00", "P2", "2026-06-12T20:30+02:00",
     ["2026-06-12T22:30+02:00", "2026-06-13T00:30+02:00", "2026-06-13T02:30+02:00"],
     ["2026-06-12T19:30+02:00", "2026-06-12T22:30+02:00", "2026-06-13T02:30+02:00"]),
    ("2026-06-12T18:30+02:00", "P3", "2026-06-16T09:00+02:00",
     ["2026-06-17T09:00+02:00", "2026-06-18T09:00+02:00", "2026-06-19T09:00+02:00"],
     ["2026-06-14T18:30+02:00", "2026-06-16T18:30+02:00"]),
    ("2026-06-12T18:30+02:00", "P4", "2026-06-17T09:00+02:00",
     ["2026-06-19T09:00+02:00", "2026-06-23T09:00+02:00", "2026-06-25T09:00+02:00"],
     ["2026-06-16T18:30+02:00"]),
    # Christmas Eve, the last hours before a long weekend (25 and 26 December, 1 January are holidays)
    ("2026-12-24T16:30+01:00", "P1", "2026-12-24T17:30+01:00",
     ["2026-12-24T18:30+01:00", "2026-12-24T19:30+01:00", "2026-12-24T20:30+01:00"],
     ["2026-12-24T16:30+01:00", "2026-12-24T17:30+01:00", "2026-12-24T20:30+01:00"]),
    ("2026-12-24T16:30+01:00", "P2", "2026-12-24T18:30+01:00",
     ["2026-12-24T20:30+01:00", "2026-12-24T22:30+01:00", "2026-12-25T00:30+01:00"],
     ["2026-12-24T17:30+01:00", "2026-12-24T20:30+01:00", "2026-12-25T00:30+01:00"]),
    ("2026-12-24T16:30+01:00", "P3", "2026-12-28T16:30+01:00",
     ["2026-12-29T16:30+01:00", "2026-12-30T16:30+01:00", "2026-12-31T16:30+01:00"],
     ["2026-12-26T16:30+01:00", "2026-12-28T16:30+01:00"]),
    ("2026-12-24T16:30+01:00", "P4", "2026-12-29T16:30+01:00",
     ["2026-12-31T16:30+01:00", "2027-01-05T16:30+01:00", "2027-01-07T16:30+01:00"],
     ["2026-12-28T16:30+01:00"]),
    # the Friday before the spring change (Sunday 29 March 02:00 -> 03:00; 3 and 6 April are holidays)
    ("2026-03-27T15:00+01:00", "P1", "2026-03-27T16:00+01:00",
     ["2026-03-27T17:00+01:00", "2026-03-27T18:00+01:00", "2026-03-27T19:00+01:00"],
     ["2026-03-27T15:00+01:00", "2026-03-27T16:00+01:00", "2026-03-27T19:00+01:00"]),
    ("2026-03-27T15:00+01:00", "P2", "2026-03-27T17:00+01:00",
     ["2026-03-27T19:00+01:00", "2026-03-27T21:00+01:00", "2026-03-27T23:00+01:00"],
     ["2026-03-27T16:00+01:00", "2026-03-27T19:00+01:00", "2026-03-27T23:00+01:00"]),
    ("2026-03-27T15:00+01:00", "P3", "2026-03-30T15:00+02:00",
     ["2026-03-31T15:00+02:00", "2026-04-01T15:00+02:00", "2026-04-02T15:00+02:00"],
     ["2026-03-29T16:00+02:00", "2026-03-31T16:00+02:00"]),
    ("2026-03-27T15:00+01:00", "P4", "2026-03-31T15:00+02:00",
     ["2026-04-02T15:00+02:00", "2026-04-08T15:00+02:00", "2026-04-10T15:00+02:00"],
     ["2026-03-31T16:00+02:00"]),
    # the night of the spring change itself
    ("2026-03-28T23:30+01:00", "P1", "2026-03-29T00:30+01:00",
     ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00", "2026-03-29T04:30+02:00"],
     ["2026-03-28T23:30+01:00", "2026-03-29T00:30+01:00", "2026-03-29T04:30+02:00"]),
    ("2026-03-28T23:30+01:00", "P2", "2026-03-29T01:30+01:00",
     ["2026-03-29T04:30+02:00", "2026-03-29T06:30+02:00", "2026-03-29T08:30+02:00"],
     ["2026-03-29T00:30+01:00", "2026-03-29T04:30+02:00", "2026-03-29T08:30+02:00"]),
    ("2026-03-28T23:30+01:00", "P3", "2026-03-31T09:00+02:00",
     ["2026-04-01T09:00+02:00", "2026-04-02T09:00+02:00", "2026-04-07T09:00+02:00"],
     ["2026-03-31T00:30+02:00", "2026-04-02T00:30+02:00"]),
    ("2026-03-28T23:30+01:00", "P4", "2026-04-01T09:00+02:00",
     ["2026-04-07T09:00+02:00", "2026-04-09T09:00+02:00", "2026-04-13T09:00+02:00"],
     ["2026-04-02T00:30+02:00"]),
    # the night of the autumn change (Sunday 25 October 03:00 -> 02:00)
    ("2026-10-24T23:30+02:00", "P1", "2026-10-25T00:30+02:00",
     ["2026-10-25T01:30+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"],
     ["2026-10-24T23:30+02:00", "2026-10-25T00:30+02:00", "2026-10-25T02:30+01:00"]),
    ("2026-10-24T23:30+02:00", "P2", "2026-10-25T01:30+02:00",
     ["2026-10-25T02:30+01:00", "2026-10-25T04:30+01:00", "2026-10-25T06:30+01:00"],
     ["2026-10-25T00:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T06:30+01:00"]),
    ("2026-10-24T23:30+02:00", "P3", "2026-10-27T09:00+01:00",
     ["2026-10-28T09:00+01:00", "2026-10-29T09:00+01:00", "2026-10-30T09:00+01:00"],
     ["2026-10-26T22:30+01:00", "2026-10-28T22:30+01:00"]),
    ("2026-10-24T23:30+02:00", "P4", "2026-10-28T09:00+01:00",
     ["2026-10-30T09:00+01:00", "2026-11-03T09:00+01:00", "2026-11-05T09:00+01:00"],
     ["2026-10-28T22:30+01:00"]),
]


@pytest.mark.parametrize(("opened", "priority", "first", "updates", "rungs"), CELLS, ids=[f"{cell[0][:16]} {cell[1]}" for cell in CELLS])
def test_cell(opened: str, priority: str, first: str, updates: list[str], rungs: list[str]) -> None:
    """The first e-mail goes out at the last moment, and then nobody writes any more."""
    at, first_at = datetime.fromisoformat(opened), datetime.fromisoformat(first)
    request = Clockwork(PORTACARE, at)
    request.send(Opened(at), Prioritised(at, priority))
    response = request.latest(ClockKind.FIRST_RESPONSE)
    assert response.due_at == first_at
    request.send(Answered(first_at, event=5), Delivered(first_at, event=5))
    last = max(datetime.fromisoformat(instant) for instant in [*updates, *rungs])
    request.until(last)

    assert request.latest(ClockKind.FIRST_RESPONSE).state == "met"
    assert [row.due_at for row in request.of(ClockKind.UPDATE)][:3] == [datetime.fromisoformat(instant) for instant in updates]
    escalations = [notice for notice in request.notices if notice.kind is NoticeKind.ESCALATION]
    expected = [(datetime.fromisoformat(instant), number, (role,), tuple(reversed(ROLES[priority][:number - 1])))
                for (number, role), instant in zip(enumerate(ROLES[priority], 1), rungs, strict=True)]
    assert [(notice.at, notice.rung, notice.tell, notice.cc) for notice in escalations] == expected
    assert not [notice for notice in request.notices if notice.kind in (NoticeKind.MISSED, NoticeKind.HOLDING_UPDATE)]


def test_untriaged_the_first_e_mail_is_due_as_for_priority_1_and_triage_has_the_only_rung() -> None:
    at = datetime.fromisoformat("2026-06-09T10:00+02:00")
    request = Clockwork(PORTACARE, at)
    request.send(Opened(at))
    assert [notice.next_at for notice in request.notices] == [datetime.fromisoformat("2026-06-09T10:30+02:00")]
    request.until(datetime.fromisoformat("2026-06-12T10:00+02:00"))
    told = [(notice.kind, notice.clock, notice.tell, notice.at.isoformat()) for notice in request.notices if TSM in notice.tell]
    assert told == [
        ("escalation", "triage", (TSM,), "2026-06-09T08:30:00+00:00"),
        ("missed", "first-response", (TSM,), "2026-06-09T09:00:00+00:00"),
    ]
