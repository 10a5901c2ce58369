"""An MTA that does one thing wrong: at a chosen stage it hangs, refuses, talks nonsense or goes away."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

STAGES = ("connect", "banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot", "QUIT")
ANSWERS = ("hang", "4xx", "5xx", "421", "garbage", "cut", "endless")
_REPLIES = {
    "4xx": b"451 4.7.1 not now\r\n", "5xx": b"554 5.7.1 never\r\n", "421": b"421 4.3.2 going down\r\n",
    "garbage": b"\x00\xff<html> what?\r\n",
}


class BadMta:
    """`with BadMta("RCPT", "4xx") as mta:` listens on `mta.port`.

    answer      one of ANSWERS, "twice" for a good answer that is said twice, or the bytes that it says instead
    times       how often it misbehaves before it behaves; None: always.   tls: offered as STARTTLS
    pipelining  offered; `lenient`: it says 354 although it took no recipient
    commands is what it heard, in order, `early` those behind which more was sent before they were answered; mails what it got
    whole, dot included, for somebody.
    """

    def __init__(self, stage: str, answer: str | bytes, *, times: int | None = None, tls: ssl.SSLContext | None = None,
                 pipelining: bool = False, lenient: bool = False) -> None:
        self._stage, self._answer, self._times, self._tls = stage, answer, times, tls
        self._pipelining, self._lenient = pipelining, lenient
        self.commands: list[str] = []
        self.early: list[str] = []
        self.mails: list[bytes] = []
        self.logins: list[bytes] = []
        self.offers = b"AUTH PLAIN LOGIN"
        self.connections = self.ended = 0
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

    def wait_ended(self, count: int, seconds: float = 10) -> None:
        """Return once so many connections are over."""
        with self._news:
            assert self._news.wait_for(lambda: self.ended >= count, seconds), self.ended

    def turn(self, stage: str, answer: str) -> None:
        """From now on it misbehaves at another stage."""
        self._stage, self._answer = stage, answer

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
            with self._news:
                self.ended += 1
                self._news.notify_all()

    def _talk(self, sock: socket.socket) -> None:
        if self._misbehaves("connect"):
            self._misbehave(sock, "connect", b"")
            return
        self._say(sock, "banner", b"220 bad.test ESMTP\r\n")
        lines = _Lines(sock)
        sender, recipients = False, 0
        while line := lines.next():
            verb = line.split()[0].decode("ascii", "replace").upper() if line.strip() else ""
            with self._news:
                self.commands.append(verb)
                if lines.more():
                    self.early.append(verb)
                self._news.notify_all()
            match verb:
                case "EHLO":
                    offers = [b"bad.test", b"8BITMIME", self.offers] + ([b"STARTTLS"] if self._tls else [])
                    offers += [b"PIPELINING"] if self._pipelining else []
                    self._say(sock, "EHLO", b"".join(b"250-" + offer + b"\r\n" for offer in offers) + b"250 HELP\r\n")
                case "STARTTLS":
                    self._say(sock, "STARTTLS", b"220 go\r\n")
                    assert self._tls is not None
                    sock = self._tls.wrap_socket(sock, server_side=True)
                    self._open.append(sock)
                    lines = _Lines(sock)
                case "AUTH":
                    self.logins.append(line)
                    self._say(sock, "AUTH", b"235 2.7.0 ok\r\n")
                case "MAIL" | "RSET" | "NOOP":
                    recipients, good = 0, self._say(sock, verb, b"250 2.0.0 ok\r\n")
                    sender = good and verb == "MAIL"
                case "RCPT" if sender:
                    recipients += self._say(sock, verb, b"250 2.0.0 ok\r\n")
                case "RCPT":
                    sock.sendall(b"503 5.5.1 MAIL first\r\n")
                case "DATA" if recipients or self._lenient:
                    if not self._say(sock, "DATA", b"354 go on\r\n"):
                        continue
                    mail = bytearray()
                    while (line := lines.next()) != b".\r\n":
                        if not line:
                            raise EOFError
                        mail += line
                    if not recipients:
                        assert not mail, "a mail for nobody"
                        sock.sendall(b"554 5.5.1 no valid recipients\r\n")
                        continue
                    self.mails.append(bytes(mail))
                    self._say(sock, "dot", b"250 2.0.0 queued\r\n")
                case "DATA":
                    sock.sendall(b"503 5.5.1 no valid recipients\r\n")
                case "QUIT":
                    self._say(sock, "QUIT", b"221 2.0.0 bye\r\n")
                    return
                case "" if self.commands[-2:-1] == ["AUTH"]:
                    sock.sendall(b"535 5.7.8 not this token\r\n")
                case _:
                    sock.sendall(b"500 5.5.2 what\r\n")

    def _say(self, sock: socket.socket, stage: str, good: bytes) -> bool:
        """Answer; True when it was the good answer, and once."""
        if not self._misbehaves(stage):
            sock.sendall(good)
            return True
        return self._misbehave(sock, stage, good)

    def _misbehave(self, sock: socket.socket, stage: str, good: bytes) -> bool:
        match self._answer:
            case "hang":
                self._over.wait()
                raise EOFError
            case "cut":
                self._cut(sock)
            case "endless":
                while True:
                    sock.sendall(b"250-and more\r\n" * 100)
            case bytes(answer):
                sock.sendall(answer)
            case "twice":
                sock.sendall(good + good)
                return True
            case answer:
                sock.sendall(_REPLIES[answer])
        if stage == "STARTTLS":
            # What follows is no TLS.
            self._over.wait()
            raise EOFError
        return False

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


class _Lines:
    """What comes in, a line at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._held = sock, b""

    def next(self) -> bytes:
        """Return the next line with its end, b"" when there is none any more."""
        while b"\n" not in self._held:
            data = self._sock.recv(65536)
            if not data:
                return b""
            self._held += data
        line, end, self._held = self._held.partition(b"\n")
        return line + end

    def more(self) -> bool:
        """Tell whether the client said more before it was answered."""
        return bool(self._held or select.select([self._sock], [], [], 0)[0])
