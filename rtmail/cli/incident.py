"""`rtmail incident open|update|close|list|show` and `rtmail maintenance plan|start|done|cancel|list|show`: as the mails of staff do it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from rtmail.cli import shell
from rtmail.cli.common import NUMBER, Commands, config_option, end, json_option, known_queue, opened, put, shown, utc
from rtmail.cli.tables import columns
from rtmail.config import Config
from rtmail.desk.outages import about
from rtmail.desk.outages.about import About, Kind
from rtmail.desk.ticket import EventKind, Status, Ticket
from rtmail.store import Store

_TEXT = "what everybody affected reads; - reads it from standard input"
text_option = click.option("--text", default="", help=_TEXT)
affects_option = click.option("--affects", required=True, help="all, or organisations, plans, queues, services, parted by commas")


@click.group(cls=Commands)
def incident() -> None:
    """Incidents: open one, say what is new of it, close it with a summary."""


@incident.command("open")
@click.argument("title")
@click.option("--severity", required=True, help="one of the policy's severities")
@affects_option
@text_option
@click.option("--queue", default="", help="whose staff and policy; the first one by default")
@json_option
@config_option
def open_(found: Config, title: str, severity: str, affects: str, text: str, queue: str, as_json: bool) -> None:
    """Open an incident; with --text it is announced at once, else within the time that the policy gives."""
    _declare(found, queue, [f"Incident: {title}", f"Severity: {severity}", f"Affects: {affects}"], text, as_json)


@incident.command()
@click.argument("number", type=NUMBER)
@text_option
@click.option("--severity", default="", help="another severity")
@click.option("--affects", default="", help="whom it affects now")
@json_option
@config_option
def update(found: Config, number: int, text: str, severity: str, affects: str, as_json: bool) -> None:
    """Tell everybody affected what is new, or change what it is."""
    lines = [f"{key}: {value}" for key, value in (("Severity", severity), ("Affects", affects)) if value]
    if not text and not lines:
        end("rtmail: say what is new: --text, --severity or --affects", 2)
    _speak(found, number, lines, text, as_json)


@incident.command("close")
@click.argument("number", type=NUMBER)
@click.option("--text", required=True, help=f"the summary: {_TEXT}")
@json_option
@config_option
def close(found: Config, number: int, text: str, as_json: bool) -> None:
    """Say that it is over, with a summary for everybody who was told of it."""
    _speak(found, number, ["close"], text, as_json)


@click.group(cls=Commands)
def maintenance() -> None:
    """Planned work: announce it, say how it goes, take it back."""


@maintenance.command()
@click.argument("title")
@click.option("--starts", required=True, help="when it begins: '2026-12-05 22:00', 'Sat 22:00'")
@click.option("--ends", required=True, help="when it ends")
@affects_option
@text_option
@click.option("--emergency", is_flag=True, help="it cannot wait for the usual notice")
@click.option("--queue", default="", help="whose staff and policy; the first one by default")
@json_option
@config_option
def plan(found: Config, title: str, starts: str, ends: str, affects: str, text: str, emergency: bool, queue: str, as_json: bool) -> None:
    """Plan a maintenance: everybody affected has an invitation for his calendar, at once."""
    word = "Emergency" if emergency else "Maintenance"
    _declare(found, queue, [f"{word}: {title}", f"Starts: {starts}", f"Ends: {ends}", f"Affects: {affects}"], text, as_json)


def _step(word: str, help_: str) -> click.Command:
    @click.argument("number", type=NUMBER)
    @text_option
    @json_option
    @config_option
    def command(found: Config, number: int, text: str, as_json: bool) -> None:
        _speak(found, number, [f"Maintenance: {word}"], text, as_json)

    command.__doc__ = help_
    return click.command(word, help=help_)(command)


maintenance.add_command(_step("start", "Say that it begins now; at its time it does so by itself."))
maintenance.add_command(_step("done", "Say that it is over: everybody who was told of it hears that."))
maintenance.add_command(_step("cancel", "Take it back: everybody who was told of it hears that, and the entry leaves his calendar."))


def _listing(kind: Kind) -> click.Command:
    @click.option("--all", "everything", is_flag=True, help="those that are over, too")
    @json_option
    @config_option
    def command(found: Config, everything: bool, as_json: bool) -> None:
        with opened(found) as store:
            wanted = tuple(Status) if everything else about.LIVE
            rows = [(one, what) for one in store.incidents(statuses=wanted) if (what := about.about(one.fields)) and what.kind is kind]
            if as_json:
                for one, what in rows:
                    put(_facts(one, what))
                return
        zone = found.settings.timezone
        if not rows:
            click.echo(f"no {kind} {'known' if everything else 'is open'}")
        elif kind is Kind.INCIDENT:
            table = [(f"#{one.number}", str(one.status), one.priority, ", ".join(what.affects), one.subject) for one, what in rows]
            columns(("incident", "status", "severity", "affects", "title"), table)
        else:
            spans = [(one, what, shown(what.starts_at, zone)[4:21], shown(what.ends_at, zone)[4:21]) for one, what in rows]
            table = [(f"#{one.number}", str(what.stage), begins, ends, one.subject) for one, what, begins, ends in spans]
            columns(("maintenance", "stage", "begins", "ends", "title"), table)

    return click.command("list", help=f"Every {kind} that is open, one line each.")(command)


def _showing(kind: Kind) -> click.Command:
    @click.argument("number", type=NUMBER)
    @json_option
    @config_option
    def command(found: Config, number: int, as_json: bool) -> None:
        with opened(found) as store:
            one = store.by_number(number)
            what = about.about(one.fields) if one else None
            if one is None or what is None or what.kind is not kind:
                end(f"rtmail: #{number} is no {kind}; rtmail {kind} list --all shows them")
            if as_json:
                put({**_facts(one, what), "told": _told(store, one)})
                return
            _story(store, one, what, found.settings.timezone)

    return click.command("show", help=f"One {kind}: what it is, what was told of it and to how many.")(command)


for _group, _kind in ((incident, Kind.INCIDENT), (maintenance, Kind.MAINTENANCE)):
    _group.add_command(_listing(_kind))
    _group.add_command(_showing(_kind))


def _facts(one: Ticket, what: About) -> dict[str, Any]:
    return {
        "number": one.number, "kind": str(what.kind), "title": one.subject, "status": str(one.status), "severity": one.priority or None,
        "affects": list(what.affects), "opened_at": utc(one.opened_at), "starts_at": utc(what.starts_at), "ends_at": utc(what.ends_at),
        "stage": str(what.stage) if what.kind is Kind.MAINTENANCE else None, "emergency": what.emergency, "quiet": what.quiet,
        "left_to_tell": len(about.tellings(one.fields)),
    }  # fmt: skip


def _told(store: Store, one: Ticket) -> list[dict[str, Any]]:
    """What was told, and how many were told."""
    rows = [event for event, _ in store.events(one.id) if event.kind is EventKind.TOLD and "count" in event.facts]
    return [{"at": utc(event.at), "what": event.facts["notice"].partition(":")[0], "count": event.facts["count"]} for event in rows]


def _story(store: Store, one: Ticket, what: About, zone: str) -> None:
    click.echo(f"#{one.number} {one.subject}")
    click.echo(f"  {one.status}, {f'severity {one.priority}, ' if one.priority else ''}affects {', '.join(what.affects)}")
    if what.starts_at:
        told = ", nobody is told: inside the recurring window" if what.quiet else ""
        click.echo(f"  {what.stage}: {shown(what.starts_at, zone)} to {shown(what.ends_at, zone)}{told}")
    for event, content in store.events(one.id):
        if event.kind is EventKind.TOLD and "count" in event.facts:
            click.echo(f"  {shown(event.at, zone)} told: {event.facts['notice']}")
        elif event.kind is EventKind.CORRESPONDENCE and content and not content.erased:
            click.echo(f"  {shown(event.at, zone)} said:")
            for line in content.text.strip().splitlines()[:12]:
                click.echo(f"    | {line[:120]}")
    click.echo(f"all of it: rtmail ticket show {one.number}; why it stands so: rtmail why {one.number}")


def _declare(found: Config, queue: str, lines: Sequence[str], text: str, as_json: bool) -> None:
    queue, words = known_queue(found, queue) or next(iter(found.queues)), _said(text)
    shell.told(shell.carried_out(found, lambda engine, user, now: engine.declare(queue, "\n".join(lines), words, user, now)), as_json)


def _speak(found: Config, number: int, lines: Sequence[str], text: str, as_json: bool) -> None:
    words = _said(text)
    shell.told(shell.carried_out(found, lambda engine, user, now: engine.speak(number, "\n".join(lines), words, user, now)), as_json)


def _said(text: str) -> str:
    return sys.stdin.read() if text == "-" else text
