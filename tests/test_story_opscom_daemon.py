"""Two tiers on the real daemon with a fast clock: on call at night, an ETA, what can wait, plans, the tracker, a roll-out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.policy.clocks import State
from tests.fakes.daemon import parsed
from tests.fakes.house import mail
from tests.fakes.staff import JANE, NAMES
from tests.fakes.stage import Stage, flat

PIA, SAM, UMA, CARLA, PHONE = "pia@globex.example", "sam@initech.example", "uma@hooli.example", "carla@staff.example", "491555@sms.example"
JIRA = "jira@dev.example.net"
NAMES |= {PIA: "Pia Wert", SAM: "Sam Low", UMA: "Uma Mid", CARLA: "Carla Relations"}
NIGHT = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)
"""A Saturday, 03:00 in New York."""
MONDAY = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
"""09:00 in New York: the office opens."""
HOUSE = """
[queues.critical]
address = "critical@example.com"
comment_address = "critical-comment@example.com"
policy = "opscom"

[queues.escalation]
address = "escalation@example.com"
comment_address = "escalation-comment@example.com"
policy = "opscom"

[people.ona]
name = "Ona Call"
email = "ona@staff.example"
rights = ["manager", "engineer"]
page = "491555@sms.example"

[roles.on-call]
person = "ona"

[roles.escalation-manager]
person = "carla"

[trackers.jira]
senders = ["jira@dev.example.net"]

[plans.premium]
name = "Premium"
telephone = "+1 613 555 0100"

[plans.standard-plus]
name = "Standard Plus"

[plans.standard]
name = "Standard"

[organisations.globex]
name = "Globex"
contacts = ["pia@globex.example"]
plan = "premium"

[organisations.hooli]
name = "Hooli"
contacts = ["uma@hooli.example"]
plan = "standard-plus"

[organisations.initech]
name = "Initech"
contacts = ["sam@initech.example"]
plan = "standard"
"""
ONA = "ona@staff.example"
NAMES[ONA] = "Ona Call"


def clock(stage: Stage, name: str, number: int = 1) -> tuple[State, str]:
    """The latest instance of a clock: how it stands, and when it is due, in UTC and to the minute."""
    one = next(one for one in reversed(stage.ticket(number).clocks) if one.name == name)
    return one.state, f"{one.due_at:%a %H:%M}"


def minutes(stage: Stage, name: str, number: int = 1) -> int:
    one = next(one for one in reversed(stage.ticket(number).clocks) if one.name == name)
    assert one.due_at is not None
    return round((one.due_at - one.started_at).total_seconds() / 60)


@pytest.mark.long
def test_a_night_and_what_became_of_it(tmp_path: Path) -> None:
    with Stage(tmp_path, "opscom", begins=NIGHT, rate=4, house=HOUSE) as stage:
        # A system outage: who is on call has it at once, on the telephone too; triage in 15 minutes, a status mail in an hour.
        stage.writes(PIA, "No gate opens.", to="critical@example.com", subject="Gates stay shut")
        assert "opens next" not in flat(stage.came(PIA, "acknowledgement"))
        assert "+1 613 555 0100" in flat(stage.came(PIA, "acknowledgement"))
        stage.came(ONA, "escalation", "Gates stay shut")
        stage.came(PHONE, "page")
        assert (minutes(stage, "triage"), minutes(stage, "first-response")) == (15, 60)
        notice = stage.came(JANE, "opened", "it came to critical@example.com")
        stage.answers(notice, "Priority: critical\ntake\n\nWe see it.")
        stage.came(JANE, "asked", "say by when it will be solved")
        stage.answers(notice, "Priority: critical\ntake\neta 06:00\n\nWe see it.")
        assert "06:00" in flat(stage.came(PIA, "promised", "We see it."))
        assert clock(stage, "first-response")[0] is State.MET
        # What can wait is downgraded: the customer is told why, and it is answered on the next business day.
        stage.writes(PIA, "It makes tea.", subject="Outage of my coffee machine")
        stage.came(ONA, "escalation", "coffee machine")
        stage.answers(stage.came(JANE, "opened", "its subject says `outage`"), "Reclassify: normal, nothing of ours stands still")
        stage.came(PIA, "priority-told", "Why: nothing of ours stands still")
        assert clock(stage, "first-response", 2) == (State.RUNNING, "Mon 15:00")
        # Anything else hears when the office opens, and the word that makes it critical.
        for who in (SAM, UMA):
            stage.writes(who, "A figure is wrong.", subject=f"Report of {NAMES[who]}")
            ack = flat(stage.came(who, "acknowledgement"))
            assert "Our office opens next on Mon 30 Nov 2026, 15:00 CET" in ack
            assert '"outage" in the subject' in ack
            assert "613" not in ack, "premium alone has telephone"
        # The gates: what front line found goes to the escalation tier, whose manager has it; the tracker's mail is a comment, always.
        stage.answers(notice, "hand over escalation: the controller of the gates hangs")
        stage.came(JANE, "receipt", "Tested")
        stage.answers(notice, "Version: 7.1\nSteps to reproduce: pay twice\nTested: reproduced\nbug PARK-7\n"
                              "hand over escalation: the controller of the gates hangs")
        handed = stage.came(CARLA, "handed-over", "the controller of the gates hangs")
        assert "pay twice" in flat(handed)
        remark = mail(sender=f"Jira <{JIRA}>", to="support@example.com", subject="(PARK-7) who wrote this mess?", text="Nobody tested it.",
                      message_id="<7@dev.example.net>")
        stage.send(remark, JIRA)
        stage.came(CARLA, "comment", "Nobody tested it.")
        # Weeks later it is mended; he is told where he asked, after whoever tells him has seen what he reads.
        stage.answers(notice, "eta 20 Dec\n\nIt is found, and mended in our next release.")
        stage.came(PIA, "promised", "in our next release")
        stage.answers(handed, "fixed PARK-7 in 2026.12")
        stage.answers(stage.came(CARLA, "receipt", "2026.12"), "fixed PARK-7 in 2026.12 yes")
        told = stage.came(PIA, "fixed", "2026.12")
        assert "#1] Gates stay shut" in str(parsed(told)["Subject"])
        # Service levels by plan, counted from Monday's opening.
        for number, who, due in ((3, SAM, "Mon 16:00"), (4, UMA, "Mon 15:00")):
            stage.answers(stage.came(JANE, "opened", f"Report of {NAMES[who]}"), "Priority: normal")
            stage.came(who, "priority-told")
            assert clock(stage, "first-response", number) == (State.RUNNING, due)
        # A roll-out is announced to all.
        stage.writes(JANE, "Maintenance: Release 2026.12\nStarts: 2026-12-03T15:00Z\nEnds: 2026-12-03T16:00Z\nAffects: all\n\nIt is short.")
        for who in (PIA, SAM, UMA):
            stage.came(who, "maintenance", "Release 2026.12")
        mails = stage.close()
        assert mails == {
            "pia": {"acknowledgement": 2, "priority-told": 2, "promised": 2, "fixed": 1, "maintenance": 1},
            "sam": {"acknowledgement": 1, "priority-told": 1, "maintenance": 1},
            "uma": {"acknowledgement": 1, "priority-told": 1, "maintenance": 1},
            "491555": {"page": 2}, "ona": {"opened": 5, "escalation": 2, "state": 1},
            "carla": {"handed-over": 1, "comment": 1, "notice": 1, "receipt": 2},
            "jane": {"opened": 4, "asked": 1, "comment": 1, "receipt": 8}, "kim": {"opened": 5, "state": 1},
        }  # fmt: skip
        for raw in (raw for who in (PIA, SAM, UMA) for raw in stage.box.to(who)):
            assert not any(word in flat(raw) for word in ("PARK-7", "mess", "Nobody tested", "controller", "reproduced")), flat(raw)
            if "via" in str(parsed(raw)["From"]):
                assert str(parsed(raw)["From"]).startswith("Customer Support via Example"), "both tiers are one voice"
