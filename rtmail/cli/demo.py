"""`rtmail demo`: a support week in less than a minute, on the real daemon in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from rtmail import config, log
from rtmail.cli.rehearsal import Deed, Rehearsal, Seen
from rtmail.clockwork import Stepped
from rtmail.daemon import Daemon
from rtmail.desk.ticket import Event, EventKind, Ticket
from rtmail.mail.speech import duration
from rtmail.policy.clocks import Clock, ClockKind, State
from rtmail.store import Store

WIDTH = 80
ZONE = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 23, tzinfo=ZONE)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RATE = 10_000.0
"""Tells the daemon that its clock is not the system's and that it shall look often."""

CONFIG = """
[site]
name = "Example"
domain = "example.com"
timezone = "Europe/Berlin"
admin = "ops@admin.example"
[store]
url = "sqlite:///rtmail.db"
[ingress.smtp]
listen = "127.0.0.1:{port}"
[relay]
url = "maildir:sent"
[queues.support]
address = "support@example.com"
comment_address = "support-comment@example.com"
policy = "portacare"
[people.jane]
name = "Jane Doe"
email = "jane@staff.example"
[people.kim]
name = "Kim Lee"
email = "kim@staff.example"
[people.max]
name = "Max Boss"
email = "max@staff.example"
rights = ["manager"]
[people.carla]
name = "Carla Relations"
email = "carla@staff.example"
rights = ["manager"]
[people.tom]
name = "Tom Officer"
email = "tom@staff.example"
rights = ["manager"]
[roles.technical-support-manager]
person = "max"
deputy = "kim"
[roles.customer-relations-manager]
person = "carla"
[roles.cto]
person = "tom"
[organisations.acme]
name = "Acme Ltd"
domains = ["acme.example"]
"""

PEOPLE = {
    "jane": ("Jane Doe", "jane@staff.example"),
    "kim": ("Kim Lee", "kim@staff.example"),
    "max": ("Max Boss", "max@staff.example"),
    "carla": ("Carla Relations", "carla@staff.example"),
    "bob": ("Bob Roe", "bob@acme.example"),
    "cleo": ("Cleo Poe", "cleo@beta.example"),
    "dan": ("Dan Fox", "dan@gamma.example"),
}

# when, who, what he writes; then a new request's subject, or "< words of the subject" that he answers, or "link < words".
WEEK = (
    ("mon 09:12", "bob", "Nobody in Hamburg can make a call.", "Network down in Hamburg"),
    ("mon 09:20", "jane", "Priority: P1\ntake\n\nWe are on your router right now.", "< ] Network down"),
    ("mon 10:08", "jane", "A line card is broken; a spare is on its way.", "< Update due"),
    ("mon 10:31", "carla", "ack 1h", "< Escalation P1"),
    ("mon 10:40", "cleo", "Where do I add a second user?", "A second user"),
    ("mon 10:55", "kim", "Priority: P4\ntake", "< ] A second user"),
    ("mon 11:01", "jane", "The spare has arrived, we are changing it.", "< Update due"),
    ("mon 12:19", "jane", "It is in; we are testing the lines.", "< Update due"),
    ("mon 13:44", "jane", "resolve\n\nAll lines carry calls again: the line card was changed.", "< Update due"),
    ("mon 14:05", "bob", "", "approve < ] Network down"),
    ("tue 11:02", "kim", "resolve\n\nIn the menu, under Settings, Users.", "< ] A second user"),
    ("tue 11:40", "cleo", "Thanks, that works!", "< ] A second user"),
    ("tue 22:15", "dan", "Calls drop now and then, since this afternoon.", "Calls drop"),
    ("tue 22:52", "max", "Priority: P3\nOwner: kim", "< Escalation: Calls drop"),
    ("wed 09:30", "kim", "Please send me the log of one dropped call.", "< Triage due"),
    ("thu 09:05", "kim", "Your log shows a wrong time on the phone; we are looking why.", "< Update due"),
    ("fri 17:31", "bob", "The voice is choppy on all lines.", "Voice quality"),
    ("fri 17:42", "jane", "Priority: P2\ntake\n\nWe are measuring.", "< ] Voice quality"),
    ("fri 19:20", "jane", "Next: Mon 10:00\n\nAnother codec is set; we measure over the weekend.", "< Update due"),
)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="where to play; default: a new folder of the system's")
def demo(folder: Path | None) -> None:
    """Play a support week in less than a minute, and show who heard what when, and which promise was kept by how much."""
    folder = folder or Path(tempfile.mkdtemp(prefix="rtmail-demo-"))
    if (folder / "var").exists():
        click.echo(f"rtmail: {folder} has been played in; name another folder", err=True)
        raise SystemExit(2)
    begun = time.monotonic()
    with _log_into(folder / "demo.log"):
        failure = _play(folder)
    if failure:
        click.echo(f"rtmail: the demo stopped: {failure}; its log is {folder / 'demo.log'}", err=True)
        raise SystemExit(1)
    found = config.load(folder / "config" / "rtmail.toml")
    store = Store(found.store_url, found.state)
    store.open()
    try:
        for line in _timeline(store):
            click.echo(line)
    finally:
        store.close()
    click.echo(f"\nA week in {time.monotonic() - begun:.0f} seconds. All mails lie in a Maildir, for example for:")
    click.echo(f"    mutt -f {found.state / 'sent'}")


class _log_into:  # noqa: N801 -- reads as a word in `with`
    """Send the daemon's log lines into a file, as they would spoil the play."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file

    def __enter__(self) -> None:
        sys.stderr.flush()
        self._kept = os.dup(2)
        with self._file.open("ab") as log_file:
            os.dup2(log_file.fileno(), 2)

    def __exit__(self, *_: object) -> None:
        log.flush()
        os.dup2(self._kept, 2)
        os.close(self._kept)


def _play(folder: Path) -> str:
    """Run the daemon and the week against it; return what went wrong, "" for nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    file = folder / "config" / "rtmail.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(CONFIG.format(port=port))
    found = config.load(file, {**os.environ, "RTMAIL_SECRET_KEY": secrets.token_hex(32)})
    clock = Stepped(MONDAY.replace(hour=9))
    failure = ""
    click.echo("The mails as they go, by the policy PortaCare; times in Europe/Berlin")

    def ready(daemon: Daemon) -> None:
        loop = asyncio.get_running_loop()

        def week() -> None:
            nonlocal failure
            try:
                stage = Rehearsal(daemon, clock, found.state / "sent" / "new", "support@example.com", port, _tell)
                stage.play([_deed(*row) for row in WEEK], _digests(), MONDAY + timedelta(days=7))
            except Exception as error:
                failure = f"{type(error).__name__}: {error}"
            finally:
                loop.call_soon_threadsafe(daemon.stop)

        threading.Thread(target=week, name="week", daemon=True).start()

    asyncio.run(Daemon(found, clock, RATE).run(ready))
    return failure


def _deed(when: str, who: str, text: str, about: str) -> Deed:
    day, _, hour = when.partition(" ")
    at = MONDAY + timedelta(days=DAYS.index(day))
    at = at.replace(hour=int(hour[:2]), minute=int(hour[3:]))
    name, address = PEOPLE[who]
    link, answers, subject = about.rpartition("< ")
    if answers:
        return Deed(at, name, address, text, about=subject, link=link.strip())
    return Deed(at, name, address, text, subject=about)


def _digests() -> list[datetime]:
    """The hour of the daily mail, each day of the week."""
    return [(MONDAY + timedelta(days=day)).replace(hour=8, minute=30) for day in range(1, 7)]


def _tell(one: Deed | Seen) -> None:
    at = f"{one.at.astimezone(ZONE):%a %H:%M}"
    if isinstance(one, Deed):
        said = one.link or one.text.replace("\n\n", "\n").replace("\n", " / ")
        line = f"{at}  {one.name} writes: {said}"
    else:
        who = parseaddr(str(one.mail["To"]))[0].partition(" ")[0] or one.row.recipient
        line = f"{at}    {one.row.template} -> {who}: {one.mail['Subject']}"
    click.echo(line if len(line) <= WIDTH else f"{line[: WIDTH - 4]} ...")


# -- the end ----------------------------------------------------------------------------------------------------------


def _timeline(store: Store) -> Iterator[str]:
    for summary in list(store.list_tickets(statuses=None)):
        ticket = store.ticket(summary.id)
        yield ""
        yield textwrap.shorten(f"#{ticket.number} {ticket.subject} ({ticket.priority or 'no priority'}, {ticket.status})", WIDTH)
        for event, _ in store.events(ticket.id):
            said = _heard(store, ticket, event)
            if said:
                head = f"  {event.at.astimezone(ZONE):%a %H:%M}  "
                yield from textwrap.wrap(said, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
        yield "  promise            due        kept       by how much"
        for clock in sorted(ticket.clocks, key=lambda clock: clock.due_at or clock.started_at):
            if clock.kind in (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.RESOLUTION):
                yield _promise(clock)


def _heard(store: Store, ticket: Ticket, event: Event) -> str:
    facts = event.facts
    named = {row.recipient: row.template for row in store.outbox_of(ticket.id, event.seq)}
    readers = ", ".join(address.partition("@")[0] for address in named)
    match event.kind:
        case EventKind.OPENED:
            return f"opened; {readers} told"
        case EventKind.ACKNOWLEDGED:
            return f"acknowledged to {readers}"
        case EventKind.CORRESPONDENCE if facts.get("by_staff"):
            return f"{_name(store, event.actor)} wrote to {readers}"
        case EventKind.CORRESPONDENCE:
            return f"{_name(store, event.actor)} wrote; {readers} told"
        case EventKind.PRIORITY:
            return f"priority {facts['new']}"
        case EventKind.STATUS:
            return f"{facts['old']} -> {facts['new']}"
        case EventKind.TOLD if readers:
            late = f", {duration(timedelta(seconds=facts['late_seconds']), 'en')} late" if facts.get("late_seconds", 0) >= 60 else ""
            return f"{facts['notice']} to {readers}: {facts.get('rule', '')}{late}".rstrip(": ")
        case _:
            return ""


def _name(store: Store, party: int) -> str:
    return store.party(party).name if party else "nobody"


def _promise(clock: Clock) -> str:
    due, kept = clock.due_at, clock.settled_at
    margin = abs(kept - due) if due and kept else timedelta(0)
    match clock.state:
        case State.MET:
            said = f"{duration(margin, 'en')} early"
        case State.MISSED if kept:
            said = f"missed by {duration(margin, 'en')}"
        case State.MISSED:
            said = "missed"
        case State.VOID:
            said = f"ended: {clock.settled_by}"
        case _:
            said = clock.state.value
    times = [f"{at.astimezone(ZONE):%a %H:%M}" if at else "-" for at in (due, kept if clock.state is not State.VOID else None)]
    return f"  {clock.name:<19}{times[0]:<11}{times[1]:<11}{said}"
