"""What a command's value shows the customer: nothing that was said among staff, by whichever road the command comes (promise 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail.store import Outcome
from tests.fakes.house import House
from tests.fakes.staff import BOB, JANE, request, sent_to
from tests.test_rails import INSIDE, PUBLIC, SECOND, Desk, nothing_inside

SHOWN = ["ask: {}", "Subject: {}", "Reclassify: low, {}"]
"""Commands whose words a customer reads."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    house = House(tmp_path)
    yield Desk(house)
    house.close()


@pytest.mark.parametrize("to", [PUBLIC, INSIDE])
@pytest.mark.parametrize("line", SHOWN)
@pytest.mark.parametrize("said", [SECOND, f"see {INSIDE}"])
def test_a_command_that_would_show_something_internal_is_refused(desk: Desk, line: str, said: str, to: str) -> None:
    sent = desk.writes(line.format(said), to="" if to == PUBLIC else to)
    nothing_inside(sent)
    assert desk.house.store.spool_row(desk.spool).outcome == Outcome.EVENT
    receipt = sent_to(sent, JANE, "receipt").text
    assert "NOT DONE" in receipt
    assert request(desk.house).subject == "Printer down"
    assert BOB not in {one.item.recipient for one in sent}


@pytest.mark.parametrize("line", ["ask: log of the gateway", "Subject: Fuser", "Reclassify: urgent, it stops all work"])
def test_what_nobody_said_among_staff_is_done(desk: Desk, line: str) -> None:
    assert "NOT DONE" not in sent_to(desk.writes(line), JANE, "receipt").text
