"""What customers and staff fill in, kept on the request: what a mail says of its fields, what is missing, what follows from it.

`desk.forms` reads; here it is decided whose word counts. A value is somebody's words: it stands beside its event, as a subject does,
and is erased with it. Who proves nothing changes nothing, and an echo of what a customer said before does not undo what staff corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rtmail.desk import audience
from rtmail.desk.decision import Builder, Words
from rtmail.desk.fields import filled
from rtmail.desk.grammar import forms
from rtmail.desk.grammar.forms import Reading
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.promised import consent
from rtmail.desk.received import private
from rtmail.desk.stimulus import LetGo, Received
from rtmail.desk.ticket import PREPARED_MARK, Event, EventKind
from rtmail.mail.writing.draft import Auto, Visibility
from rtmail.policy.fields import By, Field, FieldKind, Value

MOST_ASKED = 3
"""So many mails ask for what is missing, the acknowledgement among them; then staff do."""


# -- what a mail says --


def heard(builder: Builder, stimulus: Received, event: Event, *, trusted: bool) -> tuple[str, ...]:
    """Keep what a customer's mail fills in; return what staff must know of that.

    trusted  one of the customer's side, believed: else nothing is kept
    """
    known = _of_customer(builder)
    mail, number = stimulus.mail, builder.ticket.number
    # A mail that opens a request answers no form yet: what it quotes is of another conversation.
    history = mail.text if event.kind is not EventKind.OPENED else ""
    readings = forms.read(history, mail.reply_text, known, number)
    if not readings:
        return _told_missing(builder, event)
    if not trusted:
        return ("Fills in the form; nothing of it was noted, since nothing proves who wrote it.",)
    builder.echoes = mail.proof.proven
    changed = [said for one in readings if (said := _taken(builder, known[one.key], one, event.actor, event.seq))]
    wrong = tuple(one for one in readings if one.wrong)
    builder.misread = tuple((one.key, one.said) for one in wrong)
    flags = [*changed, *(f"Not understood: {known[one.key].label('en')}: {filled.short(one.said)}" for one in wrong)]
    if changed:
        flags += _ruled(builder, stimulus, event)
    return (*flags, *_told_missing(builder, event))


def _of_customer(builder: Builder) -> dict[str, Field]:
    """The fields that customers fill in."""
    return {key: one for key, one in filled.fields_of(builder.policy, builder.ticket).items() if one.by is By.CUSTOMER}


def let_go(builder: Builder, stimulus: LetGo) -> tuple[str, ...]:
    """Keep what words fill in that waited and are there now; return what staff must know of it."""
    if not stimulus.fills_in:
        return ()
    return again(builder, stimulus.whole, stimulus.words.reply_text, actor=stimulus.words.person, of=stimulus.of)


def again(builder: Builder, text: str, new_words: str, *, actor: int, of: int) -> tuple[str, ...]:
    """Keep what words fill in whose mail is not at hand; return what staff must know of it."""
    known = _of_customer(builder)
    readings = forms.read(text, new_words, known, builder.ticket.number)
    return tuple(said for one in readings if (said := _taken(builder, known[one.key], one, actor, of)))


def _taken(builder: Builder, field: Field, reading: Reading, actor: int, of: int) -> str:
    """Keep one value; return it as staff read it, "" where nothing changed."""
    entry = builder.ticket.filled.get(field.key) or {}
    kept = _json(reading.value)
    if kept is None or (reading.quoted and kept == entry.get("said")):
        return ""
    old = filled.value_of(entry["value"]) if entry else ""
    if kept == entry.get("value"):
        return ""
    keep(builder, field, kept, actor=actor, of=of, said=kept)
    was = f" (was: {filled.short(field.say(old, 'en'))})" if old else ""
    return f"{field.label('en')}: {filled.short(field.say(reading.value or '', 'en'))}{was}"


def _json(value: Value | None) -> Any:
    return list(value) if isinstance(value, tuple) else value


def keep(builder: Builder, field: Field, kept: Any, *, actor: int, of: int = 0, said: Any = None) -> None:
    """Note what a field holds from now on, None for nothing; `of` is the event whose words say so, `said` the customer's own word."""
    text = "" if kept is None else ", ".join(kept) if isinstance(kept, list) else str(kept)
    event = builder.add(
        EventKind.FIELD,
        visibility=Visibility.PUBLIC if field.public else Visibility.INTERNAL,
        actor=actor,
        facts={"name": f"{filled.PREFIX}{field.key}", "value": kept is not None, "label": field.label("en"), "of": of},
        words=Words("", text, text, 0, 0, actor),
    )
    left = {key: entry for key, entry in builder.ticket.filled.items() if key != field.key}
    before = builder.ticket.filled.get(field.key) or {}
    if kept is not None:
        left[field.key] = {"value": kept, "seq": event.seq, "said": before.get("said") if said is None else said}
    builder.ticket = replace(builder.ticket, filled=left)


def _ruled(builder: Builder, stimulus: Received, event: Event) -> tuple[str, ...]:
    """Carry out the policy's rules for what is filled in now; a priority is the customer's wish, and goes as far as his own word."""
    held = filled.values(builder.ticket)
    flags: list[str] = []
    for rule in builder.policy.rules:
        if not rule.when.holds(held):
            continue
        if rule.mark and builder.ticket.fields.get(PREPARED_MARK) != rule.mark:
            builder.note(PREPARED_MARK, rule.mark)
        if rule.priority:
            target = builder.policy.priorities[rule.priority]
            allowed = target.key in builder.policy.suggest.allow
            flags += consent.wants(builder, consent.Wish(target.key, target, allowed), event)
            break
    return tuple(flags)


def _told_missing(builder: Builder, event: Event) -> tuple[str, ...]:
    lacks = filled.missing(builder.policy, builder.ticket)
    return (f"Missing in the form: {', '.join(one.label('en') for one in lacks)}.",) if lacks and event.kind is EventKind.OPENED else ()


# -- what staff say --


def ask_again(builder: Builder, stimulus: Received, event: Event) -> None:
    """Answer a customer who filled in a part, or something that cannot be: what was understood, and a form of what is left."""
    filled_in = any(one.event.facts.get("of") == event.seq for one in builder.entries if one.event.kind is EventKind.FIELD)
    times = int(builder.ticket.fields.get(filled.ASKED_TIMES) or 0)
    lacks = filled.missing(builder.policy, builder.ticket)
    if not (builder.misread or (filled_in and lacks)) or times >= MOST_ASKED or not private.may_tell(stimulus):
        return
    builder.note(filled.ASKED_TIMES, times + 1)
    told = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "form"})
    audience.to_requestor(builder, told, "form", facts=audience.form_facts(builder), auto=Auto.REPLIED)


def put_back(builder: Builder, deed: Sequence[Any], former: str, person: Person) -> str:
    """Give a field the value back that a command put away: (field, event of the old value, of the new); `former` is what it held."""
    key, _, new = deed
    field = builder.policy.fields.get(str(key))
    if field is None or (builder.ticket.filled.get(field.key) or {}).get("seq", 0) != new:
        raise CannotDo(f"{field.label('en') if field else key} changed since")
    several = field.kind is FieldKind.CHOICES
    kept = None if not former else former.split(", ") if several else former
    keep(builder, field, kept, actor=person.party)
    return f"the field {field.label('en')} is {filled.short(former)} again" if former else f"the field {field.label('en')} is empty again"


def by_staff(builder: Builder, written: str, value: str, person: Person) -> str:
    """Fill in a field, or take its value away with "-". Raises CannotDo."""
    known = filled.fields_of(builder.policy, builder.ticket)
    field = filled.named(known, written)
    if field is None:
        names = ", ".join(one.label("en") for one in known.values()) or "none"
        raise CannotDo(f"there is no field {written}; there are {names}")
    reading = forms.one(field, value)
    if reading.wrong:
        choices = ", ".join(field.choices)
        raise CannotDo(f"the field {field.label('en')} is one of: {choices}", f"{field.label('en')}: {field.choices[0]}")
    if field.public and (leak := builder.house.leaks(value)):
        raise CannotDo(f"it is for the customer to read, and it holds something internal ({leak})")
    kept = None if reading.taken_away else _json(reading.value)
    if kept == (builder.ticket.filled.get(field.key) or {}).get("value"):
        return "it says so already"
    keep(builder, field, kept, actor=person.party)
    if not reading.value:
        return f"the field {field.label('en')} is empty"
    return f"the field {field.label('en')} is {filled.short(field.say(reading.value, 'en'))}"
