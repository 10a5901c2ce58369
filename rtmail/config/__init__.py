"""Environment, `.env` and TOML -> Config, read once and checked whole.

`load` finds the file, reads it and its secrets, and either returns a Config or raises ConfigError with every mistake:
file, line, what is wrong, how to mend it. Only `daemon`, `ops` and `cli` come here; everybody else gets values. What is
not in the config folder (policies, templates) is looked for in the checkout, then in the wheel.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import rtmail
from rtmail.config import alerts, checks, customers, duty, eyes, oauth, passwords, policy_names, reading, secrets, trackers
from rtmail.config.secrets import Secrets
from rtmail.config.sections import (
    AuthTable,
    CanaryTable,
    CapsTable,
    HeartbeatTable,
    ImapTable,
    IngressTable,
    LogTable,
    QueueTable,
    RelayTable,
    SiteTable,
    StoreTable,
    Tables,
    WebTable,
)
from rtmail.config.values import After, Listen
from rtmail.desk.machines.systems import Monitor, Tracker
from rtmail.desk.people import Directory, ManagementRole, Person, Queue
from rtmail.errors import ConfigError, PolicyError, Problem
from rtmail.mail.address import key
from rtmail.mail.site import Door, JunkRules, OwnAddress, Site
from rtmail.mail.token import Keyring
from rtmail.mail.writing.dkim_sign import Signer
from rtmail.policy import schema
from rtmail.policy.model import Policy

__all__ = [
    "After",
    "AuthTable",
    "CapsTable",
    "Config",
    "ImapTable",
    "IngressTable",
    "Listen",
    "RelayTable",
    "SiteTable",
    "StoreTable",
    "find_config",
    "find_shipped",
    "load",
    "shipped_policies",
]

LAST_RESORT = Path("/etc/rtmail/rtmail.toml")
SYSTEM_STATE = "/var/lib/rtmail"
"""Where unit and package have the data."""
KINDS = {"templates": "templates", "policies": "config/policies", "config": "config"}
"""What ships with rtmail -> its folder in the checkout; the wheel has the same tree below `_shipped`."""


@dataclass(frozen=True)
class Config:
    """A config without mistakes.

    file    of rtmail.toml; `folder` is where it lies
    state   folder of the data; absolute
    tables  the file as it stands; the properties below name its parts
    """

    file: Path
    state: Path
    tables: Tables
    _secrets: Secrets = field(repr=False)

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def settings(self) -> SiteTable:
        """The keys of [site]; `site()` is what mail needs of them."""
        return self.tables.site

    @property
    def ingress(self) -> IngressTable:
        return self.tables.ingress

    @property
    def relay(self) -> RelayTable:
        return self.tables.relay

    @property
    def caps(self) -> CapsTable:
        return self.tables.caps

    @property
    def auth(self) -> AuthTable:
        return self.tables.auth

    @property
    def log(self) -> LogTable:
        return self.tables.log

    @property
    def web(self) -> WebTable:
        return self.tables.web

    @property
    def canary(self) -> CanaryTable:
        return self.tables.canary

    @property
    def heartbeat(self) -> HeartbeatTable:
        return self.tables.heartbeat

    @property
    def heartbeat_url(self) -> str:
        """Whom the daemon tells that it lives; whoever knows the URL can do so in its place."""
        return self._secrets.get(secrets.HEARTBEAT_URL)

    @property
    def queues(self) -> Mapping[str, QueueTable]:
        return self.tables.queues

    @property
    def store_url(self) -> str:
        """The store's URL with its password; a relative SQLite path lies below `state`."""
        url, password = self.tables.store.url, self._secrets.get(secrets.STORE_PASSWORD)
        parts = urlsplit(url)
        if parts.scheme == "sqlite" or not password:
            return url
        user, at, host = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}:{quote(password, safe='')}{at or '@'}{host}").geturl()

    @property
    def store_name(self) -> str:
        """The store's URL fit for a log: it never held the password."""
        return self.tables.store.url

    @property
    def relay_url(self) -> str:
        """The relay's URL with its user, without the password."""
        user, parts = self.relay.user, urlsplit(self.relay.url)
        return parts._replace(netloc=f"{quote(user, safe='')}@{parts.netloc}").geturl() if user else self.relay.url

    @property
    def relay_password(self) -> str:
        return self._secrets.get(secrets.RELAY_PASSWORD)

    @property
    def key_given(self) -> bool:
        """Whether the signing key comes from outside, and not from the state folder."""
        return bool(self._secrets.get(secrets.SECRET_KEY))

    @property
    def smtp_hostname(self) -> str:
        """Our name in the listener's banner."""
        return (self.ingress.smtp.hostname if self.ingress.smtp else "") or self.tables.site.domain

    @property
    def relay_hostname(self) -> str:
        """Our name in EHLO towards the relay."""
        return self.relay.hostname or self.tables.site.domain

    def imap_password(self, name: str) -> str:
        """Return the password of mailbox `name`."""
        return self._secrets.get(secrets.imap_password(name))

    def oauth_secret(self, name: str) -> str:
        """Return the secret of [oauth.NAME], "" for none."""
        return self._secrets.get(secrets.oauth_secret(name))

    def path(self, text: str) -> Path | None:
        """Return a path of the config (certificates and the like), relative ones below `folder`; None for ""."""
        return self.folder / text if text else None

    def authenticate(self, user: str, password: str) -> str | None:
        """Return the key of the person who proves himself by SMTP AUTH, as key or address; None otherwise.

        Takes some 50 ms of one processor, also for a name that nobody has.
        """
        people = {name: name for name in self.tables.people}
        people |= {key(person.email): name for name, person in self.tables.people.items()}
        person = people.get(user.strip().lower(), "")
        stored = self._secrets.get(secrets.auth_password(person)) if person else ""
        return person if passwords.matches(stored or passwords.NOBODY, password) and stored else None

    def signers(self) -> tuple[Signer, ...]:
        """Return the keys that outgoing mail is signed with. Raises OSError."""
        return tuple(
            Signer((table.domain or self.tables.site.domain).lower(), selector, (self.folder / table.key).read_bytes())
            for selector, table in self.tables.dkim.items()
        )

    def site(self) -> Site:
        """Return what our own mail looks like."""
        table, domain = self.tables.site, self.tables.site.domain.lower()
        return Site(
            name=table.name,
            tag=table.tag or table.name,
            domain=domain,
            admin=table.admin,
            timezone=table.timezone,
            language=table.language,
            old_tags=tuple(table.old_tags),
            detail=table.detail,
            addresses=_addresses(self.tables),
            machines=tuple(sender.lower() for sender in self.tables.machines.senders),
            forms=tuple(sender.lower() for sender in self.tables.forms.senders),
            public_domains=tuple(public.lower() for public in table.public_domains),
            authserv_ids=tuple(self.tables.auth.trusted_authserv_ids),
            trusted_hops=tuple(self.ingress.trusted_hops),
            trusted_headers={f"imap:{name}": tuple(box.trusted_headers) for name, box in self.ingress.imap.items() if box.trusted_headers},
            arc_sealers=tuple(name.lower() for name in self.tables.auth.trusted_arc_sealers),
            verp=self.relay.verp,
            precedence=self.relay.precedence,
            status_url=self.tables.status.url,
            portal_url=table.portal_url,
            junk=JunkRules(
                senders=tuple(sender.lower() for sender in self.tables.junk.senders),
                headers={name.lower(): pattern for name, pattern in self.tables.junk.headers.items()},
                scl=self.tables.junk.scl,
            ),
        )

    def directory(self, parties: Mapping[str, int] | None = None) -> Directory:
        """Return who is who. `parties`: person's key -> party id of his row in the store."""
        ids, tables = parties or {}, self.tables
        return Directory(
            people={
                name: Person(
                    key=name,
                    name=person.name,
                    email=person.email,
                    aliases=tuple(person.aliases),
                    rights=frozenset(person.rights),
                    queues=tuple(person.queues),
                    page=person.page,
                    language=person.language,
                    party=ids.get(name, 0),
                )
                for name, person in tables.people.items()
            },
            queues={
                name: Queue(
                    name, queue.address, queue.comment_address, queue.policy, queue.assign, queue.duty, queue.crossed, queue.pass_on,
                    queue.private_data,
                )
                for name, queue in tables.queues.items()
            },
            roles={name: ManagementRole(name, role.person, role.deputy) for name, role in tables.roles.items()},
            organisations={name: customers.organisation(name, one) for name, one in tables.organisations.items()},
            rosters=duty.rosters(tables),
            plans=customers.plans(tables.plans),
        )

    def monitors(self) -> tuple[Monitor, ...]:
        """Return how the alerts of monitoring systems are read."""
        return alerts.monitors(self.tables, find_shipped("config", alerts.FILE, self.folder))

    def trackers(self) -> tuple[Tracker, ...]:
        """Return the development trackers whose mail is comments."""
        return trackers.trackers(self.tables)

    def policies(self) -> dict[str, Policy]:
        """Return the policy of each name that a queue has. Raises PolicyError with every mistake in any of them."""
        found, problems = _policies(self.tables, self.folder)
        if problems:
            raise PolicyError(problems)
        return found

    def templates(self) -> dict[str, str]:
        """Return the texts of all templates by their path below the templates folder; the config folder's come first.

        What an editor hides beside a file that it has open is none.

        Raises ConfigError for one that cannot be read.
        """
        texts: dict[str, str] = {}
        for folder in _places("templates", self.folder):
            for file in sorted(file for file in folder.rglob("*.j2") if not file.name.startswith(".")):
                texts.setdefault(file.relative_to(folder).as_posix(), reading.text_of(file))
        return texts

    def files(self) -> list[Path]:
        """Return the files of the config's folder that are config: no secrets, nothing hidden."""
        patterns = ("*.toml", "policies/*.toml", "templates/**/*.j2")
        return sorted({self.file, *(path for pattern in patterns for path in self.folder.glob(pattern) if path.is_file())})

    def digest(self) -> str:
        """Return a hash over `files` as they stand now: two daemons with the same one work by the same config."""
        found = hashlib.sha256()
        for path in self.files():
            found.update(f"{path.relative_to(self.folder)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()[:16]

    def make_state(self) -> None:
        """Make the state folder, readable for its owner alone, when it is not there. Raises OSError."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keyring(self) -> Keyring:
        """Return the signing keys: RTMAIL_SECRET_KEY, else `secret.key` of the state folder, made there at first.

        Raises ConfigError when the file holds no key, OSError when it cannot be read or made.
        """
        given = self._secrets.get(secrets.SECRET_KEY)
        if given:
            return secrets.read_keys(given)
        self.make_state()
        try:
            return secrets.key_in(self.state)
        except ValueError:
            file = self.state / secrets.KEY_FILE
            raise ConfigError(
                [Problem(str(file), 1, "the file holds no signing key", f"put it back from a backup; or {secrets.KEY_CURE}")]
            ) from None


def load(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Return the config at `path`, or the first of the usual places.

    environ  the environment to look into, os.environ by default
    Raises ConfigError with every mistake found in the file, its secrets and the policies that it names.
    """
    environ = os.environ if environ is None else environ
    file = find_config(path, environ)
    tables, report = reading.read(reading.text_of(file), str(file))
    folder = file.resolve().parent
    found = secrets.gather(folder, environ)
    _check(tables, report, folder, found)
    state = _state(tables, folder, environ, report)
    _, policy_problems = _policies(tables, folder, report)
    problems = sorted(report.problems, key=lambda problem: problem.line)
    problems += [*found.problems, *checks.secret_values(tables, found), *policy_problems]
    if problems:
        raise ConfigError(problems)
    return Config(file.resolve(), state, tables, found)


def find_config(path: Path | str | None, environ: Mapping[str, str]) -> Path:
    """Return the config file to read: `path`, $RTMAIL_CONFIG, config/rtmail.toml, /etc/rtmail/rtmail.toml.

    Raises ConfigError when there is none.
    """
    named = path or environ.get("RTMAIL_CONFIG")
    if named:
        file = Path(named)
        if not _is_file(file, unseen=True):
            raise ConfigError([Problem(str(file), 1, "there is no such file", "name a rtmail.toml, or make one: rtmail init DIR")])
        return file
    for file in (Path("config/rtmail.toml"), LAST_RESORT):
        # Another user's command may stand in a folder that it cannot look into, such as root's.
        if _is_file(file, unseen=file == LAST_RESORT):
            return file
    raise ConfigError(
        [
            Problem(
                "config/rtmail.toml", 1, "there is no config, here or in /etc/rtmail", "make one with rtmail init DIR, or name it with -c"
            )
        ]
    )


def _is_file(file: Path, *, unseen: bool) -> bool:
    """Tell whether there is such a file; `unseen` is the answer where we may not look. Reading it tells why not."""
    try:
        return file.is_file()
    except PermissionError:
        return unseen


def find_shipped(kind: str, name: str, folder: Path | None = None) -> Path | None:
    """Return the file `name` of `kind` ("templates", "policies" or "config"): of the config folder, the checkout or the wheel.

    None when none of them has it, or when `name` is no plain file name.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    return next((place / name for place in _places(kind, folder) if (place / name).is_file()), None)


def shipped_policies() -> list[str]:
    """Return the names of the policies that come with rtmail."""
    return sorted({file.stem for place in _places("policies", None) for file in place.glob("*.toml")})


def _places(kind: str, folder: Path | None) -> list[Path]:
    package = Path(rtmail.__file__).resolve().parent
    places = [folder if kind == "config" else folder / kind] if folder else []
    if (package.parent / "pyproject.toml").is_file():
        places.append(package.parent / KINDS[kind])
    return [*places, package / "_shipped" / KINDS[kind]]


def _check(tables: Tables, report: reading.Report, folder: Path, found: Secrets) -> None:
    domain = tables.site.domain.lower()
    site = Site(tables.site.name, tables.site.tag, domain, tables.site.admin, detail=tables.site.detail, addresses=_addresses(tables))
    checks.site(tables, report)
    checks.status(tables, report)
    checks.admin(tables, report, site)
    checks.store(tables, report)
    checks.queues(tables, report)
    checks.people(tables, report, site)
    checks.roles(tables, report)
    duty.check(tables, report)
    customers.check(tables, report, site)
    checks.private_data(tables, report)
    checks.junk(tables, report)
    alerts.check(tables, report, find_shipped("config", alerts.FILE, folder))
    trackers.check(tables, report)
    checks.senders(tables, report)
    checks.trust(tables, report)
    checks.signing(tables, report, folder)
    checks.smtp(tables, report, folder, found)
    checks.lmtp(tables, report)
    checks.imap(tables, report, folder, found)
    checks.relay(tables, report, folder, found, site)
    eyes.check(tables, report)
    oauth.check(tables, report, folder, found)


def _addresses(tables: Tables) -> dict[str, OwnAddress]:
    admin = [OwnAddress(f"{box}@{tables.site.domain.lower()}", "", Door.ADMIN) for box in checks.ADMIN_BOXES]
    doors = [(name, queue, Door.CORRESPONDENCE) for name, queue in tables.queues.items()]
    doors += [(name, queue, Door.COMMENT) for name, queue in tables.queues.items()]
    ours = [OwnAddress(queue.address if door is Door.CORRESPONDENCE else queue.comment_address, name, door) for name, queue, door in doors]
    return {key(own.spec): own for own in [*admin, *ours] if own.spec}


def _state(tables: Tables, folder: Path, environ: Mapping[str, str], report: reading.Report) -> Path:
    """Return the state folder: `[site] state`, $STATE_DIRECTORY, or `var/` beside the config folder."""
    given = tables.site.state or environ.get("STATE_DIRECTORY", "").partition(":")[0]
    beside = folder.parent if folder.name == "config" else folder
    state = beside / (given or "var")
    if not given and folder.is_relative_to("/etc"):
        cure = f'add state = "{SYSTEM_STATE}", so that the service and the commands you type use the same data'
        report.tell(("site", "state"), "data has no place below /etc", cure)
    elif state.exists() and not state.is_dir():
        report.tell(("site", "state"), f"{state} is no folder", "name a folder, or move the file away")
    return state


def _policies(tables: Tables, folder: Path, report: reading.Report | None = None) -> tuple[dict[str, Policy], list[Problem]]:
    """Return the policies that parse, and the mistakes in the others; names that no file has go to `report`."""
    found: dict[str, Policy] = {}
    problems: list[Problem] = []
    told: set[str] = set()
    zone = tables.site.timezone if checks.is_timezone(tables.site.timezone) else "UTC"
    for queue, table in tables.queues.items():
        name = table.policy
        file = find_shipped("policies", f"{name}.toml", folder)
        if file is None:
            if report is not None:
                known = sorted({known.stem for place in _places("policies", folder) for known in place.glob("*.toml")})
                cure = reading.suggestion(name, known, f"write policies/{name}.toml, or name one of: {', '.join(known)}")
                report.tell(("queues", queue, "policy"), f"queue {queue}: there is no policy {name!r}", cure)
        elif name not in told:
            told.add(name)
            try:
                found[name] = schema.parse(reading.text_of(file), str(file), zone)
                used_by = [queue for queue, one in tables.queues.items() if one.policy == name]
                problems += policy_names.problems(found[name], str(file), tables, used_by)
            except ConfigError as error:
                problems += error.problems
    return found, problems
