"""Customers that were imported, one row an organisation, and how urgent a request is, by which lists are sorted."""

from typing import Any

LIVE = "status IN ('new', 'open', 'waiting')"


def up(migrator: Any, db: Any) -> None:
    for statement in (
        "CREATE TABLE customer (key varchar(64) NOT NULL PRIMARY KEY, about text NOT NULL, at bigint NOT NULL)",
        "ALTER TABLE ticket ADD COLUMN urgency integer NOT NULL DEFAULT 0",
        "DROP INDEX ticket_due",
        f"CREATE INDEX ticket_due ON ticket (urgency DESC, (next_due_at IS NULL), next_due_at, number) WHERE {LIVE}",
        "DROP INDEX ticket_owed",
        "CREATE INDEX ticket_owed ON ticket (owner, urgency DESC, (next_due_at IS NULL), next_due_at, number) "
        f"WHERE owner <> 0 AND {LIVE}",
    ):
        db.execute_sql(statement)
