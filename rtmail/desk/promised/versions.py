"""A request moves to another version of its policy: what that would move, and the decision that moves it.

An open request keeps the version it began with until somebody says `rtmail policy apply`; `rtmail policy diff` shows before
what would become of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rtmail.desk.decision import Builder, Decision, House, facts_of
from rtmail.desk.outages.about import counting
from rtmail.desk.promised import notices
from rtmail.desk.ticket import EventKind, Status, Ticket
from rtmail.policy import clocks, signals
from rtmail.policy.clocks import Clock
from rtmail.policy.model import Policy
from rtmail.policy.terms import TERMS, Terms

OPEN = (Status.NEW, Status.OPEN, Status.WAITING, Status.RESOLVED)
"""Requests in these statuses have clocks that a policy can move."""


@dataclass(frozen=True, slots=True)
class Move:
    """One due instant that moves: of a clock, or with `rung` of one rung. `new_due` None: it is promised no longer; `old_due` None: new."""

    clock: str
    generation: int
    rung: int | None
    old_due: datetime | None
    new_due: datetime | None
    rule: str


def moves(policy: Policy, ticket: Ticket, now: datetime) -> tuple[Move, ...]:
    """Return the due instants of `ticket` that `policy` would move if it were applied now."""
    policy = counting(policy, ticket).under(Terms.from_row(ticket.fields.get(TERMS)))
    advance = clocks.advance(policy, ticket.clocks, facts_of(ticket), signals.PolicyApplied(now))
    return moved(ticket.clocks, advance.clocks)


def moved(before: Iterable[Clock], after: Iterable[Clock]) -> tuple[Move, ...]:
    """Return the due instants that differ between two states of one request's clocks, open ones only."""
    old_rows = {(clock.kind, clock.generation): clock for clock in before}
    found: list[Move] = []
    for row in after:
        old = old_rows.get((row.kind, row.generation))
        was, now = _instants(old), _instants(row)
        found += [
            Move(row.name, row.generation, rung, was.get(rung), now.get(rung), row.rule)
            for rung in sorted(was.keys() | now.keys(), key=lambda rung: rung or 0)
            if was.get(rung) != now.get(rung)
        ]
    return tuple(found)


def applied(policy: Policy, version: int, ticket: Ticket, now: datetime, house: House) -> Decision:
    """Return what follows when `ticket` moves to `policy`, whose row in the store is `version`."""
    builder = Builder(policy, ticket, now, house)
    event = builder.add(EventKind.POLICY, facts={"old": ticket.policy_version, "new": version})
    builder.signal(signals.PolicyApplied(now, event.seq))
    notices.draft(builder)
    return builder.result()


def _instants(row: Clock | None) -> dict[int | None, datetime]:
    """Due instants still ahead, by rung; None stands for a clock's own."""
    if row is None or not row.open:
        return {}
    if row.name == "ladder":
        return {step.rung: step.due_at for step in row.steps if step.done_at is None}
    return {None: row.due_at} if row.due_at else {}
