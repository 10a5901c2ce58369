"""`rtmail bug list|show`: bugs that are kept elsewhere, what hangs on each, and what was noted to reproduce them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from rtmail.cli.common import Commands, config_option, end, json_option, opened, policies_of, put
from rtmail.cli.tables import columns
from rtmail.config import Config
from rtmail.desk import notes
from rtmail.desk.commanded import bugs
from rtmail.desk.fields import filled
from rtmail.desk.ticket import Ticket
from rtmail.store import Store

_MOST = 10_000
"""Bugs that one list shows."""


@click.group(cls=Commands)
def bug() -> None:
    """Bugs that are kept elsewhere: list them, show one with what reproduces it."""


@bug.command("list")
@json_option
@config_option
def list_(found: Config, as_json: bool) -> None:
    """Every bug that a request hangs on, the latest noted first."""
    with opened(found) as store:
        rows = [_facts(one.ref, _tickets(store, one.tickets)) for one in store.linked_with(limit=_MOST)]
    if as_json:
        for row in rows:
            put(row)
    elif rows:
        shown = [(row["bug"], _fixed(row), " ".join(f"#{one['number']}" for one in row["requests"])) for row in rows]
        columns(("bug", "fixed", "requests"), shown)
    else:
        click.echo("no request hangs on a bug")


@bug.command()
@click.argument("ref")
@json_option
@config_option
def show(found: Config, ref: str, as_json: bool) -> None:
    """Show one bug, by its number or its link: its requests, and all that is filled in on them."""
    ref = notes.reference(ref)
    with opened(found) as store:
        tickets = _tickets(store, store.by_outside_ref(notes.system_of(ref), ref))
        if not tickets:
            end(f"rtmail: no request hangs on {ref}; rtmail bug list shows what there is")
        facts = _facts(ref, tickets)
        if as_json:
            put(facts)
            return
        click.echo(f"{ref}{', fixed' if facts['fixed'] else ''}{f' in {said}' if (said := facts['version']) else ''}")
        policies = policies_of(found)
        for ticket in tickets:
            click.echo(f"  #{ticket.number} {ticket.subject} ({ticket.status})")
            for row in filled.noted(policies.get(ticket.queue), ticket):
                click.echo(f"    {row['what']}: {row['value']}")


def _tickets(store: Store, ids: Iterable[int]) -> list[Ticket]:
    return sorted(store.tickets(ids).values(), key=lambda one: one.number)


def _facts(ref: str, tickets: Sequence[Ticket]) -> dict[str, Any]:
    versions = [version for one in tickets if (version := bugs.fixed_in(one.fields, ref)) is not None]
    requests = [
        {"number": one.number, "subject": one.subject, "status": str(one.status), "fields": filled.plain(one.filled)} for one in tickets
    ]
    return {"bug": ref, "fixed": bool(versions), "version": next(iter(versions), "") or None, "requests": requests}


def _fixed(row: dict[str, Any]) -> str:
    return (row["version"] or "yes") if row["fixed"] else "-"
