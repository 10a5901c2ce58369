"""What the sender of a new request is to the house, and on what terms the request is therefore served.

A request that opens, or is split off, asks before anything is promised; the terms stay with it (`policy.terms.TERMS`), so that a plan
which ends later takes nothing away from it. Staff read in the notice which case it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from rtmail.desk import audience
from rtmail.desk.decision import Builder, House
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Organisation
from rtmail.desk.promised import urgency
from rtmail.desk.ticket import Status
from rtmail.mail import address
from rtmail.policy import signals
from rtmail.policy.hours import yearly
from rtmail.policy.model import Policy
from rtmail.policy.terms import TERMS, CustomerRules, Service, Standing, Terms, Treatment


@dataclass(frozen=True, slots=True)
class Found:
    """The terms of a request, what happens to it, and what staff must know of that."""

    terms: Terms
    treatment: Treatment
    flags: tuple[str, ...] = ()


def judge(policy: Policy, house: House, queue: str, spec: str, at: datetime) -> Found | None:
    """Return on what terms a mail of `spec` to `queue` is served; None where neither policy nor customers make a difference."""
    directory, rules = house.directory, policy.customers
    organisation = directory.organisation_of(spec)
    if directory.staff(spec) or (rules is None and organisation is None):
        return None
    if rules is None and organisation is not None and not (organisation.plan or organisation.holidays or organisation.timezone):
        return None
    standing = _standing(rules, house, organisation, queue, spec, at)
    treatment = rules.treatment(standing) if rules else Treatment()
    plan = directory.plans.get(organisation.plan) if organisation else None
    entitled = standing is Standing.ENTITLED
    serves = treatment.service is Service.SERVE
    terms = Terms(
        standing=standing,
        organisation=organisation.key if organisation else "",
        plan=organisation.plan if organisation and entitled else "",
        promises=serves,
        held=treatment.service is Service.HOLD,
        priorities=plan.priorities if plan and entitled else None if serves or rules is None else rules.best_effort_priorities,
        timezone=organisation.timezone if organisation else "",
        holidays=_holidays(policy, organisation, at),
    )
    return Found(terms, treatment, tuple(filter(None, _flags(house, organisation, standing, treatment, at))))


@dataclass(frozen=True, slots=True)
class Reception:
    """How a request is received that opens.

    terms          on which it is served; None where neither policy nor customers make a difference
    flags          what staff must know of that
    acknowledges   the customer gets the acknowledgement
    answer         the prepared answer that he gets instead, "" for none
    """

    terms: Terms | None = None
    flags: tuple[str, ...] = ()
    acknowledges: bool = True
    answer: str = ""


def receive(builder: Builder, spec: str) -> Reception:
    """Settle on what terms the sender of a request that opens is served, and how urgent it therefore is."""
    found = settle(builder, spec)
    urgency.begin(builder)
    if found is None:
        return Reception()
    quiet = found.treatment.service in (Service.ANSWER, Service.HOLD)
    return Reception(found.terms, found.flags, not quiet, found.treatment.answer)


def settle(builder: Builder, spec: str) -> Found | None:
    """Judge the sender of a request that opens, and let everything from here on count on its terms."""
    found = judge(builder.policy, builder.house, builder.ticket.queue, spec, builder.now)
    if found:
        keep(builder, found.terms)
    return found


def keep(builder: Builder, terms: Terms) -> None:
    builder.note(TERMS, terms.to_row())
    builder.policy = builder.general.under(terms)


def adopt(builder: Builder, spec: str) -> None:
    """By a word of staff the request is another customer's: one who is entitled is served on his own terms from its start on.

    Of anybody else nothing follows; staff said that he is served.
    """
    terms, former = entitled(builder, spec), Terms.from_row(builder.ticket.fields.get(TERMS))
    if terms is not None:
        keep(builder, replace(terms, critical=former is not None and former.critical))
        urgency.again(builder)
        builder.signal(signals.PolicyApplied(at=builder.now, event=builder.ticket.events))


def entitled(builder: Builder, spec: str) -> Terms | None:
    """Return the terms of a customer for whom staff open a request, None where he has none of his own."""
    found = judge(builder.general, builder.house, builder.ticket.queue, spec, builder.now)
    return found.terms if found and found.terms.standing is Standing.ENTITLED else None


def serve(builder: Builder) -> str:
    """Staff let a request that was held, or is served without promises, be served as a customer's: its clocks begin now."""
    terms = Terms.from_row(builder.ticket.fields.get(TERMS))
    if terms is None or (terms.promises and not terms.held):
        raise CannotDo("it is served with all that is promised already")
    if builder.ticket.status not in (Status.NEW, Status.OPEN, Status.WAITING):
        raise CannotDo(f"the request is {builder.ticket.status}", "reopen")
    organisation = builder.house.directory.organisations.get(terms.organisation)
    plan = organisation.plan if organisation else ""
    keep(builder, replace(terms, promises=True, held=False, plan=plan, priorities=None))
    builder.signal(signals.PolicyApplied(at=builder.now, event=builder.ticket.events))
    if terms.held:
        audience.acknowledge(builder)
    return f"it is served{f' on the plan {plan}' if plan else ''} from now on"


def _standing(
    rules: CustomerRules | None, house: House, organisation: Organisation | None, queue: str, spec: str, at: datetime
) -> Standing:
    if organisation is None:
        return Standing.UNKNOWN
    key = address.key(spec)
    contact = house.directory.is_contact(spec)
    role = rules.contact_role if rules else ""
    if not contact or (role and role not in organisation.roles.get(key, ())):
        return Standing.NOT_CONTACT
    plan = house.directory.plans.get(organisation.plan)
    if plan is None:
        return Standing.NO_PLAN
    if not organisation.holds_on(_today(house, organisation, at)):
        return Standing.EXPIRED
    return Standing.ENTITLED if not plan.queues or queue in plan.queues else Standing.NOT_IN_PLAN


def _flags(
    house: House, organisation: Organisation | None, standing: Standing, treatment: Treatment, at: datetime
) -> tuple[str, ...]:
    name = organisation.name if organisation else ""
    plan = house.directory.plans.get(organisation.plan) if organisation else None
    begins = organisation.plan_from if organisation else None
    until = organisation.plan_until if organisation else None
    late = organisation is not None and begins is not None and begins > _today(house, organisation, at)
    ends = f"which begins on {begins:%d %b %Y}" if late else f"which ended on {until:%d %b %Y}" if until else ""
    what = {
        Standing.ENTITLED: f"{name}, plan {plan.name if plan else ''}{f', until {until:%d %b %Y}' if until else ''}.",
        Standing.NOT_CONTACT: f"Of {name}, but not one of its contacts for support.",
        Standing.EXPIRED: f"Contact of {name}, plan {plan.name if plan else ''}, {ends}.",
        Standing.NO_PLAN: f"Contact of {name}, which has no plan.",
        Standing.NOT_IN_PLAN: f"Contact of {name}; its plan {plan.name if plan else ''} does not have this queue.",
        Standing.UNKNOWN: "Of no organisation that is a customer.",
    }[standing]
    done = {
        Service.SERVE: "",
        Service.BEST_EFFORT: "Served without promises: no clock runs. `serve` begins them.",
        Service.ANSWER: f"Answered with `{treatment.answer}` and closed.",
        Service.HOLD: "Held: nothing went out, no clock runs. `serve` acknowledges it and begins them.",
    }[treatment.service]
    return (what, done)


def _today(house: House, organisation: Organisation, at: datetime) -> date:
    """Return the day as it is with the customer; what a plan says of days is meant so."""
    return at.astimezone(ZoneInfo(organisation.timezone or house.site.timezone)).date()


def _holidays(policy: Policy, organisation: Organisation | None, at: datetime) -> tuple[date, ...]:
    if not organisation or not organisation.holidays or not policy.observing:
        return ()
    return yearly(organisation.holidays, at)
