"""Look-ups in the directory: staff, queues, roles, organisations, and what ties two customers together."""

from __future__ import annotations

import pickle

import pytest

from rtmail.desk.people import Directory, ManagementRole, Organisation, Person, Queue, Tie, listed, serves
from tests.fakes.judging import ANN, CARL, DIRECTORY, JANE, SITE


@pytest.mark.parametrize(("spec", "key"), [
    ("jane@example.com", "jane"), ("JANE@Example.COM", "jane"), ("jane.doe@example.com", "jane"), ("carl@example.com", "carl"),
    ("jane@example.com.evil", None), ("xjane@example.com", None), ("jane", None), ("", None), ("bob@acme.example", None),
])
def test_staff_by_address(spec: str, key: str | None) -> None:
    found = DIRECTORY.staff(spec)
    assert (found.key if found else None) == key


def test_staff_by_party() -> None:
    assert [person.key if (person := DIRECTORY.by_party(party)) else None for party in (JANE, CARL, 0, 101)] == ["jane", "carl", None, None]
    assert Directory(people={"new": Person("new", "New", "new@example.com")}).by_party(0) is None, "without a party row yet"


def test_staff_of_a_queue() -> None:
    assert [person.key for person in DIRECTORY.staff_of("support")] == ["jane"]
    assert [person.key for person in DIRECTORY.staff_of("sales")] == ["ann", "will"]
    everywhere = Directory(people={"kim": Person("kim", "Kim", "kim@example.com"),
                                   "mo": Person("mo", "Mo", "mo@example.com", rights=frozenset())})
    assert [person.key for person in everywhere.staff_of("any")] == ["kim"], "no queues named: all of them; rights are needed"
    assert serves(DIRECTORY.people["jane"], "support")
    assert not serves(DIRECTORY.people["jane"], "sales")


@pytest.mark.parametrize(("key", "queue", "may"), [
    ("jane", "support", True), ("jane", "sales", False), ("carl", "sales", True), ("pru", "support", False), ("ann", "support", True),
    ("will", "support", False),
])
def test_who_may_answer(key: str, queue: str, may: bool) -> None:
    assert DIRECTORY.may_answer(DIRECTORY.people[key], queue) is may


@pytest.mark.parametrize(("role", "absent", "party"), [
    ("cto", (), CARL), ("cto", ("carl",), ANN), ("cto", ("carl", "ann"), None), ("jane", (), JANE), ("jane", ("jane",), None),
    ("nobody", (), None),
])
def test_whom_a_role_reaches(role: str, absent: tuple[str, ...], party: int | None) -> None:
    found = DIRECTORY.reached(role, absent)
    assert (found.party if found else None) == party


def test_a_role_without_a_person_reaches_its_deputy() -> None:
    directory = Directory(people=DIRECTORY.people, roles={"cto": ManagementRole("cto", "left", "ann")})
    found = directory.reached("cto")
    assert found
    assert found.key == "ann"


@pytest.mark.parametrize(("spec", "key"), [
    ("bob@acme.example", "acme"), ("BOB@ACME.example", "acme"), ("bob@eu.acme.example", "acme"), ("boss@gmail.com", "acme"),
    ("Boss@GMail.com", "acme"),
    ("other@gmail.com", None), ("bob@evil-acme.example", None), ("bob@acme.example.evil", None), ("acme.example", None), ("", None),
])
def test_organisation_of_an_address(spec: str, key: str | None) -> None:
    found = DIRECTORY.organisation_of(spec)
    assert (found.key if found else None) == key
    assert DIRECTORY.is_contact(spec) == (spec.lower() == "boss@gmail.com")


def test_the_closest_domain_wins() -> None:
    directory = Directory(organisations={
        "all": Organisation("all", "All", ("uni.example",)), "law": Organisation("law", "Law", ("law.uni.example",), ("dean@uni.example",)),
    })
    assert [one.key if (one := directory.organisation_of(spec)) else "" for spec in ("a@uni.example", "a@x.law.uni.example",
                                                                                     "dean@uni.example")] == \
        ["all", "law", "law"]
    assert directory.tie("a@uni.example", "b@law.uni.example", SITE) is Tie.NONE, "configured apart"


@pytest.mark.parametrize(("one", "other", "tie"), [
    ("bob@acme.example", "colin@acme.example", Tie.ORGANISATION),
    ("bob@acme.example", "boss@gmail.com", Tie.ORGANISATION),
    ("kim@small.example", "dave@small.example", Tie.DOMAIN),
    ("kim@mail.small.example", "dave@small.example", Tie.DOMAIN),
    ("kim@gmail.com", "dave@gmail.com", Tie.NONE),
    ("kim@small.co.uk", "dave@other.co.uk", Tie.NONE),
    ("kim@small.example", "dave@other.example", Tie.NONE),
    ("jane@example.com", "kim@example.com", Tie.NONE),
    ("kim@small.example", "", Tie.NONE),
    ("", "", Tie.NONE),
])
def test_what_ties_two_people(one: str, other: str, tie: Tie) -> None:
    assert DIRECTORY.tie(one, other, SITE) is tie
    assert DIRECTORY.tie(other, one, SITE) is tie


@pytest.mark.parametrize(("spec", "there"), [
    ("nagios@monitor.example", True), ("NAGIOS@monitor.example", True), ("a@farm.example", True), ("a@sub.farm.example", False),
    ("b@monitor.example", False),
])
def test_listed_senders(spec: str, there: bool) -> None:
    assert listed(spec, ("nagios@monitor.example", "@Farm.example")) is there


def test_a_directory_is_a_value() -> None:
    same = pickle.loads(pickle.dumps(DIRECTORY))
    assert same == DIRECTORY
    assert same.staff("jane@example.com") == DIRECTORY.people["jane"]
    assert Queue("a", "a@x.example", "a-comment@x.example", "p").name == "a"
