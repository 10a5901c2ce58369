"""Taking back: what a command changed is noted on the request, and `undo` puts it back as it was, within an hour.

What is noted are ids and values alone. Several undos go back further, command by command, each of the person who writes it; a value
that somebody changed since stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk import audience, notes
from rtmail.desk.commanded import ownership
from rtmail.desk.decision import Builder, Entry, Words
from rtmail.desk.fields import filled, filling
from rtmail.desk.known import ASKED_CC, DEEDS, OUTSIDE, WRITERS, last_deed
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.promised import consent
from rtmail.desk.ticket import VOICE, WAIT_UNTIL, Event, EventKind, Role, Status, Ticket, legal
from rtmail.policy import signals
from rtmail.policy.rows import Clock, State
from rtmail.policy.terms import TERMS, Terms

WINDOW = timedelta(hours=1)
MOST = 10
BY_DIFFERENCE = frozenset({
    "status", "resolve", "wait", "close", "reject", "reopen", "spam", "owner", "take", "untake", "priority", "subject", "queue",
    "addcc", "delcc", "addrequestor", "delrequestor", "addwatcher", "delwatcher", "watch", "unwatch", "for", "accept", "mute", "unmute",
    "due", "time", "bug", "reclassify", "impact", "spread", "field", "handover", "got", "problem", "related", "ack", "snooze",
})  # fmt: skip
"""Commands that are taken back by what they changed; merging notes more than that."""
_TOLD = "the requestor was told already: promise something else"
FINAL: Mapping[str, tuple[str, str]] = {
    "update-every": (_TOLD, "Update-every: 4h"),
    "next": (_TOLD, "next Fri 15:00"),
    "eta": (_TOLD, "eta tomorrow noon"),
    **dict.fromkeys(("release", "redact", "erase"), ("what was seen or removed stays so", "")),
    "ask": ("the customer was asked: tick it", "got 1"),
    "fixed": ("the customers have it: write to them", ""),
    "redirect": ("the customer has the answer: write to him", ""),
    "appeal": ("management and the requestor were told", ""),
    "serve": ("its clocks run, and the customer was told", ""),
    "split": ("the words are a request of their own: merge that into this one", ""),
}
"""Commands that cannot be taken back, why, and what to write instead."""
_FIELDS = frozenset({notes.DUE, notes.REFS, WAIT_UNTIL, OUTSIDE, WRITERS, ASKED_CC, notes.URGENCY, VOICE, TERMS, filled.GOT})
"""Fields that commands set and undoing sets back."""
_CLOCKED = frozenset({"due", "ack", "snooze"})
"""Commands that move clocks and nothing by which the clocks could be moved back."""


def changed(name: str, before: Ticket, after: Ticket, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what the command `name` changed of a request, as far as it can be put back; `entries` are the events that it led to."""
    deed: dict[str, Any] = {}
    for one in ("status", "owner", "priority", "queue"):
        old, new = getattr(before, one), getattr(after, one)
        if old != new:
            deed[one] = [old, new]
    was, now = ({(p.person, str(p.role)) for p in ticket.participants} for ticket in (before, after))
    if now - was:
        deed["joined"] = sorted(now - was)
    if was - now:
        deed["left"] = sorted(was - now)
    events = [entry.event for entry in entries]
    renamed = [event.seq for event in events if event.kind is EventKind.SUBJECT]
    if renamed:
        deed["subject"] = renamed[-1]
    fields = {one: [before.fields.get(one), after.fields.get(one)] for one in _FIELDS if before.fields.get(one) != after.fields.get(one)}
    if fields:
        deed["fields"] = fields
    keys = [event.facts["name"].removeprefix(filled.PREFIX) for event in events if filled.fills(event)]
    if keys:
        # Its name, and the event of the value that it had; what was filled in are words, and no event holds them.
        deed["filled"] = [keys[-1], *((ticket.filled.get(keys[-1]) or {}).get("seq", 0) for ticket in (before, after))]
    if name in _CLOCKED and (clocks := clock_changes(before.clocks, after.clocks)):
        deed["clocks"] = clocks
    return deed | _small(events)


def _small(events: Iterable[Event]) -> dict[str, Any]:
    """What single events changed: time worked, who muted the request, links."""
    deed: dict[str, Any] = {}
    for event in events:
        facts = event.facts
        if event.kind is EventKind.FIELD and facts["name"] == notes.WORKED:
            deed["worked"] = [facts["minutes"], bool(facts["billable"])]
        elif event.kind is EventKind.MUTED:
            deed["muted"] = [facts["person"], facts["muted"]]
        elif event.kind is EventKind.LINKED and facts["kind"] in ("problem", "related"):
            deed["linked"] = [facts["kind"], facts["number"]]
    return deed


def clock_changes(before: tuple[Clock, ...], after: tuple[Clock, ...]) -> list[dict[str, Any]]:
    """Return the clocks that changed, each as it was (None: not there) and is."""
    old = {(clock.kind, clock.generation): clock for clock in before}
    return [
        {"before": was.to_row() if was else None, "after": clock.to_row()}
        for clock in after
        if (was := old.get((clock.kind, clock.generation))) != clock
    ]


def put_clocks_back(builder: Builder, changes: Sequence[Mapping[str, Any]], why: str) -> None:
    """Give clocks the rows that they had, where they still stand as they were left."""
    now = {(str(clock.kind), clock.generation): clock for clock in builder.ticket.clocks}
    for change in changes:
        after = Clock.from_row(change["after"])
        if now.get((str(after.kind), after.generation)) == after:
            ended = replace(after, state=State.VOID, settled_at=builder.now, settled_by="taken back")
            builder.put_clock(Clock.from_row(change["before"]) if change["before"] else ended, why)


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
        why, instead = FINAL[deed["name"]]
        raise CannotDo(f"your last command here, {deed['name']}, cannot be taken back: {why}", instead)
    return deed


def put_back(builder: Builder, person: Person, deed: Mapping[str, Any], former_subject: str, former_value: str = "") -> str:
    """Undo what a command changed on this request; return in words what it is again. Raises CannotDo where it changed since.

    former_subject, former_value  words that the command put away
    """
    told = []
    ticket = builder.ticket
    if deed["name"] == "spam" and ticket.requestor:
        builder.junkers.append((ticket.requestor.person, False))
    for name in ("status", "owner", "priority", "queue"):
        if name in deed and getattr(ticket, name) != deed[name][1]:
            raise CannotDo(f"the {name} was changed since")
    for name, (_, new) in deed.get("fields", {}).items():
        if name in _SHOWN and ticket.fields.get(name) != new:
            raise CannotDo(f"{_SHOWN[name]} changed since")
    if "queue" in deed:
        builder.add(EventKind.MOVED, actor=person.party, facts={"old": deed["queue"][1], "new": deed["queue"][0]})
        told.append(f"it is in {deed['queue'][0]} again")
    if "status" in deed:
        told.append(_status(builder, person, Status(deed["status"][0])))
    if "owner" in deed:
        old = builder.house.directory.by_party(deed["owner"][0])
        ownership.give(builder, old, person)
        told.append(f"{old.name if old else 'nobody'} owns it again")
    if "priority" in deed:
        told.append(_priority(builder, person, deed["priority"][0]))
    if "subject" in deed:
        words = Words(former_subject, ticket.subject, ticket.subject, 0, 0, person.party)
        builder.add(EventKind.SUBJECT, actor=person.party, words=words)
        builder.rename(former_subject)
        told.append("the subject is the old one again")
    if "filled" in deed:
        told.append(filling.put_back(builder, deed["filled"], former_value, person))
    told += [*_noted(builder, person, deed), *_people(builder, person, deed)]
    if "clocks" in deed:
        put_clocks_back(builder, deed["clocks"], f"{deed['name']} was taken back")
        told.append("the reminders are as before" if deed["name"] != "due" else "")
    return ", ".join(filter(None, told))


_SHOWN: Mapping[str, str] = {notes.DUE: "when it is due was", notes.REFS: "the numbers elsewhere were"}


def _noted(builder: Builder, person: Person, deed: Mapping[str, Any]) -> list[str]:
    told = []
    for name, (old, new) in deed.get("fields", {}).items():
        builder.add(EventKind.FIELD, actor=person.party, facts={"name": name, "value": old})
        if name == notes.DUE:
            told.append("it is due as before" if old else "it is due at no set time")
        elif name == filled.GOT:
            told.append("the list is as it was")
        elif name == notes.URGENCY:
            told.append(f"the urgency is {(old or {}).get('value', 0)} again")
        elif name == TERMS:
            builder.policy = builder.general.under(Terms.from_row(old))
            builder.signal(signals.PolicyApplied(at=builder.now, event=builder.ticket.events))
        elif name == notes.REFS:
            gone = [ref for ref in new or () if ref not in (old or ())]
            builder.unrefs += [(notes.system_of(ref), ref) for ref in gone]
            told.append(f"{', '.join(gone)} is forgotten")
    if "worked" in deed:
        minutes, billable = deed["worked"]
        total = dict(builder.ticket.fields.get(notes.WORKED) or {"minutes": 0, "billable": 0})
        total = {"minutes": max(total["minutes"] - minutes, 0), "billable": max(total["billable"] - (minutes if billable else 0), 0)}
        facts = {"name": notes.WORKED, "value": total, "minutes": -minutes, "billable": billable}
        builder.add(EventKind.FIELD, actor=person.party, facts=facts)
        told.append(f"{minutes} min are taken off; {notes.spent(builder.ticket.fields)} in all")
    if "linked" in deed:
        kind, number = deed["linked"]
        builder.unlinks.append((kind, number))
        builder.add(EventKind.LINKED, actor=person.party, facts={"kind": "unlinked", "number": number})
        told.append(f"the link with #{number} is gone")
    return told


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
    if "muted" in deed:
        party, muted = deed["muted"]
        builder.add(EventKind.MUTED, actor=person.party, facts={"person": party, "muted": not muted})
        told.append("copies come again" if muted else "no more copies")
    for party, role in deed.get("joined", ()):
        one = next((p for p in builder.ticket.participants if p.person == party and p.role == role), None)
        if one is not None:
            builder.leave(party, Role(role), actor=person.party)
            told.append(f"{audience.named(one)} is {role} no more")
    for party, role in deed.get("left", ()):
        builder.join(party, Role(role), "", "", actor=person.party, reason="taken back")
        told.append(f"whom you removed is {role} again")
    return told
