"""The ledger of polled mailboxes: who reads each one, how it fares, and what became of every mail by UIDVALIDITY and UID."""

from typing import Any

from peewee import PostgresqlDatabase

TABLES = """
CREATE TABLE mailbox (
    name text PRIMARY KEY, place text NOT NULL DEFAULT '', uidvalidity bigint NOT NULL DEFAULT 0, first_at bigint,
    begun_at bigint NOT NULL DEFAULT 0, worked_at bigint, trouble text NOT NULL DEFAULT '', trouble_at bigint,
    alarmed_at bigint, owner text NOT NULL DEFAULT '', lease_until bigint NOT NULL DEFAULT 0);

CREATE TABLE mailbox_mail (
    mailbox text NOT NULL, uidvalidity bigint NOT NULL, uid bigint NOT NULL, state text NOT NULL,
    spool_id bigint NOT NULL DEFAULT 0, size_bytes bigint NOT NULL DEFAULT 0, why text NOT NULL DEFAULT '',
    at bigint NOT NULL, told integer NOT NULL DEFAULT 1,
    PRIMARY KEY (mailbox, uidvalidity, uid)){clustered};
CREATE INDEX mailbox_mail_untold ON mailbox_mail (mailbox, uid) WHERE told = 0;
"""


def up(migrator: Any, db: Any) -> None:
    clustered = "" if isinstance(db, PostgresqlDatabase) else " WITHOUT ROWID"
    for statement in TABLES.format(clustered=clustered).split(";"):
        if statement.strip():
            db.execute_sql(statement)
