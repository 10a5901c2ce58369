"""Two engineers at once: an answer that was written before its author could see a colleague's is sent, and both hear of it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from rtmail.desk.decision import Builder
from rtmail.desk.people import Person
from rtmail.desk.stimulus import Received


def crossed(builder: Builder, stimulus: Received, author: Person) -> tuple[Person, datetime] | None:
    """Return the colleague whose public answer is later than the mail that these words answer, and when he wrote; None for none.

    Where nothing tells which mail is answered, nothing is known to have crossed.
    """
    last = stimulus.last_answer
    if last is None or not 0 < stimulus.answers < last.seq or last.actor == author.party:
        return None
    colleague = builder.house.directory.by_party(last.actor)
    return (colleague, last.at) if colleague else None


def told(colleague: Person, at: datetime, zone: str) -> str:
    """Say it in a line, with the time on the site's clock."""
    return f"Crossed with {colleague.name}, {at.astimezone(ZoneInfo(zone)):%H:%M}"
