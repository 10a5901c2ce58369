"""`rtmail oauth login NAME`: a person lets rtmail into a mailbox and a relay that take no passwords."""

from __future__ import annotations

import click

from rtmail.cli.common import Commands, config_option, end
from rtmail.config import Config
from rtmail.ops import building
from rtmail.ops.oauth import NoToken


@click.group(cls=Commands)
def oauth() -> None:
    """Logins by token instead of password, for Microsoft 365."""


@oauth.command("login")
@click.argument("name")
@config_option
def login(found: Config, name: str) -> None:
    """Log in to [oauth.NAME] with a code that a browser asks for, once; the daemon goes on with what is kept in the state folder."""
    if name not in found.tables.oauth:
        known = ", ".join(found.tables.oauth) or "none"
        end(f"rtmail: there is no [oauth.{name}] in {found.file}; there is: {known}")
    found.make_state()
    try:
        building.tokens(found, name, "").login(click.echo)
    except NoToken as error:
        end(f"rtmail: nobody is logged in: {error}")
    click.echo(f"logged in; the token is kept in {found.state}\nnext: rtmail doctor")
