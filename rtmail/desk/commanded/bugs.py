"""Bugs that are kept elsewhere: one bug, many requests. Linking, and telling everybody who waits that it is fixed.

A bug's number is for staff alone: what a customer reads names the version, never the tracker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtmail.desk import audience
from rtmail.desk.decision import Builder, Words
from rtmail.desk.fields import filled
from rtmail.desk.grammar import arguments
from rtmail.desk.known import Known
from rtmail.desk.notes import FIXED, REFS, reference, system_of
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.ticket import EventKind, Status
from rtmail.policy import signals

_SHOWN = 10


def link(builder: Builder, value: str, person: Person, known: Known) -> str:
    """Link the request with a bug, or note the number that it has elsewhere. Raises CannotDo while what reproduces it is not noted."""
    ref = reference(value)
    mine = list(builder.ticket.fields.get(REFS) or ())
    if ref in mine:
        return "it was noted already"
    filled.require("bug", builder.policy, builder.ticket)
    builder.add(EventKind.FIELD, actor=person.party, facts={"name": REFS, "value": [*mine, ref]})
    builder.refs.append((system_of(ref), ref))
    others = [number for number in known.bugs.get(ref, ()) if number != builder.ticket.number]
    told = f"noted: {', '.join([*mine, ref])}"
    if others:
        fixed = next((version for number in others if (version := fixed_in(known.others[number].ticket.fields, ref)) is not None), None)
        waits = f"{_numbers(others)} {'hangs' if len(others) == 1 else 'hang'} on it too"
        told += f"; {waits}" + ("" if fixed is None else f", and {'were' if len(others) > 1 else 'was'} told that it is fixed{_in(fixed)}")
    elif known.alike:
        told += f"; {', '.join(known.alike)} may be the same: `list bugs` shows what hangs on each"
    return told


def fixed(builder: Builder, value: str, person: Person, known: Known) -> str:
    """Tell the requestor and the Cc's of every request that hangs on a bug that it is fixed. Raises CannotDo."""
    said = arguments.fixed(value)
    numbers = known.bugs.get(said.ref, ())
    if not numbers:
        raise CannotDo(f"no request is linked with {said.ref}", f"bug {said.ref}")
    told, before, left = [], [], []
    for number in numbers:
        on = _builder_of(builder, number, known)
        if fixed_in(on.ticket.fields, said.ref) == said.version:
            before.append(number)
        elif person.party and not builder.house.directory.may_answer(person, on.ticket.queue):
            left.append(number)
        elif _tell(on, said.ref, said.version, person):
            told.append(number)
        else:
            left.append(number)
    parts = [f"{_numbers(told)} {'was' if len(told) == 1 else 'were'} told"] if told else []
    parts += [f"{_numbers(before)} knew it already"] if before else []
    if left:
        parts.append(f"{_numbers(left)} {'was' if len(left) == 1 else 'were'} not: nobody to write to, or a queue that is not yours")
    return f"{said.ref} is fixed{_in(said.version)}: {'; '.join(parts)}"


def fixed_in(fields: Mapping[str, Any], ref: str) -> str | None:
    """Return in which version a request was told that a bug is fixed ("" for an unnamed one), None where it was not."""
    version = (fields.get(FIXED) or {}).get(ref)
    return None if version is None else str(version)


def _tell(builder: Builder, ref: str, version: str, person: Person) -> bool:
    """The words of a member of staff, from a template; a closed request stays closed."""
    people = [one for one in builder.customers() if one.address]
    if not people:
        return False
    known = dict(builder.ticket.fields.get(FIXED) or {})
    builder.note(FIXED, {**known, ref: version})
    text = f"Fixed{_in(version)}."
    event = builder.say(
        EventKind.CORRESPONDENCE,
        actor=person.party,
        words=Words(builder.ticket.subject, text, text, 0, 0, person.party),
        facts={"by_staff": True, "fixed": ref, "after": builder.ticket.last_public_seq},
    )
    author = audience.signed_by(builder, person.name) if person.party else ""
    audience.to_customers(
        builder, event, audience.FIXED, author=author, text="", people=people, facts={"version": version}, report=True
    )
    if builder.ticket.status in (Status.NEW, Status.OPEN, Status.WAITING):
        builder.signal(signals.Answered(at=builder.now, event=event.seq, by=person.party))
    return True


def _builder_of(builder: Builder, number: int, known: Known) -> Builder:
    if number == builder.ticket.number:
        return builder
    for one in builder.further:
        if one.ticket.number == number:
            return one
    other = known.others[number]
    one = Builder(other.policy, other.ticket, builder.now, builder.house)
    builder.further.append(one)
    return one


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(f"#{number}" for number in numbers[:_SHOWN])
    return f"{shown} and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else shown


def _in(version: str) -> str:
    return f" in {version}" if version else ""
