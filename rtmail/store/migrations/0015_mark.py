"""The mark that a prepared answer or a rule left on a request: such requests are listed by it, closed ones too."""

import json
from typing import Any


def up(migrator: Any, db: Any) -> None:
    for statement in (
        "ALTER TABLE ticket ADD COLUMN mark text NOT NULL DEFAULT ''",
        "CREATE INDEX ticket_mark ON ticket (mark, number) WHERE mark <> ''",
    ):
        db.execute_sql(statement)
    noted = list(db.execute_sql(f"SELECT id, fields FROM ticket WHERE fields LIKE {db.param}", ('%"mark"%',)))
    for ticket_id, fields in noted:
        if mark := json.loads(fields).get("mark"):
            db.execute_sql(f"UPDATE ticket SET mark = {db.param} WHERE id = {db.param}", (mark, ticket_id))
