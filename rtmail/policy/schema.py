"""TOML text -> Policy, or PolicyError with every mistake: file, line, what is wrong, how to mend it.

Called at start, at reload and by `check` with a file's text, and by the store with a stored version. A stored version is read
with its own expanded holidays, so that an update of the holiday library moves no due instant of an open request.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time

from rtmail.errors import PolicyError, Problem
from rtmail.policy import field_rules, incident_rules, term_rules
from rtmail.policy.calendars import REFERENCE, WEEKDAYS, Calendars, HolidaySource
from rtmail.policy.duration import Duration
from rtmail.policy.hours import between, holidays_of, next_open
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
from rtmail.policy.table import Problems, Table, suggestion

HOLIDAY_YEARS = range(2020, 2051)
"""Years expanded into a version: longer than any request lives."""
PAUSABLE = ("first-response", "update", "resolution", "ladder")


def parse(text: str, file: str, timezone: str = "UTC") -> Policy:
    """Return the policy that `text` says; `file` is what mistakes are reported under.

    timezone  the site's: the zone of the calendar "always", and of calendars that name none
    Raises PolicyError with all mistakes found, in the order of their lines.
    """
    return _read(text, file, timezone, _library_holidays)


def from_version(text: str, expanded: str) -> Policy:
    """Return a stored version from `Policy.text` and `Policy.expanded()`; the holiday library is not asked."""
    stored = json.loads(expanded)
    dates = {calendar: frozenset(date.fromisoformat(day) for day in days) for calendar, days in stored["holidays"].items()}
    return _read(text, "stored policy", stored["timezone"], lambda calendar, codes: dates.get(calendar, frozenset()))


def _library_holidays(calendar: str, codes: tuple[str, ...]) -> frozenset[date]:
    return frozenset[date]().union(*(holidays_of(code, HOLIDAY_YEARS) for code in codes))


def _read(text: str, file: str, timezone: str, source: HolidaySource) -> Policy:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        raise PolicyError([Problem(file, line, f"not valid TOML: {error}", "mend the syntax; texts stand in double quotes")]) from None
    problems = Problems(file, locate(text))
    policy = _Reader(text, timezone, problems, source).policy(Table(problems, (), values))
    if policy is None or problems.in_order():
        raise PolicyError(problems.in_order())
    return policy


class _Reader:
    """Reads one text's tables; mistakes go to `problems`, and values read on without them."""

    def __init__(self, text: str, timezone: str, problems: Problems, source: HolidaySource) -> None:
        self._text = text
        self._timezone = timezone
        self._problems = problems
        self._calendars = Calendars(problems, timezone, source)
        self._roles: dict[str, int] = {}

    def policy(self, top: Table) -> Policy | None:
        name = top.text("name")
        if not name.strip():
            top.complain("name", "the policy has no name", 'write name = "…" at the top')
        calendars = top.table("calendars")
        for key in calendars.values:
            self._calendars.read(key, calendars.table(key))
        triage = top.length("triage")
        triage_calendar = self._calendars.named(top, "triage_calendar", ALWAYS)
        nudge = self._nudge(top, Nudge(percent=25))
        defaults = _Defaults(top, nudge)
        self._check_nudge(top, "triage", triage, nudge, triage_calendar)
        priorities = self._priorities(top.table("priorities"), defaults)
        if not priorities:
            return None
        close_after = top.length("close_after")
        close_calendar = self._calendars.named(top, "close_calendar", ALWAYS)
        if close_after is not None:
            self._check_closing(top, priorities, close_after, close_calendar)
        waiting_pauses = top.names("waiting_pauses", ("update", "resolution"))
        for clock in waiting_pauses:
            if clock not in PAUSABLE:
                top.complain("waiting_pauses", f"waiting_pauses names {clock!r}", suggestion(clock, PAUSABLE))
        on_call = top.text("on_call")
        if on_call:
            self._tell(("on_call",), (on_call,))
        answers, appeal = term_rules.answers(top), term_rules.appeal(top, self._calendars)
        if appeal and appeal.tell:
            self._tell(("appeal", "tell"), (appeal.tell,))
        fields = field_rules.fields(top)
        hand_over = term_rules.hand_over(top, fields)
        for tier in hand_over.values():
            if tier.role:
                self._tell(("hand_over", tier.name, "role"), (tier.role,))

        def read(key: str, table: Table) -> Priority:
            return self._priority(key, table, defaults)

        policy = Policy(
            name=name, text=self._text, timezone=self._timezone, calendars=self._calendars.hours, holidays=self._calendars.holidays,
            priorities=priorities, untriaged=self._priority_name(top, "untriaged", priorities), triage=triage,
            triage_calendar=triage_calendar, nudge=nudge, on_call=on_call, ladder_from=top.choice("ladder_from", LadderFrom.PRIORITISED),
            waiting_pauses=frozenset(waiting_pauses), reopen_within=top.length("reopen_within", "30d") or Duration(days=30),
            close_after=close_after, close_calendar=close_calendar, forward_ack=top.choice("forward_ack", ForwardAck.ASK),
            suggest=self._suggest(top.table("suggest"), priorities), thanks=self._thanks(top.table("thanks")),
            digest=self._digest(top.table("digest")), roles=self._roles, plans=self._plans(top, priorities, defaults),
            incidents=incident_rules.incidents(top, priorities, read),
            maintenance=incident_rules.maintenance(top, self._calendars, read),
            observing=frozenset(self._calendars.observing), customers=term_rules.customers(top, answers, priorities), answers=answers,
            appeal=appeal, after_hours=term_rules.after_hours(top, self._calendars, priorities), urgency=term_rules.urgency(top),
            asking=term_rules.asking(top, self._calendars), hand_over=hand_over, voice=top.text("voice").strip(),
            fields=fields, rules=field_rules.rules(top, fields, priorities),
        )
        top.done()
        return policy

    # priorities

    def _priorities(self, table: Table, defaults: _Defaults) -> dict[str, Priority]:
        found = [self._priority(key, table.table(key), defaults) for key in table.values]
        if not found:
            table.complain(None, "the policy has no priorities", 'add one: [priorities.P1] with code = 80, first_response = "1h"')
        return incident_rules.by_code(table, found)

    def _plans(self, top: Table, priorities: Mapping[str, Priority], defaults: _Defaults) -> dict[str, dict[str, Priority]]:
        """What `[plans.NAME.priorities.P1]` says anew for the customers of a plan; all else is as for everybody."""
        plans, base = top.table("plans"), top.table("priorities").values
        found: dict[str, dict[str, Priority]] = {}
        for plan in plans.values:
            table = plans.table(plan)
            own = table.table("priorities")
            found[plan] = dict(priorities)
            for key in own.values:
                if key not in priorities:
                    own.complain(key, f"{own.named(key)} is no priority", suggestion(key, priorities))
                    continue
                said = own.table(key)
                if "code" in said.values:
                    said.complain("code", f"{said.named('code')} cannot differ by plan", "leave it out: it stands in [priorities]")
                found[plan][key] = self._priority(key, said.over(base[key]), defaults)
            table.done()
        return found

    def _priority(self, key: str, table: Table, defaults: _Defaults) -> Priority:
        calendar = self._calendars.named(table, "calendar", ALWAYS)
        update_calendar = self._calendars.named(table, "update_calendar", calendar)
        ladder_calendar = self._calendars.named(table, "ladder_calendar", ALWAYS)
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
            shout_every=self._shout(table), needs_eta=table.flag("needs_eta", False),
        )
        table.done()
        return priority

    def _ladder(self, table: Table, calendar: str, defaults: _Defaults) -> tuple[Rung, ...]:
        rungs: list[Rung] = []
        hours = self._calendars.hours[calendar]
        start = next_open(REFERENCE, hours)
        for number, entry in enumerate(table.tables("ladder"), 1):
            rung = self._rung(entry, number, defaults)
            if rungs and rung.after.after(start, hours) <= rungs[-1].after.after(start, hours):
                entry.complain("after", f"rung {number} ({rung.after}) does not come later than rung {number - 1} ({rungs[-1].after})",
                               'order the rungs by time; roles told at one instant stand in one rung: tell = ["…", "…"]')
            rungs.append(rung)
        return tuple(rungs)

    def _rung(self, table: Table, number: int, defaults: _Defaults) -> Rung:
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
            self._roles.setdefault(role, self._problems.line(path))

    def _shout(self, table: Table) -> Duration | None:
        every = table.length("shout_every")
        if every is not None and every.is_zero:
            table.complain("shout_every", f"{table.named('shout_every')} leaves no pause", 'write a length such as "15m", or leave it out')
            return None
        return every

    def _nudge(self, table: Table, default: Nudge) -> Nudge:
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

    def _check_nudge(self, table: Table, key: str, length: Duration | None, nudge: Nudge, calendar: str) -> None:
        if length is None or length.is_zero or not nudge.before:
            return
        hours = self._calendars.hours[calendar]
        start = next_open(REFERENCE, hours)
        if between(start, length.after(start, hours), hours) <= nudge.before:
            before = Duration(open_time=nudge.before)
            table.complain(key, f"{table.named(key)} ({length}) is not longer than the nudge before it ({before})",
                           'shorten nudge, or write it as a share: nudge = "25%"')

    def _check_closing(self, top: Table, priorities: Mapping[str, Priority], close_after: Duration, calendar: str) -> None:
        closing = self._calendars.hours[calendar]
        for priority in priorities.values():
            hours = self._calendars.hours[priority.ladder_calendar]
            start = max(next_open(REFERENCE, hours), next_open(REFERENCE, closing))
            for index, rung in enumerate(priority.ladder):
                if rung.after.after(start, hours) > close_after.after(start, closing):
                    self._problems.complain(("priorities", priority.key, "ladder", index, "after"),
                                  f"rung {index + 1} of {priority.key} ({rung.after}) comes after closing (close_after is {close_after})",
                                  "bring the rung forward, or make close_after longer")

    def _priority_name(self, top: Table, key: str, priorities: Mapping[str, Priority]) -> str:
        name = top.text(key) or next(iter(priorities))
        if name not in priorities:
            top.complain(key, f"{key} names no priority: {name!r}", suggestion(name, priorities))
        return name

    # the rest

    def _suggest(self, table: Table, priorities: Mapping[str, Priority]) -> Suggest:
        allow = table.names("allow")
        for name in allow:
            if name not in priorities:
                table.complain("allow", f"suggest.allow names no priority: {name!r}", suggestion(name, priorities))
        suggest = Suggest(allow=allow, headers=table.flag("headers", True), sets=table.flag("sets", False))
        table.done()
        return suggest

    def _thanks(self, table: Table) -> Thanks:
        max_words = table.number("max_words", 12, 1, 50)
        words = {language: tuple(word.lower() for word in table.names(language)) for language in table.values if language != "max_words"}
        for language in words:
            if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]{2,4})?", language):
                table.complain(language, f"{language!r} is no language", 'write a language code: en = ["thanks", "thank you"]')
        table.done()
        return Thanks(max_words=max_words, words=words)

    def _digest(self, table: Table) -> Digest:
        weekly = table.text("weekly")
        day, _, at = weekly.strip().lower().partition(" ")
        if weekly and day not in WEEKDAYS:
            table.complain("weekly", f"digest.weekly is {weekly!r}", 'write a weekday and a time: "mon 08:00"')
            weekly = ""
        digest = Digest(
            calendar=self._calendars.named(table, "calendar", ALWAYS), daily=self._time(table, "daily", table.text("daily")),
            weekly=self._time(table, "weekly", at) if weekly else None, weekly_day=WEEKDAYS.index(day) if weekly else 0,
            bundle_from=table.number("bundle_from", 5, 2, 1000),
        )
        table.done()
        return digest

    def _time(self, table: Table, key: str, text: str) -> time | None:
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
        if match:
            return time(int(match[1]), int(match[2]))
        if text:
            table.complain(key, f"{table.named(key)} is {text!r}, no time of day", 'write "08:00"')
        return None


class _Defaults:
    """Keys that stand at the top for all priorities and may be said again in one."""

    def __init__(self, top: Table, nudge: Nudge) -> None:
        self.nudge = nudge
        self.update_mode = top.choice("update_mode", UpdateMode.NUDGE)
        self.met_by = top.choice("met_by", MetBy.HUMAN)
        self.reply_within = top.length("reply_within")
        self.ack_holds = top.flag("ack_holds", True)
        self.ack_for = top.length("ack_for")
        self.ack_max = top.length("ack_max")
