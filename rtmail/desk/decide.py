"""The whole decision: policy, ticket, stimulus and now go in; events, mails and the next waking come out. Pure.

The engine calls `decide` and commits what it returns; `simulate` calls the same with a clock of its own.
"""

from __future__ import annotations

from datetime import datetime

from rtmail.desk.commanded import effects, spoken
from rtmail.desk.decision import Builder, Decision, House
from rtmail.desk.fields import filling
from rtmail.desk.machines import monitoring, trackers
from rtmail.desk.outages import incidents, maintenance, telling
from rtmail.desk.promised import agreed, awaiting, notices, shouting, waits
from rtmail.desk.promised.delivery import delivered
from rtmail.desk.received import arrival, customers, incoming, opening, private
from rtmail.desk.stimulus import (
    Alerted,
    AlsoSent,
    Asked,
    Commanded,
    Delivered,
    LetGo,
    Over,
    Received,
    Slice,
    Spoken,
    Stimulus,
    Tick,
    Tracked,
)
from rtmail.desk.ticket import EventKind, Ticket
from rtmail.policy import signals
from rtmail.policy.model import Policy


def decide(policy: Policy, ticket: Ticket, stimulus: Stimulus, now: datetime, house: House) -> Decision:
    """Return what follows from `stimulus` for `ticket`.

    ticket  as stored; for a request that opens, a fresh one with its number and no events
    now     aware UTC, the instant of the decision
    """
    builder = Builder(policy, ticket, now, house)
    match stimulus:
        case Received():
            builder.languages, builder.said_at = stimulus.languages, min(stimulus.at, now)
            incoming.receive(builder, stimulus)
        case Asked():
            builder.add(
                EventKind.COMMAND,
                actor=stimulus.person,
                facts={"action": stimulus.action},
                message_id=stimulus.message_id,
                at=stimulus.at,
            )
        case Tick():
            builder.signal(signals.Tick(at=now))
            customers.split_overdue(builder)
            waits.end_overdue(builder)
            awaiting.remind(builder)
            maintenance.tick(builder)
            shouting.shout(builder)
        case Commanded():
            effects.commanded(builder, stimulus)
        case Delivered():
            delivered(builder, stimulus)
        case AlsoSent():
            opening.also_sent(builder, stimulus)
        case Alerted():
            monitoring.again(builder, stimulus)
        case Tracked():
            trackers.noted(builder, stimulus)
        case LetGo():
            private.let_go(builder, stimulus, filling.let_go(builder, stimulus), arrival.title_of(builder, stimulus.words.subject))
        case Spoken():
            spoken.say(builder, stimulus)
        case Slice():
            telling.tell(builder, stimulus)
        case Over():
            telling.over(builder, stimulus)
    for one in (builder, *builder.further):
        shouting.watch(one)
        agreed.tell(one)
        awaiting.tell(one)
        awaiting.watch(one)
        incidents.settle(one)
        notices.draft(one)
    return builder.result()
