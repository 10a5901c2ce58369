"""A rehearsal on the real daemon: its clock goes from instant to instant, people act at theirs, and every mail is seen as it leaves.

Between two instants nothing is due, so nothing is lost by passing over it; at each of them the clock stands still until the
daemon has done all it has to do. A week takes as long as its work does.
"""

from __future__ import annotations

import smtplib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import unquote

from rtmail.clockwork import Stepped
from rtmail.daemon import Daemon
from rtmail.store import OutboxRow
from rtmail.workroom import Here

LIMIT_SECONDS = 20.0
"""Longer than this the daemon never works on one instant."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person does: writes to us, or with `about` answers the latest mail to him whose subject holds that.

    link  answers by this `mailto:` link of that mail, instead of to its Reply-To
    """

    at: datetime
    name: str
    address: str
    text: str
    subject: str = ""
    about: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One mail that left: when by the rehearsal's clock, its row, its bytes."""

    at: datetime
    row: OutboxRow
    mail: EmailMessage


@dataclass
class Rehearsal:
    """Plays deeds against a daemon; `tell` hears of each deed and of each mail, in order."""

    daemon: Daemon
    clock: Stepped
    outbox: Path
    to: str
    port: int
    tell: Callable[[Deed | Seen], None]
    seen: list[Seen] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _count: int = 0

    def play(self, deeds: Iterable[Deed], looks: Iterable[datetime], until: datetime) -> None:
        """Play everything up to `until`; the clock stops at `looks` too, though nobody does anything then."""
        agenda = sorted(deeds, key=lambda deed: deed.at)
        stops = sorted({*looks, *(deed.at for deed in agenda), until})
        while stops:
            wake = self.daemon.store.next_wake_at()
            now = min(stops[0], wake) if wake is not None else stops[0]
            self.clock.move(max(now, self.clock()))
            stops = [stop for stop in stops if stop > now]
            while agenda and agenda[0].at <= now:
                deed = agenda.pop(0)
                self.tell(deed)
                self._act(deed)
                self._settle()
            self._settle()

    def _act(self, deed: Deed) -> None:
        mail = EmailMessage(policy=default.clone(linesep="\r\n", max_line_length=998))
        to, mail["Subject"], words = self.to, deed.subject, deed.text
        if deed.about:
            old = self._latest(deed)
            text = _plain(old)
            to = _link(text, deed.link) if deed.link else str(old["Reply-To"].addresses[0].addr_spec)
            del mail["Subject"]
            mail["Subject"] = deed.link or f"Re: {str(old['Subject']).removeprefix('Re: ')}"
            mail["In-Reply-To"] = str(old["Message-ID"])
            mail["References"] = " ".join(filter(None, [str(old["References"] or ""), str(old["Message-ID"])]))
            if not deed.link:
                quoted = "".join(f"> {line}\n" for line in text.splitlines())
                words += f"\n\nOn {old['Date']}, {str(old['From']).replace(chr(34), '')} wrote:\n{quoted}"
        self._count += 1
        mail["From"], mail["To"] = f"{deed.name} <{deed.address}>", to
        mail["Date"] = deed.at.astimezone(UTC)
        mail["Message-ID"] = f"<{self._count}@{deed.address.rpartition('@')[2]}>"
        mail.set_content(words)
        with smtplib.SMTP("127.0.0.1", self.port, timeout=LIMIT_SECONDS) as client:
            client.sendmail(deed.address, [to], mail.as_bytes())

    def _latest(self, deed: Deed) -> EmailMessage:
        mine = [one.mail for one in self.seen if one.row.recipient == deed.address and deed.about in str(one.mail["Subject"])]
        if not mine:
            raise LookupError(f"{deed.name} has no mail about {deed.about!r} to answer")
        return mine[-1]

    def _settle(self) -> None:
        """Wait until the daemon has nothing left to do at this instant, and tell of what left meanwhile."""
        engine = self.daemon.engine
        assert isinstance(engine, Here), "a rehearsal looks at the engine's rounds"
        begun, until = engine.room.ticker.rounds, time.monotonic() + LIMIT_SECONDS
        while engine.room.ticker.rounds < begun + 2 or self._busy():
            if time.monotonic() > until:
                raise TimeoutError(f"the daemon is busy with {self.clock().isoformat()} for more than {LIMIT_SECONDS:.0f} s; see its log")
            threading.Event().wait(0.005)
        self._look()

    def _busy(self) -> bool:
        store, now = self.daemon.store, self.clock()
        wake = store.next_wake_at()
        return bool(store.spool_depth() or store.outbox_depth() or store.unreported(1) or (wake and wake <= now))

    def _look(self) -> None:
        fresh = sorted(path for path in self.outbox.glob("*") if path.name not in self._known)
        for path in fresh:
            self._known.add(path.name)
            row = self.daemon.store.by_id(int(path.name.partition(".")[0]))
            mail = message_from_bytes(path.read_bytes(), policy=default)
            if row is not None and isinstance(mail, EmailMessage):
                self.seen.append(Seen(self.clock(), row, mail))
                self.tell(self.seen[-1])


def _plain(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return str(body.get_content()) if body else ""


def _link(text: str, name: str) -> str:
    """The address that the link with this subject goes to."""
    links = [line.strip(" <>").removeprefix("mailto:") for line in text.splitlines() if "<mailto:" in line]
    return unquote(next(link for link in links if f"subject={name}" in link).partition("?")[0])
