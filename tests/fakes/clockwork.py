"""One request's clocks on a virtual clock: signals in, ticks exactly when they are due, and everything that followed kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rtmail.policy.clocks import Advance, Change, Clock, ClockKind, Facts, Notice, advance, wake_at
from rtmail.policy.model import Policy
from rtmail.policy.rows import State
from rtmail.policy.schema import parse
from rtmail.policy.signals import (
    Answered,
    CadenceSet,
    CustomerWrote,
    Prioritised,
    Refused,
    ReopenedAfterClosed,
    Signal,
    StatusChanged,
    Tick,
)

POLICIES = Path(__file__).resolve().parent.parent.parent / "config" / "policies"


def shipped(name: str, **replacements: str) -> Policy:
    """A shipped policy; `replacements` are whole lines by their key at the top of the file."""
    text = (POLICIES / f"{name}.toml").read_text()
    for key, value in replacements.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
        assert f"\n{key} = {value}\n" in text, key
    return parse(text, f"{name}.toml", "Europe/Berlin")


class Clockwork:
    """`send` lets time run up to a signal's instant, then gives the signal; `until` lets it run up to an instant, included."""

    def __init__(self, policy: Policy, opened_at: datetime, *, owner: int = 7) -> None:
        self.policy = policy
        self.facts = Facts("new", opened_at, owner=owner)
        self.clocks: tuple[Clock, ...] = ()
        self.changes: list[Change] = []
        self.notices: list[Notice] = []

    def send(self, *signals: Signal) -> list[Notice]:
        """The notices of these signals and of the time before them."""
        before = len(self.notices)
        for signal in signals:
            self._run(signal.at, included=False)
            self.give(signal)
        return self.notices[before:]

    def until(self, at: datetime) -> list[Notice]:
        before = len(self.notices)
        self._run(at, included=True)
        return self.notices[before:]

    def give(self, signal: Signal) -> Advance:
        """Give one signal as it is, without letting time run; a Tick may so be late, or early."""
        followed = advance(self.policy, self.clocks, self.facts, signal)
        rows = {(row.kind, row.generation): row for row in self.clocks}
        for change in followed.changes:
            row = Clock.from_row(change.row.to_row())
            assert row == change.row
            rows[row.kind, row.generation] = row
        assert tuple(rows[key] for key in sorted(rows)) == followed.clocks, "the changes do not lead to the rows"
        self.clocks = followed.clocks
        self.changes += followed.changes
        self.notices += followed.notices
        self.facts = after(self.facts, signal)
        return followed

    def _run(self, at: datetime, *, included: bool) -> None:
        while (wake := wake_at(self.clocks)) is not None and (wake < at or (included and wake == at)):
            self.give(Tick(wake))
            following = wake_at(self.clocks)
            assert following is None or following > wake, f"time stands still at {wake}"

    def of(self, kind: ClockKind | str) -> list[Clock]:
        return [row for row in self.clocks if row.kind == kind]

    def latest(self, kind: ClockKind | str) -> Clock:
        return self.of(kind)[-1]

    def states(self, kind: ClockKind | str) -> list[State]:
        return [row.state for row in self.of(kind)]


def after(facts: Facts, signal: Signal) -> Facts:
    """The facts as the desk keeps them after a signal."""
    match signal:
        case StatusChanged():
            return replace(facts, status=signal.new)
        case Prioritised():
            return replace(facts, priority=signal.priority, status="open" if facts.status == "new" else facts.status)
        case CustomerWrote(thanks=thanks) if facts.status == "waiting" or (facts.status in ("resolved", "closed") and not thanks):
            return replace(facts, status="open")
        case Refused() | ReopenedAfterClosed():
            return replace(facts, status="open")
        case Answered():
            return replace(facts, answered=True)
        case CadenceSet():
            return replace(facts, cadence=signal.every)
    return facts


def mails(notices: Iterable[Notice]) -> list[tuple[str, str, int | None, tuple[str, ...]]]:
    """What a test compares: (kind, clock, rung, to)."""
    return [(notice.kind.value, notice.clock, notice.rung, notice.tell) for notice in notices]
