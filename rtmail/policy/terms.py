"""On what terms a request is served: what a policy says of customers, plans, prepared answers, appeals and work after hours.

Values only, built by `policy.term_rules` from TOML. `Terms` is what was found for one request when it opened; it is kept with the
request, and `Policy.under(terms)` is the policy as it counts for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from rtmail.policy.duration import Duration
from rtmail.policy.hours import Hours, next_open

TERMS = "terms"
"""The field of a request that holds its terms."""


class Standing(StrEnum):
    """What the sender of a request is to the house."""

    ENTITLED = "entitled"
    """A contact of an organisation whose plan holds today, or of one that needs none."""
    NOT_CONTACT = "not-contact"
    EXPIRED = "expired"
    """Its plan has ended, or has not begun."""
    NO_PLAN = "no-plan"
    NOT_IN_PLAN = "not-in-plan"
    """The plan does not have this queue."""
    UNKNOWN = "unknown"
    """Of no known organisation."""


class Service(StrEnum):
    """What happens to a request of such a sender."""

    SERVE = "serve"
    BEST_EFFORT = "best-effort"
    """Served, but nothing is promised: no clock runs."""
    ANSWER = "answer"
    """A prepared answer goes out, and the request is closed."""
    HOLD = "hold"
    """Nothing goes out and nothing is promised until staff say `serve`."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """A service, and the name of the prepared answer where it is one."""

    service: Service = Service.SERVE
    answer: str = ""


@dataclass(frozen=True, slots=True)
class CustomerRules:
    """What becomes of whom.

    contact_role  only contacts with this role count as contacts; "" for all of them
    treatments    by standing; what is not named is served
    best_effort_priorities  what a customer without commitments may name himself; None: as everybody
    """

    contact_role: str = ""
    treatments: Mapping[Standing, Treatment] = field(default_factory=dict)
    best_effort_priorities: tuple[str, ...] | None = None

    def treatment(self, standing: Standing) -> Treatment:
        return self.treatments.get(standing, Treatment())


class Then(StrEnum):
    """What a prepared answer leaves behind."""

    CLOSE = "close"
    WAIT = "wait"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared answer: its words by language ("" for any other), and what becomes of the request.

    mark  a word under which such requests are listed, "" for none
    """

    name: str
    texts: Mapping[str, str]
    then: Then = Then.CLOSE
    mark: str = ""

    def text(self, language: str) -> str:
        return self.texts.get(language.partition("-")[0], "") or self.texts[""]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Another tier to which staff hand requests over.

    queue, role  where it goes, and who has it then; one of them may be ""
    needs        fields that must be filled in before
    words        so many words of what was found must stand behind the command
    """

    name: str
    queue: str = ""
    role: str = ""
    needs: tuple[str, ...] = ()
    words: int = 0


class TickedBy(StrEnum):
    """What ticks an item of what is asked of a customer, besides the word of staff."""

    NUMBERS = "numbers"
    """His answer to it, behind its number or below its line."""
    ANSWER = "answer"
    """Any answer of his ticks all of them."""
    STAFF = "staff"
    """Nothing else."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What happens while a request waits for its customer.

    remind_every, remind_times  how often he is reminded; None, 0: never
    close_after                 how long after the last reminder it is closed with a word; None: never
    """

    calendar: str = "always"
    remind_every: Duration | None = None
    remind_times: int = 0
    close_after: Duration | None = None
    ticked_by: TickedBy = TickedBy.NUMBERS


NO_ASKING = Asking()


@dataclass(frozen=True, slots=True)
class Appeal:
    """Who decides when a customer appeals against a priority, and within what time."""

    tell: str
    within: Duration
    calendar: str


@dataclass(frozen=True, slots=True)
class AfterHours:
    """What is critical outside of `calendar`: mail to one of `queues`, `Priority: 1` of an entitled contact, a word in the subject.

    priority  what such a request gets at once; triage: in what time somebody looks at it, round the clock
    """

    calendar: str
    priority: str
    triage: Duration | None
    queues: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def closed(self, at: datetime, hours: Hours) -> bool:
        return next_open(at, hours) > at


@dataclass(frozen=True, slots=True)
class Urgency:
    """The table of package x impact x spread: how much each counts; the product sorts lists, the highest first."""

    package: Mapping[str, int]
    impact: Mapping[str, int]
    spread: Mapping[str, int]

    def of(self, plan: str, impact: str, spread: str) -> int:
        """Return the product; what is not known counts as the least of its column."""
        columns = ((self.package, plan), (self.impact, impact), (self.spread, spread))
        product = 1
        for column, name in columns:
            product *= column.get(name, min(column.values(), default=1))
        return product


@dataclass(frozen=True, slots=True)
class Terms:
    """What was found for one request. `promises` False: nothing is promised; `held`: waits for staff; `critical`: after hours."""

    standing: Standing = Standing.ENTITLED
    organisation: str = ""
    plan: str = ""
    promises: bool = True
    held: bool = False
    critical: bool = False
    priorities: tuple[str, ...] | None = None
    timezone: str = ""
    holidays: tuple[date, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Return it as JSON values, what is at its default left out."""
        row: dict[str, Any] = {"standing": str(self.standing)}
        for name in ("organisation", "plan", "timezone"):
            if getattr(self, name):
                row[name] = getattr(self, name)
        if not self.promises:
            row["promises"] = False
        row |= {name: True for name in ("held", "critical") if getattr(self, name)}
        if self.priorities is not None:
            row["priorities"] = list(self.priorities)
        if self.holidays:
            row["holidays"] = [day.isoformat() for day in self.holidays]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any] | None) -> Terms | None:
        """Return the terms that `to_row` wrote, None for a request without."""
        if not row:
            return None
        chosen = row.get("priorities")
        return cls(
            standing=Standing(row["standing"]), organisation=row.get("organisation", ""), plan=row.get("plan", ""),
            promises=row.get("promises", True), held=row.get("held", False), critical=row.get("critical", False),
            priorities=None if chosen is None else tuple(chosen), timezone=row.get("timezone", ""),
            holidays=tuple(date.fromisoformat(day) for day in row.get("holidays", ())),
        )
