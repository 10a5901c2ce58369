"""A listener in a thread with a fake acceptor behind it, and a raw client to talk to it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from rtmail.errors import UnknownRecipient
from rtmail.ingress.smtp import Limits, Listener, Settings, Shares, Where
from rtmail.mail.model import Envelope

T = TypeVar("T")
KNOWN = {"support@example.com", "sales@example.com", "postmaster@example.com", "grün@example.com"}
ARRIVED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class FakeAcceptor:
    """Keeps in memory; each fault is an attribute."""

    kept: list[tuple[bytes, Envelope]] = field(default_factory=list)
    ill: str = ""
    full: Exception | None = None
    keeping: Exception | None = None
    gate: asyncio.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)
    sizes: list[int] | None = None
    """Set to note lengths instead of keeping the bytes."""

    def recipient(self, address: str) -> None:
        if address not in KNOWN:
            raise UnknownRecipient(address)

    def room(self) -> None:
        if self.full:
            raise self.full

    def healthy(self) -> str:
        return self.ill

    async def keep(self, raw: bytes, envelope: Envelope) -> int:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.keeping:
            raise self.keeping
        if self.sizes is not None:
            self.sizes.append(len(raw))
            return len(self.sizes)
        self.kept.append((raw, envelope))
        return len(self.kept)

    async def authenticate(self, user: str, password: str) -> str | None:
        return "jane" if (user, password) == ("jane@example.com", "sécret") else None


class House:
    """`with House(tmp_path) as house:` listens on `house.port`, or on `house.path` for a unix socket."""

    def __init__(self, folder: Path, *, kind: Literal["smtp", "lmtp"] = "smtp", limits: Limits | None = None, where: Where | None = None,
                 **settings: Any) -> None:
        self.acceptor = FakeAcceptor()
        self.spill = folder / "spill"
        self._limits, self._where, self._kind = limits or Limits(), where or Where(), kind
        self._settings = Settings("mx.example.com", "example.com", self.spill, **settings)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def do(self, work: Coroutine[Any, Any, T], seconds: float = 20) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    async def _start(self) -> None:
        self.shares = Shares(self._limits)
        self.listener = Listener(self._kind, self.acceptor, self._settings, self.shares, lambda: ARRIVED, self._where)
        await self.listener.start()

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._start())
        self.port, self.path = self.listener.port, self._where.path
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.do(self.listener.drain(0))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def client(self, source: str = "127.0.0.1") -> Client:
        if self.path:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(10)
            sock.connect(self.path)
        else:
            sock = socket.create_connection(("127.0.0.1", self.port), 10, (source, 0))
        return Client(sock)


class Client:
    """Speaks raw bytes, and reads replies whole."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    def reply(self) -> str:
        """Return the next reply, its lines joined by newlines; "" when the connection ended."""
        lines = []
        while line := self._file.readline().decode():
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def say(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def hello(self, verb: str = "EHLO") -> str:
        """Take the banner and greet."""
        assert self.reply().startswith("220 ")
        return self.say(f"{verb} client.test")

    def begin(self, *recipients: str, verb: str = "EHLO", sender: str = "ann@customer.test") -> None:
        """Go as far as 354."""
        self.hello(verb)
        assert self.say(f"MAIL FROM:<{sender}>").startswith("250")
        for recipient in recipients or ("support@example.com",):
            assert self.say(f"RCPT TO:<{recipient}>").startswith("250")
        assert self.say("DATA").startswith("354")

    def ended(self) -> bool:
        """Tell whether the connection ends here; waits for it."""
        try:
            return self.reply() == ""
        except ConnectionError:
            return True

    def close(self) -> None:
        self._file.close()
        self.sock.close()


def until(what: Callable[[], bool], seconds: float = 10) -> None:
    """Return once `what()` holds; fails when it does not within `seconds`."""
    pause = threading.Event()
    for _ in range(int(seconds * 200)):
        if what():
            return
        pause.wait(0.005)
    raise AssertionError("waited in vain")
