"""What a well-formed config gets wrong: names that nobody has, addresses given twice, doors left open.

Each check takes the tables and a report, and tells; none raises and none changes anything. `config.load` runs them all.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from rtmail.config import oauth, passwords, secrets
from rtmail.config.reading import Report, suggestion
from rtmail.config.secrets import Secrets
from rtmail.config.sections import Tables
from rtmail.config.values import is_loopback, one_line
from rtmail.engine.resolver import split_place
from rtmail.errors import Problem
from rtmail.mail.address import key, organisational_domain, split_detail, valid_spec
from rtmail.mail.proof.identity import INTERNAL_HEADERS
from rtmail.mail.site import Site
from rtmail.mail.token import LENGTH
from rtmail.mail.writing import dkim_sign

LONGEST_QUEUE = 64 - LENGTH - 1
"""Characters of a local part that leave room for the separator and a signed detail (RFC 5321 4.5.3.1.1)."""
ADMIN_BOXES = ("postmaster", "abuse")
TRUSTED_HEADERS = {"authentication-results", *INTERNAL_HEADERS}
SCHEMES = ("smtp", "smtp+starttls", "smtps", "maildir")

_OR_TOKEN = "; where only tokens are taken (Microsoft 365): oauth"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_WHERE: Mapping[str, str] = {"people": "person", "queues": "queue", "roles": "role", "organisations": "organisation", "plans": "plan"}


def site(tables: Tables, report: Report) -> None:
    """[site]: names, domain, zone, languages."""
    table = tables.site
    if table.domain and not is_domain(table.domain):
        report.tell(("site", "domain"), f"{table.domain!r} is no domain", 'write the domain of the addresses: "example.com"')
    for path, tag in [(("site", "tag"), table.tag), *((("site", "old_tags", n), tag) for n, tag in enumerate(table.old_tags))]:
        if tag and (not one_line(tag) or len(tag) > 40 or set(tag) & set("[]#")):
            report.tell(path, f"{tag!r} cannot stand in [TAG #1042]", "write at most 40 characters without [, ] and #")
    if not one_line(table.name) or len(table.name) > 80:
        report.tell(("site", "name"), "the name is not one short line", "write at most 80 printable characters")
    if not is_timezone(table.timezone):
        cure = suggestion(table.timezone, available_timezones(), 'write a name of the IANA list: "Europe/Berlin"')
        report.tell(("site", "timezone"), f"unknown timezone {table.timezone!r}", cure)
    languages(report, ("site", "language"), table.language)
    for n, domain in enumerate(table.public_domains):
        if not is_domain(domain):
            report.tell(("site", "public_domains", n), f"{domain!r} is no domain", 'write a domain: "isp.example"')


def status(tables: Tables, report: Report) -> None:
    """[status] and the portal: addresses that mails can name, a folder that is there."""
    for path, url in ((("status", "url"), tables.status.url), (("site", "portal_url"), tables.site.portal_url)):
        if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname or not one_line(url) or " " in url):
            report.tell(path, f"{url!r} is no web address", 'write one: "https://status.example.com"')
    folder = Path(tables.status.folder)
    if tables.status.folder and folder.is_absolute() and not folder.is_dir():
        cure = "make it, writable for rtmail, or name one below the state folder"
        report.tell(("status", "folder"), f"there is no folder {folder}", cure)
    if not one_line(tables.status.title):
        report.tell(("status", "title"), "the title is not one line", 'write title = "Status of our service"')


def admin(tables: Tables, report: Report, site: Site) -> None:
    """The admin hears of what goes wrong with our mail, so his must not come through us."""
    spec = tables.site.admin
    if spec and not valid_spec(spec):
        report.tell(("site", "admin"), f"{spec!r} is no address", 'write one address: "ops@example.net"')
    elif spec and split_detail(spec, site)[0] is not None:
        cure = "write an address that another mail server delivers, else a notice about trouble would come back as mail"
        report.tell(("site", "admin"), f"{spec} is received by rtmail itself", cure)


def store(tables: Tables, report: Report) -> None:
    """[store]: an URL without a password."""
    url, path = tables.store.url, ("store", "url")
    parts = _split(url)
    if parts is not None and parts.scheme == "sqlite" and parts.netloc:
        report.tell(path, f"{url!r} has a host where the path begins", f'write three slashes: "sqlite:///{parts.netloc}{parts.path}"')
    elif parts is None or parts.scheme not in ("sqlite", "postgresql", "postgres") or (parts.scheme == "sqlite" and len(parts.path) < 2):
        report.tell(path, f"{_hidden(url)!r} names no store", 'write "sqlite:///rtmail.db" or "postgresql://user@host/database"')
    elif parts.password is not None:
        report.tell(path, "the password stands in the url", f"leave it out and set {secrets.STORE_PASSWORD} in .env")


def queues(tables: Tables, report: Report) -> None:
    """[queues]: at least one; addresses valid, short enough for a detail, each used once."""
    if not tables.queues and not report.told(("queues",)):
        report.tell(
            ("queues",), "there is no queue", 'add [queues.support] with address = "support@…" and comment_address = "support-comment@…"'
        )
    seen = {f"{box}@{tables.site.domain.lower()}": f"{box}@, which goes to the admin" for box in ADMIN_BOXES}
    for name, queue in tables.queues.items():
        named(report, ("queues", name))
        for door in ("address", "comment_address"):
            spec, path = getattr(queue, door), ("queues", name, door)
            if not spec:
                continue
            if not valid_spec(spec):
                report.tell(path, f"{spec!r} is no address", 'write one address: "support@example.com"')
                continue
            local = spec.rpartition("@")[0]
            if tables.site.detail != "off" and len(local) > LONGEST_QUEUE:
                cure = f'shorten it to {LONGEST_QUEUE} characters, or set [site] detail = "off"'
                report.tell(path, f"{local!r} has {len(local)} characters, which leaves no room for a signed detail", cure)
            if tables.site.detail != "off" and tables.site.detail == "+" and "+" in local:
                report.tell(
                    path, f"{spec} has the + that begins a signed detail", 'choose an address without +, or set [site] detail = "-"'
                )
            if key(spec) in seen:
                report.tell(path, f"{spec} is also the address of {seen[key(spec)]}", "give every queue two addresses of its own")
            seen.setdefault(key(spec), f"queue {name}")


def people(tables: Tables, report: Report, site: Site) -> None:
    """[people]: addresses valid, not ours, each one person's; queues that exist."""
    seen: dict[str, str] = {}
    for name, person in tables.people.items():
        path = ("people", name)
        named(report, path)
        own: set[str] = set()
        for where, spec in [("email", person.email), *(("aliases", alias) for alias in person.aliases)]:
            if not spec or not mail_address(report, (*path, where), spec, site):
                continue
            if key(spec) in seen:
                report.tell((*path, where), f"{spec} is also the address of {seen[key(spec)]}", "give it to one of the two")
            elif key(spec) in own:
                report.tell((*path, where), f"{spec} is named twice", "leave one out")
            own.add(key(spec))
        seen.update(dict.fromkeys(own, name))
        if person.page:
            mail_address(report, (*path, "page"), person.page, site)
        if not one_line(person.name):
            report.tell((*path, "name"), "the name is not one line", "write printable characters only")
        languages(report, (*path, "language"), person.language)
        known(report, path, "queues", person.queues, tables.queues)


def roles(tables: Tables, report: Report) -> None:
    """[roles]: people who exist."""
    for name, role in tables.roles.items():
        path = ("roles", name)
        named(report, path)
        for key_, person in (("person", role.person), ("deputy", role.deputy)):
            if person and person not in tables.people:
                cure = suggestion(
                    person, tables.people, f"add [people.{person}], or name one of: {', '.join(tables.people) or 'nobody yet'}"
                )
                report.tell((*path, key_), f"{name}: there is no person {person!r}", cure)
        if role.person and role.person == role.deputy:
            report.tell((*path, "deputy"), f"{name}: {role.person} is his own deputy", "name another person, or leave deputy out")


def private_data(tables: Tables, report: Report) -> None:
    """Content that waits needs somebody who may see it."""
    for name, queue in tables.queues.items():
        seers = [one for one in tables.people.values() if "privacy" in one.rights and (not one.queues or name in one.queues)]
        if queue.private_data == "hold" and not seers:
            cure = 'give somebody rights = ["engineer", "privacy"], or write private_data = "discard"'
            report.tell(("queues", name, "private_data"), f"nobody may see what is withheld in queue {name}", cure)


def junk(tables: Tables, report: Report) -> None:
    """[junk]: patterns that compile, an hour of the day."""
    for name, pattern in tables.junk.headers.items():
        try:
            re.compile(pattern)
        except re.error as error:
            report.tell(("junk", "headers", name), f"{pattern!r} is no pattern: {error}", "write a regular expression")
    if tables.junk.digest and not re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", tables.junk.digest):
        report.tell(("junk", "digest"), f"{tables.junk.digest!r} is no time of day", 'write "08:00", or "" for none')


def senders(tables: Tables, report: Report) -> None:
    """[machines], [forms] and the like: addresses, or "@domain"."""
    listed: list[tuple[tuple[str, ...], list[str]]] = [
        (("machines",), tables.machines.senders), (("forms",), tables.forms.senders), (("junk",), tables.junk.senders),
        *((("monitoring", name), monitor.senders) for name, monitor in tables.monitoring.items()),
        *((("trackers", name), tracker.senders) for name, tracker in tables.trackers.items()),
    ]
    for where, senders in listed:
        for n, sender in enumerate(senders):
            if not (valid_spec(sender) or (sender.startswith("@") and is_domain(sender[1:]))):
                report.tell((*where, "senders", n), f"{sender!r} is no sender", 'write an address or "@domain": "nagios@mon.example.com"')


def trust(tables: Tables, report: Report) -> None:
    """Whose word counts: networks, authserv-ids, headers."""
    for where, hops in ((("ingress", "trusted_hops"), tables.ingress.trusted_hops), (("ingress", "smtp", "proxy"), _proxies(tables))):
        for n, hop in enumerate(hops):
            try:
                network = ipaddress.ip_network(hop)
            except ValueError as error:
                cure = 'write a network without host bits: "192.0.2.0/24"'
                report.tell((*where, n), f"{hop!r} is no network: {error}", cure)
                continue
            if not network.prefixlen:
                report.tell((*where, n), f"{hop} trusts everybody", "name the networks of your own mail servers")
    for n, name in enumerate(tables.auth.trusted_authserv_ids):
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            report.tell(
                ("auth", "trusted_authserv_ids", n),
                f"{name!r} is no authserv-id",
                "write the first word of your server's Authentication-Results",
            )
    for n, name in enumerate(tables.auth.trusted_arc_sealers):
        if not is_domain(name):
            report.tell(("auth", "trusted_arc_sealers", n), f"{name!r} is no domain", "write the d= of its ARC-Seal")
    for n, place in enumerate(tables.auth.nameservers):
        try:
            ipaddress.ip_address(split_place(place)[0])
        except ValueError:
            report.tell(("auth", "nameservers", n), f"{place!r} is no address", 'write "192.0.2.53", or with its port "127.0.0.1:5353"')
    if tables.auth.own_checks and not all(importlib.util.find_spec(name) for name in ("dkim", "dns", "spf")):
        report.tell(("auth", "own_checks"), "dkimpy, dnspython or pyspf is not installed", "pip install 'rtmail[dkim]'")
    if tables.auth.trusted_arc_sealers and not tables.auth.own_checks:
        report.tell(("auth", "trusted_arc_sealers"), "ARC is checked by own checks only", "add own_checks = true")


def signing(tables: Tables, report: Report, folder: Path) -> None:
    """[dkim.SELECTOR]: keys that sign, that nobody else can read, for a domain that our From lines are aligned with."""
    for selector, table in tables.dkim.items():
        path = ("dkim", selector)
        domain = table.domain.lower() or tables.site.domain.lower()
        if not dkim_sign.SELECTOR.fullmatch(selector):
            report.tell(path, f"{selector!r} is no selector", "write letters, digits and hyphens, as in DNS: [dkim.rtmail2026]")
        if not is_domain(domain):
            report.tell((*path, "domain"), f"{domain!r} is no domain", 'write the name in DNS: "example.com"')
        elif tables.site.domain and organisational_domain(domain) != organisational_domain(tables.site.domain.lower()):
            report.tell((*path, "domain"), f"a signature of {domain} says nothing about mail from {tables.site.domain}",
                        "leave it out, or name a domain above or below the site's")
        if not importlib.util.find_spec("cryptography"):
            report.tell((*path, "key"), "cryptography is not installed", "pip install 'rtmail[dkim]'")
            continue
        if not table.key:
            continue
        file = folder / table.key
        first = "" if file.parent.is_dir() else f"mkdir {file.parent} && "
        make = f"{first}openssl genrsa -out {file} 2048, or {first}openssl genpkey -algorithm ed25519 -out {file}"
        try:
            kind = dkim_sign.check_key(file.read_bytes())
        except PermissionError as error:
            cure = f"let the user of the daemon read it: chgrp rtmail {file} && chmod 640 {file}"
            report.tell((*path, "key"), f"{file} cannot be read: {error.strerror}", cure)
        except OSError as error:
            report.tell((*path, "key"), f"{file} cannot be read: {error.strerror}", make)
        except ValueError as error:
            report.tell((*path, "key"), f"{file} is no key to sign with: {error}", "write the path of an RSA or Ed25519 private key in PEM")
        else:
            if kind and file.stat().st_mode & stat.S_IRWXO:
                report.tell((*path, "key"), f"others can read {file}", f"chmod o= {file}")


def smtp(tables: Tables, report: Report, folder: Path, found: Secrets) -> None:
    """[ingress.smtp]: certificates that exist, AUTH that someone can use, room for a mail of the largest size."""
    table, path = tables.ingress.smtp, ("ingress", "smtp")
    if table is None:
        return
    if table.listen.path:
        report.tell((*path, "listen"), "SMTP listens on a network address", 'write "127.0.0.1:2525"; a unix socket is for [ingress.lmtp]')
    if table.hostname and not is_domain(table.hostname):
        report.tell((*path, "hostname"), f"{table.hostname!r} is no host name", 'write the name in DNS: "mail.example.com"')
    for name in ("tls_certificate", "tls_key"):
        file = getattr(table, name)
        if file and not (folder / file).is_file():
            report.tell((*path, name), f"there is no file {folder / file}", "write the path of a PEM file, relative to the config folder")
    if table.tls_key and not table.tls_certificate:
        report.tell((*path, "tls_key"), "a key without a certificate", "add tls_certificate")
    if table.require_tls and not table.tls_certificate:
        report.tell((*path, "require_tls"), "TLS is required, but there is no certificate", "add tls_certificate, or leave require_tls out")
    if table.auth and not table.tls_certificate and not table.listen.loopback:
        report.tell((*path, "auth"), "AUTH is never offered without TLS to other machines", "add tls_certificate")
    if table.auth and not any(found.get(secrets.auth_password(person)) for person in tables.people):
        cure = f"put into .env what this prints: rtmail password {next(iter(tables.people), 'jane')}"
        report.tell((*path, "auth"), "no person has a password for AUTH", cure)
    if table.max_bytes_in_flight < table.max_message:
        report.tell((*path, "max_bytes_in_flight"), "not even one mail of max_message fits", "make it several times max_message")


def lmtp(tables: Tables, report: Report) -> None:
    """[ingress.lmtp]: this machine only, since LMTP has neither authentication nor caps."""
    table, path = tables.ingress.lmtp, ("ingress", "lmtp")
    if table is None:
        return
    if not table.listen.loopback:
        report.tell(
            (*path, "listen"),
            f"LMTP on {table.listen} could be reached from outside",
            'listen on "127.0.0.1:2424" or "unix:/run/rtmail/lmtp"',
        )
    if tables.ingress.smtp and table.listen == tables.ingress.smtp.listen:
        report.tell((*path, "listen"), f"SMTP listens on {table.listen} already", "choose another port")
    if table.group:
        import grp

        try:
            grp.getgrnam(table.group)
        except KeyError:
            report.tell(
                (*path, "group"), f"there is no group {table.group!r} on this machine", 'write the group of your mail server: "postfix"'
            )


def imap(tables: Tables, report: Report, folder: Path, found: Secrets) -> None:
    """[ingress.imap]: TLS across the network, a password, a queue that exists."""
    for name, table in tables.ingress.imap.items():
        path = ("ingress", "imap", name)
        named(report, path)
        if table.host and not one_line(table.host):
            report.tell((*path, "host"), f"{table.host!r} is no host", "write a host name")
        if table.tls == "none" and not is_loopback(table.host):
            report.tell((*path, "tls"), "the password would cross the network in the clear", 'write tls = "implicit" or "starttls"')
        if table.ca_file and not (folder / table.ca_file).is_file():
            report.tell(
                (*path, "ca_file"),
                f"there is no file {folder / table.ca_file}",
                "write the path of a PEM file, relative to the config folder",
            )
        for key_ in ("user", "mailbox"):
            if not one_line(getattr(table, key_)):
                report.tell((*path, key_), f"{key_} is not one line", "write printable characters only")
        if table.after.folder and table.after.folder == table.mailbox:
            report.tell((*path, "after"), "mail would be moved to where it is read", "name another folder")
        if table.queue and table.queue not in tables.queues:
            report.tell(
                (*path, "queue"), f"there is no queue {table.queue!r}", suggestion(table.queue, tables.queues, "name a queue of this file")
            )
        if table.oauth:
            oauth.used(tables, report, (*path, "oauth"), table.oauth)
        elif not found.get(secrets.imap_password(name)):
            report.tell(path, "the mailbox has no password", f"set {secrets.imap_password(name)} in .env beside the config{_OR_TOKEN}")
        for n, header in enumerate(table.trusted_headers):
            if header.lower() not in TRUSTED_HEADERS:
                cure = "known are X-MS-Exchange-Organization-AuthAs and Authentication-Results"
                report.tell((*path, "trusted_headers", n), f"{header!r} proves nothing that rtmail knows", cure)


def relay(tables: Tables, report: Report, folder: Path, found: Secrets, site: Site) -> None:
    """[relay]: a known scheme, passwords neither here nor in the clear, a staging address that is not ours."""
    table, path = tables.relay, ("relay", "url")
    parts = _split(table.url)
    user = table.user or (parts.username if parts else None)
    if parts is None or parts.scheme not in SCHEMES or not (parts.path if parts.scheme == "maildir" else parts.hostname):
        cure = 'write "smtp://127.0.0.1:25", "smtp+starttls://mail.example.com:587", "smtps://mail.example.com:465" or "maildir:sent"'
        report.tell(path, f"{_hidden(table.url)!r} names no relay", cure)
    elif parts.password is not None:
        report.tell(path, "the password stands in the url", f"leave it out and set {secrets.RELAY_PASSWORD} in .env")
    elif parts.username and table.user:
        report.tell(("relay", "user"), "the url names a user already", "leave one of the two out")
    elif user and parts.scheme == "smtp" and not is_loopback(parts.hostname or ""):
        report.tell(path, f"the password would go to {parts.hostname} in the clear", "write smtp+starttls:// or smtps://")
    elif table.oauth and not user:
        report.tell(("relay", "oauth"), "a token is for a user, and none is named", 'add user = "support@example.com"')
    elif table.oauth:
        oauth.used(tables, report, ("relay", "oauth"), table.oauth)
    elif user and not found.get(secrets.RELAY_PASSWORD):
        report.tell(
            ("relay", "user" if table.user else "url"),
            f"user {user!r} has no password",
            f"set {secrets.RELAY_PASSWORD} in .env beside the config{_OR_TOKEN}",
        )
    if table.hostname and not is_domain(table.hostname):
        report.tell(("relay", "hostname"), f"{table.hostname!r} is no host name", 'write the name in DNS: "mail.example.com"')
    if table.ca_file and not (folder / table.ca_file).is_file():
        report.tell(
            ("relay", "ca_file"),
            f"there is no file {folder / table.ca_file}",
            "write the path of a PEM file, relative to the config folder",
        )
    if table.redirect_to:
        mail_address(report, ("relay", "redirect_to"), table.redirect_to, site)
    if table.min_pause > table.max_pause or not table.min_pause:
        report.tell(
            ("relay", "min_pause"), "min_pause is zero or longer than max_pause", 'write lengths such as min_pause = "1m", max_pause = "4h"'
        )


def secret_values(tables: Tables, found: Secrets) -> Iterator[Problem]:
    """Secrets that nobody uses (a misspelt name), and those that cannot be used."""
    used = {secrets.SECRET_KEY, secrets.RELAY_PASSWORD, secrets.STORE_PASSWORD, secrets.HEARTBEAT_URL, "RTMAIL_CONFIG"}
    used |= {secrets.oauth_secret(name) for name in tables.oauth}
    hashed = {secrets.auth_password(name): name for name in tables.people}
    used |= {secrets.imap_password(name) for name in tables.ingress.imap} | hashed.keys()
    for name, (file, line) in sorted(found.where.items()):
        if name not in used and file != "environment":
            yield Problem(
                file, line, f"nothing reads {name}", suggestion(name, used, "remove it, or add the mailbox or person that it is for")
            )
        if name in hashed and not passwords.is_hash(found.get(name)):
            yield Problem(file, line, f"{name} is no password hash", f"put what this prints in its place: rtmail password {hashed[name]}")
        if name == secrets.HEARTBEAT_URL and not re.fullmatch(r"https?://[^\s/]+\S*", found.get(name)):
            yield Problem(file, line, f"{name} is no web address", "write what your monitoring gives you: https://…")
        if name == secrets.SECRET_KEY:
            try:
                secrets.read_keys(found.get(name))
            except ValueError:
                yield Problem(file, line, f"{name} holds no signing key", secrets.KEY_CURE)


def is_timezone(name: str) -> bool:
    """Tell whether the IANA list has a zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def named(report: Report, path: tuple[str, ...]) -> None:
    if not _NAME.fullmatch(path[-1]):
        report.tell(
            path, f"{path[-1]!r} cannot be a name here", "write lower-case letters, digits, - and _, beginning with a letter or digit"
        )


def languages(report: Report, path: tuple[str, ...], language: str) -> None:
    if language and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", language):
        report.tell(path, f"{language!r} is no language", 'write its code: "en", "de", "uk"')


def known(report: Report, path: tuple[str, ...], key_: str, names: list[str], known: Mapping[str, object]) -> None:
    for n, name in enumerate(names):
        if name not in known:
            cure = suggestion(name, known, f"name one of: {', '.join(known) or 'none is configured'}")
            report.tell((*path, key_, n), f"{path[-1]}: there is no {_WHERE[key_]} {name!r}", cure)


def mail_address(report: Report, path: tuple[str | int, ...], spec: str, site: Site) -> bool:
    """Tell whether `spec` is an address that is not ours, and report it when not."""
    if not valid_spec(spec):
        report.tell(path, f"{spec!r} is no address", 'write one address: "jane@example.net"')
    elif split_detail(spec, site)[0] is not None:
        report.tell(path, f"{spec} is received by rtmail itself", "write an address outside, else mail would go in a circle")
    else:
        return True
    return False


def is_domain(text: str) -> bool:
    return valid_spec(f"a@{text}")


def _proxies(tables: Tables) -> list[str]:
    return tables.ingress.smtp.proxy if tables.ingress.smtp else []


class _Url:
    """The parts of an URL that the checks look at."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.scheme, self.netloc, self.path = parts.scheme, parts.netloc, parts.path
        self.hostname, self.username, self.password, self.port = parts.hostname, parts.username, parts.password, parts.port


def _split(url: str) -> _Url | None:
    try:
        return _Url(url)
    except ValueError:
        return None


def _hidden(url: str) -> str:
    """The URL without what may be a password."""
    return re.sub(r"//[^/@]*@", "//…@", url)
