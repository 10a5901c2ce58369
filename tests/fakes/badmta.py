"""An MTA that does one thing wrong: at a chosen stage it hangs, refuses, talks nonsense or goes away."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

STAGES = ("connect", "banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot", "QUIT")
ANSWERS = ("hang", "4xx", "5xx", "421", "garbage", "cut")
_REPLIES = {
    "4xx": b"451 4.7.1 not now\r\n", "5xx": b"554 5.7.1 never\r\n", "421": b"421 4.3.2 going down\r\n",
    "garbage": b"\x00\xff<html> what?\r\n",
}


class BadMta:
    """`with BadMta("RCPT", "4xx") as mta:` listens on `mta.port`.

    times  how often it misbehaves before it behaves; None: always.   tls: offered as STARTTLS
    commands is what it heard, in order; mails what it got whole, dot included.
    """

    def __init__(self, stage: str, answer: str, *, times: int | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._stage, self._answer, self._times, self._tls = stage, answer, times, tls
        self.commands: list[str] = []
        self.mails: list[bytes] = []
        self.connections = 0
        self._over = threading.Event()
        self._news = threading.Condition()
        self._open: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        if (self._stage, self._answer) == ("connect", "hang"):
            # With nobody accepting and the backlog full, the kernel drops what knocks.
            self._listener.listen(0)
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", self.port))
                self._open.append(filler)
        else:
            self._listener.listen(50)
            threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def wait_for(self, verb: str, seconds: float = 10) -> None:
        """Return once the command was heard; fails when it is not within `seconds`."""
        with self._news:
            assert self._news.wait_for(lambda: verb in self.commands, seconds), self.commands

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            self._talk(sock)
        except (OSError, EOFError):
            pass
        finally:
            sock.close()

    def _talk(self, sock: socket.socket) -> None:
        if self._misbehaves("connect"):
            if self._answer == "cut":
                self._cut(sock)
            else:
                sock.sendall(_REPLIES[self._answer])
            return
        self._say(sock, "banner", b"220 bad.test ESMTP\r\n")
        file = sock.makefile("rb")
        while line := file.readline():
            verb = line.split()[0].decode("ascii", "replace").upper() if line.strip() else ""
            with self._news:
                self.commands.append(verb)
                self._news.notify_all()
            match verb:
                case "EHLO":
                    offers = [b"bad.test", b"8BITMIME", b"AUTH PLAIN LOGIN"] + ([b"STARTTLS"] if self._tls else [])
                    self._say(sock, "EHLO", b"".join(b"250-" + offer + b"\r\n" for offer in offers) + b"250 HELP\r\n")
                case "STARTTLS":
                    self._say(sock, "STARTTLS", b"220 go\r\n")
                    assert self._tls is not None
                    sock = self._tls.wrap_socket(sock, server_side=True)
                    self._open.append(sock)
                    file = sock.makefile("rb")
                case "AUTH":
                    self._say(sock, "AUTH", b"235 2.7.0 ok\r\n")
                case "MAIL" | "RCPT" | "RSET" | "NOOP":
                    self._say(sock, verb, b"250 2.0.0 ok\r\n")
                case "DATA":
                    self._say(sock, "DATA", b"354 go on\r\n")
                    mail = bytearray()
                    while (line := file.readline()) != b".\r\n":
                        if not line:
                            raise EOFError
                        mail += line
                    self.mails.append(bytes(mail))
                    self._say(sock, "dot", b"250 2.0.0 queued\r\n")
                case "QUIT":
                    self._say(sock, "QUIT", b"221 2.0.0 bye\r\n")
                    return
                case _:
                    sock.sendall(b"500 5.5.2 what\r\n")

    def _say(self, sock: socket.socket, stage: str, good: bytes) -> None:
        if not self._misbehaves(stage):
            sock.sendall(good)
        elif self._answer == "hang":
            self._over.wait()
            raise EOFError
        elif self._answer == "cut":
            self._cut(sock)
        else:
            sock.sendall(_REPLIES[self._answer])
            if stage == "STARTTLS":
                # What follows is no TLS.
                self._over.wait()
                raise EOFError

    def _misbehaves(self, stage: str) -> bool:
        if stage != self._stage or self._times == 0:
            return False
        if self._times is not None:
            self._times -= 1
        return True

    def _cut(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        raise EOFError
