"""The first schema. Instants are microseconds UTC, flags are 0 or 1, JSON is text; numbers of rows are 64-bit.

No foreign keys: rows that belong together are written in one transaction, erasure empties rows instead of deleting
them, and `audit` looks for strays; a key that is checked on every insert would cost each mail what it protects once.
"""

from typing import Any

from peewee import PostgresqlDatabase

NUMBERED = ("raw", "spool", "party", "content", "ticket", "number", "outbox", "hold", "policy")

TABLES = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);

CREATE TABLE raw (
    id bigint PRIMARY KEY, sha256 text NOT NULL UNIQUE, size_bytes bigint NOT NULL, packed {blob});

CREATE TABLE spool (
    id bigint PRIMARY KEY, raw_id bigint NOT NULL, envelope text NOT NULL, arrived_at bigint NOT NULL,
    due_at bigint NOT NULL DEFAULT 0, attempts integer NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '', lease_until bigint NOT NULL DEFAULT 0, fence integer NOT NULL DEFAULT 0,
    outcome text NOT NULL DEFAULT '', reason text NOT NULL DEFAULT '', ticket_id bigint NOT NULL DEFAULT 0,
    event integer NOT NULL DEFAULT 0, settled_at bigint, dropped integer NOT NULL DEFAULT 0);
CREATE INDEX spool_open ON spool (id) WHERE outcome = '';
CREATE INDEX spool_aside ON spool (outcome, id) WHERE outcome IN ('quarantined', 'held', 'junk');
CREATE INDEX spool_raw ON spool (raw_id);
CREATE INDEX spool_ticket ON spool (ticket_id) WHERE ticket_id <> 0;

CREATE TABLE trace (spool_id bigint PRIMARY KEY, at bigint NOT NULL, verdict text NOT NULL);

CREATE TABLE seen (
    message_id text NOT NULL, fingerprint text NOT NULL, spool_id bigint NOT NULL, at bigint NOT NULL,
    PRIMARY KEY (message_id, fingerprint)){clustered};

CREATE TABLE organisation (key text PRIMARY KEY, name text NOT NULL, plan text NOT NULL DEFAULT '');
CREATE TABLE party (
    id bigint PRIMARY KEY, name text NOT NULL, address text NOT NULL, organisation text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT '', staff text NOT NULL DEFAULT '', erased integer NOT NULL DEFAULT 0,
    created_at bigint NOT NULL);
CREATE UNIQUE INDEX party_staff ON party (staff) WHERE staff <> '';
CREATE TABLE party_address (
    address text PRIMARY KEY, spec text NOT NULL, party_id bigint NOT NULL, verified integer NOT NULL DEFAULT 0,
    added_at bigint NOT NULL);
CREATE INDEX party_address_party ON party_address (party_id);

CREATE TABLE policy_version (
    id bigint PRIMARY KEY, name text NOT NULL, hash text NOT NULL, text text NOT NULL, holidays text NOT NULL,
    created_at bigint NOT NULL, UNIQUE (name, hash));

CREATE TABLE ticket (
    id bigint PRIMARY KEY, number bigint NOT NULL UNIQUE, queue text NOT NULL, subject text NOT NULL,
    status text NOT NULL, opened_at bigint NOT NULL, policy_version bigint NOT NULL, priority text NOT NULL,
    priority_state text NOT NULL, owner bigint NOT NULL, requestor bigint NOT NULL, removed text NOT NULL,
    events integer NOT NULL, thread text NOT NULL, status_at bigint, last_public_seq integer NOT NULL,
    last_public_at bigint, answered integer NOT NULL, merged_into bigint NOT NULL, fields text NOT NULL,
    wake_at bigint, next_due_at bigint, sweep_owner text NOT NULL DEFAULT '', sweep_until bigint NOT NULL DEFAULT 0);
CREATE INDEX ticket_wake ON ticket (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX ticket_live ON ticket (number) WHERE status IN ('new', 'open', 'waiting');
CREATE INDEX ticket_owner ON ticket (owner, number) WHERE owner <> 0;
CREATE INDEX ticket_requestor ON ticket (requestor, number);

CREATE TABLE participant (
    ticket_id bigint NOT NULL, person bigint NOT NULL, role text NOT NULL, since integer NOT NULL,
    until integer NOT NULL DEFAULT 0, muted integer NOT NULL DEFAULT 0,
    PRIMARY KEY (ticket_id, person, role, since)){clustered};
CREATE INDEX participant_person ON participant (person, ticket_id);

CREATE TABLE event (
    ticket_id bigint NOT NULL, seq integer NOT NULL, at bigint NOT NULL, kind text NOT NULL, visibility text NOT NULL,
    actor bigint NOT NULL, facts text NOT NULL, content_id bigint NOT NULL, message_id text NOT NULL,
    PRIMARY KEY (ticket_id, seq)){clustered};

CREATE TABLE content (
    id bigint PRIMARY KEY, ticket_id bigint NOT NULL, subject text NOT NULL, text text NOT NULL, html text NOT NULL,
    attachments text NOT NULL, raw_id bigint NOT NULL, spool_id bigint NOT NULL, party bigint NOT NULL,
    erased integer NOT NULL DEFAULT 0);
CREATE INDEX content_party ON content (party);
CREATE INDEX content_raw ON content (raw_id);

CREATE TABLE clock (
    ticket_id bigint NOT NULL, kind text NOT NULL, generation integer NOT NULL, state text NOT NULL,
    started_at bigint, due_at bigint, settled_at bigint, settled_by text NOT NULL, clock text NOT NULL,
    PRIMARY KEY (ticket_id, kind, generation)){clustered};
CREATE INDEX clock_due ON clock (due_at) WHERE state = 'running';

CREATE TABLE rung (
    ticket_id bigint NOT NULL, clock text NOT NULL, generation integer NOT NULL, rung integer NOT NULL,
    event integer NOT NULL, at bigint NOT NULL, PRIMARY KEY (ticket_id, clock, generation, rung)){clustered};

CREATE TABLE link (
    ticket_id bigint NOT NULL, other_id bigint NOT NULL, kind text NOT NULL, actor bigint NOT NULL, at bigint NOT NULL,
    PRIMARY KEY (ticket_id, other_id, kind)){clustered};
CREATE INDEX link_other ON link (other_id);
CREATE TABLE outside_ref (
    system text NOT NULL, ref text NOT NULL, ticket_id bigint NOT NULL, at bigint NOT NULL,
    PRIMARY KEY (system, ref, ticket_id)){clustered};
CREATE INDEX outside_ref_ticket ON outside_ref (ticket_id);

CREATE TABLE ledger (
    message_id text NOT NULL, ticket_id bigint NOT NULL, event integer NOT NULL, origin text NOT NULL,
    person bigint NOT NULL, PRIMARY KEY (message_id, ticket_id, origin)){clustered};
CREATE INDEX ledger_ticket ON ledger (ticket_id);

CREATE TABLE outbox (
    id bigint PRIMARY KEY, ticket_id bigint NOT NULL, event integer NOT NULL, person bigint NOT NULL,
    recipient text NOT NULL, envelope_sender text NOT NULL, message_id text NOT NULL, template text NOT NULL,
    urgency integer NOT NULL, not_before bigint NOT NULL, expires_at bigint, report integer NOT NULL,
    created_at bigint NOT NULL, due_at bigint NOT NULL, attempts integer NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '', lease_until bigint NOT NULL DEFAULT 0, fence integer NOT NULL DEFAULT 0,
    blocks integer NOT NULL DEFAULT 1, state text NOT NULL DEFAULT 'waiting', said text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT '', remote_id text NOT NULL DEFAULT '', settled_at bigint,
    unreported integer NOT NULL DEFAULT 0);
CREATE INDEX outbox_due ON outbox (urgency, due_at, id) WHERE state = 'waiting';
CREATE INDEX outbox_order ON outbox (ticket_id, recipient, id) WHERE state = 'waiting';
CREATE INDEX outbox_unreported ON outbox (id) WHERE unreported = 1;
CREATE INDEX outbox_message ON outbox (message_id);
CREATE INDEX outbox_ticket ON outbox (ticket_id, event);
CREATE INDEX outbox_stuck ON outbox (state, id) WHERE state IN ('failed', 'expired', 'bounced');
CREATE TABLE outbox_mail (id bigint PRIMARY KEY, packed {blob} NOT NULL);

CREATE TABLE hold (
    id bigint PRIMARY KEY, kind text NOT NULL, spool_id bigint NOT NULL, person bigint NOT NULL, reason text NOT NULL,
    details text NOT NULL, held_at bigint NOT NULL, state text NOT NULL DEFAULT 'waiting', settled_by bigint,
    settled_at bigint);
CREATE INDEX hold_waiting ON hold (kind, person, id) WHERE state = 'waiting';
CREATE INDEX hold_spool ON hold (spool_id);

CREATE TABLE cap (
    key text NOT NULL, window_length bigint NOT NULL, window_start bigint NOT NULL, uses integer NOT NULL,
    PRIMARY KEY (key, window_length, window_start)){clustered};
CREATE TABLE once (key text PRIMARY KEY, expires_at bigint NOT NULL){clustered};
CREATE INDEX once_expires ON once (expires_at);
"""


def up(migrator: Any, db: Any) -> None:
    postgres = isinstance(db, PostgresqlDatabase)
    text = TABLES.format(blob="bytea" if postgres else "blob", clustered="" if postgres else " WITHOUT ROWID")
    for statement in text.split(";"):
        if statement.strip():
            db.execute_sql(statement)
    if postgres:
        for name in NUMBERED:
            db.execute_sql(f"CREATE SEQUENCE {name}_id")
        for table in ("raw", "outbox_mail"):
            # Already compressed by us.
            db.execute_sql(f"ALTER TABLE {table} ALTER COLUMN packed SET STORAGE EXTERNAL")
    else:
        db.execute_sql("CREATE TABLE counter (name text PRIMARY KEY, value bigint NOT NULL)")
        for name in NUMBERED:
            db.execute_sql("INSERT INTO counter (name, value) VALUES (?, 0)", (name,))
