"""A daemon that stands still keeps rows from the others on the same database: only the mail that needs them waits (R22)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg.pq.abc import PGconn

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


def _within_a_statement(session: PGconn) -> None:
    """As executemany goes on before its end."""
    session.send_query_params(b"SELECT 1", None)
    session.send_flush_request()


def _after_a_word_without_an_end(session: PGconn) -> None:
    """As the driver gives up a prepared statement after an executemany."""
    session.send_close_prepared(b"none")
    session.send_flush_request()


@pytest.mark.servers
@pytest.mark.parametrize("stops", [_within_a_statement, _after_a_word_without_an_end])
def test_a_session_that_stopped_where_the_server_does_not_count_is_ended(stops: Callable[[PGconn], None],
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's limit for idle transactions does not count there, and the rows were kept for as long as the daemon stood still."""
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
        stops(session)
        session.flush()

        def counted() -> bool:
            try:
                waits.count("key", NOW, HOUR)
            except RowKept:
                return False
            return True

        assert not counted(), "somebody who has only just begun is let be"
        monkeypatch.setattr("rtmail.store.engines._STANDS_STILL_SECONDS", 2)  # the server's own limit stays at 15
        wait_for(counted, 10)
        with pytest.raises(Deferred):
            begun.__exit__(None, None, None)
        assert stands.count("key", NOW, HOUR) == 2, "what it had done was undone, and it goes on"
    server.drop(url)
