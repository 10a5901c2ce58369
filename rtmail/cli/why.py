"""`rtmail why MESSAGE-ID|N`: how a mail was judged, or why each clock of a request stands where it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from rtmail.cli.common import LARGEST, config_option, end, json_option, no_request, opened, put, shown, utc
from rtmail.config import Config
from rtmail.desk.ticket import EventKind
from rtmail.policy.rows import ClockKind
from rtmail.store import OutboxRow, SpoolRow, Store

_ORDER = tuple(ClockKind)


@click.command()
@click.argument("what")
@json_option
@config_option
def why(found: Config, what: str, as_json: bool) -> None:
    """Explain a mail (by Message-ID) or a request (by number): the rule that decided, and the evidence."""
    with opened(found) as store:
        if what.lstrip("#").isdecimal():
            _request(store, found, min(int(what.lstrip("#")), LARGEST), as_json)
        else:
            _mail(store, found, what if what.startswith("<") else f"<{what}>", as_json)


def _mail(store: Store, found: Config, message_id: str, as_json: bool) -> None:
    arrived = store.spool_by_message_id(message_id)
    sent = store.by_message_id(message_id)
    if not arrived and not sent:
        end(f"rtmail: no mail with the Message-ID {message_id} came in or went out")
    for row in arrived:
        if as_json:
            put(
                {
                    "spool": row.id,
                    "arrived_at": utc(row.arrived_at),
                    "outcome": row.outcome or "waiting",
                    "reason": row.reason,
                    **row.trace,
                }
            )
        else:
            _arrival(row, found)
    for out in sent:
        if as_json:
            put(
                {
                    "outbox": out.id,
                    "template": out.template,
                    "recipient": out.recipient,
                    "fate": str(out.fate),
                    "said": out.said,
                    "attempts": out.attempts,
                    "event": out.event,
                }
            )
        else:
            _departure(store, out, found)


def _arrival(row: SpoolRow, found: Config) -> None:
    zone, trace = found.settings.timezone, row.trace
    sender = "nobody (a bounce's envelope)" if row.envelope.sender == "" else row.envelope.sender or "unknown"
    click.echo(f"spool {row.id}, arrived {shown(row.arrived_at, zone)} by {row.envelope.ingress}, envelope from {sender}")
    on = f" on #{trace['number']}" if trace.get("number") else ""
    click.echo(f"  outcome:  {row.outcome or 'waiting'}{on}: {row.reason}")
    if "rule" in trace:
        click.echo(f"  rule:     {trace['rule']}")
    if trace.get("kind"):
        click.echo(f"  kind:     {trace['kind']}: {trace['kind_reason']}")
    if trace.get("staff"):
        proof = trace["staff_proof"] if trace["authenticated"] else "nothing"
        click.echo(f"  sender:   claims to be {trace['staff']}; proven by {proof}")
    if trace.get("counts_from"):
        click.echo(f"  counts:   from {shown(datetime.fromisoformat(trace['counts_from']), zone)}")
    if trace.get("no_answer"):
        click.echo(f"  no automatic answer: {trace['no_answer']}")
    for line in trace.get("evidence", ()):
        click.echo(f"  evidence: {line}")
    for line in trace.get("defects", ()):
        click.echo(f"  defect:   {line}")


def _departure(store: Store, row: OutboxRow, found: Config) -> None:
    event = store.event(row.ticket, row.event) if row.ticket else None
    about = f", for event {row.event} ({event.kind})" if event else ""
    click.echo(f"mail {row.id}: {row.template} to {row.recipient}{about}")
    click.echo(f"  fate:     {row.fate} after {row.attempts} tries{f': {row.said}' if row.said else ''}")
    if event and event.facts.get("rule"):
        click.echo(f"  rule:     {event.facts['rule']}")


def _request(store: Store, found: Config, number: int, as_json: bool) -> None:
    one = store.by_number(number)
    if one is None:
        no_request(store, number, "rtmail ticket list --all shows them")
    zone = found.settings.timezone
    version = store.policy(one.policy_version)
    history: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for event, _ in store.events(one.id):
        if event.kind is EventKind.CLOCK:
            key = (event.facts["clock"], event.facts["generation"])
            history.setdefault(key, []).extend({"at": event.at, "event": event.seq, **change} for change in event.facts["changes"])
    if not as_json:
        click.echo(
            f"#{number} {one.subject}: {one.status}, policy {version.name} ({version.hash[:12]}, taken {shown(version.created_at, zone)})"
        )
        for row in store.spool_of(one.id):
            named = row.trace.get("message_id") or f"(spool {row.id})"
            silent = f"; no automatic answer: {row.trace['no_answer']}" if row.trace.get("no_answer") else ""
            click.echo(f"  mail {named}: {row.trace.get('rule', '')}: {row.reason}{silent}")
    for clock in sorted(one.clocks, key=lambda clock: (_ORDER.index(clock.kind), clock.generation)):
        changes = history.get((str(clock.kind), clock.generation), [])
        if as_json:
            put(
                {
                    "clock": str(clock.kind),
                    "generation": clock.generation,
                    "state": str(clock.state),
                    "calendar": clock.calendar,
                    "priority": clock.priority,
                    "started_at": utc(clock.started_at),
                    "due_at": utc(clock.due_at),
                    "settled_at": utc(clock.settled_at),
                    "settled_by": clock.settled_by or None,
                    "rule": clock.rule,
                    "pauses": [[utc(a), utc(b)] for a, b in clock.pauses],
                    "paused_at": utc(clock.paused_at),
                    "changes": [{**change, "at": utc(change["at"])} for change in changes],
                }
            )
            continue
        click.echo(f"  {clock.kind} {clock.generation}: {clock.state}, due {shown(clock.due_at, zone)}, on calendar {clock.calendar}")
        for change in changes:
            moved = _moved(change, zone)
            click.echo(f"    {shown(change['at'], zone)} {change['what']}: {change['rule']} (event {change['event']}{moved})")
        for begun, ended in clock.pauses:
            click.echo(f"    stood still {shown(begun, zone)} to {shown(ended, zone)}")
        if clock.paused_at:
            click.echo(f"    {'stands still since' if clock.open else 'stood still from'} {shown(clock.paused_at, zone)}")


def _moved(change: dict[str, Any], zone: str) -> str:
    """How a change moved the due instant, "" where it did not."""
    old, new = (datetime.fromisoformat(at) if at else None for at in (change["old_due"], change["new_due"]))
    return f", due {shown(old, zone)} -> {shown(new, zone)}" if old and old != new else ""
