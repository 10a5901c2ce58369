"""The polled mailboxes of a daemon: begun with it, changed by a reload, ended with it; and how they fare, in one line each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from rtmail.ingress.mailbox import Mailbox, Settings

SHOWN = 5
"""Mailboxes that are told of one by one; of more, those with trouble."""


class Mailboxes:
    """Reads the mailboxes that `use` names last; from one thread, but for `names`."""

    def __init__(self, make: Callable[[Settings], Mailbox]) -> None:
        self._make = make
        self._boxes: dict[str, Mailbox] = {}
        self._leaving: list[Mailbox] = []

    def names(self) -> Sequence[str]:
        return list(self._boxes)

    def use(self, wanted: Iterable[Settings]) -> None:
        """Read these from now on: those that are as they were go on undisturbed, a changed one begins when its former reader has ended."""
        settings = {one.name: one for one in wanted}
        for name, box in list(self._boxes.items()):
            if settings.get(name) != box.settings:
                box.stop()
                self._leaving.append(self._boxes.pop(name))
        self._leaving = [box for box in self._leaving if box.running]
        for name in settings.keys() - self._boxes.keys():
            box = self._boxes[name] = self._make(settings[name])
            box.start([former for former in self._leaving if former.settings.name == name])

    def stop(self) -> None:
        """Let all of them finish what is under way; returns at once."""
        for box in self._boxes.values():
            box.stop()

    def join(self, seconds: float) -> None:
        """Wait until they have ended, `seconds` for all together."""
        until = time.monotonic() + seconds
        for box in [*self._boxes.values(), *self._leaving]:
            box.join(max(until - time.monotonic(), 0))

    def states(self) -> dict[str, tuple[datetime | None, str]]:
        """Return when each worked last (None: never), and its trouble, "" for none."""
        return {name: (box.worked_at, box.trouble) for name, box in sorted(self._boxes.items())}

    def troubles(self) -> list[str]:
        """Return the trouble of each that has one."""
        return [f"mailbox {name}: {trouble}" for name, (_, trouble) in self.states().items() if trouble]

    def told(self, now: datetime) -> list[str]:
        """Return how they fare: when each worked last, and its trouble."""
        states = self.states()
        ill = {name: state for name, state in states.items() if state[1]}
        one_by_one = states if len(states) <= SHOWN else dict(list(ill.items())[:SHOWN])
        lines = []
        for name, (worked_at, trouble) in one_by_one.items():
            lines.append(f"mailbox {name}: {_success(worked_at, now)}{f', {trouble}' if trouble else ''}")
        if more := len(states) - len(one_by_one):
            lines.append(f"{more} more mailboxes, {len(ill.keys() - one_by_one.keys())} of them with trouble")
        return lines


def _success(worked_at: datetime | None, now: datetime) -> str:
    if worked_at is None:
        return "no success yet"
    age = max(now - worked_at, timedelta())
    for unit, one in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if age >= 2 * one:
            return f"last success {age // one} {unit} ago"
    return f"last success {age // timedelta(seconds=1)} s ago"
