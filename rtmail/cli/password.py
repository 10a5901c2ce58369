"""`rtmail password PERSON`: what goes into `.env` for a member of staff who sends by SMTP AUTH."""

from __future__ import annotations

import sys

import click

from rtmail.config import passwords
from rtmail.config.secrets import auth_password


@click.command()
@click.argument("person")
def password(person: str) -> None:
    """Print the line of .env with which [people.PERSON] may use SMTP AUTH.

    The password is asked for, or is the first line of stdin; only its hash is printed.
    """
    if sys.stdin.isatty():
        said = click.prompt("password", hide_input=True, confirmation_prompt="the same again", err=True)
    else:
        said = sys.stdin.readline().rstrip("\r\n")
    if not said:
        raise click.UsageError("no password was given")
    click.echo(f"{auth_password(person)}='{passwords.make(said)}'")
