"""Incidents and maintenance as requests: opened by a mail of staff, told to whom they affect, changed by commands, closed.

The words of an answer at the public address go to everybody affected, those at the comment address stay among staff, as on any
request; nobody takes part, so that no customer ever sees another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rtmail.desk import audience, notes
from rtmail.desk.decision import Builder, House, Words
from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.grammar.commands import Command, Parsed
from rtmail.desk.outages import about, affected, maintenance
from rtmail.desk.outages.about import ENDS, TELLINGS, About, Kind, Plan, Stage, Telling, What
from rtmail.desk.outcome import CannotDo, Result, refused
from rtmail.desk.people import Organisation, Person
from rtmail.desk.promised.consent import find
from rtmail.desk.ticket import Event, EventKind, Status, Ticket
from rtmail.desk.wording import NOTHING_SAID, Said, unsayable
from rtmail.mail.writing.draft import Visibility
from rtmail.policy import signals
from rtmail.policy.model import Policy, Priority

OPENS: Mapping[str, Kind] = {"incident": Kind.INCIDENT, "maintenance": Kind.MAINTENANCE, "emergency": Kind.MAINTENANCE}
"""Commands that open one in a fresh mail, with its title."""
_SAYS = frozenset({*OPENS, "severity", "priority", "affects", "starts", "ends"})
NOT_HERE = frozenset({
    "addcc", "delcc", "addrequestor", "delrequestor", "for", "merge", "same", "split", "accept", "redirect", "serve", "wait", "spam",
    "reclassify", "impact", "spread", "eta", "queue", "due",
})
"""Commands about a customer of one's own, which an incident has not."""
_CLOSES = frozenset({"close", "resolve"})
_CLOSED = ("closed", "close", "resolved", "done")


def opens(parsed: Parsed) -> bool:
    """Tell whether the commands of a fresh mail open an incident or plan a maintenance."""
    return any(command.name in OPENS for command in parsed.commands)


def read(parsed: Parsed, policy: Policy, house: House, now: datetime, zone: ZoneInfo, inside: Said = NOTHING_SAID) -> Plan | list[Result]:
    """Return what the commands of a fresh mail open, or, for the receipt, why each of them that is at fault opens nothing.

    inside   what was said among staff, which a title must not repeat: everybody affected reads it
    """
    wrong: list[Result] = [refused(one.line, one.why, one.suggestion) for one in parsed.unclear]
    said: dict[str, Command] = {}
    for command in parsed.commands:
        if command.name in _SAYS:
            said["severity" if command.name == "priority" else command.name] = command
    opening = next(command for name, command in said.items() if name in OPENS)
    kind = OPENS[opening.name]
    if why := unsayable(opening.value, house.site, house.directory.parties(), inside):
        wrong.append(refused(opening.line, why))

    def value(name: str, missing: str, example: str, make: Any) -> Any:
        command = said.get(name)
        try:
            if command is None:
                raise CannotDo(missing, example)
            return make(command.value)
        except CannotDo as cannot:
            wrong.append(refused(command.line if command else opening.line, cannot.why, cannot.instead))
        except ArgumentError as error:
            wrong.append(refused(command.line if command else opening.line, error.what, error.cure))
        return None

    affects = value("affects", "whom does it affect?", "Affects: all", lambda text: affected.read(text, house.directory)) or ()
    severity, starts_at, ends_at = "", None, None
    if kind is Kind.INCIDENT:
        known = policy.incidents.severities
        target: Priority | None = value("severity", f"how bad is it? {', '.join(known)}", f"Severity: {next(iter(known))}",
                                        lambda text: _severity(policy, text))  # fmt: skip
        severity = target.key if target else ""
        if why := _unseen(policy, severity, affects):
            wrong.append(refused(said["affects"].line, why, "Affects: all"))
    else:
        starts_at = value("starts", "when does it begin?", "Starts: Sat 22:00", lambda text: arguments.instant(text, now, zone))
        ends_at = value("ends", "when is it over?", "Ends: Sun 2:00", lambda text: arguments.instant(text, starts_at or now, zone))
    found = About(kind, affects, severity, starts_at, ends_at, emergency=opening.name == "emergency")
    if starts_at and ends_at:
        judged = maintenance.judge(policy, starts_at, ends_at, now, zone, emergency=found.emergency)
        if judged.refused:
            at = said.get("starts", opening)
            emergency = f"Emergency: {opening.value.strip()}"
            wrong.append(refused(at.line, judged.refused, f"{judged.instead}, or {emergency}" if judged.instead else emergency))
        found = replace(found, quiet=judged.quiet)
    if wrong:
        return wrong
    return Plan(opening.value.strip(), found, tuple(one for one in parsed.commands if one.name not in _SAYS))


def _severity(policy: Policy, text: str) -> Priority:
    known = policy.incidents.severities
    target = find(replace(policy, priorities=known), text)
    if target is None:
        raise CannotDo(f"there is no severity {text.strip()!r}; there are {', '.join(known)}", f"Severity: {next(iter(known))}")
    return target


def _unseen(policy: Policy, severity: str, affects: Iterable[str]) -> str:
    """Return why nobody at all would read of such an incident, "" where somebody does."""
    if severity not in policy.incidents.page_alone or affected.public(affects):
        return ""
    return f"of severity {severity} it is on the status page alone, which names no organisation, plan or queue"


def begin(builder: Builder, plan: Plan, person: Person, words: Words, *, at: datetime, facts: Mapping[str, Any], message_id: str = "",
          told: bool = True) -> Event:
    """Open it: the request, its severity and clocks, its owner, the staff who hear of it; with `told`, its words go to whom it affects.

    words  what its author wrote, "" for nothing yet; at: from when it counts
    """
    found, public = plan.found, words.reply_text.strip()
    builder.ticket = replace(builder.ticket, subject=plan.title)
    says = bool(public) and told and not found.quiet
    opened = builder.add(EventKind.OPENED, actor=person.party, facts={**facts, "kind": str(found.kind)}, message_id=message_id, at=at,
                         words=replace(words, subject=plan.title, text="" if says else words.reply_text))  # fmt: skip
    maintenance.keep(builder, found, person.party)
    builder.general = about.counting(builder.given, builder.ticket)
    builder.policy = builder.general
    builder.signal(signals.Opened(at=at, event=opened.seq, acknowledge=False))
    if found.kind is Kind.INCIDENT:
        grade(builder, builder.policy.priorities[found.severity], person)
    if person.party and builder.house.directory.may_answer(person, builder.ticket.queue):
        builder.own(person, actor=person.party)
    if says:
        publish(builder, person, words, at=at, facts={})
    if found.kind is Kind.MAINTENANCE and not found.quiet and told:
        builder.announces = What.PLANNED
    audience.to_staff(
        builder, opened, "opened", who=person.name, author=person.name, text=public,
        people=tuple(one for one in builder.staff(all_of_queue=True) if one.party != person.party), about_customer=False, human=False,
        flags=(described(builder, found), *(() if says or found.quiet else (_untold(builder),))), facts={"received_at": at, "due": []},
    )  # fmt: skip
    return opened


def _untold(builder: Builder) -> str:
    if about.on_page_alone(builder.policy, builder.ticket):
        return "Nothing is on the status page so far: an answer at the public address stands there, and goes to nobody."
    return "Nobody outside was told so far: an answer at the public address tells everybody affected."


def described(builder: Builder, found: About) -> str:
    """Return in one sentence what it is, for staff."""
    whom = f"affects {', '.join(found.affects)}"
    if found.kind is Kind.INCIDENT:
        return f"An incident of severity {builder.ticket.priority}; {whom}."
    zone = builder.zone
    span = " to ".join(notes.shown(at, zone) for at in (found.starts_at, found.ends_at) if at)
    quiet = " Inside the recurring window, so nobody is told." if found.quiet else ""
    return f"{'Emergency work' if found.emergency else 'A maintenance'} from {span}; {whom}.{quiet}"


def publish(builder: Builder, person: Person, words: Words, *, at: datetime, facts: Mapping[str, Any]) -> Event:
    """Words of staff for everybody affected: an announcement, what is new of it, or, where it ends with them, the summary."""
    event = builder.say(EventKind.CORRESPONDENCE, actor=person.party, words=words, at=at, facts={**facts, "by_staff": True})
    found = about.about(builder.ticket.fields)
    first = found is not None and found.kind is Kind.INCIDENT and not found.root
    builder.announces = maintenance.max_what(builder.announces, What.ANNOUNCED if first else What.UPDATED)
    builder.signal(signals.Answered(at=at, event=event.seq, by=person.party))
    if builder.ticket.status is Status.NEW:
        builder.status(Status.OPEN, actor=person.party, reason="announced")
    return event


def settle(builder: Builder) -> None:
    """Note what of this decision is told to whom it affects; one mail, whatever of it happened.

    Of an incident that is on the status page alone, only those who asked about it hear, on their own requests.
    """
    what = builder.announces
    found = about.about(builder.ticket.fields)
    if what is None or found is None:
        return
    said = [entry.event for entry in builder.entries if entry.event.kind is EventKind.CORRESPONDENCE and entry.event.facts.get("by_staff")]
    event = said[-1] if said else builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": str(what)})
    row = [one.to_row() for one in about.tellings(builder.ticket.fields)]
    if about.on_page_alone(builder.policy, builder.ticket):
        # There is no mail whose delivery could be waited for.
        builder.signal(signals.Delivered(at=builder.now, event=event.seq))
    else:
        if not found.root:
            maintenance.keep(builder, replace(found, root=event.seq))
        row.append(Telling(event.seq, what, but=builder.told_before).to_row())
    if what in ENDS and builder.policy.incidents.tell_linked:
        row.append(Telling(event.seq, What.LINKED, after="0").to_row())
    builder.note(TELLINGS, row or None)


# -- commands -------------------------------------------------------------------------------------------------------


def guard(builder: Builder, name: str) -> None:
    """Raise CannotDo for a command that means nothing on an incident."""
    found = about.about(builder.ticket.fields)
    if found is not None and name in NOT_HERE:
        raise CannotDo(f"this is {_a(found.kind)}, on which no customer takes part", "Affects: all" if name in ("addcc", "for") else "")


def grade(builder: Builder, target: Priority, person: Person) -> str:
    """Set the severity of an incident: its promises and its ladder follow."""
    old, facts = builder.ticket.priority, builder.facts()
    event = builder.add(EventKind.PRIORITY, actor=person.party, facts={"old": old, "new": target.key, "state": "", "by_staff": True})
    builder.signal(signals.Prioritised(at=builder.now, priority=target.key, event=event.seq), facts)
    return f"the severity is {target.key}"


def severity(builder: Builder, value: str, person: Person) -> str:
    """`Severity: high` on an incident: who read of it on the status page alone is told, where that is too little now. Raises CannotDo."""
    target, alone = _severity(builder.given, value), about.on_page_alone(builder.policy, builder.ticket)
    found = about.about(builder.ticket.fields)
    if found is not None and not found.root and (why := _unseen(builder.given, target.key, found.affects)):
        raise CannotDo(why, "Affects: all")
    outcome = grade(builder, target, person)
    if alone and builder.ticket.answered and not about.on_page_alone(builder.policy, builder.ticket):
        builder.announces = What.ANNOUNCED
        return f"{outcome}; it goes to {audience.readers(builder)}"
    return outcome


def is_incident(builder: Builder) -> bool:
    """Tell whether the request is an incident, whose priority is a severity."""
    found = about.about(builder.ticket.fields)
    return found is not None and found.kind is Kind.INCIDENT


def affects(builder: Builder, value: str, person: Person) -> str:
    """Change whom it affects: who is new hears of it as those before did. Raises CannotDo."""
    found = about.about(builder.ticket.fields)
    if found is None:
        raise CannotDo("this request is neither an incident nor a maintenance")
    if builder.ticket.status not in about.LIVE:
        raise CannotDo(f"it is {builder.ticket.status}")
    now, alone = affected.read(value, builder.house.directory), about.on_page_alone(builder.policy, builder.ticket)
    if alone and (why := _unseen(builder.given, builder.ticket.priority, now)):
        raise CannotDo(why, "Affects: all")
    maintenance.keep(builder, replace(found, affects=now), person.party)
    told = not alone and (builder.ticket.answered or (found.kind is Kind.MAINTENANCE and not found.quiet))
    if told and builder.announces is None:
        builder.announces = What.PLANNED if found.kind is Kind.MAINTENANCE else What.ANNOUNCED
        builder.told_before = found.affects
    heard = "who is new is told" if told else "it is on the status page alone" if alone else "nobody was told of it yet"
    return f"it affects {', '.join(now)} now; {heard}"


def link(builder: Builder, value: str, person: Person) -> str:
    """`Incident: 12` on an ordinary request. Raises CannotDo."""
    if about.about(builder.ticket.fields):
        if value.strip(" .!").casefold() in _CLOSED:
            return close(builder, person)
        raise CannotDo("this is an incident itself", "close")
    wanted = value.strip().lstrip("#")
    one = next((one for one in builder.house.incidents if str(one.number) == wanted), None)
    if one is None:
        raise CannotDo(f"no incident #{wanted} is open" if wanted.isdigit() else "a new incident is opened in a fresh mail",
                       "Incident: 12" if builder.house.incidents else "")  # fmt: skip
    attach(builder, one.number, person.party)
    return f"linked with incident #{one.number}"


def close(builder: Builder, person: Person) -> str:
    """It is over. Everybody who was told of it reads the words of the same mail as the summary. Raises CannotDo."""
    found = about.about(builder.ticket.fields)
    assert found is not None
    if builder.ticket.status not in about.LIVE:
        raise CannotDo(f"it is {builder.ticket.status} already")
    if found.kind is Kind.MAINTENANCE:
        return maintenance.done(builder, found, person)
    said = any(entry.event.kind is EventKind.CORRESPONDENCE for entry in builder.entries)
    if builder.ticket.answered and not said:
        raise CannotDo("say below, in the same mail, what it was: everybody who was told of it reads that as the summary")
    builder.status(Status.CLOSED, actor=person.party, reason="incident over")
    if said:
        builder.announces = maintenance.max_what(builder.announces, What.CLOSED)
        return f"it is over; the words of your mail go to {audience.readers(builder)} as the summary"
    return "it is over; nobody was told of it, so nobody hears that"


def closes(command: Command) -> bool:
    """Tell whether a command ends an incident."""
    return command.name in _CLOSES or (command.name == "status" and command.value.strip().casefold() in ("resolved", "closed"))


# -- requests beside it ---------------------------------------------------------------------------------------------


def touching(house: House, organisation: Organisation | None, queue: str, now: datetime) -> list[Ticket]:
    """Return the incidents, and the work under way, that affect a request of `organisation` in `queue`."""
    found = []
    for one in house.incidents:
        what = about.about(one.fields)
        begun = what and (what.kind is Kind.INCIDENT or what.stage in (Stage.UNDER_WAY, Stage.OVERRUN)
                          or (what.starts_at is not None and what.starts_at <= now))  # fmt: skip
        if what and begun and affected.covers(what.affects, organisation, queue, house.directory):
            found.append(one)
    return found


def attach(builder: Builder, number: int, actor: int = 0) -> bool:
    """Link a request with an incident, once. Tells whether it is new."""
    linked = list(builder.ticket.fields.get(about.INCIDENTS) or ())
    if number in linked:
        return False
    builder.links.append(("incident", number))
    builder.note(about.INCIDENTS, [*linked, number])
    builder.add(EventKind.LINKED, actor=actor, facts={"kind": "incident", "number": number})
    return True


def beside(builder: Builder, spec: str) -> tuple[str, ...]:
    """Link a request that opens with what affects its requestor; return what staff must know of that.

    A registered contact is told of it in his acknowledgement; whoever else writes from a customer's domain is not.
    """
    directory = builder.house.directory
    found = touching(builder.house, directory.organisation_of(spec), builder.ticket.queue, builder.now)
    flags = []
    for one in found:
        attach(builder, one.number)
        flags.append(f"Linked: {(about.about(one.fields) or _NONE).kind} #{one.number}, {one.subject}.")
    told = [one for one in found if one.answered or (about.about(one.fields) or _NONE).kind is Kind.MAINTENANCE]
    if directory.is_contact(spec):
        builder.told_of = tuple({"title": one.subject, "since": one.opened_at} for one in told)
    return tuple(flags)


_NONE = About(Kind.INCIDENT, ())


def _a(kind: Kind) -> str:
    return "an incident" if kind is Kind.INCIDENT else "a maintenance"

