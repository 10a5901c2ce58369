"""Where rtmail's mails go, a process of its own: takes everything, and notes `INSTANT RECIPIENT IN-REPLY-TO` for each mail."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import time
from pathlib import Path
from typing import TextIO

ANSWERED = re.compile(rb"^In-Reply-To:\s*(<[^>]*>)", re.MULTILINE | re.IGNORECASE)


async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, out: TextIO, delay: float) -> None:
    recipients: list[str] = []
    with contextlib.suppress(ConnectionError):
        writer.write(b"220 sink.example ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                raw = await reader.readuntil(b"\r\n.\r\n")
                if delay:
                    await asyncio.sleep(delay)
                answered = ANSWERED.search(raw[: raw.find(b"\r\n\r\n")])
                for recipient in recipients:
                    out.write(f"{time.monotonic():.6f} {recipient} {answered[1].decode() if answered else '-'}\n")
                writer.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                if verb == b"MAIL":
                    recipients = []
                elif verb == b"RCPT":
                    recipients.append(line.partition(b"<")[2].partition(b">")[0].decode())
                writer.write(b"250 2.0.0 ok\r\n")
    writer.close()


async def serve(port: int, out: TextIO, delay: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: session(reader, writer, out, delay), "127.0.0.1", port, limit=32 << 20)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until a mail is answered")
    given = parser.parse_args()
    with given.out.open("w", buffering=1) as out:
        asyncio.run(serve(given.port, out, given.delay))


if __name__ == "__main__":
    main()
