"""The doctor: for each part of a house and of what surrounds it, what was tried, what the other side said, and what to do.

It changes nothing, sends no mail, and needs no running daemon. `rtmail doctor` prints what `examine` yields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from rtmail.config import Config
from rtmail.errors import Deferred, RtmailError
from rtmail.ingress.mailbox import Settings
from rtmail.ops import building, opening
from rtmail.ops.doctor.finding import Finding, Verdict, fail
from rtmail.ops.doctor.house import disk, inside, state_folder
from rtmail.ops.doctor.names import Names, certificate, names, signatures
from rtmail.ops.doctor.neighbours import mailbox, mailboxes, relay

__all__ = ["Finding", "Names", "Verdict", "examine", "mailboxes", "relay"]


def examine(config: Config, now: datetime, asking: Names) -> Iterator[Finding]:
    """Yield what was found, part by part; each as soon as it is known.

    Neighbours are asked all at once, and the house is looked at meanwhile: those that do not answer are waited for together.
    """
    outside: list[Callable[[], Iterable[Finding]]] = [
        lambda: [relay(config, now)],
        *(partial(_alone, config, settings) for settings in building.mailboxes(config)),
        lambda: certificate(config, now),
        lambda: names(config, asking),
        lambda: signatures(config, asking),
    ]
    with ThreadPoolExecutor(len(outside), "doctor") as pool:
        asked = [pool.submit(_whole, one) for one in outside]
        yield from _house(config, now)
        for one in asked:
            yield from one.result()


def _alone(config: Config, settings: Settings) -> list[Finding]:
    return [mailbox(config, settings)]


def _whole(asks: Callable[[], Iterable[Finding]]) -> list[Finding]:
    return list(asks())


def _house(config: Config, now: datetime) -> Iterator[Finding]:
    yield from state_folder(config)
    yield from disk(config)
    try:
        store = opening.open_store(config)
    except (RtmailError, OSError) as error:
        cure = "see that it runs, then again" if isinstance(error, Deferred) else "rtmail restore FILE --replace puts a backup back"
        if isinstance(error.__cause__, PermissionError):
            cure = f"chown -R rtmail: {config.state}, or run as the daemon's user"
        yield fail("database", f"opened {config.store_name}", str(error), cure)
        return
    try:
        yield from inside(config, store, now)
    finally:
        store.close()
