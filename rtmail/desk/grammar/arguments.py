"""What stands behind a command: lengths, instants, numbers, addresses and the like, read forgivingly and checked strictly.

`commands` asks `problem` whether an argument has the right form, long before anything is done; the effects then read the
value with the function of its kind. Instants are relative to a `now` and a zone that the caller hands in. Pure.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from zoneinfo import ZoneInfo

from rtmail.desk.notes import reference
from rtmail.desk.ticket import Status
from rtmail.errors import RtmailError
from rtmail.mail import speech
from rtmail.mail.address import parse_list
from rtmail.mail.model import Address
from rtmail.policy.duration import Duration
from rtmail.policy.hours import wall_to_utc


class ArgumentError(RtmailError):
    """An argument that cannot be read; `cure` is an example of one that can."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what}; write for example: {cure}" if cure else what)
        self.what, self.cure = what, cure


class ContradictionError(ArgumentError):
    """An instant of the right form whose parts do not fit: "Mon 5 Dec" where that is a Saturday."""


_LONG_AGO = datetime(1972, 1, 1, tzinfo=UTC)
"""The `now` by which only the form of an instant is read; a leap year, since "29 Feb" has the right form."""
_YEARS = range(1972, 2200)
_LEAP_YEARS = 8
"""The longest between two 29 February."""
_LATELY = timedelta(days=31)
"""A date without a year that lies so little back is a slip, and no word for next year's."""


class Argument(StrEnum):
    """What kind of thing a command takes."""

    NONE = "nothing"
    TEXT = "text"
    TOKEN = "a word"
    TOKENS = "a word or two"
    STATUS = "a status"
    INSTANT = "a day and time"
    UNTIL = "until a day and time"
    LENGTH = "a length of time"
    LENGTH_OR_UNTIL = "a length of time, or until a day and time"
    NUMBER = "a request number"
    ADDRESSES = "addresses"
    PERSON = "an address, or `as` and an address"
    NUMBERS = "numbers, or all"
    WORKED = "time worked"
    REFERENCE = "an outside reference"
    FIXED = "a bug, and in which version it is fixed"


MIDNIGHT, MORNING, EVENING = time(0), time(9), time(17)
"""What a day without a time means: where something ends with the night before, begins with it, or is promised by it."""

_NOON = {"noon": time(12), "midday": time(12), "midnight": time(0), "morning": MORNING, "evening": EVENING}
_DAYS = {name: number for number in range(7) for name in (calendar.day_name[number].lower(), calendar.day_abbr[number].lower())}
_DAYS |= {"tues": 1, "weds": 2, "thur": 3, "thurs": 3}
_MONTHS = {name: number for number in range(1, 13) for name in (calendar.month_name[number].lower(), calendar.month_abbr[number].lower())}
_MONTHS |= {"sept": 9}
CALENDAR_WORDS = frozenset({*_DAYS, *_MONTHS, *_NOON, "today", "tomorrow"})
_DAYS |= speech.names("days")
_MONTHS |= {name: number + 1 for name, number in speech.names("months").items()}

_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[t ]\s*(\d{1,2}):(\d{2})(?::\d{2})?\s*(z|utc|[+-]\d{2}:?\d{2})?)?", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(am|pm|a\.m\.|p\.m\.)?", re.IGNORECASE)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})?")
_OFFSET = re.compile(r"(?:utc|gmt)?(?:([+-])([01]\d):?([0-5]\d)?)?", re.IGNORECASE)
_ZONE = re.compile(rf"[A-Z]{{3,5}}|(?i:{_OFFSET.pattern})")
_FILLERS = frozenset({"at", "on", "by", "next", "o'clock", "the", "of"})
_SPELLED = (
    (re.compile(r"\b(?:business|working|work)\s+days?\b"), "bd"), (re.compile(r"(?<=\d)\s*days?\b"), "d"),
    (re.compile(r"(?<=\d)\s*(?:hours?|hrs?)\b"), "h"), (re.compile(r"(?<=\d)\s*(?:minutes?|mins?)\b"), "m"),
    (re.compile(r"\band\b|(?<!\d),|,(?!\d)"), " "),
)
_NUMBER = re.compile(r"(?:(?:request|ticket|into|with|to)\s+)?#?([1-9][0-9]{0,9})", re.IGNORECASE)
_REFERENCE = re.compile(r"https?://[^\s<>\"]{3,500}|[A-Za-z][\w.-]{0,60}(?:[-#/]|\s#)\d{1,12}|#?\d{1,12}")
_FIXED = re.compile(rf"(?P<ref>{_REFERENCE.pattern})(?:\s+in\s+(?P<version>[\w][\w.+-]{{0,39}}))?(?P<sure>[\s,]+yes)?", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s:;,?!\"'<>()]{1,80}")
_NUMBERS = re.compile(r"all|#?\d{1,2}(?:(?:\s*,\s*|\s+and\s+|\s+)#?\d{1,2})*", re.IGNORECASE)
_APART = re.compile(r"\d\s+\d")
_HOURS = re.compile(r"(\d{1,3}[.,]\d{1,2})\s*h(?:ours?|rs?)?|(\d{1,3})[:h]([0-5]\d)(?:\s*h)?", re.IGNORECASE)
_WORKED = re.compile(r"(?P<length>.*?)(?:[\s,]+(?P<billing>(?:not |non-?|un)?billable))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Worked:
    """Time worked; `billable` is None where nothing was said."""

    length: timedelta
    billable: bool | None = None


def length(text: str) -> Duration:
    """Return a length of time: "4h", "90m", "1h30m", "2 hours", "1 business day". Raises ArgumentError.

    "4,5h" is none, and never 45 hours.
    """
    lowered = text.strip().lower().removeprefix("in ").lstrip("+")
    for spelled, short in _SPELLED:
        lowered = spelled.sub(short, lowered)
    try:
        if _APART.search(lowered):
            raise ValueError
        return Duration.parse(lowered)
    except ValueError:
        raise ArgumentError(f"{text.strip()!r} is no length of time", "4h") from None


def worked(text: str) -> Worked:
    """Return the time worked: a length in hours and minutes (a bare number is minutes, as in RT) and "billable" or not."""
    match = _WORKED.fullmatch(text.strip())
    shown = match["length"].strip() if match else ""
    if spelled := _HOURS.fullmatch(shown):
        hours = float(spelled[1].replace(",", ".")) if spelled[1] else int(spelled[2]) + int(spelled[3]) / 60
        shown = f"{round(hours * 60)}m"
    said = length(f"{shown}m" if shown.isdigit() else shown)
    if said.business_days or said.days or said.is_zero:
        raise ArgumentError(f"{text.strip()!r} is no time worked", "30m billable")
    billing = (match["billing"] or "").lower() if match else ""
    return Worked(said.open_time, None if not billing else billing == "billable")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A bug that is fixed, in which version ("" where none was said); `sure`: whoever wrote it has seen what goes out."""

    ref: str
    version: str
    sure: bool


def fixed(text: str) -> Fixed:
    """Return what "JIRA-12 in 4.2", with "yes" behind it or without, says. Raises ArgumentError."""
    match = _FIXED.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(f"{text.strip()!r} names no bug, or more than one", "fixed JIRA-12 in 4.2")
    return Fixed(reference(match["ref"]), match["version"] or "", bool(match["sure"]))


def instant(text: str, now: datetime, zone: ZoneInfo, day_means: time = EVENING) -> datetime:
    """Return the UTC instant that people's words name: "Fri 15:00", "tomorrow noon", "2 Dec", "2026-12-24 16:30", "in 2h", "9am".

    now        aware; a weekday, a date without a year and a bare time are the next of their kind after it; of a date that was lately,
               the year after is not meant: it has passed
    zone       whose wall clock is meant where none is written
    day_means  the time of a day named without one
    Also as our own mails show one: "Sat 05 Dec 2026 15:00 CET", "Sa 5. Dez. 2026, 15:00 CET", "сб 5 грудня 15:00". A zone behind the
    time is UTC, an offset, or how `zone` is called then.
    Raises ArgumentError for what is no instant, lies before `now`, or contradicts itself.
    """
    shown = " ".join(text.split())
    bare = " ".join(text.replace(",", " ").split())
    at = _relative(shown, now) or _iso(bare, zone, day_means) or _said(bare, now, zone, day_means)
    if at is None:
        raise ArgumentError(f"{shown!r} is no day and time", "Fri 15:00")
    if at <= now:
        raise ArgumentError(f"{shown!r} has passed", "tomorrow 15:00")
    return at


def until(text: str, now: datetime, zone: ZoneInfo, day_means: time = MORNING) -> datetime:
    """Return the instant of "until Mon 9:00"; the word itself may be missing."""
    return instant(re.sub(r"^(?:until|till|til)\s+", "", text.strip(), flags=re.IGNORECASE), now, zone, day_means)


def number(text: str) -> int:
    """Return a request number, with or without "#". Raises ArgumentError."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(f"{text.strip()!r} is no request number", "1042")
    return int(match[1])


def addresses(text: str) -> tuple[Address, ...]:
    """Return one or more mail addresses, with names or without. Raises ArgumentError unless every part with an @ is one."""
    found = parse_list([text.strip().removeprefix("mailto:")])
    unquoted = re.sub(r'"[^"]*"', "@", text)
    said = {part.strip().lower() for part in re.split(r"[,;]|\s+(?=\S+@)", unquoted.replace("@ ", "")) if "@" in part}
    # "For bob@acme.example, I set it up": what is left over makes it a sentence.
    over = any("@" not in part for part in re.split("[,;]", unquoted) if part.strip())
    if not found or over or len(found) < len(said):
        raise ArgumentError(f"{text.strip()!r} is no mail address", "bob@acme.example")
    return found


def status(text: str) -> Status:
    """Return the status that staff may set by its name; RT's "stalled" is waiting. Raises ArgumentError."""
    lowered = text.strip().lower()
    named = _STATUSES.get(lowered)
    if named is None:
        raise ArgumentError(f"{text.strip()!r} is no status", "resolved")
    return named


_STATUSES = {str(one): one for one in Status if one is not Status.MERGED}
_STATUSES |= {"stalled": Status.WAITING, "wait": Status.WAITING, "resolve": Status.RESOLVED, "close": Status.CLOSED}


def problem(kind: Argument, text: str) -> str:
    """Return what is wrong with the form of an argument, "" when it can be read. Whether it is true (known, not past) is seen later."""
    try:
        _CHECKS[kind](text.strip())
    except ArgumentError as error:
        return str(error)
    return ""


def _relative(shown: str, now: datetime) -> datetime | None:
    try:
        said = length(shown)
    except ArgumentError:
        return None
    if said.business_days:
        raise ArgumentError("business days need a calendar; name the day", "Fri 15:00")
    return now.astimezone(UTC) + said.open_time + timedelta(days=said.days)


def _iso(shown: str, zone: ZoneInfo, day_means: time) -> datetime | None:
    match = _ISO.fullmatch(shown)
    if match is None:
        return None
    year, month, day, hour, minute, offset = match.groups()
    _calendar_day(int(year), int(month), int(day))
    try:
        if offset:
            sign = "+00:00" if offset.lower() in ("z", "utc") else offset
            return datetime.fromisoformat(f"{year}-{month}-{day}T{hour:0>2}:{minute}{sign}").astimezone(UTC)
        wall = time(int(hour), int(minute)) if hour else day_means
        return wall_to_utc(datetime.combine(date(int(year), int(month), int(day)), wall), zone)
    except ValueError:
        raise ArgumentError(f"{shown!r} is no day of the calendar", "2026-12-24 16:30") from None


def _said(shown: str, now: datetime, zone: ZoneInfo, day_means: time) -> datetime | None:
    """Read a day, a time, or both, in either order; None when anything is left over."""
    said = [word for word in shown.split() if word.lower() not in _FILLERS]
    zones = [word for word in said if _ZONE.fullmatch(word) and word.lower().rstrip(".") not in _NO_ZONES]
    words = [word.lower() for word in said if word not in zones]
    local = now.astimezone(zone)
    day, words = _day(words, local)
    clock, words = _clock(words)
    if day is None:
        day, words = _day(words, local)
    if words or len(zones) > 1 or (clock is None and (day is None or zones)):
        return None
    first, step, weekday = day or (local.date(), timedelta(days=1), None)
    name, wall = next(iter(zones), ""), clock or day_means
    if weekday not in (None, first.weekday()):
        shown = f"{first.day} {first:%b %Y}"
        raise ContradictionError(f"{shown!r} is another day of the week", f"{first:%a} {shown} {wall:%H:%M}")
    at = _on_the_wall(datetime.combine(first, wall), zone, name)
    return at if at > now else _on_the_wall(datetime.combine(first + step, wall), zone, name)


def _on_the_wall(wall: datetime, zone: ZoneInfo, name: str) -> datetime:
    """Return the instant of a wall clock in `zone`, or at the offset that `name` says. Raises ContradictionError for other names."""
    if name and (offset := _OFFSET.fullmatch(name)):
        east = timedelta(hours=int(offset[2] or 0), minutes=int(offset[3] or 0))
        return wall.replace(tzinfo=timezone(-east if offset[1] == "-" else east)).astimezone(UTC)
    at = wall_to_utc(wall, zone)
    again = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)          # of an hour that the clock shows twice
    found = next((one for one in (at, again) if name in ("", f"{one.astimezone(zone):%Z}")), None)
    if found is None:
        shown = f"{wall:%a} {wall.day} {wall:%b %Y %H:%M}"
        raise ContradictionError(f"{name!r} is not what our time is called then", f"{shown} {at.astimezone(zone):%Z}")
    return found


_WEEK, _NO_OTHER = timedelta(days=7), timedelta(0)
_Day = tuple[date, timedelta, int | None]
"""The first such day, how far away the next one is, and the weekday that is said with a date."""
_NO_ZONES = frozenset({*_DAYS, *_MONTHS, *_NOON, "today"})
"""What may stand in capitals and is no zone."""


def _day(words: list[str], local: datetime) -> tuple[_Day | None, list[str]]:
    """Return the day that the words at the front name, and the words left."""
    if not words:
        return None, words
    first, today = words[0].rstrip("."), local.date()
    if first in ("today", "tomorrow"):
        return (today + timedelta(days=first == "tomorrow"), _NO_OTHER, None), words[1:]
    if first in _DAYS:
        dated, rest = _dated(words[1:], today)
        if dated:
            return (*dated, _DAYS[first]), rest
        return (today + timedelta(days=(_DAYS[first] - today.weekday()) % 7), _WEEK, None), words[1:]
    dated, rest = _dated(words, today)
    return ((*dated, None) if dated else None), rest


def _dated(words: list[str], today: date) -> tuple[tuple[date, timedelta] | None, list[str]]:
    """Return the date that the words at the front name, and the words left."""
    if not words:
        return None, words
    first = words[0].rstrip(".")
    if match := _DOTTED.fullmatch(words[0]):
        return _date(int(match[1]), int(match[2]), match[3], today), words[1:]
    if match := _ISO.fullmatch(words[0]):
        return _date(int(match[3]), int(match[2]), match[1], today), words[1:]
    if len(words) > 1:
        other = words[1].rstrip(".")
        ordinal, month = (first, other) if other in _MONTHS else (other, first)
        bare = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", ordinal)
        if bare and month in _MONTHS:
            year = words[2] if len(words) > 2 and re.fullmatch(r"\d{4}", words[2]) else None
            return _date(int(bare[1]), _MONTHS[month], year, today), words[3 if year else 2:]
    return None, words


def _date(day: int, month: int, year: str | None, today: date) -> tuple[date, timedelta]:
    """Return the date, where no year is said the next one, unless it was lately: then that one, which has passed."""
    if year:
        return _calendar_day(int(year), month, day), _NO_OTHER
    for at in range(today.year, today.year + 1 + _LEAP_YEARS):
        try:
            named = date(at, month, day)
        except ValueError:
            continue
        if named > today - _LATELY:
            return named, _NO_OTHER
    return _calendar_day(today.year, month, day), _NO_OTHER


def _calendar_day(year: int, month: int, day: int) -> date:
    try:
        if year in _YEARS:
            return date(year, month, day)
    except ValueError:
        pass
    raise ArgumentError(f"{year}-{month:02}-{day:02} is no day of the calendar", "2 Dec")


def _clock(words: list[str]) -> tuple[time | None, list[str]]:
    if not words:
        return None, words
    if words[0] in _NOON:
        return _NOON[words[0]], words[1:]
    for taken in (2, 1):
        match = _CLOCK.fullmatch("".join(words[:taken])) if len(words) >= taken else None
        if match is None or not (match[2] or match[3]) or (words[1:taken] and words[1][0].isdigit()):
            continue
        hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").replace(".", "")
        if half and not 1 <= hour <= 12:
            raise ArgumentError(f"{words[0]!r} is no time of day", "15:00")
        if half:
            hour = hour % 12 + (12 if half.lower() == "pm" else 0)
        if hour > 23 or minute > 59:
            raise ArgumentError(f"{words[0]!r} is no time of day", "15:00")
        return time(hour, minute), words[taken:]
    return None, words


def _form_of(text: str, read: Callable[[str, datetime, ZoneInfo], datetime]) -> None:
    """Read an instant as if it were long ago: only its form is in question, and what does not fit together has one."""
    with suppress(ContradictionError):
        read(text, _LONG_AGO, ZoneInfo("UTC"))


def _nothing(text: str) -> None:
    if text:
        raise ArgumentError("nothing belongs behind this word")


def _some(text: str) -> None:
    if not text:
        raise ArgumentError("something is missing behind it")


def _tokens(most: int) -> Callable[[str], None]:
    def check(text: str) -> None:
        words = text.split()
        if not 1 <= len(words) <= most or not all(_TOKEN.fullmatch(word) for word in words):
            raise ArgumentError(f"{text!r} is not one word" if most == 1 else f"{text!r} is not a word or two")

    return check


def _reference(text: str) -> None:
    if not _REFERENCE.fullmatch(text):
        raise ArgumentError(f"{text!r} is no reference", "JIRA-12")


def _numbers(text: str) -> None:
    if not _NUMBERS.fullmatch(text):
        raise ArgumentError(f"{text!r} is no list of numbers", "1 2")


def _length_or_until(text: str) -> None:
    try:
        length(text)
    except ArgumentError:
        _form_of(text, until)


_CHECKS: Mapping[Argument, Callable[[str], object]] = {
    Argument.NONE: _nothing,
    Argument.TEXT: _some,
    Argument.TOKEN: _tokens(1),
    Argument.TOKENS: _tokens(2),
    Argument.STATUS: status,
    Argument.INSTANT: lambda text: _form_of(text, instant),
    Argument.UNTIL: lambda text: _form_of(text, until),
    Argument.LENGTH: length,
    Argument.LENGTH_OR_UNTIL: _length_or_until,
    Argument.NUMBER: number,
    Argument.ADDRESSES: addresses,
    Argument.PERSON: lambda text: addresses(text.removeprefix("as ")),
    Argument.NUMBERS: _numbers,
    Argument.WORKED: worked,
    Argument.REFERENCE: _reference,
    Argument.FIXED: fixed,
}
