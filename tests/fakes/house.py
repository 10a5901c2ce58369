"""A small house for tests: two queues, three members of staff, two organisations, real store, real readers."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from functools import cache
from pathlib import Path

from rtmail.desk.people import Directory, ManagementRole, Organisation, Person, Queue
from rtmail.engine.engine import Engine
from rtmail.engine.office import Blueprint, Caps, Office
from rtmail.engine.reader import ReaderPool
from rtmail.mail.model import Envelope
from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.token import Keyring
from rtmail.mail.writing.templates import Templates
from rtmail.policy.schema import parse
from rtmail.store import OutboxItem, Store

ROOT = Path(__file__).resolve().parent.parent.parent
KEYRING = Keyring(0, {0: b"k" * 32})
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday, 10:00 in Berlin."""


@cache
def readers() -> ReaderPool:
    """One pool for all houses of a test run: starting a reader takes longer than most tests."""
    pool = ReaderPool(workers=1)
    atexit.register(pool.close)
    return pool


def template_texts() -> dict[str, str]:
    return {path.name: path.read_text() for path in (ROOT / "templates").glob("*.j2")}


def own_addresses(queues: Mapping[str, Queue]) -> dict[str, OwnAddress]:
    own: dict[str, OwnAddress] = {}
    for queue in queues.values():
        own[queue.address] = OwnAddress(queue.address, queue.name, Door.CORRESPONDENCE)
        own[queue.comment_address] = OwnAddress(queue.comment_address, queue.name, Door.COMMENT)
    for name in ("postmaster", "abuse"):
        own[f"{name}@example.com"] = OwnAddress(f"{name}@example.com", "", Door.ADMIN)
    return own


def blueprint(*, policy: str = "default", detail: str = "+", caps: Caps | None = None, domain: str = "example.com",
              site_name: str = "Example", authserv_ids: tuple[str, ...] = ("mx.example.com",)) -> Blueprint:
    queues = {
        "support": Queue("support", f"support@{domain}", f"support-comment@{domain}", policy),
        "sales": Queue("sales", f"sales@{domain}", f"sales-comment@{domain}", policy),
    }
    people = {
        "jane": Person("jane", "Jane Doe", "jane@staff.example", queues=("support",)),
        "kim": Person("kim", "Kim Lee", "kim@staff.example", aliases=("k.lee@staff.example",), queues=("support", "sales")),
        "max": Person("max", "Max Boss", "max@staff.example", rights=frozenset({"manager"}), queues=()),
    }
    told = ("technical-support-manager", "customer-relations-manager", "cto", "support-manager", "director")
    roles = {name: ManagementRole(name, "max", "kim") for name in told}
    organisations = {"acme": Organisation("acme", "Acme Ltd", ("acme.example",), ("boss@acme.example",))}
    site = Site(name=site_name, tag=site_name, domain=domain, admin="ops@admin.example", detail=detail, addresses=own_addresses(queues),
                authserv_ids=authserv_ids)
    text = (ROOT / "config" / "policies" / f"{policy}.toml").read_text()
    return Blueprint(site=site, directory=Directory(people, queues, roles, organisations), keyring=KEYRING,
                     templates=Templates(template_texts()),
                     policies=dict.fromkeys(queues, parse(text, f"{policy}.toml")), caps=caps or Caps())


@dataclass
class House:
    """An engine on a store in a temporary folder, with a clock that tests move, and a log of what went out."""

    folder: Path
    plan: Blueprint = field(default_factory=blueprint)
    now: datetime = NOW
    url: str = "sqlite:///house.db"

    def __post_init__(self) -> None:
        self.store = Store(self.url, self.folder)
        self.store.open()
        self.pool = readers()
        self.engine = Engine(self.store, self.pool, Office(self.plan, self.store, self.now), "test")
        self.seen: set[int] = set()

    def close(self) -> None:
        self.store.close()

    def forward(self, **lengths: float) -> None:
        self.now += timedelta(**lengths)

    def receive(self, raw: bytes | str, to: str = "support@example.com", sender: str = "bob@acme.example", **envelope: object) -> int:
        """Take one mail in and let the engine work; returns its spool id."""
        spool_id = self.put(raw, to, sender, **envelope)
        self.settle()
        return spool_id

    def put(self, raw: bytes | str, to: str = "support@example.com", sender: str = "bob@acme.example", **envelope: object) -> int:
        """Take one mail in, for the engine to work on later; returns its spool id."""
        if isinstance(raw, str):
            raw = raw.encode()
        known = {"ingress": "smtp", "arrived_at": self.now, **envelope}
        (spool_id,) = self.store.put_many([(raw, Envelope(sender=sender, recipients=(to,), **known))])  # type: ignore[arg-type]
        return spool_id

    def settle(self) -> None:
        while self.engine.work(self.now):
            pass
        self.engine.remind(self.now)

    def sweep(self) -> None:
        while self.engine.sweep(self.now):
            pass

    def sent(self) -> list[Sent]:
        """Mails that the relay took since the last call, in order."""
        out: list[Sent] = []
        while items := self.store.lease_outbox("relay", self.now, 50, 60):
            for item in items:
                self.store.settle_outbox(item, Taken("250 2.0.0 ok"), self.now)
                out.append(Sent(item))
        while self.engine.report(self.now):
            pass
        return out


@dataclass(frozen=True)
class Sent:
    """One mail as it left."""

    item: OutboxItem

    @property
    def mail(self) -> Message:
        return message_from_bytes(self.item.raw, policy=default)

    @property
    def text(self) -> str:
        body = self.mail.get_body(("plain",))  # type: ignore[attr-defined]
        return str(body.get_content())

    def __getitem__(self, header: str) -> str:
        return str(self.mail[header] or "")

    def __repr__(self) -> str:
        return f"{self.item.template} to {self.item.recipient}: {self['Subject']}"


from rtmail.store.outbox import Sent as Taken  # noqa: E402


def mail(*, sender: str = "Bob Roe <bob@acme.example>", to: str = "support@example.com", subject: str = "Printer down",
         text: str = "It is down.", message_id: str = "<1@acme.example>", headers: str = "",
         date: str = "Mon, 23 Nov 2026 10:00:00 +0100") -> bytes:
    """A plain mail; `headers` are further lines without the final line end."""
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Date: {date}", "MIME-Version: 1.0",
             "Content-Type: text/plain; charset=utf-8"]
    if message_id:
        lines.append(f"Message-ID: {message_id}")
    if headers:
        lines += headers.splitlines()
    return ("\r\n".join(lines) + "\r\n\r\n" + text.replace("\n", "\r\n") + "\r\n").encode()
