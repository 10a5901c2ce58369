"""Who answers for a request: taking it, giving it, and who hears of that. Nobody outside does."""

from __future__ import annotations

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.people import Person


def assign(builder: Builder, turn: int) -> str:
    """Give a request that opens to whom its queue's rule names; say so in a line for staff, "" where nobody gets it.

    turn  counts the requests of the queue from 1; whoever is away, or seems so, is passed over
    """
    house, name = builder.house, builder.ticket.queue
    queue, missing = house.queue(name), house.missing(builder.now)
    match queue.assign:
        case "duty":
            people, how = house.on_duty(name, builder.now), "who is on duty"
        case "round-robin":
            staff = house.directory.staff_of(name)
            at = (turn - 1) % len(staff) if staff else 0
            people, how = staff[at:] + staff[:at], "in turn"
        case _:
            return ""
    requestor = builder.ticket.requestor
    there = (one for one in people if one.key not in missing and not (requestor and requestor.person == one.party))
    person = next(there, None)
    if person is None or not builder.own(person, actor=0, by=queue.assign):
        return ""
    return f"{person.name} answers for it: {how}."


def give(builder: Builder, new: Person | None, by: Person) -> bool:
    """Make `new` the owner (None: nobody) and tell the other staff on the request; False when he is it already.

    Whoever got the request's mails so far hears who has it now: a whole queue, where nobody had it. `by` knows already.
    """
    heard = {person.key: person for person in builder.staff()}
    old = audience.owner_name(builder)
    if not builder.own(new, actor=by.party):
        return False
    event = next(entry.event for entry in reversed(builder.entries) if entry.event.kind == "owner")
    if new is not None:
        heard[new.key] = new
    given = f"{new.name} answers for it now." if new else "Nobody has it now: whoever can, takes it."
    audience.to_staff(
        builder,
        event,
        "state",
        who=by.name,
        author="",
        text="",
        people=tuple(heard.values()) if new else builder.staff(all_of_queue=True),
        human=False,
        about_customer=False,
        but=(by.party,),
        facts={"reason": given, "changes": [{"what": "Owner", "old": old, "new": new.name if new else ""}]},
    )
    return True
