"""The floors, each a process of its own: a bare aiosmtpd that discards, and one with an SQLite commit for each mail."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Discarding:
    """Floor A: the mail is read from the socket and forgotten."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return "250 2.0.0 taken"


class Committing:
    """Floor B: one durable commit for each mail, as a straightforward server would do it."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE mail (id integer PRIMARY KEY, sender text, recipients text, raw blob)")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        row = (envelope.mail_from, " ".join(envelope.rcpt_tos), envelope.content)
        self._database.execute("INSERT INTO mail (sender, recipients, raw) VALUES (?, ?, ?)", row)
        return "250 2.0.0 taken"


async def serve(port: int, handler: object) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, data_size_limit=32 << 20, hostname="floor.example"), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("floor", choices=["A", "B"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.port, Discarding() if given.floor == "A" else Committing(given.file)))


if __name__ == "__main__":
    main()
