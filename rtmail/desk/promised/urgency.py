"""How urgent a request is beside its priority: package x impact x spread, by the table of the policy; lists are sorted by it."""

from __future__ import annotations

from rtmail.desk.decision import Builder
from rtmail.desk.notes import URGENCY
from rtmail.desk.outcome import CannotDo
from rtmail.desk.ticket import EventKind
from rtmail.policy.terms import TERMS, Terms


def noted(builder: Builder, what: str, value: str, actor: int) -> str:
    """Note the impact or the spread, by a name of the policy's table; return what that makes the urgency."""
    table = builder.policy.urgency
    if table is None:
        raise CannotDo(f"the policy {builder.policy.name} has no table of urgency")
    column = table.impact if what == "impact" else table.spread
    wanted = value.strip().strip(".!").lower().replace(" ", "-")
    name = next((key for key in column if key.lower() == wanted), None)
    if name is None:
        first = next(iter(column), "high")
        raise CannotDo(f"there is no {what} {value.strip()}; there are {', '.join(column)}", f"{what}: {first}")
    known = dict(builder.ticket.fields.get(URGENCY) or {})
    known[what] = name
    builder.add(EventKind.FIELD, actor=actor, facts={"name": URGENCY, "value": {**known, "value": reckoned(builder, known)}})
    return f"{what} {name}; the urgency is {builder.ticket.fields[URGENCY]['value']}"


def begin(builder: Builder) -> None:
    """Note the urgency that a request opens with, where the policy has a table."""
    if builder.policy.urgency:
        builder.note(URGENCY, {"value": reckoned(builder, {})})


def again(builder: Builder) -> None:
    """Reckon it anew, as the plan of the request is another one."""
    if builder.policy.urgency:
        known = dict(builder.ticket.fields.get(URGENCY) or {})
        builder.note(URGENCY, {**known, "value": reckoned(builder, known)})


def reckoned(builder: Builder, known: dict[str, str]) -> int:
    terms = Terms.from_row(builder.ticket.fields.get(TERMS))
    assert builder.policy.urgency is not None
    return builder.policy.urgency.of(terms.plan if terms else "", known.get("impact", ""), known.get("spread", ""))
