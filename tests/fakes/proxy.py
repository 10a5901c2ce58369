"""A line between two programs that a test can cut the ugly way: nothing arrives any more, and neither side is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Line:
    """`with Line(port) as line:` forwards what connects to `line.port` to `port` on this machine."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self._epoch = 0
        self._sockets: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """End every connection; both sides are told."""
        for sock in list(self._sockets):
            self._end(sock)

    def freeze(self) -> int:
        """Swallow, from now on, all that the present connections say, without a FIN; new ones work. Returns how many there are."""
        self._epoch += 1
        return len(self._sockets)

    def _passes(self, epoch: int) -> bool:
        """Whether what is said on a connection of that epoch arrives."""
        return self._epoch == epoch

    def _lasts(self, data: bytes, answer: bool) -> bool:
        """Whether the connection outlives `data`, an answer of the far side or a word of the near one."""
        return True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._sockets |= {near, far}
            for one, other, answers in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=(one, other, answers, self._epoch), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, answers: bool, epoch: int) -> None:
        with contextlib.suppress(OSError):
            while (data := one.recv(65536)) and self._lasts(data, answers):
                if self._passes(epoch):
                    other.sendall(data)
        if self._passes(epoch):
            self._end(one)
            self._end(other)

    def _end(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(sock)
        sock.close()
