"""`rtmail policy diff|apply`: a changed file moves no open request until somebody says so, and then every due instant is logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rtmail.cli import rtmail
from rtmail.desk.ticket import EventKind, Ticket
from rtmail.engine.applying import apply_policy, open_tickets
from rtmail.engine.office import Office
from rtmail.policy.model import Policy
from rtmail.policy.schema import parse
from tests.fakes.clockwork import shipped
from tests.fakes.house import ROOT, House, blueprint, mail
from tests.test_simulate import toml

OPENED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SLOWER = {"triage": '"45m"'}
SALES = '[queues.sales]\naddress = "sales@example.com"\ncomment_address = "sales-comment@example.com"\npolicy = "default"\n'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, blueprint(policy="portacare"), now=OPENED)
    yield made
    made.close()


def one(house: House, number: int = 1) -> Ticket:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return ticket


def reloaded(house: House, policy: Policy) -> Office:
    """The office after a reload with a changed policy file."""
    plan = blueprint(policy="portacare")
    office = Office(replace(plan, policies=dict.fromkeys(plan.policies, policy)), house.store, house.now)
    house.engine.use(office)
    return office


def test_an_open_request_keeps_its_version_until_it_is_applied(house: House) -> None:
    house.receive(mail())
    office = reloaded(house, shipped("portacare", **SLOWER))
    house.receive(mail(message_id="<2@acme.example>", subject="Scanner"))
    triage = {ticket.number: ticket.clocks[-1].due_at for ticket in open_tickets(house.store)}
    assert triage == {1: OPENED + timedelta(minutes=30), 2: OPENED + timedelta(minutes=45)}

    house.forward(minutes=10)
    moved = apply_policy(house.store, office, one(house).id, house.now)
    assert moved is not None
    assert [(move.clock, move.old_due, move.new_due) for move in moved] == [
        ("triage", OPENED + timedelta(minutes=30), OPENED + timedelta(minutes=45))]
    ticket = one(house)
    assert ticket.policy_version == one(house, 2).policy_version
    log = [event for event, _ in house.store.events(ticket.id)]
    assert [event.facts["new"] for event in log if event.kind is EventKind.POLICY] == [ticket.policy_version]
    change = log[-1].facts["changes"][0]
    assert (change["old_due"], change["new_due"]) == ("2026-11-23T09:30:00+00:00", "2026-11-23T09:45:00+00:00")
    assert house.store.replayed(ticket.id) == ticket
    assert apply_policy(house.store, office, ticket.id, house.now) is None, "it runs on that version already"

    house.now = OPENED + timedelta(minutes=31)
    house.sweep()
    assert not [clock for clock in one(house).clocks if clock.state == "missed"]
    house.now = OPENED + timedelta(minutes=45)
    house.sweep()
    assert [clock.name for clock in one(house).clocks if clock.state == "missed"] == ["triage"]


def test_rungs_ahead_move_and_rungs_told_stay(house: House) -> None:
    house.receive(mail())
    house.engine.command(1, "Priority: P1", "test", house.now)
    house.forward(hours=2)
    house.sweep()
    told = [(rung.rung, at) for rung, _, at in house.store.rungs(one(house).id) if rung.clock == "ladder"]
    assert [rung for rung, _ in told] == [1, 2]
    text = shipped("portacare").text.replace('{after = "4h", tell = "cto"}', '{after = "3h", tell = "cto"}', 1)
    office = reloaded(house, parse(text, "changed.toml"))
    moved = apply_policy(house.store, office, one(house).id, house.now)
    assert moved is not None
    assert [(move.clock, move.rung, move.old_due, move.new_due) for move in moved] == [
        ("ladder", 3, OPENED + timedelta(hours=4), OPENED + timedelta(hours=3))]
    house.now = OPENED + timedelta(hours=3)
    house.sweep()
    house.sweep()
    assert [rung.rung for rung, _, _ in house.store.rungs(one(house).id) if rung.clock == "ladder"] == [1, 2, 3]


def test_what_a_shorter_promise_makes_due_at_once_is_told_with_the_same_commit(house: House) -> None:
    house.receive(mail())
    house.sent()
    house.forward(minutes=20)
    office = reloaded(house, shipped("portacare", triage='"15m"'))
    apply_policy(house.store, office, one(house).id, house.now)
    house.sweep()
    assert [(sent.item.template, sent.item.recipient) for sent in house.sent()] == [("escalation", "max@staff.example")]


def two_policies(house: House, **changed: str) -> Office:
    """The office of a house whose queue sales has a policy of its own, that knows no P1."""
    plan = blueprint(policy="portacare")
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    policies = {"support": shipped("portacare", **changed), "sales": parse(text, "default.toml")}
    office = Office(replace(plan, policies=policies), house.store, house.now)
    house.engine.use(office)
    return office


def test_a_request_in_another_queue_goes_by_the_policy_of_the_queue_that_it_was_opened_in(house: House) -> None:
    office = two_policies(house)
    house.receive(mail())
    house.engine.command(1, "Priority: P1", "test", house.now)
    house.engine.command(1, "Queue: sales", "test", house.now)
    before = one(house)
    assert apply_policy(house.store, office, before.id, house.now) is None, "no policy changed"
    office = two_policies(house, **SLOWER)
    assert apply_policy(house.store, office, before.id, house.now) is not None
    after = one(house)
    assert (after.queue, after.priority, house.store.policy(after.policy_version).name) == ("sales", "P1", "PortaCare")
    house.engine.command(1, "Queue: support", "test", house.now)
    assert apply_policy(house.store, office, before.id, house.now) is None
    plan = blueprint(policy="portacare")
    closed = replace(plan.directory, queues={"sales": plan.directory.queues["sales"]})
    house.engine.command(1, "Queue: sales", "test", house.now)
    office = Office(replace(plan, directory=closed, policies={"sales": shipped("portacare")}), house.store, house.now)
    assert apply_policy(house.store, office, before.id, house.now) is not None, "there is no queue support any more"


# -- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config whose policy file was changed after two requests had come in."""
    file = tmp_path / "config" / "rtmail.toml"
    (tmp_path / "config" / "policies").mkdir(parents=True)
    file.write_text(toml("portacare"))
    (tmp_path / "config" / "policies" / "portacare.toml").write_text(shipped("portacare", **SLOWER).text)
    state = tmp_path / "var"
    state.mkdir()
    house = House(state, blueprint(policy="portacare"), now=datetime.now(UTC), url="sqlite:///rtmail.db")
    house.receive(mail())
    house.receive(mail(message_id="<2@acme.example>", subject="Scanner"))
    house.engine.command(2, "close", "test", house.now)
    house.close()
    return file


def run(config: Path, *words: str) -> str:
    ran = CliRunner().invoke(rtmail, ["policy", *words, "-c", str(config)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def rows(config: Path, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(config, *words, "--json").splitlines()]


def test_diff_shows_what_apply_moves_and_moves_nothing(config: Path) -> None:
    shown = rows(config, "diff")
    assert [(row["number"], row["clock"]) for row in shown] == [(1, "triage")]
    assert datetime.fromisoformat(shown[0]["new_due_at"]) - datetime.fromisoformat(shown[0]["old_due_at"]) == timedelta(minutes=15)
    assert rows(config, "diff") == shown, "a diff changes nothing"
    said = run(config, "diff")
    assert "#1 Printer down" in said
    assert "1 open requests run on another version; on 1 of them 1 due instants would move." in said
    assert [(row["number"], row["old_due_at"], row["new_due_at"]) for row in rows(config, "apply")] == [
        (1, shown[0]["old_due_at"], shown[0]["new_due_at"])]
    assert rows(config, "diff") == []
    assert "0 open requests moved" in run(config, "apply")


def test_one_request_can_be_named(config: Path) -> None:
    assert rows(config, "diff", "1")
    ran = CliRunner().invoke(rtmail, ["policy", "apply", "7", "-c", str(config)])
    assert ran.exit_code == 1
    assert "there is no request #7" in ran.stderr


def test_diff_and_apply_keep_a_moved_request_by_its_policy(config: Path) -> None:
    with config.open("a") as file:
        file.write(SALES)
    house = House(config.parent.parent / "var", blueprint(policy="portacare"), now=datetime.now(UTC), url="sqlite:///rtmail.db")
    house.engine.command(1, "Queue: sales", "test", house.now)
    house.close()
    shown = rows(config, "diff")
    assert [(row["clock"], datetime.fromisoformat(row["new_due_at"]) - datetime.fromisoformat(row["old_due_at"])) for row in shown] == [
        ("triage", timedelta(minutes=15))]
    assert [row["policy"] for row in rows(config, "apply")] == [shown[0]["policy"]]
    assert "0 open requests run on another version" in run(config, "diff")
