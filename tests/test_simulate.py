"""`rtmail simulate`: what it prints is what the core process's tables say, and a replay tells what a policy would have missed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rtmail.cli import rtmail
from rtmail.desk.reports.replay import nearest, promises, replay
from rtmail.desk.reports.simulate import Mail, Plan, simulate
from rtmail.policy.clocks import ClockKind
from tests.fakes.clockwork import shipped
from tests.fakes.daemon import CONFIG
from tests.fakes.house import House, blueprint, mail
from tests.test_portacare_table import CELLS, PORTACARE, ROLES

KINDS = {"acknowledgement", "nudge", "holding-update", "missed", "escalation", "digest", "closing"}
CLOCKS = {"triage", "first-response", "update", "resolution", "ladder"}


def toml(policy: str) -> str:
    return CONFIG.format(name="Example", domain="example.com", site="", store="sqlite:///rtmail.db", port=2525, smtp="", ingress="",
                         relay="maildir:sent", relay_keys="", caps="", policy=policy)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config" / "rtmail.toml"
    file.parent.mkdir()
    file.write_text(toml("portacare"))
    return file


def run(config: Path, *words: str) -> str:
    ran = CliRunner().invoke(rtmail, ["simulate", "-c", str(config), *words], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def lines(config: Path, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(config, "--json", *words).splitlines()]


def of(mails: tuple[Mail, ...], kind: str, clock: str = "") -> list[Mail]:
    return [mail for mail in mails if mail.kind == kind and clock in ("", mail.clock)]


@pytest.mark.parametrize(("opened", "priority", "first", "updates", "rungs"), CELLS, ids=[f"{cell[0][:16]} {cell[1]}" for cell in CELLS])
def test_what_the_table_says_is_what_is_simulated(opened: str, priority: str, first: str, updates: list[str], rungs: list[str]) -> None:
    """The first e-mail goes out at the last moment and then nobody writes; reminders come before each instant, rungs at it."""
    mails = simulate(PORTACARE, Plan(at(opened), priority, answered_at=(at(first),)))
    told = [(one.at, one.rung, one.to, one.cc) for one in of(mails, "escalation")]
    assert told == [(at(instant), number, (role,), tuple(reversed(ROLES[priority][:number - 1])))
                    for (number, role), instant in zip(enumerate(ROLES[priority], 1), rungs, strict=True)]
    assert [one.to for one in of(mails, "acknowledgement")] == [("requestor",)]
    (before,) = of(mails, "nudge", "first-response")
    assert at(opened) < before.at < at(first)
    reminded = of(mails, "nudge", "update")[:3]
    for one, begun, due in zip(reminded, [first, *updates], updates, strict=False):
        assert at(begun) < one.at < at(due)
        assert one.to == ("owner",)
    assert len(reminded) == 3
    assert not of(mails, "missed")


def test_a_holding_update_stands_at_the_due_instant_and_two_climb() -> None:
    hold = shipped("portacare", update_mode='"hold"')
    begun = at("2026-06-09T10:00+02:00")
    mails = simulate(hold, Plan(begun, "P2", answered_at=(begun,), until=begun + timedelta(hours=7)))
    held = [(one.at - begun, one.to) for one in of(mails, "holding-update")]
    assert held == [(timedelta(hours=hours), ("requestor",)) for hours in (2, 4, 6)]
    # The second one in a row meets the rung that is due at the same instant: one mail.
    assert [(one.at - begun, one.rung) for one in of(mails, "escalation")] == [(timedelta(hours=1), 1), (timedelta(hours=4), 2)]


def test_nobody_looks_at_it() -> None:
    mails = simulate(PORTACARE, Plan(at("2026-06-09T10:00+02:00")))
    assert [(one.kind, one.clock, one.rung, one.to) for one in mails] == [
        ("acknowledgement", "triage", None, ("requestor",)),
        ("nudge", "triage", None, ("queue",)),
        ("escalation", "triage", 1, ("technical-support-manager",)),
        ("nudge", "first-response", None, ("queue",)),
        ("missed", "first-response", None, ("technical-support-manager",)),
    ]


def test_deeds_are_taken_in_order_of_time_and_none_before_the_opening() -> None:
    begun = at("2026-06-09T10:00+02:00")
    later = Plan(begun, "P1", begun + timedelta(minutes=20), (begun + timedelta(minutes=40), begun + timedelta(minutes=5)))
    mails = simulate(PORTACARE, later)
    assert of(mails, "escalation")[0].at == begun + timedelta(minutes=20)
    assert not of(mails, "nudge", "first-response"), "it was answered after five minutes"
    with pytest.raises(ValueError, match="before the opening"):
        simulate(PORTACARE, Plan(begun, answered_at=(begun - timedelta(seconds=1),)))
    with pytest.raises(ValueError, match="P1, P2, P3, P4"):
        simulate(PORTACARE, Plan(begun, "P9"))


def test_the_json_keys_are_those_that_scripts_rely_on(config: Path) -> None:
    said = lines(config, "--policy", "portacare", "--priority", "P1", "--opened", "2026-12-24T16:30", "--answered", "2026-12-24T17:00",
                 "--answered", "2026-12-24T17:30")
    assert {"at", "kind", "clock", "rung", "to", "template", "rule"} <= said[0].keys()
    assert {one["kind"] for one in said} <= KINDS
    assert {one["clock"] for one in said} <= CLOCKS
    assert said[0]["at"] == "2026-12-24T15:30:00Z", "without a zone an instant is in the site's"
    assert [(one["at"], one["rung"], one["to"]) for one in said if one["kind"] == "escalation"] == [
        ("2026-12-24T15:30:00Z", 1, ["technical-support-manager"]),
        ("2026-12-24T16:30:00Z", 2, ["customer-relations-manager"]),
        ("2026-12-24T19:30:00Z", 3, ["cto"]),
    ]
    assert all(one["rung"] is None for one in said if one["kind"] != "escalation")


def test_a_zone_can_be_given_and_an_end(config: Path) -> None:
    words = ("--policy", "portacare", "--priority", "P1", "--opened", "2026-12-24T16:30")
    assert lines(config, *words, "--tz", "America/New_York")[0]["at"] == "2026-12-24T21:30:00Z"
    assert lines(config, *words[:-1], "2026-12-24T16:30+05:30")[0]["at"] == "2026-12-24T11:00:00Z"
    assert len(lines(config, *words, "--until", "2026-12-24T16:30")) == 2


def test_people_get_a_table_of_eighty_columns(config: Path) -> None:
    said = run(config, "--policy", "portacare", "--priority", "P3", "--opened", "2026-12-24T16:30", "--answered", "2026-12-24T17:00")
    assert max(map(len, said.splitlines())) <= 80
    assert "Sat 26 Dec 16:30    escalation      ladder 1        technical-support-manager\n" in said
    assert "rung 1 of P3: its time came [escalation]" in said


@pytest.mark.parametrize(("words", "said"), [
    (("--policy", "nosuch", "--opened", "2026-12-24T16:30"), "there is no policy 'nosuch'"),
    (("--opened", "Christmas"), "is no instant; write 2026-12-24T16:30"),
    (("--priority", "P7", "--opened", "2026-12-24T16:30"), "there are P1, P2, P3, P4"),
    (("--priority", "P1"), "say when the request comes in"),
    (("--tz", "Mars/Base", "--opened", "2026-12-24T16:30"), "there is no zone"),
])
def test_mistakes_are_told_with_the_cure(config: Path, words: tuple[str, ...], said: str) -> None:
    ran = CliRunner().invoke(rtmail, ["simulate", "-c", str(config), *words])
    assert ran.exit_code == 2
    assert said in ran.stderr


# -- the store's own history ------------------------------------------------------------------------------------------


def _pass(house: House, **length: float) -> None:
    """Let time pass, and each thing happen when it is due."""
    until = house.now + timedelta(**length)
    while (wake := house.store.next_wake_at()) is not None and wake <= until:
        house.now = wake
        house.sweep()
    house.now = until


def _worked(house: House) -> None:
    """One request that is answered after forty minutes and solved after three hours; another that nobody answers."""
    house.receive(mail())
    house.receive(mail(message_id="<2@acme.example>", subject="Scanner down"))
    _pass(house, minutes=10)
    house.engine.command(1, "Priority: P2", "test", house.now)
    house.engine.command(2, "Priority: P2", "test", house.now)
    notice = next(one for one in house.sent() if one.item.template == "opened" and one.item.recipient == "jane@staff.example")
    _pass(house, minutes=30)
    to = notice.mail["Reply-To"].addresses[0].addr_spec
    house.receive(mail(sender="Jane Doe <jane@staff.example>", to=to, subject=f"Re: {notice['Subject']}", text="Pull the plug.",
                       message_id="<j1@staff.example>"), to=to, sender="jane@staff.example")
    house.sent()
    _pass(house, hours=2, minutes=20)
    house.engine.command(1, "resolve", "test", house.now)
    _pass(house, hours=1)


def test_history_under_the_same_policy_is_what_happened_and_under_a_stricter_one_what_would_have_been_missed(tmp_path: Path) -> None:
    house = House(tmp_path, blueprint(policy="portacare"))
    try:
        _worked(house)
        for number in (1, 2):
            ticket = house.store.by_number(number)
            assert ticket is not None
            events = [event for event, _ in house.store.events(ticket.id)]
            same = {key: key for key in PORTACARE.priorities}
            rows = replay(PORTACARE, ticket, events, same, house.now)
            assert _outcomes(rows) == _outcomes(ticket.clocks)
        strict = shipped("portacare", triage='"5m"')
        first = house.store.by_number(1)
        assert first is not None
        events = [event for event, _ in house.store.events(first.id)]
        rows = replay(strict, first, events, same, house.now)
        (triage,) = [one for one in promises(rows, house.now - timedelta(days=1), house.now) if one.kind is ClockKind.TRIAGE]
        assert triage.missed
        assert triage.settled_at is not None
        assert triage.settled_at - triage.due_at == timedelta(minutes=5)
    finally:
        house.close()


def _outcomes(rows: Any) -> list[tuple[str, int, str, datetime | None, datetime | None]]:
    return [(row.name, row.generation, str(row.state), row.due_at, row.settled_at) for row in rows if row.name != "closing"]


def test_the_replay_command_tells_each_request_and_the_sum(tmp_path: Path, config: Path) -> None:
    state = tmp_path / "var"
    state.mkdir()
    house = House(state, blueprint(policy="portacare"), now=datetime.now(UTC) - timedelta(hours=6), url="sqlite:///rtmail.db")
    try:
        _worked(house)
    finally:
        house.close()
    strict = tmp_path / "config" / "policies" / "strict.toml"
    strict.parent.mkdir()
    strict.write_text(shipped("portacare", triage='"5m"').text)
    said = lines(config, "--replay", "--days", "2", "--policy", "strict")
    assert [one["number"] for one in said[:-1]] == [1, 2]
    assert "triage" in [row["clock"] for row in said[0]["would_be_missed"]]
    assert said[-1]["requests"] == 2
    assert said[-1]["promises"]["triage"] == {"due": 2, "would_be_missed": 2, "were_missed": 0}
    table = run(config, "--replay", "--days", "2", "--policy", "strict")
    assert "would have missed triage" in table
    assert max(map(len, table.splitlines())) <= 80


def test_a_priority_that_the_other_policy_lacks_is_read_as_the_nearest() -> None:
    default = shipped("default")
    assert set(nearest(PORTACARE, default)) == set(PORTACARE.priorities)
    assert set(nearest(PORTACARE, default).values()) <= set(default.priorities)
