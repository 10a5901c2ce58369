"""Priorities with consent: staff set one, the requestor hears what it means, and agrees, disagrees or asks for another.

`ticket.priority_state` says how it stands: `proposed` by staff, `suggested` by the customer where the policy lets his word set
it, `agreed` or `disputed`. What he asked for and did not get stands in the field `asked_priority`. He says so by a link, or by
the first line of his mail (`agree`, `disagree`, `Priority: 1`); a suggestion may also be a header of his mail client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rtmail.desk import audience
from rtmail.desk.commanded import muting
from rtmail.desk.decision import Builder, Words
from rtmail.desk.judging import thanks
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.promised import agreed, appeals, closing
from rtmail.desk.stimulus import Question, Received
from rtmail.desk.ticket import ASKED_PRIORITY, Event, EventKind, Role, Status
from rtmail.mail.model import Kind, Mail
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility
from rtmail.policy import signals
from rtmail.policy.model import Policy, Priority


class State(StrEnum):
    """How a priority stands between staff and requestor."""

    SUGGESTED = "suggested"
    PROPOSED = "proposed"
    AGREED = "agreed"
    DISPUTED = "disputed"


_LINKS = (Link("agree", Action.AGREE), Link("disagree", Action.DISAGREE))
_SAID = {
    "approve": Action.APPROVE,
    **dict.fromkeys(("agree", "i agree", "agreed", "einverstanden", "згоден", "згодна"), Action.AGREE),
    **dict.fromkeys(("appeal", "i appeal", "einspruch", "оскаржую", "оскарження"), Action.APPEAL),
    **dict.fromkeys(("disagree", "i disagree", "nicht einverstanden", "не згоден", "не згодна"), Action.DISAGREE),
}
"""Lines that stand for a link. Approving has one word only, but for a bare yes to the question (`affirmed`): whatever else is said of a
solution is answered by a person."""
_URGENT = frozenset({"1", "2", "high", "highest", "urgent"})
_CALM = frozenset({"4", "5", "low", "lowest", "non-urgent"})
_HEADERS = ("x-priority", "importance", "x-msmail-priority", "priority")


# -- what a customer says -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """The first line of a customer's mail, where it says something for rtmail: the action, and the words below it."""

    action: Action | None = None
    words: str = ""


def said(mail: Mail) -> Said:
    """Return what the first line of the new words says."""
    first, _, rest = mail.reply_text.strip().partition("\n")
    action = _SAID.get(re.sub(r"[\s*_`]+", " ", first).strip(" .!").casefold())
    return Said(action, rest.strip()) if action and mail.kind is Kind.REQUEST_OR_REPLY else Said()


def find(policy: Policy, named: str) -> Priority | None:
    """Return the priority of this name, number ("2" for P2) or code, None when there is none."""
    wanted = named.strip().casefold()
    for matches in (
        lambda one: one.key.casefold() == wanted,
        lambda one: one.key.casefold() == f"p{wanted}",
        lambda one: str(one.code) == wanted,
    ):
        found = next((one for one in policy.priorities.values() if matches(one)), None)
        if found:
            return found
    return None


@dataclass(frozen=True, slots=True)
class Wish:
    """The priority that a mail asks for: as written, what it comes to (None: nothing that is known), and whether he may name it."""

    written: str
    priority: Priority | None
    allowed: bool


def wish(policy: Policy, stimulus: Received, *, headers: bool) -> Wish | None:
    """Return the wish of a mail: a line `Priority: 1` at its top, else with `headers` what its client marked it with."""
    line = next((command.value for command in stimulus.parsed.commands if command.name == "priority"), "")
    if line:
        found = find(policy, line) or _by_mood(policy, line)
        return Wish(line, found, found is not None and found.key in policy.suggest.allow)
    if headers and policy.suggest.headers:
        for name in _HEADERS:
            for value in stimulus.mail.headers.get(name, ()):
                found = _by_mood(policy, value)
                if found:
                    return Wish(f"{name}: {value}", found, True)
    return None


def _by_mood(policy: Policy, value: str) -> Priority | None:
    """What "high" and "low" mean among the priorities that a customer may name, the most urgent one and the least."""
    allowed = [one for one in policy.priorities.values() if one.key in policy.suggest.allow]
    mood = re.split(r"[\s(;]", value.strip().casefold(), maxsplit=1)[0]
    if mood in _URGENT and allowed:
        return allowed[0]
    return allowed[-1] if mood in _CALM and len(allowed) > 1 else None


def lone_word(builder: Builder, stimulus: Received, person: int) -> Action | None:
    """Return the action of a requestor's mail that is nothing but one word for it, where it means something now; else None."""
    line = said(stimulus.mail)
    if line.action is None or not is_requestor(builder, person) or stimulus.mail.attachments:
        return None
    if line.words and not _is_thanks(builder, stimulus, line.words):
        return None
    sensible = builder.ticket.status is Status.RESOLVED if line.action is Action.APPROVE else bool(builder.ticket.priority)
    return line.action if sensible else None


def affirmed(builder: Builder, stimulus: Received, person: int) -> Action | None:
    """Return the approval that a bare yes is, from the requestor, to a mail that asks nothing but whether it is solved; else None."""
    asked = stimulus.question is Question.ALONE and builder.ticket.status is Status.RESOLVED and is_requestor(builder, person)
    return Action.APPROVE if asked and says_yes(builder, stimulus) else None


def says_yes(builder: Builder, stimulus: Received) -> bool:
    """Tell whether a mail that answers the closing question is a bare yes."""
    names = (*builder.names(), stimulus.verdict.sender.address.name)
    return stimulus.question is not None and thanks.affirms(stimulus.mail, builder.policy.thanks, names)


def _is_thanks(builder: Builder, stimulus: Received, text: str) -> bool:
    names = (*builder.names(), stimulus.verdict.sender.address.name)
    return thanks.read(replace(stimulus.mail, reply_text=text), builder.policy.thanks, names).thanks


# -- what follows from it -------------------------------------------------------------------------------------------


def heard(builder: Builder, stimulus: Received, event: Event, *, trusted: bool) -> tuple[str, ...]:
    """Carry out or note what a customer's mail says of the priority; return what staff must know of it.

    trusted  the requestor himself wrote, and is believed: only then does his word set or dispute anything
    """
    action = said(stimulus.mail).action
    if trusted and action in (Action.AGREE, Action.DISAGREE):
        return _agree(builder, event.actor, State.AGREED if action is Action.AGREE else State.DISPUTED)
    if trusted and action is Action.APPEAL and builder.ticket.priority:
        return appeals.made(builder, stimulus, event, _agree(builder, event.actor, State.DISPUTED))
    return _wished(builder, stimulus, event, trusted=trusted)


def _wished(builder: Builder, stimulus: Received, event: Event, *, trusted: bool) -> tuple[str, ...]:
    asked = wish(builder.policy, stimulus, headers=not builder.ticket.priority)
    return wants(builder, asked, event, trusted=trusted) if asked else ()


def wants(builder: Builder, asked: Wish, event: Event, *, trusted: bool = True) -> tuple[str, ...]:
    """Carry out or note a wish of the mail that is `event`; return what staff must know of it."""
    policy, ticket = builder.policy, builder.ticket
    wanted = asked.priority
    if wanted is None:
        return (f"Asks for the priority {asked.written!r}, which there is not.",)
    meaning = f"{wanted.key} ({wanted.meaning})" if wanted.meaning else wanted.key
    cure = f"`Priority: {wanted.key}` sets it."
    if not trusted:
        return (f"Asks for the priority {meaning}; nothing was changed. {cure}",)
    if wanted.key == ticket.priority:
        return () if ticket.priority_state == State.SUGGESTED else _agree(builder, event.actor, State.AGREED)
    if not asked.allowed:
        _note(builder, wanted.key)
        _agree(builder, event.actor, State.DISPUTED)
        return (f"Asks for the priority {meaning}, which the policy lets no customer choose. {cure}",)
    if policy.suggest.sets:
        old = ticket.priority
        _set(builder, wanted, State.SUGGESTED, actor=event.actor, by_staff=False)
        return (f"Set the priority to {meaning}{f', it was {old}' if old else ''}. Please confirm it: `Priority: {wanted.key}`.",)
    _note(builder, wanted.key)
    _agree(builder, event.actor, State.DISPUTED)
    return (f"Asks for the priority {meaning}{f' instead of {ticket.priority}' if ticket.priority else ''}. {cure}",)


def act(builder: Builder, action: Action, person: int, words: Words, stimulus: Received) -> None:
    """What a participant's link, or the word that stands for it, does: approve, reopen, agree, disagree, mute, unmute.

    Only the requestor approves or agrees. Words beside it are shown to staff, who may think otherwise of it.
    """
    ticket, mine = builder.ticket, is_requestor(builder, person)
    event = builder.add(
        EventKind.COMMAND,
        visibility=Visibility.PUBLIC,
        actor=person,
        facts={"action": action.name.lower()},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    flags: tuple[str, ...] = ()
    links: Sequence[Link] = ()
    changed = ("", "", "")
    # What we took his words for is shown to staff, with the way back.
    telling = _more(builder, stimulus, action) or (action is Action.APPROVE and says_yes(builder, stimulus))
    if action is Action.APPROVE and mine:
        done = closing.approve(builder, person)
        flags = ("Says that it is solved; the request is closed." if done else f"Says that it is solved; the request is {ticket.status}.",)
        links = closing.REOPEN if done else ()
        telling = telling or (not done and ticket.status is not Status.CLOSED)
    elif action is Action.REOPEN and ticket.status in (Status.RESOLVED, Status.CLOSED):
        signal = signals.Refused if ticket.status is Status.RESOLVED else signals.ReopenedAfterClosed
        builder.signal(signal(at=builder.said_at, event=event.seq))
        builder.status(Status.OPEN, actor=person, reason="reopened by the requestor")
        changed = ("Status", str(ticket.status), str(builder.ticket.status))
        flags = ("Says that it is not solved; the request is open again.",)
    elif action in (Action.AGREE, Action.DISAGREE) and mine and ticket.priority:
        new = State.AGREED if action is Action.AGREE else State.DISPUTED
        flags = _agree(builder, person, new)
        changed = ("Priority", f"{ticket.priority} ({ticket.priority_state})", f"{ticket.priority} ({new})") if flags else changed
    elif action is Action.APPEAL and mine and ticket.priority:
        flags, telling = appeals.made(builder, stimulus, event, _agree(builder, person, State.DISPUTED)), True
    elif action in (Action.MUTE, Action.UNMUTE) and muting.may(builder, person):
        muting.by_participant(builder, person, action)
        return
    if telling:
        audience.to_staff(
            builder,
            event,
            "notice",
            who=audience.named(next((one for one in ticket.participants if one.person == person), None)),
            author=stimulus.verdict.sender.address.name or stimulus.verdict.sender.address.spec,
            text=words.reply_text,
            people=builder.staff(),
            attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
            flags=flags or (f"Came by the link `{action.name.lower()}`, which changed nothing.",),
            links=(*audience.STAFF_LINKS, *links),
        )
    elif changed[0]:
        audience.tell_state(builder, event, person, *changed)


def _more(builder: Builder, stimulus: Received, action: Action) -> bool:
    """Whether the mail holds more than its action: words that staff should read."""
    line = said(stimulus.mail)
    text = line.words if line.action is action else stimulus.mail.reply_text.strip()
    return bool(stimulus.mail.attachments) or not (text.casefold() in ("", action.name.lower()) or _is_thanks(builder, stimulus, text))


# -- what staff do --------------------------------------------------------------------------------------------------


def propose(builder: Builder, target: Priority, actor: int, reason: str = "") -> str:
    """Staff set or confirm a priority; the requestor hears of it unless it stood so before. Returns what happened, in words.

    reason  why, as he is told; a priority that he chose or agreed to is not changed without one where he can appeal
    """
    chosen = builder.ticket.priority_state in (State.SUGGESTED, State.AGREED)
    if builder.policy.appeal and chosen and target.key != builder.ticket.priority and not reason:
        raise CannotDo(
            f"the customer chose {builder.ticket.priority}; say why it is changed, he is told", f"Reclassify: {target.key}, it works slowly"
        )
    decided = appeals.decides(builder, actor)
    old, state, asked = builder.ticket.priority, builder.ticket.priority_state, builder.ticket.fields.get(ASKED_PRIORITY)
    if target.key == old:
        new = State.AGREED if state == State.SUGGESTED else State(state or State.PROPOSED)
    else:
        new = State.AGREED if asked == target.key else State.PROPOSED
    event = _set(builder, target, new, actor=actor, by_staff=True)
    if decided:
        builder.signal(signals.AppealDecided(at=builder.now, event=event.seq))
    if target.key == old and state != State.SUGGESTED and not decided:
        return f"{target.key} is confirmed"
    _tell(builder, event, target, reason, decided=decided)
    meaning = f": {target.meaning}" if target.meaning else ""
    return f"the priority is {target.key}{meaning}; the requestor is told{', who asked for it' if new is State.AGREED else ''}"


def appealed(builder: Builder, reason: str, person: Person) -> str:
    """Staff note an appeal that came on the telephone, say: the requestor's, as if he had written it. Raises CannotDo."""
    outcome = appeals.reported(builder, reason, person)
    _agree(builder, person.party, State.DISPUTED)
    return outcome


def _tell(builder: Builder, event: Event, target: Priority, reason: str, *, decided: bool) -> None:
    """The requestor hears what priority his request has and what that means, and may agree or not."""
    first = next((clock.due_at for clock in builder.ticket.clocks if clock.name == "first-response" and clock.running), None)
    facts = {
        "priority": target.key,
        "meaning": target.meaning,
        "first_by": first,
        "agreed": builder.ticket.priority_state == State.AGREED,
        "reason": reason,
        "decided": decided,
        "appeal": builder.policy.appeal is not None and not decided,
        **agreed.spoken(builder.facts().cadence or target.update_every),
    }
    links = (*_LINKS, Link("appeal", Action.APPEAL)) if facts["appeal"] else _LINKS
    audience.to_requestor(builder, event, "priority-told", facts=facts, links=links)


def _set(builder: Builder, target: Priority, state: State, *, actor: int, by_staff: bool) -> Event:
    facts = builder.facts()
    event = builder.add(
        EventKind.PRIORITY,
        visibility=Visibility.PUBLIC,
        actor=actor,
        facts={"old": builder.ticket.priority, "new": target.key, "state": str(state), "by_staff": by_staff},
    )
    signal = signals.Prioritised(at=builder.now, priority=target.key, by_staff=by_staff, event=event.seq, since=builder.said_at)
    builder.signal(signal, facts)
    if builder.ticket.fields.get(ASKED_PRIORITY) == target.key:
        builder.note(ASKED_PRIORITY, None)
    return event


def suggested(builder: Builder, target: Priority, actor: int) -> None:
    """The customer's own word, or his mail by the policy's rules, gives the request a priority; staff confirm or change it."""
    _set(builder, target, State.SUGGESTED, actor=actor, by_staff=False)


def _agree(builder: Builder, person: int, new: State) -> tuple[str, ...]:
    """The requestor agrees with the priority as it is, or does not; return what staff must know of that."""
    ticket = builder.ticket
    if not ticket.priority or ticket.priority_state == new:
        return ()
    builder.add(
        EventKind.PRIORITY,
        visibility=Visibility.PUBLIC,
        actor=person,
        facts={"old": ticket.priority, "new": ticket.priority, "state": str(new), "by_staff": False},
    )
    if new is State.DISPUTED:
        return (f"Disagrees with the priority {ticket.priority}.",)
    if ticket.fields.get(ASKED_PRIORITY):
        builder.note(ASKED_PRIORITY, None)
    return (f"Agrees with the priority {ticket.priority} now.",) if ticket.priority_state == State.DISPUTED else ()


def _note(builder: Builder, key: str) -> None:
    if builder.ticket.fields.get(ASKED_PRIORITY) != key:
        builder.note(ASKED_PRIORITY, key)


def is_requestor(builder: Builder, person: int) -> bool:
    """Tell whether this person asked for the request."""
    return any(one.person == person for one in builder.ticket.people(Role.REQUESTOR)) and person != 0
