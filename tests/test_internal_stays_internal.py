"""Random histories of a request: whatever people quote and forward, no internal byte reaches anybody outside (promise 7).

RTMAIL_HISTORIES sets how many histories are played; each has some twenty mails with canary words in all that is internal.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from rtmail.mail.tripwire import STAFF_MARK
from tests.fakes.daemon import parsed, plain
from tests.fakes.house import House, Sent, mail

HISTORIES = int(os.environ.get("RTMAIL_HISTORIES", "12"))
STEPS = 18
STAFF = ("jane@staff.example", "kim@staff.example", "max@staff.example", "ops@admin.example")
CUSTOMERS = ("bob@acme.example", "ann@acme.example")
CANARY = "zinnober"


def address_of(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


def quoted(text: str, how: str) -> str:
    lines = text.splitlines()
    match how:
        case "top":
            return "On Mon, 23 Nov 2026 at 10:00, Example wrote:\n" + "\n".join(f"> {line}" for line in lines)
        case "outlook":
            return (
                "-----Original Message-----\nFrom: Example\nSent: Monday, 23 November 2026 10:00\nTo: Jane Doe\nSubject: Printer\n\n"
                + "\n".join(lines)
            )
        case "piped":
            return "\n".join(f"| {line}" for line in lines)
        case "bare":
            return "\n".join(lines)
        case _:
            return "\n".join(f">> {line}" for line in lines[: len(lines) // 2])


class History:
    """One request and what its people do to it, by one seed."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.luck, self.count, self.seed = house, random.Random(seed), 0, seed
        self.received: dict[str, list[Sent]] = {}
        self.public = 0

    def next_id(self, domain: str) -> str:
        self.count += 1
        return f"<{self.seed}.{self.count}@{domain}>"

    def deliver(self) -> None:
        for sent in self.house.sent():
            self.received.setdefault(sent.item.recipient, []).append(sent)
            if sent.item.recipient not in STAFF:
                self.check(sent)

    def check(self, sent: Sent) -> None:
        self.public += 1
        for shown in (sent.item.raw.decode(errors="replace"), plain(sent.item.raw), str(parsed(sent.item.raw).get_body(("html",)))):
            lowered = shown.lower().replace("=\n", "").replace("=\r\n", "")
            assert CANARY not in lowered, f"seed {self.seed}: {sent}"
            assert STAFF_MARK not in lowered, f"seed {self.seed}: {sent}"
            assert "support-comment" not in lowered, f"seed {self.seed}: {sent}"

    def play(self) -> None:
        self.house.receive(
            mail(
                subject=f"Case {self.seed}",
                message_id=self.next_id("acme.example"),
                headers="Cc: ann@acme.example",
                text=f"Case {self.seed} is broken.",
                date=f"Mon, 23 Nov 2026 10:00:{self.seed % 60:02} +0100",
            )
        )
        self.deliver()
        for _ in range(STEPS):
            self.luck.choice(
                (self.answers, self.answers, self.comments, self.customer, self.reply_all, self.time_passes, self.resolves)
            )()
            self.deliver()

    def staff_mail(self) -> tuple[str, Sent]:
        who = self.luck.choice([one for one in STAFF[:2] if self.received.get(one)])
        return who, self.luck.choice(self.received[who][-4:])

    def write(self, who: str, old: Sent, text: str, to: str, cc: str = "") -> None:
        name = {"jane@staff.example": "Jane Doe", "kim@staff.example": "Kim Lee"}.get(who, "Bob Roe")
        headers = f"In-Reply-To: {old['Message-ID']}\nReferences: {old['References']} {old['Message-ID']}" + (f"\nCc: {cc}" if cc else "")
        subject = old["Subject"] if old["Subject"].startswith("Re:") else f"Re: {old['Subject']}"
        self.house.receive(
            mail(
                sender=f"{name} <{who}>",
                to=to,
                subject=subject,
                text=text,
                message_id=self.next_id(who.partition("@")[2]),
                headers=headers,
            ),
            to=to,
            sender=who,
        )

    def answers(self) -> None:
        who, old = self.staff_mail()
        how = self.luck.choice(("top", "outlook", "piped", "bare", "deep"))
        words = f"Please try step {self.count}."
        text = f"{words}\n\n{quoted(old.text, how)}" if self.luck.random() < 0.7 else f"{quoted(old.text, how)}\n\n{words}"
        self.write(who, old, text, address_of(old["Reply-To"] or old["From"]))

    def comments(self) -> None:
        who, old = self.staff_mail()
        comment = old.text.partition("support-comment+")[2].partition("@")[0]
        to = f"support-comment+{comment}@example.com" if comment else "support-comment@example.com"
        self.write(who, old, f"{CANARY} {self.count}: the customer must not hear of it.", to)

    def reply_all(self) -> None:
        """An engineer answers and adds what his client offers: colleagues, the customer, both addresses."""
        who, old = self.staff_mail()
        cc = self.luck.choice(("kim@staff.example", "support-comment@example.com", "bob@acme.example", "support@example.com"))
        self.write(
            who,
            old,
            f"{CANARY} {self.count}?\n\n{quoted(old.text, 'top')}"
            if cc == "support-comment@example.com"
            else f"Step {self.count}.\n\n{quoted(old.text, 'top')}",
            address_of(old["Reply-To"] or old["From"]),
            cc,
        )

    def customer(self) -> None:
        who = self.luck.choice(CUSTOMERS)
        if mails := self.received.get(who):
            old = self.luck.choice(mails[-3:])
            self.write(who, old, f"It says {self.count}.\n\n{quoted(old.text, 'top')}", address_of(old["Reply-To"] or old["From"]))

    def resolves(self) -> None:
        who, old = self.staff_mail()
        self.write(
            who, old, f"resolve\n\nDone with {self.count}.\n\n{quoted(old.text, 'top')}", address_of(old["Reply-To"] or old["From"])
        )

    def time_passes(self) -> None:
        self.house.forward(hours=self.luck.choice((1, 5, 30)))
        self.house.sweep()
        self.house.settle()


@pytest.mark.parametrize("start", [1000])
def test_no_internal_byte_goes_out(tmp_path: Path, start: int) -> None:
    public = 0
    for seed in range(start, start + HISTORIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        house = House(folder)
        try:
            history = History(house, seed)
            history.play()
            public += history.public
            assert house.store.audit_counts().closes
        finally:
            house.close()
    assert public > HISTORIES * 5, "too little went out for the test to mean anything"
