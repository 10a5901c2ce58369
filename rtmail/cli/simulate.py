"""`rtmail simulate`: what a policy would do, to a request that nobody wrote or to the requests of the last days."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from rtmail.cli.common import config_option, end, json_option, opened, put, refuse, utc
from rtmail.clockwork import system
from rtmail.config import Config, find_shipped
from rtmail.config.reading import text_of
from rtmail.desk.reports.replay import PROMISES, Promise, nearest, promises, replay
from rtmail.desk.reports.simulate import Mail, Plan
from rtmail.desk.reports.simulate import simulate as rehearse
from rtmail.desk.ticket import Status, Ticket
from rtmail.errors import ConfigError
from rtmail.mail.speech import duration
from rtmail.policy import schema
from rtmail.policy.model import Policy
from rtmail.store import Store

WIDTH = 80
_PAGE = 200
_RESTING = frozenset({Status.CLOSED, Status.REJECTED, Status.MERGED})


@click.command()
@click.option("--policy", "name", help="name of a policy, or a file; default: the first queue's")
@click.option("--priority", default="", help="the priority an engineer sets; none: nobody sets one")
@click.option("--opened", "opened_at", help="when the request comes in: '2026-12-24T16:30'")
@click.option("--prioritised", help="when the priority is set; default: at once")
@click.option("--answered", multiple=True, help="when an engineer writes to the customer; may be said again")
@click.option("--until", help="look no further than this; default: past the last rung and three updates")
@click.option("--tz", help="the zone of the site, and of instants without one; default: the config's")
@click.option("--replay", "replays", is_flag=True, help="run the store's own requests against the policy instead")
@click.option("--days", type=click.IntRange(min=1), default=30, show_default=True, help="how many days --replay looks back")
@json_option
@config_option
def simulate(
    found: Config,
    name: str | None,
    priority: str,
    opened_at: str | None,
    prioritised: str | None,
    answered: tuple[str, ...],
    until: str | None,
    tz: str | None,
    replays: bool,
    days: int,
    as_json: bool,
) -> None:
    """Show every mail a policy would send, to whom and when; send none."""
    zone = _zone(tz or found.settings.timezone)
    policy = _policy(found, name, zone.key)
    if replays:
        _replay(found, policy, days, as_json)
        return
    if opened_at is None:
        end("rtmail: say when the request comes in: --opened '2026-12-24T16:30'", 2)
    plan = Plan(
        _instant("--opened", opened_at, zone),
        priority,
        _instant("--prioritised", prioritised, zone) if prioritised else None,
        tuple(_instant("--answered", at, zone) for at in answered),
        _instant("--until", until, zone) if until else None,
    )
    try:
        mails = rehearse(policy, plan)
    except ValueError as error:
        end(f"rtmail: {error}", 2)
    if as_json:
        for mail in mails:
            put(_described(mail))
        return
    begun = plan.opened_at.astimezone(zone)
    click.echo(f"{policy.name}, {priority or 'no priority set'}, opened {begun:%a %d %b %Y %H:%M %Z}; times in {zone.key}")
    click.echo()
    for line in _table(mails, zone):
        click.echo(line)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        end(f"rtmail: there is no zone {name!r}; write a name of the IANA list: Europe/Berlin", 2)


def _policy(found: Config, name: str | None, zone: str) -> Policy:
    """The policy of that name or file, read as if the site were in `zone`."""
    name = name or next(iter(found.queues.values())).policy
    file = find_shipped("policies", f"{name}.toml", found.folder)
    if file is None and Path(name).is_file():
        file = Path(name)
    if file is None:
        end(f"rtmail: there is no policy {name!r}; policies lie in {found.folder / 'policies'} and in what is shipped", 2)
    try:
        return schema.parse(text_of(file), str(file), zone)
    except ConfigError as error:
        refuse(error)


def _instant(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        end(f"rtmail: {option} {text!r} is no instant; write 2026-12-24T16:30, or with a zone 2026-12-24T16:30+01:00", 2)
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _described(mail: Mail) -> dict[str, Any]:
    return {
        "at": utc(mail.at),
        "kind": mail.kind,
        "clock": mail.clock,
        "rung": mail.rung,
        "to": list(mail.to),
        "cc": list(mail.cc),
        "template": mail.template,
        "rule": mail.rule,
    }


def _table(mails: tuple[Mail, ...], zone: ZoneInfo) -> Iterator[str]:
    """Two lines a mail: when, what and to whom; then the rule that sends it and its template."""
    yield f"{'when':<20}{'mail':<16}{'clock':<16}to"
    for mail in mails:
        at = mail.at.astimezone(zone)
        head = f"{at:%a %d %b %H:%M:%S}" if at.second else f"{at:%a %d %b %H:%M}"
        clock = f"{mail.clock} {mail.rung}" if mail.rung else mail.clock
        to = ", ".join(mail.to) + (f"; Cc {', '.join(mail.cc)}" if mail.cc else "")
        first, *rest = textwrap.wrap(to, WIDTH - 52, break_long_words=False, break_on_hyphens=False) or [""]
        yield f"{head:<20}{mail.kind:<16}{clock:<16}{first}"
        for line in rest:
            yield " " * 52 + line
        yield from textwrap.wrap(f"{mail.rule} [{mail.template}]", WIDTH, initial_indent="    ", subsequent_indent="    ")


# -- the store's own requests -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Replayed:
    """One request: the promises that fell due, as they would have gone and as they went."""

    ticket: Ticket
    would: tuple[Promise, ...]
    did: tuple[Promise, ...]


def _replay(found: Config, policy: Policy, days: int, as_json: bool) -> None:
    now = system()
    since = now - timedelta(days=days)
    would: Counter[str] = Counter()
    did: Counter[str] = Counter()
    due: Counter[str] = Counter()
    requests = 0
    with opened(found) as store:
        for one in _requests(store, policy, since, now):
            requests += 1
            missed = [promise for promise in one.would if promise.missed]
            due.update(promise.kind.value for promise in one.would)
            would.update(promise.kind.value for promise in missed)
            did.update(promise.kind.value for promise in one.did if promise.missed)
            if missed or any(promise.missed for promise in one.did):
                _tell(one, missed, found, now, as_json)
    kinds = [kind.value for kind in PROMISES if due[kind.value] or did[kind.value]]
    if as_json:
        put({
            "policy": policy.name, "days": days, "requests": requests,
            "promises": {kind: {"due": due[kind], "would_be_missed": would[kind], "were_missed": did[kind]} for kind in kinds},
        })
        return
    click.echo()
    click.echo(f"{requests} requests of the last {days} days under {policy.name} ({policy.hash[:12]}):")
    click.echo(f"{'promise':<20}{'due':>8}{'missed then':>14}{'missed in fact':>17}")
    for kind in kinds:
        click.echo(f"{kind:<20}{due[kind]:>8}{would[kind]:>14}{did[kind]:>17}")
    click.echo(f"{'in sum':<20}{due.total():>8}{would.total():>14}{did.total():>17}")


def _requests(store: Store, policy: Policy, since: datetime, now: datetime) -> Iterator[_Replayed]:
    """The requests on which something was owed or happened since an instant, oldest first."""
    listed = store.list_tickets(statuses=None)
    mappings: dict[int, dict[str, str]] = {}
    while page := [one.id for one in islice(listed, _PAGE)]:
        for ticket in store.tickets(page).values():
            if ticket.status in _RESTING and (ticket.status_at or ticket.opened_at) < since:
                continue
            if ticket.policy_version not in mappings:
                kept = store.policy(ticket.policy_version)
                mappings[ticket.policy_version] = nearest(schema.from_version(kept.text, kept.holidays["expanded"]), policy)
            events = [event for event, _ in store.events(ticket.id)]
            rows = replay(policy, ticket, events, mappings[ticket.policy_version], now)
            yield _Replayed(ticket, promises(rows, since, now), promises(ticket.clocks, since, now))


def _tell(one: _Replayed, missed: list[Promise], found: Config, now: datetime, as_json: bool) -> None:
    zone = ZoneInfo(found.settings.timezone)
    were = sum(promise.missed for promise in one.did)
    if as_json:
        rows = [{"clock": one.kind.value, "due_at": utc(one.due_at), "settled_at": utc(one.settled_at)} for one in missed]
        put({"number": one.ticket.number, "subject": one.ticket.subject, "missed_in_fact": were, "would_be_missed": rows})
        return
    click.echo(textwrap.shorten(f"#{one.ticket.number} {one.ticket.subject}", WIDTH, placeholder=" ..."))
    for promise in missed:
        late = (promise.settled_at or now) - promise.due_at
        said = f"{duration(late, 'en')} late" if promise.settled_at else "not kept yet"
        click.echo(f"  would have missed {promise.kind.value:<15} due {promise.due_at.astimezone(zone):%a %d %b %H:%M}, {said}")
    if not missed:
        click.echo("  would have missed nothing")
    click.echo(f"  missed in fact: {were}")
