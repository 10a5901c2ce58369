"""`rtmail read FILE...`: how a mail would be read and judged, without a store."""

from __future__ import annotations

from pathlib import Path

import click

from rtmail import config
from rtmail.cli.common import json_option, put
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.engine.reader import ReaderPool, ReadFailed
from rtmail.errors import ConfigError
from rtmail.mail.model import Envelope
from rtmail.mail.reading import message
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.site import Site

NOWHERE = Site(name="", tag="", domain="localhost", admin="")
"""Read by nobody in particular: no address is ours, no server is trusted."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="the rtmail.toml whose addresses and trust count")
@click.option("--from", "sender", help="envelope sender; <> for a bounce's")
@json_option
def read(files: tuple[Path, ...], path: Path | None, sender: str | None, as_json: bool) -> None:
    """Show how mails are read: sender, words, kind, attachments, what is wrong with them."""
    site = _site(path)
    now = system()
    with ReaderPool(workers=1) as pool:
        for file in files:
            raw = file.read_bytes()
            envelope = Envelope(sender=sender.strip("<>") if sender is not None else None, recipients=(), ingress="pipe", arrived_at=now)
            (mail,) = pool.read_many([(raw, envelope)], site)
            if isinstance(mail, ReadFailed):
                mail = stub_of(raw, envelope, site, mail.reason)
            described = message.describe(mail, str(file))
            if as_json:
                put(described)
            else:
                _print(described)


def _site(path: Path | None) -> Site:
    try:
        found: Config = config.load(path)
    except ConfigError as error:
        if path is not None:
            raise SystemExit(_told(error)) from None
        return NOWHERE
    return found.site()


def _told(error: ConfigError) -> int:
    for problem in error.problems:
        click.echo(str(problem), err=True)
    return error.exit_code


def _print(described: dict[str, object]) -> None:
    attachments = described["attachments"]
    bounce = described["bounce"]
    click.echo(f"{described['path']}")
    for label, value in (
        ("From", f"{described['from_name']} <{described['from_addr']}>" if described["from_name"] else described["from_addr"]),
        ("To", ", ".join(map(str, described["to_addrs"]))),  # type: ignore[call-overload]
        ("Cc", ", ".join(map(str, described["cc_addrs"]))),  # type: ignore[call-overload]
        ("Subject", described["subject"]),
        ("Message-ID", described["message_id"]),
        ("Kind", f"{described['kind']}: {described['reason']}"),
        ("Answerable", "yes" if described["answerable"] else "no"),
    ):
        if value:
            click.echo(f"  {label + ':':<12} {value}")
    for one in attachments if isinstance(attachments, list) else []:
        click.echo(f"  {'Attachment:':<12} {one['name'] or '(no name)'}, {one['type']}, {one['bytes']} bytes")
    if isinstance(bounce, dict):
        click.echo(
            f"  {'Bounce:':<12} {', '.join(bounce['recipients'])} {bounce['status']}{' (temporary)' if bounce['temporary'] else ''}"
        )
    for defect in described["defects"] or ():  # type: ignore[attr-defined]
        click.echo(f"  {'Defect:':<12} {defect}")
    click.echo("")
    click.echo("\n".join(f"    {line}" for line in str(described["reply_text"]).splitlines()))
    click.echo("")
