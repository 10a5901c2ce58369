"""Which requests are incidents or maintenance: they are looked up at every mail, and shown on the status page when they are over."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    for statement in (
        "ALTER TABLE ticket ADD COLUMN incident text NOT NULL DEFAULT ''",
        "CREATE INDEX ticket_incident ON ticket (number) WHERE incident <> ''",
    ):
        db.execute_sql(statement)
