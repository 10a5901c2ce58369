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
