"""What the status page says: incidents, planned work and what is over, in the words that staff gave to everybody affected.

Only what affects everybody, or services, is on it: who reads that an organisation is affected learns whose customer it is. Nothing
of it is internal: it is made of the correspondence alone (promise 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk.outages import about, affected
from rtmail.desk.outages.about import About, Kind, Stage
from rtmail.desk.ticket import Status, Ticket
from rtmail.mail.site import Site
from rtmail.policy.model import Policy

PAST = timedelta(days=14)
AT_MOST = 20
"""Of each kind; a page that lists more is read by nobody."""
Said = Sequence[tuple[datetime, str]]
"""What was said to everybody affected, the oldest first."""


def facts(rows: Sequence[tuple[Ticket, Policy, Said]], site: Site, title: str) -> dict[str, Any]:
    """Return what the page says of these incidents, but for the instant at which it is written."""
    shown = [(one, found, policy, said) for one, policy, said in rows
             if (found := about.about(one.fields)) and affected.public(found.affects) and _told(one, found)]  # fmt: skip
    live = [row for row in shown if row[0].status in about.LIVE]
    planned = sorted((_planned(*row) for row in live if row[1].kind is Kind.MAINTENANCE), key=lambda row: row["starts_at"])
    past = sorted((_past(*row) for row in shown if row[0].status not in about.LIVE), key=lambda row: row["until"], reverse=True)
    return {
        "title": title or site.name,
        "site": site.name,
        "open": [_open(*row) for row in reversed(live) if row[1].kind is Kind.INCIDENT][:AT_MOST],
        "planned": planned[:AT_MOST],
        "running": any(row["stage"] != Stage.PLANNED for row in planned),
        "past": past[:AT_MOST],
        "portal_url": site.portal_url.replace("{number}", ""),
    }


def _told(one: Ticket, found: About) -> bool:
    """What was announced; work within the recurring window once it is under way: it is felt then."""
    if found.kind is Kind.INCIDENT:
        return one.answered and one.status is not Status.REJECTED
    return not found.quiet or found.stage in (Stage.UNDER_WAY, Stage.OVERRUN)


def _open(one: Ticket, found: About, policy: Policy, said: Said) -> Mapping[str, Any]:
    severity = policy.incidents.severities.get(one.priority)
    return {"title": one.subject, "severity": severity.meaning if severity else "", "since": one.opened_at, **_common(found, said)}


def _planned(one: Ticket, found: About, policy: Policy, said: Said) -> dict[str, Any]:
    return {"title": one.subject, "starts_at": found.starts_at, "ends_at": found.ends_at, "stage": str(found.stage), **_common(found, said)}


def _past(one: Ticket, found: About, policy: Policy, said: Said) -> dict[str, Any]:
    begun = found.starts_at if found.starts_at and found.stage is not Stage.CANCELLED else one.opened_at
    stage = str(found.stage) if found.kind is Kind.MAINTENANCE else ""
    return {"title": one.subject, "since": begun, "until": one.status_at or one.opened_at, "stage": stage, **_common(found, said)}


def _common(found: About, said: Said) -> dict[str, Any]:
    return {"services": ", ".join(affected.services(found.affects)), "said": [{"at": at, "text": text} for at, text in reversed(said)]}
