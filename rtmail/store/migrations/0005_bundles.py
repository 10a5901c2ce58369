"""Outgoing mails that may be joined: `bundle` marks one that still may, `carrier` names the mail that one became a line of."""

from typing import Any


def up(migrator: Any, db: Any) -> None:
    for statement in (
        "ALTER TABLE outbox ADD COLUMN bundle integer NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN carrier bigint NOT NULL DEFAULT 0",
        "CREATE INDEX outbox_bundle ON outbox (recipient, id) WHERE bundle = 1 AND state = 'waiting'",
        "CREATE INDEX outbox_carrier ON outbox (carrier) WHERE carrier <> 0",
    ):
        db.execute_sql(statement)
