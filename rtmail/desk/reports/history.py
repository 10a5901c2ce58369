"""What an event of a request says in one line, for whoever reads its history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rtmail.desk.fields import filled
from rtmail.desk.notes import DUE, FIXED, REFS, WORKED, shown
from rtmail.desk.ticket import WAIT_UNTIL, Event, EventKind

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00")


def lines(event: Event, names: Mapping[int, str], zone: ZoneInfo) -> list[str]:
    """Return what happened for people who read mail: instants on their clock, each change of a promise a line of its own."""
    if event.kind is EventKind.CLOCK:
        clock = str(event.facts["clock"])
        changes = event.facts["changes"]
        found = [f"{clock.replace('-', ' ')} {change['what']}: {change['rule'].removeprefix(f'{clock}: ')}" for change in changes]
    elif event.kind in (EventKind.JOINED, EventKind.LEFT):
        found = [f"{names.get(event.facts['person'], '')} ({event.facts.get('role', '')})"]
    elif event.kind is EventKind.DELIVERY:
        found = [f"{event.facts['outcome']}: {event.facts['template']}"]
    else:
        found = [said(event, names)]
    return [one if written(event) else _INSTANT.sub(lambda at: shown(datetime.fromisoformat(at[0]), zone), one) for one in found]


def said(event: Event, names: Mapping[int, str]) -> str:
    """Return what happened besides the event's kind and actor, "" for nothing more; `names` are people by party id."""
    facts = event.facts
    match event.kind:
        case EventKind.CLOCK:
            return "; ".join(f"{facts['clock']} {change['what']}: {change['rule']}" for change in facts["changes"])
        case EventKind.STATUS | EventKind.OWNER | EventKind.PRIORITY | EventKind.MOVED:
            reason = f" ({facts['reason']})" if facts.get("reason") else ""
            return f"{_named(names, facts.get('old'))} -> {_named(names, facts.get('new'))}{reason}"
        case EventKind.JOINED | EventKind.LEFT:
            return f"{names.get(facts['person'], '')} {facts.get('role', '')}".strip()
        case EventKind.DELIVERY:
            return f"{facts['template']} {facts['outcome']}"
        case EventKind.TOLD:
            return str(facts.get("rule") or facts.get("notice") or "")
        case EventKind.LINKED:
            return f"{facts['kind']} #{facts['number']}"
        case EventKind.MERGED:
            return f"into #{facts['into']}"
        case EventKind.COMMAND:
            return "; ".join(str(result["line"]) for result in facts.get("results", ())) or str(facts.get("action", ""))
        case EventKind.FIELD:
            return _noted(facts)
        case _:
            return str(facts.get("reason", ""))


def written(event: Event) -> bool:
    """Tell whether what happened is told in somebody's own words, as he wrote them: his commands."""
    return event.kind is EventKind.COMMAND


def _noted(facts: Mapping[str, Any]) -> str:
    name, value = str(facts["name"]), facts["value"]
    if name == WORKED and "minutes" in facts:
        return f"time worked: {facts['minutes']} min{' billable' if facts['billable'] else ''}"
    if name == REFS:
        return f"elsewhere: {', '.join(value or ()) or 'nowhere'}"
    if name == FIXED:
        return "told to be fixed: " + ", ".join(f"{ref} in {version}" if version else ref for ref, version in (value or {}).items())
    if name.startswith("split:"):
        return f"words split off: {value}"
    if name.startswith(filled.PREFIX):
        return f"{facts['label']}: {'filled in' if value else 'empty'}"
    if name.startswith(filled.ASK):
        return f"asked of the customer: {name.removeprefix(filled.ASK)}"
    if name == filled.GOT:
        return f"there of what was asked for: {', '.join(map(str, value or ())) or 'nothing'}"
    words = _FIELDS.get(name, "")
    return f"{words}: {value or 'no more'}" if words else ""


_FIELDS: Mapping[str, str] = {
    DUE: "due", WAIT_UNTIL: "waits until", "next": "next update promised", "eta": "expected to be solved", "update_every": "updates every",
}
"""Fields that people hear of; the others are bookkeeping."""
UNTOLD = frozenset({EventKind.CLOCK, EventKind.FIELD})
"""Events of these kinds that say nothing are left out of a history."""


def _named(names: Mapping[int, str], value: object) -> str:
    return names.get(value, str(value)) if isinstance(value, int) and value else str(value or "none")
