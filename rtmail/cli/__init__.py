"""The command line: parses words, calls the floors below, prints what a person would ask next.

Each command is a module of its own and is imported when it is called, so that `rtmail receive` costs no more than it needs.
"""

from __future__ import annotations

import difflib
import importlib
import keyword
import os
import sys

import click

from rtmail import __version__
from rtmail.cli import owner, terminal
from rtmail.errors import RtmailError, plain

COMMANDS = {
    "init": "init",
    "password": "password",
    "check": "check",
    "serve": "serve",
    "receive": "receive",
    "read": "read",
    "ticket": "ticket",
    "why": "why",
    "simulate": "simulate",
    "policy": "policy",
    "template": "template",
    "demo": "demo",
    "outbox": "outbox",
    "quarantine": "spooled",
    "held": "spooled",
    "junk": "spooled",
    "privacy": "privacy",
    "audit": "audit",
    "doctor": "doctor",
    "oauth": "oauth",
    "snippet": "snippet",
    "backup": "backup",
    "restore": "backup",
    "store": "store",
    "import": "importing",
    "export": "exporting",
    "customer": "customer",
    "bug": "bug",
    "incident": "incident",
    "maintenance": "incident",
    "pause": "pause",
    "resume": "pause",
}
"""Command -> module of this package that holds it under its own name."""


class _Commands(click.Group):
    """Finds a command's module by name, when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(f"rtmail.cli.{module}"), name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a word that is none, name the nearest that is one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what it did not foresee is told in one line, as a traceback would help nobody who did not write it."""
        try:
            return super().invoke(ctx)
        except (RtmailError, OSError) as error:
            if isinstance(error, BrokenPipeError) or sys.argv[1:2] == ["receive"]:
                raise
            said = " ".join(plain(error).split()) or type(error).__name__
            click.echo(f"rtmail: {said}; {owner.hint(error) or 'rtmail doctor looks at every part'}", err=True)
            raise SystemExit(getattr(error, "exit_code", 1)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rtmail")
def rtmail() -> None:
    """A request tracker that lives in e-mail."""
    terminal.guard()
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
