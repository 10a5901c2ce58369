"""Writes the status page into its folder: whole or not at all, and only when it says something else than before.

Called by the ticker. Every daemon of a store may write its own; what they write is the same.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from rtmail import log
from rtmail.desk.outages import status
from rtmail.desk.ticket import EventKind, Ticket
from rtmail.engine.office import Office
from rtmail.failpoint import failpoint
from rtmail.policy.model import Policy
from rtmail.store import Store

FILE = "index.html"
TEMPLATE = "status"


class StatusPage:
    """The page of one daemon."""

    def __init__(self) -> None:
        self._said: object = None
        self._trouble = ""

    def write(self, store: Store, office: Office, now: datetime) -> int:
        """Write the page where it is wanted and has news; returns the pages written."""
        settings = office.status
        if settings is None:
            return 0
        facts = status.facts(self._rows(store, office, now), office.site, settings.title)
        target = settings.folder / FILE
        said = (facts, target, office.site.language)
        if said == self._said and not self._trouble:
            return 0
        page = office.workshop.templates.page(TEMPLATE, {**facts, "at": now}, language=office.site.language)
        try:
            _put(target, page)
        except OSError as error:
            if str(error) != self._trouble:
                # Once: it is tried again at every look.
                log.failed(stage="status", error=error)
            self._trouble = str(error)
            return 0
        self._said, self._trouble = said, ""
        return 1

    def _rows(self, store: Store, office: Office, now: datetime) -> list[tuple[Ticket, Policy, status.Said]]:
        rows: list[tuple[Ticket, Policy, status.Said]] = []
        for ticket in store.incidents(since=now - status.PAST):
            said = [
                (event.at, content.text) for event, content in store.events(ticket.id)
                if event.kind is EventKind.CORRESPONDENCE and event.facts.get("by_staff") and content and not content.erased
                and not office.house.leaks(content.text)
            ]  # fmt: skip
            rows.append((ticket, office.policy(ticket.policy_version), said))
        return rows


def _put(target: Path, page: str) -> None:
    """Put a file in the place of the one before in one step: whoever reads meanwhile gets the one or the other."""
    target.parent.mkdir(mode=0o755, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.write_text(page, "utf-8")
    fresh.chmod(0o644)
    failpoint("status-before-replace")
    fresh.replace(target)
