"""The daily and weekly mail: when it is due by the policy, and what it says from what the store counted. Pure.

An engineer reads what is his and due next, a manager how the promises stand: kept, missed, coming, by priority and by person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from rtmail.desk.fields import filled
from rtmail.desk.people import ENGINEER, MANAGER, Directory, Person, serves
from rtmail.policy.hours import Hours, wall_to_utc
from rtmail.policy.model import Digest, Policy

MOST_ROWS = 40
"""So many requests are listed; the others are counted."""
MOST_LOST = 20


class Kind(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Sending:
    """One mail that is due: which, on which local day, at which instant; its picture looks back to `since` and ahead to `until`."""

    kind: Kind
    day: date
    at: datetime
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """An open request of somebody and the promise due next on it; `promise` is "" and `due_at` None where nothing is promised now."""

    number: int
    subject: str
    status: str
    priority: str
    promise: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unowned:
    """How many open requests of a queue nobody owns, and when the next promise on one of them is due."""

    queue: str
    count: int
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """So many promises came to `state` (met, missed; running: are to come) within a quarter of an hour from `at`."""

    state: str
    at: datetime
    priority: str
    owner: int
    count: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A promise that was missed; `owner` is a party id, 0 for nobody."""

    number: int
    subject: str
    priority: str
    owner: int
    promise: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Solved:
    """A request that was solved: its queue, and what is filled in on it (`Ticket.filled`)."""

    queue: str
    filled: Mapping[str, Any]


def sendings(rule: Digest, hours: Hours, now: datetime) -> tuple[Sending, ...]:
    """Return the mails that are due on the local day of `now` and whose hour has come.

    The weekly one comes on its weekday, or on the first open day after it in that week; at the same hour it takes the place
    of the daily one. Closed days have none, and what an outage let pass by midnight is not made up for: the next one tells it.
    """
    day = hours.local(now).date()
    if not hours.spans(day):
        return ()
    found = []
    weekly = rule.weekly if _is_weekly(rule, hours, day) else None
    if weekly is not None:
        at = _instant(day, weekly, hours)
        found.append(Sending(Kind.WEEKLY, day, at, at - timedelta(days=7), at + timedelta(days=7)))
    if rule.daily is not None and rule.daily != weekly:
        before, after = (_neighbour(day, hours, step) for step in (-1, 1))
        at = _instant(day, rule.daily, hours)
        found.append(Sending(Kind.DAILY, day, at, _instant(before, rule.daily, hours), _instant(after, rule.daily, hours)))
    return tuple(sending for sending in found if sending.at <= now)


def _is_weekly(rule: Digest, hours: Hours, day: date) -> bool:
    if rule.weekly is None:
        return False
    wanted = day - timedelta(days=(day.weekday() - rule.weekly_day) % 7)
    return not any(hours.spans(wanted + timedelta(days=days)) for days in range((day - wanted).days))


def _neighbour(day: date, hours: Hours, step: int) -> date:
    """The next open day in a direction; after a week of closed ones, the day beside."""
    return next((other for days in range(1, 8) if hours.spans(other := day + timedelta(days=step * days))), day + timedelta(days=step))


def _instant(day: date, at: time, hours: Hours) -> datetime:
    return wall_to_utc(datetime.combine(day, at), hours.zone)


def policy_of(person: Person, directory: Directory, policies: Mapping[str, Policy]) -> Policy:
    """Return the policy by whose hour a person is written to: that of the first queue he serves, for managers of the first of all."""
    queues = [name for name in directory.queues if serves(person, name)] or list(directory.queues)
    return policies[queues[0]]


def manages(person: Person, directory: Directory) -> bool:
    """Tell whether a person reads how the promises stand: a manager, and whoever holds a role of the ladder."""
    return MANAGER in person.rights or any(role.person == person.key for role in directory.roles.values())


def facts(
    person: Person, sending: Sending, now: datetime, directory: Directory, hours: Hours, *,
    owed: Sequence[Owed], unowned: Iterable[Unowned], tallies: Sequence[Tally], lost: Sequence[Lost], order: Sequence[str],
    solved: Sequence[Solved] = (), policies: Mapping[str, Policy] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return what the mail to `person` says; {} when there is nothing to say.

    tallies  from the sending's `since` to its `until`; lost: those missed between `since` and now
    order    keys of the priorities, most urgent first
    solved   requests that were solved since the sending's `since`; policies: by queue, which fields of them are counted
    """
    said: dict[str, Any] = {}
    if owed:
        said["mine"] = [_mine(one, now) for one in owed[:MOST_ROWS]]
        if len(owed) > MOST_ROWS:
            said["more"] = len(owed) - MOST_ROWS
    if ENGINEER in person.rights:
        nobodys = [{"queue": one.queue, "count": one.count, "due_at": one.due_at} for one in unowned if serves(person, one.queue)]
        if nobodys:
            said["unowned"] = nobodys
    if manages(person, directory) and (tallies or lost):
        said["promises"] = _promises(sending, directory, tallies, lost, order)
        if sending.kind is Kind.WEEKLY:
            said["days"] = _days(sending, hours, tallies)
    if manages(person, directory) and sending.kind is Kind.WEEKLY and (counted := _counted(solved, policies or {}, person.language)):
        said["solved"] = counted
    return said and {**said, "at": now}


def _counted(solved: Sequence[Solved], policies: Mapping[str, Policy], language: str) -> list[dict[str, Any]]:
    """Return for each field that is reported how often each of its choices was filled in, most often first; queues of one policy add up."""
    found = []
    for policy in {policy.hash: policy for policy in policies.values()}.values():
        some = [one for one in solved if one.queue in policies and policies[one.queue].hash == policy.hash]
        for key, field in policy.fields.items():
            if not (field.reported and some):
                continue
            held = [filled.read(one.filled).get(key, "") for one in some]
            counts = Counter(value for one in held for value in ((one,) if isinstance(one, str) else one))
            rows = [{"value": field.say(value, language) if value else "", "count": count} for value, count in counts.most_common()]
            found.append({"label": field.label(language), "rows": rows, "total": len(some)})
    return found


def _mine(one: Owed, now: datetime) -> dict[str, Any]:
    return {
        "number": one.number, "subject": one.subject, "status": one.status, "priority": one.priority,
        "what": one.promise.replace("-", " "), "due_at": one.due_at, "late": one.due_at is not None and one.due_at < now,
    }  # fmt: skip


_COLUMNS = {"met": "kept", "missed": "missed", "running": "coming"}


def _promises(
    sending: Sending, directory: Directory, tallies: Sequence[Tally], lost: Sequence[Lost], order: Sequence[str]
) -> dict[str, Any]:
    def name(owner: int) -> str:
        person = directory.by_party(owner)
        return person.name if person else "somebody who left" if owner else "nobody"

    rank = {key: place for place, key in enumerate(order)}
    priorities = sorted({tally.priority for tally in tallies}, key=lambda key: (rank.get(key, len(rank) if key else -1), key))
    people = sorted({tally.owner for tally in tallies}, key=lambda owner: (owner == 0, name(owner)))
    total = _row("", tallies)
    return {
        "since": sending.since,
        "until": sending.until,
        "kept": total["kept"],
        "missed": total["missed"],
        "priorities": [_row(key or "not set yet", [tally for tally in tallies if tally.priority == key]) for key in priorities],
        "people": [_row(name(owner), [tally for tally in tallies if tally.owner == owner]) for owner in people],
        "lost": [
            {
                "number": one.number, "subject": one.subject, "what": one.promise.replace("-", " "), "due_at": one.due_at,
                "priority": one.priority, "owner": name(one.owner) if one.owner else "",
            }
            for one in lost
        ],
    }  # fmt: skip


def _row(name: str, tallies: Iterable[Tally]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, **dict.fromkeys(_COLUMNS.values(), 0)}
    for tally in tallies:
        row[_COLUMNS[tally.state]] += tally.count
    return row


def _days(sending: Sending, hours: Hours, tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    """One bar a day of the week that ends with the sending; closed days on which nothing happened have none."""
    days = [sending.day - timedelta(days=back) for back in range(7, -1, -1)]
    rows = []
    for day in days:
        row = _row(f"{day:%a} {day.day}", (tally for tally in tallies if tally.state != "running" and hours.local(tally.at).date() == day))
        if hours.spans(day) or row["kept"] or row["missed"]:
            rows.append({"label": row["name"], "kept": row["kept"], "missed": row["missed"]})
    return rows
