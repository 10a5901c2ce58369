"""A house with plans and customers: Acme with a plan, Oldco whose plan has ended, and a policy of the shipped ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rtmail.desk.people import ENGINEER, MANAGER, Directory, ManagementRole, Organisation, Plan, Queue
from rtmail.desk.ticket import Ticket
from rtmail.mail.writing.templates import Templates
from rtmail.policy.clocks import Clock
from rtmail.policy.schema import parse
from tests.fakes.house import ROOT, House, blueprint, own_addresses, template_texts
from tests.fakes.staff import ANN, BOB, NAMES

OLD = "old@oldco.example"
NAMES[OLD] = "Olga Old"
WORKDAY = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
"""A Tuesday: 10:00 in New York, 08:00 in Denver, 15:00 in London."""
NIGHT = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)
"""A Saturday, 03:00 in New York."""


def entitled(folder: Path, policy: str, *, now: datetime = WORKDAY, plan: Plan | None = None, extra: tuple[str, ...] = (),
             roles: tuple[str, ...] = (), **acme: Any) -> House:
    """Return a house that works by the shipped `policy`; Bob is Acme's designated contact, Ann his colleague.

    extra  names of queues besides support and sales; roles: those of the policy, which Max holds and Kim deputises
    acme   what else is known of Acme
    """
    base = blueprint()
    text = (ROOT / "config" / "policies" / f"{policy}.toml").read_text()
    plan = plan or Plan("basic", "Basic")
    own = {name: Queue(name, f"{name}@example.com", f"{name}-comment@example.com", policy) for name in extra}
    queues = {**base.directory.queues, **own}
    known = {"plan": plan.key, "plan_until": date(2027, 3, 31), "roles": {BOB: ("designated",)}, **acme}
    organisations = {
        "acme": Organisation("acme", "Acme Ltd", ("acme.example",), (BOB,), **known),
        "oldco": Organisation("oldco", "Oldco", ("oldco.example",), (OLD,), plan.key, roles={OLD: ("designated",)},
                              plan_until=date(2026, 6, 30)),
    }
    people = {**base.directory.people}
    people["jane"] = replace(people["jane"], queues=("support", *extra))
    people["max"] = replace(people["max"], page="4915550100@sms.example", rights=frozenset({MANAGER, ENGINEER}), queues=("sales",))
    directory = Directory(people, queues, {role: ManagementRole(role, "max", "kim") for role in roles}, organisations, {}, {plan.key: plan})
    site = replace(base.site, addresses=own_addresses(queues), timezone="America/New_York")
    plans = replace(base, directory=directory, site=site, templates=Templates(template_texts(), "America/New_York"),
                    policies=dict.fromkeys(queues, parse(text, f"{policy}.toml")))
    return House(folder, plans, now)


def request(house: House, number: int = 1) -> Ticket:
    found = house.store.by_number(number)
    assert found is not None
    return found


def clock(house: House, name: str, number: int = 1) -> Clock | None:
    """The latest instance of a clock."""
    return next((one for one in reversed(request(house, number).clocks) if one.name == name), None)


def due(house: House, name: str, number: int = 1) -> datetime:
    found = clock(house, name, number)
    assert found is not None
    assert found.due_at is not None
    return found.due_at


__all__ = ["ANN", "BOB", "NIGHT", "OLD", "WORKDAY", "clock", "due", "entitled", "request"]
