"""`rtmail why N`: each clock's timeline, its pauses and calendar, in the order of the process; and from when a mail counts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from click.testing import CliRunner

from rtmail.cli import rtmail
from tests.fakes.house import House, blueprint, mail
from tests.fakes.staff import BOB, JANE, answered, opened, sent_to
from tests.test_simulate import toml


def told(folder: Path, *words: str) -> str:
    config = folder / "config" / "rtmail.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(toml("portacare"))
    ran = CliRunner().invoke(rtmail, ["why", *words, "-c", str(config)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_the_timeline_of_each_clock_with_pauses_and_calendars(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    house = House(tmp_path / "var", blueprint(policy="portacare"), url="sqlite:///rtmail.db")
    try:
        notice = sent_to(opened(house), JANE, "opened")
        house.forward(minutes=20)
        words = sent_to(answered(house, notice, "Priority: P3\ntake\n\nWhich model?"), BOB, "words")
        house.forward(minutes=10)
        answered(house, notice, "Next: Tue 12:00\nwait")
        house.forward(hours=3)
        answered(house, words, "A LaserJet.")
        house.forward(minutes=5)
        answered(house, notice, "Priority: P2")
    finally:
        house.close()
    said = told(tmp_path, "1")
    heads = [line.split()[0] for line in said.splitlines() if " on calendar " in line]
    assert heads == ["triage", "first-response", "update", "ladder", "ladder"]
    for line in (
        "  triage 1: met, due Mon 23 Nov 2026 10:30:00 CET, on calendar always",
        "  first-response 1: met, due Mon 23 Nov 2026 11:00:00 CET, on calendar always",
        "    Mon 23 Nov 2026 10:20:00 CET started: update: 1h on always by P1 (untriaged) (event ",
        "    Mon 23 Nov 2026 10:20:00 CET due: lowered from P1 to P3: 1bd on office from its start (event ",
        ", due Mon 23 Nov 2026 11:20:00 CET -> Tue 24 Nov 2026 10:20:00 CET)",
        "    Mon 23 Nov 2026 10:30:00 CET paused: waiting for the customer",
        "    stood still Mon 23 Nov 2026 10:30:00 CET to Mon 23 Nov 2026 13:30:00 CET",
        "  ladder 2: running, due Mon 23 Nov 2026 14:35:00 CET, on calendar always",
    ):
        assert line in said, (line, said)
    rows = {(row["clock"], row["generation"]): row for row in map(json.loads, told(tmp_path, "1", "--json").splitlines())}
    assert rows["update", 1]["pauses"] == [["2026-11-23T09:30:00Z", "2026-11-23T12:30:00Z"]]
    assert rows["update", 1]["calendar"] == "office"
    assert rows["ladder", 1]["state"] == "void"


def test_a_mail_that_counts_from_before_its_arrival_says_so(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    house = House(tmp_path / "var", blueprint(policy="portacare"), url="sqlite:///rtmail.db")
    try:
        taken = house.now - timedelta(minutes=50)
        house.receive(mail(headers=f"Received: from a by mx.example.com; {taken:%a, %d %b %Y %H:%M:%S} +0000"), peer="127.0.0.1")
    finally:
        house.close()
    assert "counts:   from Mon 23 Nov 2026 09:10:00 CET" in told(tmp_path, "<1@acme.example>")
    assert datetime.fromisoformat(json.loads(told(tmp_path, "<1@acme.example>", "--json"))["counts_from"]) == taken


def test_why_nobody_was_answered(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    house = House(tmp_path / "var", blueprint(policy="portacare"), url="sqlite:///rtmail.db")
    silent = {
        "same": ({"sender": BOB}, "the same words came from this address before"),
        "noreply": ({"sender": "no-reply@acme.example"}, "no-reply sender"),
        "robot": ({"sender": "box@acme.example", "headers": "Auto-Submitted: auto-generated"}, "auto-submitted: auto-generated"),
        "ours": ({"sender": "support@example.com"}, "it comes from an address of ours"),
    }
    try:
        house.receive(mail(message_id="<first@acme.example>", sender=BOB))
        for name, (parts, _) in silent.items():
            house.receive(mail(message_id=f"<{name}@acme.example>", **parts), sender=parts["sender"])
        for number in range(house.engine.office.caps.per_address + 1):
            house.receive(mail(message_id=f"<{number}@acme.example>", sender="ann@acme.example", text=f"The {'n' * number}th time."),
                          sender="ann@acme.example")
    finally:
        house.close()
    assert "no automatic answer" not in told(tmp_path, "<first@acme.example>") + told(tmp_path, "1")
    for name, (_, why) in silent.items():
        assert f"  no automatic answer: {why}\n" in told(tmp_path, f"<{name}@acme.example>"), name
    last = told(tmp_path, f"<{number}@acme.example>")
    assert "automatic answers to this address within" in last
    assert "; no automatic answer: the same words came from this address before" in told(tmp_path, "2")
    assert json.loads(told(tmp_path, "<robot@acme.example>", "--json"))["no_answer"] == "auto-submitted: auto-generated"
