"""Designated contacts on the real daemon with a fast clock: forms, an agreed severity, private data, asking, reminders, closing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.policy.clocks import State
from tests.fakes.daemon import plain
from tests.fakes.entitled import OLD
from tests.fakes.staff import EVE, JANE, NAMES
from tests.fakes.stage import Stage, flat

PIA, NIK, PAT = "pia@globex.example", "nik@globex.example", "pat@staff.example"
NAMES |= {PIA: "Pia Wert", NIK: "Nik Ohm", PAT: "Pat Quiet"}
BEGINS = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
"""A Tuesday, 10:00 in New York."""
CARE = "care@example.com"
SITE = 'portal_url = "https://portal.example.com/{number}"'
HOUSE = """
[queues.care]
address = "care@example.com"
comment_address = "care-comment@example.com"
policy = "verato"
private_data = "hold"

[people.pat]
name = "Pat Quiet"
email = "pat@staff.example"
rights = ["privacy"]

[plans.basic]
name = "Basic"

[organisations.globex]
name = "Globex"
domains = ["globex.example"]
contacts = [{email = "pia@globex.example", name = "Pia Wert", roles = ["designated"]}]
plan = "basic"

[organisations.oldco]
name = "Oldco"
contacts = [{email = "old@oldco.example", roles = ["designated"]}]
plan = "basic"
plan_until = 2026-06-30
"""


@pytest.mark.long
def test_a_case_from_its_form_to_its_closing(tmp_path: Path) -> None:
    with Stage(tmp_path, "verato", begins=BEGINS, rate=60, house=HOUSE, site=SITE) as stage:
        # A case: what is missing is asked for in a form, which comes back filled in.
        stage.writes(PIA, "Matching is slow.\n\nProduct: Match 7\nSeverity: critical", to=CARE, subject="Matching is slow")
        ack = stage.came(PIA, "acknowledgement", "#1")
        assert "https://portal.example.com/1" in flat(ack)
        form = plain(ack).replace("\r", "").partition("===")[2].rpartition("===")[0]
        for label, value in (("Component", "index"), ("Development)", "Production"), ("Steps to reproduce", "search"),
                             ("Impact on operations", "slow"), ("included (yes or no)", "yes")):
            assert f"{label}:" in form
            form = form.replace(f"{label}:", f"{label}: {value}")
        stage.answers(ack, f"==={form}===")
        filled = stage.came(JANE, "notice", "Component")
        # The severity is agreed before work begins.
        stage.answers(filled, "Priority: S2\ntake\n\nWe look into it.")
        told = stage.came(PIA, "priority-told", "Significant and persistent")
        stage.came(PIA, "words", "We look into it.")
        stage.answers(told, "agree")
        stage.rest()
        assert stage.ticket().priority_state == "agreed"
        # What is asked of the customer stops the clocks; health data in her answer is kept back until Pat has decided.
        stage.answers(stage.came(JANE, "opened"), "ask: log of the gateway\n\nWe cannot see it here.")
        asking = stage.came(PIA, "asking", "1. log of the gateway")
        assert {one.state for one in stage.ticket().clocks} <= {State.MET, State.PAUSED}
        stage.until_due()
        stage.came(PIA, "reminder", "log of the gateway", seconds=90)
        stage.answers(asking, "1. It says this:\n\nPatient: John Smith\nMRN 12345678")
        stage.came(PIA, "private-told")
        stage.answers(stage.came(PAT, "private"), "redact")
        assert "[medical record removed]" in flat(stage.came(JANE, "notice", "It says this"))
        # Resolved by a stated mode, and closed.
        stage.answers(stage.came(JANE, "notice", "It says this"), "Mode of resolution: workaround\nresolve\n\nPlease restart it.")
        stage.came(PIA, "closing", "Mode of resolution: workaround")
        # Who else may write.
        stage.writes(NIK, "Priority: S1\n\nHow do I export?", to=CARE, subject="Export")
        stage.answers(stage.came(JANE, "opened", "not one of its contacts"), "Priority: S4\nresolve\n\nBy the menu.")
        stage.writes(OLD, "Help.", to=CARE, subject="Help")
        assert "account manager" in flat(stage.came(OLD, "prepared"))
        stage.writes(EVE, "Hello.", to=CARE, subject="Hello")
        stage.answers(stage.came(JANE, "opened", "Held: nothing went out"), "redirect no-plan")
        stage.came(EVE, "words", "account manager")
        mails = stage.close()
        assert mails == {
            "pia": {"acknowledgement": 1, "priority-told": 1, "words": 1, "asking": 1, "reminder": 1, "private-told": 1, "closing": 1},
            "nik": {"acknowledgement": 1, "priority-told": 1, "words": 1}, "old": {"prepared": 1}, "eve": {"words": 1},
            "jane": {"opened": 4, "notice": 3, "receipt": 5}, "kim": {"opened": 4, "notice": 2, "state": 1},
            "pat": {"private": 1, "receipt": 1},
        }  # fmt: skip
        for raw in stage.box.seen.values():
            assert b"12345678" not in raw
        assert "12345678" not in stage.daemon.told()
