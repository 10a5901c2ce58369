"""What staff noted of a request, as fields of it, and how that reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rtmail.desk.ticket import WAIT_UNTIL

WORKED, DUE, REFS, FIXED, URGENCY = "worked", "due", "refs", "fixed", "urgency"


def shown(at: datetime, zone: ZoneInfo) -> str:
    """Return an instant as staff read it: "Sat 05 Dec 2026 15:00 CET"."""
    return f"{at.astimezone(zone):%a %d %b %Y %H:%M %Z}"


def shown_near(at: datetime, zone: ZoneInfo) -> str:
    """Return an instant of these days as staff read it, without the year."""
    return f"{at.astimezone(zone):%a %d %b %H:%M %Z}"


def rows(fields: Mapping[str, Any], zone: ZoneInfo) -> list[dict[str, str]]:
    """Return it as rows {what, value}; nothing noted gives none."""
    found = [
        {"what": what, "value": shown(datetime.fromisoformat(fields[name]), zone)}
        for what, name in (("Waits until", WAIT_UNTIL), ("Due", DUE))
        if fields.get(name)
    ]
    if (fields.get(WORKED) or {}).get("minutes"):
        found.append({"what": "Time worked", "value": spent(fields)})
    if fields.get(URGENCY):
        noted = fields[URGENCY]
        said = ", ".join(f"{name} {noted[name]}" for name in ("impact", "spread") if noted.get(name))
        found.append({"what": "Urgency", "value": f"{noted['value']}{f' ({said})' if said else ''}"})
    if fields.get(REFS):
        found.append({"what": "Elsewhere", "value": ", ".join(_as_it_stands(ref, fields) for ref in fields[REFS])})
    return found


_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}-\d{1,12}")


def reference(text: str) -> str:
    """Return the number that something has elsewhere as we keep it, however it was written: "JIRA-12" for "jira-12" and for its link."""
    short = text.strip()
    if "://" in short:
        last = urlsplit(short).path.rstrip("/").rpartition("/")[2]
        short = last if _KEY.fullmatch(last) else short
    return short.upper() if _KEY.fullmatch(short) else short


def system_of(ref: str) -> str:
    """Return in which system a number is known: the host of a link, what stands before the last hyphen, "" for a bare number."""
    return urlsplit(ref).hostname or "" if "://" in ref else ref.rpartition("-")[0].lower()


def _as_it_stands(ref: str, fields: Mapping[str, Any]) -> str:
    version = (fields.get(FIXED) or {}).get(ref)
    return ref if version is None else f"{ref} (fixed{f' in {version}' if version else ''})"


def spent(fields: Mapping[str, Any]) -> str:
    """Return the time worked in words: "1 h 30 min (30 min billable)"."""
    total = fields.get(WORKED) or {"minutes": 0, "billable": 0}
    billable = f" ({_length(total['billable'])} billable)" if total["billable"] else ""
    return _length(total["minutes"]) + billable


def _length(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return " ".join(filter(None, [f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else ""]))
