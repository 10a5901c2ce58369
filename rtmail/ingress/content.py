"""The DATA phase as values: bytes of the wire go in, content comes out, and nothing but CRLF . CRLF ends it.

Called by the SMTP and LMTP session for each chunk read. Keeps promise 1's bytes as they were sent: a bare CR or LF in the
content stays there and never ends it (CVE-2023-51764 and its kin), NUL passes.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import IO

END = b"\r\n.\r\n"
_HEADER_END = re.compile(rb"(?:\A|\n)\r?\n")
_RECEIVED = re.compile(rb"(?im)^received[ \t]*:")
HEADER_BYTES = 1024 * 1024


class Unwrapper:
    """Takes the dots of transparency out of a DATA phase and finds its end (RFC 5321 4.5.2).

    `feed` returns the content that a chunk settles; once `done`, `rest` is what the client sent after the end.
    """

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        # The end of the DATA line counts as the CRLF before a first line that is a lone dot.
        self._held = b"\r\n"
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        data = self._held + chunk
        end = data.find(END)
        if end >= 0:
            self.done, self.rest = True, data[end + len(END):]
            return self._plain(data[:end + 2])
        keep = next((n for n in range(len(END) - 1, 0, -1) if data.endswith(END[:n])), 0)
        self._held = data[len(data) - keep:]
        return self._plain(data[:len(data) - keep])

    def _plain(self, piece: bytes) -> bytes:
        piece = piece.replace(b"\r\n.", b"\r\n")
        if piece and not self._begun:
            self._begun = True
            return piece[2:]
        return piece


class LineMeter:
    """Notices a line longer than `limit` bytes in a stream of pieces, looking at each byte about once."""

    def __init__(self, limit: int) -> None:
        self._limit, self._run = limit, 0
        self.too_long = False

    def add(self, piece: bytes) -> None:
        start, room = 0, self._limit - self._run
        while len(piece) - start > room:
            end = piece.rfind(b"\n", start, start + room + 1)
            if end < 0:
                self.too_long = True
                return
            start, room = end + 1, self._limit
        last = piece.rfind(b"\n", start)
        self._run = len(piece) - last - 1 if last >= 0 else self._limit - room + len(piece) - start


class Content:
    """Content being received: in memory at first, in an unlinked file below `folder` once it is larger than `memory_bytes`.

    Files are written in threads, so that a slow disk stops no other session.
    """

    def __init__(self, memory_bytes: int, folder: Path) -> None:
        self._memory_bytes, self._folder = memory_bytes, folder
        self._tail = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    async def add(self, piece: bytes) -> None:
        self._tail += piece
        self.size += len(piece)
        if len(self._tail) >= self._memory_bytes:
            block, self._tail = self._tail, bytearray()
            await asyncio.to_thread(self._write, block)

    async def whole(self) -> bytes:
        """Return all of it; what lay in the file is read back."""
        if self._file is None:
            raw, self._tail = bytes(self._tail), bytearray()
            return raw
        return await asyncio.to_thread(self._read, self._file)

    def forget(self) -> int:
        """Drop what was received, and return how much it was."""
        dropped, self.size = self.size, 0
        self.close()
        return dropped

    def close(self) -> None:
        self._tail = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, block: bytearray) -> None:
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed by close()
        view = memoryview(block)
        while view:
            view = view[self._file.write(view):]

    def _read(self, file: IO[bytes]) -> bytes:
        self._write(self._tail)
        self._tail = bytearray()
        file.seek(0)
        return file.read()


def hops(raw: bytes) -> int:
    """Return how many Received fields the header of `raw` has (RFC 5321 6.3); looks at its first MiB."""
    head = raw[:HEADER_BYTES]
    end = _HEADER_END.search(head)
    return len(_RECEIVED.findall(head, 0, end.start() + 1 if end else len(head)))
