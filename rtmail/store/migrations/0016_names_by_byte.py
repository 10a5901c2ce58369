"""Names of counters are compared byte by byte, also where PostgreSQL sorts words as people do: a range of names is looked up."""

from typing import Any

from peewee import PostgresqlDatabase


def up(migrator: Any, db: Any) -> None:
    postgres = isinstance(db, PostgresqlDatabase)
    if postgres:
        db.execute_sql('ALTER TABLE cap ALTER COLUMN key TYPE text COLLATE "C"')
