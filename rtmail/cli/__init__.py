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
from click.shell_completion import CompletionItem

from rtmail import __version__
from rtmail.cli import owner, terminal
from rtmail.errors import RtmailError, plain

COMMANDS = {
    "init": ("init", "Write a commented config; what exists is left alone."),
    "password": ("password", "Print the line of .env that lets a person use SMTP AUTH."),
    "check": ("check", "Tell every mistake in config, policies and templates."),
    "serve": ("serve", "Run the daemon: mail in, mail out, the clocks."),
    "receive": ("receive", "Take one mail in from stdin, for pipes of MTAs."),
    "read": ("read", "Show how mails are read and judged, without a store."),
    "ticket": ("ticket", "Requests: list them, show one, act on one."),
    "why": ("why", "Tell how a mail was judged, or why clocks stand as they do."),
    "simulate": ("simulate", "Show every mail that a policy would send, and when."),
    "policy": ("policy", "Show what a changed policy would move; move it."),
    "template": ("template", "Show mails as they look, and try your own templates."),
    "demo": ("demo", "Play a support week on the real daemon, in seconds."),
    "outbox": ("outbox", "Mail that is to go out, and what became of it."),
    "quarantine": ("spooled", "Mail that failed three times and waits for the admin."),
    "held": ("spooled", "Mail that waits for a person's word."),
    "junk": ("spooled", "Mail set aside as spam."),
    "privacy": ("privacy", "What is kept of one person, handed out or erased."),
    "audit": ("audit", "Prove that every accepted mail has exactly one outcome."),
    "doctor": ("doctor", "Look at every part of the house, and say what to do."),
    "oauth": ("oauth", "Logins by token instead of password."),
    "snippet": ("snippet", "Print what must stand in the config of your mail server."),
    "backup": ("backup", "Copy the running house into a file."),
    "restore": ("backup", "Put a backup back; what was sent is not sent again."),
    "store": ("store", "Copy the database into another one."),
    "import": ("importing", "Move in: an archive of mail, or RT's database."),
    "export": ("exporting", "Move out: requests as mbox, JSON lines or a table."),
    "customer": ("customer", "Customers: organisations, their contacts and plans."),
    "bug": ("bug", "Bugs that are kept elsewhere, and what hangs on each."),
    "incident": ("incident", "Tell everybody affected of an outage."),
    "maintenance": ("incident", "Announce planned work, and say how it goes."),
    "pause": ("pause", "Let outbox, escalations or ingress stand still."),
    "resume": ("pause", "Let go on what stands still."),
}
"""Command -> the module of this package that holds it under its own name, and its line in `rtmail --help` and in completion: told
without importing thirty modules."""


class _Commands(click.Group):
    """Finds a command's module by name, when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so."""
        found = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

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
