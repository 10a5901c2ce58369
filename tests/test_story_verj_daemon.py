"""Two helpdesks behind packages on the real daemon with a fast clock: telephone, urgency, the ladder, redirects, bugs, the root cause."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.policy.clocks import State
from tests.fakes.staff import EVE, JANE, MAX, NAMES
from tests.fakes.stage import Stage, flat

PIA, SAM = "pia@globex.example", "sam@initech.example"
NAMES |= {PIA: "Pia Wert", SAM: "Sam Low"}
BEGINS = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
"""A Tuesday, 10:00 in London."""
REPRODUCED = "Version: 7.1\nEnvironment: cluster of two\nSteps to reproduce: pay twice"
CRITICAL = "critical@example.com"
HOUSE = """
[queues.critical]
address = "critical@example.com"
comment_address = "critical-comment@example.com"
policy = "verj"

[roles.helpdesk-lead]
person = "max"

[plans.enterprise]
name = "Enterprise"
telephone = "+44 20 7946 0000"

[plans.standard]
name = "Standard"
queues = ["support"]

[organisations.globex]
name = "Globex"
contacts = ["pia@globex.example"]
plan = "enterprise"

[organisations.initech]
name = "Initech"
contacts = ["sam@initech.example"]
plan = "standard"
"""


@pytest.mark.long
def test_what_a_package_has_and_has_not(tmp_path: Path) -> None:
    with Stage(tmp_path, "verj", begins=BEGINS, rate=150, house=HOUSE) as stage:
        # Nobody begins within the package's half hour: the lead of the helpdesk hears of it.
        stage.writes(PIA, "Nobody can pay.", to=CRITICAL, subject="Payments fail")
        assert "+44 20 7946 0000" in flat(stage.came(PIA, "acknowledgement"))
        urgent = stage.came(JANE, "opened", "Payments fail")
        stage.answers(urgent, "Priority: production-critical\nimpact: application fails\nspread: all users")
        assert "the urgency is 60" in flat(stage.came(JANE, "receipt"))
        stage.came(MAX, "escalation", "Payments fail")
        stage.answers(urgent, "take")
        stage.came(JANE, "receipt", number=2)
        (first,) = [one for one in stage.ticket().clocks if one.name == "first-response"]
        assert (first.state, first.settled_by) == (State.MISSED, "taken"), "late, but begun"
        # The smaller package has the ordinary helpdesk alone, and what does not belong there is redirected.
        stage.writes(SAM, "It is slow.", to=CRITICAL, subject="Slow")
        assert "ordinary helpdesk" in flat(stage.came(SAM, "prepared"))
        stage.writes(SAM, "How do I build a form?", subject="A question")
        stage.answers(stage.came(JANE, "opened", "How do I build"), "impact: question\nspread: some environment")
        stage.came(JANE, "receipt", "the urgency is 2")
        stage.writes(JANE, "list")
        listed = flat(stage.came(JANE, "receipt", "A question", number=2))
        assert listed.index("Payments fail") < listed.index("A question")
        stage.answers(stage.came(JANE, "opened", "How do I build"), "redirect forum")
        stage.came(SAM, "words", "community forum")
        stage.writes(EVE, "Help.", subject="Help")
        stage.came(EVE, "prepared", "Support is part of a package")
        # One bug, two requests; nothing is resolved without its root cause, which the customer does not read.
        stage.answers(urgent, "bug EB-12")
        stage.came(JANE, "receipt", "Steps to reproduce")
        stage.answers(urgent, f"{REPRODUCED}\nbug EB-12")
        stage.writes(PIA, "Refunds fail too.", subject="Refunds fail")
        second = stage.came(JANE, "opened", "Refunds fail too")
        stage.answers(second, f"{REPRODUCED}\nbug EB-12\ntake")
        stage.came(JANE, "receipt", "#1 Payments fail")
        stage.writes(JANE, "bugs EB-12")
        assert flat(stage.came(JANE, "receipt", "Bugs: EB-12")).count("pay twice") == 2
        stage.answers(urgent, "resolve\n\nIt is mended.")
        stage.came(JANE, "receipt", "Root cause")
        stage.answers(urgent, "Root cause: defect\nresolve\n\nIt is mended.")
        stage.came(PIA, "closing", "It is mended.")
        mails = stage.close()
        assert stage.ticket().status == "resolved"
        assert mails == {
            "pia": {"acknowledgement": 2, "priority-told": 1, "words": 1, "closing": 1},
            "sam": {"prepared": 1, "acknowledgement": 1, "words": 1}, "eve": {"prepared": 1}, "max": {"escalation": 1},
            "jane": {"opened": 5, "receipt": 11, "nudge": 1}, "kim": {"opened": 5, "state": 2, "nudge": 1},
        }  # fmt: skip
        assert not any("defect" in flat(raw) or "cluster" in flat(raw) for raw in stage.box.to(PIA))
