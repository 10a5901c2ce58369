"""The control of the kill test: a daemon that says 250 before the mail is committed, as it never must."""

from __future__ import annotations

from rtmail.mail.model import Envelope
from rtmail.ops.front import DaemonFront


async def _keep(self: DaemonFront, raw: bytes, envelope: Envelope) -> int:
    self._writer.submit(raw, envelope)
    return 0


def install() -> None:
    """Make this process's daemon hasty."""
    DaemonFront.keep = _keep  # type: ignore[method-assign]
