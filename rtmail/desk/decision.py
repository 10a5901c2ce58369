"""A decision: what shall follow from one stimulus, as plain data; and the builder that collects it.

`decide` makes a `Decision`; the engine commits it: events, drafts, holds and splits together or not at all (promise 4).
Printing a Decision is a dry run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rtmail.desk.absence import Absence, AbsenceChange
from rtmail.desk.fields import filled
from rtmail.desk.grammar.queries import Query
from rtmail.desk.outages import about
from rtmail.desk.people import Directory, Person, Queue
from rtmail.desk.ticket import MOVED_IN, VOICE, WAIT_UNTIL, Event, EventKind, Participant, Role, Status, Ticket, apply, legal
from rtmail.mail.model import Address
from rtmail.mail.site import Site
from rtmail.mail.tripwire import leaks
from rtmail.mail.writing.draft import Auto, Draft, Visibility
from rtmail.policy import clocks, signals
from rtmail.policy.clocks import Notice
from rtmail.policy.duration import Duration
from rtmail.policy.model import Policy
from rtmail.policy.terms import TERMS, Terms

REMIND_AT = "remind_at"
"""The field that holds when the customer is next reminded of what is asked of him (`awaiting`)."""
REMIND_HELD = "remind_held"
"""The field that says that he is not, until staff looked."""
SHOUT_AT = "shout_at"
"""The field that holds when it is next said that nobody has the request (`shouting`)."""


@dataclass(frozen=True, slots=True)
class House:
    """What every decision may look at besides policy and ticket.

    message_id  (number, event) -> the Message-ID that our mails about that event carry
    absences    who is away, as far as is known
    """

    site: Site
    directory: Directory
    message_id: Callable[[int, int], str]
    absences: Mapping[str, Absence] = field(default_factory=dict)
    """Key of a member of staff -> his absence."""
    incidents: tuple[Ticket, ...] = ()
    """Incidents and maintenance that are not over."""

    def away(self, now: datetime) -> frozenset[str]:
        """Keys of the staff who said that they are away: others are told in their place."""
        return frozenset(key for key, absence in self.absences.items() if absence.declared and absence.until > now)

    def missing(self, now: datetime) -> frozenset[str]:
        """Keys of the staff who are away or seem so by their out-of-office: others are told as well."""
        return frozenset(key for key, absence in self.absences.items() if absence.until > now)

    def on_duty(self, queue: str, now: datetime) -> tuple[Person, ...]:
        """Who is on duty for `queue`: who is there, or stands in for him who is not; () where nobody is, or the queue has no roster.

        A role of the roster is who is told in it. Whoever only seems away by his out-of-office stays, with who stands in.
        """
        known = self.directory.queues.get(queue)
        roster = self.directory.rosters.get(known.duty) if known else None
        away, missing = self.away(now), self.missing(now)
        told: dict[str, Person] = {}
        for named in roster.named(now) if roster else ():
            person = self.directory.reached(named, away)
            if person is not None:
                told[person.key] = person
                if person.key not in missing:
                    break
        return tuple(told.values())

    def queue(self, name: str) -> Queue:
        return self.directory.queues[name]

    def leaks(self, text: str) -> str:
        """Return what internal thing would go out with `text`, "" for nothing."""
        return leaks(text, self.site, self.directory.parties())


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody wrote, kept in an erasable row beside the event. `person` is its author's party id."""

    subject: str
    text: str
    reply_text: str
    raw_id: int
    spool_id: int
    person: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An event to write, with the words that belong to it."""

    event: Event
    words: Words | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Something waits for a person's word: the mail it is about, who is asked, and what a yes does (`held` and links)."""

    kind: str
    person: int
    reason: str
    spool_id: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spawn:
    """Open a new request from the words of event `seq`, linked to this one; its clocks start now."""

    seq: int
    link: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deed:
    """A word about private content: "release", "redact" or "erase" that of event `seq`, 0: of all events of the request.

    spool_id  of the mail whose content waits, 0 where none does
    """

    word: str
    seq: int
    spool_id: int
    actor: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: the ticket after the events, its mails, what waits for an answer, requests to split off."""

    before: Ticket
    ticket: Ticket
    entries: tuple[Entry, ...] = ()
    drafts: tuple[Draft, ...] = ()
    asks: tuple[Ask, ...] = ()
    spawns: tuple[Spawn, ...] = ()
    links: tuple[tuple[str, int], ...] = ()
    """(kind, number) of requests that this one is linked to."""
    wake_at: datetime | None = None
    results: tuple[Mapping[str, Any], ...] = ()
    """Lines of the receipt for commands that came without a mail."""
    absences: tuple[AbsenceChange, ...] = ()
    adoptions: tuple[tuple[int, int], ...] = ()
    """(person, other): the address of party `other` is one of the person's from now on."""
    queries: tuple[Query, ...] = ()
    refs: tuple[tuple[str, str], ...] = ()
    """(system, number) by which the request is known elsewhere."""
    unlinks: tuple[tuple[str, int], ...] = ()
    """(kind, number) of links that end."""
    unrefs: tuple[tuple[str, str], ...] = ()
    """(system, number) by which it is known elsewhere no more."""
    further: tuple[Decision, ...] = ()
    """What follows for other requests: kept with this, or not at all."""
    junkers: tuple[tuple[int, bool], ...] = ()
    """(party, whether): his mail is junk from now on, or is no more."""
    deeds: tuple[Deed, ...] = ()
    """What shall become of private content."""
    notices: tuple[Notice, ...] = ()
    """What the clocks asked for; the drafts hold it reader by reader."""

    @property
    def last_seq(self) -> int:
        return self.entries[-1].event.seq if self.entries else 0


class Builder:
    """Collects a decision step by step; every event is applied at once, so later steps see what earlier ones did."""

    def __init__(self, policy: Policy, ticket: Ticket, now: datetime, house: House) -> None:
        self.given = policy
        self.general = about.counting(policy, ticket)
        self.policy = self.general.under(Terms.from_row(ticket.fields.get(TERMS)))
        self.before, self.ticket, self.now, self.house = ticket, ticket, now, house
        self.said_at = now
        """When what is decided on was said: for a mail when our house took it in, before now where it was read later."""
        self.entries: list[Entry] = []
        self.drafts: list[Draft] = []
        self.asks: list[Ask] = []
        self.spawns: list[Spawn] = []
        self.links: list[tuple[str, int]] = []
        self.notices: list[Notice] = []
        self.noticed: list[Notice] = []
        self.results: list[Mapping[str, Any]] = []
        self.absences: list[AbsenceChange] = []
        self.adoptions: list[tuple[int, int]] = []
        self.queries: list[Query] = []
        self.refs: list[tuple[str, str]] = []
        self.unlinks: list[tuple[str, int]] = []
        self.unrefs: list[tuple[str, str]] = []
        self.further: list[Builder] = []
        self.deeds: list[Deed] = []
        self.junkers: list[tuple[int, bool]] = []
        self.promised: dict[str, Any] = {}
        """What staff promised the requestor in this decision; one mail tells him."""
        self.promised_by = 0
        self.asked_for: tuple[int, ...] = ()
        """Numbers of the items that the customer was asked for in this decision."""
        self.echoes = False
        """Its author's own words may stand in an automatic answer to him: he is proven."""
        self.misread: tuple[tuple[str, str], ...] = ()
        """(field, what stood there) of what could not be understood."""
        self.asks_no_form = False
        """What the mail fills in waits, or was not kept: nobody is asked for it."""
        self.announces: about.What | None = None
        """What everybody affected by this incident is to hear of this decision."""
        self.told_of: tuple[Mapping[str, Any], ...] = ()
        """Incidents that the acknowledgement of a request speaks of: {title, since}."""
        self.told_before: tuple[str, ...] = ()
        """Whoever these cover heard of the incident before."""
        self.languages: Mapping[int, str] = {}
        """Of people who may join, by party id: they are written to before the store tells it of them."""

    @property
    def zone(self) -> ZoneInfo:
        """The site's, on whose clock people are told instants."""
        return ZoneInfo(self.house.site.timezone)

    def add(
        self,
        kind: EventKind,
        *,
        visibility: Visibility = Visibility.INTERNAL,
        actor: int = 0,
        facts: Mapping[str, Any] | None = None,
        words: Words | None = None,
        message_id: str = "",
        at: datetime | None = None,
    ) -> Event:
        """Append an event and apply it."""
        event = Event(
            seq=self.ticket.events + 1,
            at=at or self.now,
            kind=kind,
            visibility=visibility,
            actor=actor,
            facts=facts or {},
            message_id=message_id,
        )
        self.ticket = apply(self.ticket, event)
        self.entries.append(Entry(event, words))
        return event

    def say(
        self,
        kind: EventKind,
        *,
        actor: int,
        words: Words,
        visibility: Visibility = Visibility.PUBLIC,
        facts: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> Event:
        """Append words that go out under our own Message-ID for the event."""
        return self.add(
            kind,
            visibility=visibility,
            actor=actor,
            facts=facts,
            words=words,
            at=at,
            message_id=self.house.message_id(self.ticket.number, self.ticket.events + 1),
        )

    def status(self, new: Status, *, actor: int = 0, reason: str = "") -> bool:
        """Change the status where that is legal, from when it was said; a change to the same status is none. Tells whether it changed."""
        old, facts = self.ticket.status, self.facts()
        if old is new or not legal(old, new):
            return False
        # A mail that was read before this one may have changed it later.
        at = max(self.said_at, self.ticket.status_at or self.said_at)
        changed = {"old": old, "new": new, "reason": reason}
        event = self.add(EventKind.STATUS, visibility=Visibility.PUBLIC, actor=actor, facts=changed, at=at)
        self.signal(signals.StatusChanged(at=at, new=new, event=event.seq), facts)
        if old is Status.WAITING and self.ticket.fields.get(WAIT_UNTIL):
            self.note(WAIT_UNTIL, None)
        return True

    def join(self, person: int, role: Role, address: str, name: str, *, actor: int = 0, reason: str = "") -> bool:
        """Make a person a participant or staff member of the ticket, once. Tells whether he is new in that role."""
        if any(p.person == person and p.role is role for p in self.ticket.participants):
            return False
        self.add(
            EventKind.JOINED,
            visibility=Visibility.INTERNAL if role in (Role.OWNER, Role.WATCHER) else Visibility.PUBLIC,
            actor=actor,
            facts={"person": person, "role": role, "reason": reason},
        )
        named = tuple(
            replace(p, address=address, name=name, language=self.languages.get(person, ""))
            if p.person == person and not p.address
            else p
            for p in self.ticket.participants
        )
        self.ticket = replace(self.ticket, participants=named)
        return True

    def leave(self, person: int, *roles: Role, actor: int = 0, by_staff: bool = False) -> None:
        facts: dict[str, Any] = {"person": person, "by_staff": by_staff}
        if roles:
            facts["roles"] = [str(role) for role in roles]
        self.add(EventKind.LEFT, actor=actor, facts=facts)

    def own(self, person: Person | None, *, actor: int, by: str = "") -> bool:
        """Give the ticket to `person` (None: to nobody). Tells whether that changed anything.

        by  what gave it without anybody's word, "" for a person: what nobody took is not taken
        """
        new = person.party if person else 0
        if self.ticket.owner == new:
            return False
        self.add(EventKind.OWNER, actor=actor, facts={"old": self.ticket.owner, "new": new, **({"by": by} if by else {})})
        if person and not by:
            self.signal(signals.Taken(at=self.said_at, event=self.ticket.events))
        return True

    def rename(self, subject: str) -> None:
        """Give the ticket another subject; the event holds none, since a subject is somebody's words."""
        self.ticket = replace(self.ticket, subject=subject)

    def note(self, name: str, value: Any) -> None:
        """Set a field of the ticket; None takes it away from view."""
        self.add(EventKind.FIELD, facts={"name": name, "value": value})

    def signal(self, signal: signals.Signal, facts: signals.Facts | None = None) -> None:
        """Let the clocks see what happened: each changed row becomes an event, each notice waits to be drafted.

        facts  as they stood before the signal, where the event that it follows is applied already
        """
        advance = clocks.advance(self.policy, self.ticket.clocks, facts or self.facts(), signal)
        before = {(clock.kind, clock.generation): clock for clock in self.ticket.clocks}
        changes: dict[tuple[str, int], list[clocks.Change]] = {}
        for change in advance.changes:
            changes.setdefault((change.kind, change.generation), []).append(change)
        for clock in advance.clocks:
            key = (clock.kind, clock.generation)
            if before.get(key) != clock:
                self.add(
                    EventKind.CLOCK,
                    facts={
                        "clock": str(clock.kind),
                        "generation": clock.generation,
                        "row": clock.to_row(),
                        "changes": [
                            {
                                "what": str(one.what),
                                "rule": one.rule,
                                "old_due": one.old_due.isoformat() if one.old_due else None,
                                "new_due": one.new_due.isoformat() if one.new_due else None,
                            }
                            for one in changes.get(key, ())
                        ],
                    },
                )
        self.notices.extend(advance.notices)

    def put_clock(self, clock: clocks.Clock, rule: str) -> None:
        """Give a clock the row that it had before something was taken back."""
        change = {"what": "due", "rule": rule, "old_due": None, "new_due": clock.due_at.isoformat() if clock.due_at else None}
        facts = {"clock": str(clock.kind), "generation": clock.generation, "row": clock.to_row(), "changes": [change]}
        self.add(EventKind.CLOCK, facts=facts)

    def facts(self) -> signals.Facts:
        """What the clocks may know of the ticket."""
        return facts_of(self.ticket)

    def wake_at(self) -> datetime | None:
        """The next instant at which time alone makes something happen to this ticket."""
        pending = [datetime.fromisoformat(at) for at in (self.ticket.fields.get("outside") or {}).values()]
        pending += [at for at in (clocks.wake_at(self.ticket.clocks), self.ticket.waits_until) if at]
        if (remind_at := self.ticket.fields.get(REMIND_AT)) and not self.ticket.fields.get(REMIND_HELD):
            pending.append(datetime.fromisoformat(remind_at))
        pending += about.wakes(self.ticket, self.general, self.now)
        if shout_at := self.ticket.fields.get(SHOUT_AT):
            pending.append(datetime.fromisoformat(shout_at))
        return min(pending, default=None)

    def _dressed(self, draft: Draft) -> Draft:
        """A mail about the request comes from where its customer wrote to; its template may name what is filled in."""
        voice = str(self.ticket.fields.get(VOICE) or "")
        if voice in self.house.directory.queues and not draft.to.staff and draft.number == self.ticket.number:
            draft = replace(draft, queue=voice)
        if not (self.policy.fields and self.ticket.filled) or draft.number != self.ticket.number:
            return draft
        language, staff = draft.to.language or self.house.site.language, draft.to.staff
        echoed = staff or self.echoes or draft.auto is not Auto.REPLIED
        shown = {row["key"]: row["value"] for row in filled.rows(self.policy, self.ticket, language, staff=staff, echoed=echoed)}
        return replace(draft, facts={**draft.facts, "fields": shown})

    def result(self) -> Decision:
        return Decision(
            before=self.before,
            ticket=self.ticket,
            entries=tuple(self.entries),
            drafts=tuple(map(self._dressed, self.drafts)),
            asks=tuple(self.asks),
            spawns=tuple(self.spawns),
            links=tuple(self.links),
            wake_at=self.wake_at(),
            results=tuple(self.results),
            absences=tuple(self.absences),
            adoptions=tuple(self.adoptions),
            queries=tuple(self.queries),
            refs=tuple(self.refs),
            unlinks=tuple(self.unlinks),
            unrefs=tuple(self.unrefs),
            further=tuple(other.result() for other in self.further),
            deeds=tuple(self.deeds),
            junkers=tuple(self.junkers),
            notices=tuple(self.noticed),
        )

    def staff(self, *, all_of_queue: bool = False) -> tuple[Person, ...]:
        """Staff who get copies: owner and watchers; where nobody owns the ticket, or its owner is away, everyone of its queue."""
        directory, ticket = self.house.directory, self.ticket
        mine = [p.person for p in ticket.people(Role.OWNER, Role.WATCHER) if not p.muted]
        owner = directory.by_party(ticket.owner)
        if ticket.owner:
            mine.insert(0, ticket.owner)
        if owner is None or owner.key in self.house.missing(self.now):
            all_of_queue = True
        people = {person.key: person for party in mine if (person := directory.by_party(party))}
        if all_of_queue:
            muted = {p.person for p in ticket.participants if p.muted and p.person != ticket.owner}
            people |= {person.key: person for person in directory.staff_of(ticket.queue) if person.party not in muted}
        return tuple(people.values())

    def names(self) -> tuple[str, ...]:
        """Names of everybody who may be greeted or sign in a mail on this ticket."""
        return (*(p.name for p in self.ticket.participants), *(person.name for person in self.house.directory.people.values()))

    def customers(self) -> tuple[Participant, ...]:
        """Requestor and Cc who have not muted the request."""
        return tuple(p for p in self.ticket.people(Role.REQUESTOR, Role.CC) if not p.muted)


def facts_of(ticket: Ticket) -> signals.Facts:
    """What the clocks may know of a ticket."""
    cadence = ticket.fields.get("update_every")
    return signals.Facts(
        status=str(ticket.status),
        opened_at=ticket.opened_at,
        priority=ticket.priority,
        priority_state=ticket.priority_state,
        owner=ticket.owner,
        cadence=Duration.parse(cadence) if cadence else None,
        answered=ticket.answered,
        moved_in=bool(ticket.fields.get(MOVED_IN)),
    )


def circle(participants: Iterable[Participant], role: Role) -> tuple[Address, ...]:
    """The addresses of the participants in `role`, as a participant's copy shows them."""
    return tuple(Address(p.address, p.name) for p in participants if p.role is role)
