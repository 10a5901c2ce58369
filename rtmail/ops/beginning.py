"""The config that `rtmail init` writes: the shipped files with a house's own values put in, every comment kept.

Pure text: who asks for the values, writes and tries them is the command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from rtmail.config.secrets import imap_password, oauth_secret
from rtmail.mail.address import valid_spec

MAILBOX = "office"
ENV = """\
# Secrets of rtmail: keep this file to yourself (mode 0600) and out of version control. One NAME='value' a line.
# RTMAIL_RELAY_PASSWORD='…'         the relay's user
# RTMAIL_STORE_PASSWORD='…'         a postgresql:// store
# RTMAIL_IMAP_OFFICE_PASSWORD='…'   [ingress.imap.office]
# RTMAIL_OAUTH_OFFICE_SECRET='…'    the app of [oauth.office], for flow = "client"
# RTMAIL_AUTH_JANE='…'              [people.jane] for SMTP AUTH: rtmail password jane makes the line
# RTMAIL_HEARTBEAT_URL='…'          asked while all is well, by whoever calls you when it falls silent
# RTMAIL_SECRET_KEY='…'             64 hex digits; without it a key is made in the state folder at first start
"""
_HEADER = re.compile(r"(# )?\[([a-z0-9_.-]+)\]")
_PAIR = re.compile(r'(# )?([a-z_]+) = ("[^"]*"|\[.*?\]|[\w.-]+)(\s*#.*)?')
MICROSOFT, GMAIL = "microsoft", "gmail"
_PROVIDERS = {"office365.com": MICROSOFT, "outlook.com": MICROSOFT, "gmail.com": GMAIL, "googlemail.com": GMAIL}
_SCHEMES = {"imaps": "implicit", "imap+starttls": "starttls", "imap": "none"}

Place = tuple[str, str]
"""Table and key."""


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff; `key` names him in the config."""

    key: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An IMAP mailbox to read. `port` 0 is the usual one."""

    host: str
    user: str
    port: int = 0
    tls: str = "implicit"
    folder: str = "INBOX"


@dataclass(frozen=True, slots=True)
class App:
    """An app registration, by whose tokens Microsoft 365 lets us in. `alone`: by its own secret; else a person logs in once."""

    tenant: str
    client_id: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """What a house said of itself; "" and None leave what the shipped file has."""

    site: str = ""
    domain: str = ""
    address: str = ""
    admin: str = ""
    relay: str = ""
    timezone: str = ""
    lmtp: str = ""
    state: str = ""
    mailbox: Mailbox | None = None
    app: App | None = None
    people: Sequence[Staff] = ()
    policy: str = "default"
    roles: Sequence[str] = ("support-manager", "director")
    """Whom the policy tells."""


def provider_of(host: str) -> str:
    """Return the word of `rtmail snippet` for a provider that lets mail programs in by rules of its own; "" for every other host."""
    return next((word for end, word in _PROVIDERS.items() if f".{host.lower()}".endswith(f".{end}")), "")


def read_mailbox(url: str) -> Mailbox:
    """Return the mailbox of `imaps://USER@HOST[:PORT][/FOLDER]` (@ in USER as it is, or %40). Raises ValueError with the cure."""
    scheme, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    if scheme not in _SCHEMES or not at or not user or not host or ":" in user:
        cure = "write imaps://support@example.com@imap.example.com, or imap+starttls://…"
        raise ValueError(f"{cure}; the password is asked for, or goes into .env")
    return Mailbox(host, unquote(user), port, _SCHEMES[scheme], unquote(parts.path.strip("/")) or "INBOX")


def filled(text: str, answers: Answers) -> str:
    """Return the shipped rtmail.toml with the answers in place, and with the people of the house instead of its example staff.

    Raises ValueError for an address that is none.
    """
    values, opened, own_staff = _values(answers), _opened(answers), _staff(answers)
    lines: list[str] = []
    table, skipped, told = "", False, False
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            table = header[2] if not header[1] or header[2] in opened else ""
            skipped = bool(own_staff) and table.startswith(("people.", "roles."))
            if skipped and not told:
                lines += own_staff
                told = True
        if skipped:
            continue
        if header and header[1] and table:
            line = line.removeprefix("# ")
        pair = _PAIR.fullmatch(line)
        value = values.get((table, pair[2])) if pair else None
        if pair and value is not None:
            start = f"{pair[2]} = {value}"
            comment = f"# policies/{answers.policy}.toml" if pair[2] == "policy" else (pair[4] or "").strip()
            line = f"{start:<39} {comment}" if comment else start
        lines.append(line)
    return "\n".join(lines) + "\n"


def example(text: str, state: str) -> str:
    """Return the shipped rtmail.toml as a package puts it below /etc: nothing of a house's in it, the data in `state`."""
    return filled(text, Answers(state=state))


def env(secrets: Mapping[str, str]) -> str:
    """Return the `.env` with these secrets. Raises ValueError for one that cannot stand there."""
    lines = []
    for name, value in secrets.items():
        if not value.isprintable():
            raise ValueError(f"{name} has a control character: leave it empty, and set it in the daemon's environment")
        quoted = value.replace("\\", r"\\").replace("'", r"\'")
        lines.append(f"{name}='{quoted}'\n")
    return ENV + "".join(lines)


def mailbox_secret() -> str:
    """Return the name of the mailbox's password."""
    return imap_password(MAILBOX)


def app_secret() -> str:
    """Return the name of the app's secret."""
    return oauth_secret(MAILBOX)


def _values(answers: Answers) -> dict[Place, str]:
    """Return TOML values by table and key."""
    if answers.address and not valid_spec(answers.address):
        raise ValueError(f"{answers.address!r} is no address")
    queue = answers.address or (f"support@{answers.domain}" if answers.domain else "")
    said: dict[Place, str] = {
        ("site", "name"): answers.site,
        ("site", "tag"): answers.site,
        ("site", "domain"): answers.domain or queue.rpartition("@")[2],
        ("site", "admin"): answers.admin,
        ("site", "timezone"): answers.timezone,
        ("site", "state"): answers.state,
        ("relay", "url"): answers.relay,
        ("ingress.lmtp", "listen"): answers.lmtp,
        ("queues.support", "address"): queue,
        ("queues.support", "comment_address"): queue.replace("@", "-comment@"),
        ("queues.support", "policy"): answers.policy if answers.policy != "default" else "",
    }
    values = {place: _quoted(value) for place, value in said.items() if value}
    if box := answers.mailbox:
        table = f"ingress.imap.{MAILBOX}"
        values |= {(table, "host"): _quoted(box.host), (table, "user"): _quoted(box.user)}
        if box.port:
            values[table, "port"] = str(box.port)
        if box.tls != "implicit":
            values[table, "tls"] = _quoted(box.tls)
        if box.folder != "INBOX":
            values[table, "mailbox"] = _quoted(box.folder)
    return values | _at_provider(answers)


def _at_provider(answers: Answers) -> dict[Place, str]:
    """Return what a mailbox and a relay at Microsoft 365 or Gmail need besides, as `rtmail snippet` tells it."""
    values: dict[Place, str] = {}
    relay = urlsplit(answers.relay)
    outward = provider_of(relay.hostname or "")
    if outward:
        values["relay", "verp"] = "false"
    if (app := answers.app) is None:
        return values
    oauth = f"oauth.{MAILBOX}"
    values |= {(oauth, "tenant"): _quoted(app.tenant), (oauth, "client_id"): _quoted(app.client_id)}
    if app.alone:
        values[oauth, "flow"] = _quoted("client")
    if answers.mailbox and provider_of(answers.mailbox.host) == MICROSOFT:
        table = f"ingress.imap.{MAILBOX}"
        values[table, "oauth"] = _quoted(MAILBOX)
        values[table, "trusted_headers"] = '["X-MS-Exchange-Organization-AuthAs", "Authentication-Results"]'
    if outward == MICROSOFT:
        values["relay", "oauth"] = _quoted(MAILBOX)
        if not relay.username:
            values["relay", "user"] = _quoted(answers.mailbox.user if answers.mailbox else answers.address)
    return values


def _opened(answers: Answers) -> set[str]:
    """Return the tables that are commented out in the shipped file and that this house has."""
    lmtp = {"ingress.lmtp"} if answers.lmtp else set()
    mailbox, app = {f"ingress.imap.{MAILBOX}"}, {f"oauth.{MAILBOX}"}
    return lmtp | (mailbox if answers.mailbox else set()) | (app if answers.app else set())


def _staff(answers: Answers) -> list[str]:
    """Return the tables of people and roles; [] where the shipped ones do."""
    if not answers.people and answers.policy == "default":
        return []
    people = answers.people or (Staff("jane", "Jane Doe", "jane@example.net"), Staff("carl", "Carl Boss", "carl@example.net"))
    lines = []
    for number, person in enumerate(people):
        rights = '["engineer"]' if number else '["engineer", "manager"]'
        lines += [f"[people.{person.key}]", f"name = {_quoted(person.name)}", f"email = {_quoted(person.email)}", f"rights = {rights}", ""]
    for role in answers.roles:
        lines += [f"[roles.{role}]", f"person = {_quoted(people[0].key)}"]
        lines += [f"deputy = {_quoted(people[1].key)}", ""] if len(people) > 1 else [""]
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
