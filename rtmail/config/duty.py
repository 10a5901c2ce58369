"""[duty.NAME]: who is on duty when, from the words of rtmail.toml; and what a sysadmin gets wrong in them."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from rtmail.config.checks import is_timezone
from rtmail.config.reading import Report, suggestion
from rtmail.config.sections import DutyTable, Tables
from rtmail.desk.duty import Roster, read_days, read_shift


def rosters(tables: Tables) -> Mapping[str, Roster]:
    """Return the rosters of a config without mistakes."""
    return {
        name: Roster(
            name=name,
            zone=ZoneInfo(table.timezone or tables.site.timezone),
            shifts=tuple(read_shift(key, tuple(people)) for key, people in table.week.items()),
            days=tuple(read_days(key, tuple(people)) for key, people in table.dates.items()),
            daily=table.turn == "day",
        )
        for name, table in tables.duty.items()
    }


def check(tables: Tables, report: Report) -> None:
    """Names of people, roles and rosters; keys that name no days; rosters that no queue has, and queues without one."""
    for name, table in tables.duty.items():
        if table.timezone and not is_timezone(table.timezone):
            cure = 'write a name of the IANA list: "Europe/Berlin"'
            report.tell(("duty", name, "timezone"), f"unknown timezone {table.timezone!r}", cure)
        if not table.week and not table.dates:
            cure = f'add [duty.{name}.week] with "mon-fri 09:00-18:00" = ["jane"]'
            report.tell(("duty", name), f"nobody is ever on duty for {name}", cure)
        _days(name, table, report)
        for where, entries in (("week", table.week), ("dates", table.dates)):
            for key, people in entries.items():
                _people(tables, report, ("duty", name, where, key), people)
        if not any(queue.duty == name for queue in tables.queues.values()):
            report.tell(("duty", name), f"no queue has this duty: {name}", f'write duty = "{name}" into its [queues.…], or take it out')
    for queue, wanted in tables.queues.items():
        if wanted.duty and wanted.duty not in tables.duty:
            cure = suggestion(wanted.duty, tables.duty, f"add [duty.{wanted.duty}], or take the key out")
            report.tell(("queues", queue, "duty"), f"{queue}: there is no duty {wanted.duty!r}", cure)
        if wanted.assign == "duty" and not wanted.duty:
            cure = 'add duty = "…", or write assign = "round-robin"'
            report.tell(("queues", queue, "assign"), f"{queue} has no duty that could name somebody", cure)


def _days(name: str, table: DutyTable, report: Report) -> None:
    for where, entries, read in (("week", table.week, read_shift), ("dates", table.dates, read_days)):
        for key in entries:
            try:
                read(key, ("x",))
            except ValueError as error:
                what, _, cure = str(error).partition(": ")
                report.tell(("duty", name, where, key), what, cure)


def _people(tables: Tables, report: Report, path: tuple[str, ...], people: list[str]) -> None:
    if not people:
        report.tell(path, f"{path[-1]!r} names nobody", 'write a list of people or roles: ["jane", "kim"]')
    for at, key in enumerate(people):
        if key not in tables.people and key not in tables.roles:
            known = [*tables.people, *tables.roles]
            report.tell((*path, at), f"{path[1]}: nobody is {key!r}", suggestion(key, known, f"name one of: {', '.join(known)}"))
