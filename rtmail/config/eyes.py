"""What can be wrong with how a house is watched: [web], [canary], [heartbeat]."""

from __future__ import annotations

import importlib.util

from rtmail.config.reading import Report, suggestion
from rtmail.config.sections import Tables


def check(tables: Tables, report: Report) -> None:
    """Tell what would show figures to strangers, and a canary that cannot come back."""
    web, canary = tables.web, tables.canary
    if web.listen is not None:
        if not web.listen.loopback:
            report.tell(("web", "listen"), f"{web.listen} could be reached from outside, and nobody is asked for a password there",
                        'listen on "127.0.0.1:9925" or "unix:/run/rtmail/web", with a proxy before it where others shall look')
        if not importlib.util.find_spec("prometheus_client"):
            report.tell(("web", "listen"), "prometheus-client is not installed", "pip install 'rtmail[web]'")
    if not tables.heartbeat.every:
        report.tell(("heartbeat", "every"), "a heartbeat without a pause", 'write a length of time: "1m"')
    if canary.queue and canary.queue not in tables.queues:
        cure = suggestion(canary.queue, tables.queues, "name a queue of this file")
        report.tell(("canary", "queue"), f"there is no queue {canary.queue!r}", cure)
    if not canary.every:
        return
    if not canary.within or canary.within >= canary.every:
        report.tell(("canary", "within"), "a canary would be followed by the next one before it could be missed",
                    'let it be shorter than every: every = "10m", within = "5m"')
    if tables.relay.redirect_to:
        report.tell(("canary", "every"), f"redirect_to sends the canary to {tables.relay.redirect_to}, and it never comes back",
                    "leave the canary out while redirect_to is set")
    if tables.relay.url.startswith("maildir:"):
        report.tell(("canary", "every"), "a Maildir sends no canary back", "set [relay] url to a mail server, or leave the canary out")
