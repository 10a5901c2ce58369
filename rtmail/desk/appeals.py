"""A customer's appeal against a priority: management hears of it at once, decides it within its own time, and he is told both.

Only who holds the management role, or stands in for him, decides: what others set is a reclassification, and the appeal goes on.
"""

from __future__ import annotations

from rtmail.desk import arrival, audience
from rtmail.desk.decision import Builder
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Event, EventKind
from rtmail.mail.draft import Visibility
from rtmail.policy import signals
from rtmail.policy.rows import Clock, ClockKind, State


def made(builder: Builder, stimulus: Received, event: Event, flags: tuple[str, ...]) -> tuple[str, ...]:
    """The requestor appeals by the mail that is `event`; return what the others of the staff must know of it."""
    appeal = builder.policy.appeal
    if appeal is None:
        return flags
    fresh = _open(builder) is None
    builder.signal(signals.Appealed(at=stimulus.at, event=event.seq))
    row = _open(builder)
    if not fresh or row is None:
        return ("Appeals again against the priority; the appeal waits for a decision.",)
    directory = builder.house.directory
    manager = directory.reached(appeal.tell, builder.house.away(builder.now))
    priority = builder.ticket.priority
    if manager:
        by = f"{row.due_at:%a %d %b %H:%M} UTC" if row.due_at else "soon"
        audience.to_staff(
            builder,
            event,
            "notice",
            who=arrival.who(stimulus),
            author=arrival.author_name(stimulus.verdict.sender),
            text=stimulus.mail.reply_text,
            people=(manager,),
            flags=(
                f"Appeals against the priority {priority}. You decide, by {by}: `Priority: {priority}` keeps it, "
                "`Reclassify: P…, reason` changes it; the customer is told.",
            ),
        )
    told = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "appealed", "roles": {}})
    audience.to_requestor(builder, told, "appealed", facts={"priority": priority, "decided_by": row.due_at})
    return (f"Appeals against the priority {priority}; {manager.name if manager else 'nobody yet'} decides.",)


def decides(builder: Builder, actor: int) -> bool:
    """Tell whether this person's word on the priority decides an appeal."""
    appeal, row = builder.policy.appeal, _open(builder)
    if appeal is None or row is None:
        return False
    person, role = builder.house.directory.by_party(actor), builder.house.directory.roles.get(appeal.tell)
    return person is not None and person.key in ((role.person, role.deputy) if role else (appeal.tell,))


def _open(builder: Builder) -> Clock | None:
    rows = [clock for clock in builder.ticket.clocks if clock.kind is ClockKind.APPEAL]
    last = rows[-1] if rows else None
    return last if last and (last.open or (last.state is State.MISSED and last.settled_at is None)) else None
