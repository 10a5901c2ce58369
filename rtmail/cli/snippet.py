"""`rtmail snippet WHAT`: what must stand in the mail server beside us, made for this config."""

from __future__ import annotations

import click

from rtmail.cli.common import config_option
from rtmail.config import Config
from rtmail.ops.snippets import MAKE


@click.command()
@click.argument("what", type=click.Choice(list(MAKE)))
@config_option
def snippet(found: Config, what: str) -> None:
    """Print lines to paste into the config of WHAT, with the addresses of this house: nothing is written."""
    click.echo(MAKE[what](found))
