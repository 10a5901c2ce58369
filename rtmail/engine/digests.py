"""Writes the daily and weekly mails that are due: once a person, day and kind, whoever of several daemons comes first."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from rtmail.desk.audience import staff_recipient
from rtmail.desk.people import Person
from rtmail.desk.reports import digest
from rtmail.desk.reports.digest import Kind, Lost, Sending, Solved, Tally, Unowned
from rtmail.engine.keeping import Keeper
from rtmail.mail.writing.draft import Auto, Draft, ReplyTo, Suppress, Visibility

REMEMBERED_FOR = timedelta(days=40)
"""So long it is known that a mail was written: no clock is set back further."""

Claim = tuple[str, Kind, date]


class Digests:
    """The daily and weekly mails of one office."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._office, self._store = keeper, keeper.office, keeper.store
        self._done: set[Claim] = set()
        """What is known to be written, by us or another daemon: looking again costs nothing."""

    def send(self, now: datetime) -> int:
        """Write what is due; returns how many mails."""
        office, sent = self._office, 0
        policies = {queue: office.current_policy(queue)[1] for queue in office.directory.queues}
        counted = _Counted(self._keeper, now)
        reports = any(one.reported for policy in policies.values() for one in policy.fields.values())
        for person in office.directory.people.values():
            policy = digest.policy_of(person, office.directory, policies)
            hours = policy.hours(policy.digest.calendar)
            for sending in digest.sendings(policy.digest, hours, now):
                claim = (person.key, sending.kind, sending.day)
                if claim in self._done:
                    continue
                with self._store.transaction():
                    if self._store.once(f"{sending.kind}:{person.party}:{sending.day}", now, now + REMEMBERED_FOR):
                        tallies, lost, unowned = counted.of(sending)
                        facts = digest.facts(
                            person, sending, now, office.directory, hours, owed=self._store.owed(person.party), unowned=unowned,
                            tallies=tallies, lost=lost, order=tuple(policy.priorities), policies=policies,
                            solved=counted.solved(sending) if sending.kind is Kind.WEEKLY and reports else (),
                        )  # fmt: skip
                        sent += self._post(person, sending, facts, now)
                self._done.add(claim)
        self._done = {claim for claim in self._done if claim[2] >= now.date() - timedelta(days=2)}
        return sent

    def _post(self, person: Person, sending: Sending, facts: dict[str, object], now: datetime) -> int:
        if not facts:
            return 0
        queues = self._office.directory.queues
        draft = Draft(
            template=str(sending.kind),
            to=staff_recipient(person),
            visibility=Visibility.INTERNAL,
            subject="",
            queue=next((name for name in queues if not person.queues or name in person.queues), next(iter(queues))),
            facts=facts,
            auto=Auto.GENERATED,
            suppress=Suppress.ABSENCES,
            reply_to=ReplyTo.COMMENT,
            urgency=2,
        )
        self._keeper.post(self._keeper.render([draft], now), None, [draft], now)
        return 1


class _Counted:
    """What the store counted for one round; asked once for each stretch of time, not once a person."""

    def __init__(self, keeper: Keeper, now: datetime) -> None:
        self._store, self._now = keeper.store, now
        self._known: dict[tuple[datetime, datetime], tuple[list[Tally], list[Lost], list[Unowned]]] = {}
        self._solved: dict[datetime, list[Solved]] = {}

    def solved(self, sending: Sending) -> list[Solved]:
        if sending.since not in self._solved:
            self._solved[sending.since] = self._store.solved(sending.since, sending.at)
        return self._solved[sending.since]

    def of(self, sending: Sending) -> tuple[list[Tally], list[Lost], list[Unowned]]:
        span = (sending.since, sending.until)
        if span not in self._known:
            self._known[span] = (
                self._store.tallies(sending.since, self._now, sending.until),
                self._store.lost(sending.since, self._now, digest.MOST_LOST),
                self._store.unowned(),
            )
        return self._known[span]
