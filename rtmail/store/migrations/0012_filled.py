"""What people filled in on a request, by field: their words, and so beside the events. And when it was solved, for reports."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    for statement in (
        "ALTER TABLE ticket ADD COLUMN filled text NOT NULL DEFAULT '{}'",
        "ALTER TABLE ticket ADD COLUMN solved_at bigint",
        "CREATE INDEX ticket_solved ON ticket (solved_at) WHERE solved_at IS NOT NULL",
    ):
        db.execute_sql(statement)
