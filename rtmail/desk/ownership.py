"""Who answers for a request: taking it, giving it, and who hears of that. Nobody outside does."""

from __future__ import annotations

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.people import Person


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
