"""Indexes for the daily picture: promises by when they were kept, missed or fall due, and requests that nobody owns."""

from typing import Any

STATEMENTS = (
    "CREATE INDEX clock_kept ON clock (settled_at) WHERE state = 'met'",
    "CREATE INDEX clock_missed ON clock (due_at) WHERE state = 'missed'",
    "CREATE INDEX ticket_unowned ON ticket (queue, next_due_at) WHERE owner = 0 AND status IN ('new', 'open', 'waiting')",
)


def up(migrator: Any, db: Any) -> None:
    for statement in STATEMENTS:
        db.execute_sql(statement)
