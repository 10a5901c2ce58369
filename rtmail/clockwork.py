"""The daemon's clock: the system's, or for rehearsals one that starts at a chosen instant and runs at a chosen rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system() -> datetime:
    """Return the present instant, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A clock that showed `start` when the system's showed `zero`, and runs `rate` times as fast.

    Both are given by whoever rehearses, so that a restart lands on the same virtual time.
    """

    start: datetime
    zero: float
    rate: float

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=(time.time() - self.zero) * self.rate)


class Stepped:
    """A clock that stands still until it is moved, for rehearsals that go from instant to instant."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def move(self, to: datetime) -> None:
        self._now = to.astimezone(UTC)
