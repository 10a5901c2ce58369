"""What people filled in on a request, by field: their words, and so beside the events."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("ALTER TABLE ticket ADD COLUMN filled text NOT NULL DEFAULT '{}'")
