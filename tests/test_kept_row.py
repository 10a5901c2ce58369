"""A daemon that stands still keeps rows from the others on the same database: only the mail that needs them waits (R22)."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.mail import address
from rtmail.store import RowKept, Store
from tests.fakes.house import House, mail
from tests.fakes.stores import cluster

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
