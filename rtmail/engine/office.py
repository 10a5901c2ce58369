"""What the engine works with besides the store: the house, its policies, the workshop that renders, the caps. Built from config.

A reload builds a new Office and hands it over whole; requests that are open keep the policy version they began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rtmail.desk.decision import House
from rtmail.desk.machines.systems import Monitor, Tracker
from rtmail.desk.people import Directory
from rtmail.mail.site import Site
from rtmail.mail.token import Keyring, make_message_id
from rtmail.mail.writing.compose import Workshop
from rtmail.mail.writing.dkim_sign import Signer
from rtmail.mail.writing.templates import Templates
from rtmail.policy.model import Policy
from rtmail.policy.schema import from_version
from rtmail.store import Store


@dataclass(frozen=True, slots=True)
class Caps:
    """What the loop breaker lets pass without asking for any header.

    per_address, overall     automatic answers in `window`, to one address and altogether
    per_sender, per_request  mails in `burst`, from one address and to one request
    fold                     beyond a cap a member of staff is told once in this time
    only_proven              automatic answers go to senders only whom DMARC or an aligned signature proves
    """

    per_address: int = 10
    overall: int = 1000
    window: timedelta = timedelta(hours=1)
    per_sender: int = 100
    per_request: int = 50
    burst: timedelta = timedelta(hours=1)
    fold: timedelta = timedelta(minutes=10)
    only_proven: bool = False


@dataclass(frozen=True, slots=True)
class Ages:
    """How long a queue keeps what: None for ever."""

    raw: timedelta | None = None
    closed: timedelta | None = None
    quarantine: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """The ages of all queues, by name, and of junk."""

    queues: Mapping[str, Ages]
    junk: timedelta | None = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """Where the status page is written, and what stands above it ("" for the name of the house)."""

    folder: Path
    title: str = ""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What the config says, before the store gave ids to people and policies."""

    site: Site
    directory: Directory
    keyring: Keyring
    templates: Templates
    policies: Mapping[str, Policy]
    """Queue name -> the policy under which its new requests open."""
    caps: Caps = Caps()
    retry_for: timedelta = timedelta(days=5)
    signers: tuple[Signer, ...] = ()
    monitors: tuple[Monitor, ...] = ()
    trackers: tuple[Tracker, ...] = ()
    retention: Retention = field(default_factory=lambda: Retention({}))
    status: StatusSettings | None = None
    junk_digest: str = "08:00"
    """When staff hear daily of what was set aside as junk, in the site's zone; "" for never."""
    statements_at: str = "08:00"
    """When customers have their statements, on the first day of a month in their own zone; "" for never."""


class Office:
    """A blueprint with the ids that the store gave it."""

    def __init__(self, blueprint: Blueprint, store: Store, now: datetime) -> None:
        parties = store.sync_staff(blueprint.directory.people, now)
        store.sync_organisations(blueprint.directory.organisations)
        people = {key: replace(person, party=parties[key]) for key, person in blueprint.directory.people.items()}
        self.site = blueprint.site
        self._configured = replace(blueprint.directory, people=people)
        self.directory: Directory = self._configured
        self._customers = 0
        self.keyring = blueprint.keyring
        self.caps = blueprint.caps
        self.retry_for = blueprint.retry_for
        self.retention = blueprint.retention
        self.monitors = blueprint.monitors
        self.trackers = blueprint.trackers
        self.junk_digest = blueprint.junk_digest
        self.statements_at = blueprint.statements_at
        self.status = blueprint.status
        self.workshop = Workshop(
            site=blueprint.site,
            queues={q.name: (q.address, q.comment_address) for q in self.directory.queues.values()},
            keyring=blueprint.keyring,
            templates=blueprint.templates,
            staff=frozenset(parties.values()),
            signers=blueprint.signers,
        )
        self.house = House(blueprint.site, self.directory, self._message_id)
        self._store = store
        self.look_round(now)
        self._versions: dict[int, Policy] = {}
        self._current: dict[str, int] = {}
        for queue, policy in blueprint.policies.items():
            version = store.policy_version(policy.name, policy.hash, policy.text, {"expanded": policy.expanded()}, now)
            self._versions[version] = policy
            self._current[queue] = version

    def _message_id(self, number: int, event: int) -> str:
        return make_message_id(self.keyring, number, event, self.site.domain)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site.timezone)

    def look_round(self, now: datetime) -> None:
        """See who is away, who is a customer, what is wrong; called before each batch, since other daemons and earlier mails change it."""
        found = self._store.absences(now)
        absences = {person.key: found[person.party] for person in self.directory.people.values() if person.party in found}
        if absences != self.house.absences:
            self.house = replace(self.house, absences=absences)
        incidents = tuple(self._store.incidents())
        if incidents != self.house.incidents:
            self.house = replace(self.house, incidents=incidents)
        mark = self._store.customers_mark()
        if mark != self._customers:
            self.directory, self._customers = self._configured.with_customers(self._store.customers()), mark
            self.house = replace(self.house, directory=self.directory)

    def current_policy(self, queue: str) -> tuple[int, Policy]:
        """Return the version under which a new request of `queue` opens."""
        version = self._current[queue]
        return version, self._versions[version]

    def policy(self, version: int) -> Policy:
        """Return the policy that a request began with."""
        known = self._versions.get(version)
        if known is None:
            kept = self._store.policy(version)
            known = self._versions[version] = from_version(kept.text, kept.holidays["expanded"])
        return known
