"""Builds what runs from a config: engine's blueprint, mailboxes, relay. Used by the daemon and by every command that acts."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rtmail.config import Config
from rtmail.egress import relay
from rtmail.egress.courier import Settings as CourierSettings
from rtmail.engine import canary as canaries
from rtmail.engine.office import Ages, Blueprint, Caps, Retention, StatusSettings
from rtmail.engine.resolver import DnsResolver
from rtmail.engine.sender_checks import SenderChecks
from rtmail.errors import ConfigError, Problem
from rtmail.ingress import imap, mailbox
from rtmail.ingress.limits import Limits
from rtmail.mail.writing.templates import Templates
from rtmail.ops.oauth import MICROSOFT, Account, Tokens


def blueprint(config: Config) -> Blueprint:
    """Return what the engine works by. Raises ConfigError."""
    policies = config.policies()
    caps = config.caps
    return Blueprint(
        site=config.site(),
        directory=config.directory(),
        keyring=config.keyring(),
        templates=templates(config),
        policies={name: policies[queue.policy] for name, queue in config.queues.items()},
        caps=Caps(
            per_address=caps.per_address,
            overall=caps.overall,
            window=caps.window,
            per_sender=caps.per_sender,
            per_request=caps.per_request,
            burst=caps.burst,
            fold=caps.fold,
            only_proven=caps.only_proven,
        ),
        retry_for=config.relay.retry_for,
        signers=config.signers(),
        retention=Retention(
            {name: Ages(queue.keep_raw, queue.keep_closed, queue.keep_quarantine) for name, queue in config.queues.items()},
            config.tables.junk.keep,
        ),
        monitors=config.monitors(),
        trackers=config.trackers(),
        status=_status(config),
        junk_digest=config.tables.junk.digest,
        statements_at=config.tables.statements.at,
    )


def templates(config: Config) -> Templates:
    """Return the words of our mails. Raises ConfigError for a mistake in the house's own: mails that need it would fail, one by one."""
    texts = config.templates()
    found = Templates(texts, config.settings.timezone, config.settings.language)
    folder = config.folder / "templates"
    own = [path for path in texts if (folder / path).is_file()]
    if own:
        from rtmail.mail.writing.samples import known_facts  # few houses have templates of their own

        if problems := found.problems(known_facts(), own):
            raise ConfigError([replace(problem, file=str(folder / problem.file)) for problem in problems])
    return found


def check_certificate(config: Config) -> None:
    """Raise ConfigError where TLS cannot be offered with the files of [ingress.smtp]; commands that do not listen need not care."""
    smtp = config.ingress.smtp
    file = config.path(smtp.tls_certificate) if smtp else None
    if smtp is None or file is None:
        return
    key = config.path(smtp.tls_key)
    try:
        # A key with a passphrase must not ask for it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, key, password=lambda: "")
    except (OSError, ValueError) as error:
        what = f"certificate and key cannot be used: {error}"
        cure = "write the chain as your authority gave it, and the key that it was made for, without a passphrase, as tls_key"
        raise ConfigError([Problem(str(file), 1, what, cure)]) from None


def _status(config: Config) -> StatusSettings | None:
    """Return where the status page goes: below the state folder unless the config names a place of its own."""
    table = config.tables.status
    return StatusSettings(config.state / table.folder, table.title) if table.folder else None


def sender_checks(config: Config) -> SenderChecks | None:
    """Return what asks DNS about senders, None where the config wants no own checks."""
    return SenderChecks(DnsResolver(config.auth.nameservers)) if config.auth.own_checks else None


def mailboxes(config: Config) -> list[mailbox.Settings]:
    """Return the mailboxes that are polled."""
    smtp = config.ingress.smtp
    return [
        mailbox.Settings(
            name=name,
            server=imap.Server(
                host=table.host,
                port=table.port or (993 if table.tls == "implicit" else 143),
                tls=table.tls,
                user=table.user,
                password=config.imap_password(name),
                token=tokens(config, table.oauth, table.user).token if table.oauth else None,
                ca_file=str(config.path(table.ca_file) or ""),
                folder=table.mailbox,
            ),
            after=table.after.how,
            folder=table.after.folder,
            queue=table.queue or next(iter(config.queues)),
            poll=table.poll,
            limit_bytes=smtp.max_message if smtp else Limits().message_bytes,
        )
        for name, table in config.ingress.imap.items()
    ]


def account(config: Config, name: str, user: str) -> Account:
    """Return [oauth.NAME] as it is for one user."""
    table = config.tables.oauth[name]
    return Account(
        name=name,
        provider=table.provider,
        flow=table.flow,
        client_id=table.client_id,
        secret=config.oauth_secret(name),
        authority=table.authority or f"{MICROSOFT}/{table.tenant}",
        key_file=str(config.path(table.key_file) or ""),
        user=user if table.provider == "google" else "",
        ca_file=str(config.path(table.ca_file) or ""),
    )


def tokens(config: Config, name: str, user: str) -> Tokens:
    """Return who gives the tokens of [oauth.NAME]; the same one as long as nothing of it changes, so that a reload disturbs no mailbox."""
    return _tokens(account(config, name, user), config.state)


@functools.cache
def _tokens(account: Account, folder: Path) -> Tokens:
    return Tokens(account, folder)


def make_relay(config: Config, timeouts: relay.Timeouts | None = None) -> relay.Relay:
    """Return the relay that the config names; `timeouts` other than those of mail. Raises ValueError or OSError."""
    ca_file, user = config.path(config.relay.ca_file), unquote(urlsplit(config.relay_url).username or "")
    own = tokens(config, config.relay.oauth, user) if config.relay.oauth else None
    return relay.make_relay(
        relay.Settings(
            url=config.relay_url,
            hostname=config.relay_hostname,
            password=config.relay_password,
            token=(lambda: asyncio.to_thread(own.token)) if own else None,
            ca_file=str(ca_file) if ca_file else "",
            timeouts=timeouts or relay.Timeouts(),
        ),
        config.state,
    )


def courier(config: Config, owner: str) -> CourierSettings:
    """Return how the courier of the daemon `owner` works."""
    relay = config.relay
    return CourierSettings(
        owner=owner, concurrency=relay.connections, redirect_to=relay.redirect_to, min_pause=relay.min_pause, max_pause=relay.max_pause
    )


def canary(config: Config) -> canaries.Settings:
    """Return how the canary flies."""
    table = config.canary
    return canaries.Settings(table.every, table.within, table.queue or next(iter(config.queues)))


def needs_restart(begun: Config, found: Config) -> list[str]:
    """Return the tables in which a config differs from the one a daemon began with in what only a new start can take."""
    # What a reload takes of [relay]: the engine works by it.
    taken = {"retry_for", "verp"}
    parts: dict[str, Callable[[Config], object]] = {
        "[store]": lambda one: (one.store_url, one.state),
        "[ingress.smtp]": lambda one: (one.ingress.smtp, one.smtp_hostname),
        "[ingress.lmtp]": lambda one: one.ingress.lmtp,
        "[relay]": lambda one: (
            one.relay.model_dump(exclude=taken), one.relay_password, account(one, one.relay.oauth, "") if one.relay.oauth else None
        ),
        "[log]": lambda one: one.log,
        "[web]": lambda one: one.web,
        "[heartbeat]": lambda one: (one.heartbeat, one.heartbeat_url),
    }
    return [name for name, part in parts.items() if part(begun) != part(found)]
