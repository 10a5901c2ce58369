"""The engine's thread does what time asks for by whatever the clock on the wall is set to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.store import Serving
from rtmail.store.outbox import Deferred
from rtmail.ticking import Ticker
from tests.fakes.daemon import wait_for
from tests.fakes.house import House, mail


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets this process's time zone."""

    def move(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def test_the_end_of_summer_time_delays_no_deadline(tmp_path: Path, zone: Callable[[str], None]) -> None:
    """What is done every second is called for by local time: it goes back by an hour then, as does a clock that is set back."""
    zone("SUMMER-2")
    with closing(House(tmp_path)) as house:
        house.receive(mail())
        house.sent()
        ticker = Ticker(house.engine, lambda: house.now, house.store, tuple)
        house.forward(hours=5)
        zone("WINTER-1")
        ticker._round()
        assert house.sent()
        house.forward(days=1)

        def told() -> bool:
            ticker._round()
            return bool(house.sent())

        wait_for(told, 30, "and it does not go on")


@pytest.mark.parametrize("meanwhile", ["goes on", "starts again", "was told to end"])
def test_what_was_put_off_while_the_clock_was_ahead_does_not_wait_for_it(meanwhile: str, tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        def ticker() -> Ticker:
            return Ticker(house.engine, lambda: house.now, house.store, tuple)

        house.receive(mail())
        running, owner = ticker(), house.engine.owner
        running._look_at_clock()
        house.forward(days=3)
        running._look_at_clock()
        house.store.speak(Serving(owner, house.now, "0.1.0", ""))
        out = house.store.lease_outbox("courier", house.now, 50, 60)
        assert out
        house.store.settle_outbox_many([(one, Deferred("450 later", house.now + timedelta(minutes=5))) for one in out], house.now)
        back = house.put(mail(message_id="<2@acme.example>"))
        (item,) = house.store.lease_spool(owner, house.now, 1, 300)
        house.store.retry_spool(item, house.now + timedelta(seconds=5))
        house.forward(days=-3)
        if meanwhile == "was told to end":
            house.store.fall_silent(owner)
        if meanwhile != "goes on":
            running = ticker()
        running._round()
        assert not house.store.lease_outbox("courier", house.now, 50, 60), "the pause that was meant is kept"
        house.forward(minutes=5)
        assert {one.id for one in house.store.lease_outbox("courier", house.now, 50, 60)} >= {one.id for one in out}
        running._round()
        assert house.store.spool_row(back).outcome == "event"
