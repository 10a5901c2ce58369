"""What `rtmail simulate` shows is what the engine sends: the same request rehearsed and really worked on, mail for mail to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rtmail.desk.reports.simulate import Mail, Plan, simulate
from rtmail.desk.ticket import EventKind
from tests.fakes.clockwork import shipped
from tests.fakes.house import House, blueprint
from tests.fakes.staff import JANE, answered, opened, request, sent_to
from tests.test_portacare_table import CELLS

# One priority of each opening after the other, so that all of both are among them.
SOME = CELLS[::3]


def told(house: House) -> list[tuple[Any, ...]]:
    log = [event for event, _ in house.store.events(request(house).id) if event.kind is EventKind.TOLD and "clock" in event.facts]
    return [(e.at, e.facts["notice"], e.facts["clock"], e.facts.get("rung"), e.facts["rule"]) for e in log]


def shown(mails: tuple[Mail, ...]) -> list[tuple[Any, ...]]:
    return [(one.at, one.kind, one.clock, one.rung, one.rule.partition("; also ")[0]) for one in mails if one.kind != "acknowledgement"]


def passed(house: House, until: datetime, *, included: bool) -> None:
    while (wake := house.store.next_wake_at()) is not None and (wake < until or (included and wake == until)):
        house.now = wake
        house.sweep()
    house.now = until


@pytest.mark.parametrize(("opened_at", "priority", "first", "updates", "rungs"), SOME, ids=[f"{cell[0][:16]} {cell[1]}" for cell in SOME])
def test_the_engine_sends_what_is_simulated(
    tmp_path: Path, opened_at: str, priority: str, first: str, updates: list[str], rungs: list[str]
) -> None:
    """Opened, prioritised and taken at once, answered a minute before the first e-mail is due, and then left alone."""
    begun = datetime.fromisoformat(opened_at).astimezone(UTC)
    answer_at = datetime.fromisoformat(first).astimezone(UTC) - timedelta(minutes=1)
    until = max(datetime.fromisoformat(instant).astimezone(UTC) for instant in (*updates, *rungs))
    house = House(tmp_path, blueprint(policy="portacare"), now=begun)
    try:
        notice = sent_to(opened(house), JANE, "opened")
        answered(house, notice, f"Priority: {priority}\ntake")
        passed(house, answer_at, included=False)
        house.sent()
        answered(house, notice, "We look at it.")
        passed(house, until, included=True)
        done = told(house)
    finally:
        house.close()
    expected = shown(simulate(shipped("portacare"), Plan(begun, priority, answered_at=(answer_at,), until=until)))
    assert done == expected
    assert len(expected) > len(rungs)


def test_nobody_looks_at_it_and_the_engine_sends_what_is_simulated(tmp_path: Path) -> None:
    begun = datetime(2026, 12, 24, 15, 30, tzinfo=UTC)
    house = House(tmp_path, blueprint(policy="portacare"), now=begun)
    try:
        opened(house)
        passed(house, begun + timedelta(days=2), included=True)
        done = told(house)
    finally:
        house.close()
    assert done == shown(simulate(shipped("portacare"), Plan(begun, until=begun + timedelta(days=2))))
    assert [(kind, clock) for _, kind, clock, _, _ in done] == [
        ("nudge", "triage"), ("escalation", "triage"), ("nudge", "first-response"), ("missed", "first-response")]
