"""What is filled in on a request, and what is still to be: read off policy and ticket, for mails, lists and refusals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rtmail.desk.outcome import CannotDo
from rtmail.desk.ticket import VOICE, Event, EventKind, Ticket
from rtmail.policy.field_rules import folded
from rtmail.policy.fields import By, Field, FieldKind, Value
from rtmail.policy.model import Policy

SHOWN = 200
"""Characters of a text as a mail shows it."""


ASKED_TIMES = "form_asked"
"""The field of a request that counts the mails which asked its requestor for what is missing."""
PREFIX = "form:"
"""Before the name of a field, as events call it among everything else that is noted on a request."""


ASK = "ask:"
"""Before the number of an item that the customer was asked for; its words stand among what is filled in."""
GOT = "got"
"""The field of a request that holds the numbers of the items that are there."""


def asked(ticket: Ticket) -> list[dict[str, Any]]:
    """Return what is asked of the customer as rows {number, text, got}, in the order in which it was asked."""
    got = set(ticket.fields.get(GOT) or ())
    numbers = sorted(int(key.removeprefix(ASK)) for key in ticket.filled if key.startswith(ASK))
    return [{"number": n, "text": str(ticket.filled[f"{ASK}{n}"]["value"]), "got": n in got} for n in numbers]


def still_asked(ticket: Ticket) -> list[dict[str, Any]]:
    """Return those items that are not there yet."""
    return [one for one in asked(ticket) if not one["got"]]


def fills(event: Event) -> bool:
    """Tell whether an event fills in a field."""
    return event.kind is EventKind.FIELD and str(event.facts["name"]).startswith(PREFIX)


def values(ticket: Ticket) -> dict[str, Value]:
    """Return what is filled in, by field."""
    return read(ticket.filled)


def read(kept: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values of `Ticket.filled`; what is asked of the customer (`awaiting`) stands there too, and is none."""
    return {key: value_of(entry["value"]) for key, entry in kept.items() if ":" not in key}


def value_of(kept: object) -> Value:
    return tuple(str(one) for one in kept) if isinstance(kept, list) else str(kept)


def fields_of(policy: Policy, ticket: Ticket) -> dict[str, Field]:
    """Return the fields that there are in the request's queue, and in the one from which it was handed over."""
    queues = {ticket.queue, ticket.fields.get(VOICE)}
    return {key: one for key, one in policy.fields.items() if not one.queues or not queues.isdisjoint(one.queues)}


def missing(policy: Policy, ticket: Ticket) -> tuple[Field, ...]:
    """Return what the customer is still to fill in."""
    held = values(ticket)
    return tuple(
        one for one in fields_of(policy, ticket).values()
        if one.by is By.CUSTOMER and one.required and one.when.holds(held) and not one.filled(held)
    )  # fmt: skip


def open_fields(policy: Policy, ticket: Ticket) -> tuple[Field, ...]:
    """Return what the form asks of the customer: what is missing, and what he may leave out and has."""
    held = values(ticket)
    return tuple(
        one for one in fields_of(policy, ticket).values()
        if one.by is By.CUSTOMER and one.when.holds(held) and not one.filled(held) and (one.required or one.key not in held)
    )  # fmt: skip


def lacking(policy: Policy, ticket: Ticket, wanted: Iterable[str]) -> tuple[Field, ...]:
    """Return those of the fields `wanted` that hold nothing yet, where they are asked for."""
    held, known = values(ticket), fields_of(policy, ticket)
    chosen = [known[key] for key in wanted if key in known]
    return tuple(one for one in chosen if one.when.holds(held) and not one.filled(held))


def require(what: str, policy: Policy, ticket: Ticket) -> None:
    """Raise CannotDo, with the lines to write, while something is not filled in that staff need to do `what` (`fields.NEEDING`)."""
    lacks = lacking(policy, ticket, (key for key, one in policy.fields.items() if what in one.needed_to))
    if lacks:
        raise CannotDo(f"say first, in a line of its own: {asks_for(lacks)}", example(lacks[0]))


def rows(policy: Policy, ticket: Ticket, language: str, *, staff: bool, echoed: bool = True) -> list[dict[str, str]]:
    """Return what is filled in as rows {key, label, value}, in the order of the form.

    staff   those for whom it is all; else what a customer may read
    echoed  his own texts may stand in a mail to him; else only that they are there (value "")
    """
    held = values(ticket)
    return [
        {
            "key": key,
            "label": one.label(language),
            "value": short(one.say(held[key], language)) if staff or echoed or one.kind is not FieldKind.TEXT else "",
        }
        for key, one in policy.fields.items()
        if key in held and (staff or one.public)
    ]


def plain(kept: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return the values of `Ticket.filled` for JSON: a text or a choice as a string, several choices as a list."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in read(kept).items()}


def noted(policy: Policy | None, ticket: Ticket, language: str = "en") -> list[dict[str, Any]]:
    """Return what is filled in as staff read it beside what else is noted: rows {what, value, written}; people wrote the value.

    policy  None for a queue that is gone: then fields have their keys as names
    """
    items = "; ".join(f"{one['number']}. {one['text']}{' (there)' if one['got'] else ''}" for one in asked(ticket))
    below = [{"what": "Asked of the customer", "value": items, "written": True}] if items else []
    if policy is None:
        held = [(key, short(str(value))) for key, value in plain(ticket.filled).items()]
    else:
        held = [(row["label"], row["value"]) for row in rows(policy, ticket, language, staff=True)]
    return [*({"what": what, "value": value, "written": True} for what, value in held), *below]


def in_lists(policy: Policy, kept: Mapping[str, Any], language: str, *, staff: bool) -> list[dict[str, str]]:
    """Return what of `Ticket.filled` stands in lists, as rows {label, value}."""
    held = read(kept)
    return [
        {"label": one.label(language), "value": short(one.say(held[key], language))}
        for key, one in policy.fields.items()
        if one.listed and key in held and (staff or one.public)
    ]


def form(fields: Iterable[Field], language: str) -> list[dict[str, Any]]:
    """Return questions as templates take them: {label, kind, choices, required}."""
    return [
        {"label": one.label(language), "kind": str(one.kind), "choices": list(one.choices_in(language)), "required": one.required}
        for one in fields
    ]


def short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[: SHOWN - 1]}…"


def named(known: Mapping[str, Field], written: str) -> Field | None:
    """Return the field that people call so, None for none."""
    return next((one for one in known.values() if folded(written) in map(folded, one.names())), None)


def staff_names(policy: Policy) -> dict[str, str]:
    """Return the names by which staff fill in fields, `folded`, with their keys."""
    return {folded(name): key for key, one in policy.fields.items() for name in one.names()}


def example(field: Field) -> str:
    """Return a line that fills in a field, to copy."""
    return f"{field.label('en')}: {field.choices[0] if field.choices else '…'}"


def asks_for(fields: Iterable[Field]) -> str:
    """Return lines that staff can copy and fill in: "Root cause: (configuration, defect)"."""
    asked = ((one.label("en"), f" ({', '.join(one.choices)})" if one.choices else "") for one in fields)
    return "; ".join(f"`{label}: …`{choices}" for label, choices in asked)
