"""The doctor: for each part of a house and of what surrounds it, what was tried, what the other side said, and what to do.

It changes nothing, sends no mail, and needs no running daemon. `rtmail doctor` prints what `examine` yields.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rtmail.config import Config
from rtmail.errors import Deferred, RtmailError
from rtmail.ops import opening
from rtmail.ops.doctor.finding import Finding, Verdict, fail
from rtmail.ops.doctor.house import disk, inside, state_folder
from rtmail.ops.doctor.names import Names, certificate, names, signatures
from rtmail.ops.doctor.neighbours import mailboxes, relay

__all__ = ["Finding", "Names", "Verdict", "examine", "mailboxes", "relay"]


def examine(config: Config, now: datetime, asking: Names) -> Iterator[Finding]:
    """Yield what was found, part by part; each as soon as it is known."""
    yield from state_folder(config)
    yield from disk(config)
    try:
        store = opening.open_store(config)
    except (RtmailError, OSError) as error:
        cure = "see that it runs, then again" if isinstance(error, Deferred) else "rtmail restore FILE puts a backup back"
        yield fail("database", f"opened {config.store_name}", str(error), cure)
    else:
        try:
            yield from inside(config, store, now)
        finally:
            store.close()
    yield relay(config, now)
    yield from mailboxes(config)
    yield from certificate(config, now)
    yield from names(config, asking)
    yield from signatures(config, asking)
