"""Who is who: staff with their rights and queues, roles and deputies, customers' organisations.

Built from the config; a `Directory` answers look-ups and changes nothing. An address says whom a mail names, never that he
wrote it: that is `match`'s to judge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from rtmail.desk.duty import Roster
from rtmail.mail import address
from rtmail.mail.site import Site

ENGINEER, MANAGER, PRIVACY, ADMIN = "engineer", "manager", "privacy", "admin"
"""The rights that a person can have."""


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff. `party` is the id of his row in the store; rights: engineer | manager | privacy | admin.

    queues  those he serves; none named means all of them
    """

    key: str
    name: str
    email: str
    aliases: tuple[str, ...] = ()
    rights: frozenset[str] = frozenset({"engineer"})
    queues: tuple[str, ...] = ()
    page: str = ""
    language: str = ""
    party: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.email, *self.aliases)


@dataclass(frozen=True, slots=True)
class Queue:
    """A stream of requests: its addresses and the name of its policy.

    assign   who gets a new request: "" nobody | "round-robin" its staff in turn | "duty" who is on duty
    duty     name of its roster, "" for none
    crossed  what becomes of an answer that crossed a colleague's: "send" | "ask"
    pass_on  a customer's words go to the other participants
    private  what becomes of mail that seems to hold private data: "off" | "warn" | "hold" | "discard"
    """

    name: str
    address: str
    comment_address: str
    policy: str
    assign: str = ""
    duty: str = ""
    crossed: str = "send"
    pass_on: bool = True
    private: str = "off"


@dataclass(frozen=True, slots=True)
class ManagementRole:
    """Whom a policy's `tell` reaches: a person and a deputy, by key."""

    key: str
    person: str
    deputy: str = ""


@dataclass(frozen=True, slots=True)
class Organisation:
    """A customer: its mail domains (each with what is below it) and its registered contacts (addr-specs)."""

    key: str
    name: str
    domains: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    plan: str = ""
    language: str = ""
    """In which its people are written to, whatever they write in; "" lets each one's mail tell."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Address key of a contact -> his roles."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Address key of a contact -> his name, where the list of customers has it."""
    plan_from: date | None = None
    plan_until: date | None = None
    """First and last day of the plan, in the organisation's zone; None: without beginning, without end."""
    timezone: str = ""
    holidays: str = ""
    """Country, or country and region, whose holidays it keeps: "DE", "DE-BY"."""
    statement_to: str = ""
    """Whom its monthly statement of time worked goes to; "" for nobody."""
    services: tuple[str, ...] = ()
    """What it uses, in words by which an incident names whom it affects."""
    imported: bool = False

    def holds_on(self, day: date) -> bool:
        """Tell whether its plan holds on this day."""
        return (self.plan_from is None or self.plan_from <= day) and (self.plan_until is None or day <= self.plan_until)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a customer has bought. What is promised for it in time stands in the policy, under `[plans.NAME]` there.

    queues      that it may use; none named means all
    priorities  that its contacts may name themselves; None: as the policy says
    contacts    most contacts with the role that counts, 0 for any number
    telephone   number that its contacts may call, "" for none
    billable    time worked is, where nobody says whether
    """

    key: str
    name: str
    queues: tuple[str, ...] = ()
    priorities: tuple[str, ...] | None = None
    contacts: int = 0
    telephone: str = ""
    billable: bool = False


class Tie(StrEnum):
    """What makes two people of the customers' side colleagues, the closer first (DESIGN 5)."""

    ORGANISATION = "organisation"
    """Both belong to the same configured organisation."""
    DOMAIN = "domain"
    """Only their mail domain is the same, and not one where anybody can have an address."""
    NONE = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """All of them, with the look-ups that desk needs."""

    people: Mapping[str, Person] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    roles: Mapping[str, ManagementRole] = field(default_factory=dict)
    organisations: Mapping[str, Organisation] = field(default_factory=dict)
    rosters: Mapping[str, Roster] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    _staff: Mapping[str, Person] = field(init=False, repr=False, compare=False)
    _parties: Mapping[int, Person] = field(init=False, repr=False, compare=False)
    _contacts: Mapping[str, Organisation] = field(init=False, repr=False, compare=False)
    _domains: Mapping[str, Organisation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        organisations = tuple(self.organisations.values())
        indexes: Mapping[str, Mapping[str, Person] | Mapping[int, Person] | Mapping[str, Organisation]] = {
            "_staff": {address.key(spec): person for person in self.people.values() for spec in person.addresses},
            "_parties": {person.party: person for person in self.people.values() if person.party},
            "_contacts": {address.key(spec): one for one in organisations for spec in one.contacts},
            "_domains": {domain.lower().strip("."): one for one in organisations for domain in one.domains},
        }
        for name, index in indexes.items():
            object.__setattr__(self, name, index)

    def staff(self, spec: str) -> Person | None:
        """Return the member of staff who has this address or alias, in whatever case it is written."""
        return self._staff.get(address.key(spec))

    def by_party(self, party: int) -> Person | None:
        """Return the member of staff with this party id, None for 0 and for customers."""
        return self._parties.get(party)

    def parties(self) -> tuple[int, ...]:
        """Return the party ids of all staff."""
        return tuple(person.party for person in self.people.values())

    def staff_of(self, queue: str) -> tuple[Person, ...]:
        """Return the engineers who serve `queue`, in the order of the config."""
        return tuple(person for person in self.people.values() if ENGINEER in person.rights and serves(person, queue))

    def may_answer(self, person: Person, queue: str) -> bool:
        """Tell whether `person` may speak and act for the house in `queue`.

        An engineer may in his queues; a manager in all, and so may whom a role names: escalations reach him from anywhere.
        """
        manages = MANAGER in person.rights or any(person.key in (role.person, role.deputy) for role in self.roles.values())
        return manages or (ENGINEER in person.rights and serves(person, queue))

    def reached(self, role: str, absent: Collection[str] = ()) -> Person | None:
        """Return who is told when a policy tells `role`: its person, his deputy while he is absent, else nobody.

        absent  keys of people who are away. A person's own key serves as a role as well. None sends the caller to the admin.
        """
        named = self.roles.get(role)
        keys = (named.person, named.deputy) if named else (role,)
        return next((self.people[key] for key in keys if key in self.people and key not in absent), None)

    def organisation_of(self, spec: str) -> Organisation | None:
        """Return the configured organisation of an address: as its contact, else by the longest of its domains.

        A configured domain stands for itself and what is below it at a dot ("acme.example" takes eu.acme.example, never
        evil-acme.example): whoever holds a domain gives out the names below it.
        """
        contact = self._contacts.get(address.key(spec))
        if contact is not None:
            return contact
        _, at, domain = address.key(spec).rpartition("@")
        labels = domain.split(".") if at else []
        below = (".".join(labels[start:]) for start in range(len(labels)))
        return next((self._domains[domain] for domain in below if domain in self._domains), None)

    def with_customers(self, imported: Mapping[str, Organisation]) -> Directory:
        """Return this directory with imported organisations beside those of the config, which come first where both name one."""
        taken = {address.key(spec) for one in self.organisations.values() for spec in one.contacts}
        domains = {domain.lower().strip(".") for one in self.organisations.values() for domain in one.domains}
        fresh = {
            key: replace(
                one,
                contacts=tuple(spec for spec in one.contacts if address.key(spec) not in taken),
                domains=tuple(domain for domain in one.domains if domain.lower().strip(".") not in domains),
            )
            for key, one in imported.items()
            if key not in self.organisations
        }
        return replace(self, organisations={**fresh, **self.organisations}) if fresh else self

    def is_contact(self, spec: str) -> bool:
        """Tell whether `spec` is a registered contact of an organisation."""
        return address.key(spec) in self._contacts

    def tie(self, one: str, other: str, site: Site) -> Tie:
        """Tell what ties the people behind two addresses together; members of staff are nobody's colleagues here.

        Two who are configured into different organisations are none, whatever their domains are.
        """
        if self.staff(one) or self.staff(other) or "@" not in one or "@" not in other:
            return Tie.NONE
        first, second = self.organisation_of(one), self.organisation_of(other)
        if first is not None and second is not None:
            return Tie.ORGANISATION if first.key == second.key else Tie.NONE
        return Tie.DOMAIN if address.same_organisation_domain(one, other, site) else Tie.NONE


def serves(person: Person, queue: str) -> bool:
    """Tell whether `queue` is one of the person's."""
    return not person.queues or queue in person.queues


def listed(spec: str, entries: Iterable[str]) -> bool:
    """Tell whether an address stands in a config list of addr-specs and "@domain" entries (the domain itself, nothing below)."""
    wanted = address.key(spec)
    domain = "@" + wanted.rpartition("@")[2]
    return any(entry.lower() in (wanted, domain) for entry in entries)
