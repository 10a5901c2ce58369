"""Waiting for the customer: the list of what is asked of him, reminders on a cadence of their own, and the end with a word.

`ask: log of the gateway` puts an item on the list and lets the request wait; staff tick it with `got 1`, or the customer's answer does, as
far as the policy lets it. His words end the wait as ever. What is asked for are words, and stand where those of forms do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from rtmail.desk import audience
from rtmail.desk.decision import REMIND_AT, REMIND_HELD, Builder, Words
from rtmail.desk.fields import filled
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.promised.closing import REOPEN
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import MOVED_IN, EventKind, Status, legal
from rtmail.mail.reading.marks import depth, undepth
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility
from rtmail.policy.duration import Duration
from rtmail.policy.terms import TickedBy

REMINDED = "reminded"
"""The field that holds how often he was reminded in this wait."""
MOST_ITEMS = 20
_LONGEST = 300
_ITEM = re.compile(r"#?(\d{1,2})\s?(?:[.):]|\s-)\s*(.*)")


# -- the list --


def ask(builder: Builder, value: str, person: Person) -> str:
    """Ask the customer for something, and wait for it. Raises CannotDo."""
    ticket, text = builder.ticket, " ".join(value.split())
    if ticket.status is not Status.WAITING and not legal(ticket.status, Status.WAITING):
        raise CannotDo(f"a request that is {ticket.status} cannot become {Status.WAITING}", "reopen")
    if ticket.requestor is None or not ticket.requestor.address:
        raise CannotDo("this request has nobody who could be asked", "AddRequestor: bob@acme.example")
    if leak := builder.house.leaks(text):
        raise CannotDo(f"it is for the customer to read, and it holds something internal ({leak})", "ask: log of the gateway")
    known = filled.asked(ticket)
    if len(known) >= MOST_ITEMS:
        raise CannotDo(f"{MOST_ITEMS} things are asked for already: tick what is there", "got all")
    if len(text) > _LONGEST:
        raise CannotDo("one thing a line, please; the rest belongs into your words", "ask: log of the gateway")
    if any(one["text"].casefold() == text.casefold() and not one["got"] for one in known):
        return "it is asked for already"
    number = max((one["number"] for one in known), default=0) + 1
    event = builder.add(
        EventKind.FIELD, visibility=Visibility.PUBLIC, actor=person.party, facts={"name": f"{filled.ASK}{number}", "value": True},
        words=Words("", text, text, 0, 0, person.party),
    )  # fmt: skip
    held = {**ticket.filled, f"{filled.ASK}{number}": {"value": text, "seq": event.seq}}
    builder.ticket = replace(builder.ticket, filled=held)
    builder.asked_for = (*builder.asked_for, number)
    builder.promised_by = person.party
    builder.status(Status.WAITING, actor=person.party, reason="asked the customer")
    return f"asked for as number {number}; the request waits for it"


def got(builder: Builder, value: str, person: Person) -> str:
    """Tick items that are there, by number. Raises CannotDo."""
    there = [one["number"] for one in filled.still_asked(builder.ticket)]
    everything = value.strip().lower() == "all"
    named = there if everything else [int(one) for one in re.findall(r"\d+", value)]
    unknown = [one for one in named if one not in there]
    if unknown or not named:
        numbers = ", ".join(map(str, there)) or "nothing"
        raise CannotDo(f"{', '.join(map(str, unknown)) or 'nothing'} is not asked for; {numbers} is", f"got {there[0]}" if there else "")
    tick(builder, named, person.party)
    left = filled.still_asked(builder.ticket)
    return f"noted; still asked for: {listed(left)}" if left else "noted; nothing is asked for any more"


def tick(builder: Builder, numbers: list[int], actor: int) -> None:
    known = set(builder.ticket.fields.get(filled.GOT) or ())
    facts = {"name": filled.GOT, "value": sorted(known | set(numbers))}
    builder.add(EventKind.FIELD, visibility=Visibility.PUBLIC, actor=actor, facts=facts)


def listed(rows: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['number']}. {one['text']}" for one in rows)


def heard(builder: Builder, stimulus: Received, person: int, *, trusted: bool) -> tuple[str, ...]:
    """Tick what a customer's answer brings, as the policy says; return what staff must know of the list."""
    asked, rule = filled.still_asked(builder.ticket), builder.policy.asking.ticked_by
    if not asked:
        return ()
    numbers: list[int] = []
    if trusted and rule is not TickedBy.STAFF:
        everything = rule is TickedBy.ANSWER
        numbers = [one["number"] for one in asked] if everything else answered(stimulus.mail.reply_text, stimulus.mail.text, asked)
    if numbers:
        tick(builder, numbers, person)
    left = filled.still_asked(builder.ticket)
    came = (f"Answers {', '.join(map(str, numbers))} of what was asked for.",) if numbers else ()
    if not left:
        return (*came, "All that was asked for is there.")
    return (*came, f"Still asked for: {listed(left)}. `got {left[0]['number']}` ticks it.")


def answered(new_words: str, text: str, asked: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the items that words answer: behind their numbers, or below their quoted lines. Pure.

    new_words  may keep quoted lines; text: the whole mail, for answers between lines of which the last quoted one stands below them
    """
    wanted = {one["number"]: " ".join(one["text"].casefold().split()) for one in asked}
    found: set[int] = set()
    below = 0
    for line in (new_words if new_words.strip() else text).split("\n"):
        said = undepth(line)
        match = _ITEM.match(said)
        number = int(match[1]) if match and int(match[1]) in wanted else 0
        rest = " ".join(match[2].casefold().split()) if match else ""
        if depth(line):
            if said:
                # What stands quoted behind an item is an answer only where somebody put it there.
                more = number and rest.startswith(wanted[number]) and rest[len(wanted[number]) :].strip(" :-")
                found |= {number} if more else set()
                below = number
            continue
        if not said:
            continue
        if number and rest and rest != wanted[number]:
            found.add(number)
            below = 0
        elif below:
            found.add(below)
            below = 0
    return sorted(found)


# -- what the customer reads --


def tell(builder: Builder) -> None:
    """Tell the requestor what he was asked for in this decision, with the engineer's words if there are any."""
    if not builder.asked_for or builder.ticket.status is not Status.WAITING:
        return
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, actor=builder.promised_by, facts={"notice": "asking"})
    facts = {"items": filled.still_asked(builder.ticket)}
    if not audience.beside_words(builder, "asking", facts=facts):
        audience.to_requestor(builder, event, "asking", facts=facts, urgency=0)


# -- time --


def watch(builder: Builder) -> None:
    """Note when the customer is next reminded, where the request waits for him; called at the end of every decision."""
    fields = builder.ticket.fields
    if _waits(builder):
        if not fields.get(REMIND_AT) and (first := _first(builder)):
            builder.note(REMINDED, 0)
            builder.note(REMIND_AT, first.isoformat())
        return
    for name in (REMIND_AT, REMINDED, REMIND_HELD):
        if fields.get(name) is not None:
            builder.note(name, None)


def hold(builder: Builder) -> None:
    """Stop reminders and closing: somebody wrote for whom nobody vouches, and staff are to look first."""
    if builder.ticket.fields.get(REMIND_AT):
        builder.note(REMIND_HELD, True)


def looked(builder: Builder) -> None:
    """Somebody of the staff did something on the request: reminders go on, the next one a whole interval from now."""
    if builder.ticket.fields.get(REMIND_HELD):
        builder.note(REMIND_HELD, None)
        builder.note(REMIND_AT, None)


def remind(builder: Builder) -> None:
    """Remind the customer, or close his request with a word, where the time has come; after an outage one step, not all at once."""
    at = builder.ticket.fields.get(REMIND_AT)
    if not at or not _waits(builder) or builder.ticket.fields.get(REMIND_HELD) or datetime.fromisoformat(at) > builder.now:
        return
    asking, times = builder.policy.asking, int(builder.ticket.fields.get(REMINDED) or 0)
    if times < asking.remind_times and asking.remind_every is not None:
        _reminded(builder, times + 1)
        return
    builder.note(REMIND_AT, None)
    if asking.close_after is not None:
        builder.status(Status.CLOSED, reason="nothing came")
        event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "unanswered"})
        audience.to_requestor(builder, event, "unanswered", facts={"items": filled.still_asked(builder.ticket)}, links=REOPEN)
        told = builder.add(EventKind.TOLD, facts={"notice": "state"})
        audience.to_staff(
            builder, told, "state", who=builder.house.site.name, author="", text="", people=builder.staff(), human=False,
            about_customer=False, links=(Link("reopen", Action.REOPEN),),
            facts={"reason": f"The customer was reminded {times} times and wrote nothing.",
                   "changes": [{"what": "Status", "old": str(Status.WAITING), "new": str(Status.CLOSED)}]},
        )  # fmt: skip


def _reminded(builder: Builder, times: int) -> None:
    asking = builder.policy.asking
    last = times >= asking.remind_times
    after = asking.close_after if last else asking.remind_every
    next_at = _after(builder, after) if after else None
    builder.note(REMINDED, times)
    builder.note(REMIND_AT, next_at.isoformat() if next_at else None)
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "reminder", "times": times})
    facts: Mapping[str, Any] = {"items": filled.still_asked(builder.ticket), "close_at": next_at if last and asking.close_after else None}
    audience.to_requestor(builder, event, "reminder", facts=facts)


def _waits(builder: Builder) -> bool:
    ticket = builder.ticket
    # What came out of an archive rests in silence until somebody takes it up again.
    rests = bool(ticket.fields.get(MOVED_IN)) and not ticket.clocks
    return ticket.status is Status.WAITING and ticket.waits_until is None and ticket.requestor is not None and not rests


def _first(builder: Builder) -> datetime | None:
    asking = builder.policy.asking
    after = asking.remind_every if asking.remind_times else asking.close_after
    return _after(builder, after) if after else None


def _after(builder: Builder, length: Duration) -> datetime:
    return length.after(builder.now, builder.policy.hours(builder.policy.asking.calendar))
