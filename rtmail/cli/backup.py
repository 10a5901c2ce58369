"""`rtmail backup FILE` and `rtmail restore FILE`: a copy of a running house, and the way back."""

from __future__ import annotations

from pathlib import Path

import click

from rtmail.cli.common import end, files_option, json_option, opened, put, told
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.errors import RtmailError, plain
from rtmail.ops import backup as ops

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@json_option
@files_option
def backup(found: Config, file: Path, as_json: bool) -> None:
    """Copy the running house into FILE: database, signing key, config; no passwords.

    The file is read back before it appears. `tar -tzf FILE` lists it; keep it where only admins read.
    """
    with opened(found) as store, told("copying", as_json) as progress:
        try:
            made = ops.make(found, store, file, system(), progress)
        except (RtmailError, OSError) as error:
            end(f"rtmail: no backup was made: {plain(error)}", getattr(error, "exit_code", 1))
    if as_json:
        put({"file": str(file), "bytes": made.size_bytes, "requests": made.requests, "mails": made.mails, "waiting": made.waiting,
             "key": made.key, "unsound": made.unsound})
    else:
        click.echo(f"{file}: {made.requests} requests, {made.mails} mails, {made.size_bytes / 1e6:.1f} MB, read back and whole")
        if not made.key:
            click.echo(
                "the signing key comes from outside (RTMAIL_SECRET_KEY) and is not in it: keep it with the backup"
                if found.key_given
                else "there is no signing key yet: the daemon makes it when it starts first"
            )
    if made.unsound:
        end(f"rtmail: the copy is as the house is, and that is not in order: {made.unsound}; see rtmail audit and rtmail doctor")


@click.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="move what is there aside (it is kept)")
@click.option("--send-waiting", is_flag=True, help="let mail that waited go out: only if the old house sent nothing after the backup")
@click.option("--gap", type=click.IntRange(min=0), default=ops.NUMBERS_GAP, show_default=True, help="numbers of requests to pass over")
@click.option("--config-to", type=click.Path(path_type=Path, file_okay=False), help="only write the backup's config into this new folder")
@json_option
@files_option
def restore(found: Config, file: Path, replace: bool, send_waiting: bool, gap: int, config_to: Path | None, as_json: bool) -> None:
    """Put the backup FILE into the store that the config names. Stop the daemon first.

    What was sent is never sent again. Mail that waited when the backup was made is set aside, for the old house may have sent it since:
    look with `rtmail outbox list --fate aside`, then `retry` or `drop`. Numbers that may have been given out since are passed over.
    """
    if config_to is not None:
        try:
            written = ops.unpack_config(file, config_to)
        except (RtmailError, OSError) as error:
            end(f"rtmail: nothing was written: {plain(error)}", getattr(error, "exit_code", 1))
        click.echo("\n".join(str(path) for path in written))
        return
    with told("restoring", as_json) as progress:
        try:
            back = ops.restore(found, file, system(), replace=replace, send_waiting=send_waiting, gap=gap, progress=progress)
        except (RtmailError, OSError) as error:
            end(f"rtmail: nothing was restored: {plain(error)}", getattr(error, "exit_code", 1))
    if as_json:
        put({"made_at": back.made_at, "requests": back.requests, "mails": back.mails, "aside": back.aside,
             "next_number": back.next_number, "key": back.key, "former": back.former})
        return
    click.echo(f"restored as of {back.made_at}: {back.requests} requests, {back.mails} mails; the next request is #{back.next_number}")
    if back.former:
        click.echo(f"what was there before: {back.former}")
    if back.aside:
        click.echo(f"{back.aside} mails waited then and may have been sent since: rtmail outbox list --fate aside")
    click.echo("next: rtmail audit, rtmail check, and start the daemon")
