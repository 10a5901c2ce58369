"""The floors, each a process of its own: a bare aiosmtpd that discards, one with an SQLite commit for each mail, and one with
a commit for all mails that came meanwhile. What Postfix does is measured by `postfix`."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Discarding:
    """Floor A: the mail is read from the socket and forgotten."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return "250 2.0.0 taken"


def database(file: Path) -> sqlite3.Connection:
    opened = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        opened.execute(f"PRAGMA {pragma}")
    opened.execute("CREATE TABLE mail (id integer PRIMARY KEY, sender text, recipients text, raw blob)")
    return opened


INSERT = "INSERT INTO mail (sender, recipients, raw) VALUES (?, ?, ?)"


class Committing:
    """Floor B: one durable commit for each mail, as a straightforward server would do it."""

    def __init__(self, file: Path) -> None:
        self._database = database(file)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._database.execute(INSERT, (envelope.mail_from, " ".join(envelope.rcpt_tos), envelope.content))
        return "250 2.0.0 taken"


class Gathering:
    """Floor C: a commit for all mails that came while the one before was under way; in a thread, so that others go on."""

    def __init__(self, file: Path) -> None:
        self._database = database(file)
        self._waiting: list[tuple[tuple[object, ...], asyncio.Future[None]]] = []
        self._working: asyncio.Task[None] | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((envelope.mail_from, " ".join(envelope.rcpt_tos), envelope.content), kept))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        await kept
        return "250 2.0.0 taken"

    async def _work(self) -> None:
        while batch := self._waiting:
            self._waiting = []
            await asyncio.to_thread(self._commit, [row for row, _ in batch])
            for _, kept in batch:
                kept.set_result(None)
        self._working = None

    def _commit(self, rows: list[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(INSERT, rows)
        self._database.execute("COMMIT")


async def serve(port: int, handler: object) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, data_size_limit=32 << 20, hostname="floor.example"), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("floor", choices=["A", "B", "C"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    given = parser.parse_args()
    handlers: dict[str, Callable[[], object]] = {
        "A": Discarding, "B": lambda: Committing(given.file), "C": lambda: Gathering(given.file)
    }  # fmt: skip
    asyncio.run(serve(given.port, handlers[given.floor]()))


if __name__ == "__main__":
    main()
