"""What a command's value shows the customer: nothing that was said among staff, by whichever road the command comes (promise 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail.mail.tripwire import STAFF_MARK
from rtmail.store import Outcome
from tests.fakes.house import House, mail
from tests.fakes.staff import ANN, BOB, JANE, KIM, answered, fresh_id, opened, receivers, request, sent_to, trusted
from tests.test_rails import INSIDE, PUBLIC, SECOND, Desk, nothing_inside, quoted

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


# Values that look harmless


@pytest.mark.parametrize("line", ["Subject: {}", "ask: {}"])
def test_a_short_line_of_another_request_is_known_again(desk: Desk, line: str) -> None:
    """Eight words are a line that tells; they lie across two pieces of what is looked for, whatever stands before them."""
    opened(desk.house, who=ANN, subject="Contract")
    short = "Their zinnober rebate ends unannounced before Easter anyway"
    raw = mail(sender=f"Kim Lee <{KIM}>", to=INSIDE, subject="Re: [Example #2] Contract", text=f"Mind this.\n{short}",
               message_id=fresh_id(KIM))
    desk.house.receive(trusted(raw, KIM), to=INSIDE, sender=KIM, peer="127.0.0.1")
    desk.house.sent()
    sent = desk.writes(line.format(short))
    nothing_inside(sent)
    assert "NOT DONE" in sent_to(sent, JANE, "receipt").text
    for before in range(6):
        said = desk.writes(f"{' '.join(['Hello'] * before)}\n{short}")
        nothing_inside(said)
        assert receivers(said, "asked") == {JANE}


def test_a_command_in_the_subject_alone_is_looked_at_too(desk: Desk) -> None:
    sent = desk.writes("", subject=f"ask: {SECOND}")
    nothing_inside(sent)
    assert BOB not in {one.item.recipient for one in sent}


@pytest.mark.parametrize("name", [
    "Roe #1042 [Example #2]", INSIDE, SECOND, STAFF_MARK, "Jane Doe via Example",
    "=?utf-8?q?Zoe=0D=0ABcc:_x=40y.example?=", "Zoe\\r\\nBcc: x@y.example", "42",
])
def test_a_display_name_of_a_command_goes_into_no_header_of_others(desk: Desk, name: str) -> None:
    """Whatever a colleague writes before an address: the mails that follow are whole, and hold nothing internal."""
    desk.writes(f'AddCc: "{name}" <zoe@far.example>')
    sent = desk.writes("We replace the fuser.")
    nothing_inside(sent)
    for one in sent:
        assert not one["Bcc"]
        assert "x@y.example" not in one.item.recipient
    assert receivers(sent, "words") == {BOB, ANN} | (set() if name in (INSIDE, SECOND, STAFF_MARK) else {"zoe@far.example"})


@pytest.mark.parametrize("line", [
    "fixed EB-12 in zinnober", "fixed EB-12 in Second line about the zinnober contract and its margin. yes",
    "fixed EB-12 in 4.2 yes, Second line about the zinnober contract", "fixed EB-12 in support-comment@example.com yes",
])
def test_a_fix_names_a_version_and_nothing_else(desk: Desk, line: str) -> None:
    desk.writes("bug EB-12")
    nothing_inside(desk.writes(line))


def test_a_customer_who_has_the_preview_of_a_fix_tells_nobody_by_quoting_it(desk: Desk) -> None:
    """Somebody showed it to him; what he quotes of it commands nothing and goes to no other customer."""
    desk.writes("bug EB-12")
    preview = sent_to(desk.writes("fixed EB-12 in 4.2"), JANE)
    text = f"Is that so?\n\n{quoted(preview.text)}\n\nfixed EB-12 in 4.2 yes"
    sent = answered(desk.house, sent_to(desk.writes("Which one?"), BOB, "words"), text, who=BOB, proven=False)
    assert not receivers(sent, "fixed")
    for one in sent:
        if one.item.recipient == ANN:
            assert "EB-12" not in one.text
            assert "send it to all" not in one.text.lower()
    nothing_inside(sent)
