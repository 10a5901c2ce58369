"""The questions of `rtmail init` on a terminal: each with what is usual; Enter takes it."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import click

from rtmail import config
from rtmail.config.checks import is_timezone
from rtmail.config.secrets import RELAY_PASSWORD
from rtmail.mail.address import parse_list, valid_spec
from rtmail.ops.beginning import GMAIL, MICROSOFT, Answers, App, Mailbox, Staff, app_secret, env, mailbox_secret, provider_of, read_mailbox

T = TypeVar("T")
KEPT = "maildir:sent"
LATER = "empty: later, in .env"
TOKENS_ONLY = """\
  Microsoft 365 takes no password but a token, and for that an app must be
  registered there first: docs/oauth.md tells how."""
UNTIL_THEN = """\
  Until then it is not in the file: the snippet below prints what to do there,
  and what to write here."""


def asked(first: Answers, wrong: Callable[[Answers], str]) -> tuple[Answers, dict[str, str], str]:
    """Return what a person answered, `first` being offered where it has something, the passwords that he gave, and the provider whose
    `rtmail snippet` tells the rest ("" for none).

    `wrong` says what `rtmail check` has against answers: so each mistake is told at its question, not after the last one.
    """
    secrets: dict[str, str] = {}
    known = Answers()

    def learn(**more: object) -> None:
        nonlocal known
        tried = replace(known, **more)  # type: ignore[arg-type]
        if mistake := wrong(tried):
            raise ValueError(mistake)
        known = tried

    def ask(key: str, question: str, default: str, read: Callable[[str], object] = _line) -> None:
        _until(question, default, lambda text: learn(**{key: read(text)}))

    click.echo("Enter takes what stands in brackets; the files can be changed later.\n")
    ask("site", "Name of the house, as customers read it", first.site or "Example")
    _until("Address that customers write to", first.address or "support@example.com",
           lambda text: learn(address=_address(text), domain=_address(text).rpartition("@")[2]))
    ask("admin", "Who hears of trouble (another server delivers it)", first.admin or "ops@example.net", _address)
    ask("timezone", "Time zone", first.timezone or _zone(), _timezone)
    click.echo("\nMail comes in from a mail server, by smtp or lmtp, or from a mailbox that rtmail")
    click.echo("reads by IMAP: at a provider, Microsoft 365 or Gmail.")
    way = click.prompt("How mail comes in", type=click.Choice(["smtp", "lmtp", "mailbox"]), default="mailbox" if first.mailbox else "smtp")
    provider = ""
    if way == "mailbox":
        there = f"imaps://{known.address}@imap.{known.domain}"
        mailbox = _until("The mailbox, as imaps://USER@HOST", there, lambda text: _mailbox(text, lambda box: learn(mailbox=box)))
        provider = provider_of(mailbox.host)
        if provider == MICROSOFT:
            secrets |= _app(learn)
            if known.app is None:
                learn(mailbox=None)
        else:
            secrets |= _password(mailbox_secret(), f"Password of {mailbox.user} at {mailbox.host} ({LATER})", provider)
    elif way == "lmtp":
        ask("lmtp", "Where to listen", first.lmtp or "127.0.0.1:2424")
    click.echo("\nMail goes out through smtp://127.0.0.1:25, smtp+starttls://USER@HOST:587 or")
    click.echo("smtps://USER@HOST. maildir:sent keeps it in a folder, to begin with.")
    ask("relay", "Relay", first.relay or KEPT)
    relay = urlsplit(known.relay)
    outward = provider_of(relay.hostname or "")
    if outward == MICROSOFT:
        if provider != MICROSOFT:
            secrets |= _app(learn)
        if known.app is None:
            learn(relay=KEPT)
    elif relay.username:
        secrets |= _password(RELAY_PASSWORD, f"Password of the relay's user ({LATER})", outward)
    provider = outward or provider
    people = list(first.people) or _people(lambda people: learn(people=people))
    policies = config.shipped_policies()
    click.echo("\nPolicies: what is promised to customers, and who hears when it is not kept.")
    for name in policies:
        click.echo(textwrap.fill(_first_line(name), 79, initial_indent=f"  {name:<12} ", subsequent_indent=" " * 15))
    policy = click.prompt("Policy", type=click.Choice(policies), default=first.policy, show_choices=False)
    click.echo("")
    return replace(known, people=tuple(people), policy=policy), secrets, provider


def _people(learn: Callable[[tuple[Staff, ...]], None]) -> list[Staff]:
    click.echo("\nWho answers? The first one is manager, too. An empty name ends the list.")
    people: list[Staff] = []
    while name := click.prompt("Name", default="", show_default=False).strip():
        word = re.sub(r"[^a-z0-9]", "", name.split()[0].lower()) or "person"
        key = word if word not in {one.key for one in people} else f"{word}{len(people) + 1}"

        def read(text: str, key: str = key, name: str = name) -> Staff:
            one = Staff(key, name, _address(text))
            learn((*people, one))
            return one

        people.append(_until(f"Address of {name}", "", read))
    if not people:
        click.echo("Until you name yours in the file, its Jane Doe and Carl Boss stand in.")
    return people


def _app(learn: Callable[..., None]) -> dict[str, str]:
    """Ask for an app registration, which may come later; returns its secret, where it has one and that is not in the environment."""
    click.echo(TOKENS_ONLY)
    tenant = click.prompt("Tenant, its domain or ID (empty: later)", default="", show_default=False).strip()
    while tenant:
        client_id = click.prompt("Application (client) ID (empty: later)", default="", show_default=False).strip()
        if not client_id:
            break
        try:
            learn(app=App(tenant, client_id))
        except ValueError as error:
            _tell(error)
            continue
        secret = _password(app_secret(), "Secret of the app (empty: a person logs in, once)", MICROSOFT)
        learn(app=App(tenant, client_id, alone=bool(secret or os.environ.get(app_secret()))))
        return secret
    click.echo(UNTIL_THEN)
    return {}


def _mailbox(text: str, learn: Callable[[Mailbox], None]) -> Mailbox:
    found = read_mailbox(text)
    learn(found)
    return found


def _password(name: str, question: str, provider: str) -> dict[str, str]:
    """Return the password, unless it is in the environment or given later."""
    if os.environ.get(name):
        return {}
    if provider == GMAIL:
        click.echo("Google takes an app password here: https://myaccount.google.com/apppasswords")
    while True:
        given = {name: click.prompt(question, hide_input=True, default="", show_default=False)}
        try:
            env(given)
        except ValueError as error:
            _tell(error)
        else:
            return given if given[name] else {}


def _until(question: str, default: str, read: Callable[[str], T]) -> T:
    """Ask until the answer can be read; each wrong one is answered with the cure. It may stand in quotes, as it does in the file."""
    while True:
        try:
            return read(re.sub(r'^"(.*)"$', r"\1", click.prompt(question, default=default or None).strip()))
        except ValueError as error:
            _tell(error)


def _tell(mistake: ValueError) -> None:
    click.echo(textwrap.fill(str(mistake), 79, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))


def _line(text: str) -> str:
    if not text:
        raise ValueError("write at least one letter")
    return text


def _address(text: str) -> str:
    found = parse_list([text])
    if len(found) != 1 or not valid_spec(found[0].spec):
        raise ValueError("write one address: jane@example.net")
    return found[0].spec


def _timezone(text: str) -> str:
    if not is_timezone(text):
        raise ValueError("write a name of the IANA list: Europe/Berlin")
    return text


def _zone() -> str:
    """Return the zone of this machine, where it says so."""
    there = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return there if there and is_timezone(there) else "UTC"


def _first_line(policy: str) -> str:
    file = config.find_shipped("policies", f"{policy}.toml")
    return Path(file).read_text("utf-8").partition("\n")[0].lstrip("# ") if file else ""
