"""`rtmail init DIR`: a commented config to begin with; nothing that exists is touched.

The files are the shipped ones with the given values put in. They are checked before anything is written, so that what
`init` leaves behind passes `rtmail check`, passwords apart.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from rtmail import config
from rtmail.config.secrets import RELAY_PASSWORD
from rtmail.errors import EX_CONFIG, ConfigError
from rtmail.mail.address import parse_list, valid_spec

ENV = """\
# Secrets of rtmail: keep this file to yourself (mode 0600) and out of version control. One NAME='value' a line.
# RTMAIL_RELAY_PASSWORD='…'         the relay's user
# RTMAIL_STORE_PASSWORD='…'         a postgresql:// store
# RTMAIL_IMAP_OFFICE_PASSWORD='…'   [ingress.imap.office]
# RTMAIL_AUTH_JANE='…'              [people.jane] for SMTP AUTH: python -m rtmail.config.passwords makes the value
# RTMAIL_SECRET_KEY='…'             64 hex digits; without it a key is made in the state folder at first start
"""
_HEADER = re.compile(r"\[([a-z0-9_.-]+)\]")
_PAIR = re.compile(r'(#\s)?([a-z_]+) = ("[^"]*")(\s*#.*)?')
_FIRST_QUEUE = re.compile(r'^address = "([^"]*)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff as `--person jane="Jane Doe <jane@example.net>"` names him."""

    key: str
    name: str
    email: str


class _Person(click.ParamType["Staff", object]):
    name = 'key="Name <address>"'

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Staff:
        key, _, written = str(value).partition("=")
        found = parse_list([written])
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", key) or len(found) != 1:
            self.fail('write key="Name <address>", for example jane="Jane Doe <jane@example.net>"', param, ctx)
        return Staff(key, found[0].name or key.capitalize(), found[0].spec)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--site", metavar="NAME", help="the house's name, also the tag in subjects")
@click.option("--domain", help="domain of the addresses")
@click.option("--address", help="where customers write; default support@ the domain")
@click.option("--relay", metavar="URL", help="smtp://…, smtp+starttls://…, smtps://… or maildir:PATH; default maildir:sent")
@click.option("--admin", metavar="ADDRESS", help="who hears of trouble; not an address that rtmail receives")
@click.option("--person", "people", type=_Person(), multiple=True, help="a member of staff, the first also manager; may be repeated")
def init(folder: Path, site: str | None, domain: str | None, address: str | None, relay: str | None, admin: str | None,
         people: tuple[Staff, ...]) -> None:  # fmt: skip
    """Write a commented config into DIR; what exists is left alone."""
    values = _values(site, domain, address, relay, admin)
    shipped = {name: config.find_shipped(kind, name) for kind, name in (("config", "rtmail.toml"), ("policies", "default.toml"))}
    absent = [name for name, file in shipped.items() if file is None]
    if absent:
        raise click.ClickException(f"this installation lacks {', '.join(absent)}: reinstall rtmail")
    texts = {name: file.read_text("utf-8") for name, file in shipped.items() if file is not None}
    target = folder / "config" / "rtmail.toml"
    files = {
        target: (_filled(texts["rtmail.toml"], values, people), 0o644),
        folder / "config" / "policies" / "default.toml": (texts["default.toml"], 0o644),
        folder / "config" / ".env": (ENV, 0o600),
    }
    if not target.exists():
        _check(files[target][0], texts["default.toml"], target)
    for path, (text, mode) in files.items():
        click.echo(f"{'wrote' if _written(path, text, mode) else 'kept '} {path}")
    queue = _FIRST_QUEUE.search(target.read_text("utf-8"))
    click.echo("\nNext:")
    click.echo(f"    rtmail check -c {target}")
    click.echo(f"    rtmail serve -c {target}")
    click.echo(f"    rtmail receive -c {target} --to {queue[1] if queue else 'ADDRESS'} < a-mail.eml")


def _values(site: str | None, domain: str | None, address: str | None, relay: str | None, admin: str | None) -> dict[tuple[str, str], str]:
    """Return what the flags set, by table and key."""
    if address and not valid_spec(address):
        raise click.UsageError(f"--address {address!r} is no address")
    queue = address or (f"support@{domain}" if domain else None)
    values: dict[tuple[str, str], str | None] = {
        ("site", "name"): site,
        ("site", "tag"): site,
        ("site", "domain"): domain or (queue.rpartition("@")[2] if queue else None),
        ("site", "admin"): admin,
        ("relay", "url"): relay,
        ("queues.support", "address"): queue,
        ("queues.support", "comment_address"): queue.replace("@", "-comment@") if queue else None,
    }
    return {place: value for place, value in values.items() if value is not None}


def _filled(text: str, values: Mapping[tuple[str, str], str], people: tuple[Staff, ...]) -> str:
    """Return the shipped config with `values` in place, and with `people` instead of its example staff."""
    lines: list[str] = []
    table = ""
    skipped = False
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            table = header[1]
            skipped = bool(people) and table.startswith(("people.", "roles."))
            if skipped and table.startswith("people.") and people and not any(done.startswith("[people.") for done in lines):
                lines += _staff(people)
        elif line.startswith("# ["):
            table, skipped = "", False
        if skipped:
            continue
        pair = _PAIR.fullmatch(line)
        value = values.get((table, pair[2])) if pair else None
        if pair and value is not None:
            start = f"{pair[2]} = {_quoted(value)}"
            lines.append(f"{start:<39} {pair[4].strip()}" if pair[4] else start)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _staff(people: tuple[Staff, ...]) -> list[str]:
    lines = []
    for number, person in enumerate(people):
        rights = '["engineer"]' if number else '["engineer", "manager"]'
        lines += [f"[people.{person.key}]", f"name = {_quoted(person.name)}", f"email = {_quoted(person.email)}", f"rights = {rights}", ""]
    for role in ("support-manager", "director"):
        lines += [f"[roles.{role}]", f"person = {_quoted(people[0].key)}"]
        lines += [f"deputy = {_quoted(people[1].key)}", ""] if len(people) > 1 else [""]
    return lines[:-1]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _check(text: str, policy: str, target: Path) -> None:
    """End with the mistakes that the values make, before anything is written."""
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch).resolve() / "config"
        (trial / "policies").mkdir(parents=True)
        (trial / "rtmail.toml").write_text(text, "utf-8")
        (trial / "policies" / "default.toml").write_text(policy, "utf-8")
        try:
            config.load(trial / "rtmail.toml", {RELAY_PASSWORD: "given later"})
        except ConfigError as error:
            for problem in error.problems:
                click.echo(str(problem).replace(str(trial), str(target.parent)), err=True)
            click.echo("nothing written", err=True)
            raise SystemExit(EX_CONFIG) from None


def _written(path: Path, text: str, mode: int) -> bool:
    """Write a new file, whole or not at all; False when there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    return True
