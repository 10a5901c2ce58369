"""A request's history under another policy: what people did stays as it was, and the clocks run anew. Pure.

`rtmail simulate --replay` runs the store's requests through it. What was sent is not asked: a mail that time caused under the old
policy says nothing about the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from rtmail.desk.decision import facts_of
from rtmail.desk.outages.about import counting
from rtmail.desk.promised.delivery import WORDS_TEMPLATES
from rtmail.desk.ticket import Event, EventKind, Status, Ticket, apply
from rtmail.policy import clocks, signals
from rtmail.policy.clocks import Clock, ClockKind, State
from rtmail.policy.duration import Duration
from rtmail.policy.model import Policy
from rtmail.policy.terms import TERMS, Terms

PROMISES = (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.RESOLUTION)
_OPENS = frozenset({EventKind.JOINED, EventKind.LINKED, EventKind.FIELD})
"""With these a log begins, before anything is promised: who asks, and on what terms he is served."""
_OF_THE_CLOCKS = frozenset({EventKind.CLOCK, EventKind.TOLD})


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise that fell due: missed, or kept. `settled_at` None: not kept to this day."""

    kind: ClockKind
    due_at: datetime
    missed: bool
    settled_at: datetime | None


def replay(policy: Policy, ticket: Ticket, events: Iterable[Event], priorities: Mapping[str, str], until: datetime) -> tuple[Clock, ...]:
    """Return the clocks that the request would have under `policy`, as they would stand at `until`.

    ticket      as stored; only what does not come from its events is taken
    events      its log in order
    priorities  priority of its own policy -> the one of `policy` that stands for it
    """
    history, general = tuple(events), counting(policy, ticket)
    # One decision opens a request; the event of its mail alone bears the time of that.
    opening = history[:1] + tuple(takewhile(lambda event: event.kind in _OPENS and event.at == history[1].at, history[1:]))
    policy = general.under(_terms(opening))
    told = Ticket(ticket.id, ticket.number, ticket.queue, ticket.subject, Status.NEW, ticket.opened_at, ticket.policy_version)
    rows: tuple[Clock, ...] = ()
    for index, event in enumerate(history):
        if event.kind in _OF_THE_CLOCKS:
            continue
        event = _translated(event, priorities, policy)
        rows = _passed(policy, rows, told, event.at)
        for signal in _signals(event, ticket):
            rows = clocks.advance(policy, rows, facts_of(told), signal).clocks
        told = apply(told, event)
        if index >= len(opening) and (terms := _terms((event,))):
            policy = general.under(terms)
            rows = clocks.advance(policy, rows, facts_of(told), signals.PolicyApplied(event.at)).clocks
    rows = _passed(policy, rows, told, until)
    return clocks.advance(policy, rows, facts_of(told), signals.Tick(until)).clocks


def promises(rows: Iterable[Clock], since: datetime, until: datetime) -> tuple[Promise, ...]:
    """Return the promises of `rows` that fell due between two instants, in order of time."""
    found = [
        Promise(row.kind, row.due_at, row.state is State.MISSED, row.settled_at)
        for row in rows
        if row.kind in PROMISES and row.due_at is not None and since <= row.due_at <= until and row.state in (State.MET, State.MISSED)
    ]
    return tuple(sorted(found, key=lambda promise: promise.due_at))


def nearest(old: Policy, new: Policy) -> dict[str, str]:
    """Return which priority of `new` stands for each of `old`: the one of the same name, else the one with the nearest code."""

    def stand_in(key: str, code: int) -> str:
        return key if key in new.priorities else min(new.priorities.values(), key=lambda one: (abs(one.code - code), -one.code)).key

    return {key: stand_in(key, priority.code) for key, priority in old.priorities.items()}


def _passed(policy: Policy, rows: tuple[Clock, ...], ticket: Ticket, at: datetime) -> tuple[Clock, ...]:
    """Let time run up to an instant, that instant excluded."""
    while (wake := clocks.wake_at(rows)) is not None and wake < at:
        rows = clocks.advance(policy, rows, facts_of(ticket), signals.Tick(wake)).clocks
    return rows


def _terms(events: Iterable[Event]) -> Terms | None:
    """Return the terms that these events gave the request last, None for none."""
    rows = [event.facts["value"] for event in events if event.kind is EventKind.FIELD and event.facts["name"] == TERMS]
    return Terms.from_row(rows[-1]) if rows else None


def _translated(event: Event, priorities: Mapping[str, str], policy: Policy) -> Event:
    if event.kind is not EventKind.PRIORITY:
        return event
    new = str(event.facts["new"])
    if new and new not in policy.priorities:
        new = priorities.get(new, "") if priorities.get(new, "") in policy.priorities else policy.untriaged
    return replace(event, facts={**event.facts, "new": new})


def _signals(event: Event, ticket: Ticket) -> Iterator[signals.Signal]:
    """What the clocks were told when `event` was written."""
    at, seq, facts = event.at, event.seq, event.facts
    requestor = ticket.requestor.person if ticket.requestor else 0
    match event.kind:
        case EventKind.OPENED:
            yield signals.Opened(at, seq)
        case EventKind.ACKNOWLEDGED:
            yield signals.AcknowledgementSent(at, seq)
        case EventKind.CORRESPONDENCE if facts.get("by_staff"):
            yield signals.Answered(at, seq)
            if facts.get("direct"):
                yield signals.Delivered(at, seq)
        case EventKind.CORRESPONDENCE | EventKind.UNVERIFIED if not facts.get("doubtful"):
            yield signals.CustomerWrote(at, thanks=bool(facts.get("thanks")), event=seq)
        case EventKind.DELIVERY if facts["template"] in WORDS_TEMPLATES and facts["person"] == requestor and facts["outcome"] != "deferred":
            yield (signals.Delivered if facts["outcome"] == "sent" else signals.Returned)(at, int(facts["of"]))
        case EventKind.STATUS:
            yield signals.StatusChanged(at, str(facts["new"]), seq)
        case EventKind.MERGED:
            yield signals.Ended(at, "merged", seq)
        case EventKind.PRIORITY if facts["new"] and (facts.get("by_staff", True) or facts["new"] != facts.get("old")):
            yield signals.Prioritised(at, str(facts["new"]), by_staff=bool(facts.get("by_staff", True)), event=seq)
        case EventKind.OWNER if facts["new"]:
            yield signals.Taken(at, seq)
        case EventKind.FIELD if facts["name"] == "update_every":
            yield signals.CadenceSet(at, Duration.parse(facts["value"]) if facts["value"] else None, seq)
        case EventKind.FIELD if facts["name"] == "due" and facts["value"]:
            yield signals.DueSet(at, datetime.fromisoformat(facts["value"]), seq)
        case EventKind.FIELD if facts["name"] == "next" and facts["value"]:
            yield signals.Promised(at, datetime.fromisoformat(facts["value"]), seq)
        case _:
            return
