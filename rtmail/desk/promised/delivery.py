"""What the fate of an outgoing mail does: the relay took it, or it came back.

An answer meets its clock when it is given and keeps it met only if the relay takes it; one that fails or bounces gives
the time back, and its author is told in the same thread what to do (promise 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rtmail.desk import audience, notes
from rtmail.desk.decision import Builder
from rtmail.desk.outages import telling
from rtmail.desk.promised import closing
from rtmail.desk.stimulus import Delivered
from rtmail.desk.ticket import Event, EventKind
from rtmail.mail.writing.draft import Auto, Draft, Recipient, ReplyTo, Suppress, Visibility
from rtmail.policy import ladder, signals
from rtmail.policy.clocks import Notice, NoticeKind
from rtmail.policy.rows import ClockKind, Reach

WORDS_TEMPLATES = frozenset({audience.WORDS, audience.FIXED, "closing", "promised", "asking"})
"""Mails that bring an engineer's words to the requestor, some of them with something of ours below."""
_TELLINGS = frozenset({telling.INCIDENT, telling.MAINTENANCE})
LADDER_TEMPLATES = frozenset({"escalation", "missed", "nudge"})


def delivered(builder: Builder, stimulus: Delivered) -> None:
    """Record the fate, let the clocks know, and tell whoever wrote the words when it is a bad one."""
    facts = {
        "outcome": stimulus.outcome,
        "of": stimulus.about.seq,
        "template": stimulus.template,
        "person": stimulus.person,
        "status": stimulus.status,
        "outbox": stimulus.outbox_id,
    }
    event = builder.add(EventKind.DELIVERY, facts=facts)
    requestor = builder.ticket.addressee
    words = stimulus.template in WORDS_TEMPLATES and stimulus.about.kind is EventKind.CORRESPONDENCE
    # Who asked may have been erased since: then what reaches anybody else is the answer.
    counts = words and (requestor is None or requestor.person == stimulus.person)
    if stimulus.outcome == "deferred":
        return
    if stimulus.template in _TELLINGS:
        # One of many: that he cannot be written to takes nothing back from what the others were told.
        if stimulus.outcome == "sent":
            builder.signal(signals.Delivered(at=builder.now, event=stimulus.about.seq))
        elif telling.undelivered(builder, stimulus.about.seq):
            _tell(builder, stimulus, event.seq)
        return
    if stimulus.outcome == "sent":
        if counts:
            builder.signal(signals.Delivered(at=builder.now, event=stimulus.about.seq))
        return
    if counts:
        builder.signal(signals.Returned(at=builder.now, event=stimulus.about.seq))
    elif stimulus.template in LADDER_TEMPLATES:
        untold(builder, stimulus.about, stimulus.person)
    if stimulus.template == "closing":
        # He was never asked; that he does not answer means nothing.
        closing.hold(builder, builder.now, event.seq)
    _tell(builder, stimulus, event.seq)


def untold(builder: Builder, about: Event, person: int) -> None:
    """A notice of the ladder reached nobody who acts on it: the clocks look for the next person who can be told."""
    facts = about.facts
    role = (facts.get("roles") or {}).get(str(person))
    if "rung" in facts and role:
        builder.signal(
            signals.NoticeFailed(
                at=builder.now,
                clock=ClockKind(facts["clock"]),
                generation=facts["generation"],
                rung=facts["rung"],
                role=role,
                reach=Reach(facts["reach"]),
                event=builder.ticket.events,
            )
        )
    elif role and facts.get("notice") == NoticeKind.MISSED:
        _missed_untold(builder, facts, role)


def _missed_untold(builder: Builder, facts: Mapping[str, Any], role: str) -> None:
    """A missed promise that nobody heard of goes to the next in line: the role's deputy, or the admin with an alarm."""
    stood_in = Reach(facts.get("reach", Reach.PERSON))
    reach = Reach.ADMIN if role in ("owner", "queue") and stood_in is not Reach.ADMIN else ladder.next_reach(stood_in)
    if reach is None:
        return
    due_at = datetime.fromisoformat(facts["due_at"])
    builder.notices.append(
        Notice(
            NoticeKind.MISSED,
            facts["clock"],
            facts["generation"],
            None,
            (role,),
            "missed",
            f"{facts['rule']}; {role} not reached at {stood_in.value}, so {reach.value}",
            due_at,
            builder.now,
            late_by=builder.now - due_at,
            reach=reach,
            alarm=reach is Reach.ADMIN,
            bundle=False,
        )
    )


def _tell(builder: Builder, stimulus: Delivered, seq: int) -> None:
    """The author of the words hears of it; where a machine wrote them, owner and watchers do, and the admin when nobody is left."""
    directory = builder.house.directory
    person = directory.by_party(stimulus.about.actor) if stimulus.about.actor else None
    people = [person] if person else [one for one in builder.staff() if one.party != stimulus.person]
    recipients = [audience.staff_recipient(one) for one in people]
    if not recipients:
        recipients = [Recipient(0, builder.house.site.admin, "", staff=True)]
    number = builder.ticket.number
    clock = _owed_again(builder)
    root = builder.house.message_id(number, 1)
    about = builder.house.message_id(number, stimulus.about.seq)
    for recipient in recipients:
        builder.drafts.append(
            Draft(
                template="undeliverable",
                to=recipient,
                visibility=Visibility.INTERNAL,
                subject=builder.ticket.subject,
                queue=builder.ticket.queue,
                number=number,
                event=seq,
                auto=Auto.REPLIED,
                suppress=Suppress.ALL,
                reply_to=ReplyTo.COMMENT,
                in_reply_to=about,
                references=tuple(dict.fromkeys((root, about))),
                urgency=0,
                facts={
                    "recipient": stimulus.recipient,
                    "status": stimulus.status,
                    "answer": stimulus.said,
                    "outcome": stimulus.outcome,
                    "at": builder.now,
                    "text": stimulus.text,
                    "clock": clock,
                },
            )
        )


def _owed_again(builder: Builder) -> str:
    """One sentence on the promise that the returned answer had met, "" for none."""
    owed = next((clock for clock in builder.ticket.clocks if clock.running and clock.started_at == builder.now and clock.due_at), None)
    if owed is None or owed.due_at is None:
        return ""
    return f"The {owed.name.replace('-', ' ')} is owed again, by {notes.shown(owed.due_at, builder.zone)}."
