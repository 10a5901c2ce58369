"""docs/scale.md: a house works on the tables in parts that the page makes."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from rtmail.store import Store
from tests.fakes.house import House, mail
from tests.fakes.stores import cluster

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
BOUNDS = {"30000000": "3", "60000000": "MAXVALUE", "10000000": "2", "20000000": "MAXVALUE"}
"""Of its parts -> of parts so small that a few mails lie in both."""


@pytest.mark.servers
def test_a_house_on_tables_in_parts(tmp_path: Path) -> None:
    server = cluster()
    url = server.database()
    with closing(Store(url)) as store:
        store.open()
    (text,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with psycopg.connect(url, autocommit=True) as database:
        for statement in text.split(";"):
            database.execute(re.sub(r"\d{8}", lambda found: BOUNDS[found[0]], statement).encode())
        house = House(tmp_path, url=url)
        for number in (1, 2, 3):
            house.receive(mail(subject=f"Printer {number}", message_id=f"<{number}@acme.example>"))
        house.receive(mail(subject="Re: Printer 3", message_id="<4@acme.example>", headers="In-Reply-To: <3@acme.example>"))
        third = house.store.by_number(3)
        assert third is not None
        assert house.store.replayed(third.id) == third
        assert "<4@acme.example>" in [event.message_id for event, _ in house.store.events(third.id)]
        for table in ("outbox_mail", "event"):
            parts = [database.execute(f"SELECT count(*) FROM {table}_{part}".encode()).fetchall()[0][0] for part in (1, 2)]
            assert all(parts), f"{table}: {parts}"
        house.close()
    server.drop(url)
