"""Taking back: what a command changed is noted on the request, and `undo` puts it back as it was, within an hour.

What is noted are ids and values alone. Several undos go back further, command by command, each of the person who writes it; a value
that somebody changed since stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk import audience, consent, ownership
from rtmail.desk.decision import Builder, Entry, Words
from rtmail.desk.known import DEEDS, last_deed
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.ticket import EventKind, Role, Status, Ticket, legal
from rtmail.policy import signals

WINDOW = timedelta(hours=1)
MOST = 10
BY_DIFFERENCE = frozenset({
    "status", "resolve", "wait", "close", "reject", "reopen", "spam", "owner", "take", "untake", "priority", "subject", "queue",
    "addcc", "delcc", "addrequestor", "delrequestor", "addwatcher", "delwatcher", "for",
})  # fmt: skip
"""Commands that are taken back by what they changed; merging notes more than that."""
FINAL = frozenset({"due", "time", "update-every", "next", "eta", "ack", "snooze", "accept", "split", "bug", "problem"})
"""Commands that cannot be taken back: another one of the same name takes their place."""


def changed(before: Ticket, after: Ticket, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what lies between two states of a request, as far as it can be put back; `entries` led from one to the other."""
    deed: dict[str, Any] = {}
    for name in ("status", "owner", "priority", "queue"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            deed[name] = [old, new]
    was, now = ({(p.person, str(p.role)) for p in ticket.participants} for ticket in (before, after))
    if now - was:
        deed["joined"] = sorted(now - was)
    if was - now:
        deed["left"] = sorted(was - now)
    renamed = [entry.event.seq for entry in entries if entry.event.kind is EventKind.SUBJECT]
    if renamed:
        deed["subject"] = renamed[-1]
    return deed


def remember(builder: Builder, person: int, name: str, deed: Mapping[str, Any]) -> None:
    """Note what the command `name` of a person changed."""
    if person and (deed or name in FINAL):
        deeds = dict(builder.ticket.fields.get(DEEDS) or {})
        kept = [*(deeds.get(str(person)) or ()), {"name": name, "at": builder.now.isoformat(), **deed}]
        builder.note(DEEDS, {**deeds, str(person): kept[-MOST:]})


def forget(builder: Builder, person: int) -> None:
    """Take the latest command of a person off the list."""
    deeds = dict(builder.ticket.fields.get(DEEDS) or {})
    builder.note(DEEDS, {**deeds, str(person): list(deeds.get(str(person)) or ())[:-1]})


def check(builder: Builder, person: Person) -> Mapping[str, Any]:
    """Return the command to take back. Raises CannotDo."""
    deed = last_deed(builder.ticket, person.party)
    if not deed:
        raise CannotDo("there is no command of yours on this request to take back")
    if builder.now - datetime.fromisoformat(deed["at"]) > WINDOW:
        raise CannotDo("your last command here is more than an hour old; write the opposite one")
    if deed["name"] in FINAL:
        raise CannotDo(f"your last command here, {deed['name']}, cannot be taken back; another one takes its place")
    return deed


def put_back(builder: Builder, person: Person, deed: Mapping[str, Any], former_subject: str) -> str:
    """Undo what a command changed on this request; return in words what it is again. Raises CannotDo where it changed since."""
    told = []
    ticket = builder.ticket
    for name in ("status", "owner", "priority", "queue"):
        if name in deed and getattr(ticket, name) != deed[name][1]:
            raise CannotDo(f"the {name} was changed since")
    if "status" in deed:
        told.append(_status(builder, person, Status(deed["status"][0])))
    if "owner" in deed:
        old = builder.house.directory.by_party(deed["owner"][0])
        ownership.give(builder, old, person)
        told.append(f"{old.name if old else 'nobody'} owns it again")
    if "priority" in deed:
        told.append(_priority(builder, person, deed["priority"][0]))
    if "queue" in deed:
        builder.add(EventKind.MOVED, actor=person.party, facts={"old": deed["queue"][1], "new": deed["queue"][0]})
        told.append(f"it is in {deed['queue'][0]} again")
    if "subject" in deed:
        words = Words(former_subject, ticket.subject, ticket.subject, 0, 0, person.party)
        builder.add(EventKind.SUBJECT, actor=person.party, words=words)
        builder.rename(former_subject)
        told.append("the subject is the old one again")
    told += _people(builder, person, deed)
    return ", ".join(told)


def _status(builder: Builder, person: Person, old: Status) -> str:
    now = builder.ticket.status
    target = old if legal(now, old) else Status.OPEN
    if old in (Status.RESOLVED, Status.CLOSED, Status.REJECTED) and target is not old:
        raise CannotDo(f"what is {now} cannot become {old} again", "reopen")
    if now in (Status.CLOSED, Status.REJECTED):
        facts = builder.facts()
        builder.signal(signals.ReopenedAfterClosed(at=builder.now, by_customer=False, event=builder.ticket.events + 1), facts)
    builder.status(target, actor=person.party, reason="taken back")
    return f"it is {target} again"


def _priority(builder: Builder, person: Person, old: str) -> str:
    target = builder.policy.priorities.get(old)
    if target is None:
        raise CannotDo("a request that has a priority cannot be without one again", f"Priority: {builder.ticket.priority}")
    return consent.propose(builder, target, person.party)


def _people(builder: Builder, person: Person, deed: Mapping[str, Any]) -> list[str]:
    told = []
    for party, role in deed.get("joined", ()):
        one = next((p for p in builder.ticket.participants if p.person == party and p.role == role), None)
        if one is not None:
            builder.leave(party, Role(role), actor=person.party)
            told.append(f"{audience.named(one)} is {role} no more")
    for party, role in deed.get("left", ()):
        builder.join(party, Role(role), "", "", actor=person.party, reason="taken back")
        told.append(f"whom you removed is {role} again")
    return told
