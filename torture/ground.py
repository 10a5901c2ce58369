"""What a house under torture stands on: a small disk that can be filled, a door that swallows answers, a log that nobody reads."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class Disk:
    """`with Disk(folder) as disk:` is a file system in memory of its own; `disk.trouble` says why it could not be had."""

    SIZE = 200 << 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble = ""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.trouble = self._mount(f"size={self.SIZE},nr_inodes=4000")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.trouble:
            subprocess.run([*_SUDO, "umount", "-l", str(self.folder)], check=False)

    def full(self, spare: int) -> None:
        """Leave so many bytes."""
        there = os.statvfs(self.folder)
        used = (there.f_blocks - there.f_bfree) * there.f_frsize
        self._mount(f"remount,size={used + spare}")

    def no_inodes(self) -> None:
        """Leave room for no new file."""
        there = os.statvfs(self.folder)
        self._mount(f"remount,nr_inodes={there.f_files - there.f_ffree}")

    def room(self) -> None:
        """Have room again."""
        self._mount(f"remount,size={self.SIZE},nr_inodes=4000")

    def _mount(self, options: str) -> str:
        words = [*_SUDO, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""


_SUDO = [] if os.geteuid() == 0 else ["sudo", "-n"]


class Door:
    """`with Door(port) as door:` stands before a listener; while `swallow` it cuts each connection before the answer to a mail arrives.

    `swallowed` counts those answers. While `silent` nothing gets through any more, either way, and nobody is told.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self.swallow = self.silent = False
        self.swallowed = 0
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
        """End every connection."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Let everything through again; what was silent is cut."""
        self.swallow = False
        if self.silent:
            self.silent = False
            self.cut()

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
                threading.Thread(target=self._pump, args=(one, other, answers), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if answers and self.swallow and b" kept as " in data:
                    self.swallowed += 1
                    break
                if not self.silent:
                    other.sendall(data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(one)
        one.close()


class Blocked:
    """A pipe for a log, whose reader stands still until `drain`."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._end, b"." * 4096)

    def close(self) -> None:
        """Read nothing more."""
        os.close(self._end)
