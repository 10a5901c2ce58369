"""The load, a process of its own: so many connections hand mails to an SMTP server, as fast as it takes them or at a rate.

Writes one line for each accepted mail, `INSTANT MESSAGE-ID`; instants are seconds of the machine's monotonic clock, which
all processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.mails import mails


class Refused(Exception):  # noqa: N818
    """The server did not take what it should have taken."""


class Client:
    """One connection. Speaks just enough SMTP, so that the load costs less than what it measures."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def _answer(self, wanted: bytes) -> None:
        while True:
            line = await self._reader.readline()
            if line[3:4] != b"-":
                break
        if not line.startswith(wanted):
            raise Refused(line.decode("utf-8", "replace").strip() or "connection closed")

    async def say(self, line: bytes, wanted: bytes = b"250") -> None:
        self._writer.write(line + b"\r\n")
        await self._answer(wanted)

    async def greet(self) -> None:
        await self._answer(b"220")
        await self.say(b"EHLO bench.example")

    async def send(self, sender: str, recipient: str, raw: bytes) -> None:
        await self.say(f"MAIL FROM:<{sender}>".encode())
        await self.say(f"RCPT TO:<{recipient}>".encode())
        await self.say(b"DATA", b"354")
        self._writer.write(raw)
        await self.say(b"\r\n.")

    async def quit(self) -> None:
        with contextlib.suppress(Refused, OSError):
            await self.say(b"QUIT", b"221")
        self._writer.close()


async def run(port: int, connections: int, count: int, seconds: float, rate: float, seed: int) -> list[tuple[float, str]]:
    """Send until `count` mails went or `seconds` passed, whichever is first; `rate` 0 means as fast as they are taken.

    Returns instant and Message-ID of each accepted mail.
    """
    supply: Iterator[tuple[str, str, bytes]] = mails(seed)
    accepted: list[tuple[float, str]] = []
    begun = time.monotonic()
    taken = 0

    async def one() -> None:
        nonlocal taken
        client = Client(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 16))
        await client.greet()
        while taken < count and time.monotonic() - begun < seconds:
            place, taken = taken, taken + 1
            if rate:
                await asyncio.sleep(max(0.0, begun + place / rate - time.monotonic()))
            message_id, sender, raw = next(supply)
            await client.send(sender, "support@example.com", raw)
            accepted.append((time.monotonic(), message_id))
        await client.quit()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(one())
    return accepted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--count", type=int, default=1 << 40)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    begun = time.monotonic()
    accepted = asyncio.run(run(given.port, given.connections, given.count, given.seconds, given.rate, given.seed))
    print(f"{begun:.6f} {len(accepted)} {time.monotonic() - begun:.6f}")
    given.out.write_text("".join(f"{at:.6f} {message_id}\n" for at, message_id in accepted))


if __name__ == "__main__":
    main()
