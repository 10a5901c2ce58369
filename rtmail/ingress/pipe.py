"""`rtmail receive`: one mail on stdin, from an MTA's pipe transport. Called by the command line.

The exit code is all that an MTA understands: 0 kept, 67 unknown recipient, 65 the mail itself, 75 everything else, our own
bugs included, since any other code bounces a customer's mail. The mail goes straight into the store's spool, whether the
daemon runs or not; it finds it there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from rtmail import log
from rtmail.errors import EX_OK, EX_TEMPFAIL, Answered, Deferred, Refused, TooLarge
from rtmail.failpoint import failpoint
from rtmail.ingress.content import hops
from rtmail.mail.model import Envelope

CHUNK = 1024 * 1024
_MBOX_LINE = re.compile(rb"From ([^\s]+) .*\r?\n")
_RETURN_PATH = re.compile(rb"return-path:[ \t]*<([^<>\r\n]*)>[ \t]*\r?\n", re.IGNORECASE)


class Spool(Protocol):
    """What the command line gives: the checks of the listener, and a commit that blocks."""

    def recipient(self, address: str) -> None:
        """Return when mail for `address` is taken; raises UnknownRecipient, or Deferred."""

    def room(self) -> None:
        """Return when there is room for one more mail; raises DiskFull or Deferred."""

    def keep(self, raw: bytes, envelope: Envelope) -> int:
        """Commit the mail to disk and return its spool number; raises Answered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `receive` ends with: the exit code, and the first line to print, enhanced status first (RFC 3463)."""

    exit_code: int
    line: str


def receive(stdin: BinaryIO, recipients: Sequence[str], spool: Spool, *, limit_bytes: int, max_hops: int, now: datetime,
            sender: str | None = None) -> Outcome:
    """Keep one mail and return what to tell the MTA; never raises.

    recipients  of this envelope; one unknown refuses the mail whole, since an exit code can't tell them apart
    sender      MAIL FROM when the MTA gives it; else the From_ line or the Return-Path that it put on top
    """
    try:
        for recipient in recipients:
            spool.recipient(recipient)
        spool.room()
        raw, found = without_mbox_line(read_limited(stdin, limit_bytes))
        if hops(raw) > max_hops:
            raise Refused(554, "5.4.6", "too many hops, this looks like a mail loop")
        envelope = Envelope(
            sender=found if sender is None else _named(sender), recipients=tuple(dict.fromkeys(recipients)), ingress="pipe",
            arrived_at=now,
        )
        failpoint("pipe-received")
        number = spool.keep(raw, envelope)
        failpoint("pipe-kept")
    except Deferred as deferred:
        log.put_off(ingress="pipe", peer="", reply=deferred.reply, why=type(deferred.__cause__).__name__ if deferred.__cause__ else "")
        return told(deferred)
    except Answered as answered:
        log.refused(ingress="pipe", peer="", sender=sender or "", recipient=",".join(recipients), reply=answered.reply)
        return told(answered)
    except Exception as error:
        log.failed(stage="pipe", error=error)
        return told(Deferred())
    log.accepted(spool=number, ingress="pipe", peer="", sender=envelope.sender, recipients=envelope.recipients, size=len(raw))
    return Outcome(EX_OK, f"2.0.0 kept as {number}")


def told(error: Exception) -> Outcome:
    """Return what an MTA is told of `error`; what is not meant for it is "not now", without details."""
    if isinstance(error, Answered):
        return Outcome(error.exit_code, f"{error.enhanced} {error.text}")
    return Outcome(EX_TEMPFAIL, f"{Deferred().enhanced} {Deferred().text}")


def read_limited(stdin: BinaryIO, limit_bytes: int) -> bytes:
    """Return all of `stdin`; raises TooLarge beyond the limit, having read on to the end, so that the MTA's pipe does not break."""
    whole = bytearray()
    while chunk := stdin.read(min(CHUNK, limit_bytes + 1 - len(whole))):
        whole += chunk
        if len(whole) > limit_bytes:
            while stdin.read(CHUNK):
                pass
            raise TooLarge(limit_bytes)
    return bytes(whole)


def without_mbox_line(raw: bytes) -> tuple[bytes, str | None]:
    """Return the mail without the From_ line that a pipe transport may put before it, and the envelope sender found on top.

    The sender is "" for the null sender and None where neither a From_ line nor a leading Return-Path names one.
    """
    line = _MBOX_LINE.match(raw)
    if line is not None:
        raw = raw[line.end():]
    path = _RETURN_PATH.match(raw)
    if path is not None:
        return raw, _named(path[1].decode("utf-8", "replace"))
    return raw, None if line is None else _named(line[1].decode("utf-8", "replace"))


def _named(sender: str) -> str:
    """Return the envelope sender that an MTA names; the null sender is also written as `<>` and, by Postfix, as MAILER-DAEMON."""
    bare = sender.strip().strip("<>")
    return "" if bare.upper() == "MAILER-DAEMON" else bare
