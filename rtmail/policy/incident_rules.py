"""The tables of a policy about outages and planned work -> values: `[incidents]` and `[maintenance]`.

Called by `policy.schema`, which reads what they have in common with priorities. Without them the policy's own priorities are the
severities of an incident, and a maintenance needs no notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rtmail.policy.calendars import Calendars
from rtmail.policy.duration import Duration
from rtmail.policy.model import Incidents, Maintenance, Priority
from rtmail.policy.table import Table

ReadPriority = Callable[[str, Table], Priority]
_COMMON = ("announce_within", "update_every", "calendar", "update_calendar", "update_mode", "nudge", "ladder_calendar")
"""What `[incidents]` may say for all severities that say nothing of it."""
_MAINTENANCE, _MAIL = "maintenance", "mail"


def incidents(top: Table, priorities: Mapping[str, Priority], read: ReadPriority) -> Incidents:
    """Return what `[incidents]` says."""
    table = top.table("incidents")
    tell_linked = table.flag("tell_linked", True)
    common = {key: table.values[key] for key in _COMMON if key in table.values}
    named = table.table("severities")
    found = [read(key, _announced(named.table(key).over(common))) for key in named.values]
    if common and not found:
        table.complain(None, "there are no severities", "add one: [incidents.severities.critical] with code = 90")
    page_alone = frozenset(key for key in named.values if not named.table(key).flag(_MAIL, True))
    table.done_but(_COMMON)
    return Incidents(by_code(named, found) if found else priorities, tell_linked, page_alone)


def maintenance(top: Table, calendars: Calendars, read: ReadPriority) -> Maintenance:
    """Return what `[maintenance]` says."""
    table = top.table("maintenance").over({"code": 1})
    notice = table.length("notice")
    window = calendars.named(table, "window", "always") if "window" in table.values else ""
    remind = tuple(_remind(table))
    return Maintenance(read(_MAINTENANCE, table), notice, window, remind)


def by_code(table: Table, found: Iterable[Priority]) -> dict[str, Priority]:
    """Return priorities by key, the most urgent first; each has a code of its own."""
    found, codes = tuple(found), dict[int, str]()
    for priority in found:
        if priority.code in codes:
            cure = "give each priority a code of its own; the higher code is the more urgent"
            table.complain(priority.key, f"{codes[priority.code]} and {priority.key} have the same code", cure)
        codes[priority.code] = priority.key
    return {priority.key: priority for priority in sorted(found, key=lambda priority: -priority.code)}


def _announced(table: Table) -> Table:
    """A severity as a priority: its first answer is the announcement."""
    values = {("first_response" if key == "announce_within" else key): value for key, value in table.values.items() if key != _MAIL}
    if "first_response" in table.values:
        table.complain("first_response", f"{table.named('first_response')} is for requests", 'write announce_within = "4h"')
    return table.instead(values)


def _remind(table: Table) -> Iterable[Duration]:
    for text in table.names("remind"):
        try:
            length = Duration.parse(text)
        except ValueError:
            length = Duration()
        if length.is_zero or length.business_days:
            table.complain("remind", f"{table.named('remind')} holds {text!r}", 'write lengths before the start: ["1d", "1h"]')
        else:
            yield length
