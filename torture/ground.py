"""What a house under torture stands on: a small disk that can be filled, a door that swallows answers, a log that nobody reads."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.proxy import Line


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


class Door(Line):
    """`with Door(port) as door:` stands before a listener; while `swallow` it cuts each connection before the answer to a mail arrives.

    `swallowed` counts those answers. While `silent` nothing gets through any more, either way, and nobody is told.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.swallow = self.silent = False
        self.swallowed = 0

    def heal(self) -> None:
        """Let everything through again; what was silent is cut."""
        self.swallow = False
        if self.silent:
            self.silent = False
            self.cut()

    def _passes(self, epoch: int) -> bool:
        return not self.silent

    def _lasts(self, data: bytes, answer: bool) -> bool:
        eaten = answer and self.swallow and b" kept as " in data
        self.swallowed += eaten
        return not eaten


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
