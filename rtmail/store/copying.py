"""The whole house in another database: table by table, of one unmoving state. For backups, and for moving to another engine.

What tables and columns there are is asked of the databases, which stand at the same migration; so nothing has to be kept up here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

from rtmail.errors import RtmailError
from rtmail.failpoint import failpoint
from rtmail.store.database import places, reads, writes
from rtmail.store.engines import HISTORY
from rtmail.store.faults import SchemaError
from rtmail.store.search import Search
from rtmail.store.values import clean, micros

PAGE = 500
_OWN = (HISTORY, "counter", "words")
"""Each engine has its own: the history of its migrations, the numbers given out (sequences), and the full-text index."""

Progress = Callable[[str, int], None]
"""Table, and how many more of its rows were copied."""


class NotEmpty(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """There is something in the database that was to be filled."""


def silent(table: str, rows: int) -> None:
    """Tell nobody how far it is."""


class Copies(Search):
    """The copying part of the store."""

    def snapshot(self, path: Path, progress: Progress = silent) -> None:
        """Write the state of one moment into the new SQLite file `path` (mode 0600); whoever writes meanwhile goes on.

        Raises FileExistsError, OSError, or what the store raises.
        """
        path.touch(mode=0o600, exist_ok=False)
        if self._engine.write_file(path):
            return
        made = type(self)(f"sqlite:///{path}")
        made.open()
        try:
            made.fill_from(self, progress)
        finally:
            made.close()

    def fill_from(self, other: Self, progress: Progress = silent) -> dict[str, int]:
        """Take over, into this empty store, all that `other` holds at one moment; return the rows of each table.

        Everything or nothing. Both are open. Raises NotEmpty, or what the stores raise.
        """
        return other._look(lambda: self.run(lambda: self._fill(other, progress)))

    def _fill(self, other: Self, progress: Progress) -> dict[str, int]:
        copied: dict[str, int] = {}
        for table, columns in sorted(other._engine.layout().items()):
            if table in _OWN:
                continue
            if self._rows(f"SELECT 1 FROM {table} LIMIT 1"):
                raise NotEmpty(f"there is something in its table {table}")
            named = ", ".join(columns)
            insert = f"INSERT INTO {table} ({named}) VALUES {places(len(columns))}"
            copied[table] = 0
            for page in other._engine.pages(f"SELECT {named} FROM {table}", PAGE):
                self._many(insert, page)
                copied[table] += len(page)
                progress(table, len(page))
            failpoint("copy-table")
        for page in other._engine.pages("SELECT id, subject, text FROM content WHERE erased = 0", PAGE):
            self._index([(id_, subject, text) for id_, subject, text in page])
            progress("words", len(page))
        for name, last in other._engine.counters().items():
            self._engine.raise_floor(name, last + 1)
        return copied

    @reads
    def sound(self) -> str:
        """Return "" when the database's own check of its pages finds nothing, else what it found."""
        return self._engine.sound()

    @reads
    def version(self) -> str:
        """Return the name of the last migration that was applied."""
        row = self._row(f"SELECT max(name) FROM {HISTORY}")
        if row is None or row[0] is None:
            raise SchemaError("there is no rtmail in it")
        return str(row[0])

    def file(self) -> Path | None:
        """Return the file that the database is, None for a server's."""
        return self._engine.file

    @reads
    def requests(self) -> int:
        """Return how many requests there are."""
        return int(self._rows("SELECT count(*) FROM ticket")[0][0])

    @reads
    def last_number(self) -> int:
        """Return the last number that a request got, or that was passed over."""
        return self._engine.counters()["number"]

    @reads
    def used(self) -> bool:
        """Tell whether anything ever came in or went out."""
        return any(self._row(f"SELECT 1 FROM {table} LIMIT 1") for table in ("spool", "ticket", "outbox"))

    @writes
    def set_aside_waiting(self, why: str, now: datetime) -> int:
        """Let no mail that waits go out by itself any more (it may have gone out elsewhere meanwhile); return how many there were."""
        return self._do("UPDATE outbox SET state = 'aside', said = ?, settled_at = ?, lease_until = 0, bundle = 0 WHERE state = 'waiting'",
                        (clean(why), micros(now)))

    @writes
    def leave_gap(self, numbers: int, others: int) -> None:
        """Pass over so many numbers of requests, and of everything else: they may have been given out elsewhere meanwhile."""
        for name, last in self._engine.counters().items():
            self._engine.raise_floor(name, last + 1 + (numbers if name == "number" else others))
