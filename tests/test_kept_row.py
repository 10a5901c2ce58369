"""A daemon that stands still keeps rows from the others on the same database: only the mail that needs them waits (R22)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from psycopg.pq.abc import PGconn

from rtmail.engine.batches import DEATHS
from rtmail.engine.intake import Intake
from rtmail.errors import Deferred
from rtmail.mail import address
from rtmail.mail.model import Mail
from rtmail.store import RowKept, Settlement, SpoolItem, StoodStill, Store
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


@pytest.mark.servers
def test_a_mail_with_which_the_work_takes_too_long_is_set_aside_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends a session that says nothing for long. That looked like trouble of the database, and went on for ever."""
    monkeypatch.setattr("rtmail.store.engines._STANDS_STILL_SECONDS", 1)
    monkeypatch.setattr("rtmail.store.database._PAUSES", ())
    server = cluster()
    url = server.database()
    house = House(tmp_path, url=url)
    real = Intake.take
    with closing(Store(url)) as other:
        other.open()

        def take(self: Intake, item: SpoolItem, read: Mail, now: datetime) -> Settlement:
            if item.id == slow:
                mine = self.store._engine.connection().info.backend_pid
                wait_for(lambda: not other._engine.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ?", (mine,)).fetchall())
            return real(self, item, read, now)

        monkeypatch.setattr(Intake, "take", take)
        slow = house.put(mail(message_id="<1@acme.example>"))
        fast = house.put(mail(sender=f"Ann <{ANN}>", message_id="<2@acme.example>"), sender=ANN)
        blamed = 0
        while house.store.spool_depth():
            try:
                house.engine.work(house.now)
            except StoodStill:
                blamed += 1
            assert blamed <= DEATHS + 2, "together, then alone, and once with the request that stands for it"
            house.now += timedelta(minutes=1)
        assert (house.store.spool_row(fast).outcome, house.store.spool_row(fast).attempts) == ("event", 1)
        assert (house.store.spool_row(slow).outcome, house.store.spool_row(slow).attempts) == ("quarantined", DEATHS + 2)
    house.close()
    server.drop(url)
