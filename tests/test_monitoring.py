"""Alerts of monitoring systems: one request a problem, nobody written to twice, recovery recorded, and resolving where it may."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.machines.monitoring import read
from rtmail.desk.machines.systems import Monitor
from rtmail.mail.model import Envelope
from rtmail.mail.reading.message import read as read_mail
from rtmail.store import Outcome
from tests.fakes.house import NOW, ROOT, House, blueprint, mail
from tests.fakes.stores import url

RULES = tomllib.loads((ROOT / "config" / "monitoring.toml").read_text())
NAGIOS = "nagios@mon.example.net"


def monitor(name: str, on_recovery: str = "record") -> Monitor:
    return Monitor(name, ("@mon.example.net",), RULES[name]["subject"], RULES[name]["recovered"], on_recovery)


@pytest.mark.parametrize(
    ("name", "first", "again", "other", "over"),
    [
        ("nagios", "** PROBLEM Service Alert: web1/HTTP is CRITICAL **", "** PROBLEM Service Alert: web1/HTTP is WARNING **",
         "** PROBLEM Host Alert: web1 is DOWN **", "** RECOVERY Service Alert: web1/HTTP is OK **"),
        ("icinga", "[PROBLEM] HTTP on web1 is CRITICAL!", "[PROBLEM] HTTP on web1 is WARNING!", "[PROBLEM] Host web2 is DOWN!",
         "[RECOVERY] HTTP on web1 is OK!"),
        ("zabbix", "Problem: Load is too high on db1", "Updated problem: Load is too high on db1", "Problem: Load is too high on db2",
         "Resolved in 5m 2s: Load is too high on db1"),
        ("alertmanager", "[FIRING:1] InstanceDown (node1 critical)", "[FIRING:3] InstanceDown (node1 critical)",
         "[FIRING:1] InstanceDown (node2 critical)", "[RESOLVED] InstanceDown (node1 critical)"),
        ("monit", "monit alert --  Connection failed nginx", "monit alert --  Connection failed nginx",
         "monit alert --  Does not exist sshd", "monit alert --  Connection succeeded nginx"),
    ],
)  # fmt: skip
def test_shipped_rules_tell_problems_apart(name: str, first: str, again: str, other: str, over: str) -> None:
    def said(subject: str) -> object:
        raw = mail(sender=f"Monitor <{NAGIOS}>", subject=subject)
        return read([monitor(name)], read_mail(raw, Envelope(NAGIOS, (), ingress="smtp", arrived_at=NOW), blueprint().site))

    one, two, three, four = (said(subject) for subject in (first, again, other, over))
    assert one is not None
    assert one.problem == two.problem == four.problem != three.problem  # type: ignore[attr-defined]
    assert [alert.recovered for alert in (one, two, three, four)] == [False, False, False, True]  # type: ignore[attr-defined]
    assert said("Your invoice") is None


def test_only_listed_senders_raise_alerts() -> None:
    raw = mail(sender="Eve <eve@far.example>", subject="[FIRING:1] InstanceDown (node1 critical)")
    assert read([monitor("alertmanager")], read_mail(raw, Envelope("e@x", (), ingress="smtp", arrived_at=NOW), blueprint().site)) is None


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest, url: str) -> Iterator[House]:
    one = House(tmp_path, replace(blueprint(), monitors=(monitor("nagios", getattr(request, "param", "record")),)), url=url)
    yield one
    one.close()


def alert(house: House, number: int, what: str = "web1/HTTP", state: str = "PROBLEM", peer: str = "127.0.0.1") -> int:
    raw = mail(sender=f"Nagios <{NAGIOS}>", subject=f"** {state} Service Alert: {what} is {'OK' if state == 'RECOVERY' else 'CRITICAL'} **",
               text=f"Alert {number}", message_id=f"<{number}@mon.example.net>", headers="Auto-Submitted: auto-generated")
    return house.receive(raw, sender=NAGIOS, peer=peer)


def test_the_same_problem_is_one_request_and_one_notice(house: House) -> None:
    alert(house, 1)
    assert {one.item.template for one in house.sent()} == {"opened"}, "its sender gets no answer"
    for number in (2, 3):
        again = alert(house, number)
    assert not house.sent()
    row = house.store.spool_row(again)
    assert (row.outcome, row.trace["number"]) == (Outcome.EVENT, 1)
    alert(house, 4, "db1/LOAD")
    alert(house, 5, state="RECOVERY")
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert house.store.by_number(2) is not None
    assert house.store.by_number(3) is None
    kinds = [(str(event.kind), event.facts.get("reason")) for event, _ in house.store.events(ticket.id) if event.kind == "alert"]
    assert kinds == [("alert", "again"), ("alert", "again"), ("alert", "recovered")]
    assert ticket.status == "new", "recorded, and no more"
    assert house.store.replayed(ticket.id) == ticket
    assert house.store.audit_counts().closes


@pytest.mark.parametrize(("house", "status"), [("resolve", "resolved"), ("close", "closed")], indirect=["house"])
def test_recovery_may_end_the_request_and_the_problem_comes_back(house: House, status: str) -> None:
    alert(house, 1)
    house.sent()
    alert(house, 2, state="RECOVERY", peer="198.51.100.7")
    assert _status(house, 1) == "new", "nobody vouches for that sender"
    alert(house, 3, state="RECOVERY")
    assert _status(house, 1) == status
    assert NAGIOS not in {one.item.recipient for one in house.sent()}
    alert(house, 4)
    if status == "resolved":
        assert _status(house, 1) == "open"
        assert house.store.by_number(2) is None
    else:
        assert _status(house, 1) == "closed"
        assert _status(house, 2) == "new", "a problem after its end is a new one"
    house.forward(days=2)
    house.sweep()


def _status(house: House, number: int) -> str:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return str(ticket.status)


def storm(house: House, mails: int, problems: int) -> None:
    raws = []
    for number in range(mails):
        state = "RECOVERY" if number % 10 == 9 else "PROBLEM"
        raw = mail(sender=f"Nagios <{NAGIOS}>", subject=f"** {state} Service Alert: web{number % problems}/HTTP is CRITICAL **",
                   text=f"Alert {number}", message_id=f"<{number}@mon.example.net>", headers="Auto-Submitted: auto-generated")
        raws.append((raw, Envelope(sender=NAGIOS, recipients=("support@example.com",), ingress="smtp", arrived_at=house.now,
                                   peer="127.0.0.1")))
    for at in range(0, mails, 500):
        house.store.put_many(raws[at : at + 500])
    house.settle()
    tickets = list(house.store.list_tickets(statuses=None))
    assert len(tickets) == problems
    assert len({one.subject for one in tickets}) == problems
    assert house.store.audit_counts().outcomes == {"event": mails}
    assert house.store.audit_counts().closes
    notices = [one for one in house.sent() if one.item.template == "opened"]
    assert len(notices) <= 2 * problems, "each of the two engineers heard of each problem once at most"


def test_a_storm_is_one_request_a_problem(house: House) -> None:
    storm(house, 300, 7)


@pytest.mark.long
def test_ten_thousand_alerts_in_a_minute_are_one_request_a_problem(house: House) -> None:
    storm(house, 10_000, 37)
