"""Indexes for stores of a million requests: what is due first, altogether and of one owner, and what a daemon that died was sweeping."""

from typing import Any

LIVE = "status IN ('new', 'open', 'waiting')"


def up(migrator: Any, db: Any) -> None:
    for statement in (
        f"CREATE INDEX ticket_due ON ticket ((next_due_at IS NULL), next_due_at, number) WHERE {LIVE}",
        f"CREATE INDEX ticket_owed ON ticket (owner, (next_due_at IS NULL), next_due_at, number) WHERE owner <> 0 AND {LIVE}",
        "CREATE INDEX ticket_swept ON ticket (sweep_owner) WHERE sweep_until > 0",
    ):
        db.execute_sql(statement)
