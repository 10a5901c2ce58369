"""The words of every event, to be searched: FTS5 without a copy of the texts, or a tsvector beside them."""

from typing import Any

from peewee import PostgresqlDatabase

from rtmail.store.terms import terms

PAGE = 200


def up(migrator: Any, db: Any) -> None:
    postgres = isinstance(db, PostgresqlDatabase)
    if postgres:
        db.execute_sql("CREATE TABLE words (content_id bigint PRIMARY KEY, said tsvector NOT NULL)")
        insert = "INSERT INTO words (content_id, said) VALUES (%s, array_to_tsvector(%s))"
    else:
        db.execute_sql("CREATE VIRTUAL TABLE words USING fts5(said, content='', tokenize='unicode61')")
        insert = "INSERT INTO words (rowid, said) VALUES (?, ?)"
    page, last = "SELECT id, subject, text FROM content WHERE erased = 0 AND id > {} ORDER BY id LIMIT {}", 0
    while rows := db.execute_sql(page.format(last, PAGE)).fetchall():
        for id_, subject, text in rows:
            said = terms(f"{subject} {text}")
            db.execute_sql(insert, (id_, said if postgres else " ".join(said)))
        last = rows[-1][0]
    if postgres:
        db.execute_sql("CREATE INDEX words_said ON words USING gin (said)")
