"""Commands that need no request: where somebody is, and what he wants to know.

They run in an answer to a request as well (`effects` takes them over); alone in a mail to us they open no request, and one
mail answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from rtmail.desk import notes
from rtmail.desk.absence import Absence, AbsenceChange, stand_ins
from rtmail.desk.decision import House
from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.grammar.commands import Command, Parsed
from rtmail.desk.grammar.queries import NAMES, Query, query
from rtmail.desk.outcome import ANSWERED, CannotDo, Result, done, refused
from rtmail.desk.people import Person
from rtmail.mail.model import Mail


@dataclass(slots=True)
class Errand:
    """What `person` wants done or to know; what is to follow collects here."""

    person: Person
    house: House
    now: datetime
    absences: list[AbsenceChange] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.house.site.timezone)

    def me(self) -> Person:
        """The member of staff himself; somebody at the shell is nobody whom mail could reach."""
        if not self.person.party:
            raise CannotDo("this is for a member of staff who writes by mail")
        return self.person


def only_errands(parsed: Parsed, mail: Mail) -> bool:
    """Tell whether a mail to us about no request is all commands: nothing in it would be the words of a new request."""
    return bool(parsed.commands or parsed.unclear) and not parsed.words.strip() and not any(one.by_hand for one in mail.attachments)


def run(errand: Errand, parsed: Parsed) -> list[Result]:
    """Do what can be done without a request; returns the receipt's lines."""
    results = []
    for command in parsed.commands:
        line, effect = command.line.strip(), ERRANDS.get(command.name)
        if effect is None:
            results.append(refused(line, "this mail names no request: write it in an answer to a mail about one"))
            continue
        try:
            results.append(done(line, effect(errand, command)))
        except CannotDo as cannot:
            results.append(refused(line, cannot.why, cannot.instead))
        except ArgumentError as error:
            results.append(refused(line, error.what, error.cure))
    return results + [refused(one.line, one.why, one.suggestion) for one in parsed.unclear]


def _away(errand: Errand, command: Command) -> str:
    me = errand.me()
    until = arguments.until(command.value, errand.now, errand.zone)
    errand.absences.append(AbsenceChange(me.party, Absence(until, declared=True)))
    told = stand_ins(errand.house.directory, me)
    instead = f"; until then {told} is told in your place" if told else ""
    return f"you are away until {notes.shown(until, errand.zone)}{instead}; write back when you are here again"


def _back(errand: Errand, _: Command) -> str:
    me = errand.me()
    errand.absences.append(AbsenceChange(me.party, None))
    return "you are here" if me.key not in errand.house.missing(errand.now) else "you are here again"


def _query(errand: Errand, command: Command) -> str:
    errand.queries.append(query(command, errand.me().party, staff=True))
    return ANSWERED


def _fixed(errand: Errand, command: Command) -> str:
    if arguments.fixed(command.value).sure:
        raise CannotDo("write it in an answer to a mail about one of the requests that hang on it")
    return _query(errand, command)


ERRANDS: Mapping[str, Callable[[Errand, Command], str]] = {
    "away": _away, "back": _back, **dict.fromkeys(sorted(NAMES), _query), "fixed": _fixed,
}
