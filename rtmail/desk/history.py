"""What an event of a request says in one line, for whoever reads its history."""

from __future__ import annotations

from collections.abc import Mapping

from rtmail.desk.ticket import Event, EventKind


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
            return str(facts["name"])
        case _:
            return str(facts.get("reason", ""))


def _named(names: Mapping[int, str], value: object) -> str:
    return names.get(value, str(value)) if isinstance(value, int) and value else str(value or "none")
