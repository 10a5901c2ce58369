"""What stands in the database of a daemon that runs or was killed, looked at by plain SQL and without the product's own code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

WAITING = ("SELECT (SELECT count(*) FROM spool WHERE outcome = '') + (SELECT count(*) FROM ticket WHERE sweep_until > 0) "
           "+ (SELECT count(*) FROM outbox WHERE state = 'waiting' OR unreported = 1)")


def rows(state: Path, query: str) -> list[tuple[Any, ...]]:
    """What `query` finds in the SQLite file of the state folder."""
    with closing(sqlite3.connect(state / "rtmail.db", timeout=20)) as database:
        return database.execute(query).fetchall()


def rests(state: Path) -> bool:
    """Nothing waits to be worked on, to be sent or to be reported."""
    return rows(state, WAITING) == [(0,)]
