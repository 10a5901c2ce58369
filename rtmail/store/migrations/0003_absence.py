"""Who is away, until when, and whether he said so himself or only his out-of-office did."""

from typing import Any

from peewee import PostgresqlDatabase

TABLE = """
CREATE TABLE absence (
    person bigint PRIMARY KEY, until bigint NOT NULL, since bigint NOT NULL, declared integer NOT NULL){clustered}
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(TABLE.format(clustered="" if isinstance(db, PostgresqlDatabase) else " WITHOUT ROWID"))
