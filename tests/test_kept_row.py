"""A daemon that stands still keeps rows from the others on the same database: only the mail that needs them waits (R22)."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.errors import Deferred
from rtmail.mail import address
from rtmail.store import RowKept, Store
from tests.fakes.daemon import wait_for
from tests.fakes.house import House, mail
from tests.fakes.stores import NOW, cluster

HOUR = timedelta(hours=1)
BOB, ANN = "bob@acme.example", "ann@acme.example"


@pytest.mark.servers
def test_only_the_mail_whose_row_is_kept_waits(tmp_path: Path) -> None:
    server = cluster()
    url = server.database()
    house = House(tmp_path, url=url)
    with closing(Store(url)) as other:
        other.open()
        with other.transaction():
            other.count(f"came-from:{address.key(BOB)}", house.now, house.engine.office.caps.burst)
            held = house.put(mail(message_id="<1@acme.example>"), sender=BOB)
            free = house.put(mail(sender=f"Ann <{ANN}>", message_id="<2@acme.example>"), sender=ANN)
            for _ in range(2):  # together, and then the first alone
                with pytest.raises(RowKept):
                    house.engine.work(house.now)
            assert house.engine.work(house.now) == 1
            assert house.store.spool_row(free).outcome == "event"
            assert house.store.spool_row(held).outcome == ""
            assert house.engine.work(house.now) == 0, "and it is not tried without a pause"
    house.now += timedelta(seconds=5)
    assert house.engine.work(house.now) == 1
    assert house.store.spool_row(held).outcome == "event"
    assert house.store.spool_row(held).attempts == 1, "what was not its fault is not counted"
    house.close()
    server.drop(url)


@pytest.mark.servers
def test_a_session_that_stopped_in_the_middle_of_a_statement_is_ended(tmp_path: Path) -> None:
    """The server waits for the rest of it without end: none of its own limits count then, and its rows were kept for as long."""
    server = cluster()
    url = server.database()
    with closing(Store(url, busy=timedelta(seconds=1))) as waits, closing(Store(url)) as stands:
        waits.open()
        stands.open()
        begun = stands.transaction()
        begun.__enter__()
        stands.count("key", NOW, HOUR)
        session = stands._engine.connection().pgconn
        session.enter_pipeline_mode()
        session.send_query_params(b"SELECT 1", None)  # as executemany does, and no Sync
        session.send_flush_request()
        session.flush()

        def counted() -> bool:
            try:
                waits.count("key", NOW, HOUR)
            except RowKept:
                return False
            return True

        assert not counted(), "somebody who has only just begun is let be"
        wait_for(counted, 40)
        with pytest.raises(Deferred):
            begun.__exit__(None, None, None)
        assert stands.count("key", NOW, HOUR) == 2, "what it had done was undone, and it goes on"
    server.drop(url)
