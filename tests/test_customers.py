"""Customers: their lists in files, in the store and in the config, what a policy makes of them, and look-ups that stay cheap."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtmail import config
from rtmail.cli import rtmail
from rtmail.config.importing import COLUMNS, read_customers
from rtmail.desk.people import Directory, Organisation, Plan
from rtmail.errors import ConfigError, PolicyError
from rtmail.policy.schema import parse
from tests.fakes.entitled import BOB, due, entitled, request
from tests.fakes.house import House
from tests.fakes.staff import EVE, JANE, KIM, answered, clicked, opened, sent_to, told_us
from tests.fakes.stores import NOW

CONFIG = """
[site]
name = "Example"
domain = "example.com"
admin = "ops@example.net"
[queues.support]
address = "support@example.com"
comment_address = "support-comment@example.com"
policy = "quiet"
[people.jane]
name = "Jane Doe"
email = "jane@example.net"
[relay]
url = "maildir:sent"
[plans.gold]
name = "Gold"
contacts = 1
[organisations.acme]
name = "Acme Ltd"
domains = ["acme.example"]
contacts = ["ann@acme.example", {email = "bob@acme.example", name = "Bob Roe", roles = ["designated"]}]
plan = "gold"
plan_until = 2027-03-31
"""
QUIET = 'name = "Quiet"\n[priorities.normal]\ncode = 1\n'
CSV = """organisation,name,domains,plan,plan_until,contact,contact_name,roles
globex,Globex,globex.example,gold,2027-12-31,x@globex.example,Xena,designated
globex,,,,,y@globex.example,,
initech,Initech,,,,z@freemail.example,,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "quiet.toml").write_text(QUIET)
    (tmp_path / "rtmail.toml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(rtmail, [*words, "-c", str(folder / "rtmail.toml")])
    assert done.exit_code == 0, done.output
    return done.output


def test_an_import_adds_changes_and_syncs(folder: Path) -> None:
    file = folder / "customers.csv"
    file.write_text(CSV)
    assert "would be added: 2, changed: 0, unchanged: 0, removed: 0" in run(folder, "customer", "import", str(file), "--dry-run")
    assert "globex" not in run(folder, "customer", "list")
    assert run(folder, "customer", "list", "--expired") == "every plan holds\n"
    assert "added: 2, changed: 0" in run(folder, "customer", "import", str(file))
    assert "added: 0, changed: 0, unchanged: 2" in run(folder, "customer", "import", str(file))
    shown = run(folder, "customer", "show", "y@globex.example")
    assert "Xena <x@globex.example> (designated)" in shown
    assert "the store (imported)" in shown
    assert "2027-12-31" in shown
    file.write_text(CSV.rpartition("initech")[0].replace("Globex", "Globex Inc"))
    assert "added: 0, changed: 1, unchanged: 0, removed: 1" in run(folder, "customer", "import", str(file), "--sync")
    listed = run(folder, "customer", "list")
    assert [line.split()[0] for line in listed.splitlines()] == ["organisation", "acme", "globex"]
    assert all(len(line) <= 110 for line in listed.splitlines())


def test_what_a_query_prints_can_be_imported(folder: Path) -> None:
    """Customers that live in somebody else's database: `psql --csv -c 'SELECT ...' | rtmail customer import --sync -`."""
    with closing(sqlite3.connect(folder / "crm.db")) as crm:
        crm.execute("CREATE TABLE contact (company text, spec text, package text)")
        rows = [("hooli", f"{name}@hooli.example", "gold") for name in "ab"]
        crm.executemany("INSERT INTO contact VALUES (?, ?, ?)", rows)
        found = crm.execute("SELECT company AS organisation, package AS plan, spec AS contact FROM contact")
        lines = [",".join(column[0] for column in found.description), *(",".join(row) for row in found)]
    words = ["customer", "import", "--sync", "-", "-c", str(folder / "rtmail.toml")]
    done = CliRunner().invoke(rtmail, words, input="\r\n".join(lines))
    assert "added: 1, changed: 0, unchanged: 0, removed: 0" in done.output
    assert "b@hooli.example" in run(folder, "customer", "show", "hooli")
    failed = CliRunner().invoke(rtmail, words, input="\n")
    assert failed.exit_code == 78
    assert "standard input:1: it is empty" in failed.output
    assert "b@hooli.example" in run(folder, "customer", "show", "hooli"), "a query that failed takes nobody away"


def test_what_list_prints_as_json_can_be_imported(folder: Path) -> None:
    (folder / "customers.csv").write_text(CSV)
    run(folder, "customer", "import", str(folder / "customers.csv"))
    lines = [line for line in run(folder, "customer", "list", "--json").splitlines() if json.loads(line)["key"] != "acme"]
    for text in ("\n".join(lines), json.dumps([json.loads(line) for line in lines])):
        (folder / "customers.json").write_text(text)
        assert "unchanged: 2" in run(folder, "customer", "import", str(folder / "customers.json"))


def test_the_config_comes_first(folder: Path) -> None:
    (folder / "customers.csv").write_text("organisation,domains,contact\nevil,acme.example,bob@acme.example\n")
    run(folder, "customer", "import", str(folder / "customers.csv"))
    shown = run(folder, "customer", "show", "bob@acme.example")
    assert shown.startswith("name       Acme Ltd")


@pytest.mark.parametrize(("text", "line", "said"), [
    ("organisation,contact\nglobex,nobody\n", 2, "'nobody' is no address"),
    ("organisation,plan\nglobex,golden\n", 2, "there is no plan 'golden'"),
    ("organisation,plan,plan_from,plan_until\nglobex,gold,2027-01-01,2026-01-01\n", 2, "the plan ends before it begins"),
    ("organisation,plan_until\nglobex,soon\n", 2, "'soon' is no date"),
    ("organisation,plan,contact,roles\ng,gold,a@g.example,x\ng,,b@g.example,x\n", 3, "2 contacts have a role, the plan gold allows 1"),
    ("organisation,timezone\nglobex,Berlin\n", 2, "unknown timezone 'Berlin'"),
    ("organisation,holidays\nglobex,XX\n", 2, "no holidays are known for 'XX'"),
    ("organisation,domains\nglobex,gmail.com\n", 2, "gmail.com is no organisation's own domain"),
    ("organisation,colour\nglobex,red\n", 1, "unknown columns: colour"),
    ("name\nGlobex\n", 1, "there is no column `organisation`"),
    ("organisation,name\n,Globex\n", 2, "names no organisation"),
    ('{"name": "Globex"}\n', 1, "without a key"),
    ('{"key": \n', 1, "not JSON"),
    ('{"key": "globex", "colour": "red"}\n', 1, "colour"),
])
def test_mistakes_are_told_by_line(folder: Path, text: str, line: int, said: str) -> None:
    file = folder / "customers"
    file.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_customers(file.read_bytes(), str(file), config.load(folder / "rtmail.toml", {}))
    assert any(said in problem.what and abs(problem.line - line) <= 1 for problem in told.value.problems), told.value.problems


def test_every_column_is_documented() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "customers.md").read_text()
    assert ",".join(COLUMNS) in page


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "interopion", roles=("support-management",))
    yield one
    one.close()


def test_a_running_house_takes_an_import_at_once(house: House) -> None:
    assert "Held" in sent_to(opened(house, who=EVE), JANE, "opened").text
    fresh = Organisation("elsewhere", "Elsewhere", ("elsewhere.example",), (EVE,), "basic", plan_until=date(2027, 1, 1))
    house.store.put_customers({"elsewhere": fresh}, house.now)
    sent = opened(house, who=EVE, subject="Once more")
    assert "Elsewhere, plan Basic, until 01 Jan 2027." in sent_to(sent, JANE, "opened").text
    house.store.put_customers({"elsewhere": replace(fresh, plan_until=date(2026, 1, 1))}, house.now)
    sent_to(opened(house, who=EVE, subject="And again"), EVE, "prepared")
    assert request(house, 2).fields["terms"]["plan"] == "basic", "what it opened with stays"


def test_the_last_day_of_a_plan_ends_with_it(tmp_path: Path) -> None:
    """2026-11-24 15:00 UTC is the 25th already on Kiritimati."""
    for zone, template in (("Pacific/Kiritimati", "prepared"), ("America/Denver", "acknowledgement")):
        house = entitled(tmp_path, "interopion", roles=("support-management",), plan_until=date(2026, 11, 24), timezone=zone)
        house.url = f"sqlite:///{template}.db"
        try:
            sent_to(opened(house, subject=zone), BOB, template)
        finally:
            house.close()


def test_a_plan_begins_when_its_first_day_begins_with_the_customer(tmp_path: Path) -> None:
    """03:00 UTC on the 25th is the evening before in Denver."""
    house = entitled(tmp_path, "interopion", now=datetime(2026, 11, 25, 3, tzinfo=UTC), roles=("support-management",),
                     plan_from=date(2026, 11, 25), timezone="America/Denver")
    try:
        sent = opened(house)
        assert "which begins on 25 Nov 2026" in " ".join(sent_to(sent, JANE, "opened").text.split())
        sent_to(sent, BOB, "prepared")
    finally:
        house.close()


def test_what_staff_open_for_a_customer_or_give_him_is_served_on_his_plan(tmp_path: Path) -> None:
    """He called; somebody of nobody wrote for him; an engineer wrote to him: his plan promises an answer in four hours."""
    house = entitled(tmp_path, "verj", plan=Plan("enterprise", "Enterprise"), roles=("helpdesk-lead",), timezone="Europe/London")
    try:
        told_us(house, JANE, "for bob@acme.example\n\nHe called: the printer is down.", subject="Printer")
        opened(house, who=BOB)
        assert [request(house, number).fields["terms"]["plan"] for number in (1, 2)] == ["enterprise", "enterprise"]
        assert due(house, "first-response", 1) == due(house, "first-response", 2)
        sent = told_us(house, JANE, "We look at it.", subject="Your call", to=f"{BOB}, support@example.com")
        assert request(house, 3).requestor is not None
        assert request(house, 3).fields["terms"]["plan"] == "enterprise"
        assert len([one for one in request(house, 3).clocks if one.name == "first-response"]) == 1
        assert not [one for one in sent if one.item.template == "acknowledgement"]
        for number in (1, 2, 3):
            assert house.store.replayed(request(house, number).id) == request(house, number)
    finally:
        house.close()


def test_a_request_that_is_given_to_a_customer_by_mistake_is_as_it_was_after_undo(tmp_path: Path) -> None:
    house = entitled(tmp_path, "verj", plan=Plan("enterprise", "Enterprise"), roles=("helpdesk-lead",))
    try:
        sent = told_us(house, JANE, "Our own scanner is broken.", subject="Scanner")
        before = request(house)
        assert not before.fields.get("terms")
        sent = answered(house, sent_to(sent, KIM, "opened"), "for bob@acme.example")
        assert due(house, "first-response") < max(one.due_at for one in before.clocks if one.due_at)
        clicked(house, sent_to(sent, KIM, "receipt"), "undo")
        after = request(house)
        assert not after.fields.get("terms")
        assert [(one.name, one.due_at) for one in after.clocks if one.open] == [(one.name, one.due_at) for one in before.clocks if one.open]
    finally:
        house.close()


def test_imported_customers_come_back_from_the_store_as_they_were(house: House) -> None:
    one = Organisation("g", "G", ("g.example",), ("a@g.example",), "basic", "de", {"a@g.example": ("x", "y")}, {"a@g.example": "Ä"},
                       date(2026, 1, 1), None, "Europe/Berlin", "DE", imported=True)
    house.store.put_customers({"g": one}, NOW)
    assert house.store.customers()["g"] == one


def test_a_look_up_costs_the_same_however_many_customers_there_are() -> None:
    """Counted, not timed: an address and the labels of its domain are asked for, nothing else."""
    def one(n: int) -> Organisation:
        return Organisation(f"o{n}", f"O {n}", (f"o{n}.example",), tuple(f"p{m}@o{n}.example" for m in range(5)))

    many = {f"o{n}": one(n) for n in range(2000)}
    directory = Directory(organisations=many)

    class Counting(dict[str, Organisation]):
        asked = 0

        def __contains__(self, key: object) -> bool:
            Counting.asked += 1
            return super().__contains__(key)

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("walked through all customers")

    object.__setattr__(directory, "_domains", Counting(directory._domains))
    assert directory.organisation_of("p4@o1999.example") is many["o1999"]
    assert directory.organisation_of("new@mail.o7.example") is many["o7"]
    assert directory.organisation_of("zoe@nowhere.example") is None
    assert Counting.asked <= 6


@pytest.mark.parametrize(("text", "said"), [
    ('[customers]\nexpired = "drop"', "customers.expired is 'drop'"),
    ('[customers]\nexpired = "answer"', "customers.expired is 'answer'"),
    ('[customers]\nexpired = "answer gone"', "customers.expired names no answer: 'gone'"),
    ('[customers]\nbest_effort_priorities = ["P9"]', "names no priority: 'P9'"),
    ('[answers.forum]\nthen = "close"', "the answer forum has no words"),
    ('[appeal]\nwithin = "1bd"', "an appeal reaches nobody"),
    ('[after_hours]\npriority = "normal"', "after_hours.calendar never closes"),
    ('[plans.gold.priorities.P9]\nfirst_response = "1h"', "plans.gold.priorities.P9 is no priority"),
    ('[plans.gold.priorities.normal]\ncode = 3', "cannot differ by plan"),
    ('[urgency.impact]\nloss = 0', "urgency.impact.loss is 0"),
])
def test_mistakes_in_a_policys_terms(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as told:
        parse(QUIET + text + "\n", "quiet.toml")
    assert any(said in problem.what and problem.line > 3 for problem in told.value.problems), told.value.problems
