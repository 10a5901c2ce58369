"""`rtmail privacy export|erase ADDRESS`: what is kept of one person, handed out or erased."""

from __future__ import annotations

import click

from rtmail.cli.common import Commands, config_option, end, json_option, opened, put
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.mail.address import key
from rtmail.ops import privacy as ops


def _address(_: click.Context, __: click.Parameter, given: str) -> str:
    # A slip must not read as if somebody had been erased.
    if "@" not in given:
        raise click.BadParameter(f"{given!r} is no address; write one as jane@example.net")
    return given


@click.group(cls=Commands, help="What is kept of one person, handed out or erased.")
def privacy() -> None:
    pass


@privacy.command("export", help="Print what is kept of a person, one JSON object a line.")
@click.argument("address", callback=_address)
@click.option("--raw", is_flag=True, help="His mails as they came, too, in base64.")
@config_option
def export(found: Config, address: str, raw: bool) -> None:
    with opened(found) as store:
        lines = list(ops.export(store, address, raw=raw))
    for line in lines:
        put(line)
    if not lines:
        end(f"rtmail: nothing is kept of {address}")


@privacy.command("erase", help="Erase a person: his words, mails, name and addresses. The log of events stays.")
@click.argument("address", callback=_address)
@click.option("--dry-run", is_flag=True, help="Only say how much that is.")
@json_option
@config_option
def erase(found: Config, address: str, dry_run: bool, as_json: bool) -> None:
    keyring = found.keyring()
    with opened(found) as store:
        try:
            what = ops.count(store, address) if dry_run else ops.erase(store, keyring, address, system())
        except PermissionError as error:
            end(f"rtmail: {error}")
        listed = [name for name, one in store.customers().items() if key(address) in map(key, one.contacts)]
    tables = found.tables.organisations
    named = [name for name, one in tables.items() if key(address) in [key(contact.email) for contact in one.contacts]]
    if as_json:
        counts = {"texts": what.words, "mails_in": what.received, "mails_out": what.sent, "requests": what.requests,
                  "open_requests": list(what.alone)}  # fmt: skip
        put({"address": address, **counts, "dry_run": dry_run, "still_in_config": named, "still_in_customers": listed})
        return
    verb = "would be erased" if dry_run else "erased"
    told = f"texts {what.words}, mails of his {what.received}, mails to him {what.sent}; requests touched {what.requests}"
    click.echo(f"{address}, {verb}: {told}")
    if named:
        click.echo(f"still in {found.file.name}: he is a contact of {', '.join(named)}")
    if listed:
        click.echo(f"still in the imported customers: he is a contact of {', '.join(listed)}; import a list without him, with --sync")
    if what.alone:
        numbers = ", ".join(f"#{number}" for number in what.alone)
        click.echo(f"open requests that he alone asked for, whose promises run on: {numbers}")
        click.echo(f"    close each, or name somebody else: rtmail ticket do {what.alone[0]} 'Status: closed'")
    if not dry_run:
        click.echo("backups made before keep what they held")
