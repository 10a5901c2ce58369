"""The ticket: its values, its statuses and their legal changes, and `apply`, which replays an event onto it.

An event is an immutable fact; a ticket is what its events make of it. Events hold ids and facts only: words, addresses
and names live in content and party rows beside them, so that erasing those leaves replay true (promise 4, DESIGN 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from rtmail.mail.writing.draft import Visibility
from rtmail.policy.rows import Basis, Clock, ClockKind


class Status(StrEnum):
    NEW = "new"
    OPEN = "open"
    WAITING = "waiting"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REJECTED = "rejected"
    MERGED = "merged"


_LIVE = frozenset({Status.NEW, Status.OPEN, Status.WAITING})
_ENDS = frozenset({Status.RESOLVED, Status.CLOSED, Status.REJECTED, Status.MERGED})
SOLVED = frozenset({Status.RESOLVED, Status.CLOSED})
LEGAL: Mapping[Status, frozenset[Status]] = {
    Status.NEW: frozenset({Status.OPEN, Status.WAITING}) | _ENDS,
    Status.OPEN: frozenset({Status.WAITING}) | _ENDS,
    Status.WAITING: frozenset({Status.OPEN}) | _ENDS,
    Status.RESOLVED: frozenset({Status.OPEN, Status.WAITING, Status.CLOSED, Status.REJECTED, Status.MERGED}),
    Status.CLOSED: frozenset({Status.OPEN, Status.MERGED}),
    Status.REJECTED: frozenset({Status.OPEN, Status.MERGED}),
    Status.MERGED: frozenset({Status.OPEN}),
}
"""Which change is legal; a change to the same status is none. MERGED -> OPEN is `undo` of a merge."""


VOICE = "voice"
"""The field that holds the queue whose address a customer reads, where his request was handed over to another."""
MOVED_IN = "moved_in"
"""The field of a request that came out of an archive or another tracker: where from."""
WAIT_UNTIL = "wait_until"
"""The field that holds until when a request waits."""
PREPARED_MARK = "mark"
"""The field that holds the mark of the last prepared answer: such requests can be listed by it."""
ETA = "eta"
"""The field that holds when staff said that it will be solved."""
ASKED_PRIORITY = "asked_priority"
"""The field that holds the priority its requestor asked for, None where he got it or asked for none."""


class Role(StrEnum):
    REQUESTOR = "requestor"
    CC = "cc"
    OWNER = "owner"
    WATCHER = "watcher"


class EventKind(StrEnum):
    """What can have happened to a ticket; each is one row of its log."""

    OPENED = "opened"
    CORRESPONDENCE = "correspondence"
    COMMENT = "comment"
    UNVERIFIED = "unverified"
    """A participant's words without proof: shown to staff, passed on to nobody."""
    OUTSIDE = "outside"
    """A stranger's words: for staff only until accepted."""
    AUTO_REPLY = "auto-reply"
    BOUNCE = "bounce"
    FORWARDED = "forwarded"
    ACKNOWLEDGED = "acknowledged"
    """The acknowledgement went to the requestor."""
    STATUS = "status"
    OWNER = "owner"
    PRIORITY = "priority"
    JOINED = "joined"
    LEFT = "left"
    LINKED = "linked"
    MERGED = "merged"
    FIELD = "field"
    SUBJECT = "subject"
    MOVED = "moved"
    """To another queue."""
    MUTED = "muted"
    """A person wants no copies of this ticket, or wants them again."""
    POLICY = "policy"
    """The ticket moved to another version of a policy; the clock events behind it say what that changed."""
    CLOCK = "clock"
    TOLD = "told"
    """Someone was told by nudge, holding update or escalation."""
    DELIVERY = "delivery"
    """The fate of an outgoing mail: sent, bounced, failed or expired."""
    FLAGGED = "flagged"
    """A Message-ID came again with other words (promise 2)."""
    COMMAND = "command"
    ASKED = "asked"
    """A person was asked before something happens."""
    ALERT = "alert"
    """A monitoring system said the same problem again, or that it is over."""
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry in a ticket's log.

    seq         1, 2, 3 ... within the ticket
    actor       party id of who did it, 0 for rtmail itself
    facts       JSON values, ids and facts only
    content_id  row of the words, 0 for none; message_id is that of the mail it came in or went out as
    """

    seq: int
    at: datetime
    kind: EventKind
    visibility: Visibility
    actor: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    content_id: int = 0
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Participant:
    """A person's part in a ticket. `since` is the event he joined with; he sees nothing public before it."""

    person: int
    role: Role
    address: str
    name: str
    since: int = 0
    muted: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request as its events made it.

    id, number      row id and request number
    owner           party id of the responsible staff member, 0 for nobody
    clocks          rows of policy.clocks, in order of kind and generation
    thread          Message-IDs a new mail of ours refers to: the customer's first mail, then the latest public ones
    last_public_seq event of the latest public words; a staff answer based on an older one "crossed"
    """

    id: int
    number: int
    queue: str
    subject: str
    status: Status
    opened_at: datetime
    policy_version: int
    priority: str = ""
    priority_state: str = ""
    owner: int = 0
    participants: tuple[Participant, ...] = ()
    removed: frozenset[int] = frozenset()
    """Party ids that staff removed: strangers until accepted again."""
    clocks: tuple[Clock, ...] = ()
    events: int = 0
    thread: tuple[str, ...] = ()
    status_at: datetime | None = None
    last_public_seq: int = 0
    last_public_at: datetime | None = None
    answered: bool = False
    """A human of the staff has corresponded."""
    merged_into: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)
    solved_at: datetime | None = None
    """When it was resolved, or closed without being resolved first; None while it lives."""
    filled: Mapping[str, Any] = field(default_factory=dict)
    """What people filled in, by field: {value, seq: of its event, said: by the customer}. Words, like the subject: no event holds them."""

    @property
    def requestor(self) -> Participant | None:
        return next((p for p in self.participants if p.role is Role.REQUESTOR), None)

    @property
    def addressee(self) -> Participant | None:
        """The requestor, who can be written to: None where nobody asked, or who did was erased."""
        requestor = self.requestor
        return requestor if requestor and requestor.address else None

    @property
    def waits_until(self) -> datetime | None:
        """When it stops waiting for the customer by itself; None for never, or where it does not wait."""
        at = self.fields.get(WAIT_UNTIL)
        return datetime.fromisoformat(at) if at and self.status is Status.WAITING else None

    @property
    def promised_at(self) -> datetime | None:
        """The instant for which staff promised the next word and have not given it yet, None where there is none."""
        open_ = (clock for clock in self.clocks if clock.kind is ClockKind.UPDATE and clock.open and clock.basis is Basis.PROMISE)
        return next((clock.due_at for clock in open_), None)

    @property
    def eta_at(self) -> datetime | None:
        """When staff said that it will be solved, None where nobody did."""
        said = self.fields.get(ETA)
        return datetime.fromisoformat(said) if said else None

    def people(self, *roles: Role) -> tuple[Participant, ...]:
        """Participants holding any of `roles`, one entry a person, in the order they joined."""
        seen: dict[int, Participant] = {}
        for participant in self.participants:
            if participant.role in roles:
                seen.setdefault(participant.person, participant)
        return tuple(seen.values())


def legal(old: Status, new: Status) -> bool:
    """Tell whether `old` may become `new`."""
    return new in LEGAL[old]


THREAD_LENGTH = 10
"""Ids kept for References: the root and the latest; longer chains only grow headers (RFC 5322 3.6.4)."""


def apply(ticket: Ticket, event: Event) -> Ticket:
    """Return `ticket` after `event`; the store keeps the rows that this returns, and replaying all events rebuilds them.

    Clock events carry the whole row that they leave behind (`facts["row"]`, see policy.clocks), so replay needs no policy.
    """
    ticket = replace(ticket, events=event.seq)
    facts = event.facts
    match event.kind:
        case EventKind.OPENED:
            return replace(
                ticket,
                status=Status.NEW,
                status_at=event.at,
                thread=threaded(ticket.thread, event.message_id),
                last_public_seq=event.seq,
                last_public_at=event.at,
            )
        case EventKind.CORRESPONDENCE:
            return replace(
                ticket,
                thread=threaded(ticket.thread, event.message_id),
                last_public_seq=event.seq,
                last_public_at=event.at,
                answered=ticket.answered or bool(facts.get("by_staff")),
            )
        case EventKind.STATUS:
            new = Status(facts["new"])
            solved_at = None if new not in SOLVED else ticket.solved_at or event.at
            return replace(ticket, status=new, status_at=event.at, merged_into=0, solved_at=solved_at)
        case EventKind.OWNER:
            return replace(ticket, owner=int(facts["new"]))
        case EventKind.PRIORITY:
            return replace(ticket, priority=str(facts["new"]), priority_state=str(facts.get("state", "")))
        case EventKind.JOINED:
            return _joined(ticket, event)
        case EventKind.LEFT:
            person = int(facts["person"])
            roles = {Role(role) for role in facts["roles"]} if "roles" in facts else set(Role)
            kept = tuple(p for p in ticket.participants if p.person != person or p.role not in roles)
            by_staff = frozenset({person}) if facts.get("by_staff") else frozenset()
            return replace(ticket, participants=kept, removed=ticket.removed | by_staff)
        case EventKind.MERGED:
            return replace(ticket, status=Status.MERGED, status_at=event.at, merged_into=int(facts["into"]))
        case EventKind.MOVED:
            return replace(ticket, queue=str(facts["new"]))
        case EventKind.FIELD:
            return replace(ticket, fields={**ticket.fields, str(facts["name"]): facts["value"]})
        case EventKind.MUTED:
            muted, person = bool(facts["muted"]), int(facts["person"])
            return replace(ticket, participants=tuple(replace(p, muted=muted) if p.person == person else p for p in ticket.participants))
        case EventKind.POLICY:
            return replace(ticket, policy_version=int(facts["new"]))
        case EventKind.CLOCK:
            return replace(ticket, clocks=_clocked(ticket.clocks, facts["row"]))
        case _:
            return ticket


def threaded(thread: tuple[str, ...], message_id: str) -> tuple[str, ...]:
    """Return the thread after a public mail with this Message-ID ("" for none): its root, and the latest of the others."""
    if not message_id or message_id in thread:
        return thread
    thread = (*thread, message_id)
    return thread if len(thread) <= THREAD_LENGTH else (thread[0], *thread[-(THREAD_LENGTH - 1) :])


def _joined(ticket: Ticket, event: Event) -> Ticket:
    """The party row behind `person` gives name and address; the store fills them in when it loads the ticket."""
    facts = event.facts
    joining = Participant(person=int(facts["person"]), role=Role(facts["role"]), address="", name="", since=event.seq)
    if any(p.person == joining.person and p.role is joining.role for p in ticket.participants):
        return ticket
    return replace(ticket, participants=(*ticket.participants, joining), removed=ticket.removed - {joining.person})


def _clocked(clocks: tuple[Clock, ...], row: Mapping[str, Any]) -> tuple[Clock, ...]:
    changed = Clock.from_row(row)
    kept = tuple(c for c in clocks if (c.kind, c.generation) != (changed.kind, changed.generation))
    return tuple(sorted((*kept, changed), key=lambda clock: (clock.kind, clock.generation)))
