"""The dialogue with an MTA once it knows us: commands alone or several at once, replies in their order (RFC 5321, RFC 2920).

aiosmtplib connects and introduces us, but reads one reply for each write; from then on `relay` talks through this, over the
same transport. Whatever the peer says that nobody asked for ends the connection: taken for the answer to the next command, it
could make a mail look sent that nobody took.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass

_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_MOST_BYTES = 32 << 10
"""What may come of one reply before it is whole."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; `text` is without the codes, its lines joined by line ends."""

    code: int
    text: str


class Broken(ConnectionError):  # noqa: N818  (what became of it, as in rtmail.errors)
    """The connection serves no more; the text says why."""


class Dialogue(asyncio.Protocol):
    """Takes a transport over: from now on what arrives there is read here."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = bytearray()
        self._lines: list[str] = []
        self._replies: deque[Reply] = deque()
        self._due = 0
        self._broken = ""
        self._news = asyncio.Event()
        transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """The connection stands, and neither side waits for the other."""
        return not (self._broken or self._due or self._transport.is_closing())

    def send(self, *commands: bytes, answers: int = 1) -> None:
        """Write commands, which bring their own line ends, as one piece; each of `answers` is then read by `reply`. Raises Broken."""
        if self._broken or self._transport.is_closing():
            raise Broken(self._broken or "the connection is closed")
        self._due += answers
        self._transport.write(b"".join(commands))

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply that is due. Raises Broken, also when it does not come in time."""
        if not self._replies:
            await self._some_reply(seconds)
        self._due -= 1
        return self._replies.popleft()

    async def _some_reply(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self._replies:
                    if self._broken:
                        raise Broken(self._broken)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self._break("no answer in time")
            raise Broken(self._broken) from None

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        self._held += data
        while not self._broken and (end := self._held.find(b"\n")) >= 0:
            line = bytes(self._held[:end]).rstrip(b"\r")
            del self._held[: end + 1]
            self._take(line)
        if len(self._held) + sum(map(len, self._lines)) > _MOST_BYTES:
            self._break("an answer without end")

    def eof_received(self) -> None:
        self._break("the relay closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(f"the connection broke ({exc})" if exc else "the relay closed the connection")

    def _take(self, line: bytes) -> None:
        found = _REPLY.fullmatch(line)
        said = line.decode("utf-8", "replace")
        if found is None:
            self._break(f"not an answer of SMTP: {said[:200]}")
            return
        self._lines.append(said[4:].strip())
        if found[2] == b"-":
            return
        if len(self._replies) == self._due:
            self._break(f"it says unasked: {said[:200]}")
            return
        self._replies.append(Reply(int(found[1]), "\n".join(self._lines)))
        self._lines.clear()
        self._news.set()

    def _break(self, why: str) -> None:
        self._broken = self._broken or why
        self._news.set()
