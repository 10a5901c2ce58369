"""`rtmail outbox list|show|retry|drop`: mail that is to go out."""

from __future__ import annotations

import click

from rtmail.cli import owner
from rtmail.cli.common import NUMBER, Commands, config_option, end, json_option, opened, put, shown, tell, utc
from rtmail.cli.tables import columns
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.store import Fate, NotThere, OutboxRow


@click.group(cls=Commands)
def outbox() -> None:
    """Mail that is to go out, and what became of it."""


@outbox.command("list")
@click.option("--fate", type=click.Choice([str(fate) for fate in Fate]), default=str(Fate.WAITING), show_default=True,
              help="what became of them")
@json_option
@config_option
def list_(found: Config, fate: str, as_json: bool) -> None:
    """List mails by their fate."""
    with opened(found) as store:
        rows = list(store.list_outbox(Fate(fate)))
    if as_json:
        for row in rows:
            put(_described(row))
    elif rows:
        waits = fate == str(Fate.WAITING)
        zone = found.settings.timezone
        columns(("mail", "template", "to", "tried", "next try" if waits else "since", "the relay said"), [
            (str(row.id), row.template, row.recipient, str(row.attempts),
             shown(row.due_at if waits else row.settled_at, zone)[4:21], row.said)
            for row in rows])  # fmt: skip
    else:
        click.echo("none")


def _described(row: OutboxRow) -> dict[str, object]:
    return {
        "id": row.id,
        "template": row.template,
        "recipient": row.recipient,
        "fate": str(row.fate),
        "attempts": row.attempts,
        "said": row.said,
        "status": row.status,
        "message_id": row.message_id,
        "created_at": utc(row.created_at),
        "due_at": utc(row.due_at),
        "settled_at": utc(row.settled_at),
        "expires_at": utc(row.expires_at),
    }


@outbox.command("show")
@click.argument("number", type=NUMBER)
@json_option
@config_option
def show(found: Config, number: int, as_json: bool) -> None:
    """Show one mail as it goes out, envelope first."""
    with opened(found) as store:
        row = store.by_id(number)
        if row is None:
            end(f"rtmail: there is no outgoing mail {number}; rtmail outbox list shows them")
        if as_json:
            put(_described(row))
            return
        click.echo(f"{row.template} from <{row.envelope_sender}> to <{row.recipient}>: {row.fate}{f' ({row.said})' if row.said else ''}")
        try:
            click.echo(store.outbox_mail(number).decode("utf-8", "replace"))
        except NotThere:
            click.echo("(its bytes were erased)")


@outbox.command("retry")
@click.argument("number", type=NUMBER)
@json_option
@config_option
def retry(found: Config, number: int, as_json: bool) -> None:
    """Try a mail again now."""
    now = system()
    with opened(found) as store:
        if not store.retry_outbox(number, now, now + found.relay.retry_for):
            end(f"rtmail: mail {number} was sent, dropped or erased, is being sent right now, or never was")
    tell(as_json, {"id": number, "done": "retry"}, f"mail {number} is tried again now")


@outbox.command("drop")
@click.argument("number", type=NUMBER)
@json_option
@config_option
def drop(found: Config, number: int, as_json: bool) -> None:
    """Give a mail up; its request and its author hear of it."""
    with opened(found) as store:
        if not store.drop_outbox(number, owner.name(), system()):
            end(f"rtmail: mail {number} was sent or dropped, is being sent right now, or never was")
    tell(as_json, {"id": number, "done": "drop"}, f"mail {number} is dropped")
