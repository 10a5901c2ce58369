"""[organisations] and [plans]: customers with their domains, contacts, plans and hours; also of files that are imported.

`check` finds what is wrong with them, `organisation` and `plan` make of a table what the floors below know.
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import available_timezones

from rtmail.config.checks import is_domain, is_timezone, known, languages, mail_address, named
from rtmail.config.reading import Report, suggestion
from rtmail.config.sections import OrganisationTable, PlanTable, Tables
from rtmail.config.values import one_line
from rtmail.desk.people import Organisation, Plan
from rtmail.mail.address import is_public_domain, key
from rtmail.mail.site import Site
from rtmail.policy.hours import holidays_of


def check(tables: Tables, report: Report, site: Site) -> None:
    """Domains and contacts belong to one customer each; plans exist, end after they begin, and have no more contacts than they may."""
    domains: dict[str, str] = {}
    contacts: dict[str, str] = {}
    for name, plan in tables.plans.items():
        path = ("plans", name)
        named(report, path)
        known(report, path, "queues", plan.queues, tables.queues)
        if not one_line(plan.telephone):
            report.tell((*path, "telephone"), "the telephone number is not one line", 'write "+49 30 1234"')
    for name, one in tables.organisations.items():
        path = ("organisations", name)
        named(report, path)
        languages(report, (*path, "language"), one.language)
        _plan(tables, report, name, one)
        _where(report, name, one)
        if one.statement_to:
            mail_address(report, (*path, "statement_to"), one.statement_to, site)
        for n, word in enumerate(one.services):
            if not word.strip() or "," in word or not one_line(word):
                report.tell((*path, "services", n), f"{word!r} is no word for a service", 'write a word or two: "mail"')
        for n, domain in enumerate(one.domains):
            at = (*path, "domains", n)
            if not is_domain(domain):
                report.tell(at, f"{domain!r} is no domain", 'write a domain: "acme.example"')
            elif is_public_domain(domain, site):
                cure = "name its people as contacts: at this domain anybody can have an address"
                report.tell(at, f"{domain} is no organisation's own domain", cure)
            elif domains.setdefault(domain.lower(), name) != name:
                report.tell(at, f"{domain} is also a domain of {domains[domain.lower()]}", "give it to one of the two")
        for n, contact in enumerate(one.contacts):
            at = (*path, "contacts", n)
            spec = contact.email
            if mail_address(report, at, spec, site) and contacts.setdefault(key(spec), name) != name:
                report.tell(at, f"{spec} is also a contact of {contacts[key(spec)]}", "give it to one of the two")


def organisation(name: str, one: OrganisationTable, *, imported: bool = False) -> Organisation:
    """Return an organisation as the desk knows it."""
    return Organisation(
        key=name,
        name=one.name,
        domains=tuple(one.domains),
        contacts=tuple(contact.email for contact in one.contacts),
        plan=one.plan,
        language=one.language,
        roles={key(contact.email): tuple(contact.roles) for contact in one.contacts if contact.roles},
        names={key(contact.email): contact.name for contact in one.contacts if contact.name},
        plan_from=one.plan_from,
        plan_until=one.plan_until,
        timezone=one.timezone,
        holidays=one.holidays,
        statement_to=one.statement_to,
        services=tuple(one.services),
        imported=imported,
    )


def plans(tables: Mapping[str, PlanTable]) -> dict[str, Plan]:
    """Return the plans as the desk knows them."""
    return {
        name: Plan(
            name, one.name, tuple(one.queues), None if one.priorities is None else tuple(one.priorities), one.contacts, one.telephone,
            one.billable,
        )
        for name, one in tables.items()
    }


def _plan(tables: Tables, report: Report, name: str, one: OrganisationTable) -> None:
    path = ("organisations", name)
    if one.plan_from and one.plan_until and one.plan_until < one.plan_from:
        report.tell((*path, "plan_until"), f"{name}: the plan ends before it begins", "write the last day of the plan")
    if not one.plan:
        return
    if tables.plans and one.plan not in tables.plans:
        cure = suggestion(one.plan, tables.plans, f"add [plans.{one.plan}], or name one of: {', '.join(tables.plans)}")
        report.tell((*path, "plan"), f"{name}: there is no plan {one.plan!r}", cure)
        return
    most = tables.plans[one.plan].contacts if tables.plans else 0
    designated = [contact for contact in one.contacts if contact.roles]
    if most and len(designated) > most:
        cure = f"take the roles of {len(designated) - most} away, or raise contacts in [plans.{one.plan}]"
        report.tell((*path, "contacts"), f"{name}: {len(designated)} contacts have a role, the plan {one.plan} allows {most}", cure)


def _where(report: Report, name: str, one: OrganisationTable) -> None:
    path = ("organisations", name)
    if one.timezone and not is_timezone(one.timezone):
        cure = suggestion(one.timezone, available_timezones(), 'write a name of the IANA list: "Europe/Berlin"')
        report.tell((*path, "timezone"), f"unknown timezone {one.timezone!r}", cure)
    if one.holidays:
        try:
            holidays_of(one.holidays, (2026,))
        except ValueError as error:
            report.tell((*path, "holidays"), str(error).partition(": ")[0], 'write a country, or a region of it: "DE", "DE-BY"')
