"""`rtmail doctor`: what works, what does not, and what to do."""

from __future__ import annotations

import textwrap

import click

from rtmail.cli.common import config_option, json_option, put
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.engine.resolver import DnsResolver
from rtmail.ops import doctor as ops
from rtmail.ops.doctor import Finding, Verdict

CODES = {Verdict.OK: 0, Verdict.WARN: 1, Verdict.FAIL: 2}
"""As monitoring wants them: warning, critical."""
COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command()
@json_option
@config_option
def doctor(found: Config, as_json: bool) -> None:
    """Look at every part of the house and its neighbours; exit 0 all well, 1 look this week, 2 look now.

    Changes nothing and sends no mail. The relay is asked up to RCPT.
    """
    worst = Verdict.OK
    for one in ops.examine(found, system(), DnsResolver(found.auth.nameservers)):
        worst = max(worst, one.verdict, key=CODES.__getitem__)
        if as_json:
            put({"part": one.part, "verdict": str(one.verdict), "tried": one.tried, "said": one.said, "cure": one.cure})
            continue
        show(one)
    raise SystemExit(CODES[worst])


def show(one: Finding) -> None:
    """Print one part for a person."""
    click.echo(f"{click.style(f'{one.verdict:<4}', fg=COLOURS[one.verdict])}  {one.part}: {one.said}")
    if one.verdict is not Verdict.OK:
        click.echo(textwrap.fill(one.tried, 78, initial_indent="      tried: ", subsequent_indent="             "))
        click.echo(textwrap.fill(one.cure, 78, initial_indent="      do:    ", subsequent_indent="             "))
