"""`rtmail ticket list|show|do`: requests from the shell."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import click

from rtmail.cli.common import (
    NUMBER,
    Commands,
    config_option,
    end,
    json_option,
    known_queue,
    no_request,
    opened,
    policies_of,
    put,
    shown,
    utc,
)
from rtmail.cli.tables import columns
from rtmail.config import Config
from rtmail.desk import notes
from rtmail.desk.fields import filled
from rtmail.desk.reports import history
from rtmail.desk.ticket import ASKED_PRIORITY, PREPARED_MARK, Event, Role, Status, Ticket
from rtmail.store import Content, Store

_MARKS = {"proposed": "?", "suggested": "*", "disputed": "!"}
"""How `list` shows a priority: waiting for the customer's consent, set by him, disputed by him; agreed ones have none."""
_LINKED = {
    "continues": ("continues", "continued by"),
    "split": ("split from", "split off"),
    "merged": ("merged into", "merged with"),
    "duplicate": ("duplicate of", "has a duplicate"),
}
"""How a link reads in `show`: from this request to the other, and from the other to this one; what is not here reads alike."""


@click.group(cls=Commands)
def ticket() -> None:
    """Requests: list them, show one, act on one."""


@ticket.command("list")
@click.option("--all", "everything", is_flag=True, help="closed ones too")
@click.option("--queue", default="", help="of this queue")
@click.option("--owner", default="", help="of this member of staff (key), or nobody")
@click.option("--requestor", default="", help="asked from this address")
@click.option("--mark", default="", help="with this mark of a prepared answer or a rule; closed ones too")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="with this status")
@json_option
@config_option
def list_(
    found: Config, everything: bool, queue: str, owner: str, requestor: str, mark: str, status: str | None, as_json: bool
) -> None:
    """List open requests (or those that the options name), by number."""
    listed = policies_of(found)
    with opened(found) as store:
        owner_id = _owner(store, found, owner)
        person = store.party_by_address(requestor) if requestor else None
        wanted = [Status(status)] if status else list(Status) if everything or mark else [Status.NEW, Status.OPEN, Status.WAITING]
        # Somebody of whom nothing is known has asked nothing.
        nobody = bool(requestor) and person is None
        asker = person.id if person else None
        rows = () if nobody else store.list_tickets(queue=queue, owner=owner_id, requestor=asker, mark=mark, statuses=wanted)
        table, some = [], False
        for row in rows:
            if as_json:
                put(
                    {
                        "number": row.number,
                        "subject": row.subject,
                        "status": str(row.status),
                        "priority": row.priority or None,
                        "priority_state": row.priority_state or None,
                        "owner": row.owner or None,
                        "requestor": row.requestor or None,
                        "queue": row.queue,
                        "created_at": utc(row.created_at),
                        "next_due_at": utc(row.next_due_at),
                        "mark": row.mark or None,
                        "fields": filled.plain(row.filled),
                    }
                )
            else:
                due = shown(row.next_due_at, found.settings.timezone)[4:] if row.next_due_at else "-"
                prio = _prio(row.priority, row.priority_state)
                policy = listed.get(row.queue)
                said = filled.in_lists(policy, row.filled, "en", staff=True) if policy else ()
                subject = " ".join([row.subject, *(f"[{one['label']}: {one['value']}]" for one in said)])
                table.append((f"#{row.number}", str(row.status), prio, row.owner or "-", due[:17], subject))
            some = True
    if not some:
        # A queue that has left the config may have requests still; one that never was is a slip.
        known_queue(found, queue)
    if table:
        columns(("request", "status", "prio", "owner", "next due", "subject"), table)
    elif not as_json:
        click.echo("no such requests")


def _prio(priority: str, state: str) -> str:
    """A priority in a column: with a mark where the customer has not agreed to it."""
    return f"{priority}{_MARKS.get(state, '')}" if priority else "-"


def _owner(store: Store, found: Config, owner: str) -> int | None:
    if not owner:
        return None
    if owner == "nobody":
        return 0
    person = found.tables.people.get(owner)
    if person is None:
        end(f"rtmail: there is nobody {owner!r}; there are {', '.join(found.tables.people)}", 2)
    party = store.party_by_address(person.email)
    return party.id if party else -1


@ticket.command("show")
@click.argument("number", type=NUMBER)
@json_option
@config_option
def show(found: Config, number: int, as_json: bool) -> None:
    """Tell the story of one request."""
    with opened(found) as store:
        one = store.by_number(number)
        if one is None:
            no_request(store, number, "rtmail ticket list --all shows them")
        events = store.events(one.id)
        names = _names(store, one, events)
        if as_json:
            put(_described(store, one, events, names, found))
            return
        _story(store, one, events, names, found)


def _names(store: Store, one: Ticket, events: list[tuple[Event, Content | None]]) -> dict[int, str]:
    ids = {event.actor for event, _ in events} | {p.person for p in one.participants} | {one.owner}
    ids |= {int(event.facts["person"]) for event, _ in events if "person" in event.facts}
    parties = store.parties(ids - {0}).values()
    return {party.id: f"{party.name} <{party.address}>" if party.name else party.address for party in parties}


def _links(store: Store, one: Ticket) -> list[dict[str, Any]]:
    """The other requests that this one is linked with; `from_other`: the other one is what the kind says, of this one."""
    links = store.links(one.id)
    others = store.tickets({link.ticket for link in links} | {link.other for link in links})
    ends = ((link.kind, link.ticket != one.id, link.ticket if link.ticket != one.id else link.other) for link in links)
    return [{"kind": str(kind), "number": others[other].number, "from_other": from_other} for kind, from_other, other in ends]


def _described(
    store: Store, one: Ticket, events: list[tuple[Event, Content | None]], names: dict[int, str], found: Config
) -> dict[str, Any]:
    policy = policies_of(found).get(one.queue)
    code = policy.priorities[one.priority].code if policy and one.priority in policy.priorities else None
    return {
        "number": one.number,
        "subject": one.subject,
        "status": str(one.status),
        "priority": one.priority or None,
        "priority_code": code,
        "priority_state": one.priority_state or None,
        "asked_priority": one.fields.get(ASKED_PRIORITY),
        "update_every": one.fields.get("update_every"),
        "promised_at": utc(one.promised_at),
        "eta_at": utc(one.eta_at),
        "waits_until": utc(one.waits_until),
        "due_at": one.fields.get(notes.DUE),
        "worked": one.fields.get(notes.WORKED) or {"minutes": 0, "billable": 0},
        "mark": one.fields.get(PREPARED_MARK),
        "elsewhere": list(one.fields.get(notes.REFS) or ()),
        "fields": filled.plain(one.filled),
        "asked_of_customer": filled.asked(one),
        "links": _links(store, one),
        "owner": names.get(one.owner),
        "requestor": names.get(one.requestor.person) if one.requestor else None,
        "participants": [{"role": str(p.role), "address": p.address, "name": p.name} for p in one.participants],
        "queue": one.queue,
        "clocks": [
            {
                "name": str(c.kind),
                "state": str(c.state),
                "generation": c.generation,
                "started_at": utc(c.started_at),
                "due_at": utc(c.due_at),
                "settled_at": utc(c.settled_at),
            }
            for c in one.clocks
        ],
        "events": [
            {
                "at": utc(e.at),
                "kind": str(e.kind),
                "actor": _actor(e, names),
                "visibility": str(e.visibility),
                "message_id": e.message_id or None,
            }
            for e, _ in events
        ],
    }


def _story(store: Store, one: Ticket, events: list[tuple[Event, Content | None]], names: dict[int, str], found: Config) -> None:
    zone = found.settings.timezone
    click.echo(f"#{one.number} {one.subject}")
    priority = (f"{one.priority} ({one.priority_state})" if one.priority_state else one.priority) or "not set yet"
    click.echo(f"  {one.status}, priority {priority}, owner {names.get(one.owner, 'nobody')}, queue {one.queue}")
    if asked := one.fields.get(ASKED_PRIORITY):
        click.echo(f"  the requestor asks for priority {asked}")
    for agreed in _agreed(one, zone):
        click.echo(f"  agreed: {agreed}")
    for noted in notes.rows(one.fields, ZoneInfo(zone)):
        click.echo(f"  {noted['what'].lower()}: {noted['value']}")
    for said in filled.noted(policies_of(found).get(one.queue), one) if one.filled else ():
        click.echo(f"  {said['what']}: {said['value']}")
    for link in _links(store, one):
        here, there = _LINKED.get(link["kind"], (link["kind"], link["kind"]))
        click.echo(f"  {there if link['from_other'] else here}: #{link['number']}")
    for role in (Role.REQUESTOR, Role.CC, Role.WATCHER):
        people = [names.get(p.person, p.address) for p in one.people(role)]
        if people:
            click.echo(f"  {role}: {', '.join(people)}")
    for clock in one.clocks:
        click.echo(f"  {clock.kind}: {clock.state}, due {shown(clock.due_at, zone)}")
    for event, content in events:
        _tell(event, content, names, zone)
    for row in store.outbox_of(one.id):
        settled = f" {shown(row.settled_at, zone)}" if row.settled_at else ""
        click.echo(f"  mail {row.id}: {row.template} to {row.recipient}: {row.fate}{settled}{f' ({row.said})' if row.said else ''}")
    click.echo(f"why it stands so: rtmail why {one.number}")


def _agreed(one: Ticket, zone: str) -> list[str]:
    """What staff agreed on with this requestor alone."""
    said = [f"hears from us every {one.fields['update_every']}"] if one.fields.get("update_every") else []
    said += [f"waits for the customer until {shown(at, zone)}"] if (at := one.waits_until) else []
    said += [f"next word by {shown(at, zone)}"] if (at := one.promised_at) else []
    return said + ([f"expected to be solved {shown(at, zone)}"] if (at := one.eta_at) else [])


def _actor(event: Event, names: dict[int, str]) -> str | None:
    """Who did it: a person, or the user of this machine whose command it was."""
    user = event.facts.get("shell_user")
    return f"{user} (shell)" if user else names.get(event.actor)


def _tell(event: Event, content: Content | None, names: dict[int, str], zone: str) -> None:
    actor = _actor(event, names)
    who = f" by {actor}" if actor else ""
    inside = "" if event.visibility == "public" else " (internal)"
    said = history.said(event, names)
    if event.kind in history.UNTOLD and not said:
        return
    click.echo(f"{event.seq:>4} {shown(event.at, zone)} {event.kind}{who}{inside}{f': {said}' if said else ''}")
    if content is not None:
        text = "[erased]" if content.erased else content.text.strip()
        for line in text.splitlines()[:12]:
            click.echo(f"       | {line[:120]}")
        for attachment in content.attachments:
            click.echo(f"       + {attachment.name or '(no name)'}, {attachment.bytes} bytes")


@ticket.command("do")
@click.argument("number", type=NUMBER)
@click.argument("lines", nargs=-1, required=True)
@json_option
@config_option
def do(found: Config, number: int, lines: tuple[str, ...], as_json: bool) -> None:
    """Run lines of the mail grammar on a request: rtmail ticket do 7 'Status: resolved' 'Owner: jane'. `help` lists them."""
    # The engine and what it needs are half of a start; commands that only look do without.
    from rtmail.cli import shell
    from rtmail.desk.grammar.commands import parse
    from rtmail.desk.grammar.queries import helped

    asked = parse("\n".join(lines)).commands
    if [command.name for command in asked] == ["help"]:
        known = helped(staff=True, word=asked[0].value)
        if as_json:
            for one in known:
                put(one)
        else:
            columns(("write", "to"), [(one["example"], one["help"]) for one in known])
        return
    results = shell.carried_out(found, lambda engine, user, now: engine.command(number, "\n".join(lines), user, now))
    if not results:
        end("rtmail: none of this is a command; see the list: rtmail ticket do NUMBER help", 2)
    shell.told(results, as_json)
