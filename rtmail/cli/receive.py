"""`rtmail receive`: one mail on stdin, for MTA pipes. Exit 0 kept, 67, 65, and 75 for everything else, our own bugs included."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from rtmail.cli.common import load
from rtmail.clockwork import system
from rtmail.errors import EX_TEMPFAIL, Deferred
from rtmail.ingress import pipe
from rtmail.ingress.limits import Limits
from rtmail.ops import opening
from rtmail.ops.front import PipeFront


class _Deferring(click.Command):
    """Even a wrong option must not make an MTA bounce a customer's mail."""

    def make_context(self, *args: object, **kwargs: object) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)  # type: ignore[arg-type]
        except click.UsageError as error:
            click.echo(f"4.3.0 rtmail receive: {error.format_message()}")
            raise SystemExit(EX_TEMPFAIL) from None


@click.command(cls=_Deferring)
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="the rtmail.toml to use")
@click.option("--to", "recipients", multiple=True, required=True, help="envelope recipient; may be given several times")
@click.option("--from", "sender", help="envelope sender; default: the From_ line or Return-Path on top")
def receive(path: Path | None, recipients: tuple[str, ...], sender: str | None) -> None:
    """Take one mail in from stdin."""
    try:
        outcome = _receive(path, recipients, sender)
    except Exception as error:
        outcome = pipe.told(error if isinstance(error, Deferred) else Deferred())
        with contextlib.suppress(OSError):
            click.echo(f"rtmail: {type(error).__name__}: {error}", err=True)
    # A mail that is kept stays kept, whether or not anybody hears it.
    with contextlib.suppress(OSError):
        click.echo(outcome.line)
    raise SystemExit(outcome.exit_code)


def _receive(path: Path | None, recipients: tuple[str, ...], sender: str | None) -> pipe.Outcome:
    found = load(path)
    store = opening.open_store(found)
    try:
        smtp = found.ingress.smtp
        limit = smtp.max_message if smtp else Limits().message_bytes
        return pipe.receive(
            sys.stdin.buffer, recipients, PipeFront(found, store), limit_bytes=limit, max_hops=Limits().hops, now=system(), sender=sender
        )
    finally:
        store.close()
