"""The tables of a policy about terms -> values: `[customers]`, `[answers]`, `[appeal]`, `[after_hours]`, `[urgency]`.

Called by `policy.schema`, which knows calendars and priorities and hands them in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rtmail.policy.calendars import Calendars
from rtmail.policy.duration import Duration
from rtmail.policy.model import Priority
from rtmail.policy.table import Table, suggestion
from rtmail.policy.terms import (
    AfterHours,
    Appeal,
    Asking,
    CustomerRules,
    HandOver,
    Prepared,
    Service,
    Standing,
    Then,
    TickedBy,
    Treatment,
    Urgency,
)

_JUDGED = tuple(one for one in Standing if one is not Standing.ENTITLED)
_CURE = 'write "serve", "best-effort", "hold" or "answer NAME", a name of [answers]'


def answers(top: Table) -> dict[str, Prepared]:
    """Return the prepared answers by name."""
    found: dict[str, Prepared] = {}
    tables = top.table("answers")
    for name in tables.values:
        table = tables.table(name)
        texts = {"": table.text("text").strip()}
        texts |= {key: table.text(key).strip() for key in table.values if len(key) == 2 and key.isalpha() and key.islower()}
        if not texts[""]:
            table.complain(None, f"the answer {name} has no words", 'write text = "…", and de = "…" for German')
        found[name] = Prepared(name, texts, table.choice("then", Then.CLOSE), table.text("mark"))
        table.done()
    return found


def customers(top: Table, known: Collection[str], priorities: Mapping[str, Priority]) -> CustomerRules | None:
    """Return what `[customers]` says, None where there is no such table."""
    if "customers" not in top.values:
        top.table("customers")
        return None
    table = top.table("customers")
    treatments: dict[Standing, Treatment] = {}
    for standing in _JUDGED:
        key = standing.value.replace("-", "_")
        text = " ".join(table.text(key, "serve").split())
        word, _, name = text.partition(" ")
        if word not in list(Service) or (word == Service.ANSWER) != bool(name):
            table.complain(key, f"{table.named(key)} is {text!r}", _CURE)
            continue
        if name and name not in known:
            table.complain(key, f"{table.named(key)} names no answer: {name!r}", suggestion(name, known, f"add [answers.{name}]"))
        treatments[standing] = Treatment(Service(word), name)
    chosen = None
    if "best_effort_priorities" in table.values:
        chosen = table.names("best_effort_priorities")
        _priorities(table, "best_effort_priorities", chosen, priorities)
    rules = CustomerRules(table.text("contact_role"), treatments, chosen)
    table.done()
    return rules


def hand_over(top: Table, known: Collection[str]) -> dict[str, HandOver]:
    """Return the tiers by name; `known` are the fields of the policy."""
    found: dict[str, HandOver] = {}
    tables = top.table("hand_over")
    for name in tables.values:
        table = tables.table(name)
        if not name.isidentifier() and not name.replace("-", "_").isidentifier():
            tables.complain(name, f"{name!r} cannot be written behind `hand over`", "name it by one word: [hand_over.tier2]")
        needs = table.names("needs")
        for one in needs:
            if one not in known:
                table.complain("needs", f"{table.named('needs')} names no field: {one!r}", suggestion(one, known, f"add [fields.{one}]"))
        found[name] = HandOver(name, table.text("queue"), table.text("role").strip(), needs, table.number("words", 0, 0, 100))
        if not (found[name].queue or found[name].role):
            table.complain(None, f"{name} is handed over to nobody", 'write queue = "escalation", or role = "escalation-manager"')
        table.done()
    return found


def asking(top: Table, calendars: Calendars) -> Asking:
    """Return what `[asking]` says of the time while a request waits for its customer."""
    table = top.table("asking")
    every, close_after = table.length("remind_every"), table.length("close_after")
    times = table.number("remind_times", 3 if every else 0, 0, 20)
    for key, length in (("remind_every", every), ("close_after", close_after)):
        if length is not None and length.is_zero:
            table.complain(key, f"{table.named(key)} leaves no time to answer", 'write a length such as "2bd", or leave it out')
    if times and every is None:
        table.complain("remind_times", "asking.remind_times says not when", 'write remind_every = "2bd"')
    found = Asking(
        calendars.named(table, "calendar", "always"), every if times and every and not every.is_zero else None, times if every else 0,
        None if close_after is None or close_after.is_zero else close_after, table.choice("ticked_by", TickedBy.NUMBERS),
    )
    table.done()
    return found


def appeal(top: Table, calendars: Calendars) -> Appeal | None:
    """Return what `[appeal]` says, None where there is no such table."""
    table = top.table("appeal")
    if not table.values:
        return None
    tell = table.text("tell").strip()
    if not tell:
        table.complain(None, "an appeal reaches nobody", 'write tell = "support-manager", a role of [roles]')
    found = Appeal(tell, table.length("within", "1bd") or Duration(business_days=1), calendars.named(table, "calendar", "always"))
    table.done()
    return found


def after_hours(top: Table, calendars: Calendars, priorities: Mapping[str, Priority]) -> AfterHours | None:
    """Return what `[after_hours]` says, None where there is no such table."""
    table = top.table("after_hours")
    if not table.values:
        return None
    calendar = calendars.named(table, "calendar", "always")
    if calendar == "always":
        table.complain("calendar", "after_hours.calendar never closes", 'name the calendar of the office: calendar = "office"')
    priority = table.text("priority") or next(iter(priorities))
    _priorities(table, "priority", (priority,), priorities)
    found = AfterHours(calendar, priority, table.length("triage"), table.names("queues"),
                       tuple(" ".join(word.lower().split()) for word in table.names("words")))
    table.done()
    return found


def urgency(top: Table) -> Urgency | None:
    """Return what `[urgency]` says, None where there is no such table."""
    table = top.table("urgency")
    if not table.values:
        return None
    columns = {}
    for name in ("package", "impact", "spread"):
        column = table.table(name)
        columns[name] = {key: column.number(key, 1, 1, 1000) for key in column.values}
    table.done()
    return Urgency(**columns)


def _priorities(table: Table, key: str, named: Collection[str], priorities: Mapping[str, Priority]) -> None:
    for name in named:
        if name not in priorities:
            table.complain(key, f"{table.named(key)} names no priority: {name!r}", suggestion(name, priorities))
