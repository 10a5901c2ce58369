"""What stands behind every door: which addresses we take mail for, whether there is room, and the keeping of a mail.

The daemon hands one to its listeners and mailboxes, `rtmail receive` makes one of its own; all end in the same spool.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from rtmail.config import Config
from rtmail.errors import Deferred, UnknownRecipient
from rtmail.failpoint import failpoint
from rtmail.mail.address import split_detail
from rtmail.mail.model import Envelope
from rtmail.mail.site import Site
from rtmail.store import Pausable, SpoolWriter, Store


class Front(ABC):
    """Checks of a recipient and of the room, for one config at a time."""

    def __init__(self, config: Config, store: Store) -> None:
        self._store = store
        self.use(config)

    def use(self, config: Config) -> None:
        """Take mail by another config from now on (reload)."""
        self._config = config
        self._site: Site = config.site()

    def recipient(self, address: str) -> None:
        """Return when mail for `address` is taken; raises UnknownRecipient."""
        if split_detail(address, self._site)[0] is None:
            raise UnknownRecipient(address)

    def room(self) -> None:
        """Return when one more mail can be taken; raises DiskFull, or Deferred while the ingress is paused."""
        if self.paused():
            raise Deferred("mail is not taken in for the moment, try again later")
        self._store.room()

    @abstractmethod
    def paused(self) -> bool:
        """Tell whether the ingress stands still."""


class PipeFront(Front):
    """The front of one `rtmail receive`: keeps in the caller's thread."""

    def paused(self) -> bool:
        return any(pause.what is Pausable.INGRESS for pause in self._store.pauses())

    def keep(self, raw: bytes, envelope: Envelope) -> int:
        """Commit the mail to disk and return its spool number."""
        (spool_id,) = self._store.put_many([(raw, envelope)])
        return spool_id


class DaemonFront(Front):
    """The front of the daemon: many connections share one commit."""

    def __init__(self, config: Config, store: Store, writer: SpoolWriter, trouble: Callable[[], str], paused: Callable[[], bool]) -> None:
        super().__init__(config, store)
        self._writer, self._trouble, self._paused = writer, trouble, paused
        self._done: deque[tuple[asyncio.Future[int], Future[int]]] = deque()
        self._told = False

    def paused(self) -> bool:
        return self._paused()

    def healthy(self) -> str:
        """Return "", or why no mail can be taken now."""
        return self._trouble()

    async def keep(self, raw: bytes, envelope: Envelope) -> int:
        """Commit the mail to disk and return its spool number; nobody is told 250 before."""
        failpoint("mail-received")
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[int] = loop.create_future()
        self._writer.submit(raw, envelope).add_done_callback(partial(self._ended, loop, kept))
        spool_id = await kept
        failpoint("mail-kept")
        return spool_id

    def _ended(self, loop: asyncio.AbstractEventLoop, kept: asyncio.Future[int], future: Future[int]) -> None:
        """Note in the writer's thread how a mail ended. The loop is woken once for all that share a commit."""
        self._done.append((kept, future))
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._told = False
        while self._done:
            kept, future = self._done.popleft()
            if kept.done():
                continue
            error = future.exception()
            if error is None:
                kept.set_result(future.result())
            else:
                kept.set_exception(error)

    async def authenticate(self, user: str, password: str) -> str | None:
        """Return the key of the person whose credentials these are, or None."""
        return await asyncio.to_thread(self._config.authenticate, user, password)
