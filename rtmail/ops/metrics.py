"""Figures for Prometheus: what the log is told is counted, what waits is asked of the store when somebody looks.

Imported by the daemon only when `[web]` is configured. Counters begin at zero with each daemon; figures of the store are the same
from every daemon of it. docs/monitoring.md says what each of them means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rtmail import __version__, log
from rtmail.errors import RtmailError
from rtmail.ops.eyes import Live
from rtmail.ops.tenure import SILENT
from rtmail.store import Pausable, Store

CONTENT_TYPE = CONTENT_TYPE_LATEST
DUE_WITHIN = timedelta(hours=1)
STALE = timedelta(minutes=10)
CLOCKS = ("triage", "first-response", "update", "resolution")
KEPT_SECONDS = 2.0
"""Several that look at once cost the store one look."""
LATE = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86400)
OUTCOMES = {"matched": "event", "held": "held", "bounced": "bounce", "junked": "junk", "ignored": "ignored",
            "quarantined": "quarantined", "for_admin": "admin"}
"""What the log calls it -> `outcome` of rtmail_mails_total."""
RESULTS = {"sent": "sent", "deferred": "deferred", "undeliverable": "failed", "expired": "expired"}
STAGES = ("courier", "engine", "mailbox", "notice", "relay", "reload", "report", "settle", "status", "stub", "sweep", "web")
"""What may fail in a daemon."""
REFUSALS = {"refused": "refused", "put_off": "put-off", "connection_refused": "connection", "auth_refused": "password"}


class Figures:
    """The registry of one daemon; counts from `watch` until `close`."""

    def __init__(self, store: Store, clock: Callable[[], datetime], live: Callable[[], Live]) -> None:
        self._store, self._clock, self._live = store, clock, live
        self._registry = registry = CollectorRegistry()
        self._text, self._made_at = b"", 0.0

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(name, says, labels, registry=registry)

        self._accepted = counter("rtmail_mails_accepted", "Mails kept, by the door they came in at", "ingress")
        self._refused = counter("rtmail_refusals", "Mails, connections and passwords that were not taken", "ingress", "why")
        self._settled = counter("rtmail_mails", "Mails worked off, by what became of them", "outcome")
        self._retried = counter("rtmail_mails_retried", "Failures at a kept mail, which is tried again")
        self._deliveries = counter("rtmail_deliveries", "Tries at outgoing mails, by result", "result")
        self._rungs = counter("rtmail_rungs_sent", "Rungs of ladders that were told", "clock")
        self._late = Histogram(
            "rtmail_rung_lateness_seconds", "How long after its instant a rung was told", buckets=LATE, registry=registry)
        self._trips = counter("rtmail_breaker_trips", "How often the loop breaker stopped automatic answers")
        self._failures = counter("rtmail_failures", "Failures of our own, by the part that failed", "stage")
        self._alarms = counter("rtmail_alarms", "Lines of the log that say what a person must mend")
        self._canaries_missed = counter("rtmail_canaries_missed", "Canary mails that did not come back in time")
        # Shown as 0 from the beginning: of a figure that appears with its first count, Prometheus sees no increase.
        for counted, names in ((self._settled, OUTCOMES), (self._deliveries, RESULTS)):
            for label in names.values():
                counted.labels(label)
        for stage in STAGES:
            self._failures.labels(stage)
        registry.register(_AtOnce(self._asked))
        ProcessCollector(registry=registry)
        log.watch(self._told)

    def close(self) -> None:
        """Count no more."""
        log.unwatch(self._told)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them; asks the store, which may take a moment."""
        if not self._text or time.monotonic() - self._made_at > KEPT_SECONDS:
            self._text, self._made_at = generate_latest(self._registry), time.monotonic()
        return self._text

    def _told(self, event: str, fields: Mapping[str, Any]) -> None:
        if event in OUTCOMES:
            self._settled.labels(OUTCOMES[event]).inc()
        elif event in RESULTS:
            self._deliveries.labels(RESULTS[event]).inc()
        elif event in REFUSALS:
            self._refused.labels(fields["ingress"], REFUSALS[event]).inc()
        elif event == "accepted":
            self._accepted.labels(fields["ingress"]).inc()
        elif event == "retried":
            self._retried.inc()
        elif event == "told":
            self._rungs.labels(fields["clock"]).inc()
            self._late.observe(max(fields["late_seconds"], 0))
        elif event == "breaker_tripped":
            self._trips.inc()
        elif event == "failed":
            self._failures.labels(fields["stage"]).inc()
        elif event == "alarm":
            self._alarms.inc()
        elif event == "canary_missed":
            self._canaries_missed.inc()

    # -- asked at each look -----------------------------------------------------------------------------------------

    def _asked(self) -> Iterator[Metric]:
        yield _gauge("rtmail_info", "1, with the version", {(__version__,): 1}, "version")
        dropped = CounterMetricFamily("rtmail_log_lines_dropped", "Lines of the log that nobody read")
        now, live = self._clock(), self._live()
        dropped.add_metric([], live.dropped)
        yield dropped
        yield from _of_the_daemon(live)
        try:
            found = list(self._of_the_store(now))
        except RtmailError:
            yield _gauge("rtmail_store_up", "1 while the database answers", {(): 0})
        else:
            yield _gauge("rtmail_store_up", "1 while the database answers", {(): 1})
            yield from found

    def _of_the_store(self, now: datetime) -> Iterator[Metric]:
        store = self._store
        ages = store.ages(now, STALE, now - timedelta(days=1))
        due = store.due(now, DUE_WITHIN)
        paused, serving, backup = {pause.what for pause in store.pauses()}, store.serving(), store.last_backup()

        def age(since: datetime | None) -> float:
            return max((now - since).total_seconds(), 0) if since else 0

        def by_clock(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
            return {(clock,): counts.get(clock, 0) for clock in CLOCKS}

        yield _gauge("rtmail_spool_mails", "Mails kept and not yet worked off", {(): ages.spool.count})
        yield _gauge("rtmail_spool_age_seconds", "How long the oldest of them waits", {(): age(ages.spool.since)})
        yield _gauge("rtmail_outbox_mails", "Mails that are due to go out", {(): ages.outbox.count})
        yield _gauge("rtmail_outbox_age_seconds", "How long the oldest of them is due", {(): age(ages.outbox.since)})
        yield _gauge("rtmail_outbox_failed_last_day", "Mails that failed, expired or bounced in 24 hours", {(): ages.failed})
        yield _gauge("rtmail_stale_claims", "Mails that a daemon claimed and left", {(): ages.stale})
        yield _gauge("rtmail_quarantined_mails", "Mails in quarantine", {(): ages.quarantined})
        yield _gauge("rtmail_held_mails", "Mails that wait for a person's word", {(): ages.held})
        yield _gauge("rtmail_promises_due", "Promises that fall due within an hour", by_clock(due.soon), "clock")
        yield _gauge(
            "rtmail_promises_overdue", "Promises that run and are past their instant",
            by_clock(due.over), "clock")
        yield _gauge("rtmail_requests_to_wake", "Requests on which time has something to do now", {(): due.wakes})
        yield _gauge("rtmail_wake_lateness_seconds", "How long the first of them waits", {(): age(due.since)})
        yield _gauge(
            "rtmail_paused", "1 for what stands still by somebody's word", {(str(what),): int(what in paused) for what in Pausable}, "what")
        yield _gauge("rtmail_daemons", "Daemons that work on the store", {(): sum(now - one.at < SILENT for one in serving)})
        if backup is not None:
            yield _gauge("rtmail_backup_age_seconds", "Time since the last backup", {(): age(backup)})


def _of_the_daemon(live: Live) -> Iterator[Metric]:
    yield _gauge("rtmail_healthy", "1 while the daemon takes mail and gets on", {(): int(not live.failed)})
    yield _gauge("rtmail_troubles", "What a person should look at, as /health lists it", {(): len(live.troubles)})
    yield _gauge("rtmail_relay_up", "1 while the relay takes mail", {(): int(live.relay_up)})
    read: dict[tuple[str, ...], float] = {(name,): at.timestamp() for name, (at, _) in live.mailboxes.items() if at is not None}
    yield _gauge("rtmail_imap_last_success_timestamp_seconds", "When a mailbox was read last", read, "mailbox")
    trouble: dict[tuple[str, ...], float] = {(name,): int(bool(said)) for name, (_, said) in live.mailboxes.items()}
    yield _gauge("rtmail_imap_trouble", "1 for a mailbox that cannot be read", trouble, "mailbox")
    yield _gauge("rtmail_canary_missing", "1 from when a canary mail did not come back until one does", {(): int(live.canary_missed)})
    if live.canary is not None:
        heard = live.canary
        yield _gauge("rtmail_canary_last_success_timestamp_seconds", "When a canary mail was back", {(): heard.at.timestamp()})
        yield _gauge(
            "rtmail_canary_round_trip_seconds", "From making the last one until it was back in", {(): heard.round_trip.total_seconds()})
        yield _gauge(
            "rtmail_canary_answer_seconds", "From a mail's arrival until its acknowledgement is at the relay",
            {(): heard.answer.total_seconds()})
    if live.heartbeat_at is not None:
        yield _gauge(
            "rtmail_heartbeat_last_success_timestamp_seconds", "When our heartbeat was taken last", {(): live.heartbeat_at.timestamp()})


def _gauge(name: str, says: str, values: Mapping[tuple[str, ...], float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, says, labels=labels)
    for label, value in values.items():
        family.add_metric(list(label), value)
    return family


class _AtOnce:
    """A collector in the library's sense: asked anew at each look."""

    def __init__(self, asked: Callable[[], Iterator[Metric]]) -> None:
        self._asked = asked

    def collect(self) -> Iterator[Metric]:
        return self._asked()

    def describe(self) -> list[Metric]:
        """Nothing: or it would be asked when it is registered."""
        return []
