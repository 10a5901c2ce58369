"""`rtmail pause WHAT` and `rtmail resume WHAT`: the outbox, the escalations or the ingress of a running house stand still."""

from __future__ import annotations

import click

from rtmail.cli import owner
from rtmail.cli.common import config_option, end, json_option, opened, put, shown, tell, utc
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.store import Pausable

MEANS = {
    Pausable.OUTBOX: "no mail goes out, except notices to the admin; it waits, and does not expire meanwhile",
    Pausable.ESCALATIONS: "time alone sends nothing: no reminder, escalation, holding update, closing or digest; clocks run on",
    Pausable.INGRESS: "mail is answered 451 (receive: 75) and mailboxes are left alone; mail that is in is worked on",
}


@click.command()
@click.argument("what", required=False, type=click.Choice([str(one) for one in Pausable]))
@json_option
@config_option
def pause(found: Config, what: str | None, as_json: bool) -> None:
    """Let WHAT stand still in every daemon of this store, within a second; without WHAT, show what does."""
    with opened(found) as store:
        if what is None:
            if as_json:
                for one in store.pauses():
                    put({"what": str(one.what), "at": utc(one.at), "by": one.by})
                return
            for one in store.pauses():
                click.echo(f"{one.what}: paused since {shown(one.at, found.settings.timezone)} by {one.by}: {MEANS[one.what]}")
            if not store.pauses():
                click.echo("nothing is paused")
            return
        fresh = store.pause(Pausable(what), owner.name(), system())
    said = f"{what} {'is paused' if fresh else 'was paused already'}: {MEANS[Pausable(what)]}\nnext: rtmail resume {what}"
    tell(as_json, {"what": what, "done": "pause", "fresh": fresh}, said)


@click.command()
@click.argument("what", type=click.Choice([str(one) for one in Pausable]))
@json_option
@config_option
def resume(found: Config, what: str, as_json: bool) -> None:
    """Let WHAT go on."""
    with opened(found) as store:
        if not store.resume(Pausable(what), system()):
            end(f"rtmail: {what} was not paused")
    tell(as_json, {"what": what, "done": "resume"}, f"{what} goes on")
