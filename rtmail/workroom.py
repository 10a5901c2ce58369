"""Where the engine works: its thread, its readers and its look-ups in DNS, built from a config and changed by a reload.

The daemon has one in its own process (`Here`), or lets `partner` run one in a second process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtmail import config
from rtmail.clockwork import Clock
from rtmail.config import Config
from rtmail.engine.canary import Heard
from rtmail.engine.engine import Engine
from rtmail.engine.office import Blueprint, Office
from rtmail.engine.reader import ReaderPool
from rtmail.errors import ConfigError, Deferred
from rtmail.ops import building
from rtmail.store import Pausable, Store
from rtmail.ticking import Ticker

CHANGED = "the config changed while it was read"


@dataclass(frozen=True, slots=True)
class State:
    """What the daemon tells others of its engine.

    still   what was paused when last looked at
    heard   the last canary that came back to this daemon; missed: the last one, of whichever daemon, did not come back in time
    failed  why the engine's database cannot be trusted any more, "" while it can
    dropped lines of its log that nobody read, where that is a log of its own
    """

    still: frozenset[Pausable] = frozenset()
    heard: Heard | None = None
    missed: bool = False
    failed: str = ""
    dropped: int = 0


class Workroom:
    """The engine for one config at a time. Nothing runs before `start`: it may be made in one process and used in another.

    posted   is called when mails were put into the outbox; alone_to: see Engine
    Raises ConfigError where the config's policies do not fit what the store knows.
    """

    def __init__(
        self,
        found: Config,
        blueprint: Blueprint,
        store: Store,
        clock: Clock,
        rate: float,
        *,
        owner: str,
        alone_to: int,
        posted: Callable[[], None],
    ) -> None:
        self.config, self._store, self._clock = found, store, clock
        self.pool, self._checks = ReaderPool(), building.sender_checks(found)
        engine = Engine(store, self.pool, Office(blueprint, store, clock()), owner, posted, alone_to=alone_to, checks=self._checks)
        self.ticker = Ticker(engine, clock, store, self._mailboxes, rate)
        self._tell(found)

    def start(self) -> None:
        self.ticker.start()

    def use(self, digest: str) -> str:
        """Work by what now stands in the config's file from the next batch on; returns why not, "" when it does.

        digest  of what the daemon has read there: both must work by one and the same (else CHANGED)
        """
        try:
            found = config.load(self.config.file)
            if found.digest() != digest:
                return CHANGED
            self.ticker.engine.use(Office(building.blueprint(found), self._store, self._clock()))
        except ConfigError as error:
            first = error.problems[0]
            return f"{first.file}:{first.line}: {first.what}"
        except (OSError, Deferred) as error:
            return str(error) or type(error).__name__
        self._tell(found)
        return ""

    def stop(self, seconds: float) -> None:
        """Finish the batch under way, then end."""
        self.ticker.stop(seconds)

    def close(self) -> None:
        self.pool.close()
        if self._checks is not None:
            self._checks.close()

    @property
    def state(self) -> State:
        return State(self.ticker.still, self.ticker.heard, self.ticker.missed, self._store.failed)

    def _tell(self, found: Config) -> None:
        self.config = found
        self.ticker.config_digest, self.ticker.canary = found.digest(), building.canary(found)

    def _mailboxes(self) -> Sequence[str]:
        return list(self.config.ingress.imap)


class Working(Protocol):
    """The engine as the daemon sees it, wherever it works."""

    @property
    def beat(self) -> float:
        """When it last began something, by the machine's monotonic clock."""

    @property
    def progress(self) -> object:
        """Changes with each mail that was read."""

    @property
    def state(self) -> State: ...

    def start(self) -> None: ...

    def wake(self) -> None:
        """There is mail in the spool; from any thread."""

    async def use(self, found: Config) -> str:
        """Work by another config, which was read just now; returns why not, "" when it does."""

    async def stop(self, seconds: float) -> None: ...

    def kill(self) -> None:
        """Let it write nothing more: the database cannot be trusted."""

    def abort(self) -> None:
        """It hangs: let it say where."""

    def close(self) -> None: ...


class Here:
    """The engine as a thread of this process."""

    def __init__(self, room: Workroom) -> None:
        self.room = room
        self.start, self.wake, self.close = room.start, room.ticker.wake, room.close

    @property
    def beat(self) -> float:
        return self.room.ticker.beat

    @property
    def progress(self) -> object:
        return self.room.pool.progress

    @property
    def state(self) -> State:
        return self.room.state

    async def use(self, found: Config) -> str:
        return self.room.use(found.digest())

    async def stop(self, seconds: float) -> None:
        await asyncio.to_thread(self.room.stop, seconds)

    def kill(self) -> None:
        """The store is this process' own, and takes nothing more."""

    def abort(self) -> None:
        """Whoever ends this process sees all its threads."""
