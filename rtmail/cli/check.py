"""`rtmail check`: every mistake in config, secrets, policies and templates; exit 0 or 78."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click

from rtmail import clockwork, config
from rtmail.cli.common import json_option, load, put
from rtmail.config import Config
from rtmail.errors import EX_CONFIG, ConfigError, Problem
from rtmail.mail.writing.dkim_sign import public_record
from rtmail.mail.writing.samples import STATUS, known_facts
from rtmail.mail.writing.templates import LAYOUT, Templates


@click.command()
@json_option
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="the rtmail.toml to check")
def check(path: Path | None, as_json: bool) -> None:
    """Tell every mistake in config, policies and templates: one JSON object a mistake with --json, none when there is none."""
    if as_json:
        _as_json(path)
    try:
        found = load(path)
    except ConfigError as error:
        _end(error.problems)
    problems = _more_problems(found)
    if problems:
        _end(problems)
    queues = ", ".join(f"{name} ({table.address}, policy {table.policy})" for name, table in found.queues.items())
    click.echo(f"{found.file}: no mistakes")
    click.echo(f"queues: {queues}")
    click.echo(f"people: {', '.join(found.tables.people) or 'nobody yet: nobody hears of new requests'}")
    for line in on_duty(found, clockwork.system()):
        click.echo(line)
    staging = f", all of it to {found.relay.redirect_to}" if found.relay.redirect_to else ""
    click.echo(f"mail goes out through {found.relay_url}{staging}")
    for signer in found.signers():
        click.echo(f"signed, as DNS must know it: {signer.selector}._domainkey.{signer.domain} TXT {public_record(signer.pem)}")
    click.echo(f"data: {found.state}")


def _as_json(path: Path | None) -> NoReturn:
    try:
        problems: Sequence[Problem] = _more_problems(load(path))
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        put({"file": problem.file, "line": problem.line, "what": problem.what, "cure": problem.cure})
    raise SystemExit(EX_CONFIG if problems else 0)


def on_duty(found: Config, now: datetime) -> Iterator[str]:
    """Say who is on duty for each queue that has a roster, and who is next."""
    directory = found.directory()
    for name, queue in directory.queues.items():
        roster = directory.rosters.get(queue.duty)
        if roster is None:
            continue
        change = roster.next_change(now)
        then = f", from {change.astimezone(roster.zone):%a %d %b %H:%M} {_first(roster.named(change))}" if change else ""
        yield f"on duty for {name}: {_first(roster.named(now))}{then}"


def _first(named: tuple[str, ...]) -> str:
    return named[0] if named else "nobody, so the whole queue is told"


def _more_problems(found: Config) -> list[Problem]:
    """Return the mistakes beside the config: in templates, and in the certificate that is shown."""
    problems = template_problems(found)
    if found.ingress.smtp is not None and found.ingress.smtp.tls_certificate:
        from rtmail.ops.building import check_certificate  # all that the daemon needs: few houses have a certificate here

        try:
            check_certificate(found)
        except ConfigError as error:
            problems += error.problems
    return problems


def template_problems(found: Config) -> list[Problem]:
    """Return the mistakes in the templates that `found` uses, and those that are missing."""
    try:
        texts = found.templates()
    except ConfigError as error:
        return error.problems
    known = known_facts()
    problems = [
        Problem(str(config.find_shipped("templates", problem.file, found.folder) or problem.file), problem.line, problem.what, problem.cure)
        for problem in Templates(texts, found.settings.timezone, found.settings.language).problems(known)
    ]
    for name in known:
        file = f"{name}.{'html' if name in (LAYOUT, STATUS) else 'txt'}.j2"
        if file not in texts:
            problems.append(Problem(f"templates/{file}", 1, "there is no such template", "put the file back, or reinstall rtmail"))
    return problems


def _end(problems: list[Problem]) -> NoReturn:
    for problem in problems:
        click.echo(str(problem), err=True)
    click.echo(f"{len(problems)} mistake{'s' if len(problems) > 1 else ''}", err=True)
    raise SystemExit(EX_CONFIG)
