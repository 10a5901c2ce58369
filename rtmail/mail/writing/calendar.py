"""An iCalendar entry for the mail that tells of planned work (RFC 5545, RFC 5546, RFC 6047); the only door to icalendar.

Each copy invites its reader alone, without asking for an answer and without blocking his time. METHOD is REQUEST, since clients
replace and take away by themselves what came as an invitation, and only offer what was published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rtmail.mail.model import Address


class Method(StrEnum):
    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event: `uid` names it for ever, `sequence` counts its changes. Instants are aware."""

    method: Method
    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    title: str


def text(entry: Entry, organiser: Address, reader: Address, stamp: datetime, description: str) -> str:
    """Return the entry as text/calendar, lines ended by CRLF and folded; `stamp` is when it was written."""
    # Planned work is rare, and the library as large as half of ours: whoever announces none never loads it.
    from icalendar import Calendar, Event, vCalAddress

    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", stamp)
    event.add("dtstart", entry.starts_at)
    event.add("dtend", entry.ends_at)
    event.add("summary", entry.title)
    if description:
        event.add("description", description)
    event.add("status", "CANCELLED" if entry.method is Method.CANCEL else "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    event.add("class", "PRIVATE")
    as_reader = {"CUTYPE": "INDIVIDUAL", "ROLE": "NON-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE"}
    for role, one, parameters in (("organizer", organiser, {}), ("attendee", reader, as_reader)):
        mailbox = vCalAddress(f"mailto:{one.spec}")
        if one.name:
            mailbox.params["CN"] = one.name.replace('"', "'")
        mailbox.params.update(parameters)
        event.add(role, mailbox)
    calendar = Calendar()
    calendar.add("prodid", "-//rtmail//maintenance//EN")
    calendar.add("version", "2.0")
    calendar.add("method", str(entry.method))
    calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written.decode()
