"""A mail of ours to the admin, sent when a house begins: what a relay says to it proves more than that it would take one."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime

from rtmail.config import Config
from rtmail.mail.token import Keyring
from rtmail.mail.writing.compose import Workshop, compose
from rtmail.mail.writing.draft import Auto, Draft, Recipient, Suppress, Visibility
from rtmail.mail.writing.templates import Templates
from rtmail.ops import building
from rtmail.ops.doctor.finding import Finding, fail, ok
from rtmail.ops.doctor.neighbours import PATIENCE
from rtmail.store.outbox import Sent


def first_mail(config: Config, now: datetime) -> Finding:
    """Send it, and return what the relay said.

    It is signed with a key for this once: the house's own is made by the daemon, as its user. Nothing of it is kept in the store.
    """
    site, queue = config.site(), next(iter(config.queues.values()))
    to = config.relay.redirect_to or site.admin
    tried = f"sent a mail to {to} by {config.relay_url}"
    draft = Draft(
        template="admin-notice",
        to=Recipient(0, to, "", staff=True),
        visibility=Visibility.INTERNAL,
        subject="First mail",
        queue=next(iter(config.queues)),
        auto=Auto.GENERATED,
        suppress=Suppress.ALL,
        facts={"title": "First mail", "what": "This mail shows that what rtmail sends arrives.", "at": now, "rows": [], "cure": ""},
    )
    workshop = Workshop(
        site=site,
        queues={name: (one.address, one.comment_address) for name, one in config.queues.items()},
        keyring=Keyring(0, {0: secrets.token_bytes(32)}),
        templates=Templates(config.templates(), site.timezone, site.language),
    )
    mail = compose(draft, now, 0, workshop, lambda raw_id, part: b"")
    try:
        # From the queue, not by an address that bounces come back to: there is nobody yet who would know them.
        fate = asyncio.run(building.make_relay(config, PATIENCE).send(queue.address, to, mail.raw, outbox_id=0))
    except (OSError, ValueError) as error:
        return fail("first mail", tried, str(error), "mend [relay]; rtmail check names the line")
    if isinstance(fate, Sent):
        return ok("first mail", tried, f"{fate.text}; see whether it arrives, and not among the junk")
    return fail("first mail", tried, fate.text, "see the relay's log")
