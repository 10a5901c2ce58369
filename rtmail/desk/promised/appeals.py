"""A customer's appeal against a priority: management hears of it at once, decides it within its own time, and he is told both.

Only who holds the management role, or stands in for him, decides: what others set is a reclassification, and the appeal goes on.
"""

from __future__ import annotations

from datetime import datetime

from rtmail.desk import audience, notes
from rtmail.desk.decision import Builder, Words
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.received import arrival
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Event, EventKind
from rtmail.mail.writing.draft import Visibility
from rtmail.policy import signals
from rtmail.policy.rows import Clock, ClockKind, State


def made(builder: Builder, stimulus: Received, event: Event, flags: tuple[str, ...]) -> tuple[str, ...]:
    """The requestor appeals by the mail that is `event`; return what the others of the staff must know of it."""
    if builder.policy.appeal is None:
        return flags
    begun = _begun(
        builder, event, stimulus.at, who=arrival.who(stimulus), author=arrival.author_name(stimulus.verdict.sender),
        text=stimulus.mail.reply_text, about_customer=True,
    )  # fmt: skip
    if begun is None:
        return ("Appeals again against the priority; the appeal waits for a decision.",)
    return (f"Appeals against the priority {builder.ticket.priority}; {begun or 'nobody yet'} decides.",)


def reported(builder: Builder, reason: str, person: Person) -> str:
    """Staff note that the requestor appeals by another way than mail; `reason` is what he said, for staff. Raises CannotDo."""
    ticket, first = builder.ticket, next(iter(builder.policy.priorities))
    if builder.policy.appeal is None:
        raise CannotDo("nobody decides appeals here: the policy names none", f"Reclassify: {first}, it stops all work")
    if not ticket.priority:
        raise CannotDo("it has no priority yet that he could appeal against", f"Priority: {first}")
    if _open(builder) is not None:
        raise CannotDo("an appeal waits for a decision already")
    words = Words(ticket.subject, reason, reason, 0, 0, person.party)
    event = builder.say(EventKind.COMMENT, actor=person.party, words=words, visibility=Visibility.INTERNAL, facts={"appeal": True})
    manager = _begun(builder, event, builder.now, who=person.name, author=person.name, text=reason, about_customer=False)
    return f"{manager or 'nobody yet'} decides; the requestor is told that it is under way"


def _begun(builder: Builder, event: Event, at: datetime, *, who: str, author: str, text: str, about_customer: bool) -> str | None:
    """Begin the appeal by what is `event`, and tell management and requestor; return who decides, None where one waits already.

    who, author, text, about_customer  as `audience.to_staff` takes them
    """
    appeal = builder.policy.appeal
    fresh = _open(builder) is None
    builder.signal(signals.Appealed(at=at, event=event.seq))
    row = _open(builder)
    if appeal is None or not fresh or row is None:
        return None
    manager = builder.house.directory.reached(appeal.tell, builder.house.away(builder.now))
    priority = builder.ticket.priority
    if manager:
        by = notes.shown_near(row.due_at, builder.zone) if row.due_at else "soon"
        audience.to_staff(
            builder,
            event,
            "notice",
            who=who,
            author=author,
            text=text,
            people=(manager,),
            about_customer=about_customer,
            flags=(
                f"Appeals against the priority {priority}. You decide, by {by}: `Priority: {priority}` keeps it, "
                "`Reclassify: P…, reason` changes it; the customer is told.",
            ),
        )
    told = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "appealed", "roles": {}})
    audience.to_requestor(builder, told, "appealed", facts={"priority": priority, "decided_by": row.due_at})
    return manager.name if manager else ""


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
