"""The questions of `rtmail init` on a terminal: each with what is usual; Enter takes it."""

from __future__ import annotations

import os
import re
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
from rtmail.ops.beginning import Answers, Mailbox, Staff, mailbox_secret, read_mailbox

T = TypeVar("T")


def asked(first: Answers) -> tuple[Answers, dict[str, str]]:
    """Return what a person answered, `first` being offered where it has something, and the passwords that he gave."""
    secrets: dict[str, str] = {}
    click.echo("Enter takes what stands in brackets; everything can be changed in the files later.\n")
    site = click.prompt("Name of the house, as customers read it", default=first.site or "Example")
    address = _until("Address that customers write to", first.address or "support@example.com", _address)
    admin = _until("Who hears of trouble (an address that another server delivers)", first.admin or "ops@example.net", _address)
    timezone = _until("Time zone", first.timezone or _zone(), _timezone)
    way = click.prompt("How mail comes in: from a mail server by smtp or lmtp, or from a mailbox that is read",
                       type=click.Choice(["smtp", "lmtp", "mailbox"]), default="mailbox" if first.mailbox else "smtp")
    mailbox, lmtp = first.mailbox, first.lmtp
    if way == "mailbox":
        mailbox = _until("The mailbox, as imaps://USER@HOST", f"imaps://{address}@imap.{address.rpartition('@')[2]}", read_mailbox)
        secrets |= _password(mailbox_secret(), f"Password of {mailbox.user} at {mailbox.host}", mailbox)
    elif way == "lmtp":
        lmtp = click.prompt("Where to listen", default=lmtp or "127.0.0.1:2424")
    click.echo("\nMail goes out through smtp+starttls://USER@HOST:587, smtps://USER@HOST or smtp://127.0.0.1:25.")
    click.echo("maildir:sent keeps it in a folder, to begin with.")
    relay = click.prompt("Relay", default=first.relay or "maildir:sent")
    if urlsplit(relay).username:
        secrets |= _password(RELAY_PASSWORD, "Password of the relay's user", relay)
    people = list(first.people) or _people()
    policies = config.shipped_policies()
    click.echo("\nPolicies: what is promised to customers, and who hears when it is not kept.")
    for name in policies:
        click.echo(f"  {name:<12} {_first_line(name)}")
    policy = click.prompt("Policy", type=click.Choice(policies), default=first.policy, show_choices=False)
    click.echo("")
    return replace(first, site=site, domain=address.rpartition("@")[2], address=address, admin=admin, timezone=timezone, lmtp=lmtp,
                   mailbox=mailbox, relay=relay, people=tuple(people), policy=policy), secrets


def _people() -> list[Staff]:
    click.echo("\nWho answers? The first one is manager, too. An empty name ends the list.")
    people: list[Staff] = []
    while name := click.prompt("Name", default="", show_default=False).strip():
        email = _until(f"Address of {name}", "", _address)
        word = re.sub(r"[^a-z0-9]", "", name.split()[0].lower()) or "person"
        key = word if word not in {one.key for one in people} else f"{word}{len(people) + 1}"
        people.append(Staff(key, name, email))
    return people


def _password(name: str, question: str, about: Mailbox | str) -> dict[str, str]:
    """Return the password, unless it is in the environment or given later."""
    if os.environ.get(name):
        return {}
    given = click.prompt(f"{question} (empty: later, in .env)", hide_input=True, default="", show_default=False)
    return {name: given} if given else {}


def _until(question: str, default: str, read: Callable[[str], T]) -> T:
    """Ask until the answer can be read; each wrong one is answered with the cure."""
    while True:
        try:
            return read(click.prompt(question, default=default or None).strip())
        except ValueError as error:
            click.echo(f"  {error}")


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
