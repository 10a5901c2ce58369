"""The two engines behind one interface: how each connects, begins, numbers, claims and fails.

Everything else of the store is written once, in SQL that both understand; parameters are written `?`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rtmail.errors import Deferred, DiskFull
from rtmail.store.driverless import peewee
from rtmail.store.faults import Again, Damaged, RowKept, SchemaError, StoodStill, StoreFailed
from rtmail.store.turns import Between, Turn

logging.getLogger("peewee").setLevel(logging.ERROR)  # at DEBUG it would write every statement to its log, with words and addresses in it

HISTORY = "schema_migration"
"""The table of the migrations that were applied."""
_STANDS_STILL_SECONDS = 15
"""After so long without a word in the middle of a transaction a daemon's session is ended; what it did is undone, as by its death."""
_SECOND = 1_000_000
_MIGRATION_LOCK = 0x72746D61696C
"""Key of the advisory lock under which a PostgreSQL schema is changed ("rtmail")."""


class Engine(ABC):
    """One database server or file. Every thread that calls gets a connection of its own."""

    name: str
    for_update = ""
    """Ends a SELECT that keeps its rows until the commit."""
    skip_locked = ""
    """Ends a SELECT that claims rows and passes over those that others are claiming."""
    clustered = ""
    """Ends the CREATE TABLE of a narrow table that is read by its key."""
    blob = "blob"
    file: Path | None = None
    """What the database is, where it is a file."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self._open: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        """Connection -> the thread that it belongs to."""
        self._texts: dict[str, str] = {}

    def connection(self) -> Any:
        """Return this thread's connection, opened when needed."""
        if self.database.is_closed():
            self.database.connect()
            self._open[self.database.connection()] = threading.get_ident()
        return self.database.connection()

    def sql(self, text: str) -> str:
        """Return `text` in the engine's own parameter style."""
        return text

    def execute(self, text: str, values: Sequence[Any] = ()) -> Any:
        self.connection()
        return self.database.execute_sql(self.sql(text), values)

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run `text` for each of `rows` in one go; return how many rows of the database it changed."""
        cursor = self.connection().cursor()
        cursor.executemany(self.sql(text), rows)
        return int(cursor.rowcount)

    @contextmanager
    def turn(self, patience: float = 0.0) -> Iterator[None]:
        """Wait here before a transaction that writes; whoever writes may go on for `patience` seconds. Deferred when it takes too long."""
        yield

    @property
    def wanted(self) -> bool:
        """Whether another thread, or the process that we share the turn with, waits for the one that writes now to commit."""
        return False

    def share(self, between: Between) -> None:  # noqa: B027 -- a server keeps its own order
        """Take turns with another process too."""

    @abstractmethod
    def begin(self, write: bool, lasting: bool = True) -> None:
        """Begin a transaction; one that does not write sees one unmoving state of the database.

        lasting  it must be on the disk when it is committed; else it need only outlast the process
        """

    def commit(self) -> None:
        self.database.commit()

    def rollback(self) -> None:
        """Undo what is open; a connection that cannot even do that is thrown away."""
        try:
            if self.in_transaction():
                self.database.rollback()
        except Exception:
            self.drop()

    @abstractmethod
    def in_transaction(self) -> bool: ...

    def end_who_stands_still(self) -> None:  # noqa: B027 -- a stopped process keeps a file locked until it ends
        """End the sessions of ours that stopped in the middle of what they say, and with them the locks that they keep."""

    def forget(self) -> bool:
        """Empty the log of the database of what was overwritten; False when somebody who reads it keeps it for now."""
        return True

    def write_back(self) -> bool:
        """Bring what was committed from the database's log to its place, beside whoever writes; False when there was nothing new."""
        return False

    @abstractmethod
    def reserve(self, name: str, n: int) -> list[int]:
        """Return `n` new ids of the row `name`; none is ever given out twice, gaps are allowed."""

    @abstractmethod
    def raise_floor(self, name: str, start: int) -> None:
        """Let the next id of `name` be at least `start`."""

    @abstractmethod
    def fault(self, error: BaseException) -> Exception | None:
        """Return what the outside shall see instead of the driver's `error`; None when it is a plain bug."""

    def ahead(self) -> int:
        """Return by how many microseconds the clock by which claims end is ahead of this machine's: whoever claims goes by the same one."""
        return 0

    @abstractmethod
    def room(self) -> int | None:
        """Return the free bytes where the database grows; None when that cannot be known from here."""

    def prepare(self) -> None:  # noqa: B027 -- most engines need none
        """Whatever must be true before the schema is looked at; raises SchemaError."""

    def exclusive(self) -> None:  # noqa: B027 -- one writer at a time is what SQLite is
        """Let one process at a time do set-up work, until the end of the transaction."""

    def layout(self) -> dict[str, list[str]]:
        """Return the columns of every table that holds rows of its own."""
        return {table: [column.name for column in self.database.get_columns(table)] for table in self.database.get_tables()}

    @abstractmethod
    def pages(self, text: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield what a query of the open transaction finds, at most `size` rows at a time, without holding all of it."""

    @abstractmethod
    def counters(self) -> dict[str, int]:
        """Return the last id that was given out, for each name of `reserve`."""

    def write_file(self, path: Path) -> bool:
        """Write one moment's state into the empty SQLite file `path`, and return True; False where the engine is another one."""
        return False

    def sound(self) -> str:
        """Return "" when the database's own check finds nothing, else what it found; a server looks after itself."""
        return ""

    def drop(self) -> None:
        """Forget this thread's connection, in whatever state it is."""
        try:
            self.database.close()
        except Exception:
            self.database.dispose()

    def close(self, but: Set[int] = frozenset()) -> None:
        """Close the connections of all threads, `but` these."""
        self.drop()
        for connection, thread in list(self._open.items()):
            if thread not in but:
                connection.close()


_LOG_PAGES = 16_384
"""So many pages (64 MB) may wait in the log before whoever commits has to bring them to their places himself; `write_back` comes
long before. SQLite's 1,000 are a few dozen requests, and in a large file half a second in which nobody else can write."""


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly, which the plain one cannot, and knows whether its commits wait for the disk."""

    lasting = True


class SQLite(Engine):
    """One file. Threads that write queue up on a lock of ours: SQLite's own waiting is by polling, and unfair."""

    name = "sqlite"
    clustered = " WITHOUT ROWID"

    def __init__(self, path: Path, busy: timedelta) -> None:
        self.path = self.file = path
        self._busy = busy.total_seconds()
        self._turn = Turn()
        super().__init__(peewee.SqliteDatabase(
            str(path), timeout=self._busy, check_same_thread=False, cached_statements=512, factory=_Connection,
            pragmas={"journal_mode": "wal", "synchronous": "full", "secure_delete": 1, "foreign_keys": 0,
                     "cache_size": -8000, "temp_store": "memory", "journal_size_limit": 64 << 20, "wal_autocheckpoint": _LOG_PAGES}))
        self._written_back: tuple[int, int] | None = None

    def prepare(self) -> None:
        # Made by us, so that nobody else may read the mail; the WAL takes over the mode.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        # Looked at without our settings, which would already change someone else's file.
        plain = peewee.SqliteDatabase(str(self.path), timeout=self._busy)
        try:
            tables = plain.get_tables()
        finally:
            plain.close()
        if tables and HISTORY not in tables:
            raise SchemaError("the file of [store] url is a database of another program: name another file")

    @contextmanager
    def turn(self, patience: float = 0.0) -> Iterator[None]:
        if not self._turn.take(self._busy, patience):
            raise Deferred("database busy")
        try:
            yield
        finally:
            self._turn.give()

    @property
    def wanted(self) -> bool:
        return self._turn.wanted

    def share(self, between: Between) -> None:
        self._turn.between = between

    def begin(self, write: bool, lasting: bool = True) -> None:
        connection = self.connection()
        if write and connection.lasting != lasting:
            connection.execute(f"PRAGMA synchronous = {'full' if lasting else 'normal'}")
            connection.lasting = lasting
        self.database.begin("IMMEDIATE" if write else "DEFERRED")

    def execute(self, text: str, values: Sequence[Any] = ()) -> Any:
        # Past peewee, which opens the connection and stands aside: its way costs as much as most of our statements.
        return self.connection().execute(text, values)

    def in_transaction(self) -> bool:
        return not self.database.is_closed() and bool(self.database.connection().in_transaction)

    def forget(self) -> bool:
        with self.turn():
            self.connection()
            (busy, _, _) = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def write_back(self) -> bool:
        try:
            log = os.stat(f"{self.path}-wal")
        except FileNotFoundError:
            return False
        if (log.st_mtime_ns, log.st_size) == self._written_back:
            return False
        # PASSIVE waits for nobody, and nobody for it; what a reader still needs stays for the next time.
        self.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._written_back = log.st_mtime_ns, log.st_size
        return True

    def reserve(self, name: str, n: int) -> list[int]:
        (last,) = self.execute("UPDATE counter SET value = value + ? WHERE name = ? RETURNING value", (n, name)).fetchone()
        return list(range(last - n + 1, last + 1))

    def raise_floor(self, name: str, start: int) -> None:
        self.execute("UPDATE counter SET value = ? WHERE name = ? AND value < ?", (start - 1, name, start - 1))

    def fault(self, error: BaseException) -> Exception | None:
        cause = _original(error)
        code = getattr(cause, "sqlite_errorname", "")
        if not code:
            return None
        if code in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
            return DiskFull()
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Deferred("database busy")
        if code.startswith("SQLITE_IOERR"):
            return StoreFailed(f"database trouble: {code}: {cause}")
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return Damaged(f"database damaged: {cause}")
        if code.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_NOMEM")):
            return Deferred(f"database not usable: {code}")
        return None

    def room(self) -> int | None:
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    def layout(self) -> dict[str, list[str]]:
        # A full-text index keeps its parts in tables beside it.
        virtual = [name for (name,) in self.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%'")]
        return {table: columns for table, columns in super().layout().items()
                if not table.startswith(("sqlite_", *(f"{name}_" for name in virtual)))}

    def pages(self, text: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        cursor = self.execute(text)
        while page := cursor.fetchmany(size):
            yield page

    def counters(self) -> dict[str, int]:
        return dict(self.execute("SELECT name, value FROM counter").fetchall())

    def write_file(self, path: Path) -> bool:
        # Reads one state beside whoever writes, and takes nothing along of what was deleted.
        self.execute("VACUUM INTO ?", (str(path),))
        return True

    def sound(self) -> str:
        found = [line for (line,) in self.execute("PRAGMA integrity_check(10)").fetchall()]
        return "" if found == ["ok"] else "; ".join(found)


class PostgreSQL(Engine):
    """A server that any number of daemons share. A broken connection is thrown away, and the whole job done again."""

    name = "postgresql"
    for_update = " FOR UPDATE"
    skip_locked = " FOR UPDATE SKIP LOCKED"
    blob = "bytea"

    def __init__(self, url: str, busy: timedelta) -> None:
        wait = max(1, round(busy.total_seconds()))
        # A stopped daemon must not keep its row locks, a cut network must be noticed, a lock not waited for without end.
        _take_driver()
        limits = (f"-c lock_timeout={wait}s -c idle_in_transaction_session_timeout={_STANDS_STILL_SECONDS}s "
                  "-c synchronous_commit=on")
        super().__init__(peewee.PostgresqlDatabase(
            url, prefer_psycopg3=True, connect_timeout=wait, options=limits, fallback_application_name="rtmail",
            keepalives_idle=15, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=15000))
        # One thread after the other would connect: while the server says nothing, each would wait for all before it. What a connection
        # is kept in belongs to its thread.
        self.database._lock = nullcontext()

    def sql(self, text: str) -> str:
        own = self._texts.get(text)
        if own is None:
            own = self._texts[text] = text.replace("?", "%s")
        return own

    def begin(self, write: bool, lasting: bool = True) -> None:
        # Claims last too: the end of the server is none of a daemon's, and no two may hold a claim with the same fence.
        self.connection()
        self.database.begin(None if write else "REPEATABLE READ")

    def in_transaction(self) -> bool:
        # Anything but idle (0): open, failed, or a connection whose state nobody knows.
        return not self.database.is_closed() and self.database.connection().pgconn.transaction_status != 0

    def end_who_stands_still(self) -> None:
        # The server's own limit counts from an answer to the next word: not within executemany, and not after the driver said that it
        # gives up a prepared statement, which it says when an executemany is over and lets nothing follow.
        with suppress(Exception):  # whoever waits for the row tries again, and so does this
            self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                         "AND usename = current_user AND application_name = current_setting('application_name') "
                         "AND state IN ('active', 'idle in transaction') AND wait_event = 'ClientRead' "
                         f"AND state_change < clock_timestamp() - interval '{_STANDS_STILL_SECONDS} s'")

    def reserve(self, name: str, n: int) -> list[int]:
        return [value for (value,) in self.execute("SELECT nextval(?) FROM generate_series(1, ?)", (f"{name}_id", n)).fetchall()]

    def raise_floor(self, name: str, start: int) -> None:
        self.execute(f"SELECT setval('{name}_id', greatest(nextval('{name}_id'), CAST(? AS bigint)), false)", (start,))

    def fault(self, error: BaseException) -> Exception | None:
        cause = _original(error)
        state = getattr(cause, "sqlstate", "no driver's error")
        if state == "no driver's error":
            return None
        kind = type(cause).__name__
        if state is None and kind not in ("OperationalError", "InterfaceError", "ConnectionTimeout"):
            return None
        if state == "25P03":
            self.drop()
            return StoodStill("database connection lost: nothing was said to it for too long")
        if state is None or state[:2] in ("08", "57") or state == "25006":
            # 25006: a primary that became a replica; the next connection may find the new primary.
            self.drop()
            return Again("database connection lost")
        if state in ("40001", "40P01"):
            return Again("database busy")
        if state == "53100":
            return DiskFull()
        if state == "55P03":
            return RowKept("database not usable: somebody else's transaction keeps a row")
        if state[:2] == "53" or state == "58030":
            return Deferred(f"database not usable: {state}")
        return None

    def ahead(self) -> int:
        ((there,),) = self.execute("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)").fetchall()
        # Whole seconds: an answer takes its time. One that took long lets claims of others end later, never too early.
        return round((int(there) - time.time_ns() // 1000) / _SECOND) * _SECOND

    def room(self) -> int | None:
        return None

    def pages(self, text: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        self.execute(f"DECLARE pages NO SCROLL CURSOR FOR {text}")
        while page := self.execute(f"FETCH {size} FROM pages").fetchall():
            yield page
        self.execute("CLOSE pages")

    def counters(self) -> dict[str, int]:
        found = self.execute("SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences "
                             "WHERE schemaname = current_schema() AND right(sequencename, 3) = '_id'").fetchall()
        return {name.removesuffix("_id"): last for name, last in found}

    def exclusive(self) -> None:
        self.execute("SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))


def _take_driver() -> None:
    """Give peewee what it would have imported by itself; raises SchemaError where it is not installed."""
    try:
        import psycopg
        from psycopg.pq import TransactionStatus
        from psycopg.types.json import Json, Jsonb
    except ImportError as error:
        raise SchemaError("there is no driver for PostgreSQL: pip install 'rtmail[postgres]'") from error

    own: Any = peewee
    own.psycopg, own.TransactionStatus, own.Json_pg3, own.Jsonb_pg3 = psycopg, TransactionStatus, Json, Jsonb
    adapter = own.Psycopg3Adapter
    adapter.txn_idle, adapter.txn_inerror = TransactionStatus.IDLE, TransactionStatus.INERROR
    adapter.txn_unknown = TransactionStatus.UNKNOWN


def _original(error: BaseException) -> BaseException:
    """Return the driver's error that peewee's stands for."""
    orig = getattr(error, "orig", None)
    return orig if isinstance(orig, BaseException) else error


def engine_for(url: str, folder: Path, busy: timedelta) -> Engine:
    """Return the engine that `url` names; a relative SQLite path lies below `folder`. Raises SchemaError for any other URL."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SQLite(folder / unquote(rest[1:]), busy)
    if scheme in ("postgresql", "postgres"):
        return PostgreSQL(f"postgresql://{rest}", busy)
    raise SchemaError(f"store url {scheme}://…: use sqlite:///FILE or postgresql://HOST/DATABASE")
