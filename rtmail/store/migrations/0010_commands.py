"""The commands of staff that ran: by the fingerprint of their mail, since its Message-ID can be changed by whoever kept a copy of it."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("CREATE TABLE commands_ran (fingerprint text PRIMARY KEY, spool_id bigint NOT NULL, at bigint NOT NULL)")
