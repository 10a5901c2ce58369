"""`rtmail store copy FROM TO`: moves a house from one database to another."""

from __future__ import annotations

import click

from rtmail.cli.common import Commands, config_option, end, json_option, tell, told
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.errors import RtmailError
from rtmail.ops import tenure
from rtmail.store import Store


@click.group(cls=Commands)
def store() -> None:
    """The database: copy it into another one."""


@store.command("copy")
@click.argument("source")
@click.argument("target")
@json_option
@config_option
def copy(found: Config, source: str, target: str, as_json: bool) -> None:
    """Copy everything from the store SOURCE into the empty store TARGET (sqlite:///FILE or postgresql://...).

    Stop the daemon first: what comes in afterwards is not in the copy. Then set [store] url to TARGET and start it again.
    """
    here, there = Store(source, found.state), Store(target, found.state)
    try:
        file = here.file()
        if file is not None and not file.exists():
            end(f"rtmail: nothing was copied: there is no database {file}; a FILE without a folder lies in {found.state}")
        here.open()
        busy = tenure.at_work(found.state, here.serving(), system())
        there.open()
        with told("copying", quiet=as_json) as progress:
            copied = there.fill_from(here, progress)
        there.fall_silent()
    except (RtmailError, OSError) as error:
        end(f"rtmail: nothing was copied: {error}", getattr(error, "exit_code", 1))
    finally:
        here.close()
        there.close()
    said = f"{copied['ticket']} requests, {copied['spool']} mails in, {copied['outbox']} mails out; set [store] url to the new one"
    if busy:
        said = said.partition(";")[0]
        click.echo(f"rtmail: {busy} works on {source}: what comes in from now on is not in the copy; to move the house, stop the daemon "
                   "(systemctl stop rtmail) and copy again", err=True)
    tell(as_json, {"requests": copied["ticket"], "mails_in": copied["spool"], "mails_out": copied["outbox"], "rows": dict(copied)}, said)
