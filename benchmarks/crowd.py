"""Fills a store with requests in no time: one that came in the ordinary way is copied by SQL, with all that belongs to it.

For measurements and for tests that need a crowd; SQLite only.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

_TICKET = ("queue, subject, status, opened_at, policy_version, priority, priority_state, owner, requestor, removed, events, thread, "
           "status_at, last_public_seq, last_public_at, answered, merged_into, fields, next_due_at")
_PARTS = {
    "participant": "person, role, since, until, muted",
    "event": "seq, at, kind, visibility, actor, facts, content_id, message_id",
    "clock": "kind, generation, state, started_at, due_at, settled_at, settled_by, clock",
    "rung": "clock, generation, rung, event, at",
}


def multiply(
    database: Path, ticket: int, copies: int, *, due: int | None = None, later: datetime | None = None, log: bool = True,
    words: bool = False,
) -> None:
    """Copy the request with row id `ticket` so many times.

    due    so many of the copies, spread evenly, are woken when the first one is (None: all); the others at `later`
    log    with their events; without them a million fit on a disk
    words  with their words, which are found by search, each copy's by "copy" and its number as well
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN IMMEDIATE")
        ((last_id,), (last_number,)) = (db.execute(f"SELECT max({column}) FROM ticket").fetchone() for column in ("id", "number"))
        db.execute("CREATE TEMP TABLE copy (n integer PRIMARY KEY)")
        db.execute("WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < ?) INSERT INTO copy SELECT n FROM up",
                   (copies,))
        every = copies // due if due else 1
        wake = "wake_at" if due is None else f"CASE WHEN n % {every} = 0 AND n <= {every * due} THEN wake_at ELSE {_micros(later)} END"
        db.execute(f"INSERT INTO ticket (id, number, {_TICKET}, wake_at) SELECT ? + n, ? + n, {_TICKET}, {wake} FROM copy, ticket "
                   "WHERE id = ? ORDER BY n", (last_id, last_number, ticket))
        for table, columns in _PARTS.items():
            if table == "event" and not log:
                continue
            db.execute(f"INSERT INTO {table} (ticket_id, {columns}) SELECT ? + n, {columns} FROM copy, {table} WHERE ticket_id = ? "
                       "ORDER BY n", (last_id, ticket))
        last_content = _words(db, ticket, last_id) if words else 0
        for name, last in (("ticket", last_id), ("number", last_number), ("content", last_content)):
            db.execute("UPDATE counter SET value = max(value, ?) WHERE name = ?", (last + copies, name))
        db.execute("DROP TABLE copy")
        db.execute("COMMIT")
        db.execute("ANALYZE")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _words(db: sqlite3.Connection, ticket: int, last_id: int) -> int:
    """Copy the request's first words; return the last content id before."""
    (last,) = db.execute("SELECT max(id) FROM content").fetchone()
    rest = "html, attachments, raw_id, spool_id, party"
    db.execute(f"INSERT INTO content (id, ticket_id, subject, text, {rest}) SELECT ? + n, ? + n, subject, text || ' copy' || n, {rest} "
               "FROM copy, (SELECT * FROM content WHERE ticket_id = ? LIMIT 1) ORDER BY n", (last, last_id, ticket))
    db.execute("INSERT INTO words (rowid, said) SELECT ? + n, 'copy' || n || ' down is it printer' FROM copy ORDER BY n", (last,))
    return int(last)


def _micros(at: datetime | None) -> str:
    return "NULL" if at is None else str(round(at.timestamp() * 1_000_000))
