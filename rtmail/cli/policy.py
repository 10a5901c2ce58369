"""`rtmail policy`: what a changed policy file would move on open requests, and moving it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from rtmail.cli.common import NUMBER, Commands, config_option, end, json_option, opened, put, utc
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.desk.promised.versions import Move, moves
from rtmail.desk.ticket import Ticket
from rtmail.engine.applying import apply_policy, home, open_tickets
from rtmail.engine.office import Office
from rtmail.ops import building
from rtmail.policy.model import Policy
from rtmail.store import Store

WIDTH = 80


@click.group(cls=Commands)
def policy() -> None:
    """Changed policies: new requests take them on reload, open ones when you say so."""


@policy.command("diff")
@click.argument("numbers", nargs=-1, type=NUMBER)
@json_option
@config_option
def diff(found: Config, numbers: tuple[int, ...], as_json: bool) -> None:
    """Show which due instants of open requests the current policy files would move. Changes nothing."""
    now, requests, moving, count = system(), 0, 0, 0
    with opened(found) as store:
        for ticket, current in _outdated(store, found, numbers):
            changed = moves(current, ticket, now)
            requests, moving, count = requests + 1, moving + bool(changed), count + len(changed)
            _show(ticket, current, changed, found, now, as_json)
    if not as_json:
        click.echo(f"{requests} open requests run on another version; on {moving} of them {count} due instants would move.")
        if requests:
            click.echo("rtmail policy apply moves them.")


@policy.command("apply")
@click.argument("numbers", nargs=-1, type=NUMBER)
@json_option
@config_option
def apply(found: Config, numbers: tuple[int, ...], as_json: bool) -> None:
    """Move open requests (all, or the NUMBERS named) to the current policy files; old and new due are logged on each."""
    now, requests, count = system(), 0, 0
    with opened(found) as store:
        office = Office(building.blueprint(found), store, now)
        for ticket, current in list(_outdated(store, found, numbers)):
            changed = apply_policy(store, office, ticket.id, now)
            if changed is None:
                continue
            requests, count = requests + 1, count + len(changed)
            _show(ticket, current, changed, found, now, as_json)
    if not as_json:
        click.echo(f"{requests} open requests moved to the current policy, {count} due instants with them.")
        click.echo("A running daemon gives the new version to new requests after a reload: systemctl reload rtmail")


def _outdated(store: Store, found: Config, numbers: tuple[int, ...]) -> Iterable[tuple[Ticket, Policy]]:
    """Open requests that run on another version than the current file of their policy."""
    policies = found.policies()
    hashes: dict[int, str] = {}
    if numbers:
        tickets: Iterable[Ticket] = [_numbered(store, number) for number in numbers]
    else:
        tickets = open_tickets(store)
    for ticket in tickets:
        queue = home(store, ticket, found.queues)
        if queue not in found.queues:
            continue
        current = policies[found.queues[queue].policy]
        if ticket.policy_version not in hashes:
            hashes[ticket.policy_version] = store.policy(ticket.policy_version).hash
        if hashes[ticket.policy_version] != current.hash:
            yield ticket, current


def _numbered(store: Store, number: int) -> Ticket:
    ticket = store.by_number(number)
    if ticket is None:
        end(f"rtmail: there is no request #{number}; rtmail ticket list shows the open ones")
    return ticket


def _show(ticket: Ticket, current: Policy, changed: tuple[Move, ...], found: Config, now: datetime, as_json: bool) -> None:
    if as_json:
        for move in changed:
            put({
                "number": ticket.number, "clock": move.clock, "generation": move.generation, "rung": move.rung,
                "old_due_at": utc(move.old_due), "new_due_at": utc(move.new_due), "rule": move.rule, "policy": current.hash,
            })
        return
    if not changed and (not ticket.priority or ticket.priority in current.priorities):
        return
    zone = ZoneInfo(found.settings.timezone)
    click.echo(textwrap.shorten(f"#{ticket.number} {ticket.subject}", WIDTH, placeholder=" ..."))
    if ticket.priority and ticket.priority not in current.priorities:
        click.echo(f"  its priority {ticket.priority} is not in {current.name}: {current.untriaged} counts until another is set")
    for move in changed:
        name = f"{move.clock} rung {move.rung}" if move.rung else move.clock
        at_once = ", at once" if move.new_due and move.new_due <= now else ""
        click.echo(f"  {name:<17}{_when(move.old_due, zone):<20}-> {_when(move.new_due, zone)}{at_once}")


def _when(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %d %b %y %H:%M}" if at else "not promised"
