"""[monitoring]: which senders' mails are alerts, and how they are read; the rules of known systems ship as a file beside the config."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from rtmail.config.reading import Report, suggestion, text_of
from rtmail.config.sections import MonitorTable, Tables
from rtmail.desk.machines.systems import Monitor

FILE = "monitoring.toml"


def monitors(tables: Tables, file: Path | None) -> tuple[Monitor, ...]:
    """Return how alerts are read, in the order of the config; `file` holds the shipped rules."""
    rules = _rules(file) if tables.monitoring else {}
    found = []
    for name, table in tables.monitoring.items():
        subject, recovered = _patterns(name, table, rules)
        senders = tuple(sender.lower() for sender in table.senders)
        found.append(Monitor(name, senders, subject, recovered, table.on_recovery))
    return tuple(found)


def check(tables: Tables, report: Report, file: Path | None) -> None:
    """Rules that there are, and patterns that compile and name a state."""
    try:
        rules = _rules(file) if tables.monitoring else {}
    except (OSError, ValueError) as error:
        report.tell(("monitoring",), f"{file} cannot be read: {error}", "mend it, or take it away: then the shipped one counts")
        return
    for name, table in tables.monitoring.items():
        rule = table.rule or name
        if not table.subject and rule not in rules:
            cure = suggestion(rule, list(rules), f"name one of: {', '.join(rules)}; or write subject and recovered")
            at = ("monitoring", name, "rule") if table.rule else ("monitoring", name)
            report.tell(at, f"there is no rule {rule!r} for alerts", cure)
            continue
        for key, pattern in zip(("subject", "recovered"), _patterns(name, table, rules), strict=True):
            try:
                groups = re.compile(pattern).groupindex
            except re.error as error:
                report.tell(("monitoring", name, key), f"{pattern!r} is no pattern: {error}", "write a regular expression")
                continue
            if key == "subject" and ("state" not in groups or len(groups) < 2):
                cure = "name what is wrong and how it stands: '(?P<what>.+) is (?P<state>\\w+)'"
                report.tell(("monitoring", name, key), "it names no state, or no problem", cure)


def _patterns(name: str, table: MonitorTable, rules: dict[str, Any]) -> tuple[str, str]:
    rule = rules.get(table.rule or name, {})
    return table.subject or str(rule.get("subject", "")), table.recovered or str(rule.get("recovered", ""))


def _rules(file: Path | None) -> dict[str, Any]:
    return tomllib.loads(text_of(file)) if file else {}
