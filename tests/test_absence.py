"""Who is away: his deputy stands in, whoever only seems away still hears, and no escalation reaches nobody."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.absence import Absence
from rtmail.store import Outcome, Store
from tests.fakes.house import NOW, House, blueprint
from tests.fakes.staff import BOB, JANE, KIM, MAX, answered, opened, out_of_office, receivers, request, sent_to, told_us
from tests.fakes.stores import store, url


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path, blueprint(policy="portacare"))
    yield one
    one.close()


def swept(house: House, **lengths: float) -> list[str]:
    """Time goes on; returns who got escalations."""
    house.forward(**lengths)
    house.sweep()
    return [one.item.recipient for one in house.sent() if one.item.template == "escalation"]


def test_who_is_away_is_stood_in_for_until_he_is_back(house: House) -> None:
    (receipt,) = told_us(house, MAX, "away until 2 Dec")
    assert receipt.item.template == "receipt"
    assert "away until Wed 02 Dec 2026" in receipt.text
    assert "Kim Lee as technical-support-manager" in receipt.text
    row = house.store.spool_row(1)
    assert (row.outcome, row.reason) == (Outcome.HELD, "commands about no request, answered")
    assert house.store.audit_counts().closes

    opened(house)
    assert swept(house, minutes=30) == [KIM], "the first rung goes to the deputy alone"
    told_us(house, MAX, "back")
    opened(house)
    assert swept(house, minutes=30)[-1] == MAX


def test_an_absence_ends_by_itself(house: House) -> None:
    told_us(house, MAX, "away until tomorrow")
    house.forward(days=2)
    opened(house)
    assert swept(house, minutes=30) == [MAX]


def test_new_requests_are_told_to_all_who_serve_the_queue_away_or_not(house: House) -> None:
    told_us(house, JANE, "away until 2 Dec")
    assert receivers(opened(house), "opened") == {JANE, KIM}


def test_both_away_the_admin_hears_at_once(house: House) -> None:
    told_us(house, MAX, "away until 2 Dec")
    told_us(house, KIM, "away until 2 Dec")
    opened(house)
    assert swept(house, minutes=30) == ["ops@admin.example"]


def test_an_out_of_office_adds_the_deputy_and_removes_nobody(house: House) -> None:
    opened(house)
    house.forward(minutes=30)
    house.sweep()
    escalation = sent_to(house.sent(), MAX, "escalation")
    at_once = out_of_office(house, escalation)
    assert [(one.item.recipient, one.item.template) for one in at_once] == [(KIM, "escalation")]
    assert "not reached" in sent_to(at_once, KIM).text
    assert request(house).status == "new", "a robot moves nothing"

    opened(house)
    assert sorted(swept(house, minutes=30)) == [KIM, MAX], "the absent one still hears, his deputy too"


@pytest.fixture(params=[{"verp": False}, {"detail": "off"}], ids=["no verp", "no details"])
def plain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """A house whose mails all have the queue's address as their envelope sender."""
    plan = blueprint(policy="portacare")
    one = House(tmp_path, plan=replace(plan, site=replace(plan.site, **request.param)))
    yield one
    one.close()


def test_without_an_address_for_each_mail_an_out_of_office_is_known_by_the_id_that_it_answers(plain: House) -> None:
    opened(plain)
    plain.forward(minutes=30)
    plain.sweep()
    escalation = sent_to(plain.sent(), MAX, "escalation")
    assert escalation.item.envelope_sender == "support@example.com"
    at_once = out_of_office(plain, escalation)
    assert [(one.item.recipient, one.item.template) for one in at_once] == [(KIM, "escalation")]
    opened(plain)
    assert sorted(swept(plain, minutes=30)) == [KIM, MAX]
    answered(plain, escalation, "ack")
    assert not plain.store.absences(plain.now)
    out_of_office(plain, told_us(plain, MAX, "list")[0])
    assert plain.store.absences(plain.now), "what is about no request tells it as well"


def test_who_got_a_copy_makes_nobody_absent_who_got_another(plain: House) -> None:
    notice = sent_to(opened(plain), JANE, "opened")
    words = answered(plain, notice, "Which one?")
    asked = next(one for one in words if one.item.recipient == BOB)
    to_staff = [one for one in words if one["Message-ID"] == asked["Message-ID"] and one.item.recipient == KIM]
    assert to_staff, "a copy of the same words"
    out_of_office(plain, asked, KIM)
    assert not plain.store.absences(plain.now), "the customer has the id too"
    out_of_office(plain, notice, MAX)
    assert not plain.store.absences(plain.now), "nothing of it went to him"
    out_of_office(plain, asked, KIM, proven=True)
    assert list(plain.store.absences(plain.now)) == [plain.engine.office.directory.people["kim"].party]


def test_who_writes_is_there_whatever_his_program_said(house: House) -> None:
    opened(house)
    house.forward(minutes=30)
    house.sweep()
    escalation = sent_to(house.sent(), MAX, "escalation")
    out_of_office(house, escalation)
    answered(house, escalation, "ack")
    opened(house)
    assert swept(house, minutes=30) == [MAX]


def test_mail_for_an_absent_owner_reaches_the_queue_as_well(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "take\n\nWe are looking into it.")
    told_us(house, JANE, "away until 2 Dec")
    swept(house, minutes=30)
    house.forward(minutes=16)
    house.sweep()
    assert receivers(house.sent(), "nudge") == {JANE, KIM}


def test_an_absence_by_an_unproven_mail_is_held(house: House) -> None:
    told_us(house, MAX, "away until 2 Dec", proven=False)
    assert not house.store.absences(house.now)


@pytest.mark.parametrize("line", ["away until 2025-01-01", "away until 30 Feb"])
def test_an_absence_that_cannot_be_is_refused_with_a_line_to_copy(house: House, line: str) -> None:
    (receipt,) = told_us(house, MAX, line)
    assert "NOT DONE" in receipt.text
    assert not house.store.absences(house.now)


def test_a_command_of_requests_without_one_is_refused(house: House) -> None:
    (receipt,) = told_us(house, JANE, "take")
    assert "names no request" in receipt.text
    assert house.store.by_number(1) is None


# The store


def test_absences_are_kept_one_a_person(store: Store) -> None:
    later = Absence(NOW + timedelta(days=3), declared=True)
    store.set_absence(7, later, NOW)
    store.set_absence(7, Absence(NOW + timedelta(days=7), declared=False), NOW)
    assert store.absences(NOW) == {7: later}, "what he said himself stands"
    assert store.absences(later.until) == {}
    assert not store.end_absence(7, only_seen=True)
    seen = Absence(NOW + timedelta(days=9), declared=False)
    store.set_absence(7, seen, later.until)
    assert store.absences(later.until) == {7: seen}
    assert store.end_absence(7, only_seen=True)
    assert not store.end_absence(7)
