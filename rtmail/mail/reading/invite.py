"""A calendar invitation in a few readable lines, for mails that say nothing else (RFC 5545, RFC 5546).

`message` uses it as the text of a mail whose only readable part is text/calendar; the part itself stays an attachment.
"""

from __future__ import annotations

import re

LINES = 2000
_LABELS = {"SUMMARY": "", "DTSTART": "Start: ", "DTEND": "End: ", "LOCATION": "Where: ", "ORGANIZER": "Organiser: ", "DESCRIPTION": ""}
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_ESCAPE = re.compile(r"\\([nN,;\\])")


def summary(text: str) -> str:
    """Return title, times, place and description of the first event in `text`, a line each; "" when there is none."""
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()[:LINES]
    if not any(line.strip().upper() == "BEGIN:VCALENDAR" for line in lines):
        return ""
    found: dict[str, str] = {}
    method, inside = "", 0
    for line in lines:
        name, _, value = line.partition(":")
        name, _, parameters = name.partition(";")
        name = name.strip().upper()
        if name == "METHOD":
            method = value.strip().upper()
        elif name in ("BEGIN", "END"):
            inside += 1 if name == "BEGIN" else -1
            if name == "END" and value.strip().upper() in ("VEVENT", "VTODO"):
                break
        # Alarms lie one level deeper and have descriptions of their own.
        elif inside == 2 and name in _LABELS and name not in found:
            found[name] = _value(name, parameters, value)
    shown = [f"{label}{found[name]}" for name, label in _LABELS.items() if found.get(name)]
    return "\n".join([f"Invitation ({method.lower()})" if method else "Invitation", *shown]) if shown else ""


def _value(name: str, parameters: str, value: str) -> str:
    value = value.strip()
    if name in ("DTSTART", "DTEND") and (match := _STAMP.match(value)):
        year, month, day, hour, minute, utc = match.groups()
        zone = " UTC" if utc else _parameter(parameters, "TZID")
        return f"{year}-{month}-{day}" + (f" {hour}:{minute}{zone}" if hour else "")
    if name == "ORGANIZER":
        value = re.sub(r"(?i)^mailto:", "", value)
        common_name = _parameter(parameters, "CN").strip()
        return f"{common_name} <{value}>" if common_name else value
    return _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)


def _parameter(parameters: str, name: str) -> str:
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().upper() == name:
            return " " + value.strip().strip('"')
    return ""
