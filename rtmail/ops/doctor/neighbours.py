"""The servers next door: the relay that takes our mail, and the mailboxes that we read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from rtmail.config import Config
from rtmail.egress.relay import Timeouts
from rtmail.errors import RtmailError
from rtmail.ingress import imap
from rtmail.ingress.mailbox import Settings
from rtmail.ops import building
from rtmail.ops.doctor.finding import Finding, fail, ok, warn
from rtmail.ops.oauth import NoToken

PATIENCE = Timeouts(connect=10, hello=10, starttls=10, auth=10, mail=10, rcpt=10)
ENDS_SOON = timedelta(days=14)
CURES = {
    "connect": "see that it runs and that no firewall is between: nc -vz HOST PORT; for a certificate see [relay] ca_file",
    "EHLO": "see its log: it does not take our name ([relay] hostname)",
    "STARTTLS": "renew its certificate, or name its authority in [relay] ca_file",
    "AUTH": "set RTMAIL_RELAY_PASSWORD and [relay] user to what it takes",
    "MAIL": "let it take our envelope senders, or set verp = false in [relay]",
    "RCPT": "let it relay for this machine: our mail goes to any address",
    "maildir": "give the folder to the daemon's user",
}


def relay(config: Config, now: datetime) -> Finding:
    """Return how far the relay goes along with a mail from the first queue to the admin; none is sent."""
    sender = next(iter(config.queues.values())).address
    recipient = config.relay.redirect_to or config.settings.admin
    tried = f"asked {config.relay_url} to take a mail for {recipient}"
    try:
        found = asyncio.run(building.make_relay(config, PATIENCE).examine(sender, recipient))
    except (OSError, ValueError) as error:
        return fail("relay", f"made ready for {config.relay_url}", str(error), "mend [relay]; rtmail check names the line")
    if not found.taken:
        said = found.said if found.said.startswith(found.stage) else f"{found.stage}: {found.said}"
        cure = CURES.get(found.stage, "see its log")
        if found.stage == "AUTH" and config.relay.oauth:
            cure = _by_token(config, config.relay.oauth)
        return fail("relay", tried, said, cure)
    if found.certificate_ends is not None and found.certificate_ends - now < ENDS_SOON:
        return warn("relay", tried, f"{found.said}; its certificate ends {found.certificate_ends:%Y-%m-%d}", "renew its certificate")
    return ok("relay", tried, found.said)


def _by_token(config: Config, name: str) -> str:
    """Return what to do when a login by token fails."""
    if config.tables.oauth[name].flow == "device":
        return f"rtmail oauth login {name}, as the user of this mailbox or one who may open it"
    return f"see the rights and the secret of [oauth.{name}]: docs/oauth.md"


def mailboxes(config: Config) -> Iterator[Finding]:
    """Yield how each polled mailbox lets us in."""
    for settings in building.mailboxes(config):
        yield mailbox(config, settings)


def mailbox(config: Config, settings: Settings) -> Finding:
    """Return how one mailbox lets us in."""
    part, server = f"mailbox {settings.name}", settings.server
    tried = f"logged in to {server.host}:{server.port} as {server.user} and opened {server.folder}"
    try:
        connection = imap.Connection(server, settings.limit_bytes)
    except imap.LoginRefused as error:
        oauth = config.ingress.imap[settings.name].oauth
        cure = _by_token(config, oauth) if oauth else f"set RTMAIL_IMAP_{settings.name.upper()}_PASSWORD to what it takes"
        return fail(part, tried, str(error), cure)
    except NoToken as error:
        return fail(part, tried, str(error), _by_token(config, config.ingress.imap[settings.name].oauth))
    except Exception as error:  # whatever nonsense a server talks is what was asked for
        said = str(error) if isinstance(error, RtmailError | OSError) and str(error) else type(error).__name__
        return fail(part, tried, said, "see that it runs, its certificate ([ingress.imap] ca_file), and the name of the mailbox")
    idles = connection.can_idle
    connection.close()
    return ok(part, tried, "open" + ("" if idles else f"; it does not know IDLE: looked at every {settings.poll.seconds} s"))
