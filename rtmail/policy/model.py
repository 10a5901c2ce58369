"""What a policy promises, as values: priorities, ladders, calendars and the rules around them.

Built by `policy.schema` from TOML and never changed; `policy.clocks` asks it what each promise comes to. A request keeps the
version it began with: `hash` names a version, `text` and `expanded()` are what the store keeps of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from rtmail.policy.duration import Duration
from rtmail.policy.fields import Field, Rule
from rtmail.policy.hours import Hours, add, always, between
from rtmail.policy.terms import NO_ASKING, AfterHours, Appeal, Asking, CustomerRules, HandOver, Prepared, Terms, Urgency

ALWAYS = "always"
"""The built-in calendar that never closes, its business days those of the site's zone."""


class UpdateMode(StrEnum):
    """What happens around an update's due instant when no human wrote."""

    NUDGE = "nudge"
    """The owner is reminded before."""
    HOLD = "hold"
    """The same, and at the due instant the customer gets a holding update."""
    SILENT = "silent"
    """Nobody gets anything."""


class MetBy(StrEnum):
    """What counts as the first response; a human's answer always does."""

    HUMAN = "human"
    TAKEN = "taken"
    ACKNOWLEDGEMENT = "acknowledgement"


class LadderFrom(StrEnum):
    """From when the ladder's time is measured."""

    PRIORITISED = "prioritised"
    OPENED = "opened"


class ForwardAck(StrEnum):
    """Whether someone whose mail staff forwarded is acknowledged."""

    ASK = "ask"
    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Nudge:
    """How long before a due instant staff are reminded: a share of the time, or a length of open time; neither: never."""

    percent: int = 0
    before: timedelta = timedelta(0)

    def at(self, start: datetime, due: datetime, hours: Hours) -> datetime | None:
        """Return the reminder's instant, in open hours when there are any until `due`; None when there is none.

        A length that does not fit into the time until `due` (a short cadence agreed on one request) becomes half of it.
        """
        if due <= start or not (self.percent or self.before):
            return None
        open_time = between(start, due, hours)
        if not open_time:  # promised for an hour at which the calendar is closed
            open_time, hours = due - start, always("UTC")
        before = self.before or open_time * self.percent / 100
        if before >= open_time:
            before = open_time / 2
        return add(start, timedelta(seconds=(open_time - before) // timedelta(seconds=1)), hours)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder.

    tell       roles that its mail goes to
    ack_holds  an acknowledgement by someone told before keeps this rung from firing while it is valid
    ack_for    how long an acknowledgement given on this rung is valid when it names no time; None: one update interval
    ack_max    the longest that acknowledgements on this rung hold; None: no limit
    """

    after: Duration
    tell: tuple[str, ...]
    ack_holds: bool = True
    ack_for: Duration | None = None
    ack_max: Duration | None = None


@dataclass(frozen=True, slots=True)
class Priority:
    """One priority's promises. A None length is no promise. `code` orders priorities: higher is more urgent.

    shout_every  how often the queue is told while nobody owns a request of it; None: never
    page    the ladder's mails also go as a short plain copy to a person's `page` address
    bundle  its escalations may wait to be joined with others in one mail a manager
    """

    key: str
    code: int
    meaning: str
    calendar: str
    update_calendar: str
    ladder_calendar: str
    first_response: Duration | None
    update_every: Duration | None
    resolution: Duration | None
    reply_within: Duration | None
    update_mode: UpdateMode
    met_by: MetBy
    nudge: Nudge
    ladder: tuple[Rung, ...]
    page: bool
    bundle: bool
    shout_every: Duration | None = None
    needs_eta: bool = False
    """Whoever writes to the customer says by when it will be solved."""


@dataclass(frozen=True, slots=True)
class Suggest:
    """Which priorities a customer may name himself, from which headers too, and whether his word sets or proposes one."""

    allow: tuple[str, ...] = ()
    headers: bool = True
    sets: bool = False


@dataclass(frozen=True, slots=True)
class Thanks:
    """What a short thanks looks like: at most `max_words` words, holding one of `words` (language -> words)."""

    max_words: int = 12
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Digest:
    """When staff get their daily and weekly picture, in the zone and on the open days of `calendar`; None: never.

    weekly_day   0 is Monday
    bundle_from  so many escalations for one person at once become one mail
    """

    calendar: str = ALWAYS
    daily: time | None = None
    weekly: time | None = None
    weekly_day: int = 0
    bundle_from: int = 5


@dataclass(frozen=True, slots=True)
class Incidents:
    """What is promised around an outage: to announce it within `first_response` of its severity, to tell more every `update_every`.

    severities   by key, the most severe first
    tell_linked  who asked about it hears on his own request, too, that it is over
    page_alone   keys of severities that stand on the status page, and nobody is written to
    """

    severities: Mapping[str, Priority]
    tell_linked: bool = True
    page_alone: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Maintenance:
    """How planned work is told of.

    notice    between telling and the start, counted on the calendar of `promises`; None: no least time
    window    calendar inside which work needs no notice, "" for none
    remind    how long before the start those affected are reminded
    promises  ladder and reminders of a maintenance that takes longer than told
    """

    promises: Priority
    notice: Duration | None = None
    window: str = ""
    remind: tuple[Duration, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy file.

    priorities      by key, most urgent first
    untriaged       the priority whose targets count until one is set
    waiting_pauses  clocks (first-response, update, resolution, ladder) that stand still while waiting for the customer
    nudge           when staff are reminded of an untriaged request
    on_call         role reminded of untriaged requests; "" for the queue
    roles           every role the policy tells, with the line that first names it
    plans           priorities of those plans that have their own, by plan
    observing       calendars that are closed on the holidays of the customer as well
    """

    name: str
    text: str
    timezone: str
    calendars: Mapping[str, Hours]
    holidays: Mapping[str, tuple[date, ...]]
    priorities: Mapping[str, Priority]
    untriaged: str
    triage: Duration | None
    triage_calendar: str
    nudge: Nudge
    on_call: str
    ladder_from: LadderFrom
    waiting_pauses: frozenset[str]
    reopen_within: Duration
    close_after: Duration | None
    close_calendar: str
    forward_ack: ForwardAck
    suggest: Suggest
    thanks: Thanks
    digest: Digest
    roles: Mapping[str, int]
    incidents: Incidents
    maintenance: Maintenance
    plans: Mapping[str, Mapping[str, Priority]] = field(default_factory=dict)
    observing: frozenset[str] = frozenset()
    customers: CustomerRules | None = None
    answers: Mapping[str, Prepared] = field(default_factory=dict)
    appeal: Appeal | None = None
    after_hours: AfterHours | None = None
    urgency: Urgency | None = None
    asking: Asking = NO_ASKING
    hand_over: Mapping[str, HandOver] = field(default_factory=dict)
    voice: str = ""
    """The name under which all staff write to customers; "" for each under his own."""
    fields: Mapping[str, Field] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """What prepared answers and rules note on requests, to list them by."""
        marks = [*(answer.mark for answer in self.answers.values()), *(rule.mark for rule in self.rules)]
        return tuple(dict.fromkeys(filter(None, marks)))

    def under(self, terms: Terms | None) -> Policy:
        """Return the policy as it counts for a request on these terms: its plan's priorities, its holidays, or no promises at all."""
        if terms is None:
            return self
        priorities, triage, triage_calendar = self.plans.get(terms.plan, self.priorities), self.triage, self.triage_calendar
        if not terms.promises:
            priorities, triage = {key: _unpromised(one) for key, one in priorities.items()}, None
        elif terms.critical and self.after_hours and self.after_hours.triage:
            triage, triage_calendar = self.after_hours.triage, ALWAYS
        calendars = self.calendars
        if terms.holidays and self.observing:
            calendars = {name: replace(one, closed=one.closed | frozenset(terms.holidays)) if name in self.observing else one
                         for name, one in calendars.items()}
        suggest = self.suggest
        if terms.priorities is not None:
            suggest = replace(suggest, allow=tuple(one for one in suggest.allow if one in terms.priorities))
        return replace(self, priorities=priorities, triage=triage, triage_calendar=triage_calendar, calendars=calendars, suggest=suggest)

    def around(self, kind: str, severity: str) -> Policy:
        """Return the policy as it counts for an "incident" of this severity, or a "maintenance": no customer waits, nobody agrees."""
        promises = self.maintenance.promises
        known = self.incidents.severities if kind == "incident" else {promises.key: promises}
        priorities = {key: replace(one, met_by=MetBy.HUMAN, update_mode=UpdateMode.NUDGE, needs_eta=False) for key, one in known.items()}
        return replace(
            self, priorities=priorities, untriaged=severity if severity in priorities else next(iter(priorities)), triage=None,
            ladder_from=LadderFrom.PRIORITISED, waiting_pauses=frozenset(), close_after=None, suggest=Suggest(), appeal=None,
            after_hours=None, urgency=None, plans={},
        )  # fmt: skip

    def hours(self, calendar: str) -> Hours:
        """Return the calendar of that name; a clock that came from another policy may name one that is not here, and never closes."""
        return self.calendars.get(calendar) or self.calendars[ALWAYS]

    def priority(self, key: str) -> Priority:
        """Return the priority `key`; for "" and for one that this version does not know, the untriaged one."""
        return self.priorities.get(key) or self.priorities[self.untriaged]

    @property
    def highest(self) -> Priority:
        return next(iter(self.priorities.values()))

    def expanded(self) -> str:
        """Return what the text's meaning depends on besides itself, as JSON: the site's zone and the holidays by calendar."""
        days = {calendar: [day.isoformat() for day in dates] for calendar, dates in self.holidays.items()}
        return json.dumps({"timezone": self.timezone, "holidays": days}, sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """Name of this version: hex SHA-256 of the text and its expansion."""
        return hashlib.sha256(f"{self.text}\0{self.expanded()}".encode()).hexdigest()


def _unpromised(priority: Priority) -> Priority:
    return replace(priority, first_response=None, update_every=None, resolution=None, reply_within=None, ladder=(), shout_every=None,
                   needs_eta=False)
