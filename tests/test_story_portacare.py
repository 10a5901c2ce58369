"""The core process on the real daemon, its clock accelerated: who hears what of a priority 1 request, each mail once, kill -9 or not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rtmail.desk.ticket import Event, EventKind
from rtmail.policy.clocks import ClockKind
from tests.fakes.clockwork import shipped
from tests.fakes.daemon import Running, parsed, reply, wait_for
from tests.fakes.house import mail
from tests.fakes.needed import lacking
from tests.fakes.staff import NAMES
from tests.fakes.stage import Mailbox, Stage, flat

BOB, JANE, KIM = "bob@acme.example", "jane@staff.example", "kim@staff.example"
MAX, CARLA, TOM = "max@staff.example", "carla@staff.example", "tom@staff.example"
START = datetime.fromisoformat("2026-11-23T09:30:00+01:00")
PIA, BILLING, NAGIOS = "pia@globex.example", "billing@globex.example", "nagios@mon.example.net"
NAMES[PIA] = "Pia Wert"
HOUSE = """
[plans.premium]
name = "Premium"

[organisations.globex]
name = "Globex"
contacts = ["pia@globex.example"]
plan = "premium"
plan_from = 2026-01-01
plan_until = 2026-12-31
statement_to = "billing@globex.example"

[monitoring.nagios]
senders = ["nagios@mon.example.net"]
"""


def policy(**lines: str) -> str:
    """The shipped policy without its daily and weekly mail, which is another story."""
    text = shipped("portacare", **lines).text
    return text.replace('daily = "08:30"\nweekly = "mon 08:30"\n', "")


def answers(stage: Stage) -> Callable[[bytes], None]:
    """The engineer answers the notice of the new request: priority, owner and words to the customer in one mail."""
    words = "Priority: P1\ntake\n\nWe are on it."
    return lambda raw: stage.send(reply(raw, words, sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>"), JANE)


def check_told_once(events: list[Event]) -> None:
    told = [(e.facts["notice"], e.facts["clock"], e.facts["generation"], e.facts.get("rung")) for e in events if e.kind is EventKind.TOLD]
    assert len(set(told)) == len(told), told


def nudged(events: list[Event]) -> list[int]:
    """Which update intervals the owner was reminded of, by their generation."""
    told = [event.facts for event in events if event.kind is EventKind.TOLD]
    return [facts["generation"] for facts in told if (facts["notice"], facts["clock"]) == ("nudge", "update")]


def fired(events: list[Event]) -> dict[int, Event]:
    return {event.facts["rung"]: event for event in events if event.kind is EventKind.TOLD and event.facts["notice"] == "escalation"}


def opened(stage: Stage) -> None:
    stage.daemon.send(mail(subject="Network down", text="Nothing works in Hamburg."))


def test_managers_hear_at_once_after_an_hour_and_after_four(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "portacare", policy(), begins=START)

    def updates(raw: bytes) -> None:
        stage.send(reply(raw, "The spare part is on its way.", sender=f"Jane Doe <{JANE}>", message_id="<j2@staff.example>"), JANE)

    with stage:
        opened(stage)
        stage.play({(JANE, "Network down"): answers(stage), (JANE, "Update due"): updates},
                   lambda: bool(stage.box.to(TOM)) and len(stage.box.to(JANE, "Update due")) >= 4)
        ticket, events = stage.ended()

    check_told_once(events)
    rungs = fired(events)
    assert sorted(rungs) == [1, 2, 3]
    ladder = next(clock for clock in ticket.clocks if clock.kind is ClockKind.LADDER)
    assert [step.due_at - ladder.started_at for step in ladder.steps] == [timedelta(0), timedelta(hours=1), timedelta(hours=4)]
    assert all(rungs[step.rung].at >= step.due_at for step in ladder.steps)
    assert [len(stage.box.to(who, "Escalation P1")) for who in (MAX, CARLA, TOM)] == [3, 2, 1], "the rungs below stay informed"
    assert len(stage.box.to(JANE, "Update due")) == len(nudged(events)) == len(set(nudged(events))) >= 4
    assert not stage.box.to(BOB, "Escalation")
    assert len(stage.box.to(BOB)) == 4
    assert "The spare part is on its way." in stage.box.to(BOB)[-1].decode(errors="replace"), "a reminder is simply answered"


@pytest.mark.parametrize("killing", [False, True], ids=["alive", "killed between any two mails"])
def test_an_acknowledgement_by_mail_holds_the_next_rung_until_it_expires(tmp_path: Path, killing: bool) -> None:
    text = policy(ack_holds="true", triage='"4h"' if killing else '"30m"')
    if killing:
        # The clock stands still as long as a start took before; one that takes longer must not make the engineer late.
        text = text.replace('first_response = "1h"', 'first_response = "4h"')
    stage = Stage(tmp_path, "portacare", text, begins=START)

    def acks(raw: bytes) -> None:
        stage.send(reply(raw, "ack 4h", sender=f"Carla Relations <{CARLA}>", message_id="<ack@staff.example>"), CARLA)

    with stage:
        opened(stage)
        stage.play({(JANE, "Network down"): answers(stage), (CARLA, "Escalation P1"): acks}, lambda: bool(stage.box.to(TOM)),
                   killing=killing)
        ticket, events = stage.ended()

    check_told_once(events)
    ladder = next(clock for clock in ticket.clocks if clock.kind is ClockKind.LADDER)
    (ack,) = ladder.acks
    assert ack.until - ack.at == timedelta(hours=4)
    third = fired(events)[3]
    assert third.at >= ack.until > ladder.steps[2].due_at, "the rung waited for the acknowledgement's end"
    assert third.facts["rule"] == "rung 3 of P1: the acknowledgement expired"
    assert "Carla Relations" in stage.box.to(TOM)[0].decode(errors="replace"), "who acknowledged is quoted"
    assert sorted(fired(events)) == [1, 2, 3]
    assert [len(stage.box.to(who, "Escalation P1")) for who in (MAX, CARLA, TOM)] == [3, 2, 1]
    assert len(stage.box.to(JANE, "Update due")) == len(nudged(events)) == len(set(nudged(events)))
    assert stage.kills >= (6 if killing else 0)


@pytest.mark.long
def test_a_request_from_its_number_to_its_approval_and_what_is_charged_for_it(tmp_path: Path) -> None:
    night = datetime.fromisoformat("2026-11-30T06:00:00+01:00")
    with Stage(tmp_path, "portacare", policy(), begins=night, rate=20, house=HOUSE) as stage:
        # At any hour the number comes back at once. Nobody looks at it for half an hour: the first of the managers hears of it.
        stage.writes(PIA, "Which port is it?", subject="Ports")
        assert "request #1" in flat(stage.came(PIA, "acknowledgement"))
        notice = stage.came(JANE, "opened", "Ports")
        stage.until_due()
        stage.came(MAX, "escalation", "Ports", seconds=90)
        # The customer knows of the priority, does not consent, and it is another; so is how often she hears of it.
        stage.answers(notice, "Priority: P4\ntake\n\nWe look it up.")
        stage.answers(stage.came(PIA, "priority-told", "P4"), "disagree")
        stage.came(JANE, "state", "disputed")
        stage.answers(notice, "Priority: P3")
        stage.answers(stage.came(PIA, "priority-told", "P3"), "agree")
        stage.rest()
        assert stage.ticket().priority_state == "agreed"
        stage.answers(notice, "Update-every: 4h\ntime 30m billable\ntime 15m not billable\n\nIt is one of two.")
        stage.came(PIA, "promised", "It is one of two.")
        update = next(clock for clock in reversed(stage.ticket().clocks) if clock.kind is ClockKind.UPDATE)
        assert update.due_at == datetime.fromisoformat("2026-11-30T13:00:00+01:00"), "four hours from when the office opens"
        # It is answered, and closed with her approval.
        stage.answers(notice, "resolve\n\nIt is the left one.")
        stage.answers(stage.came(PIA, "closing", "It is the left one."), "approve")
        # A problem that monitoring sees is one request, however often it says so; so is its end.
        for number, state in enumerate(("PROBLEM", "PROBLEM", "RECOVERY"), 1):
            subject = f"** {state} Service Alert: web1/NTP is {'OK' if state == 'RECOVERY' else 'CRITICAL'} **"
            stage.send(mail(sender=f"Nagios <{NAGIOS}>", subject=subject, text=f"Alert {number}", message_id=f"<{number}@mon.example.net>",
                            headers="Auto-Submitted: auto-generated"), NAGIOS)  # fmt: skip
        stage.answers(stage.came(JANE, "opened", "web1/NTP"), "close")
        stage.rest()
        assert [stage.ticket(number).status for number in (1, 2)] == ["closed", "closed"]
        # On the first of the month the customer has a statement of what was worked.
        stage.pass_over(datetime.fromisoformat("2026-12-01T07:58:00+01:00"))
        assert "30 min" in flat(stage.came(BILLING, "statement", seconds=60))
        mails = stage.close()
        assert mails == {
            "pia": {"acknowledgement": 1, "priority-told": 2, "words": 1, "promised": 1, "closing": 1}, "billing": {"statement": 1},
            "max": {"escalation": 1}, "jane": {"opened": 2, "nudge": 1, "state": 1, "receipt": 5},
            "kim": {"opened": 2, "nudge": 1, "state": 1},
        }  # fmt: skip


def test_a_system_clock_that_jumps_back_an_hour_fires_nothing_again(tmp_path: Path) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        lacking("libfaketime is missing: apt-get install faketime")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock)}
    fake |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    (tmp_path / "config" / "policies").mkdir(parents=True)
    (tmp_path / "config" / "policies" / "portacare.toml").write_text(policy())
    box = Mailbox(tmp_path / "var" / "sent" / "new")

    def jumps(to: str) -> None:
        clock.with_suffix(".new").write_text(to)
        clock.with_suffix(".new").replace(clock)

    def heard(recipient: str, count: int, subject: str = "") -> None:
        wait_for(lambda: box.look() is not None and len(box.to(recipient, subject)) >= count, 40, f"{recipient} did not hear {count} times")

    with Running(tmp_path, policy="portacare", environ=fake) as daemon:
        daemon.send(mail())
        heard(BOB, 1)
        jumps("+40m")
        heard(MAX, 1)
        jumps("-20m")
        daemon.send(mail(subject="Scanner down", message_id="<2@acme.example>"))
        heard(BOB, 2)
        jumps("+41m")
        heard(MAX, 1, "Scanner")
        daemon.send(mail(subject="Copier down", message_id="<3@acme.example>"))
        heard(BOB, 3)
        box.look()
        assert len(box.to(MAX, "Printer")) == 1, [str(parsed(raw)["Subject"]) for raw in box.to(MAX)]
