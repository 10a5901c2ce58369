"""A policy rehearsed: the same `decide` over virtual time, for a request that nobody wrote. Pure; `rtmail simulate` prints it.

The request is opened, prioritised and answered at the instants of a Plan; between them time alone acts, exactly when it would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rtmail.desk.decide import decide
from rtmail.desk.decision import Builder, Decision, House
from rtmail.desk.people import Directory, ManagementRole, Person, Queue
from rtmail.desk.promised import notices
from rtmail.desk.stimulus import Tick
from rtmail.desk.ticket import EventKind, Role, Status, Ticket
from rtmail.mail.site import Site
from rtmail.mail.writing.draft import Visibility
from rtmail.policy import signals
from rtmail.policy.clocks import ClockKind, Notice, NoticeKind, wake_at
from rtmail.policy.model import Policy
from rtmail.policy.rows import State

UPDATES_SHOWN = 3
"""So many update intervals are shown after the last answer, where the plan has no end: unanswered they go on for ever."""

_QUEUE = "support"
_ENGINEER = Person("engineer", "An Engineer", "engineer@staff.example", party=1)
_REQUESTOR = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What people do to the request, all instants aware.

    priority        "" to let nobody set one
    prioritised_at  when an engineer sets it, and takes the request; None: as it is opened
    answered_at     when an engineer writes to the customer, each mail taken by the relay at once
    until           the last instant looked at; None: until all rungs are told and UPDATES_SHOWN updates were due
    """

    opened_at: datetime
    priority: str = ""
    prioritised_at: datetime | None = None
    answered_at: tuple[datetime, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail there would be. `to` and `cc` are role names, "requestor", "owner" or "queue"; the clock is the promise it speaks of."""

    at: datetime
    kind: str
    clock: str
    rung: int | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    template: str
    rule: str


def simulate(policy: Policy, plan: Plan) -> tuple[Mail, ...]:
    """Return every mail that `policy` sends for the request of `plan`, in order of time.

    Raises ValueError for a priority that the policy does not have, and for deeds before the opening.
    """
    if plan.priority and plan.priority not in policy.priorities:
        raise ValueError(f"there is no priority {plan.priority!r} in {policy.name}; there are {', '.join(policy.priorities)}")
    deeds = _deeds(plan)
    if deeds[0][0] < plan.opened_at:
        raise ValueError(f"{deeds[0][0].isoformat()} lies before the opening, {plan.opened_at.isoformat()}")
    return tuple(_Rehearsal(policy, plan).mails(deeds))


def _deeds(plan: Plan) -> list[tuple[datetime, Callable[[Builder], None]]]:
    """What people do, in order of time: at one instant the request is opened before it is prioritised, and that before it is answered."""
    deeds: list[tuple[datetime, Callable[[Builder], None]]] = [(plan.opened_at, _open)]
    if plan.priority:
        deeds.append((plan.prioritised_at or plan.opened_at, lambda builder: _prioritise(builder, plan.priority)))
    deeds += [(at, _answer) for at in plan.answered_at]
    return sorted(deeds, key=lambda deed: deed[0])


class _Rehearsal:
    """One run: the request as it stands, and time going on."""

    def __init__(self, policy: Policy, plan: Plan) -> None:
        self.policy, self.until, self.house = policy, plan.until, _house(policy)
        self.ticket = Ticket(1, 1, _QUEUE, "A request", Status.NEW, plan.opened_at, 0)

    def mails(self, deeds: list[tuple[datetime, Callable[[Builder], None]]]) -> Iterator[Mail]:
        for at, deed in deeds:
            yield from self._pass(lambda wake, at=at: wake < at)  # type: ignore[misc]
            if self.until is not None and at > self.until:
                return
            builder = Builder(self.policy, self.ticket, at, self.house)
            deed(builder)
            notices.draft(builder)
            yield from self._keep(builder.result())
        answered = self._missed_updates()
        yield from self._pass(lambda wake: wake <= self.until if self.until is not None else self._goes_on(answered))

    def _pass(self, goes_on: Callable[[datetime], bool]) -> Iterator[Mail]:
        """Let time act alone, from waking to waking."""
        while (wake := wake_at(self.ticket.clocks)) is not None and goes_on(wake) and (self.until is None or wake <= self.until):
            yield from self._keep(decide(self.policy, self.ticket, Tick(), wake, self.house))

    def _keep(self, decision: Decision) -> Iterator[Mail]:
        self.ticket = decision.ticket
        for notice in decision.notices:
            rule = "; also ".join((notice.rule, *notice.also))
            yield Mail(notice.at, notice.kind.value, self._clock(notice), notice.rung, notice.tell, notice.cc, notice.template, rule)

    def _clock(self, notice: Notice) -> str:
        """The promise a mail speaks of: an acknowledgement of when a person will have looked, the closing of the resolution."""
        if notice.clock:
            return notice.clock
        if notice.kind is NoticeKind.CLOSING:
            return ClockKind.RESOLUTION.value
        triaged = any(clock.kind is ClockKind.TRIAGE for clock in self.ticket.clocks)
        return (ClockKind.TRIAGE if triaged else ClockKind.FIRST_RESPONSE).value

    def _missed_updates(self) -> int:
        return sum(clock.kind is ClockKind.UPDATE and clock.state is State.MISSED for clock in self.ticket.clocks)

    def _goes_on(self, answered: int) -> bool:
        others = [clock for clock in self.ticket.clocks if clock.kind is not ClockKind.UPDATE]
        return wake_at(others) is not None or self._missed_updates() < answered + UPDATES_SHOWN


def _open(builder: Builder) -> None:
    event = builder.add(EventKind.OPENED, visibility=Visibility.PUBLIC, actor=_REQUESTOR)
    builder.join(_REQUESTOR, Role.REQUESTOR, "customer@customer.example", "A Customer")
    builder.signal(signals.Opened(at=builder.now, event=event.seq))


def _prioritise(builder: Builder, priority: str) -> None:
    facts = builder.facts()
    event = builder.add(EventKind.PRIORITY, visibility=Visibility.PUBLIC, actor=_ENGINEER.party, facts={"old": "", "new": priority})
    builder.signal(signals.Prioritised(at=builder.now, priority=priority, event=event.seq), facts)
    builder.own(_ENGINEER, actor=_ENGINEER.party)


def _answer(builder: Builder) -> None:
    event = builder.add(EventKind.CORRESPONDENCE, visibility=Visibility.PUBLIC, actor=_ENGINEER.party, facts={"by_staff": True})
    builder.signal(signals.Answered(at=builder.now, event=event.seq))
    # At the due instant itself the clocks miss the relay's word, which here comes in the same instant.
    builder.notices = [notice for notice in builder.notices if notice.template != "undelivered"]
    builder.signal(signals.Delivered(at=builder.now, event=event.seq))
    builder.status(Status.OPEN, actor=_ENGINEER.party)
    builder.own(_ENGINEER, actor=_ENGINEER.party)


def _house(policy: Policy) -> House:
    """A house in which every role of the policy is somebody's."""
    people = {role: Person(role, role, f"{role}@staff.example", party=number) for number, role in enumerate(policy.roles, 3)}
    directory = Directory(
        people={_ENGINEER.key: _ENGINEER, **people},
        queues={_QUEUE: Queue(_QUEUE, "support@site.example", "support-comment@site.example", policy.name)},
        roles={role: ManagementRole(role, role) for role in people},
    )
    site = Site("Rehearsal", "Rehearsal", "site.example", "admin@site.example", timezone=policy.timezone)
    return House(site, directory, lambda number, event: f"<{number}.{event}@site.example>")
