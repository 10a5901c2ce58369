"""[trackers]: whose mail is that of a development tracker, and how its bugs are numbered."""

from __future__ import annotations

import re

from rtmail.config.reading import Report
from rtmail.config.sections import Tables
from rtmail.desk.machines.systems import BUG_KEY, Tracker
from rtmail.mail.address import key


def trackers(tables: Tables) -> tuple[Tracker, ...]:
    """Return the trackers in the order of the config."""
    return tuple(
        Tracker(name, tuple(sender.lower() for sender in table.senders), table.key or BUG_KEY) for name, table in tables.trackers.items()
    )


def check(tables: Tables, report: Report) -> None:
    """Patterns that compile and match something; a tracker is nobody of the staff."""
    staff = {key(spec): name for name, person in tables.people.items() for spec in (person.email, *person.aliases)}
    cure = "write the pattern of one number: 'EB-\\d+'"
    for name, table in tables.trackers.items():
        for n, sender in enumerate(table.senders):
            if person := staff.get(key(sender)):
                right = "write the address that the tracker sends from"
                report.tell(("trackers", name, "senders", n), f"{sender} is {person}'s address", right)
        try:
            if re.fullmatch(table.key or BUG_KEY, ""):
                report.tell(("trackers", name, "key"), f"{table.key!r} matches nothing at all", cure)
        except re.error as error:
            report.tell(("trackers", name, "key"), f"{table.key!r} is no pattern: {error}", cure)
