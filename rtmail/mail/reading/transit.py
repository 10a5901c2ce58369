"""When a mail reached our house: by our own commit, or by the clock of the mail server of ours that took it in before us.

Called by the engine, so that what people did counts from when they did it, also when we were down while their mail waited in
our server's queue (DESIGN 4, time of an event). Never by the Date header, which its sender writes, and never in the future.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rtmail.mail.fields import date_of
from rtmail.mail.model import Envelope
from rtmail.mail.proof.identity import trusted_peer
from rtmail.mail.site import Site

LONGEST = timedelta(days=5)
"""So long mail servers keep a mail at most before they give it up; a line that is older was not written on the way to us."""


def taken_at(received: Sequence[str], envelope: Envelope, site: Site) -> datetime:
    """Return when the mail was taken in, UTC: never later than `envelope.arrived_at`.

    received  values of its Received fields, from the top down; the topmost is the word of whoever handed the mail to us
    Only a trusted hop's word counts: a peer of `trusted_hops`, or the server of this machine that speaks LMTP or pipes to us.
    """
    arrived_at = envelope.arrived_at
    if not received or envelope.ingress not in ("smtp", "lmtp", "pipe") or not trusted_peer(envelope, site):
        return arrived_at
    said = _instant(received[0])
    return said if said is not None and arrived_at - LONGEST <= said <= arrived_at else arrived_at


def _instant(received: str) -> datetime | None:
    """Return the date of a Received field (RFC 5321 4.4: behind its last semicolon), None for one that cannot be read."""
    _, semicolon, date = received.rpartition(";")
    return date_of(date) if semicolon else None
