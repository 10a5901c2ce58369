"""Five more houses' published ways of giving support, as examples below config/policies/examples: each reads, and keeps its times.

Instants were computed by hand, in local wall clock with its offset.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rtmail.policy.clocks import ClockKind
from rtmail.policy.model import Policy
from rtmail.policy.schema import parse
from rtmail.policy.signals import Opened, Prioritised
from rtmail.policy.terms import Terms
from tests.fakes.clockwork import Clockwork

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "config" / "policies" / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
FRIDAY = "2026-11-20T16:00-05:00"
"""In New York; 13:00 in Los Angeles, 21:00 in London, 22:00 in Amsterdam."""


def policy(name: str, plan: str = "") -> Policy:
    one = parse((FOLDER / f"{name}.toml").read_text("utf-8"), f"{name}.toml")
    return one.under(Terms(plan=plan)) if plan else one


def test_there_are_five_and_the_page_tells_of_each() -> None:
    page = (ROOT / "docs" / "policies-found.md").read_text("utf-8")
    assert len(NAMES) == 5
    for name in NAMES:
        assert f"examples/{name}.toml" in page


@pytest.mark.parametrize(("name", "plan", "priority", "due"), [
    ("enterprise-linux", "", "S1", "2026-11-20T17:00-05:00"),       # its last hour
    ("enterprise-linux", "", "S2", "2026-11-23T12:00-05:00"),       # one hour on Friday, three on Monday
    ("enterprise-linux", "", "S3", "2026-11-23T16:00-05:00"),
    ("enterprise-linux", "", "S4", "2026-11-24T16:00-05:00"),
    ("enterprise-linux", "premium", "S1", "2026-11-20T17:00-05:00"),
    ("enterprise-linux", "premium", "S2", "2026-11-20T18:00-05:00"),
    ("enterprise-linux", "premium", "S3", "2026-11-23T12:00-05:00"),
    ("enterprise-linux", "premium", "S4", "2026-11-23T16:00-05:00"),
    ("devops-platform", "", "emergency", "2026-11-20T16:30-05:00"),
    ("devops-platform", "", "high", "2026-11-20T20:00-05:00"),      # 17:00 in Los Angeles: its last minute
    ("devops-platform", "", "medium", "2026-11-22T22:00-05:00"),    # four hours on Friday, four from Sunday 15:00 Pacific
    ("devops-platform", "", "low", "2026-11-23T14:00-05:00"),       # 24 = 4 on Friday, 9 on Sunday, 11 on Monday
    ("cloud-provider", "", "business-critical-down", "2026-11-20T17:00-05:00"),
    ("cloud-provider", "enterprise", "business-critical-down", "2026-11-20T16:15-05:00"),
    ("cloud-provider", "", "production-impaired", "2026-11-20T20:00-05:00"),
    ("cloud-provider", "", "guidance", "2026-11-21T16:00-05:00"),
    ("cloud-provider", "developer", "system-impaired", "2026-11-23T18:00-05:00"),   # 13:00 to 18:00 Pacific, then 7 of Monday's hours
    ("search-engine", "", "L1", "2026-11-23T13:00+01:00"),          # closed: four hours of Monday
    ("search-engine", "", "L2", "2026-11-24T09:00+01:00"),
    ("search-engine", "platinum", "L1", "2026-11-20T17:00-05:00"),
    ("search-engine", "platinum", "L2", "2026-11-20T20:00-05:00"),
    ("search-engine", "platinum", "L3", "2026-11-24T09:00+01:00"),
    ("infrastructure", "", "L1", "2026-11-23T12:00+00:00"),
    ("infrastructure", "", "L3", "2026-11-24T10:00+00:00"),
    ("infrastructure", "", "L4", "2026-11-25T12:00+00:00"),
    ("infrastructure", "always", "L1", "2026-11-20T17:00-05:00"),
    ("infrastructure", "always", "L4", "2026-11-21T04:00-05:00"),
])
def test_a_request_of_friday_afternoon(name: str, plan: str, priority: str, due: str) -> None:
    begun = datetime.fromisoformat(FRIDAY)
    request = Clockwork(policy(name, plan), begun)
    request.send(Opened(begun, event=1), Prioritised(begun, priority, event=2))
    assert request.latest(ClockKind.FIRST_RESPONSE).due_at == datetime.fromisoformat(due)
