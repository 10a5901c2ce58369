"""Time worked, one row a note of it, so that a month of all requests is read by an index."""

import json
from typing import Any


def up(migrator: Any, db: Any) -> None:
    for statement in (
        "CREATE TABLE worked (ticket_id bigint NOT NULL, seq integer NOT NULL, at bigint NOT NULL, minutes integer NOT NULL, "
        "billable integer NOT NULL, actor bigint NOT NULL, PRIMARY KEY (ticket_id, seq))",
        "CREATE INDEX worked_at ON worked (at)",
    ):
        db.execute_sql(statement)
    noted = []
    for ticket_id, seq, at, actor, text in db.execute_sql("SELECT ticket_id, seq, at, actor, facts FROM event WHERE kind = 'field'"):
        facts = json.loads(text)
        if facts.get("name") == "worked" and "minutes" in facts:
            noted.append((ticket_id, seq, at, int(facts["minutes"]), int(bool(facts["billable"])), actor))
    for row in noted:
        marks = ", ".join([db.param] * len(row))
        db.execute_sql(f"INSERT INTO worked (ticket_id, seq, at, minutes, billable, actor) VALUES ({marks})", row)
