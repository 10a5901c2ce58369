"""TOML text -> Policy, or PolicyError with every mistake: file, line, what is wrong, how to mend it.

Called at start, at reload and by `check` with a file's text, and by the store with a stored version. A stored version is read
with its own expanded holidays, so that an update of the holiday library moves no due instant of an open request.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rtmail.errors import PolicyError, Problem
from rtmail.policy.duration import CURE, Duration
from rtmail.policy.hours import Hours, NeverOpens, Span, always, between, holidays_of, next_open, parse_spans
from rtmail.policy.lines import Path, locate
from rtmail.policy.model import (
    ALWAYS,
    Digest,
    ForwardAck,
    LadderFrom,
    MetBy,
    Nudge,
    Policy,
    Priority,
    Rung,
    Suggest,
    Thanks,
    UpdateMode,
)

HOLIDAY_YEARS = range(2020, 2051)
"""Years expanded into a version: longer than any request lives."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PAUSABLE = ("first-response", "update", "resolution", "ladder")
REFERENCE = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday from which lengths on different calendars are compared."""

HolidaySource = Callable[[str, tuple[str, ...]], frozenset[date]]
"""Calendar name and holiday codes -> dates; raises ValueError for an unknown code."""
Choice = TypeVar("Choice", bound=StrEnum)


def parse(text: str, file: str, timezone: str = "UTC") -> Policy:
    """Return the policy that `text` says; `file` is what mistakes are reported under.

    timezone  the site's: the zone of the calendar "always", and of calendars that name none
    Raises PolicyError with all mistakes found, in the order of their lines.
    """
    return _Reader(text, file, timezone, _library_holidays).policy()


def from_version(text: str, expanded: str) -> Policy:
    """Return a stored version from `Policy.text` and `Policy.expanded()`; the holiday library is not asked."""
    stored = json.loads(expanded)
    dates = {calendar: frozenset(date.fromisoformat(day) for day in days) for calendar, days in stored["holidays"].items()}
    return _Reader(text, "stored policy", stored["timezone"], lambda calendar, codes: dates.get(calendar, frozenset())).policy()


def _library_holidays(calendar: str, codes: tuple[str, ...]) -> frozenset[date]:
    return frozenset[date]().union(*(holidays_of(code, HOLIDAY_YEARS) for code in codes))


class _Table:
    """One TOML table while it is read: each getter takes a key out, `done` complains of what is left."""

    def __init__(self, reader: _Reader, path: Path, values: Mapping[str, Any]) -> None:
        self._reader = reader
        self.path = path
        self.values = values
        self._known: set[str] = set()

    def complain(self, key: str | int | None, what: str, cure: str) -> None:
        path = self.path if key is None else (*self.path, key)
        self._reader.complain(path, what, cure)

    def named(self, key: str) -> str:
        """The key as the reader of a report finds it in the file."""
        return ".".join(str(part) for part in (*self.path, key))

    def take(self, key: str, kind: type | tuple[type, ...], wanted: str) -> Any:
        """The raw value, None when absent or of another kind (which is a problem)."""
        self._known.add(key)
        value = self.values.get(key)
        if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
            return value
        self.complain(key, f"{self.named(key)} is {value!r}", f"write {wanted}")
        return None

    def text(self, key: str, default: str = "") -> str:
        value = self.take(key, str, f'a text in quotes: {key} = "…"')
        return default if value is None else str(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, bool, "true or false, without quotes")
        return default if value is None else bool(value)

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = self.take(key, int, f"a whole number from {least} to {most}")
        if value is None:
            return default
        if not least <= value <= most:
            self.complain(key, f"{self.named(key)} is {value}", f"write a whole number from {least} to {most}")
            return default
        return int(value)

    def length(self, key: str, default: str | None = None) -> Duration | None:
        value = self.take(key, (str, int), CURE)
        text = default if value is None else str(value)
        if text is None:
            return None
        try:
            return Duration.parse(text)
        except ValueError:
            self.complain(key, f"{self.named(key)} is {value!r}, no length of time", CURE)
            return None

    def choice(self, key: str, default: Choice) -> Choice:
        value = self.take(key, str, f"one of {_listed(type(default))}")
        try:
            return default if value is None else type(default)(value)
        except ValueError:
            self.complain(key, f"{self.named(key)} is {value!r}", _suggestion(value, type(default)))
            return default

    def names(self, key: str, default: Iterable[str] = ()) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.take(key, (str, list), 'a text or a list of texts: ["…", "…"]')
        if value is None:
            return tuple(default)
        texts = [value] if isinstance(value, str) else value
        if not all(isinstance(text, str) for text in texts):
            self.complain(key, f"{self.named(key)} holds what is no text", 'write a list of texts: ["…", "…"]')
            return tuple(default)
        return tuple(texts)

    def table(self, key: str) -> _Table:
        """A table below; empty when absent."""
        value = self.take(key, dict, f"a table: [{self.named(key)}]")
        return _Table(self._reader, (*self.path, key), value or {})

    def tables(self, key: str) -> list[_Table]:
        """A list of tables below."""
        value = self.take(key, list, "a list of tables: [ {…}, {…} ]") or []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append(_Table(self._reader, (*self.path, key, index), item))
            else:
                self._reader.complain((*self.path, key, index), f"{self.named(key)} holds {item!r}", "write each entry as a table: {…}")
        return found

    def done(self) -> None:
        for key in self.values:
            if key not in self._known:
                cure = _suggestion(key, self._known, f"remove it; known here: {', '.join(sorted(self._known))}")
                self.complain(key, f"unknown key {self.named(key)}", cure)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The cure for a name that is not among `known`."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{close[0]}"?' if close else otherwise or f"write one of {_listed(known)}"


class _Reader:
    """Reads one text; collects problems as it goes and raises them together at the end."""

    def __init__(self, text: str, file: str, timezone: str, holidays: HolidaySource) -> None:
        self._text = text
        self._file = file
        self._timezone = timezone
        self._source = holidays
        self._lines: Mapping[Path, int] = {}
        self._problems: list[Problem] = []
        self._calendars: dict[str, Hours] = {ALWAYS: always(timezone)}
        self._holidays: dict[str, tuple[date, ...]] = {}
        self._roles: dict[str, int] = {}

    def complain(self, path: Path, what: str, cure: str) -> None:
        self._problems.append(Problem(self._file, self._line(path), what, cure))

    def _line(self, path: Path) -> int:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def policy(self) -> Policy:
        try:
            values = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"at line (\d+)", str(error))
            line = int(place[1]) if place else self._text.count("\n") + 1
            problem = Problem(self._file, line, f"not valid TOML: {error}", "mend the syntax; texts stand in double quotes")
            raise PolicyError([problem]) from None
        self._lines = locate(self._text)
        policy = self._policy(_Table(self, (), values))
        if policy is None or self._problems:
            raise PolicyError(sorted(self._problems, key=lambda problem: problem.line))
        return policy

    def _policy(self, top: _Table) -> Policy | None:
        name = top.text("name")
        if not name.strip():
            top.complain("name", "the policy has no name", 'write name = "…" at the top')
        calendars = top.table("calendars")
        for key in calendars.values:
            self._calendar(key, calendars.table(key))
        triage = top.length("triage")
        triage_calendar = self._calendar_name(top, "triage_calendar", ALWAYS)
        nudge = self._nudge(top, Nudge(percent=25))
        defaults = _Defaults(top, nudge)
        self._check_nudge(top, "triage", triage, nudge, triage_calendar)
        priorities = self._priorities(top.table("priorities"), defaults)
        if not priorities:
            return None
        close_after = top.length("close_after")
        close_calendar = self._calendar_name(top, "close_calendar", ALWAYS)
        if close_after is not None:
            self._check_closing(top, priorities, close_after, close_calendar)
        waiting_pauses = top.names("waiting_pauses", ("update", "resolution"))
        for clock in waiting_pauses:
            if clock not in PAUSABLE:
                top.complain("waiting_pauses", f"waiting_pauses names {clock!r}", _suggestion(clock, PAUSABLE))
        on_call = top.text("on_call")
        if on_call:
            self._tell(("on_call",), (on_call,))
        policy = Policy(
            name=name, text=self._text, timezone=self._timezone, calendars=self._calendars, holidays=self._holidays,
            priorities=priorities, untriaged=self._priority_name(top, "untriaged", priorities), triage=triage,
            triage_calendar=triage_calendar, nudge=nudge, on_call=on_call, ladder_from=top.choice("ladder_from", LadderFrom.PRIORITISED),
            waiting_pauses=frozenset(waiting_pauses), reopen_within=top.length("reopen_within", "30d") or Duration(days=30),
            close_after=close_after, close_calendar=close_calendar, forward_ack=top.choice("forward_ack", ForwardAck.ASK),
            suggest=self._suggest(top.table("suggest"), priorities), thanks=self._thanks(top.table("thanks")),
            digest=self._digest(top.table("digest")), roles=self._roles,
        )
        top.done()
        return policy

    # calendars

    def _calendar(self, name: str, table: _Table) -> None:
        if name == ALWAYS:
            table.complain(None, 'the calendar "always" is built in', "give yours another name")
            return
        zone = self._zone(table)
        week, days = self._week(table)
        closed = frozenset(self._closed(table))
        codes = table.names("holidays")
        try:
            holidays = self._source(name, codes)
        except ValueError as error:
            what, _, cure = str(error).partition(": ")
            table.complain("holidays", what, cure)
            return
        if codes:
            self._holidays[name] = tuple(sorted(holidays))
        hours = Hours(zone=zone, week=week, closed=(holidays | closed) - days.keys(), days=days)
        self._calendars[name] = hours
        try:
            if not any(week):
                raise NeverOpens("no weekday has hours")
            for day in (REFERENCE.date(), *closed):
                next_open(datetime(day.year, day.month, day.day, tzinfo=UTC), hours)
        except NeverOpens:
            table.complain(None, f'the calendar "{name}" never opens', 'give it hours: mon-fri = "09:00-18:00"')
            self._calendars[name] = always(self._timezone)  # so that nothing further trips over it

    def _zone(self, table: _Table) -> ZoneInfo:
        name = table.text("timezone", self._timezone)
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            table.complain("timezone", f"no time zone is named {name!r}", 'write an IANA name such as "Europe/Berlin" or "UTC"')
            return ZoneInfo("UTC")

    def _week(self, table: _Table) -> tuple[tuple[tuple[Span, ...], ...], dict[date, tuple[Span, ...]]]:
        """Weekday keys ("mon", "mon-fri", "sat,sun") and dates with hours of their own ("2026-12-24")."""
        week: list[tuple[Span, ...] | None] = [None] * 7
        days: dict[date, tuple[Span, ...]] = {}
        for key in table.values:
            weekdays = _weekdays(key)
            day = _as_date(key)
            if weekdays is None and day is None:
                continue
            spans = self._spans(table, key)
            if day is not None:
                days[day] = spans
            for weekday in weekdays or ():
                if week[weekday] is not None:
                    table.complain(key, f"{WEEKDAYS[weekday]} has hours twice", "let each weekday stand in one key only")
                week[weekday] = spans
        return tuple(spans or () for spans in week), days

    def _spans(self, table: _Table, key: str) -> tuple[Span, ...]:
        texts = table.names(key)
        try:
            return parse_spans(",".join(texts))
        except ValueError as error:
            what, _, cure = str(error).partition(": ")
            table.complain(key, what, cure)
            return ()

    def _closed(self, table: _Table) -> Iterable[date]:
        for index, value in enumerate(table.take("closed", list, 'a list of dates: ["2026-12-24"]') or []):
            day = value if type(value) is date else _as_date(value) if isinstance(value, str) else None
            if day is None:
                self.complain((*table.path, "closed", index), f"closed holds {value!r}", 'write dates as "2026-12-24"')
            else:
                yield day

    def _calendar_name(self, table: _Table, key: str, default: str) -> str:
        name = table.text(key, default)
        if name not in self._calendars:
            cure = _suggestion(name, self._calendars, f"write one of {_listed(self._calendars)}, or add [calendars.{name}]")
            table.complain(key, f"{table.named(key)} names no calendar: {name!r}", cure)
            return ALWAYS
        return name

    # priorities

    def _priorities(self, table: _Table, defaults: _Defaults) -> dict[str, Priority]:
        found = [self._priority(key, table.table(key), defaults) for key in table.values]
        if not found:
            table.complain(None, "the policy has no priorities", 'add one: [priorities.P1] with code = 80, first_response = "1h"')
        codes: dict[int, str] = {}
        for priority in found:
            if priority.code in codes:
                cure = "give each priority a code of its own; the higher code is the more urgent"
                table.complain(priority.key, f"{codes[priority.code]} and {priority.key} have the same code", cure)
            codes[priority.code] = priority.key
        return {priority.key: priority for priority in sorted(found, key=lambda priority: -priority.code)}

    def _priority(self, key: str, table: _Table, defaults: _Defaults) -> Priority:
        calendar = self._calendar_name(table, "calendar", ALWAYS)
        update_calendar = self._calendar_name(table, "update_calendar", calendar)
        ladder_calendar = self._calendar_name(table, "ladder_calendar", ALWAYS)
        if "code" not in table.values:
            table.complain(None, f"{key} has no code", "write code = 80; the higher code is the more urgent")
        nudge = self._nudge(table, defaults.nudge)
        first_response, update_every = table.length("first_response"), table.length("update_every")
        self._check_nudge(table, "first_response", first_response, nudge, calendar)
        if update_every is not None and update_every.is_zero:
            table.complain("update_every", f"{key} is to be updated without a pause", 'write a length such as "4h", or leave it out')
            update_every = None
        self._check_nudge(table, "update_every", update_every, nudge, update_calendar)
        priority = Priority(
            key=key, code=table.number("code", 0, 0, 1_000_000), meaning=table.text("meaning"), calendar=calendar,
            update_calendar=update_calendar, ladder_calendar=ladder_calendar, first_response=first_response,
            update_every=update_every, resolution=table.length("resolution"),
            reply_within=table.length("reply_within") or defaults.reply_within,
            update_mode=table.choice("update_mode", defaults.update_mode), met_by=table.choice("met_by", defaults.met_by), nudge=nudge,
            ladder=self._ladder(table, ladder_calendar, defaults), page=table.flag("page", False), bundle=table.flag("bundle", True),
        )
        table.done()
        return priority

    def _ladder(self, table: _Table, calendar: str, defaults: _Defaults) -> tuple[Rung, ...]:
        rungs: list[Rung] = []
        hours = self._calendars[calendar]
        start = next_open(REFERENCE, hours)
        for number, entry in enumerate(table.tables("ladder"), 1):
            rung = self._rung(entry, number, defaults)
            if rungs and rung.after.after(start, hours) <= rungs[-1].after.after(start, hours):
                entry.complain("after", f"rung {number} ({rung.after}) does not come later than rung {number - 1} ({rungs[-1].after})",
                               'order the rungs by time; roles told at one instant stand in one rung: tell = ["…", "…"]')
            rungs.append(rung)
        return tuple(rungs)

    def _rung(self, table: _Table, number: int, defaults: _Defaults) -> Rung:
        after = table.length("after")
        if after is None and "after" not in table.values:
            table.complain(None, f"rung {number} says not when", 'write after = "1h", or "0" for at once')
        tell = tuple(role.strip() for role in table.names("tell"))
        if not tell or not all(tell):
            table.complain("tell", f"rung {number} tells nobody", 'write tell = "support-manager", a role of [roles]')
        self._tell((*table.path, "tell"), tell)
        rung = Rung(after=after or Duration(), tell=tell, ack_holds=table.flag("ack_holds", defaults.ack_holds),
                    ack_for=table.length("ack_for") or defaults.ack_for, ack_max=table.length("ack_max") or defaults.ack_max)
        table.done()
        return rung

    def _tell(self, path: Path, roles: tuple[str, ...]) -> None:
        for role in roles:
            self._roles.setdefault(role, self._line(path))

    def _nudge(self, table: _Table, default: Nudge) -> Nudge:
        text = "".join(table.text("nudge").split())
        if not text:
            return default
        cure = 'write a share of the time as "25%" (1 to 90), a length as "15m", or "0" for none'
        if match := re.fullmatch(r"(\d{1,3})%", text):
            if 1 <= int(match[1]) <= 90:
                return Nudge(percent=int(match[1]))
        else:
            try:
                length = Duration.parse(text)
            except ValueError:
                pass
            else:
                if not (length.business_days or length.days):
                    return Nudge(before=length.open_time)
        table.complain("nudge", f"{table.named('nudge')} is {text!r}", cure)
        return default

    def _check_nudge(self, table: _Table, key: str, length: Duration | None, nudge: Nudge, calendar: str) -> None:
        if length is None or length.is_zero or not nudge.before:
            return
        hours = self._calendars[calendar]
        start = next_open(REFERENCE, hours)
        if between(start, length.after(start, hours), hours) <= nudge.before:
            before = Duration(open_time=nudge.before)
            table.complain(key, f"{table.named(key)} ({length}) is not longer than the nudge before it ({before})",
                           'shorten nudge, or write it as a share: nudge = "25%"')

    def _check_closing(self, top: _Table, priorities: Mapping[str, Priority], close_after: Duration, calendar: str) -> None:
        closing = self._calendars[calendar]
        for priority in priorities.values():
            hours = self._calendars[priority.ladder_calendar]
            start = max(next_open(REFERENCE, hours), next_open(REFERENCE, closing))
            for index, rung in enumerate(priority.ladder):
                if rung.after.after(start, hours) > close_after.after(start, closing):
                    self.complain(("priorities", priority.key, "ladder", index, "after"),
                                  f"rung {index + 1} of {priority.key} ({rung.after}) comes after closing (close_after is {close_after})",
                                  "bring the rung forward, or make close_after longer")

    def _priority_name(self, top: _Table, key: str, priorities: Mapping[str, Priority]) -> str:
        name = top.text(key) or next(iter(priorities))
        if name not in priorities:
            top.complain(key, f"{key} names no priority: {name!r}", _suggestion(name, priorities))
        return name

    # the rest

    def _suggest(self, table: _Table, priorities: Mapping[str, Priority]) -> Suggest:
        allow = table.names("allow")
        for name in allow:
            if name not in priorities:
                table.complain("allow", f"suggest.allow names no priority: {name!r}", _suggestion(name, priorities))
        suggest = Suggest(allow=allow, headers=table.flag("headers", True), sets=table.flag("sets", False))
        table.done()
        return suggest

    def _thanks(self, table: _Table) -> Thanks:
        max_words = table.number("max_words", 12, 1, 50)
        words = {language: tuple(word.lower() for word in table.names(language)) for language in table.values if language != "max_words"}
        for language in words:
            if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]{2,4})?", language):
                table.complain(language, f"{language!r} is no language", 'write a language code: en = ["thanks", "thank you"]')
        table.done()
        return Thanks(max_words=max_words, words=words)

    def _digest(self, table: _Table) -> Digest:
        weekly = table.text("weekly")
        day, _, at = weekly.strip().lower().partition(" ")
        if weekly and day not in WEEKDAYS:
            table.complain("weekly", f"digest.weekly is {weekly!r}", 'write a weekday and a time: "mon 08:00"')
            weekly = ""
        digest = Digest(
            calendar=self._calendar_name(table, "calendar", ALWAYS), daily=self._time(table, "daily", table.text("daily")),
            weekly=self._time(table, "weekly", at) if weekly else None, weekly_day=WEEKDAYS.index(day) if weekly else 0,
            bundle_from=table.number("bundle_from", 5, 2, 1000),
        )
        table.done()
        return digest

    def _time(self, table: _Table, key: str, text: str) -> time | None:
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
        if match:
            return time(int(match[1]), int(match[2]))
        if text:
            table.complain(key, f"{table.named(key)} is {text!r}, no time of day", 'write "08:00"')
        return None


class _Defaults:
    """Keys that stand at the top for all priorities and may be said again in one."""

    def __init__(self, top: _Table, nudge: Nudge) -> None:
        self.nudge = nudge
        self.update_mode = top.choice("update_mode", UpdateMode.NUDGE)
        self.met_by = top.choice("met_by", MetBy.HUMAN)
        self.reply_within = top.length("reply_within")
        self.ack_holds = top.flag("ack_holds", True)
        self.ack_for = top.length("ack_for")
        self.ack_max = top.length("ack_max")


def _weekdays(key: str) -> list[int] | None:
    """Weekday numbers of "mon", "mon-fri" or "sat,sun"; None for any other key."""
    found: list[int] = []
    for part in key.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            return None
        start = WEEKDAYS.index(first)
        count = (WEEKDAYS.index(last) - start) % 7 if dash else 0
        found += [(start + step) % 7 for step in range(count + 1)]
    return found


def _as_date(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
