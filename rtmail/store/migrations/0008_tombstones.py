"""What was erased and is not taken in again: keyed hashes of mails, which nobody can turn back into one."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("CREATE TABLE tombstone (digest text PRIMARY KEY, at bigint NOT NULL)")
