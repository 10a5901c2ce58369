"""`rtmail customer list|show|statement|import`: who the customers are, what was worked for them, and taking over a list of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from rtmail.cli.common import Commands, config_option, end, files_option, json_option, opened, put, refuse, tell
from rtmail.cli.tables import columns
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.config.importing import read_customers
from rtmail.desk.people import Directory, Organisation
from rtmail.desk.reports import statement
from rtmail.errors import ConfigError
from rtmail.mail.address import key
from rtmail.mail.writing import table_csv


@click.group(cls=Commands)
def customer() -> None:
    """Customers: organisations, their contacts and plans, of the config and imported."""


@customer.command("list")
@click.option("--expired", is_flag=True, help="only those whose plan does not hold today")
@json_option
@config_option
def list_(found: Config, expired: bool, as_json: bool) -> None:
    """Every organisation, one line each."""
    today = system().date()
    shown = [one for one in sorted(_directory(found).organisations.values(), key=lambda one: one.key)
             if not (expired and one.holds_on(today))]
    if as_json:
        for one in shown:
            put(_facts(one, today))
    elif shown:
        rows = [(one.key, _plan(one, today), str(len(one.contacts)), "store" if one.imported else "config", one.name) for one in shown]
        columns(("organisation", "plan", "contacts", "kept in", "name"), rows)
    elif expired:
        click.echo("every plan holds")
    else:
        click.echo("none: write [organisations.NAME] into the config, or rtmail customer import FILE")


def _plan(one: Organisation, today: date) -> str:
    if not one.plan:
        return "none"
    ends = f" until {one.plan_until}" if one.plan_until else ""
    return f"{one.plan}{ends}{'' if one.holds_on(today) else ' (does not hold)'}"


@customer.command()
@click.argument("who")
@json_option
@config_option
def show(found: Config, who: str, as_json: bool) -> None:
    """One organisation: WHO is its name in the config, or the address of one of its people."""
    directory = _directory(found)
    one = _known(directory, who)
    today, plan = system().date(), directory.plans.get(one.plan)
    if as_json:
        put(_facts(one, today))
        return
    rows = {
        "name": one.name,
        "domains": ", ".join(one.domains),
        "plan": f"{plan.name if plan else one.plan or 'none'}{'' if one.holds_on(today) else ' (does not hold today)'}",
        "from": str(one.plan_from or ""),
        "until": str(one.plan_until or ""),
        "queues": ", ".join(plan.queues) or "all" if plan else "",
        "telephone": plan.telephone if plan else "",
        "language": one.language,
        "timezone": one.timezone,
        "holidays": one.holidays,
        "statement": one.statement_to,
        "services": ", ".join(one.services),
        "kept in": "the store (imported)" if one.imported else "the config",
    }
    for what, value in rows.items():
        if value:
            click.echo(f"{what:10} {value}")
    for spec in one.contacts:
        name, roles = one.names.get(key(spec), ""), ", ".join(one.roles.get(key(spec), ()))
        click.echo(f"{'contact':10} {f'{name} <{spec}>' if name else spec}{f' ({roles})' if roles else ''}")
    if "@" in who and not directory.is_contact(who):
        click.echo(f"{who} is known by its domain, and is no contact")


@customer.command("statement")
@click.argument("who")
@click.option("--month", default="", help="as 2026-11; default: the last whole one")
@click.option("--csv", "as_csv", is_flag=True, help="the table that the mail encloses")
@json_option
@config_option
def statement_(found: Config, who: str, month: str, as_csv: bool, as_json: bool) -> None:
    """Time worked for one organisation in a month: WHO is its name in the config, or the address of one of its people."""
    directory = _directory(found)
    one, zone = _known(directory, who), ZoneInfo(found.settings.timezone)
    try:
        wanted = statement.named(month, one, zone, system())
    except ValueError:
        end(f"rtmail: {month!r} is no month\nnext: rtmail customer statement {who} --month 2026-11", 2)
    with opened(found) as store:
        worked = statement.of(one, store.worked(wanted.since, wanted.until), directory)
    if as_csv:
        for line in table_csv.lines(statement.TITLES, statement.table(one, worked, zone)):
            click.echo(line, nl=False)
        return
    said = statement.facts(one, wanted, worked, zone)
    if as_json:
        put(said)
        return
    columns(
        ("request", "minutes", "billable", "subject"),
        [(f"#{row['number']}", str(row["minutes"]), str(row["billable"]), row["subject"]) for row in said["requests"]],
    )
    click.echo(f"{said['organisation']}, {said['month']}: {said['minutes']} minutes, {said['billable']} of them billable")


def _known(directory: Directory, who: str) -> Organisation:
    one = directory.organisations.get(who) or (directory.organisation_of(who) if "@" in who else None)
    if one is None:
        end(f"rtmail: no organisation is known by {who!r}\nnext: rtmail customer list")
    return one


@customer.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--sync", is_flag=True, help="forget imported organisations that the file does not name")
@click.option("--dry-run", is_flag=True, help="say what would change, and change nothing")
@json_option
@files_option
def import_(found: Config, file: Path, sync: bool, dry_run: bool, as_json: bool) -> None:
    """Take organisations over from FILE: CSV with one line a contact, or JSON as `customer list --json` prints it; - reads standard input.

    What the config says of an organisation, an address or a domain comes first. A running daemon takes it at once.
    """
    try:
        with click.open_file(str(file), "rb") as source:
            fresh = read_customers(source.read(), "standard input" if str(file) == "-" else str(file), found)
    except ConfigError as error:
        refuse(error)
    with opened(found) as store, store.transaction():
        known = store.customers()
        gone = sorted(known.keys() - fresh.keys()) if sync else []
        changed = {name: one for name, one in fresh.items() if known.get(name) != one}
        if not dry_run and (changed or gone):
            store.put_customers(changed, system(), gone=gone)
    added = sum(name not in known for name in changed)
    would = "would be " if dry_run else ""
    counts = {"added": added, "changed": len(changed) - added, "unchanged": len(fresh) - len(changed), "removed": len(gone)}
    tell(as_json, {**counts, "dry_run": dry_run}, would + ", ".join(f"{what}: {count}" for what, count in counts.items()))
    for name in sorted(fresh.keys() & found.tables.organisations.keys()):
        click.echo(f"{name} stands in the config too, which comes first", err=True)


def _directory(found: Config) -> Directory:
    with opened(found) as store:
        return found.directory().with_customers(store.customers())


def _facts(one: Organisation, today: date) -> dict[str, Any]:
    contacts = [
        {"email": spec, "name": one.names.get(key(spec), ""), "roles": list(one.roles.get(key(spec), ()))} for spec in one.contacts
    ]
    return {
        "key": one.key,
        "name": one.name,
        "domains": list(one.domains),
        "plan": one.plan,
        "plan_from": str(one.plan_from) if one.plan_from else None,
        "plan_until": str(one.plan_until) if one.plan_until else None,
        "holds": one.holds_on(today),
        "language": one.language,
        "timezone": one.timezone,
        "holidays": one.holidays,
        "statement_to": one.statement_to,
        "services": list(one.services),
        "imported": one.imported,
        "contacts": contacts,
    }
