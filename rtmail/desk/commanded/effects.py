"""What each command does: a table from its name to the function that carries it out on a builder.

Rights and the strength of the proof are looked at here, when the command is processed, never when it was offered. Every
command yields one line of the receipt: done, or why not and what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from rtmail.desk import audience, notes
from rtmail.desk.commanded import accepting, bugs, company, merging, ownership, paperwork, prepared, tiers, undoing
from rtmail.desk.commanded.errands import ERRANDS, Errand
from rtmail.desk.decision import Builder, Spawn, Words
from rtmail.desk.fields import filled, filling
from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.grammar.commands import BY_NAME, Command, Parsed, Spec
from rtmail.desk.known import Known
from rtmail.desk.outages import about, incidents, maintenance
from rtmail.desk.outcome import ANSWERED, CannotDo, Result, done, refused
from rtmail.desk.people import PRIVACY, Person, serves
from rtmail.desk.promised import agreed, awaiting, closing, consent, urgency, waits
from rtmail.desk.received import private, standing
from rtmail.desk.stimulus import Commanded
from rtmail.desk.ticket import SOLVED, EventKind, Role, Status, legal
from rtmail.desk.wording import NOTHING_SAID, Said, unsayable
from rtmail.mail.token import Action
from rtmail.policy import signals


@dataclass(slots=True)
class Run:
    """One mail's commands being carried out by `person`; `strong` tells whether destructive words may act.

    said  what was said among staff, which no command may show to the customer
    """

    builder: Builder
    person: Person
    strong: bool
    parties: Mapping[str, int] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    emergency: bool = False
    """A line of the mail says that planned work cannot wait for its notice."""
    said: Said = NOTHING_SAID

    @property
    def zone(self) -> ZoneInfo:
        return self.builder.zone

    def me(self) -> Person:
        """The staff member himself; somebody at the shell is nobody whom mail could reach."""
        if not self.person.party:
            raise CannotDo("this needs a member of staff; name one", f"Owner: {next(iter(self.builder.house.directory.people), 'jane')}")
        return self.person


def run(running: Run, parsed: Parsed) -> list[Result]:
    """Carry out all commands of a mail, what fills in fields first, since others may need it; returns the receipt's lines in order."""
    named = {command.name for command in parsed.commands}
    running.emergency = "emergency" in named and bool(named & {"starts", "ends"})
    turns = sorted(enumerate(parsed.commands), key=lambda turn: turn[1].name != "field")
    results = {at: _one(running, command) for at, command in turns}
    return [results[at] for at in sorted(results)] + [refused(one.line, one.why, one.suggestion) for one in parsed.unclear]


def in_turn(parsed: Parsed) -> tuple[Parsed, Parsed]:
    """Return what of a mail runs before its words go out (who gets them), and after: what counts from the answer, or ends it."""
    first = tuple(one for one in parsed.commands if one.name not in AFTER_WORDS)
    then = tuple(one for one in parsed.commands if one.name in AFTER_WORDS)
    return replace(parsed, commands=first, unclear=()), replace(parsed, commands=then)


def as_written(results: Sequence[Result], commands: Sequence[Command]) -> list[Result]:
    """Return the results in the order of their commands' lines; those of unclear lines, which stand behind them, stay there."""
    done_first = sorted(range(min(len(results), len(commands))), key=lambda at: commands[at].lineno)
    return [*(results[at] for at in done_first), *results[len(commands) :]]


def act(running: Run, action: Action, parsed: Parsed) -> list[Result]:
    """Carry out the action of a signed address, then the commands that were written beside it."""
    if action is Action.CONFIRM_FORWARD:
        results = [_confirm_forward(running.builder)]
    elif action not in ACTIONS:
        results = [refused(action.name.lower(), "there is nothing of the kind to do on this request")]
    else:
        name, value = ACTIONS[action]
        value = str(running.builder.ticket.number) if name == "show" else value
        written = [command for command in parsed.commands if command.name == name]
        command = written[0] if written else Command(name, value, action.name.lower(), 0)
        results = [_one(running, command)]
        parsed = Parsed(tuple(one for one in parsed.commands if one not in written), parsed.words, parsed.unclear)
    return results + run(running, parsed)


def commanded(builder: Builder, stimulus: Commanded) -> None:
    """Commands without a mail: from the shell, or confirmed later."""
    running = Run(builder, stimulus.person, stimulus.strong, stimulus.parties, stimulus.known, said=stimulus.said)
    builder.results.extend(run(running, stimulus.parsed))
    closing.looked(builder, builder.now)
    awaiting.looked(builder)
    if stimulus.shell_user:
        builder.add(
            EventKind.COMMAND,
            facts={"shell_user": stimulus.shell_user, "results": [{"line": r["line"], "done": r["done"]} for r in builder.results]},
        )


def split(builder: Builder, seq: int, *, reason: str, actor: int = 0) -> None:
    """Words from outside become their own request."""
    waiting = dict(builder.ticket.fields.get("outside") or {})
    waiting.pop(str(seq), None)
    builder.note("outside", waiting)
    builder.add(EventKind.FIELD, actor=actor, facts={"name": f"split:{seq}", "value": reason})
    builder.spawns.append(Spawn(seq, "split", reason))


def _one(running: Run, command: Command) -> Result:
    spec = BY_NAME[command.name]
    line = command.line.strip()
    effect = EFFECTS.get(command.name)
    if effect is None:
        return refused(line, "this word does nothing on a request")
    if spec.rights and not spec.rights & running.person.rights:
        return refused(line, f"your rights do not include it: it needs {' or '.join(sorted(spec.rights))}")
    if spec.rights and command.name != "undo" and not _serves(running, spec):
        return refused(line, f"you do not work in the queue {running.builder.before.queue}")
    if spec.destructive and not running.strong:
        return refused(line, "this cannot be undone by everybody, so it needs a mail whose sender is proven by DMARC, or SMTP AUTH")
    builder = running.builder
    if why := unsayable(_public(running, command), builder.house.site, builder.house.directory.parties(), running.said):
        return refused(line, why)
    before, first = builder.ticket, len(builder.entries)
    try:
        incidents.guard(builder, command.name)
        outcome = effect(running, command.value)
    except CannotDo as cannot:
        return refused(line, cannot.why, cannot.instead)
    except ArgumentError as error:
        return refused(line, error.what, error.cure)
    if command.name in undoing.BY_DIFFERENCE:
        deed = undoing.changed(command.name, before, builder.ticket, builder.entries[first:])
        undoing.remember(builder, running.person.party, command.name, deed)
    elif command.name in undoing.FINAL and outcome != ANSWERED:
        undoing.remember(builder, running.person.party, command.name, {})
    return done(line, outcome)


def _public(running: Run, command: Command) -> str:
    """What of a command the customer reads, "" for nothing."""
    if command.name == "field":
        name, _, value = command.value.partition(":")
        known = filled.named(filled.fields_of(running.builder.policy, running.builder.ticket), name.strip())
        return value if known and known.public else ""
    spec = BY_NAME[command.name]
    if spec.argument is arguments.Argument.ADDRESSES and not arguments.problem(spec.argument, command.value):
        # Everybody who takes part reads the names of the others.
        return "\n".join(one.name for one in arguments.addresses(command.value))
    return command.value if spec.shown else ""


def _serves(running: Run, spec: Spec) -> bool:
    """Tell whether the person works in the queue in which the request was when he wrote; the shell works everywhere."""
    if spec.rights == {PRIVACY}:
        return serves(running.person, running.builder.before.queue)
    return not running.person.party or running.builder.house.directory.may_answer(running.person, running.builder.before.queue)


def _status(running: Run, value: str) -> str:
    return _to_status(running, arguments.status(value))


def _to_status(running: Run, new: Status, reason: str = "") -> str:
    builder = running.builder
    if about.about(builder.ticket.fields):
        if new in (Status.RESOLVED, Status.CLOSED):
            return incidents.close(builder, running.person)
        if new is Status.WAITING:
            raise CannotDo("an incident waits for no customer")
    old = builder.ticket.status
    if old is new:
        return f"it was {new} already"
    if not legal(old, new):
        raise CannotDo(f"a request that is {old} cannot become {new}")
    needing = {Status.RESOLVED: "resolve", Status.CLOSED: "close" if old not in SOLVED else ""}.get(new, "")
    filled.require(needing, builder.policy, builder.ticket)
    if new in (Status.REJECTED,):
        builder.signal(signals.Ended(at=builder.now, how=str(new), event=builder.ticket.events + 1))
    builder.status(new, actor=running.person.party, reason=reason)
    if new is Status.RESOLVED:
        closing.ask(builder)
    return f"request #{builder.ticket.number} is {new}"


def _owner(running: Run, value: str) -> str:
    directory = running.builder.house.directory
    wanted = value.strip().lower()
    if wanted in ("nobody", "none", "-"):
        return _untake(running, "")
    if wanted == "me":
        return _take(running, "")
    person = company.colleague(directory, value, "Owner")
    if not directory.may_answer(person, running.builder.ticket.queue):
        raise CannotDo(f"{person.name} does not work in the queue {running.builder.ticket.queue}")
    if not ownership.give(running.builder, person, running.person):
        return f"{person.name} owned it already"
    if person.key in running.builder.house.missing(running.builder.now):
        return f"{person.name} owns it now, and is told, but is away: the whole queue has its mails too"
    return f"{person.name} owns it now, and is told"


def _take(running: Run, _: str) -> str:
    me = running.me()
    old = audience.owner_name(running.builder)
    if not ownership.give(running.builder, me, me):
        return "it was yours already"
    return f"it is yours now{f', it was {old}´s' if old else ''}"


def _untake(running: Run, _: str) -> str:
    if not ownership.give(running.builder, None, running.person):
        return "nobody owned it already"
    return "nobody owns it now"


def _priority(running: Run, value: str) -> str:
    builder = running.builder
    if incidents.is_incident(builder):
        return incidents.severity(builder, value, running.person)
    target = consent.find(builder.policy, value)
    if target is None:
        known = builder.policy.priorities
        raise CannotDo(f"there is no priority {value.strip()}; there are {', '.join(known)}", f"Priority: {next(iter(known))}")
    return consent.propose(builder, target, running.person.party)


def _reclassify(running: Run, value: str) -> str:
    builder = running.builder
    named, _, reason = value.strip().partition(" ")
    named = named.rstrip(":,;")
    target, reason = consent.find(builder.policy, named), reason.strip(" :-")
    if target is None:
        known = builder.policy.priorities
        raise CannotDo(f"there is no priority {named}; there are {', '.join(known)}", f"Reclassify: {next(iter(known))}, it stops all work")
    if not reason:
        raise CannotDo("say why: the customer is told", f"Reclassify: {target.key}, it works slowly")
    return consent.propose(builder, target, running.person.party, reason)


def _field(running: Run, value: str) -> str:
    name, colon, said = value.partition(":")
    if not colon or not said.strip():
        raise CannotDo("say which field, and what it holds", "field: Version: 4.2")
    return filling.by_staff(running.builder, name.strip(), said, running.person)


def _moved(name: str) -> Callable[[Run, str], str]:
    """Another start or end of a maintenance; beside `Emergency:` without the usual notice."""

    def effect(running: Run, value: str) -> str:
        return maintenance.move(running.builder, name, value, running.person, running.zone, emergency=running.emergency)

    return effect


def _emergency(running: Run, _: str) -> str:
    if not running.emergency:
        raise CannotDo("this stands beside Starts: or Ends:, in a fresh mail or on a maintenance", "Emergency: yes")
    return "without the usual notice"


def _subject(running: Run, value: str) -> str:
    # The old one stays beside the event, where erasing finds it and undoing too.
    old = running.builder.ticket.subject
    running.builder.add(EventKind.SUBJECT, actor=running.person.party, words=Words(value, old, old, 0, 0, running.person.party))
    running.builder.rename(value)
    return "the subject is changed"


def _watcher(joins: bool) -> Callable[[Run, str], str]:
    def effect(running: Run, value: str) -> str:
        watcher = company.colleague(running.builder.house.directory, value, "AddAdminCc" if joins else "DelAdminCc")
        return company.watch(running.builder, watcher, running.person, joins=joins)

    return effect


def _cadence(running: Run, value: str) -> str:
    return agreed.cadence(running.builder, value, running.person.party)


def _next(running: Run, value: str) -> str:
    return agreed.next_word(running.builder, value, running.person.party, running.zone)


def _eta(running: Run, value: str) -> str:
    return agreed.eta(running.builder, value, running.person.party, running.zone)


def _reopen(running: Run, _: str) -> str:
    builder = running.builder
    old, facts = builder.ticket.status, builder.facts()
    if old in (Status.CLOSED, Status.REJECTED):
        builder.signal(signals.ReopenedAfterClosed(at=builder.said_at, by_customer=False, event=builder.ticket.events + 1), facts)
    return _to_status(running, Status.OPEN)


def _split(running: Run, _: str) -> str:
    waiting = running.builder.ticket.fields.get("outside") or {}
    if not waiting:
        raise CannotDo("no words from outside wait on this request")
    split(running.builder, max(map(int, waiting)), reason="split by staff", actor=running.person.party)
    return "the words from outside are a request of their own"


def _spam(running: Run, _: str) -> str:
    builder = running.builder
    builder.signal(signals.Ended(at=builder.now, how="spam", event=builder.ticket.events + 1))
    builder.status(Status.REJECTED, actor=running.person.party, reason="spam")
    requestor, directory = builder.ticket.addressee, builder.house.directory
    if requestor is None:
        return "closed silently as junk"
    if directory.staff(requestor.address) or directory.organisation_of(requestor.address):
        return f"closed silently as junk; {requestor.address} is known here, so his mail goes on opening requests"
    builder.junkers.append((requestor.person, True))
    return f"closed silently as junk; mail of {requestor.address} is junk from now on"


def _ack(running: Run, value: str) -> str:
    builder, me = running.builder, running.me()
    until = None
    if value:
        until = _until(running, value)
    role = next(iter(_told_roles(builder, me)), "")
    if not role:
        raise CannotDo("only who was told up the ladder acknowledges")
    builder.signal(signals.ManagerAcked(at=builder.said_at, role=role, until=until, event=builder.ticket.events))
    builder.add(EventKind.FIELD, actor=me.party, facts={"name": f"acked:{role}", "value": builder.now.isoformat()})
    return "acknowledged: no more reminders" + (f" until {notes.shown_near(until, running.zone)}" if until else "")


def _snooze(running: Run, value: str) -> str:
    builder, me = running.builder, running.me()
    until = _until(running, value)
    told = _told_roles(builder, me)
    for who in (*told, "owner") if builder.ticket.owner == me.party else told or ("owner",):
        builder.signal(signals.Snoozed(at=builder.now, who=who, until=until, event=builder.ticket.events))
    return f"no reminder before {notes.shown_near(until, running.zone)}"


def _until(running: Run, value: str) -> datetime:
    try:
        return arguments.length(value).after(running.builder.said_at, running.builder.policy.hours("always"))
    except ArgumentError:
        return arguments.until(value, running.builder.now, running.zone)


def _told_roles(builder: Builder, person: Person) -> tuple[str, ...]:
    """The roles of a person, or whose deputy he is, that were told of this request; he himself, where the policy tells him by name."""
    told = {role for clock in builder.ticket.clocks for role, _ in clock.told}
    roles = builder.house.directory.roles
    held = tuple(role.key for role in roles.values() if role.key in told and person.key in (role.person, role.deputy))
    return held + ((person.key,) if person.key in told and person.key not in roles else ())


def _comment(running: Run, _: str) -> str:
    return "the words below stay among staff"


def _merge(running: Run, value: str) -> str:
    told, deed = merging.merge(running.builder, arguments.number(value), running.person, running.known)
    undoing.remember(running.builder.further[-1], running.person.party, "merge", deed)
    return told


def _same(running: Run, value: str) -> str:
    number = arguments.number(value) if value else 0
    told, deed = merging.same(running.builder, number, running.person, running.known)
    undoing.remember(running.builder.further[-1], running.person.party, "same", deed)
    return told


def _undo(running: Run, _: str) -> str:
    builder, me = running.builder, running.me()
    deed = undoing.check(builder, me)
    if "merged" in deed:
        told = merging.part(builder, me, deed, running.known)
    else:
        told = undoing.put_back(builder, me, deed, running.known.subject, running.known.filled)
    undoing.forget(builder, me.party)
    return f"{deed['name']} is taken back: {told}"


def _errand(name: str) -> Callable[[Run, str], str]:
    """A command that needs no request, written in an answer to one."""

    def effect(running: Run, value: str) -> str:
        builder = running.builder
        errand = Errand(running.me(), builder.house, builder.now, builder.absences, builder.queries)
        return ERRANDS[name](errand, Command(name, value, "", 0))

    return effect


def _fixed(running: Run, value: str) -> str:
    """First what they would read; with a yes it goes out."""
    if not arguments.fixed(value).sure:
        return _errand("fixed")(running, value)
    return bugs.fixed(running.builder, value, running.person, running.known)


def _standing(running: Run, _: str) -> str:
    ticket = running.builder.ticket
    return f"it is {ticket.status}, {audience.owner_name(running.builder) or 'nobody'} owns it, priority {ticket.priority or 'not set yet'}"


def _private(word: str) -> Callable[[Run, str], str]:
    """What becomes of content that somebody with the right to see it decided about."""
    return lambda running, value: private.settle(running.builder, word, value, running.person)


def _confirm_forward(builder: Builder) -> Result:
    acknowledged = builder.ticket.fields.get("acknowledged")
    if acknowledged:
        return refused("tell the requestor", "the requestor was told already")
    builder.note("acknowledged", builder.now.isoformat())
    audience.acknowledge(builder)
    return done("tell the requestor", "the acknowledgement is on its way")


AFTER_WORDS = frozenset(
    {"status", "incident", "maintenance", "resolve", "wait", "close", "reject", "spam", "reopen", "priority", "reclassify", "redirect",
     "fixed", "update-every", "next", "eta", "merge", "undo", "ask"}
)
"""Commands on which the order of signals depends (`policy.signals`): an answer first, then what its author changed."""
EFFECTS: Mapping[str, Callable[[Run, str], str]] = {
    "status": _status,
    "incident": lambda running, value: incidents.link(running.builder, value, running.person),
    "severity": _priority,
    "affects": lambda running, value: incidents.affects(running.builder, value, running.person),
    "maintenance": lambda running, value: maintenance.step(running.builder, value, running.person),
    "emergency": _emergency,
    "starts": _moved("starts"),
    "ends": _moved("ends"),
    "owner": _owner,
    "take": _take,
    "untake": _untake,
    "priority": _priority,
    "reclassify": _reclassify,
    "appeal": lambda running, value: consent.appealed(running.builder, value, running.person),
    "serve": lambda running, _: standing.serve(running.builder),
    "redirect": lambda running, value: prepared.redirect(running.builder, value, running.person),
    "impact": lambda running, value: urgency.noted(running.builder, "impact", value, running.person.party),
    "spread": lambda running, value: urgency.noted(running.builder, "spread", value, running.person.party),
    "field": _field,
    "handover": lambda running, value: tiers.hand_over(running.builder, value, running.me()),
    "ask": lambda running, value: awaiting.ask(running.builder, value, running.person),
    "got": lambda running, value: awaiting.got(running.builder, value, running.person),
    "subject": _subject,
    "addcc": lambda running, value: company.add(running.builder, Role.CC, value, running.person, running.parties),
    "delcc": lambda running, value: company.remove(running.builder, Role.CC, value, running.person),
    "addrequestor": lambda running, value: company.add(running.builder, Role.REQUESTOR, value, running.person, running.parties),
    "delrequestor": lambda running, value: company.remove(running.builder, Role.REQUESTOR, value, running.person),
    "addwatcher": _watcher(True),
    "delwatcher": _watcher(False),
    "watch": lambda running, _: company.watch(running.builder, running.me(), running.me(), joins=True),
    "unwatch": lambda running, _: company.watch(running.builder, running.me(), running.me(), joins=False),
    "update-every": _cadence,
    "next": _next,
    "eta": _eta,
    "resolve": lambda running, _: _to_status(running, Status.RESOLVED),
    "wait": lambda running, value: waits.wait(running.builder, value, running.person.party, running.zone),
    "close": lambda running, _: _to_status(running, Status.CLOSED),
    "reject": lambda running, _: _to_status(running, Status.REJECTED),
    "reopen": _reopen,
    "accept": lambda running, value: accepting.accept(running.builder, value, running.person, running.parties, running.known.people),
    "split": _split,
    "spam": _spam,
    "ack": _ack,
    "snooze": _snooze,
    "mute": lambda running, _: company.mute(running.builder, running.me(), muted=True),
    "unmute": lambda running, _: company.mute(running.builder, running.me(), muted=False),
    "comment": _comment,
    "standing": _standing,
    "queue": lambda running, value: paperwork.move(running.builder, value, running.person),
    "due": lambda running, value: paperwork.due(running.builder, value, running.person, running.zone),
    "time": lambda running, value: paperwork.time(running.builder, value, running.person),
    "bug": lambda running, value: bugs.link(running.builder, value, running.person, running.known),
    "for": lambda running, value: paperwork.for_customer(running.builder, value, running.person, running.parties),
    "merge": _merge,
    "same": _same,
    "problem": lambda running, value: merging.linked(running.builder, "problem", arguments.number(value), running.known, running.person),
    "related": lambda running, value: merging.linked(running.builder, "related", arguments.number(value), running.known, running.person),
    "undo": _undo,
    "release": _private("release"),
    "redact": _private("redact"),
    "erase": _private("erase"),
    **{name: _errand(name) for name in ERRANDS},
    "fixed": _fixed,
}
ACTIONS: Mapping[Action, tuple[str, str]] = {
    Action.TAKE: ("take", ""),
    Action.ACK: ("ack", ""),
    Action.SNOOZE: ("snooze", "2h"),
    Action.REOPEN: ("reopen", ""),
    Action.ACCEPT: ("accept", ""),
    Action.SPLIT: ("split", ""),
    Action.MUTE: ("mute", ""),
    Action.UNMUTE: ("unmute", ""),
    Action.RESOLVE: ("resolve", ""),
    Action.WAIT: ("wait", ""),
    Action.SHOW: ("show", ""),
    Action.UNDO: ("undo", ""),
    Action.SAME: ("same", ""),
    Action.RELEASE: ("release", ""),
    Action.REDACT: ("redact", ""),
    Action.ERASE: ("erase", ""),
}
"""What the action of a signed address stands for."""
