"""As agreed: cadences and promises for one request, what its requestor hears of them, and answers that are not delivered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtmail.cli.ticket import ticket as ticket_command
from rtmail.cli.why import why
from rtmail.desk.ticket import EventKind
from rtmail.mail.writing.templates import Templates
from rtmail.policy.schema import parse
from rtmail.store import Fate
from tests.fakes.customers import ANN, BOB, JANE, Case, kinds
from tests.fakes.house import ROOT, House, blueprint, template_texts

MONDAY_TEN = datetime(2026, 11, 23, 9, tzinfo=UTC)
"""10:00 in Berlin; the site of these tests speaks Berlin time."""


def berlin_house(folder: Path, **keys: str) -> House:
    text = (ROOT / "config" / "policies" / "portacare.toml").read_text("utf-8")
    for key, value in keys.items():
        text = "\n".join(f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines())
    plan = blueprint(policy="portacare")
    site = replace(plan.site, timezone="Europe/Berlin")
    templates = Templates(template_texts(), "Europe/Berlin")
    policy = parse(text, "p.toml", "Europe/Berlin")
    return House(folder, replace(plan, site=site, templates=templates, policies=dict.fromkeys(plan.policies, policy)))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """P3 (an update each business day), Jane's, opened on Monday at 10:00 and answered a minute later."""
    house = berlin_house(tmp_path)
    try:
        yield begun(house)
    finally:
        house.close()


def begun(house: House, priority: str = "P3") -> Case:
    case = Case(house)
    case.open()
    case.forward(minutes=1)
    case.staff(f"take\nPriority: {priority}\n\nWe have a look.")
    return case


def due(case: Case) -> datetime | None:
    return case.clock("update").due_at


def receipt(case: Case) -> str:
    return " ".join(next(one for one in reversed(case.mails) if one.item.template == "receipt").text.split())


# what is promised, and who hears of it


def test_a_cadence_is_told_and_the_clock_follows(case: Case) -> None:
    began = case.house.now
    sent = case.staff("Update-every: 4h")
    assert kinds(sent) == [("promised", "bob"), ("receipt", "jane")]
    assert "at least every: 4 hours" in case.last(BOB).text
    assert due(case) == began + timedelta(hours=4)
    assert "every 4h, and is told so" in receipt(case)
    case.forward(hours=1)
    case.staff("Still at it.")
    assert due(case) == case.house.now + timedelta(hours=4), "the next interval is the agreed one too"


def test_a_longer_cadence_counts_from_the_intervals_start(case: Case) -> None:
    start = case.clock("update").started_at
    case.forward(hours=2)
    case.staff("Update-every: 2bd")
    assert "2 business days" in case.last(BOB).text
    assert due(case) == start + timedelta(days=2)


def test_a_promise_is_told_and_the_clock_follows(case: Case) -> None:
    sent = case.staff("Next: Fri 15:00")
    assert kinds(sent) == [("promised", "bob"), ("receipt", "jane")]
    friday = datetime(2026, 11, 27, 14, tzinfo=UTC)
    assert "Fri 27 Nov 2026, 15:00 CET" in case.last(BOB).text
    assert due(case) == case.ticket.promised_at == friday
    assert case.clock("update").rule.startswith("update: promised for")
    case.staff("Update-every: 1h")
    assert due(case) == friday, "no cadence moves a promise"
    case.staff("It is on its way.")
    assert case.ticket.promised_at is None
    assert due(case) == case.house.now + timedelta(hours=1)


def test_an_expected_end_is_told_and_moves_no_clock(case: Case) -> None:
    before = due(case)
    assert kinds(case.staff("eta tomorrow noon")) == [("promised", "bob"), ("receipt", "jane")]
    assert "Expected to be solved" in case.last(BOB).text
    assert "Tue 24 Nov 2026, 12:00 CET" in case.last(BOB).text
    assert due(case) == before
    assert case.ticket.eta_at == datetime(2026, 11, 24, 11, tzinfo=UTC)


def test_words_and_promises_are_one_mail(case: Case) -> None:
    case.forward(minutes=10)
    sent = case.staff("next Fri 15:00\neta 1 Dec\nUpdate-every: 4h\n\nThe technician comes on Friday.")
    assert kinds(sent) == [("promised", "bob"), ("receipt", "jane"), ("words", "ann")]
    told = case.last(BOB)
    assert told["From"] == "Jane Doe via Example <support@example.com>"
    assert told["Auto-Submitted"] == ""
    for said in ("The technician comes", "4 hours", "Fri 27 Nov 2026, 15:00", "Tue 1 Dec 2026, 17:00"):
        assert said in told.text, said
    assert "As agreed" not in case.last(ANN).text
    assert due(case) == datetime(2026, 11, 27, 14, tzinfo=UTC), "the words do not use the promise up that stands beside them"
    assert [one.confirmed for one in case.ticket.clocks if one.name == "update" and one.settled_by == "human"] == [True]


def test_a_promise_with_the_first_answer_stands(tmp_path: Path) -> None:
    house = berlin_house(tmp_path)
    try:
        case = Case(house)
        case.open()
        case.staff("take\nPriority: P1\nNext: 11:30\n\nOn it.")
        assert case.clock("first-response").state == "met"
        assert due(case) == MONDAY_TEN + timedelta(minutes=90)
    finally:
        house.close()


def test_the_receipt_keeps_the_order_of_the_lines(case: Case) -> None:
    case.staff("Next: Fri 15:00\nOwner: kim\nPriority: P2\nAddAdminCc: jane")
    said = receipt(case)
    assert [said.index(word) for word in ("Next:", "Owner:", "Priority:", "AddAdminCc:")] == sorted(
        said.index(word) for word in ("Next:", "Owner:", "Priority:", "AddAdminCc:")
    )


# refused, with a cure


@pytest.mark.parametrize(
    ("line", "why", "cure"),
    [
        ("Next: 2026-11-20 15:00", "has passed", "tomorrow 15:00"),
        ("Next: 2029-01-01 09:00", "more than a year ahead", "Next: Fri 15:00"),
        ("eta 2025-01-01", "has passed", "tomorrow 15:00"),
        ("eta 2030-01-01", "more than a year ahead", "eta Fri 15:00"),
        ("Next: 30 Feb", "no day of the calendar", ""),
        ("Next: soon", "no day and time", "Fri 15:00"),
        ("Update-every: 0", "too short", "Update-every: 4h"),
        ("Update-every: 4m", "too short", "Update-every: 4h"),
        ("Update-every: 200d", "longer than a hundred days", "Update-every: 5bd"),
        ("Update-every: 90bd", "longer than a hundred days", "Update-every: 5bd"),
        ("Update-every: often", "no length of time", "4h"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_cure(case: Case, line: str, why: str, cure: str) -> None:
    before = due(case)
    assert kinds(case.staff(line)) == [("receipt", "jane")]
    assert why in receipt(case)
    assert cure in receipt(case)
    assert due(case) == before
    assert not case.events(EventKind.TOLD)[-1:] or case.events(EventKind.TOLD)[-1].facts["notice"] != "promised"


@pytest.mark.parametrize("line", ["Update-every: 5m", "Update-every: 90d", "Next: 2027-11-23 09:00"])
def test_the_bounds_themselves_are_fine(case: Case, line: str) -> None:
    assert ("promised", "bob") in kinds(case.staff(line))


@pytest.mark.parametrize("end", ["Status: closed", "Status: rejected", "resolve"])
def test_nobody_waits_for_a_word_on_what_has_ended(case: Case, end: str) -> None:
    case.staff(end)
    assert "promised" not in [kind for kind, _ in kinds(case.staff("Next: Fri 15:00"))]
    assert "waits for no word" in receipt(case)


def test_what_is_promised_and_solved_at_once_asks_only_whether_it_is_solved(case: Case) -> None:
    assert kinds(case.staff("Next: Fri 15:00\nresolve\n\nDone.")) == [("closing", "bob"), ("receipt", "jane"), ("words", "ann")]


def test_the_customers_own_lines_promise_nothing(case: Case) -> None:
    before = due(case)
    case.writes(BOB, "Next: Fri 15:00\nUpdate-every: 1h\n\nCan you do that?")
    assert due(case) == before
    assert case.ticket.fields.get("update_every") is None


# what others see of it


def test_a_holding_update_shows_owner_end_and_next_word(tmp_path: Path) -> None:
    house = berlin_house(tmp_path, update_mode='"hold"')
    try:
        case = begun(house)
        case.staff("eta Fri 15:00\nUpdate-every: 2h")
        at = due(case)
        assert at is not None
        sent = case.until(at)
        (update,) = [one for one in sent if one.item.template == "holding-update"]
        assert update.item.recipient == BOB
        for said in ("Jane Doe", "Fri 27 Nov 2026, 15:00 CET", "Mon 23 Nov 2026, 14:01 CET"):
            assert said in update.text, said
        case.forward(days=7)
        updates = [one for one in case.mails if one.item.template == "holding-update"]
        assert len(updates) > 1
        assert "Expected to be solved" not in updates[-1].text, "an end that has passed is not told as one to come"
    finally:
        house.close()


def test_show_list_and_why_tell_of_it(tmp_path: Path) -> None:
    state = tmp_path / "var"
    state.mkdir()
    house = House(state, url="sqlite:///rtmail.db")
    try:
        case = begun(house, "normal")
        case.staff("Update-every: 4h\nNext: Fri 15:00\neta 1 Dec")
        case.writes(BOB, "Priority: low\n\nIt is better now.")
    finally:
        house.close()
    config = tmp_path / "rtmail.toml"
    config.write_text((ROOT / "config" / "rtmail.toml").read_text("utf-8"))
    run = CliRunner()
    shown = run.invoke(ticket_command, ["show", "1", "-c", str(config)])
    for said in ("normal (disputed)", "asks for priority low", "hears from us every 4h", "next word by", "expected to be solved"):
        assert said in shown.output, (said, shown.output)
    assert "normal!" in run.invoke(ticket_command, ["list", "-c", str(config)]).output
    assert '"priority_state": "disputed"' in run.invoke(ticket_command, ["list", "--json", "-c", str(config)]).output.replace('":"', '": "')
    assert "promised for 2026-11-27" in run.invoke(why, ["1", "-c", str(config)]).output


# answered, and not delivered


def test_an_answer_that_the_relay_has_not_taken_is_told_to_author_and_admin_once(tmp_path: Path) -> None:
    house = berlin_house(tmp_path)
    try:
        case = Case(house)
        case.open()
        case.staff("take\nPriority: P1")
        case.forward(minutes=5)
        answer = unsent(case, "We are on it.")
        assert ("words", BOB) in answer
        first = case.clock("first-response")
        assert (first.state, first.confirmed) == ("met", False)
        assert first.due_at is not None
        house.now = first.due_at - timedelta(seconds=1)
        house.sweep()
        assert "undelivered" not in dict(waiting(case))
        house.now = first.due_at
        house.sweep()
        assert [one for one in waiting(case) if one[0] == "undelivered"] == [("undelivered", JANE), ("undelivered", "ops@admin.example")]
        told = {one.item.recipient: one.text for one in case.went() if one.item.template == "undelivered"}
        assert "We are on it." in told[JANE]
        assert "Author:    Jane Doe" in told[JANE]
        assert "outbox list" in told["ops@admin.example"]
        assert "outbox list" not in told[JANE]
        case.forward(hours=3)
        assert len([one for one in case.mails if one.item.template == "undelivered"]) == 2, "once"
        assert case.clock("first-response").confirmed
    finally:
        house.close()


def test_the_author_hears_of_it_not_the_owner(tmp_path: Path) -> None:
    house = berlin_house(tmp_path)
    try:
        case = Case(house)
        case.open()
        case.staff("Owner: kim\nPriority: P1")
        unsent(case, "We are on it.")
        house.forward(hours=1)
        house.sweep()
        assert {address for kind, address in waiting(case) if kind == "undelivered"} == {JANE, "ops@admin.example"}
    finally:
        house.close()


def test_an_answer_that_was_delivered_is_told_to_nobody(tmp_path: Path) -> None:
    house = berlin_house(tmp_path)
    try:
        case = Case(house)
        case.open()
        case.staff("take\nPriority: P1\n\nWe are on it.")
        assert "undelivered" not in [kind for kind, _ in kinds(case.forward(hours=1))]
    finally:
        house.close()


def unsent(case: Case, text: str) -> list[tuple[str, str]]:
    """Let Jane answer while the relay takes nothing; what waits to go out then."""
    went, case.house.sent = case.house.sent, list  # type: ignore[method-assign]
    try:
        case.staff(text)
    finally:
        case.house.sent = went  # type: ignore[method-assign]
    return waiting(case)


def waiting(case: Case) -> list[tuple[str, str]]:
    return sorted((row.template, row.recipient) for row in case.house.store.list_outbox(Fate.WAITING))
