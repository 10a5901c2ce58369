"""A clock as a row: one promise's start, pauses, due instant, generation, outcome and the event that settled it (promise 9).

A row explains itself without the policy that made it: `rule` names what set its due instant, and `to_row()` is what the
ticket's clock events carry, so that replaying them rebuilds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class ClockKind(StrEnum):
    """The promises. CLOSING is no promise to anybody: it counts the time until a resolved request closes by itself."""

    TRIAGE = "triage"
    FIRST_RESPONSE = "first-response"
    UPDATE = "update"
    RESOLUTION = "resolution"
    LADDER = "ladder"
    CLOSING = "closing"
    APPEAL = "appeal"
    """A customer's appeal against a priority, until management decided it."""


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    MISSED = "missed"
    """Past due; `settled_at` tells when it was kept after all, if it was."""
    RETURNED = "returned"
    """The answer that met it came back undelivered; a new instance took over."""
    VOID = "void"
    """Ended without an outcome: rejected, merged, or overtaken by another instance."""


OPEN = frozenset({State.RUNNING, State.PAUSED})


class Basis(StrEnum):
    """What an instance's length comes from, so that a change of priority or cadence moves only what it should."""

    TARGET = "target"
    """The priority's target, or the cadence agreed for the request."""
    REPLY = "reply"
    """The time in which a customer's words are answered."""
    PROMISE = "promise"
    """An instant told to the customer: no cadence moves it."""


class Reach(StrEnum):
    """Who stands for a role: its person, his deputy, or at last the admin."""

    PERSON = "person"
    DEPUTY = "deputy"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a ladder row: when it is due, whom it tells, and when it was done with.

    done_at  None while it is to come
    outcome  told | with-higher (a higher rung fired at the same time) | told-recently (all its roles just were) | early
    reached  (role, reach) where not the role's person but his deputy or the admin was told
    """

    rung: int
    due_at: datetime
    tell: tuple[str, ...]
    ack_holds: bool = True
    done_at: datetime | None = None
    outcome: str = ""
    reached: tuple[tuple[str, Reach], ...] = ()


@dataclass(frozen=True, slots=True)
class Ack:
    """A manager's acknowledgement: whose, when, until when it is valid."""

    role: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """One instance of one promise. (kind, generation) is its key within the ticket; generations count from 1.

    priority    whose target it runs on; calendar: what its time is counted on
    started_at  from when it counts; started_event: the event that began it
    due_at      None only for a ladder whose rungs are all done; of a paused clock: as it stood when the pause began
    pauses      closed intervals during which it stood still; paused_at begins the one that lasts
    settled_*   when, by what (human, taken, acknowledgement, staff, resolved, closed …) and by which event it came to its outcome
    settled_person  party id of who wrote the answer that settled it, 0 where nobody did
    confirmed   the outcome is final: the relay accepted the answer, or the request was closed
    rule        what set due_at, or what ended the clock
    basis       what its length comes from
    nudge_at    when staff are reminded, None never; nudged_at: when they were
    warned_at   when author and admin heard that the answer is not delivered
    holds       holding updates sent in a row before and with this instance
    snoozed     (role or "owner", until): who asked to be left alone, until when
    told        (role, when) of every miss and escalation this row caused
    steps       rungs: of a ladder all of them, of triage its only one; acks given to them
    """

    kind: ClockKind
    generation: int
    state: State
    priority: str
    calendar: str
    started_at: datetime
    due_at: datetime | None
    rule: str = ""
    started_event: int = 0
    pauses: tuple[tuple[datetime, datetime], ...] = ()
    paused_at: datetime | None = None
    settled_at: datetime | None = None
    settled_by: str = ""
    settled_event: int = 0
    confirmed: bool = False
    basis: Basis = Basis.TARGET
    nudge_at: datetime | None = None
    nudged_at: datetime | None = None
    warned_at: datetime | None = None
    holds: int = 0
    snoozed: tuple[tuple[str, datetime], ...] = ()
    told: tuple[tuple[str, datetime], ...] = ()
    steps: tuple[Step, ...] = ()
    acks: tuple[Ack, ...] = ()
    settled_person: int = 0

    @property
    def name(self) -> str:
        return self.kind.value

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def running(self) -> bool:
        return self.state is State.RUNNING

    @property
    def pending(self) -> Step | None:
        """The lowest rung still to come."""
        return next((step for step in self.steps if step.done_at is None), None)

    def to_row(self) -> dict[str, Any]:
        """Return the row as JSON values; instants as ISO 8601 in UTC, what is at its default left out."""
        row: dict[str, Any] = {}
        for name, blank in _AT_DEFAULT.items():
            value = getattr(self, name)
            if value != blank or name in _ALWAYS_WRITTEN:
                row[name] = _plain(value)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Clock:
        """Return the clock that `to_row` wrote."""
        return cls(
            kind=ClockKind(row["kind"]), generation=int(row["generation"]), state=State(row["state"]), priority=row["priority"],
            calendar=row["calendar"], started_at=_instant(row["started_at"]), due_at=_maybe(row["due_at"]), rule=row.get("rule", ""),
            started_event=row.get("started_event", 0), pauses=tuple((_instant(a), _instant(b)) for a, b in row.get("pauses", ())),
            paused_at=_maybe(row.get("paused_at")), settled_at=_maybe(row.get("settled_at")), settled_by=row.get("settled_by", ""),
            settled_event=row.get("settled_event", 0), confirmed=row.get("confirmed", False), basis=Basis(row.get("basis", Basis.TARGET)),
            nudge_at=_maybe(row.get("nudge_at")), nudged_at=_maybe(row.get("nudged_at")), warned_at=_maybe(row.get("warned_at")),
            holds=row.get("holds", 0), snoozed=tuple((who, _instant(at)) for who, at in row.get("snoozed", ())),
            told=tuple((who, _instant(at)) for who, at in row.get("told", ())),
            steps=tuple(_step(step) for step in row.get("steps", ())),
            acks=tuple(Ack(ack["role"], _instant(ack["at"]), _instant(ack["until"])) for ack in row.get("acks", ())),
            settled_person=row.get("settled_person", 0),
        )


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_BLANK = Clock(ClockKind.TRIAGE, 0, State.VOID, "", "", _EPOCH, None)
_AT_DEFAULT = {name: getattr(_BLANK, name) for name in Clock.__slots__}
_ALWAYS_WRITTEN = frozenset({"kind", "generation", "state", "priority", "calendar", "started_at", "due_at"})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Step | Ack):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return str(value) if isinstance(value, StrEnum) else value


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)


def _step(row: Mapping[str, Any]) -> Step:
    return Step(rung=row["rung"], due_at=_instant(row["due_at"]), tell=tuple(row["tell"]), ack_holds=row["ack_holds"],
                done_at=_maybe(row["done_at"]), outcome=row["outcome"],
                reached=tuple((role, Reach(reach)) for role, reach in row["reached"]))
