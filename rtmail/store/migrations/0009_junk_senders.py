"""Senders whose mail is junk, by a word of staff."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("CREATE TABLE junk_sender (address text PRIMARY KEY, at bigint NOT NULL)")
