"""The monthly statement of time worked: whose, when, what it says, and that it goes out once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from rtmail.cli import rtmail
from rtmail.desk.people import Directory, Organisation, Plan
from rtmail.desk.reports import statement
from rtmail.desk.reports.statement import Worked, due, facts, month_of, named, of, table
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.policy.schema import parse
from tests.fakes.house import ROOT, House, Sent, blueprint
from tests.fakes.staff import ANN, BOB, EVE, JANE, answered, opened, request, sent_to

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
EIGHT = time(8)
ACME = Organisation("acme", "Acme Ltd", ("acme.example",), (BOB,), statement_to="billing@acme.example", timezone="America/New_York")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (at(2026, 12, 1, 12, 59), None),  # 07:59 in New York
        (at(2026, 12, 1, 13, 0), "2026-11"),
        (at(2026, 12, 31, 23, 0), "2026-11"),
        (at(2027, 1, 1, 4, 59), "2026-11"),  # still December there
        (at(2027, 1, 1, 13, 0), "2026-12"),
    ],
)
def test_when_it_is_due(now: datetime, month: str | None) -> None:
    found = due(ACME, EIGHT, now, UTC_ZONE)
    if month is None:
        assert found is None
    else:
        assert found is not None
        assert found.name == month


def test_a_month_begins_and_ends_on_the_customers_clock() -> None:
    march = month_of(date(2026, 3, 17), BERLIN)
    assert (march.since, march.until) == (at(2026, 2, 28, 23), at(2026, 3, 31, 22)), "summer time begins in it"
    assert named("", ACME, BERLIN, at(2026, 3, 1, 4)).name == "2026-01", "in New York it is February still"
    assert named("2026-12", ACME, BERLIN, at(2026, 3, 1, 4)).until == at(2027, 1, 1, 5)
    with pytest.raises(ValueError):
        named("2026-13", ACME, BERLIN, at(2026, 3, 1))


ROWS = [
    Worked(at(2026, 11, 3, 9), 2, "=cmd|' /C calc'!A0", BOB, "acme", 30, True),
    Worked(at(2026, 11, 4, 2), 1, "Down", ANN, "", 60, False),
    Worked(at(2026, 11, 5, 9), 1, "Down", ANN, "", -60, False),
    Worked(at(2026, 11, 6, 9), 3, "Else", EVE, "", 10, True),
    Worked(at(2026, 11, 6, 9), 4, "Moved", BOB, "other", 10, True),
    Worked(at(2026, 11, 6, 9), 5, "Nobody", "", "", 10, True),
]


def test_whose_it_is_and_what_it_says() -> None:
    mine = of(ACME, ROWS, Directory(organisations={"acme": ACME}))
    assert [row.number for row in mine] == [2, 1, 1]
    said = facts(ACME, month_of(date(2026, 11, 1), UTC_ZONE), mine, UTC_ZONE)
    assert (said["minutes"], said["billable"]) == (30, 30)
    assert [(row["number"], row["minutes"], row["billable"]) for row in said["requests"]] == [(1, 0, 0), (2, 30, 30)]
    assert table(ACME, mine, UTC_ZONE)[1] == ("2026-11-03", 1, "Down", ANN, 60, 0), "the day in New York"


# -- by mail --


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    base = blueprint()
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    policy = parse(f"{text}\n[customers]\n", "default.toml")
    plan = Plan("hourly", "Hourly", billable=True)
    acme = replace(ACME, plan="hourly", contacts=(BOB,))
    other = Organisation("elsewhere", "Elsewhere", ("elsewhere.example",), (EVE,), statement_to="")
    directory = replace(base.directory, organisations={"acme": acme, "elsewhere": other}, plans={"hourly": plan})
    one = House(tmp_path, replace(base, directory=directory, policies=dict.fromkeys(base.directory.queues, policy)))
    yield one
    one.close()


def worked(house: House, *lines: str, who: str = BOB, subject: str = "Printer down") -> Sent:
    notice = sent_to(opened(house, who=who, subject=subject), JANE, "opened")
    for line in lines:
        answered(house, notice, line)
    return notice


def statements(house: House, now: datetime) -> list[Sent]:
    house.now = now
    house.engine.digest(house.now)
    return [one for one in house.sent() if one.item.template == "statement"]


def enclosed(sent: Sent) -> list[list[str]]:
    (part,) = [part for part in sent.mail.walk() if part.get_content_type() == "text/csv"]
    assert part.get_filename() == "statement-acme-2026-11.csv"
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return list(csv.reader(io.StringIO(data.decode())))


FIRST = at(2026, 12, 1, 13)


def test_it_goes_out_once_with_a_table(house: House) -> None:
    worked(house, "time 30m billable", "time 1h not billable")
    worked(house, "time 15m", subject="=HYPERLINK(\"http://x\")")
    worked(house, "time 2h", who=EVE)
    assert statements(house, FIRST - timedelta(minutes=1)) == []
    (sent,) = statements(house, FIRST)
    assert sent.item.recipient == "billing@acme.example"
    assert sent["Subject"] == "Example: time worked in 2026-11 for Acme Ltd"
    assert sent["Auto-Submitted"] == "auto-generated"
    flat = " ".join(sent.text.split())
    assert "#1 90 30 Printer down" in flat
    assert "Altogether: 105 minutes Billable: 45 minutes" in flat, "the plan says that 15 minutes without a word are billable"
    assert "Jane" not in sent.text
    rows = enclosed(sent)
    assert rows[0] == list(statement.TITLES)
    assert [row[1:3] + row[4:] for row in rows[1:]] == [
        ["1", "Printer down", "30", "30"], ["1", "Printer down", "60", "0"], ["2", "'=HYPERLINK(\"http://x\")", "15", "15"],
    ]  # fmt: skip
    assert statements(house, FIRST + timedelta(days=20)) == []
    again = Engine(house.store, house.pool, Office(house.plan, house.store, house.now), "second")
    assert again._statements.send(house.now) == 0, "nor by another daemon"


def test_a_month_without_work_has_none(house: House) -> None:
    worked(house)
    assert statements(house, FIRST) == []


def test_what_was_taken_back_is_taken_off(house: House) -> None:
    worked(house, "time 30m", "time 20m", "undo")
    (sent,) = statements(house, FIRST)
    assert "Altogether: 30 minutes" in " ".join(sent.text.split())
    assert [row[4] for row in enclosed(sent)[1:]] == ["30", "20", "-20"]


def test_an_outage_delays_it_and_no_more(house: House) -> None:
    worked(house, "time 30m")
    assert len(statements(house, FIRST + timedelta(days=9))) == 1


def test_a_subject_with_something_internal_stops_nobodys_statement(house: House) -> None:
    worked(house, "time 30m", subject="Re: support-comment@example.com is down")
    (sent,) = statements(house, FIRST)
    assert "support-comment" not in str(sent.mail)
    assert "Altogether: 30 minutes" in " ".join(sent.text.split())


def test_it_is_written_in_the_customers_language(house: House) -> None:
    plan = replace(house.plan, directory=replace(house.plan.directory, organisations={"acme": replace(ACME, language="de")}))
    worked(house, "time 30m")
    house.engine = Engine(house.store, house.pool, Office(plan, house.store, house.now), "test")
    (sent,) = statements(house, FIRST)
    assert "Zusammen: 30 Minuten" in " ".join(sent.text.split())


def test_time_stands_in_the_store_by_itself(house: House) -> None:
    worked(house, "time 30m billable")
    (row,) = house.store.worked(house.now - timedelta(days=1), house.now + timedelta(days=1))
    assert (row.number, row.minutes, row.billable, row.requestor, row.organisation) == (1, 30, True, BOB, "acme")
    assert house.store.worked(house.now + timedelta(seconds=1), house.now + timedelta(days=1)) == []
    assert request(house).fields["worked"] == {"minutes": 30, "billable": 30}


CONFIG = """
[site]
name = "Example"
domain = "example.com"
admin = "ops@example.net"
state = "data"
[relay]
url = "maildir:sent"
[queues.support]
address = "support@example.com"
comment_address = "support-comment@example.com"
policy = "default"
[people.jane]
name = "Jane Doe"
email = "jane@example.net"
rights = ["engineer", "manager"]
[roles.support-manager]
person = "jane"
[roles.director]
person = "jane"
[organisations.acme]
name = "Acme Ltd"
domains = ["acme.example"]
statement_to = "{to}"
"""


def ran(folder: Path, *words: str, to: str = "billing@acme.example") -> tuple[int, str]:
    config = folder / "rtmail.toml"
    config.write_text(CONFIG.replace("{to}", to))
    done = CliRunner().invoke(rtmail, [*words, "-c", str(config)])
    return done.exit_code, done.output


def test_the_shell_prints_one(tmp_path: Path) -> None:
    code, said = ran(tmp_path, "customer", "statement", "acme", "--month", "2026-11")
    assert (code, said.strip().splitlines()[-1]) == (0, "Acme Ltd, 2026-11: 0 minutes, 0 of them billable")
    code, said = ran(tmp_path, "customer", "statement", "bob@acme.example", "--month", "2026-11", "--csv")
    assert (code, said.strip()) == (0, ",".join(f'"{title}"' for title in statement.TITLES))
    assert ran(tmp_path, "customer", "statement", "acme", "--month", "soon")[0] == 2
    assert ran(tmp_path, "customer", "statement", "nobody")[0] != 0


def test_an_address_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    code, said = ran(tmp_path, "check", to="nobody")
    assert code == 78
    assert "statement_to" in said or "nobody" in said
