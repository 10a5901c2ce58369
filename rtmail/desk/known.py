"""What commands name besides their own request: keys to look up first, and the store's answers for the effects.

The engine asks `wanted`, looks all of it up in the transaction of the mail, and hands in `Known`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtmail.desk.decision import Words
from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.grammar.commands import Parsed
from rtmail.desk.notes import reference
from rtmail.desk.ticket import Ticket
from rtmail.mail.model import Address
from rtmail.policy.model import Policy

LINKED = "linked"
"""The field of a request that holds the number of the one that it was linked to when it opened."""
DEEDS = "undo"
"""The field that holds what the latest commands of each person changed."""
OUTSIDE, WRITERS, ASKED_CC = "outside", "outside_people", "asked_cc"
"""Fields that hold who waits for a word of staff, see `accepting`."""
_BY_ADDRESS = frozenset({"addcc", "addrequestor", "for"})
_BY_NUMBER = frozenset({"merge", "same", "problem", "related"})


@dataclass(frozen=True, slots=True)
class Other:
    """Another request, with the policy that it runs on."""

    ticket: Ticket
    policy: Policy


@dataclass(frozen=True, slots=True)
class Known:
    """The answers.

    others   by request number; a merged one stands for its survivor
    opening  the words with which this request was opened, asked for where they are to go elsewhere
    subject  the subject that the last change of it put away
    filled   what a field held before the last change of it
    people   party ids of those who wait for a word of staff, where one is given
    bugs     reference of a bug -> numbers of the requests that are linked with it
    alike    bugs of requests about the same words, for one that nothing was linked with so far
    """

    others: Mapping[int, Other] = field(default_factory=dict)
    opening: Words | None = None
    opening_id: str = ""
    subject: str = ""
    filled: str = ""
    people: Mapping[int, Address] = field(default_factory=dict)
    bugs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    alike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked up: people by address, requests by number, events whose words are needed (0 for none)."""

    people: tuple[Address, ...] = ()
    numbers: tuple[int, ...] = ()
    merged: int = 0
    """Number of a request that was merged into this one and may come out again; not its survivor is meant."""
    opening: bool = False
    renamed: int = 0
    filled: int = 0
    waiting: tuple[int, ...] = ()
    """Party ids whose addresses are needed."""
    bugs: tuple[str, ...] = ()
    """References of bugs."""


def last_deed(ticket: Ticket, person: int) -> Mapping[str, Any]:
    """Return what the latest command of a person (party id) changed, {} for nothing known."""
    deeds = (ticket.fields.get(DEEDS) or {}).get(str(person)) or ()
    return dict(deeds[-1]) if deeds else {}


def waiting(ticket: Ticket) -> tuple[int, ...]:
    """Return the party ids of everybody who waits for a word on this request, the latest writer from outside last."""
    writers = ticket.fields.get(WRITERS) or {}
    outside = [int(writers.get(seq, 0)) for seq in sorted(ticket.fields.get(OUTSIDE) or {}, key=int)]
    return tuple(dict.fromkeys(party for party in (*(ticket.fields.get(ASKED_CC) or ()), *outside) if party))


def wanted(parsed: Parsed, ticket: Ticket, person: int) -> Wanted:
    """Return what the commands of `person` (party id) on `ticket` need."""
    people: list[Address] = []
    numbers: list[int] = []
    merged = renamed = refilled = 0
    opening = False
    asked: tuple[int, ...] = ()
    bugs: list[str] = []
    for command in parsed.commands:
        try:
            if command.name in _BY_ADDRESS:
                people += arguments.addresses(command.value)
            elif command.name == "accept" and command.value:
                people += arguments.addresses(command.value.removeprefix("as "))
            elif command.name in _BY_NUMBER and command.value:
                numbers.append(arguments.number(command.value))
            elif command.name == "bug":
                bugs.append(reference(command.value))
            elif command.name == "fixed":
                bugs.append(arguments.fixed(command.value).ref)
        except ArgumentError:
            continue  # its effect says so
        if command.name == "accept":
            asked = waiting(ticket)
        elif command.name == "same":
            opening = True
            numbers.append(int(ticket.fields.get(LINKED) or 0))
        elif command.name == "undo" and (deed := last_deed(ticket, person)):
            merged, renamed = int(deed.get("merged") or 0), int(deed.get("subject") or 0)
            refilled = int(deed.get("filled", ("", 0))[1])
    numbered, bugged = tuple(dict.fromkeys(n for n in numbers if n)), tuple(dict.fromkeys(bugs))
    return Wanted(tuple(people), numbered, merged, opening, renamed, refilled, asked, bugged)
