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
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._epoch = 0
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self._sockets:
            _end(sock)

    def freeze(self) -> int:
        """Swallow, from now on, all that the present connections say, without a FIN; new ones work. Returns how many there are."""
        self._epoch += 1
        return len([sock for sock in self._sockets if sock.fileno() >= 0])

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                _end(near)
                continue
            far.settimeout(None)
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other, self._epoch), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, epoch: int) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if self._epoch == epoch:
                    other.sendall(data)
        if self._epoch == epoch:
            _end(one)
            _end(other)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
