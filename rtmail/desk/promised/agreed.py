"""As agreed: what staff promise for one request alone, and how its requestor hears of it.

`Update-every: 4h` sets how often he hears from us, `Next: Fri 15:00` promises the next word, `eta Fri` says when it will be
solved. The effects of these commands note what was promised and let the clocks follow; when the whole mail has been worked
on, one mail tells the requestor, together with the engineer's words if he wrote some.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rtmail.desk import audience, notes
from rtmail.desk.decision import Builder
from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.grammar.commands import Command, Parsed
from rtmail.desk.outcome import CannotDo
from rtmail.desk.ticket import ETA, EventKind, Status
from rtmail.mail.writing.draft import Visibility
from rtmail.policy import signals
from rtmail.policy.duration import Duration

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=100)
"""Between these an agreed cadence makes sense; what lies outside is a slip of the finger."""
AHEAD = timedelta(days=366)
_LIVE = (Status.NEW, Status.OPEN, Status.WAITING)
_ENDS = (Status.RESOLVED, Status.CLOSED, Status.REJECTED)


def cadence(builder: Builder, value: str, actor: int) -> str:
    """Agree on how often the requestor hears of it. Raises CannotDo or ArgumentError."""
    _lives(builder)
    every = arguments.length(value)
    hours = builder.policy.hours(builder.policy.priority(builder.ticket.priority).update_calendar)
    if not (every.business_days or every.days) and every.open_time < SHORTEST:
        raise CannotDo(f"{every} is too short to write to anybody", "Update-every: 4h")
    if every.after(builder.now, hours) - builder.now > LONGEST:
        raise CannotDo(f"{every} is longer than a hundred days", "Update-every: 5bd")
    facts = builder.facts()
    builder.note("update_every", str(every))
    builder.signal(signals.CadenceSet(at=builder.now, every=every, event=builder.ticket.events), facts)
    _promise(builder, actor, **spoken(every))
    return f"the requestor hears of it every {every}, and is told so"


def next_word(builder: Builder, value: str, actor: int, zone: ZoneInfo) -> str:
    """Promise the next word for an instant. Raises CannotDo or ArgumentError."""
    due = _ahead(builder, value, zone, "Next: Fri 15:00")
    builder.note("next", due.isoformat())
    builder.signal(signals.Promised(at=builder.now, due_at=due, event=builder.ticket.events))
    _promise(builder, actor, next_at=due)
    return f"the next update is promised for {notes.shown_near(due, zone)}; the requestor is told"


def eta(builder: Builder, value: str, actor: int, zone: ZoneInfo) -> str:
    """Say when it will be solved. Raises CannotDo or ArgumentError."""
    due = _ahead(builder, value, zone, "eta Fri 15:00")
    builder.note(ETA, due.isoformat())
    _promise(builder, actor, eta_at=due)
    return f"expected to be solved {notes.shown_near(due, zone)}; the requestor is told"


def tell(builder: Builder) -> None:
    """Tell the requestor what was promised in this decision, if anything was and the request still lives."""
    promised = builder.promised
    if not promised or builder.ticket.status not in _LIVE:
        return
    kept = {name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in promised.items() if value}
    told = {"notice": "promised", "promised": kept}
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, actor=builder.promised_by, facts=told)
    if not audience.beside_words(builder, "promised", facts=promised):
        audience.to_requestor(builder, event, "promised", facts=promised, urgency=0)


def spoken(every: Duration | None) -> dict[str, Any]:
    """An interval as templates take it: a length of time, or a number of business days."""
    if every is None:
        return {}
    return {"update_every": timedelta(days=every.days) + every.open_time, "update_days": every.business_days}


def lacks_eta(builder: Builder, parsed: Parsed) -> bool:
    """Tell whether an engineer's words would go out without saying by when it will be solved, at a priority that wants it said."""
    ticket = builder.ticket
    named = next((one.value for one in parsed.commands if one.name in ("priority", "reclassify")), "").split(" ")[0]
    key = next((one for one in builder.policy.priorities if one.casefold() == named.rstrip(":,;").casefold()), ticket.priority)
    wanted = bool(key) and builder.policy.priority(key).needs_eta
    says = any(_says_end(builder, one) for one in parsed.commands)
    known = ticket.eta_at
    return wanted and not says and not (known and known > builder.now)


def _says_end(builder: Builder, command: Command) -> bool:
    """Tell whether a command says when it is solved, an instant that is still ahead, or ends the request."""
    try:
        if command.name == "eta":
            return bool(arguments.instant(command.value, builder.now, builder.zone))
        if command.name == "status":
            return arguments.status(command.value) in _ENDS
    except ArgumentError:
        return False
    return command.name in ("resolve", "close", "reject")


def _promise(builder: Builder, actor: int, **facts: Any) -> None:
    builder.promised |= facts
    builder.promised_by = actor


def _ahead(builder: Builder, value: str, zone: ZoneInfo, cure: str) -> datetime:
    _lives(builder)
    due = arguments.instant(value, builder.now, zone)
    if due - builder.now > AHEAD:
        raise CannotDo(f"{notes.shown(due, zone)} is more than a year ahead", cure)
    return due


def _lives(builder: Builder) -> None:
    if builder.ticket.status not in _LIVE:
        raise CannotDo(f"the request is {builder.ticket.status}: its requestor waits for no word", "reopen")
