"""The relay of a house under torture: it takes mail, and remembers what it said of each; its moods are set from outside."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

STAGES = ("connect", "banner", "EHLO", "MAIL", "RCPT", "DATA", "dot", "QUIT")
ANSWERS = ("hang", "4xx", "5xx", "421", "garbage", "cut")
_REPLIES = {"4xx": b"451 4.7.1 not now\r\n", "5xx": b"554 5.7.1 never\r\n", "421": b"421 4.3.2 going down\r\n",
            "garbage": b"\x00\xff<html> what?\r\n"}
Mood = Callable[[str], str]
"""Stage -> one of ANSWERS, or "" for the good answer."""


def good(stage: str) -> str:
    """The mood of a relay that works."""
    return ""


@dataclass(frozen=True)
class Came:
    """A mail that came whole. `sure` unless its sender cannot know that it was taken."""

    sender: str
    recipient: str
    raw: bytes
    sure: bool


class Relay:
    """`with Relay() as relay:` listens on `relay.port`; the port stays its own while it is down.

    came      what came whole and was not refused, in order
    refused   envelope senders (each outgoing mail has its own) that were told 5xx
    """

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.refused: set[str] = set()
        self.mood: Mood = good
        self._news = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()

    def up(self) -> None:
        """Listen again, in the best of moods."""
        self.heal()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self.port = int(self._listener.getsockname()[1])
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and end those that there are."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._cut_all()

    def heal(self) -> None:
        """Work again; connections that hang are cut."""
        self.mood = good
        self._cut_all()

    def wait(self, count: int, seconds: float) -> bool:
        """Return whether so many mails came within `seconds`."""
        with self._news:
            return self._news.wait_for(lambda: len(self.came) >= count, seconds)

    def _cut_all(self) -> None:
        with self._news:
            there = list(self._open)
            self._news.notify_all()
        for sock in there:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._news:
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            _Session(self, sock).run()
        except (OSError, EOFError):
            pass
        finally:
            with self._news:
                self._open.discard(sock)
            sock.close()

    def note(self, came: Came) -> None:
        """Remember a mail."""
        with self._news:
            self.came.append(came)
            self._news.notify_all()

    def hang(self, sock: socket.socket) -> None:
        """Say nothing until somebody ends the connection."""
        while sock.recv(65536):
            pass
        raise EOFError


class _Session:
    """One connection."""

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self._relay, self._sock, self._file = relay, sock, sock.makefile("rb")
        self._sender, self._recipient = "", ""

    def run(self) -> None:
        answer = self._relay.mood("connect")
        if answer:
            self._misbehave(answer)
            return
        self._say("banner", b"220 relay.test ESMTP\r\n")
        while line := self._file.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            address = rest.partition("<")[2].partition(">")[0]
            match verb.upper():
                case "EHLO":
                    self._say("EHLO", b"250-relay.test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n")
                case "MAIL":
                    self._sender = self._recipient = ""
                    if self._say("MAIL", b"250 2.1.0 ok\r\n", address):
                        self._sender = address
                case "RCPT" if self._sender:
                    if self._say("RCPT", b"250 2.1.5 ok\r\n", self._sender):
                        self._recipient = address
                case "DATA" if self._recipient:
                    if self._say("DATA", b"354 go on\r\n", self._sender):
                        self._content()
                case "RSET" | "NOOP":
                    self._sender = self._recipient = ""
                    self._sock.sendall(b"250 2.0.0 ok\r\n")
                case "QUIT":
                    self._say("QUIT", b"221 2.0.0 bye\r\n")
                    return
                case _:
                    self._sock.sendall(b"503 5.5.1 not now\r\n")

    def _content(self) -> None:
        raw = bytearray()
        while (line := self._file.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise EOFError
            raw += line.removeprefix(b".")
        answer = self._relay.mood("dot")
        if answer in ("", "cut", "hang", "garbage"):
            self._relay.note(Came(self._sender, self._recipient, bytes(raw), sure=not answer))
        if answer == "5xx":
            self._relay.refused.add(self._sender)
        if answer:
            self._misbehave(answer)
        else:
            self._sock.sendall(b"250 2.0.0 Ok: queued\r\n")
        self._sender = self._recipient = ""

    def _say(self, stage: str, usual: bytes, sender: str = "") -> bool:
        """Answer as the mood is; return whether it was the good answer."""
        answer = self._relay.mood(stage)
        if not answer:
            self._sock.sendall(usual)
            return True
        if answer == "5xx" and sender:
            self._relay.refused.add(sender)
        self._misbehave(answer)
        return False

    def _misbehave(self, answer: str) -> None:
        if answer == "cut":
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise EOFError
        if answer == "hang":
            self._relay.hang(self._sock)
        self._sock.sendall(_REPLIES[answer])
