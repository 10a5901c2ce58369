"""The engine's thread does what time asks for by whatever the clock on the wall is set to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

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
