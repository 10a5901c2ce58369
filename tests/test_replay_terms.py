"""`rtmail simulate --replay` where customers have plans: each request goes by the terms on which it was served."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rtmail.desk.people import Plan
from rtmail.desk.reports.replay import nearest, replay
from rtmail.policy.rows import State
from tests.fakes.entitled import ANN, NIGHT, WORKDAY, entitled, request
from tests.fakes.house import House
from tests.fakes.staff import EVE, JANE, answered, opened, sent_to, swept, told_us


@pytest.mark.parametrize(("policy", "at", "said"), [
    ("opscom", WORKDAY, {}),                                    # an hour by the plan, two without
    ("opscom", NIGHT, {"subject": "Outage"}),                   # critical: triage runs round the clock
    ("verato", WORKDAY, {"who": ANN}),                          # no designated contact: nothing is promised
    ("interopion", WORKDAY, {"who": EVE}),                      # held, and served later
])
def test_a_replay_goes_by_the_terms_of_each_request(tmp_path: Path, policy: str, at: datetime, said: dict[str, str]) -> None:
    roles = ("on-call", "escalation-manager", "support-manager", "support-management")
    house = entitled(tmp_path, policy, now=at, roles=roles, extra=("critical", "escalation"), plan=Plan("premium", "Premium"))
    try:
        sent = opened(house, **said)
        house.forward(hours=1)
        if said.get("who") == EVE:
            answered(house, sent_to(sent, JANE, "opened"), "serve")
        house.sweep()
        assert _replayed(house) == [(row.name, row.due_at, row.state) for row in request(house).clocks]
    finally:
        house.close()


def test_an_incident_is_replayed_as_one(tmp_path: Path) -> None:
    """Its severity is no priority of the policy."""
    house = entitled(tmp_path, "interopion", roles=("support-management",), services=("mail",))
    try:
        told_us(house, JANE, "Incident: Mail is slow\nSeverity: critical\nAffects: all\n\nMail is slow since this morning.")
        swept(house)
        assert _replayed(house) == [(row.name, row.due_at, row.state) for row in request(house).clocks]
    finally:
        house.close()


def _replayed(house: House) -> list[tuple[str, datetime | None, State]]:
    ticket = request(house)
    policy = house.engine.office.policy(ticket.policy_version)
    events = [event for event, _ in house.store.events(ticket.id)]
    return [(row.name, row.due_at, row.state) for row in replay(policy, ticket, events, nearest(policy, policy), house.now)]
