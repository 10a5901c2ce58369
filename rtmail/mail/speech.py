"""Instants and lengths of time as people read them, in the languages that templates ship in.

Templates reach these as the filters `when`, `brief`, `duration`, `workdays` and `size`; an unknown language reads English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Tongue:
    """What a language needs: names of days and months, the shape of a date, units and business days as (one, few, many)."""

    days: tuple[str, ...]
    months: tuple[str, ...]
    date: str
    units: tuple[tuple[str, str, str], ...]
    workdays: tuple[str, str, str]
    moment: str
    slavic: bool = False
    to: str = " to "
    point: str = "."
    terms: Mapping[str, str] = field(default_factory=dict)
    """Words that the desk hands over in English: promises, states, roles, what links do."""


_TONGUES = {
    "en": Tongue(
        ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        "{weekday} {day} {month} {year}, {clock}",
        (("day", "days", "days"), ("hour", "hours", "hours"), ("minute", "minutes", "minutes")),
        ("business day", "business days", "business days"),
        "less than a minute",
    ),
    "de": Tongue(
        ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
        ("Jan.", "Feb.", "März", "April", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."),
        "{weekday} {day}. {month} {year}, {clock}",
        (("Tag", "Tage", "Tage"), ("Stunde", "Stunden", "Stunden"), ("Minute", "Minuten", "Minuten")),
        ("Werktag", "Werktage", "Werktage"),
        "weniger als eine Minute",
        to=" bis ",
        point=",",
        terms={
            "bytes": "Byte",
            "triage": "Einstufung", "first response": "erste Antwort", "update": "Zwischenbescheid", "resolution": "Lösung",
            "ladder": "Eskalation", "closing": "Abschluss", "appeal": "Einspruch",
            "new": "neu", "open": "offen", "waiting": "wartend", "resolved": "gelöst", "closed": "geschlossen",
            "rejected": "abgelehnt", "nobody": "niemand", "status": "Status", "owner": "Zuständig", "priority": "Priorität",
            "queue": "Bereich", "subject": "Betreff", "requestor": "Anfragende", "take": "Übernehmen", "comment": "Kommentieren",
            "answer the customer": "Dem Kunden antworten", "accept": "Aufnehmen", "split": "Abtrennen", "wait": "Warten",
            "resolve": "Gelöst", "snooze": "Später", "acknowledge": "Zur Kenntnis genommen", "undo": "Rückgängig",
            "mute": "Keine Kopien mehr",
            "reopen": "Wieder öffnen", "approve": "Zustimmen", "agree": "Einverstanden", "disagree": "Nicht einverstanden",
        },
    ),
    "uk": Tongue(
        ("пн", "вт", "ср", "чт", "пт", "сб", "нд"),
        ("січня", "лютого", "березня", "квітня", "травня", "червня", "липня", "серпня", "вересня", "жовтня", "листопада", "грудня"),
        "{weekday} {day} {month} {year}, {clock}",
        (("день", "дні", "днів"), ("година", "години", "годин"), ("хвилина", "хвилини", "хвилин")),
        ("робочий день", "робочі дні", "робочих днів"),
        "менше хвилини",
        slavic=True,
        to=" до ",
        point=",",
        terms={
            "bytes": "байтів", "triage": "визначення пріоритету", "first response": "перша відповідь", "update": "проміжна звістка",
            "resolution": "вирішення", "ladder": "ескалація", "closing": "закриття", "appeal": "оскарження",
            "new": "нове", "open": "у роботі", "waiting": "очікує",
            "resolved": "вирішено", "closed": "закрито", "rejected": "відхилено", "nobody": "ніхто", "status": "Стан",
            "owner": "Відповідальний", "priority": "Пріоритет", "queue": "Черга", "subject": "Тема", "requestor": "Заявник",
            "take": "Взяти", "comment": "Коментувати", "answer the customer": "Відповісти клієнтові", "accept": "Прийняти",
            "split": "Відокремити", "wait": "Чекати", "resolve": "Вирішено", "snooze": "Пізніше", "acknowledge": "Прийнято до відома",
            "undo": "Скасувати", "mute": "Більше без копій", "reopen": "Відкрити знову", "approve": "Схвалити",
            "agree": "Згоден", "disagree": "Не згоден",
        },
    ),
}


def tongue(language: str) -> Tongue:
    """Return the tongue of a language tag such as "de-AT"; English where we know none."""
    return _TONGUES.get(language.lower().partition("-")[0], _TONGUES["en"])


_WHOLE = {
    "days": (
        ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        ("понеділок", "вівторок", "середа", "четвер", "п'ятниця", "субота", "неділя"),
        ("", "", "середу", "", "п'ятницю", "суботу", "неділю"),
        ("", "", "", "", "п’ятниця", "Sonnabend", ""),
        ("", "", "", "", "п’ятницю", "", ""),
    ),
    "months": (
        ("Januar", "Februar", "", "", "", "", "", "August", "September", "Oktober", "November", "Dezember"),
        ("Jänner", "", "Maerz", "", "", "", "", "", "", "", "", ""),
    ),
}  # fmt: skip
"""Names that people write in full where we write them short."""


def names(what: str) -> dict[str, int]:
    """Return how people write the "days" or the "months" in all our languages, without dots and in small letters, with their place."""
    rows = (*(getattr(one, what) for one in _TONGUES.values()), *_WHOLE[what])
    return {name.lower().rstrip("."): place for row in rows for place, name in enumerate(row) if name}


def when(at: datetime, zone: tzinfo, language: str) -> str:
    """Return `at` on the wall clock of `zone`, with the zone's name: "Mon 23 Nov 2026, 15:00 CET"."""
    local, speech = at.astimezone(zone), tongue(language)
    name = local.tzname() or "UTC"
    if name[0] in "+-":
        name = "UTC" + name
    date = speech.date.format(weekday=speech.days[local.weekday()], day=local.day, month=speech.months[local.month - 1],
                              year=local.year, clock=f"{local:%H:%M}")
    return f"{date} {name}"


def brief(at: datetime, zone: tzinfo, language: str) -> str:
    """Return `at` on the wall clock of `zone` for a table: "Mon 23 Nov 15:00"."""
    local, speech = at.astimezone(zone), tongue(language)
    date = speech.date.format(weekday=speech.days[local.weekday()], day=local.day, month=speech.months[local.month - 1], year="",
                              clock=f"{local:%H:%M}")
    return " ".join(date.replace(",", " ").split())


_INSTANT = re.compile(
    rf"(?:({'|'.join(_TONGUES['en'].days)}) )?([0-9]{{1,2}}) ({'|'.join(_TONGUES['en'].months)})(?: ([0-9]{{4}}))?"
    r"(?:,? ([0-9]{2}:[0-9]{2})((?: [A-Z]{2,5}| [+-][0-9]{2,4})?))?"
)


def instant(text: str, language: str) -> str:
    """Return an instant or a day that the desk wrote in English ("Sat 05 Dec 2026 15:00 CET") as `language` does; "" for another text."""
    found, english, speech = _INSTANT.fullmatch(text), _TONGUES["en"], tongue(language)
    if found is None:
        return ""
    weekday, day, month, year, clock, zone = found.groups()
    written = speech.date.format(weekday=speech.days[english.days.index(weekday)] if weekday else "", day=int(day),
                                 month=speech.months[english.months.index(month)], year=year or "", clock=f"{clock or ''}{zone or ''}")
    return " ".join((written if year else written.replace(",", " ")).split()).rstrip(",")


def span(text: str, language: str) -> str:
    """Return from when to when, as the desk wrote it in English, in `language`; "" for another text."""
    begins, _, ends = (instant(each, language) if each != " to " else each for each in text.partition(" to "))
    return f"{begins}{tongue(language).to}{ends}" if begins and ends else ""


def duration(length: timedelta, language: str) -> str:
    """Return the two largest units of `length`, its sign dropped: "1 hour 30 minutes"."""
    speech = tongue(language)
    minutes = int(abs(length).total_seconds()) // 60
    counts = (minutes // 1440, minutes // 60 % 24, minutes % 60)
    words = [f"{count} {_form(count, forms, speech.slavic)}" for count, forms in zip(counts, speech.units, strict=True) if count]
    return " ".join(words[:2]) or speech.moment


def workdays(count: int, language: str) -> str:
    """Return so many business days in words: "2 business days"."""
    speech = tongue(language)
    return f"{count} {_form(count, speech.workdays, speech.slavic)}"


def size(count: int, language: str) -> str:
    """Return so many bytes in the largest fitting unit: "41.2 MB"."""
    unit, name = next(((unit, name) for unit, name in ((1024**2, "MB"), (1024, "kB")) if count >= unit), (1, "bytes"))
    said = f"{count / unit:.1f}".removesuffix(".0")
    speech = tongue(language)
    return f"{said.replace('.', speech.point)} {speech.terms.get(name, name)}"


def term(word: str, language: str) -> str:
    """Return a word of the desk's in `language`, with its first letter as it was; itself where there is no other for it."""
    said = tongue(language).terms.get(word.lower())
    if said is None:
        return word
    return said[:1].upper() + said[1:] if word[:1].isupper() else said


def _form(count: int, forms: tuple[str, str, str], slavic: bool) -> str:
    if not slavic:
        return forms[0] if count == 1 else forms[1]
    if count % 10 == 1 and count % 100 != 11:
        return forms[0]
    return forms[1] if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else forms[2]
