"""Alerts of monitoring systems: which problem one is about, and what the same problem again does to its open request. Pure.

The first alert of a problem opens a request like any mail; the same problem again is recorded on it without mail to anybody, and so
is its recovery, which may resolve or close it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rtmail.desk.decision import Builder
from rtmail.desk.machines.systems import Monitor
from rtmail.desk.people import listed
from rtmail.desk.stimulus import Alerted
from rtmail.desk.ticket import EventKind, Status
from rtmail.mail.model import Mail
from rtmail.policy import signals

_SUBJECT = 400
"""Characters of a subject that are read."""
_LIVE = frozenset({Status.NEW, Status.OPEN, Status.WAITING, Status.RESOLVED})


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: `problem` is the same for the same problem; `state` is as its sender wrote it."""

    system: str
    problem: str
    state: str
    recovered: bool
    on_recovery: str


def read(monitors: Iterable[Monitor], mail: Mail) -> Alert | None:
    """Return what a mail of a listed sender says; None for any other mail, and for one that no rule reads."""
    for monitor in monitors:
        if not mail.identity or not listed(mail.identity, monitor.senders):
            continue
        found = re.search(monitor.subject, mail.subject[:_SUBJECT], re.IGNORECASE)
        if found is None:
            continue
        groups = found.groupdict(default="")
        state = groups.pop("state", "")
        named = "\0".join(f"{name}={' '.join(value.lower().split())}" for name, value in sorted(groups.items()))
        problem = hashlib.sha256(f"{monitor.name}\0{named}".encode("utf-8", "replace")).hexdigest()[:40]
        over = re.fullmatch(monitor.recovered, state, re.IGNORECASE) is not None
        return Alert(f"alert:{monitor.name}", problem, state, over, monitor.on_recovery)
    return None


def live(status: Status) -> bool:
    """Tell whether a request still takes the alerts of its problem."""
    return status in _LIVE


def again(builder: Builder, stimulus: Alerted) -> None:
    """Record an alert about a problem that has its request; nobody is written to."""
    event = builder.add(
        EventKind.ALERT,
        actor=stimulus.words.person,
        facts={"reason": "recovered" if stimulus.recovered else "again", "spool": stimulus.words.spool_id},
        words=stimulus.words,
        message_id=stimulus.message_id,
        at=stimulus.at,
    )
    status = builder.ticket.status
    if not stimulus.recovered:
        if status is Status.RESOLVED:
            builder.signal(signals.CustomerWrote(at=stimulus.at, event=event.seq))
            builder.status(Status.OPEN, reason="the problem is back")
        return
    if not stimulus.believed or stimulus.on_recovery == "record" or status not in _LIVE:
        return
    if stimulus.on_recovery == "close":
        builder.status(Status.CLOSED, reason="recovered")
    elif status is not Status.RESOLVED:
        builder.status(Status.RESOLVED, reason="recovered")
