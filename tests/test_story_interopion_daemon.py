"""The customer names the priority, on the real daemon with a fast clock: appeals, feature requests, incidents, planned work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.policy.clocks import State
from tests.fakes.entitled import OLD
from tests.fakes.staff import EVE, JANE, MAX, NAMES
from tests.fakes.stage import Stage, flat

PIA, NIK = "pia@globex.example", "nik@globex.example"
NAMES |= {PIA: "Pia Wert", NIK: "Nik Ohm"}
BEGINS = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
"""A Tuesday, 08:00 in Denver, an hour after the office opened."""
HOUSE = """
[roles.support-management]
person = "max"

[plans.basic]
name = "Basic"

[organisations.globex]
name = "Globex"
domains = ["globex.example"]
contacts = [{email = "pia@globex.example", name = "Pia Wert", roles = ["admin", "billing"]}]
plan = "basic"

[organisations.oldco]
name = "Oldco"
contacts = ["old@oldco.example"]
plan = "basic"
plan_until = 2026-06-30

[status]
folder = "status"
"""


def clock(stage: Stage, name: str, number: int = 1) -> tuple[State, float]:
    """The latest instance of a clock: how it stands, and the hours between its start and its due instant, to a minute or so."""
    one = next(one for one in reversed(stage.ticket(number).clocks) if one.name == name)
    assert one.due_at is not None
    return one.state, round((one.due_at - one.started_at) / timedelta(hours=1), 1)


@pytest.mark.long
def test_what_is_asked_from_the_priority_to_managements_decision(tmp_path: Path) -> None:
    with Stage(tmp_path, "interopion", begins=BEGINS, rate=5, house=HOUSE) as stage:
        # Contacts only, and within the agreement's term.
        for who in (EVE, NIK):
            stage.writes(who, "Help.", subject=f"Help {NAMES[who]}")
            stage.came(JANE, "opened", f"Help {NAMES[who]}")
        stage.writes(OLD, "Help.", subject="Help")
        assert "term of an agreement" in flat(stage.came(OLD, "prepared"))
        # The customer names the priority; an emergency calls management at once, and a person answers it.
        stage.writes(PIA, "Priority: P1\n\nThe colours are wrong.", subject="Wrong colours")
        stage.came(PIA, "acknowledgement", "Wrong colours")
        stage.came(MAX, "escalation", "Wrong colours")
        assert clock(stage, "first-response", 4) == (State.RUNNING, 2)
        # It is changed with a reason only, and the customer hears of it, and of his appeal.
        notice = stage.came(JANE, "opened", "Wrong colours")
        stage.answers(notice, "Priority: P3")
        assert "say why it is changed" in flat(stage.came(JANE, "receipt", "the customer chose P1"))
        stage.answers(notice, "Reclassify: P3, it is usable, in other colours")
        told = stage.came(PIA, "priority-told", "Why: it is usable, in other colours")
        assert "you can appeal" in flat(told)
        stage.answers(told, "appeal\n\nNobody can work.")
        stage.came(PIA, "appealed", "is with our support management")
        assert clock(stage, "appeal", 4)[0] is State.RUNNING
        # Whoever is not management decides nothing; management does.
        stage.answers(notice, "Priority: P3")
        stage.came(JANE, "receipt", "Priority: P3", number=3)
        assert clock(stage, "appeal", 4)[0] is State.RUNNING
        stage.answers(stage.came(MAX, "notice", "Nobody can work."), "Reclassify: P1, you are right")
        decided = flat(stage.came(PIA, "priority-told", "the decision of our support management"))
        assert "Why: you are right" in decided
        assert "you can appeal" not in decided
        assert clock(stage, "appeal", 4)[0] is State.MET
        stage.answers(notice, "take\nresolve\n\nThe colours are right again.")
        stage.came(PIA, "closing", "right again")
        # An acknowledgement is the response; an idea is logged, told, closed and listed; work on site is at the customer's expense.
        for number, (priority, subject) in enumerate((("P2", "Please come"), ("P3", "A dark mode")), 5):
            stage.writes(PIA, f"Priority: {priority}\n\nPlease.", subject=subject)
            stage.came(PIA, "acknowledgement", subject)
            assert clock(stage, "first-response", number)[0] is State.MET
        stage.answers(stage.came(JANE, "opened", "A dark mode"), "redirect feature")
        stage.came(PIA, "words", "logged for consideration as #6")
        stage.answers(stage.came(JANE, "opened", "Please come"), "redirect on-site")
        stage.came(PIA, "words", "at your own expense")
        stage.writes(JANE, "list feature")
        assert "#6 A dark mode closed" in flat(stage.came(JANE, "receipt", "Requests: feature"))
        mails = stage.close()
        assert mails == {
            "pia": {"acknowledgement": 3, "priority-told": 2, "appealed": 1, "closing": 1, "words": 2}, "old": {"prepared": 1},
            "max": {"escalation": 1, "notice": 2, "receipt": 1, "state": 1},
            "jane": {"opened": 6, "notice": 1, "receipt": 7}, "kim": {"opened": 6, "notice": 1, "state": 1},
        }  # fmt: skip


@pytest.mark.long
def test_what_is_told_to_all_contacts(tmp_path: Path) -> None:
    with Stage(tmp_path, "interopion", begins=BEGINS, rate=20, house=HOUSE) as stage:
        # A critical issue goes to every contact, once, within its four hours; until somebody says what it is, staff are told.
        stage.writes(JANE, "Incident: Results are wrong\nSeverity: critical\nAffects: all")
        stage.came(JANE, "receipt", "An incident of severity critical")
        assert clock(stage, "first-response") == (State.RUNNING, 4)
        stage.until_due()
        nudge = stage.came(JANE, "nudge", "Results are wrong")
        stage.answers(nudge, "Sums are wrong since noon. We look for the cause.")
        for who in (PIA, OLD):
            stage.came(who, "incident", "Sums are wrong since noon.")
        page = stage.daemon.state / "status" / "index.html"
        assert "Sums are wrong since noon." in page.read_text("utf-8")
        stage.answers(nudge, "close\n\nSums are right again.")
        for who in (PIA, OLD):
            stage.came(who, "incident", "Sums are right again.")
        # Work inside the recurring window needs no notice, and nobody is told of it.
        stage.writes(JANE, "Maintenance: Small change\nStarts: 2026-11-25T03:00Z\nEnds: 2026-11-25T05:00Z\nAffects: all")
        stage.came(JANE, "receipt", "Inside the recurring window")
        # Outside of it: seven days, or as soon as it is known where it cannot wait. The invitation goes to every contact.
        soon = "Starts: 2026-11-27T18:00Z\nEnds: 2026-11-27T19:00Z\nAffects: all\n\nMail may be slow."
        stage.writes(JANE, f"Maintenance: New router\n{soon}")
        assert "Emergency: New router" in flat(stage.came(JANE, "receipt", "at the earliest"))
        stage.writes(JANE, f"Emergency: Router fails\n{soon}")
        later = soon.replace("2026-11-27", "2026-12-03")
        stage.writes(JANE, f"Maintenance: New router\n{later}")
        for who in (PIA, OLD):
            stage.came(who, "maintenance", "work that cannot wait")
            assert b"text/calendar" in stage.came(who, "maintenance", "we plan a maintenance")
        assert "New router" in page.read_text("utf-8")
        mails = stage.close()
        assert mails == {
            "pia": {"incident": 2, "maintenance": 2}, "old": {"incident": 2, "maintenance": 2},
            "jane": {"receipt": 6, "nudge": 1}, "kim": {"opened": 4, "nudge": 1},
        }  # fmt: skip
