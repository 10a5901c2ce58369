"""One request in a house and the people on it: mails of its requestor, his colleague and an engineer, each by the right address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import getaddresses
from itertools import count

from rtmail.desk.ticket import Event, EventKind, Ticket
from rtmail.mail.token import Action, Detail, verify
from rtmail.policy.rows import Clock
from tests.fakes.house import KEYRING, House, Sent, mail

BOB, ANN, JANE, KIM = "bob@acme.example", "ann@acme.example", "jane@staff.example", "kim@staff.example"
NAMES = {BOB: "Bob Roe", ANN: "Ann Poe", JANE: "Jane Doe", KIM: "Kim Lee"}


@dataclass
class Case:
    """Request #1 of Bob, with Ann in Cc; what has gone out stands in `mails`, the latest last."""

    house: House
    mails: list[Sent] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def open(self, text: str = "It is down.", *, headers: str = "", subject: str = "Printer down") -> list[Sent]:
        self.house.receive(mail(text=text, subject=subject, headers=f"Cc: Ann Poe <{ANN}>\n{headers}".strip()))
        return self.went()

    def writes(self, who: str, text: str, *, to: str = "", headers: str = "", subject: str = "Re: [Example #1] Printer down",
               verdict: str = "", answering: str = "") -> list[Sent]:
        """A mail by the reply address of the last mail that `who` got about the request, or `to` another.

        verdict  what our own server says of DMARC, "" for nothing
        """
        last = self.last(who)
        to = to or getaddresses([last["Reply-To"]])[0][1]
        lines = f"In-Reply-To: {answering or last['Message-ID']}\n{headers}".strip()
        name, message_id = f"{NAMES[who]} <{who}>", f"<c{next(self._ids)}@client.example>"
        raw = mail(sender=name, to=to, subject=subject, text=text, message_id=message_id, headers=lines)
        results = "" if not verdict else f"Authentication-Results: mx.example.com; dmarc={verdict} header.from={who.partition('@')[2]}\r\n"
        self.house.receive(results.encode() + raw, to=to, sender=who, peer="127.0.0.1")
        return self.went()

    def staff(self, text: str, who: str = JANE) -> list[Sent]:
        """An engineer's answer to the customer's first mail."""
        return self.writes(who, text, to=self.address(self.last(who), Action.REPLY), verdict="pass", answering="<1@acme.example>")

    def clicks(self, who: str, action: Action, text: str = "", *, headers: str = "", verdict: str = "",
               sent: Sent | None = None) -> list[Sent]:
        """A mail by a link of the last mail that has it, with what the client puts into it."""
        found = sent or next(one for one in reversed(self.mails) if one.item.recipient == who and self._find(one, action))
        return self.writes(who, text, to=self.address(found, action), headers=headers, verdict=verdict)

    def address(self, sent: Sent, action: Action) -> str:
        found = self._find(sent, action)
        assert found, f"{sent} has no link {action.name}"
        return found

    def _find(self, sent: Sent, action: Action) -> str:
        for address in re.findall(r"[\w.-]+\+[a-z2-7]{36}@example\.com", f"{sent['Reply-To']} {sent['From']} {sent.text}"):
            detail = verify(KEYRING, address.partition("+")[2].partition("@")[0], self.house.now.date())
            if isinstance(detail, Detail) and detail.action is action:
                return str(address)
        return ""

    def last(self, who: str) -> Sent:
        return next(one for one in reversed(self.mails) if one.item.recipient == who)

    def went(self) -> list[Sent]:
        """What goes out now."""
        sent = self.house.sent()
        self.mails += sent
        return sent

    def forward(self, **lengths: float) -> list[Sent]:
        """Let time pass, in one step, and return what that sends."""
        self.house.forward(**lengths)
        self.house.sweep()
        return self.went()

    def until(self, at: datetime) -> list[Sent]:
        self.house.now = at
        self.house.sweep()
        return self.went()

    @property
    def ticket(self) -> Ticket:
        found = self.house.store.by_number(1)
        assert found is not None
        return found

    @property
    def status(self) -> str:
        return str(self.ticket.status)

    def clock(self, name: str) -> Clock:
        """The latest instance of a clock."""
        return [one for one in self.ticket.clocks if one.name == name][-1]

    def events(self, kind: EventKind) -> list[Event]:
        return [event for event, _ in self.house.store.events(self.ticket.id) if event.kind is kind]


def kinds(sent: list[Sent]) -> list[tuple[str, str]]:
    """Template and recipient of mails, sorted."""
    return sorted((one.item.template, one.item.recipient.partition("@")[0]) for one in sent)
