"""How a daemon is watched: `/metrics` and `/health` over HTTP, and a heartbeat that tells somebody outside that all is well.

Run by the daemon in its event loop. Whoever looks gets one answer a connection; the figures are made in a thread. Nothing here
stands on the way of a mail, and none of it is there unless `[web]` or RTMAIL_HEARTBEAT_URL is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from rtmail import __version__, log
from rtmail.config import Config, Listen
from rtmail.engine.canary import Heard
from rtmail.ingress.smtp import Where, unix_socket

if TYPE_CHECKING:
    from rtmail.ops.metrics import Figures
    from rtmail.store import Store

PATIENCE_SECONDS = 10.0
"""For a request to come in, and for its answer to be taken."""
LOOKERS = 16
"""Connections at once; more are closed."""
REQUEST_BYTES = 16 * 1024
BEAT_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Live:
    """How the daemon is at this moment.

    failed     why it does not work, "" while it does: it takes no mail, or stands still
    troubles   what a person should look at
    mailboxes  name -> when it was read last (None: never), and its trouble
    dropped    lines of the log that nobody read
    """

    failed: str = ""
    troubles: tuple[str, ...] = ()
    relay_up: bool = True
    mailboxes: Mapping[str, tuple[datetime | None, str]] = field(default_factory=dict)
    canary: Heard | None = None
    canary_missed: bool = False
    heartbeat_at: datetime | None = None
    dropped: int = 0


class Eyes:
    """Whatever of it the config wants; `start` and `stop` in the event loop."""

    def __init__(self, config: Config, store: Store, clock: Callable[[], datetime], live: Callable[[], Live]) -> None:
        self._clock, self._live = clock, live
        self._listen: Listen | None = config.web.listen
        self._mode = config.web.mode
        self._url, self._every = config.heartbeat_url, config.heartbeat.every.total_seconds()
        self._figures: Figures | None = None
        if self._listen is not None:
            from rtmail.ops.metrics import Figures

            self._figures = Figures(store, clock, self.live)
        self._server: asyncio.Server | None = None
        self._beating: asyncio.Task[None] | None = None
        self._lookers = 0
        self.beat_at: datetime | None = None

    async def start(self) -> None:
        """Listen, and begin to beat. Raises OSError when the place is taken."""
        where = self._listen
        if where is not None and where.path:
            sock = unix_socket(Where(path=where.path, mode=self._mode))
            self._server = await asyncio.start_unix_server(self._looked, sock=sock, limit=REQUEST_BYTES)
        elif where is not None:
            self._server = await asyncio.start_server(self._looked, where.host, where.port, limit=REQUEST_BYTES)
        if self._url:
            self._beating = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Answer nobody any more."""
        if self._beating is not None:
            self._beating.cancel()
        if self._server is not None:
            self._server.close()
            if self._listen is not None and self._listen.path:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._listen.path)
        if self._figures is not None:
            self._figures.close()

    def live(self) -> Live:
        """Return how the daemon is, with what only we know of it."""
        return replace(self._live(), heartbeat_at=self.beat_at)

    # -- who looks ----------------------------------------------------------------------------------------------

    async def _looked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lookers += 1
        try:
            if self._lookers <= LOOKERS:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    method, path = _asked(await reader.readuntil(b"\r\n\r\n"))
                    status, kind, body = await self._answer(method, path)
                    log.asked(path=path if status is not HTTPStatus.NOT_FOUND else "", status=status)
                    writer.write(_written(status, kind, body, head=method == "HEAD"))
                    await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not somebody who wanted figures
        except Exception as error:
            log.failed(stage="web", error=error)
        finally:
            self._lookers -= 1
            writer.close()

    async def _answer(self, method: str, path: str) -> tuple[HTTPStatus, str, bytes]:
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", b"GET or HEAD\n"
        if path == "/metrics" and self._figures is not None:
            from rtmail.ops.metrics import CONTENT_TYPE

            return HTTPStatus.OK, CONTENT_TYPE, await asyncio.to_thread(self._figures.text)
        if path == "/health":
            live = self.live()
            said = {"status": "failed" if live.failed else "trouble" if live.troubles else "ok", "version": __version__,
                    "failed": live.failed, "troubles": list(live.troubles)}
            status = HTTPStatus.SERVICE_UNAVAILABLE if live.failed else HTTPStatus.OK
            return status, "application/json", json.dumps(said, ensure_ascii=False).encode() + b"\n"
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"/metrics or /health\n"

    # -- the heartbeat ------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Ask the URL again and again while mail comes in and goes out; whoever is behind it calls somebody when we fall silent.

        A relay that is down is a reason: then the admin cannot be told by mail.
        """
        failing = False
        while True:
            live = self.live()
            if not live.failed and live.relay_up and not live.canary_missed:
                try:
                    await asyncio.to_thread(_get, self._url)
                except Exception as error:  # an HTTPException, a URL that is none: whatever it is, it comes again
                    if not failing:
                        log.heartbeat_failed(error=error)
                    failing = True
                else:
                    failing, self.beat_at = False, self._clock()
            await asyncio.sleep(self._every)


def _get(url: str) -> None:
    from urllib.request import Request, urlopen

    with urlopen(Request(url, headers={"User-Agent": f"rtmail/{__version__}"}), timeout=BEAT_PATIENCE_SECONDS) as answer:
        answer.read(1024)


def _asked(head: bytes) -> tuple[str, str]:
    """Return method and path of a request. Raises ValueError."""
    method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    return method, target.partition("?")[0]


def _written(status: HTTPStatus, kind: str, body: bytes, *, head: bool) -> bytes:
    fields = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {kind}", f"Content-Length: {len(body)}",
              "Cache-Control: no-store", "X-Content-Type-Options: nosniff", "Connection: close"]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + (b"" if head else body)
